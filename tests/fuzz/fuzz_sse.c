/* Any stream of events, in pieces whose lengths the first byte decides: the pieces do not matter.
 */
#include "tests/fuzz/fuzz.h"
#include "tools/sse.h"

/* All events of the stream, one after the other, in *out. */
static void read_all(struct pn_bytes in, size_t step, struct buffer *out)
{
    struct sse s;
    struct buffer event;
    char name[SSE_NAME_BYTES];
    sse_init(&s);
    buffer_init(&event, SSE_EVENT_BYTES_MAX);
    while (in.len > 0) {
        size_t len = in.len < step ? in.len : step;
        struct pn_bytes piece = fuzz_exact(in.ptr, len);
        enum pn_status status = sse_add(&s, piece);
        fuzz_free(piece);
        if (status != PN_OK) {
            break;
        }
        in = (struct pn_bytes){in.ptr + len, in.len - len};
        while (sse_next(&s, name, &event)) {
            assert(strlen(name) < SSE_NAME_BYTES);
            (void)buffer_printf(out, "%s=", name);
            (void)buffer_append(out, buffer_bytes(&event));
            (void)buffer_append(out, pn_bytes_str("\n"));
        }
    }
    buffer_fini(&event);
    sse_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer one;
    struct buffer two;
    if (size < 1) {
        return 0;
    }
    buffer_init(&one, 4 * SSE_EVENT_BYTES_MAX);
    buffer_init(&two, 4 * SSE_EVENT_BYTES_MAX);
    read_all((struct pn_bytes){data + 1, size - 1}, size, &one);
    read_all((struct pn_bytes){data + 1, size - 1}, (size_t)data[0] + 1, &two);
    assert(pn_bytes_equal(buffer_bytes(&one), buffer_bytes(&two)));
    buffer_fini(&one);
    buffer_fini(&two);
    return 0;
}
