/* Any name of a folder in the outbox: another's, or an attempt's that is written the same. */
#include "peer/store/attempt_name.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = fuzz_string((struct pn_bytes){data, size});
    char again[ATTEMPT_NAME_BYTES];
    uint64_t slice;
    uint64_t attempt;
    if (attempt_name_parse(name, &slice, &attempt)) {
        assert(strcmp(attempt_name_write(slice, attempt, again), name) == 0);
    }
    free(name);
    return 0;
}
