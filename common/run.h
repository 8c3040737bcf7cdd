/*
 * run -- 128 random bits drawn each time a job is started; they keep one start's frames and votes
 * apart from every other's.
 */
#ifndef PREON_COMMON_RUN_H
#define PREON_COMMON_RUN_H

#include "common/hex.h"

enum { RUN_BYTES = 16, RUN_HEX_BYTES = 2 * RUN_BYTES + 1 };

struct run {
    uint8_t b[RUN_BYTES];
};

static inline bool run_equal(const struct run *a, const struct run *b)
{
    return memcmp(a->b, b->b, RUN_BYTES) == 0;
}

static inline struct pn_bytes run_bytes(const struct run *r)
{
    return (struct pn_bytes){r->b, RUN_BYTES};
}

#endif
