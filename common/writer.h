/*
 * writer -- puts a message together in a buffer of the caller's, never past its end.
 *
 * The counterpart of reader: after the first value that does not fit the writer is `full` and
 * writes nothing more, so that one check at the end suffices. Integers are little-endian.
 */
#ifndef PREON_COMMON_WRITER_H
#define PREON_COMMON_WRITER_H

#include "common/bytes.h"

struct writer {
    uint8_t *ptr; /* the caller's; not owned */
    size_t cap;
    size_t len;
    bool full; /* sticky */
};

static inline struct writer writer_of(void *ptr, size_t cap)
{
    return (struct writer){.ptr = ptr, .cap = cap};
}

void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, struct pn_bytes bytes);
void writer_copy(struct writer *w, const void *from, size_t len);

/* A u16 length and the bytes; more than 65,535 makes the writer full. */
void writer_bytes16(struct writer *w, struct pn_bytes bytes);

/* What has been written; {NULL, 0} when it did not fit. */
static inline struct pn_bytes writer_done(const struct writer *w)
{
    return w->full ? (struct pn_bytes){NULL, 0} : (struct pn_bytes){w->ptr, w->len};
}

#endif
