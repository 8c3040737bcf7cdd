/* What a peer answers about a job, any JSON: the command's lines for people stay within theirs. */
#include "tests/fuzz/fuzz.h"
#include "tools/human.h"
#include "tools/progress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const PATHS[] = {"slices.final",  "slices", "state",
                                        "waiting.cause", "",       "."};
    const struct pn_bytes in = fuzz_exact(data, size);
    char text[PROGRESS_BYTES];
    json_t *job = json_loadb((const char *)in.ptr, in.len, 0, NULL);
    size_t len = strlen(progress_line(job, text));
    assert(len < sizeof text);
    for (size_t columns = 0; columns < len + 2; columns += 7) {
        assert(progress_fitting(text, columns) <= (columns < len ? columns : len));
    }
    assert(strlen(progress_waiting(job, text)) < sizeof text);
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        double number = progress_number(job, PATHS[i]);
        uint64_t count = progress_count(job, PATHS[i]);
        assert(count == 0 || (double)count <= number);
        assert(progress_text(job, PATHS[i]) != NULL);
    }
    json_decref(job);
    fuzz_free(in);
    return 0;
}
