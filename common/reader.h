/*
 * reader -- takes a stranger's bytes apart, never past their end.
 *
 * After the first short read the reader is `bad` and everything yields zero, so a parser reads like
 * the message's layout and checks once, with reader_finish. Integers are little-endian.
 */
#ifndef PREON_COMMON_READER_H
#define PREON_COMMON_READER_H

#include "common/bytes.h"

struct reader {
    const uint8_t *at;
    size_t left;
    bool bad; /* sticky */
};

static inline struct reader reader_of(struct pn_bytes in)
{
    return (struct reader){.at = in.ptr, .left = in.len};
}

uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);

/* len bytes, borrowed from the input; {NULL, 0} when there are fewer. */
struct pn_bytes reader_bytes(struct reader *r, size_t len);

/* len bytes copied to out; out is zeroed when there are fewer. */
void reader_copy(struct reader *r, void *out, size_t len);

/* A u16 length and that many bytes; more than max makes the reader bad. */
struct pn_bytes reader_bytes16(struct reader *r, size_t max);

/* Everything that is left. */
struct pn_bytes reader_rest(struct reader *r);

/* True when all was there and nothing is left over. */
static inline bool reader_finish(const struct reader *r) { return !r->bad && r->left == 0; }

#endif
