/*
 * nonce_layout -- where a nonce's digits stand in the message, and how nonces are cut into runs.
 *
 * A nonce is n digits in a base (10 and 16 as text, 256 as bytes), each at its place in the last
 * blocks. Of these up to four that stand in one word vary within a run; the others are fixed in
 * it. So nonce = upper * (size * stride) + value * stride + lower: `value` runs over all digits
 * that vary, `stride` is the weight of the lowest of them, `lower` stands for those below. Where
 * the last digit begins a word, four digits before it vary instead and the nonces of a run are ten
 * apart: a run of ten would leave the lanes empty.
 */
#ifndef PREON_JOBS_NONCE_LAYOUT_H
#define PREON_JOBS_NONCE_LAYOUT_H

#include "jobs/nonce/nonce_kernel.h"

enum {
    NONCE_BLOCKS_MAX = 19,    /* tail, nonce, the longest suffix, padding */
    NONCE_VALUES_MAX = 65536, /* of a run: 16^4, 256^2; 10^4 */
    NONCE_DIGITS_MAX = NONCE_TEXT_BYTES_MAX,
};

struct nonce_layout {
    uint32_t base;
    uint32_t digit_count;
    uint32_t place[NONCE_DIGITS_MAX]; /* byte of digit i, 0 the lowest, from the midstate on */
    uint32_t low;                     /* the first digit that varies */
    uint32_t high;                    /* the first one above those */
    uint32_t size;                    /* base ^ (high - low), values of a run */
    uint64_t stride;                  /* base ^ low */
    uint32_t first_block;             /* the one with the varying word */
    uint32_t varying_word;            /* in that block */
    uint32_t block_count;
    uint32_t words[NONCE_BLOCKS_MAX][16];
    bool digits_behind; /* a digit stands in a block behind first_block */
    const struct nonce_puzzle *puzzle;
    struct nonce_block more[NONCE_BLOCKS_MAX];
};

/* The layout of all nonces with as many digits as this one; the puzzle must outlive it. */
void nonce_layout_init(struct nonce_layout *l, const struct nonce_puzzle *p, uint64_t nonce);

/* The last nonce with as many digits as this one. */
uint64_t nonce_layout_last(const struct nonce_puzzle *p, uint64_t nonce);

/*
 * What count values from `first` on add to the varying word. Those from size on, which fill a last
 * batch, begin again at 0.
 */
void nonce_layout_values(const struct nonce_layout *l, uint32_t first, uint32_t count,
                         uint32_t *values);

/* Makes *run the one that nonce belongs to. run->more points into *l. */
void nonce_layout_set(struct nonce_layout *l, uint64_t nonce, struct nonce_run *run);

#endif
