#include "common/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *b, size_t bytes_max) { *b = (struct buffer){.max = bytes_max}; }

void buffer_fini(struct buffer *b)
{
    free(b->ptr);
    buffer_init(b, b->max);
}

uint8_t *buffer_room(struct buffer *b, size_t len)
{
    if (len > b->max - b->len) {
        return NULL;
    }
    size_t need = b->len + len;
    if (need > b->cap || b->ptr == NULL) {
        size_t cap = b->cap < 256 ? 256 : b->cap;
        while (cap < need) {
            cap = cap > b->max / 2 ? need : cap * 2;
        }
        uint8_t *ptr = realloc(b->ptr, cap);
        if (ptr == NULL) {
            return NULL;
        }
        b->ptr = ptr;
        b->cap = cap;
    }
    return b->ptr + b->len;
}

void buffer_used(struct buffer *b, size_t len)
{
    assert(len <= b->cap - b->len);
    b->len += len;
}

enum pn_status buffer_append(struct buffer *b, struct pn_bytes bytes)
{
    if (bytes.len > b->max - b->len) {
        return PN_E_FULL;
    }
    if (bytes.len == 0) {
        return PN_OK;
    }
    uint8_t *at = buffer_room(b, bytes.len);
    if (at == NULL) {
        return PN_E_NO_MEMORY;
    }
    memcpy(at, bytes.ptr, bytes.len);
    b->len += bytes.len;
    return PN_OK;
}

enum pn_status buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len > b->max - b->len) {
        return PN_E_FULL;
    }
    /* vsnprintf writes a terminator too: ask for a byte more, which max need not allow for. */
    char small[512];
    char *text = (size_t)len < sizeof small ? small : malloc((size_t)len + 1);
    if (text == NULL) {
        return PN_E_NO_MEMORY;
    }
    va_start(args, format);
    (void)vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    enum pn_status status = buffer_append(b, pn_bytes_str(text));
    if (text != small) {
        free(text);
    }
    return status;
}

void buffer_consume(struct buffer *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (b->len > 0) {
        memmove(b->ptr, b->ptr + len, b->len);
    }
}
