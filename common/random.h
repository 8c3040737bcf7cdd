/*
 * random -- a seeded generator for cores: the same seed gives the same decisions.
 *
 * xoshiro256** by Blackman and Vigna (public domain algorithm), seeded by splitmix64. Not for
 * secrets: keys and runs come from the kernel (random_sys.h).
 */
#ifndef PREON_COMMON_RANDOM_H
#define PREON_COMMON_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t s[4];
};

void random_seed(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);

/* Uniform in 0 .. bound-1, without bias; bound >= 1. */
uint64_t random_below(struct random *r, uint64_t bound);

/* Uniform in [0, 1). */
double random_unit(struct random *r);

/* Full jitter: uniform in 0 .. min(cap, base << exponent). All in the caller's unit of time. */
uint64_t random_backoff(struct random *r, uint64_t base, uint32_t exponent, uint64_t cap);

#endif
