/* Two hashes at a time with ARMv8's SHA-2 instructions, four rounds each. */
#include "jobs/nonce/nonce_cpu.h"
#include "jobs/nonce/nonce_kernel.h"

#if defined(__ARM_FEATURE_SHA2) || defined(__ARM_FEATURE_CRYPTO)
#include <arm_neon.h>

typedef uint32_t V __attribute__((vector_size(16)));
enum { LANES = 4 };

#include "jobs/nonce/nonce_vector.h" /* the orders of bits, and lanes_fold */

/* A hash under way; its state before the block is added at the end. */
struct stream {
    uint32x4_t abcd;
    uint32x4_t efgh;
    uint32x4_t w[4];
};

/* Four rounds of one stream; up to the twelfth group the words sixteen ahead replace their own. */
static inline void group(struct stream *s, int i)
{
    uint32x4_t x = vaddq_u32(s->w[i % 4], vld1q_u32(sha256_k + 4 * (size_t)i));
    uint32x4_t abcd = s->abcd;
    if (i < 12) {
        s->w[i % 4] = vsha256su1q_u32(vsha256su0q_u32(s->w[i % 4], s->w[(i + 1) % 4]),
                                      s->w[(i + 2) % 4], s->w[(i + 3) % 4]);
    }
    s->abcd = vsha256hq_u32(s->abcd, s->efgh, x);
    s->efgh = vsha256h2q_u32(s->efgh, abcd, x);
}

/* Both streams through the block in their w; the digests become the next block's first words. */
static inline void block(struct stream *p, struct stream *q)
{
    const struct stream p_before = *p;
    const struct stream q_before = *q;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        group(p, i);
        group(q, i);
    }
    p->w[0] = p->abcd = vaddq_u32(p->abcd, p_before.abcd);
    p->w[1] = p->efgh = vaddq_u32(p->efgh, p_before.efgh);
    q->w[0] = q->abcd = vaddq_u32(q->abcd, q_before.abcd);
    q->w[1] = q->efgh = vaddq_u32(q->efgh, q_before.efgh);
}

static inline void set_words(struct stream *s, const uint32_t words[16])
{
    for (size_t i = 0; i < 4; i++) {
        s->w[i] = vld1q_u32(words + 4 * i);
    }
}

static inline void set_state(struct stream *s, const uint32_t h[SHA256_WORDS])
{
    s->abcd = vld1q_u32(h);
    s->efgh = vld1q_u32(h + 4);
}

static void two(const struct nonce_run *run, const uint32_t values[2], uint32_t out[2])
{
    struct stream p;
    struct stream q;
    uint32_t words[2][16];
    memcpy(words[0], run->first.words, sizeof words[0]);
    memcpy(words[1], run->first.words, sizeof words[1]);
    words[0][run->first.start] += values[0];
    words[1][run->first.start] += values[1];
    set_state(&p, run->first.mid);
    set_state(&q, run->first.mid);
    set_words(&p, words[0]);
    set_words(&q, words[1]);
    block(&p, &q);
    for (uint32_t k = 0; k < run->more_count; k++) {
        set_words(&p, run->more[k].words);
        set_words(&q, run->more[k].words);
        block(&p, &q);
    }
    if (run->second != NULL) {
        p.w[2] = q.w[2] = vld1q_u32(run->second->words + 8);
        p.w[3] = q.w[3] = vld1q_u32(run->second->words + 12);
        set_state(&p, run->second->mid);
        set_state(&q, run->second->mid);
        block(&p, &q);
    }
    const bool last = run->order == NONCE_REVERSED;
    out[0] = last ? vgetq_lane_u32(p.efgh, 3) : vgetq_lane_u32(p.abcd, 0);
    out[1] = last ? vgetq_lane_u32(q.efgh, 3) : vgetq_lane_u32(q.abcd, 0);
}

static void armv8_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                        uint32_t *out)
{
    for (size_t i = 0; i < count; i += LANES) {
        V v;
        two(run, values + i, out + i);
        two(run, values + i + 2, out + i + 2);
        if (run->order != NONCE_MSB) {
            memcpy(&v, out + i, sizeof v);
            v = run->order == NONCE_LSB ? bits_reversed(v) : bytes_reversed(v);
            memcpy(out + i, &v, sizeof v);
        }
    }
}

#define WORDS armv8_words
#define FOLD lanes_fold
#else
#define WORDS NULL
#define FOLD NULL
#endif

const struct nonce_kernel nonce_kernel_armv8 = {"armv8", "sha2", nonce_cpu_armv8_sha2, WORDS, FOLD};
