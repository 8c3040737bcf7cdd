#include "jobs/nonce/nonce_pick.h"

#include "jobs/nonce/nonce_layout.h"

enum {
    KERNELS_MAX = 8,
    RATE_ROUNDS = 3, /* the fastest counts: others may use the machine meanwhile */
    RATE_VALUES = 64,
    RATE_NS = 15000, /* slices may be short, and kernels differ by a quarter at least */
};

/* One run of the puzzle, from nonce on: kernel against plain code. */
static bool check_run(const struct nonce_kernel *k, const struct nonce_puzzle *p, uint64_t nonce)
{
    enum { VALUES = NONCE_BATCH };
    struct nonce_block second;
    struct nonce_layout layout;
    struct nonce_run run = {.order = p->order};
    uint32_t values[VALUES];
    uint32_t words[VALUES];
    nonce_kernel_second(&second);
    run.second = p->hash == NONCE_SHA256D ? &second : NULL;
    nonce_layout_init(&layout, p, nonce);
    uint64_t base = nonce - nonce / layout.stride % layout.size * layout.stride;
    nonce_layout_set(&layout, base, &run);
    nonce_layout_values(&layout, 0, VALUES, values);
    k->words(&run, values, VALUES, words);
    for (uint32_t v = 0; v < VALUES && v < layout.size; v++) {
        if (words[v] != nonce_puzzle_word(p, base + v * layout.stride, NULL)) {
            return false;
        }
    }
    return true;
}

bool nonce_pick_check(const struct nonce_kernel *k)
{
    static const uint64_t nonces[] = {70000000, 12345678901234567890u};
    static const uint8_t block[SHA256_BLOCK_BYTES] = "The quick brown fox jumps over the lazy dog";
    struct nonce_puzzle p = {.append = NONCE_DECIMAL};
    for (uint32_t len = 0; len < SHA256_BLOCK_BYTES; len++) {
        nonce_puzzle_set_block(&p, (struct pn_bytes){block, len});
        p.order = (enum nonce_order)(len % 3);
        p.hash = len / 3 % 2 == 0 ? NONCE_SHA256D : NONCE_SHA256;
        for (size_t i = 0; i < sizeof nonces / sizeof nonces[0]; i++) {
            if (!check_run(k, &p, nonces[i])) {
                return false;
            }
        }
    }
    return true;
}

double nonce_pick_rate(const struct nonce_kernel *k, nonce_clock *clock)
{
    static const uint32_t words[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct nonce_block second;
    struct nonce_run run = {.second = &second, .order = NONCE_MSB};
    uint32_t values[RATE_VALUES];
    uint32_t out[RATE_VALUES];
    double best = 0;
    nonce_kernel_second(&second);
    nonce_block_init(&run.first, sha256_initial, words, 1u << 5);
    for (uint32_t i = 0; i < RATE_VALUES; i++) {
        values[i] = i;
    }
    for (int round = 0; round < RATE_ROUNDS; round++) {
        uint64_t begin = clock();
        uint64_t end = begin;
        double hashes = 0;
        while (end - begin < RATE_NS) {
            k->words(&run, values, RATE_VALUES, out);
            values[0] = out[0] & 1; /* each pass needs the one before: none can be left out */
            hashes += RATE_VALUES;
            end = clock();
        }
        double rate = hashes * 1e9 / (double)(end - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

const struct nonce_kernel *nonce_pick(nonce_clock *clock, const struct nonce_kernel **wrong)
{
    double rates[KERNELS_MAX] = {0};
    const struct nonce_kernel *k;
    *wrong = NULL;
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL && i < KERNELS_MAX; i++) {
        rates[i] = k->words != NULL && k->usable() ? nonce_pick_rate(k, clock) : 0;
    }
    for (;;) { /* only the one that will be used needs the check, which takes longer */
        size_t best = 0;
        for (size_t i = 1; i < KERNELS_MAX; i++) {
            best = rates[i] > rates[best] ? i : best;
        }
        k = rates[best] > 0 ? nonce_kernel_at(best) : &nonce_kernel_portable;
        if (rates[best] <= 0 || nonce_pick_check(k)) {
            return k;
        }
        *wrong = k;
        rates[best] = 0;
    }
}
