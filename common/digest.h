/*
 * digest -- 32 bytes that name something: a job ID, a peer ID, the root of a file.
 */
#ifndef PREON_COMMON_DIGEST_H
#define PREON_COMMON_DIGEST_H

#include "common/hex.h"

enum {
    DIGEST_BYTES = 32,
    DIGEST_HEX_BYTES = 2 * DIGEST_BYTES + 1, /* with its terminator */
    DIGEST_SHORT_BYTES = 12 + 1,             /* what people are shown, with its terminator */
};

struct digest {
    uint8_t b[DIGEST_BYTES];
};

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, DIGEST_BYTES) == 0;
}

/* By value, like memcmp: an order for sorted lists, without meaning. */
static inline int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->b, b->b, DIGEST_BYTES);
}

static inline struct pn_bytes digest_bytes(const struct digest *d)
{
    return (struct pn_bytes){d->b, DIGEST_BYTES};
}

static inline void digest_hex(const struct digest *d, char text[DIGEST_HEX_BYTES])
{
    hex_write(digest_bytes(d), text);
}

/* The first 12 digits, for people. */
static inline void digest_short(const struct digest *d, char text[DIGEST_SHORT_BYTES])
{
    hex_write((struct pn_bytes){d->b, (DIGEST_SHORT_BYTES - 1) / 2}, text);
}

/* Exactly 64 lower-case digits. */
static inline bool digest_parse(const char *text, size_t text_len, struct digest *out)
{
    return hex_parse(text, text_len, out->b, DIGEST_BYTES);
}

#endif
