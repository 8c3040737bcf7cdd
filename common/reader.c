#include "common/reader.h"

/* The only place where input pointers move. */
static const uint8_t *take(struct reader *r, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        r->left = 0;
        return NULL;
    }
    const uint8_t *at = r->at;
    if (len > 0) {
        r->at += len;
        r->left -= len;
    }
    return at;
}

static uint64_t little_endian(struct reader *r, size_t len)
{
    const uint8_t *at = take(r, len);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < len; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

uint8_t reader_u8(struct reader *r) { return (uint8_t)little_endian(r, 1); }

uint16_t reader_u16(struct reader *r) { return (uint16_t)little_endian(r, 2); }

uint32_t reader_u32(struct reader *r) { return (uint32_t)little_endian(r, 4); }

uint64_t reader_u64(struct reader *r) { return little_endian(r, 8); }

struct pn_bytes reader_bytes(struct reader *r, size_t len)
{
    const uint8_t *at = take(r, len);
    return at == NULL ? (struct pn_bytes){NULL, 0} : (struct pn_bytes){at, len};
}

void reader_copy(struct reader *r, void *out, size_t len)
{
    const uint8_t *at = take(r, len);
    if (len == 0) {
        return;
    }
    if (at == NULL) {
        memset(out, 0, len);
    } else {
        memcpy(out, at, len);
    }
}

struct pn_bytes reader_bytes16(struct reader *r, size_t max)
{
    size_t len = reader_u16(r);
    if (len > max) {
        r->bad = true;
        r->left = 0;
    }
    return reader_bytes(r, len);
}

struct pn_bytes reader_rest(struct reader *r) { return reader_bytes(r, r->left); }
