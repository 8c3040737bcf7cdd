/*
 * nonce_kernel -- the code that hashes: one per kind of processor, all doing the same.
 *
 * A kernel gets a run: hashes that differ in one word of one block, and the values of that word. It
 * returns the word (nonce_puzzle.h) of each digest, in the order of the values: what that means
 * for windows and hits is the search's business, the same for every kernel. All kernels but sha_ni
 * and armv8 are made from one source, nonce_lanes.h.
 */
#ifndef PREON_JOBS_NONCE_KERNEL_H
#define PREON_JOBS_NONCE_KERNEL_H

#include "common/status.h"
#include "jobs/nonce/nonce_block.h"
#include "jobs/nonce/nonce_puzzle.h"

enum { NONCE_BATCH = 16 }; /* values come in multiples of this; every kernel's lanes divide it */

struct nonce_run {
    struct nonce_block first;       /* the block with the varying word */
    const struct nonce_block *more; /* blocks behind it, without varying words */
    uint32_t more_count;
    const struct nonce_block *second; /* of the second hash, words 0 .. 7 vary; NULL: hash once */
    enum nonce_order order;
};

/* The words for values[0 .. count-1], which are added to first's varying word. */
typedef void nonce_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                         uint32_t *out);

/* The lowest of words[0 .. count-1] and their sum; count >= 1. */
typedef void nonce_fold(const uint32_t *words, size_t count, uint32_t *min, uint32_t *sum);

struct nonce_kernel {
    const char *name;
    const char *needs;    /* what the processor must have; "" for any */
    bool (*usable)(void); /* asks the processor */
    nonce_words *words;   /* NULL when the build lacks it (another architecture) */
    nonce_fold *fold;
};

/* Fastest first by experience; the last is portable and always usable. NULL behind it. */
const struct nonce_kernel *nonce_kernel_at(size_t index);

/* The first usable one. */
const struct nonce_kernel *nonce_kernel_first(void);

/* By name; fails with PN_E_NOT_FOUND (unknown) or PN_E_UNSUPPORTED (not here, naming what lacks).
 */
enum pn_status nonce_kernel_find(const char *name, const struct nonce_kernel **out,
                                 struct pn_err *err);

/* Working out the second hash's block, for nonce_run.second. */
void nonce_kernel_second(struct nonce_block *out);

extern const struct nonce_kernel nonce_kernel_avx512, nonce_kernel_avx2, nonce_kernel_sha_ni,
    nonce_kernel_armv8, nonce_kernel_portable;

#endif
