#include "tracker/draw.h"

#include <string.h>

void draw_init(struct draw *d, struct random *random, uint32_t bound)
{
    d->random = random;
    d->bound = bound;
    d->drawn = 0;
    if (bound > DRAW_MAX) {
        memset(d->table, 0, sizeof d->table);
        return;
    }
    for (uint32_t i = 0; i < bound; i++) {
        d->table[i] = i;
    }
}

/* Adds value to the set; false when it was there. At most a quarter full, so the walk is short. */
static bool see(struct draw *d, uint32_t value)
{
    uint32_t place = value * 2654435761u; /* Knuth's multiplier: spreads runs of numbers */
    for (;; place++) {
        uint32_t *slot = &d->table[place % DRAW_SEEN];
        if (*slot == value + 1) {
            return false;
        }
        if (*slot == 0) {
            *slot = value + 1;
            return true;
        }
    }
}

bool draw_next(struct draw *d, uint32_t *out)
{
    if (d->drawn == d->bound || d->drawn == DRAW_MAX) {
        return false;
    }
    if (d->bound > DRAW_MAX) {
        do {
            *out = (uint32_t)random_below(d->random, d->bound);
        } while (!see(d, *out));
    } else {
        uint32_t other = d->drawn + (uint32_t)random_below(d->random, d->bound - d->drawn);
        *out = d->table[other];
        d->table[other] = d->table[d->drawn];
    }
    d->drawn++;
    return true;
}
