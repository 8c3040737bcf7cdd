/*
 * nonce_pick -- which kernel is right and fastest on this processor.
 */
#ifndef PREON_JOBS_NONCE_PICK_H
#define PREON_JOBS_NONCE_PICK_H

#include "jobs/nonce/nonce_kernel.h"

/* Nanoseconds of the thread's processor time, or any monotonic clock; supplied by the caller. */
typedef uint64_t nonce_clock(void);

/*
 * Compares a kernel with the plain code over two thousand nonces, in about 1 ms: every position of
 * the varying word, one block and two, one hash and two, each order of bits.
 */
bool nonce_pick_check(const struct nonce_kernel *k);

/* Double hashes a second of a usable kernel, measured over about 0.05 ms. */
double nonce_pick_rate(const struct nonce_kernel *k, nonce_clock *clock);

/*
 * The fastest of the usable kernels that pass the check; takes a few milliseconds. A faster one
 * that fails it is named in *wrong (else NULL): say so loudly and go on.
 */
const struct nonce_kernel *nonce_pick(nonce_clock *clock, const struct nonce_kernel **wrong);

#endif
