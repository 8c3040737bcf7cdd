#include "common/writer.h"

static uint8_t *room(struct writer *w, size_t len)
{
    if (w->full || len > w->cap - w->len) {
        w->full = true;
        return NULL;
    }
    uint8_t *at = w->ptr + w->len;
    w->len += len;
    return at;
}

static void little_endian(struct writer *w, uint64_t value, size_t len)
{
    uint8_t *at = room(w, len);
    for (size_t i = 0; at != NULL && i < len; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

void writer_u8(struct writer *w, uint8_t value) { little_endian(w, value, 1); }

void writer_u16(struct writer *w, uint16_t value) { little_endian(w, value, 2); }

void writer_u32(struct writer *w, uint32_t value) { little_endian(w, value, 4); }

void writer_u64(struct writer *w, uint64_t value) { little_endian(w, value, 8); }

void writer_copy(struct writer *w, const void *from, size_t len)
{
    if (len == 0) {
        return;
    }
    uint8_t *at = room(w, len);
    if (at != NULL) {
        memcpy(at, from, len);
    }
}

void writer_bytes(struct writer *w, struct pn_bytes bytes) { writer_copy(w, bytes.ptr, bytes.len); }

void writer_bytes16(struct writer *w, struct pn_bytes bytes)
{
    if (bytes.len > UINT16_MAX) {
        w->full = true;
        return;
    }
    writer_u16(w, (uint16_t)bytes.len);
    writer_bytes(w, bytes);
}
