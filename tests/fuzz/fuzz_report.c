/* Any bytes: refused, or a report that writes the same bytes. */
#include "peer/sandbox/report.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[REPORT_BYTES_MAX];
    struct report r;
    const struct pn_bytes in = fuzz_exact(data, size);
    if (report_parse(in, &r, NULL) == PN_OK) {
        assert(pn_bytes_equal((struct pn_bytes){again, report_write(&r, again)}, in));
    }
    fuzz_free(in);
    return 0;
}
