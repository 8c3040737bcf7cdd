#include "common/frame.h"

#include <assert.h>

#include "common/reader.h"

enum { FRAME_FLAGS_KNOWN = FRAME_CRITICAL | FRAME_ANSWER | FRAME_MORE };

bool frame_type_known(uint8_t type)
{
    switch ((enum frame_type)type) {
    case FRAME_HELLO:
    case FRAME_PING:
    case FRAME_ERROR:
    case FRAME_BYE:
    case FRAME_JOIN:
    case FRAME_ENLIST:
    case FRAME_ASSIGN:
    case FRAME_STARTED:
    case FRAME_PROGRESS:
    case FRAME_VOTE:
    case FRAME_GIVE_UP:
    case FRAME_CANCEL:
    case FRAME_RELEASE:
    case FRAME_ENDED:
    case FRAME_OFFER:
    case FRAME_IDLE:
    case FRAME_LEAVE:
    case FRAME_MANIFEST:
    case FRAME_LEAVES:
    case FRAME_BLOCK:
    case FRAME_HAVE:
    case FRAME_STOP:
        return true;
    }
    return false;
}

enum pn_status frame_parse(struct pn_bytes in, size_t body_max, struct frame *out, size_t *used,
                           size_t *need, struct pn_err *err)
{
    *used = 0;
    *need = FRAME_HEADER_BYTES;
    if (in.len < FRAME_HEADER_BYTES) {
        return PN_OK;
    }
    struct reader r = reader_of(in);
    size_t body_bytes = reader_u32(&r);
    struct frame f = {.type = reader_u8(&r), .flags = reader_u8(&r)};
    uint16_t zero = reader_u16(&r);
    f.request = reader_u32(&r);
    if (zero != 0) {
        return pn_fail(err, PN_E_MALFORMED, "frame type %u: reserved field is %u", f.type, zero);
    }
    if ((f.flags & ~FRAME_FLAGS_KNOWN) != 0) {
        return pn_fail(err, PN_E_MALFORMED, "frame type %u: unknown flags 0x%02x", f.type, f.flags);
    }
    if (body_bytes > body_max) {
        return pn_fail(err, PN_E_TOO_BIG, "frame type %u: body of %zu bytes, at most %zu", f.type,
                       body_bytes, body_max);
    }
    *need = FRAME_HEADER_BYTES + body_bytes;
    if (in.len < *need) {
        return PN_OK;
    }
    f.body = reader_bytes(&r, body_bytes);
    *out = f;
    *used = *need;
    return PN_OK;
}

void frame_encode(const struct frame *f, struct writer *w)
{
    assert(f->body.len <= FRAME_BODY_MAX);
    assert((f->flags & ~FRAME_FLAGS_KNOWN) == 0);
    writer_u32(w, (uint32_t)f->body.len);
    writer_u8(w, f->type);
    writer_u8(w, f->flags);
    writer_u16(w, 0);
    writer_u32(w, f->request);
    writer_bytes(w, f->body);
}

enum pn_status frame_write(const struct frame *f, struct buffer *out)
{
    if (frame_bytes(f) > out->max - out->len) {
        return PN_E_FULL;
    }
    uint8_t *at = buffer_room(out, frame_bytes(f));
    if (at == NULL) {
        return PN_E_NO_MEMORY;
    }
    struct writer w = writer_of(at, frame_bytes(f));
    frame_encode(f, &w);
    buffer_used(out, writer_done(&w).len);
    return PN_OK;
}
