/*
 * bytes -- a borrowed run of bytes, passed by value.
 */
#ifndef PREON_COMMON_BYTES_H
#define PREON_COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Owns nothing: valid as long as whatever it points into. ptr may be NULL when len is 0. */
struct pn_bytes {
    const uint8_t *ptr;
    size_t len;
};

/* The bytes of a C string, without its terminator. */
static inline struct pn_bytes pn_bytes_str(const char *text)
{
    return (struct pn_bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool pn_bytes_equal(struct pn_bytes a, struct pn_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
