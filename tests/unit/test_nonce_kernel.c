/* Every kernel this processor can run against the plain code: whole reports, over all options. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/random.h"
#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_layout.h"
#include "jobs/nonce/nonce_pick.h"
#include "jobs/nonce/nonce_search.h"

static struct nonce_report *plain; /* what must come out */
static struct nonce_report *fast;
static uint8_t plain_bytes[NONCE_REPORT_BYTES_MAX];
static uint8_t fast_bytes[NONCE_REPORT_BYTES_MAX];

static uint64_t case_count = 400; /* random searches; more by the program's argument */

static bool usable(const struct nonce_kernel *k) { return k->words != NULL && k->usable(); }

/* Searches a range with every kernel; returns how many nonces the plain code searched. */
static uint64_t compare(const struct nonce_puzzle *p, struct nonce_range range, uint64_t seed)
{
    assert_int_equal(nonce_search(p, range, NULL, NULL, plain), PN_OK);
    size_t len = nonce_report_write(plain, plain_bytes);
    const struct nonce_kernel *k;
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL; i++) {
        if (!usable(k)) {
            continue;
        }
        assert_int_equal(nonce_search(p, range, k, NULL, fast), PN_OK);
        if (nonce_report_write(fast, fast_bytes) != len ||
            memcmp(plain_bytes, fast_bytes, len) != 0) {
            fail_msg("kernel %s differs: seed %lu, append %d, hash %d, order %d, tail %u, suffix "
                     "%u, from %lu to %lu",
                     k->name, (unsigned long)seed, (int)p->append, (int)p->hash, (int)p->order,
                     p->tail_len, p->suffix_len, (unsigned long)range.first,
                     (unsigned long)range.last);
        }
    }
    return range.last - range.first + 1;
}

static struct nonce_puzzle random_puzzle(struct random *r)
{
    uint8_t block[200];
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)random_u64(r);
    }
    struct nonce_puzzle p = {.append = (enum nonce_append)random_below(r, 6),
                             .hash = (enum nonce_hash)random_below(r, 2),
                             .order = (enum nonce_order)random_below(r, 3),
                             .goal = (enum nonce_goal)random_below(r, 3)};
    nonce_puzzle_set_block(&p, (struct pn_bytes){block, (size_t)random_below(r, sizeof block)});
    p.suffix_len = random_below(r, 2) == 0 ? 0 : (uint32_t)random_below(r, 150);
    memcpy(p.suffix, block, p.suffix_len);
    nonce_puzzle_set_zeros(&p, (uint32_t)random_below(r, 20));
    return p;
}

static void any_puzzle_any_range(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= case_count; seed++) {
        struct random r;
        random_seed(&r, seed);
        struct nonce_puzzle p = random_puzzle(&r);
        uint64_t max = nonce_puzzle_nonce_max(p.append);
        struct nonce_range range;
        range.first = (random_u64(&r) >> random_below(&r, 64)) & max;
        uint64_t count = 1 + random_below(&r, random_below(&r, 4) == 0 ? 5000 : 700);
        range.last = max - range.first < count ? max : range.first + count - 1;
        (void)compare(&p, range, seed);
    }
}

static void borders(void **state)
{
    (void)state;
    static const uint64_t at[] = {0,         9,       99,    999,      9999,       99999,
                                  999999,    9999999, 65535, 16777215, 4294967295, 999999999999,
                                  UINT64_MAX};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        for (uint64_t seed = 1; seed <= 12; seed++) {
            struct random r;
            random_seed(&r, seed * 1000 + i);
            struct nonce_puzzle p = random_puzzle(&r);
            p.append = (enum nonce_append)(seed % 6);
            uint64_t max = nonce_puzzle_nonce_max(p.append);
            struct nonce_range range = {at[i] > 150 ? at[i] - 150 : 0, at[i]};
            range.last = max - range.last < 150 ? max : range.last + 150;
            if (at[i] <= max) {
                (void)compare(&p, range, seed);
            }
        }
    }
}

/* Longer ranges, so that runs, chunks and windows are crossed in every way. */
static void across_runs_and_windows(void **state)
{
    (void)state;
    static const struct {
        uint32_t tail; /* decides which word holds the last digits */
        uint64_t first;
        uint64_t count;
        enum nonce_goal goal;
        uint32_t bits;
    } cases[] = {
        {14, 99990000, 25000, NONCE_ALL, 12},  {15, 123450000, 25000, NONCE_FIRST, 13},
        {12, 10000000, 25000, NONCE_ALL, 9},   {13, 987654321, 20000, NONCE_LOWEST, 12},
        {50, 99995000, 12000, NONCE_ALL, 12},  {58, 4000000000, 12000, NONCE_ALL, 12},
        {62, 4000000000, 12000, NONCE_ALL, 5},
    };
    uint8_t block[64];
    memset(block, 'b', sizeof block);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nonce_puzzle p = {.goal = cases[i].goal};
        nonce_puzzle_set_block(&p, (struct pn_bytes){block, cases[i].tail});
        nonce_puzzle_set_zeros(&p, cases[i].bits);
        (void)compare(&p, (struct nonce_range){cases[i].first, cases[i].first + cases[i].count - 1},
                      i);
    }
}

/* More hits than a report lists: the lowest are kept, all are counted. */
static void many_hits(void **state)
{
    (void)state;
    struct nonce_puzzle p = {.goal = NONCE_ALL};
    nonce_puzzle_set_block(&p, pn_bytes_str("hits"));
    nonce_puzzle_set_zeros(&p, 0);
    (void)compare(&p, (struct nonce_range){95000, 95000 + 3 * NONCE_HITS_MAX}, 0);
    assert_int_equal(fast->hit_total, 3 * NONCE_HITS_MAX + 1);
    assert_int_equal(fast->hit_count, NONCE_HITS_MAX);
}

static void runs_are_long_enough(void **state)
{
    (void)state;
    for (uint32_t tail = 0; tail < 64; tail++) {
        uint8_t block[64] = {0};
        struct nonce_layout l;
        struct nonce_puzzle p = {.append = NONCE_DECIMAL};
        nonce_puzzle_set_block(&p, (struct pn_bytes){block, tail});
        for (uint64_t nonce = 1000000; nonce < 10000000000000; nonce *= 10) {
            nonce_layout_init(&l, &p, nonce);
            assert_true(l.size == 1000 || l.size == 10000);
            assert_true(l.stride <= 100);
        }
        assert_true(nonce_layout_last(&p, 0) == 9);
        assert_true(nonce_layout_last(&p, 10) == 99);
        assert_true(nonce_layout_last(&p, 10000000000000000000u) == UINT64_MAX);
    }
}

static void the_check_passes_right_kernels_only(void **state)
{
    (void)state;
    const struct nonce_kernel *k;
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL; i++) {
        assert_true(!usable(k) || nonce_pick_check(k));
    }
}

/* A kernel with one wrong lane, sometimes. */
static void wrong_words(const struct nonce_run *run, const uint32_t *values, size_t count,
                        uint32_t *out)
{
    nonce_kernel_portable.words(run, values, count, out);
    out[7] ^= run->first.start == 11;
}

static void the_check_refuses_a_wrong_kernel(void **state)
{
    (void)state;
    struct nonce_kernel wrong = nonce_kernel_portable;
    wrong.words = wrong_words;
    assert_false(nonce_pick_check(&wrong));
}

static void kernels_by_name(void **state)
{
    (void)state;
    const struct nonce_kernel *k;
    struct pn_err err;
    assert_int_equal(nonce_kernel_find("portable", &k, &err), PN_OK);
    assert_ptr_equal(k, &nonce_kernel_portable);
    assert_int_equal(nonce_kernel_find("avx1024", &k, &err), PN_E_NOT_FOUND);
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL; i++) {
        const struct nonce_kernel *found = NULL;
        enum pn_status status = nonce_kernel_find(k->name, &found, &err);
        assert_int_equal(status, usable(k) ? PN_OK : PN_E_UNSUPPORTED);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        case_count = strtoull(argv[1], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_puzzle_any_range),
        cmocka_unit_test(borders),
        cmocka_unit_test(across_runs_and_windows),
        cmocka_unit_test(many_hits),
        cmocka_unit_test(runs_are_long_enough),
        cmocka_unit_test(the_check_passes_right_kernels_only),
        cmocka_unit_test(the_check_refuses_a_wrong_kernel),
        cmocka_unit_test(kernels_by_name),
    };
    plain = malloc(sizeof *plain);
    fast = malloc(sizeof *fast);
    int failures = plain == NULL || fast == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    free(plain);
    free(fast);
    return failures;
}
