/*
 * nonce_block -- a message block of which some words vary, with all that does not vary worked out.
 *
 * Of the many hashes of a run only few words of one block differ. Everything that follows from the
 * others is computed once here, in plain C: the rounds before the first varying word, the constant
 * parts of the message schedule, and per round one number that sums all constants of that round.
 * The kernels (nonce_lanes.h) do the rest.
 */
#ifndef PREON_JOBS_NONCE_BLOCK_H
#define PREON_JOBS_NONCE_BLOCK_H

#include "jobs/nonce/sha256.h"

/* Words t + 2, t + 7, t + 15 and t + 16 of the schedule take from word t. */
static inline uint64_t nonce_block_spread(uint64_t mask)
{
    return mask | ((mask << 2 | mask << 7 | mask << 15 | mask << 16) & ~UINT64_C(0xffff));
}

/*
 * Bit t tells whether schedule word t varies when the words of mask (bits 0 .. 15) do. Inline and
 * without a loop, so that the kernels get a constant. Seven steps reach word 63 from any word.
 */
static inline uint64_t nonce_block_varies(uint32_t mask)
{
    uint64_t m = nonce_block_spread(nonce_block_spread(nonce_block_spread(mask)));
    m = nonce_block_spread(nonce_block_spread(m));
    return nonce_block_spread(nonce_block_spread(m));
}

struct nonce_block {
    uint32_t start;               /* the first varying word; rounds before it are done */
    uint32_t state[SHA256_WORDS]; /* a .. h before round start */
    uint32_t start_a;             /* round start: new a = this + word, new e = start_e + word */
    uint32_t start_e;
    uint32_t mid[SHA256_WORDS];       /* the state before the block, added at its end */
    uint32_t words[16];               /* the block itself, for kernels that do whole rounds */
    uint32_t round[SHA256_ROUNDS];    /* the constants that the round adds, summed */
    uint32_t schedule[SHA256_ROUNDS]; /* the constant part of a varying word */
};

/*
 * Works out the block with these words before it is hashed into mid. mask tells which of the words
 * vary; words[start] holds the fixed part of the first of them, of others the value is not used.
 */
void nonce_block_init(struct nonce_block *b, const uint32_t mid[SHA256_WORDS],
                      const uint32_t words[16], uint32_t mask);

/* A block without varying words behind a varying one: only round[] and nothing else is set. */
void nonce_block_init_fixed(struct nonce_block *b, const uint32_t words[16]);

#endif
