/*
 * The messages between masters and workers, of work.h and hire.h: the first byte chooses the
 * parser; what it accepts is written back as it was, and what is written parses to the same again.
 */
#include <assert.h>
#include <stdlib.h>

#include "tests/unit/work_again.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void one_message(enum work_kind kind, struct pn_bytes in)
{
    struct buffer first;
    struct buffer second;
    buffer_init(&first, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    buffer_init(&second, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    if (work_again(kind, in, &first) == PN_OK) {
        struct frame f;
        size_t used;
        size_t need;
        enum pn_status status =
            frame_parse(buffer_bytes(&first), FRAME_BODY_MAX, &f, &used, &need, NULL);
        assert(status == PN_OK && used == first.len);
        assert(f.body.len == in.len && (!work_kind_exact(kind) || pn_bytes_equal(f.body, in)));
        status = work_again(kind, f.body, &second);
        assert(status == PN_OK && pn_bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    }
    buffer_fini(&first);
    buffer_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0 || len - 1 > FRAME_BODY_MAX) {
        return 0;
    }
    uint8_t *body = malloc(len > 1 ? len - 1 : 1); /* exactly as long as the body */
    if (body != NULL) {
        memcpy(body, bytes + 1, len - 1);
        one_message((enum work_kind)(bytes[0] % KIND_COUNT), (struct pn_bytes){body, len - 1});
        free(body);
    }
    return 0;
}
