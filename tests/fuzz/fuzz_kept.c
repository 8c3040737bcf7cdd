/* A worker's note beside its stored outputs: what is accepted is written back as it was. */
#include <assert.h>
#include <stdlib.h>

#include "peer/worker/kept.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kept k;
    uint8_t *copy = malloc(len > 0 ? len : 1); /* exactly as long as the note */
    if (copy == NULL) {
        return 0;
    }
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    if (kept_parse((struct pn_bytes){copy, len}, &k, NULL) == PN_OK) {
        struct buffer again;
        buffer_init(&again, KEPT_BYTES_MAX);
        enum pn_status status = kept_write(&k, &again);
        assert(status == PN_OK);
        assert(pn_bytes_equal(buffer_bytes(&again), (struct pn_bytes){copy, len}));
        buffer_fini(&again);
    }
    free(copy);
    return 0;
}
