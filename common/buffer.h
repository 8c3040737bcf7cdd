/*
 * buffer -- bytes that grow up to a maximum told at the start.
 */
#ifndef PREON_COMMON_BUFFER_H
#define PREON_COMMON_BUFFER_H

#include "common/bytes.h"
#include "common/status.h"

struct buffer {
    uint8_t *ptr; /* owned; freed by buffer_fini */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds it */
};

/* Allocates nothing yet. */
void buffer_init(struct buffer *b, size_t bytes_max);

/* Frees the memory; the buffer is then as after buffer_init. */
void buffer_fini(struct buffer *b);

/*
 * Makes room for len more bytes and returns where they go; buffer_used then says how many of
 * them were used. NULL when that would exceed max (the buffer is as before) or memory is short.
 */
uint8_t *buffer_room(struct buffer *b, size_t len);
void buffer_used(struct buffer *b, size_t len);

/* Appends; PN_E_FULL or PN_E_NO_MEMORY leave the buffer as it was. */
enum pn_status buffer_append(struct buffer *b, struct pn_bytes bytes);

/* Appends printf-style text without its terminator. */
__attribute__((format(printf, 2, 3))) enum pn_status buffer_printf(struct buffer *b,
                                                                   const char *format, ...);

/* Drops len bytes from the front (len <= b->len). */
void buffer_consume(struct buffer *b, size_t len);

static inline struct pn_bytes buffer_bytes(const struct buffer *b)
{
    return (struct pn_bytes){b->ptr, b->len};
}

#endif
