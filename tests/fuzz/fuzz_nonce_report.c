/* A nonce slice's report from a stranger: what parses keeps its limits and writes the same bytes.
 */
#include "jobs/nonce/nonce_report.h"
#include "tests/fuzz/fuzz.h"

static void one_report(struct pn_bytes in)
{
    static struct nonce_report report;
    static uint8_t again[NONCE_REPORT_BYTES_MAX];
    if (nonce_report_parse(in, &report, NULL) != PN_OK) {
        return;
    }
    assert(in.len <= NONCE_REPORT_BYTES_MAX);
    for (uint32_t i = 0; i < report.hit_count; i++) {
        uint32_t window = nonce_report_window_of(&report, report.hits[i]);
        assert(nonce_range_has(report.range, report.hits[i]) && window < report.window_count);
        assert(nonce_range_has(nonce_report_window(&report, window), report.hits[i]));
    }
    static struct nonce_report fresh;
    nonce_report_init(&fresh, report.range);
    assert(fresh.window_count == report.window_count);
    assert(pn_bytes_equal((struct pn_bytes){again, nonce_report_write(&report, again)}, in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pn_bytes in = fuzz_exact(data, size);
    one_report(in);
    fuzz_free(in);
    return 0;
}
