/* Tables and bitsets against a plain model, driven at random; and the generator that drives. */
#include "tests/unit/unit.h"

#include "common/bitset.h"
#include "common/random.h"
#include "common/table.h"

enum { KEYS = 300, STEPS = 20000 };

static void a_table_behaves_like_an_array(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    struct table table;
    table_init(&table, sizeof(uint32_t), KEYS - 50, 7);
    int values[KEYS];
    void *model[KEYS] = {0};
    size_t count = 0;
    for (int step = 0; step < STEPS; step++) {
        uint32_t key = (uint32_t)random_below(&random, KEYS);
        if (random_below(&random, 5) < 3) {
            enum pn_status status = table_put(&table, &key, &values[key]);
            if (model[key] == NULL && count == KEYS - 50) {
                assert_int_equal(status, PN_E_FULL);
                continue;
            }
            assert_int_equal(status, PN_OK);
            count += model[key] == NULL;
            model[key] = &values[key];
        } else {
            assert_ptr_equal(table_remove(&table, &key), model[key]);
            count -= model[key] != NULL;
            model[key] = NULL;
        }
        assert_int_equal(table.count, count);
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_ptr_equal(table_get(&table, &key), model[key]);
    }
    size_t place = 0;
    size_t walked = 0;
    while (table_next(&table, &place) != NULL) {
        walked++;
    }
    assert_int_equal(walked, count);
    table_fini(&table);
}

static void check_bitset(uint64_t bits, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    struct bitset set;
    assert_true(bitset_init(&set, bits));
    bool *model = calloc(bits, sizeof *model);
    assert_non_null(model);
    bitset_fill(&set);
    assert_true(set.member_count == bits);
    for (uint64_t i = 0; i < bits; i++) {
        assert_true(bitset_next(&set, i) == i);
        model[i] = true;
    }
    assert_true(bitset_next(&set, bits) == BITSET_NONE);
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = random_below(&random, bits);
        if (random_below(&random, 16) == 0) {
            bitset_add(&set, i);
            model[i] = true;
        } else {
            bitset_remove(&set, i);
            model[i] = false;
        }
        uint64_t from = random_below(&random, bits);
        uint64_t want = from;
        while (want < bits && !model[want]) {
            want++;
        }
        assert_true(bitset_next(&set, from) == (want < bits ? want : BITSET_NONE));
    }
    free(model);
    bitset_fini(&set);
}

static void a_bitset_finds_the_next_member(void **state)
{
    (void)state;
    check_bitset(1, 1);
    check_bitset(64, 2);
    check_bitset(65, 3);
    check_bitset(64 * 64 + 1, 4);
    check_bitset(64 * 64 * 3, 5);
}

static void the_generator_is_the_published_one(void **state)
{
    (void)state;
    /* First outputs of xoshiro256** from the state {1, 2, 3, 4}, computed by hand from its paper.
     */
    struct random r = {.s = {1, 2, 3, 4}};
    assert_true(random_u64(&r) == 11520);
    assert_true(random_u64(&r) == 0);
    assert_true(random_u64(&r) == 1509978240);

    uint64_t counts[3] = {0};
    random_seed(&r, 42);
    for (int i = 0; i < 30000; i++) {
        counts[random_below(&r, 3)]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(counts[i], 9700, 10300);
    }
    for (uint32_t e = 0; e < 80; e++) {
        assert_true(random_backoff(&r, 100, e, 5000) <= (e >= 6 ? 5000 : 100u << e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_behaves_like_an_array),
        cmocka_unit_test(a_bitset_finds_the_next_member),
        cmocka_unit_test(the_generator_is_the_published_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
