/*
 * draw -- distinct random numbers below a bound, one after another, in O(1) each.
 */
#ifndef PREON_TRACKER_DRAW_H
#define PREON_TRACKER_DRAW_H

#include "common/random.h"

#include <stdbool.h>

enum { DRAW_MAX = 512, DRAW_SEEN = 2048 };

struct draw {
    struct random *random;
    uint32_t bound;
    uint32_t drawn;
    uint32_t
        table[DRAW_SEEN]; /* small bounds: a shuffle in progress; else a hash set of the drawn */
};

/* random is borrowed. */
void draw_init(struct draw *d, struct random *random, uint32_t bound);

/* False when all numbers, or DRAW_MAX of them, have been drawn. */
bool draw_next(struct draw *d, uint32_t *out);

#endif
