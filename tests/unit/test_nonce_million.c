/*
 * A million random (block, nonce, options) per kernel against the plain code, and that against
 * OpenSSL now and then. Each case has its own block, options and nonce; the batch around the nonce
 * is compared too. Fewer where a sanitizer makes the plain code slow.
 */
#include "tests/unit/unit.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "common/random.h"
#include "jobs/nonce/nonce_layout.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static uint64_t case_count = 200000;
#else
static uint64_t case_count = 1000000; /* or the program's argument */
#endif

enum {
    LONG_BLOCK_BYTES = 1024 * 1024,
    SHORT_BLOCK_BYTES = 200,
    LONG_EVERY = 4096, /* hashing a long block takes milliseconds */
    OPENSSL_EVERY = 16,
    KERNELS_MAX = 8,
};

static uint8_t text[LONG_BLOCK_BYTES + NONCE_TEXT_BYTES_MAX + NONCE_SUFFIX_BYTES_MAX];
static const struct nonce_kernel *usable[KERNELS_MAX];
static size_t usable_count;
static uint64_t compared; /* words of kernels */

/* Sometimes beside a border of digits or of the encoding. */
static uint64_t random_nonce(struct random *r, uint64_t max)
{
    uint64_t nonce = random_u64(r) >> random_below(r, 64);
    if (random_below(r, 8) == 0) {
        nonce = 10;
        for (uint64_t i = random_below(r, 19); i > 0; i--) {
            nonce *= 10;
        }
        nonce -= random_below(r, 20);
    } else if (random_below(r, 8) == 0) {
        nonce = (UINT64_C(1) << random_below(r, 64)) - random_below(r, 20);
    }
    return nonce & max;
}

static size_t random_puzzle(struct random *r, uint64_t number, struct nonce_puzzle *p)
{
    const uint64_t most = number % LONG_EVERY == 0 ? LONG_BLOCK_BYTES : SHORT_BLOCK_BYTES;
    const size_t len = (size_t)random_below(r, most + 1);
    *p = (struct nonce_puzzle){.append = (enum nonce_append)random_below(r, 6),
                               .hash = (enum nonce_hash)random_below(r, 2),
                               .order = (enum nonce_order)random_below(r, 3)};
    for (size_t i = 0; i < len && i < SHORT_BLOCK_BYTES; i += 8) { /* the rest stays of before */
        const uint64_t bits = random_u64(r);
        memcpy(text + i, &bits, sizeof bits);
    }
    nonce_puzzle_set_block(p, (struct pn_bytes){text, len});
    if (random_below(r, 2) == 0) {
        const uint64_t longest = number % 64 == 0 ? NONCE_SUFFIX_BYTES_MAX : 130;
        p->suffix_len = (uint32_t)random_below(r, longest + 1);
        memcpy(p->suffix, text, p->suffix_len);
    }
    return len;
}

static uint32_t word_by_openssl(const struct nonce_puzzle *p, size_t len, uint64_t nonce)
{
    uint8_t suffix[NONCE_SUFFIX_BYTES_MAX];
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    memcpy(suffix, p->suffix, p->suffix_len); /* of the block, which the nonce may overwrite */
    uint8_t kept[NONCE_TEXT_BYTES_MAX + NONCE_SUFFIX_BYTES_MAX];
    memcpy(kept, text + len, sizeof kept);
    const size_t n = nonce_puzzle_encode(p->append, nonce, text + len);
    memcpy(text + len + n, suffix, p->suffix_len);
    (void)SHA256(text, len + n + p->suffix_len, digest);
    memcpy(text + len, kept, sizeof kept);
    if (p->hash == NONCE_SHA256D) {
        (void)SHA256(digest, sizeof digest, digest);
    }
    nonce_puzzle_key(p, digest, key);
    return (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
}

/* The batch of the run around the nonce, by every kernel. */
static void compare(const struct nonce_puzzle *p, uint64_t nonce, uint64_t number)
{
    static struct nonce_layout layout;
    static struct nonce_block second;
    struct nonce_run run = {.order = p->order};
    uint32_t values[NONCE_BATCH];
    uint32_t words[KERNELS_MAX][NONCE_BATCH];
    nonce_kernel_second(&second);
    run.second = p->hash == NONCE_SHA256D ? &second : NULL;
    nonce_layout_init(&layout, p, nonce);
    const uint64_t value = nonce / layout.stride % layout.size;
    const uint64_t from = value - value % NONCE_BATCH;
    nonce_layout_set(&layout, nonce, &run);
    nonce_layout_values(&layout, (uint32_t)from, NONCE_BATCH, values);
    const uint32_t want = nonce_puzzle_word(p, nonce, NULL);
    for (size_t k = 0; k < usable_count; k++) {
        usable[k]->words(&run, values, NONCE_BATCH, words[k]);
        if (words[k][value - from] != want || memcmp(words[k], words[0], sizeof words[k]) != 0) {
            fail_msg("kernel %s differs: case %" PRIu64 ", nonce %" PRIu64
                     ", append %d, hash %d, order %d, tail %u, suffix %u",
                     usable[k]->name, number, nonce, (int)p->append, (int)p->hash, (int)p->order,
                     p->tail_len, p->suffix_len);
        }
        compared += NONCE_BATCH;
    }
}

static void a_million_cases(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 20261121);
    for (uint64_t i = 0; i < case_count; i++) {
        struct nonce_puzzle p;
        const size_t len = random_puzzle(&r, i, &p);
        const uint64_t nonce = random_nonce(&r, nonce_puzzle_nonce_max(p.append));
        compare(&p, nonce, i);
        if (i % OPENSSL_EVERY == 0) {
            assert_int_equal(nonce_puzzle_word(&p, nonce, NULL), word_by_openssl(&p, len, nonce));
        }
    }
    (void)printf("%" PRIu64 " cases for each of %zu kernels, %" PRIu64 " words\n", case_count,
                 usable_count, compared);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        case_count = strtoull(argv[1], NULL, 10);
    }
    const struct nonce_kernel *k;
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL; i++) {
        if (k->words != NULL && k->usable()) {
            usable[usable_count++] = k;
        }
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_million_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
