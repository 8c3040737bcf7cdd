/*
 * nonce_lanes -- the kernel that hashes in lanes, once for every width.
 *
 * A file includes this after defining what nonce_vector.h asks for, and gets lanes_words and
 * lanes_fold, which make a nonce_kernel.
 * Straight-line code by macros: loops over vectors in arrays would not stay in registers. There is
 * a function per position of the varying word, because what can be left out follows from it.
 */
#include "jobs/nonce/nonce_vector.h"

/* Gcc's reassociation lengthens the chains of additions that stand short below: 97 cycles a hash
 * instead of 94 with AVX-512. */
#if !defined(__clang__)
#pragma GCC optimize("no-tree-reassoc")
#endif

#define SUM0(x) XOR3(ROR(x, 2), ROR(x, 13), ROR(x, 22))
#define SUM1(x) XOR3(ROR(x, 6), ROR(x, 11), ROR(x, 25))
#define SIGMA0(x) XOR3(ROR(x, 7), ROR(x, 18), (x) >> 3)
#define SIGMA1(x) XOR3(ROR(x, 17), ROR(x, 19), (x) >> 10)

/* Bit t, folded by the compiler; the 63 keeps dead branches (t < 16) from shifting by less than 0.
 */
#define HAS(bits, t) ((bits) >> ((t)&63) & 1)

/* Schedule word t in its place w[t % 16]: the terms that vary, and one constant for the others. */
#define EXPAND(t)                                                                                  \
    if ((t) >= 16 && HAS(varies, t)) {                                                             \
        V x;                                                                                       \
        bool all = HAS(varies, (t)-2) && HAS(varies, (t)-7) && HAS(varies, (t)-15) &&              \
                   HAS(varies, (t)-16);                                                            \
        if (HAS(varies, (t)-16)) {                                                                 \
            x = all ? w[(t) % 16] : w[(t) % 16] + SPREAD(b->schedule[t]);                          \
        } else {                                                                                   \
            x = SPREAD(b->schedule[t]);                                                            \
        }                                                                                          \
        x = HAS(varies, (t)-7) ? x + w[((t)-7) % 16] : x;                                          \
        x = HAS(varies, (t)-15) ? x + SIGMA0(w[((t)-15) % 16]) : x;                                \
        x = HAS(varies, (t)-2) ? x + SIGMA1(w[((t)-2) % 16]) : x;                                  \
        w[(t) % 16] = x;                                                                           \
    }

/* Round t of a block whose first varying word is `start`; rounds from `end` on are not needed. */
#define ROUND(a, b_, c, d, e, f, g, h, t)                                                          \
    if ((t) == start) {                                                                            \
        (d) = w[(t) % 16] + SPREAD(b->start_e);                                                    \
        (h) = w[(t) % 16] + SPREAD(b->start_a);                                                    \
    } else if ((t) > start && (t) < end) {                                                         \
        EXPAND(t)                                                                                  \
        V x = (t) <= start + 3 ? SPREAD(b->round[t]) : (h) + SPREAD(b->round[t]);                  \
        x = HAS(varies, t) ? x + w[(t) % 16] : x;                                                  \
        x = x + CHOOSE(e, f, g) + SUM1(e);                                                         \
        (d) = (d) + x;                                                                             \
        (h) = x + MAJORITY(a, b_, c) + SUM0(a);                                                    \
    }

#define ROUNDS8(t)                                                                                 \
    ROUND(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], (t))                                     \
    ROUND(s[7], s[0], s[1], s[2], s[3], s[4], s[5], s[6], (t) + 1)                                 \
    ROUND(s[6], s[7], s[0], s[1], s[2], s[3], s[4], s[5], (t) + 2)                                 \
    ROUND(s[5], s[6], s[7], s[0], s[1], s[2], s[3], s[4], (t) + 3)                                 \
    ROUND(s[4], s[5], s[6], s[7], s[0], s[1], s[2], s[3], (t) + 4)                                 \
    ROUND(s[3], s[4], s[5], s[6], s[7], s[0], s[1], s[2], (t) + 5)                                 \
    ROUND(s[2], s[3], s[4], s[5], s[6], s[7], s[0], s[1], (t) + 6)                                 \
    ROUND(s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[0], (t) + 7)

/*
 * The rounds of a block whose words of mask vary and stand in w; s gets a .. h. start (the lowest
 * bit of mask), mask and end are constants at each call; with end 61 only h is right, which is what
 * three more rounds would have left there.
 */
/* NOLINTNEXTLINE(readability-function-size): straight-line code is the point */
static inline __attribute__((always_inline)) void rounds(const struct nonce_block *b, V w[16],
                                                         V s[SHA256_WORDS], const int start,
                                                         const uint32_t mask, const int end)
{
    const uint64_t varies = nonce_block_varies(mask);
    for (int i = 0; i < SHA256_WORDS; i++) { /* the names that ROUND start will use */
        s[(i + 64 - start) % 8] = SPREAD(b->state[i]);
    }
    ROUNDS8(0)
    ROUNDS8(8)
    ROUNDS8(16)
    ROUNDS8(24)
    ROUNDS8(32)
    ROUNDS8(40)
    ROUNDS8(48)
    ROUNDS8(56)
}

struct lanes {
    V s[SHA256_WORDS];
};

/* The block with the varying word at J. A call, so that its constants are loaded where used. */
#define FIRST(J)                                                                                   \
    static __attribute__((noinline)) void first_##J(const struct nonce_block *b, V value,          \
                                                    struct lanes *out)                             \
    {                                                                                              \
        V w[16];                                                                                   \
        V s[SHA256_WORDS];                                                                         \
        w[J] = value + SPREAD(b->schedule[J]);                                                     \
        rounds(b, w, s, J, 1u << (J), SHA256_ROUNDS);                                              \
        for (int i = 0; i < SHA256_WORDS; i++) {                                                   \
            out->s[i] = s[i] + SPREAD(b->mid[i]);                                                  \
        }                                                                                          \
    }

/* The same when the digest's first word is all that is wanted. */
#define ONCE(J)                                                                                    \
    static __attribute__((noinline)) V once_##J(const struct nonce_block *b, V value)              \
    {                                                                                              \
        V w[16];                                                                                   \
        V s[SHA256_WORDS];                                                                         \
        w[J] = value + SPREAD(b->schedule[J]);                                                     \
        rounds(b, w, s, J, 1u << (J), SHA256_ROUNDS);                                              \
        return s[0] + SPREAD(b->mid[0]);                                                           \
    }

#define EACH_WORD(X)                                                                               \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

EACH_WORD(FIRST)
EACH_WORD(ONCE)

/* A block whose words are all constants, behind one that varies. */
static __attribute__((noinline)) void fixed_block(const struct nonce_block *b, struct lanes *io)
{
    struct lanes s = *io;
    for (int t = 0; t < SHA256_ROUNDS; t++) {
        V x = s.s[7] + SPREAD(b->round[t]) + CHOOSE(s.s[4], s.s[5], s.s[6]) + SUM1(s.s[4]);
        V y = MAJORITY(s.s[0], s.s[1], s.s[2]) + SUM0(s.s[0]);
        s.s[7] = s.s[6];
        s.s[6] = s.s[5];
        s.s[5] = s.s[4];
        s.s[4] = s.s[3] + x;
        s.s[3] = s.s[2];
        s.s[2] = s.s[1];
        s.s[1] = s.s[0];
        s.s[0] = x + y;
    }
    for (int i = 0; i < SHA256_WORDS; i++) {
        io->s[i] += s.s[i];
    }
}

/* The second hash: eight words vary, of the result one word is wanted. */
static __attribute__((noinline)) V second_first_word(const struct nonce_block *b,
                                                     const struct lanes *in)
{
    V w[16];
    V s[SHA256_WORDS];
    for (int i = 0; i < SHA256_WORDS; i++) {
        w[i] = in->s[i];
    }
    rounds(b, w, s, 0, 0xff, SHA256_ROUNDS);
    return s[0] + SPREAD(b->mid[0]);
}

static __attribute__((noinline)) V second_last_word(const struct nonce_block *b,
                                                    const struct lanes *in)
{
    V w[16];
    V s[SHA256_WORDS];
    for (int i = 0; i < SHA256_WORDS; i++) {
        w[i] = in->s[i];
    }
    rounds(b, w, s, 0, 0xff, SHA256_ROUNDS - 3);
    return s[7] + SPREAD(b->mid[7]);
}

/* The whole way of a value: its block, those behind it, the second hash. */
static inline V whole(const struct nonce_run *run,
                      void (*first)(const struct nonce_block *, V, struct lanes *), V v)
{
    struct lanes l;
    first(&run->first, v, &l);
    for (uint32_t k = 0; k < run->more_count; k++) {
        fixed_block(&run->more[k], &l);
    }
    if (run->order == NONCE_REVERSED) {
        return bytes_reversed(run->second != NULL ? second_last_word(run->second, &l) : l.s[7]);
    }
    return run->second != NULL ? second_first_word(run->second, &l) : l.s[0];
}

static void lanes_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                        uint32_t *out)
{
#define NAME_FIRST(J) first_##J,
#define NAME_ONCE(J) once_##J,
    static void (*const first[16])(const struct nonce_block *, V,
                                   struct lanes *) = {EACH_WORD(NAME_FIRST)};
    static V (*const once[16])(const struct nonce_block *, V) = {EACH_WORD(NAME_ONCE)};
    const uint32_t word = run->first.start;
    const bool only_first_word =
        run->second == NULL && run->more_count == 0 && run->order != NONCE_REVERSED;
    for (size_t i = 0; i < count; i += LANES) {
        V v;
        memcpy(&v, values + i, sizeof v);
        v = only_first_word ? once[word](&run->first, v) : whole(run, first[word], v);
        v = run->order == NONCE_LSB ? bits_reversed(v) : v;
        memcpy(out + i, &v, sizeof v);
    }
}
