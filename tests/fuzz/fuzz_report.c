/* Any bytes: refused, or a report that writes the same bytes. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "peer/sandbox/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[REPORT_BYTES_MAX];
    struct report r;
    if (report_parse((struct pn_bytes){data, size}, &r, NULL) == PN_OK) {
        size_t len = report_write(&r, again);
        assert(len == size && memcmp(again, data, size) == 0);
    }
    return 0;
}
