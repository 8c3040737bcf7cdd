#include "common/random.h"

#include <assert.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        r->s[i] = splitmix(&seed);
    }
}

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

uint64_t random_u64(struct random *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
    assert(bound > 0);
    /* The values under `least` would favour the small remainders: draw again. */
    uint64_t least = (0 - bound) % bound;
    uint64_t value;
    do {
        value = random_u64(r);
    } while (value < least);
    return value % bound;
}

double random_unit(struct random *r) { return (double)(random_u64(r) >> 11) * 0x1p-53; }

uint64_t random_backoff(struct random *r, uint64_t base, uint32_t exponent, uint64_t cap)
{
    uint64_t top = base;
    for (uint32_t i = 0; i < exponent && top < cap; i++) {
        top = top > cap / 2 ? cap : top * 2;
    }
    return random_below(r, (top < cap ? top : cap) + 1);
}
