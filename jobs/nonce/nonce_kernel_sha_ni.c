/* Two hashes at a time with the SHA instructions, two rounds each; one alone would wait for itself.
 */
#include "jobs/nonce/nonce_cpu.h"
#include "jobs/nonce/nonce_kernel.h"

#if defined(__SHA__) && defined(__SSE4_1__)
#include <immintrin.h>

typedef uint32_t V __attribute__((vector_size(16)));
enum { LANES = 4 };

#include "jobs/nonce/nonce_vector.h" /* the orders of bits, and lanes_fold */

/* A hash under way: its state as the instructions want it, and four schedule words a register. */
struct stream {
    __m128i abef;
    __m128i cdgh;
    __m128i w[4];
};

static inline __m128i load(const uint32_t *from) { return _mm_loadu_si128((const __m128i *)from); }

static inline void set_state(struct stream *s, const uint32_t h[SHA256_WORDS])
{
    __m128i dcba = _mm_shuffle_epi32(load(h), 0x1b); /* a in the highest place */
    __m128i hgfe = _mm_shuffle_epi32(load(h + 4), 0x1b);
    s->abef = _mm_unpackhi_epi64(hgfe, dcba);
    s->cdgh = _mm_unpacklo_epi64(hgfe, dcba);
}

/* Words 16 + 4i and on, in the place of words 4i and on. */
#define EXPAND4(s, i)                                                                              \
    do {                                                                                           \
        __m128i ahead = _mm_alignr_epi8((s)->w[((i) + 3) % 4], (s)->w[((i) + 2) % 4], 4);          \
        __m128i sum =                                                                              \
            _mm_add_epi32(_mm_sha256msg1_epu32((s)->w[(i) % 4], (s)->w[((i) + 1) % 4]), ahead);    \
        (s)->w[(i) % 4] = _mm_sha256msg2_epu32(sum, (s)->w[((i) + 3) % 4]);                        \
    } while (0)

/* Four rounds of both streams; the schedule words sixteen ahead are made beside them. */
#define GROUP(i)                                                                                   \
    do {                                                                                           \
        __m128i x = _mm_add_epi32(p->w[i], load(k + (size_t)4 * (i)));                             \
        __m128i y = _mm_add_epi32(q->w[i], load(k + (size_t)4 * (i)));                             \
        p->cdgh = _mm_sha256rnds2_epu32(p->cdgh, p->abef, x);                                      \
        q->cdgh = _mm_sha256rnds2_epu32(q->cdgh, q->abef, y);                                      \
        if (expand) {                                                                              \
            EXPAND4(p, i);                                                                         \
            EXPAND4(q, i);                                                                         \
        }                                                                                          \
        p->abef = _mm_sha256rnds2_epu32(p->abef, p->cdgh, _mm_shuffle_epi32(x, 0x0e));             \
        q->abef = _mm_sha256rnds2_epu32(q->abef, q->cdgh, _mm_shuffle_epi32(y, 0x0e));             \
    } while (0)

static inline __attribute__((always_inline)) void
sixteen_rounds(struct stream *p, struct stream *q, const uint32_t *k, const bool expand)
{
    GROUP(0);
    GROUP(1);
    GROUP(2);
    GROUP(3);
}

/* On copies, that they stay in registers: in memory each round would wait for the store before. */
static inline __attribute__((always_inline)) void sixty_four_rounds(struct stream *first,
                                                                    struct stream *second)
{
    struct stream p = *first;
    struct stream q = *second;
    sixteen_rounds(&p, &q, sha256_k, true);
    sixteen_rounds(&p, &q, sha256_k + 16, true);
    sixteen_rounds(&p, &q, sha256_k + 32, true);
    sixteen_rounds(&p, &q, sha256_k + 48, false);
    *first = p;
    *second = q;
}

/* The digest's words, in order: abcd to w[0], efgh to w[1], as the next block's first words. */
static inline void add_state(struct stream *s, __m128i abef, __m128i cdgh)
{
    abef = _mm_add_epi32(s->abef, abef);
    cdgh = _mm_add_epi32(s->cdgh, cdgh);
    s->abef = abef;
    s->cdgh = cdgh;
    s->w[0] = _mm_shuffle_epi32(_mm_unpackhi_epi64(cdgh, abef), 0x1b);
    s->w[1] = _mm_shuffle_epi32(_mm_unpacklo_epi64(cdgh, abef), 0x1b);
}

/* Both streams through one block that is in their w, from one state or from their own. */
static inline void block(struct stream *p, struct stream *q)
{
    const __m128i p_abef = p->abef, p_cdgh = p->cdgh, q_abef = q->abef, q_cdgh = q->cdgh;
    sixty_four_rounds(p, q);
    add_state(p, p_abef, p_cdgh);
    add_state(q, q_abef, q_cdgh);
}

static inline void set_words(struct stream *s, const uint32_t words[16])
{
    for (size_t i = 0; i < 4; i++) {
        s->w[i] = load(words + (size_t)4 * i);
    }
}

/* The varying block: value goes to the one place that lane, all ones there, lets through. */
static inline void set_varying(struct stream *s, const uint32_t words[16], const __m128i lane[4],
                               uint32_t value)
{
    const __m128i v = _mm_set1_epi32((int)value);
    for (size_t i = 0; i < 4; i++) {
        s->w[i] = _mm_add_epi32(load(words + (size_t)4 * i), _mm_and_si128(v, lane[i]));
    }
}

static inline void two(const struct nonce_run *run, const __m128i lane[4], const uint32_t values[2],
                       uint32_t out[2])
{
    struct stream p;
    struct stream q;
    set_state(&p, run->first.mid);
    q.abef = p.abef;
    q.cdgh = p.cdgh;
    set_varying(&p, run->first.words, lane, values[0]);
    set_varying(&q, run->first.words, lane, values[1]);
    block(&p, &q);
    for (uint32_t k = 0; k < run->more_count; k++) {
        set_words(&p, run->more[k].words);
        set_words(&q, run->more[k].words);
        block(&p, &q);
    }
    if (run->second != NULL) {
        p.w[2] = q.w[2] = load(run->second->words + 8);
        p.w[3] = q.w[3] = load(run->second->words + 12);
        set_state(&p, run->second->mid);
        q.abef = p.abef;
        q.cdgh = p.cdgh;
        block(&p, &q);
    }
    const bool last = run->order == NONCE_REVERSED;
    out[0] = (uint32_t)(last ? _mm_extract_epi32(p.w[1], 3) : _mm_extract_epi32(p.w[0], 0));
    out[1] = (uint32_t)(last ? _mm_extract_epi32(q.w[1], 3) : _mm_extract_epi32(q.w[0], 0));
}

static void sha_ni_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                         uint32_t *out)
{
    uint32_t ones[16] = {0};
    ones[run->first.start] = UINT32_MAX;
    const __m128i lane[4] = {load(ones), load(ones + 4), load(ones + 8), load(ones + 12)};
    for (size_t i = 0; i < count; i += LANES) {
        V v;
        two(run, lane, values + i, out + i);
        two(run, lane, values + i + 2, out + i + 2);
        if (run->order != NONCE_MSB) {
            memcpy(&v, out + i, sizeof v);
            v = run->order == NONCE_LSB ? bits_reversed(v) : bytes_reversed(v);
            memcpy(out + i, &v, sizeof v);
        }
    }
}

#define WORDS sha_ni_words
#define FOLD lanes_fold
#else
#define WORDS NULL
#define FOLD NULL
#endif

const struct nonce_kernel nonce_kernel_sha_ni = {"sha_ni", "sha_ni", nonce_cpu_sha_ni, WORDS, FOLD};
