/* A nonce slice's report from a stranger: what parses keeps its limits and writes the same bytes.
 */
#include <assert.h>
#include <string.h>

#include "jobs/nonce/nonce_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct nonce_report report;
    static uint8_t again[NONCE_REPORT_BYTES_MAX];
    if (nonce_report_parse((struct pn_bytes){data, size}, &report, NULL) != PN_OK) {
        return 0;
    }
    assert(size <= NONCE_REPORT_BYTES_MAX);
    for (uint32_t i = 0; i < report.hit_count; i++) {
        assert(nonce_range_has(report.range, report.hits[i]));
    }
    assert(nonce_report_write(&report, again) == size);
    assert(memcmp(again, data, size) == 0);
    return 0;
}
