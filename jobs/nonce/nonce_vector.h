/*
 * nonce_vector -- vectors of uint32_t of any width, for the kernels: what SHA-256 does with them,
 * the orders of bits, and the fold of a kernel.
 *
 * A file includes this after defining V, a vector of uint32_t, and LANES, and where the processor
 * knows better than C also ROR, XOR3, CHOOSE, MAJORITY.
 */
#include "jobs/nonce/nonce_kernel.h"

#ifndef ROR
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))
#endif
#ifndef XOR3
#define XOR3(x, y, z) ((x) ^ (y) ^ (z))
#endif
#ifndef CHOOSE
#define CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#endif
#ifndef MAJORITY
#define MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#endif
#ifndef SPREAD
#define SPREAD(x) ((V){0} + (x))
#endif

static inline V bytes_reversed(V x)
{
    return CHOOSE(SPREAD(UINT32_C(0x00ff00ff)), ROR(x, 24), ROR(x, 8));
}

/* The bits of each byte. */
static inline V bits_reversed(V x)
{
    x = CHOOSE(SPREAD(UINT32_C(0x0f0f0f0f)), x >> 4, x << 4);
    x = CHOOSE(SPREAD(UINT32_C(0x33333333)), x >> 2, x << 2);
    return CHOOSE(SPREAD(UINT32_C(0x55555555)), x >> 1, x << 1);
}

static void lanes_fold(const uint32_t *words, size_t count, uint32_t *min, uint32_t *sum)
{
    V sums = {0};
    V mins = ~(V){0};
    size_t i = 0;
    uint32_t s = 0;
    uint32_t m = UINT32_MAX;
    for (; i + LANES <= count; i += LANES) {
        V v;
        memcpy(&v, words + i, sizeof v);
        V less = (V)(v < mins);
        sums += v;
        mins = CHOOSE(less, v, mins);
    }
    for (int lane = 0; lane < LANES; lane++) {
        s += sums[lane];
        m = mins[lane] < m ? mins[lane] : m;
    }
    for (; i < count; i++) {
        s += words[i];
        m = words[i] < m ? words[i] : m;
    }
    *min = m;
    *sum = s;
}
