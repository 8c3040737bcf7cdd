/* Any bytes: a frame is refused by its header, or waited for, or written back as it came. */
#include "common/frame.h"
#include "tests/fuzz/fuzz.h"

static void check_whole(const struct frame *f, struct pn_bytes in, size_t used)
{
    struct buffer out;
    buffer_init(&out, used);
    if (frame_write(f, &out) == PN_OK) {
        assert(pn_bytes_equal(buffer_bytes(&out), (struct pn_bytes){in.ptr, used}));
        assert(frame_write(f, &out) == PN_E_FULL);
    }
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    (void)frame_type_known(len == 0 ? 0 : bytes[0]);
    const struct pn_bytes in = fuzz_exact(bytes, len);
    const size_t max = len % 2 == 0 ? FRAME_BODY_MAX : FRAME_HELLO_BODY_MAX;
    struct frame f;
    struct pn_err err;
    size_t used;
    size_t need;
    enum pn_status status = frame_parse(in, max, &f, &used, &need, &err);
    if (status != PN_OK) {
        assert(status == PN_E_MALFORMED || status == PN_E_TOO_BIG);
        assert(used == 0 && len >= FRAME_HEADER_BYTES);
    } else if (used == 0) {
        assert(need > len && need <= FRAME_HEADER_BYTES + max);
    } else {
        check_whole(&f, in, used);
        assert(used == need && used <= len && f.body.len <= max);
    }
    fuzz_free(in);
    return 0;
}
