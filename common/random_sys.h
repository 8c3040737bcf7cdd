/*
 * random_sys -- the kernel's random numbers: for keys, runs, seeds and what the master audits.
 */
#ifndef PREON_COMMON_RANDOM_SYS_H
#define PREON_COMMON_RANDOM_SYS_H

#include <stddef.h>
#include <stdint.h>

/* Fills out; never fails (the process ends where the kernel has no entropy source at all). */
void random_fill(void *out, size_t len);

/* A seed for a core's generator. */
uint64_t random_fresh_seed(void);

#endif
