#include "jobs/nonce/nonce_block.h"

#include <assert.h>

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }

static uint32_t sum0(uint32_t a) { return ror(a, 2) ^ ror(a, 13) ^ ror(a, 22); }

static uint32_t sum1(uint32_t e) { return ror(e, 6) ^ ror(e, 11) ^ ror(e, 25); }

static uint32_t choose(uint32_t e, uint32_t f, uint32_t g) { return (e & f) ^ (~e & g); }

static uint32_t majority(uint32_t a, uint32_t b, uint32_t c) { return (a & b) ^ (a & c) ^ (b & c); }

/* One round; x is the constant of the round and its word. */
static void step(uint32_t s[SHA256_WORDS], uint32_t x)
{
    uint32_t t1 = s[7] + sum1(s[4]) + choose(s[4], s[5], s[6]) + x;
    uint32_t t2 = sum0(s[0]) + majority(s[0], s[1], s[2]);
    memmove(s + 1, s, 7 * sizeof s[0]);
    s[4] += t1;
    s[0] = t1 + t2;
}

/* The first word from which on all of the schedule varies: the sixteen before it do. */
static int first_without_constants(uint64_t varies)
{
    int t = 16;
    while (t < SHA256_ROUNDS && (varies >> (t - 16) & 0xffff) != 0xffff) {
        t++;
    }
    return t;
}

/*
 * Constant parts of the schedule; word t of 16 and on, with 0 for what varies. Of 48 words only 15
 * to 20 have any, and a run of a thousand hashes notices the others.
 */
static void expand(struct nonce_block *b, uint64_t varies, int end)
{
    uint32_t *w = b->schedule;
    memset(w + end, 0, (size_t)(SHA256_ROUNDS - end) * sizeof *w);
    for (int t = 16; t < end; t++) {
        uint32_t w2 = varies >> (t - 2) & 1 ? 0 : w[t - 2];
        uint32_t w7 = varies >> (t - 7) & 1 ? 0 : w[t - 7];
        uint32_t w15 = varies >> (t - 15) & 1 ? 0 : w[t - 15];
        uint32_t w16 = varies >> (t - 16) & 1 ? 0 : w[t - 16];
        w[t] = (ror(w2, 17) ^ ror(w2, 19) ^ w2 >> 10) + w7 +
               (ror(w15, 7) ^ ror(w15, 18) ^ w15 >> 3) + w16;
    }
}

void nonce_block_init(struct nonce_block *b, const uint32_t mid[SHA256_WORDS],
                      const uint32_t words[16], uint32_t mask)
{
    assert(mask != 0 && mask <= UINT16_MAX);
    uint64_t varies = nonce_block_varies(mask);
    int end = first_without_constants(varies);
    uint32_t *s = b->state;
    memcpy(b->mid, mid, sizeof b->mid);
    memcpy(b->words, words, sizeof b->words);
    memcpy(b->schedule, words, sizeof b->words);
    expand(b, varies, end);
    memcpy(s, mid, sizeof b->state);
    b->start = 0;
    while ((mask >> b->start & 1) == 0) {
        step(s, sha256_k[b->start] + words[b->start]);
        b->start++;
    }
    uint32_t t1 = s[7] + sum1(s[4]) + choose(s[4], s[5], s[6]) + sha256_k[b->start];
    b->start_e = s[3] + t1;
    b->start_a = t1 + sum0(s[0]) + majority(s[0], s[1], s[2]);
    memcpy(b->round, sha256_k, sizeof b->round);
    for (int t = 0; t < end; t++) {
        b->round[t] += varies >> t & 1 ? 0 : b->schedule[t];
    }
    /* In the three rounds behind start, h is still a constant: g, f, e of before. */
    for (uint32_t i = 1; i <= 3; i++) {
        b->round[b->start + i] += s[7 - i];
    }
}

void nonce_block_init_fixed(struct nonce_block *b, const uint32_t words[16])
{
    memcpy(b->words, words, sizeof b->words);
    memcpy(b->schedule, words, sizeof b->words);
    expand(b, 0, SHA256_ROUNDS);
    for (int t = 0; t < SHA256_ROUNDS; t++) {
        b->round[t] = sha256_k[t] + b->schedule[t];
    }
}
