/*
 * nonce_range -- runs of nonces, and how they are cut into slices and windows.
 *
 * A range is given by its first and its last nonce, so that all 2^64 of them are a range too and
 * none is empty. Both cuts follow one rule: part i of n of [first, first + L) is
 * [first + floor(i*L/n), first + floor((i+1)*L/n)).
 */
#ifndef PREON_JOBS_NONCE_RANGE_H
#define PREON_JOBS_NONCE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 nonce_count; /* 1 .. 2^64 */

struct nonce_range {
    uint64_t first;
    uint64_t last; /* >= first */
};

static inline nonce_count nonce_range_count(struct nonce_range r)
{
    return (nonce_count)(r.last - r.first) + 1;
}

static inline bool nonce_range_has(struct nonce_range r, uint64_t nonce)
{
    return nonce >= r.first && nonce <= r.last;
}

#define NONCE_PARTS_MAX (UINT64_C(1) << 32) /* products with a count stay far below 2^128 */

/* Part index of parts; 1 <= parts <= count, so that no part is empty, and <= NONCE_PARTS_MAX. */
struct nonce_range nonce_range_part(struct nonce_range r, uint64_t index, uint64_t parts);

/* Which of the parts has this nonce of the range. */
uint64_t nonce_range_part_of(struct nonce_range r, uint64_t parts, uint64_t nonce);

#endif
