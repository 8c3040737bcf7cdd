/* Slices that wait for memory: none is passed for ever, and none waits beside room for it. */
#include "unit.h"

#include "peer/worker/turns.h"

enum { PLACES = 16 };

static struct turns t;

static int stop(void **state)
{
    (void)state;
    turns_fini(&t);
    return 0;
}

static void start_all(void)
{
    for (uint32_t next; (next = turns_next(&t)) != TURNS_NOBODY;) {
        turns_start(&t, next);
    }
}

static uint64_t running_weight(void)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t.place_count; i++) {
        sum += t.places[i].state == TURN_RUNS ? t.places[i].weight : 0;
    }
    return sum;
}

static bool runs(uint32_t place) { return t.places[place].state == TURN_RUNS; }

/* Ends the run of the lowest place at or after from; returns it. */
static uint32_t end_one(uint32_t from)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        uint32_t place = (from + i) % PLACES;
        if (runs(place)) {
            turns_end(&t, place);
            return place;
        }
    }
    fail_msg("nothing runs");
    return 0;
}

/* The place whose run has ended takes the next slice, and waits behind those that waited before. */
static void every_place_has_its_turn(void **state)
{
    (void)state;
    uint32_t started[PLACES] = {0};
    assert_int_equal(turns_init(&t, PLACES, 9 * 80), PN_OK);
    for (uint32_t i = 0; i < PLACES; i++) {
        turns_wait(&t, i, 80);
    }
    start_all();
    assert_int_equal(running_weight(), 9 * 80);
    for (int i = 0; i < 10 * PLACES; i++) {
        uint32_t place = end_one(0); /* the same ones end soonest */
        turns_wait(&t, place, 80);
        uint32_t next = turns_next(&t);
        assert_true(next != TURNS_NOBODY && next != place);
        started[next]++;
        turns_start(&t, next);
        assert_int_equal(turns_next(&t), TURNS_NOBODY);
    }
    for (uint32_t i = 0; i < PLACES - 9; i++) {
        assert_true(started[PLACES - 1 - i] > 0);
    }
}

/* What ran before it ends, and then it runs, however many small ones come. */
static void heavy_one_is_not_starved(void **state)
{
    (void)state;
    enum { HEAVY = PLACES - 1 };
    assert_int_equal(turns_init(&t, PLACES, 768), PN_OK);
    for (uint32_t i = 0; i < HEAVY; i++) {
        turns_wait(&t, i, 80);
    }
    start_all();
    turns_wait(&t, HEAVY, 640);
    int ends = 0;
    for (; !runs(HEAVY); ends++) {
        assert_true(ends < 2 * PLACES);
        turns_wait(&t, end_one((uint32_t)ends), 80);
        start_all();
        assert_true(running_weight() <= 768);
    }
    print_message("after %d ends\n", ends);
    assert_int_equal(running_weight(), 640 + 80);
}

/* While a heavy one waits for another the rest of the machine is used, but not what it needs. */
static void small_ones_pass_where_they_do_not_harm(void **state)
{
    (void)state;
    assert_int_equal(turns_init(&t, PLACES, 768), PN_OK);
    turns_wait(&t, 0, 640);
    turns_wait(&t, 1, 640);
    start_all();
    assert_true(runs(0) && !runs(1));
    for (uint32_t i = 2; i < PLACES; i++) {
        turns_wait(&t, i, 17);
    }
    start_all();
    assert_int_equal(running_weight(), 640 + 7 * 17);
    turns_end(&t, 0);
    start_all();
    assert_true(runs(1));
    assert_int_equal(running_weight(), 640 + 7 * 17);
    turns_end(&t, 1); /* nobody heavy waits */
    start_all();
    assert_int_equal(running_weight(), 14 * 17);
}

/* One over the budget runs alone, in its turn; when it is called off the others go on. */
static void one_over_the_budget_runs_alone(void **state)
{
    (void)state;
    assert_int_equal(turns_init(&t, PLACES, 100), PN_OK);
    turns_wait(&t, 0, 60);
    turns_wait(&t, 1, 200);
    turns_wait(&t, 2, 10);
    start_all();
    assert_true(runs(0) && !runs(1) && !runs(2));
    turns_end(&t, 0);
    start_all();
    assert_true(runs(1) && !runs(2));
    turns_wait(&t, 0, 200);
    turns_end(&t, 1);
    start_all();
    assert_true(runs(2) && !runs(0));
    turns_wait(&t, 3, 10);
    assert_int_equal(turns_next(&t), TURNS_NOBODY);
    turns_end(&t, 0); /* called off */
    assert_int_equal(turns_next(&t), 3);
}

static void no_budget_keeps_nobody(void **state)
{
    (void)state;
    assert_int_equal(turns_init(&t, 2, 0), PN_OK);
    turns_wait(&t, 1, (uint64_t)1 << 62);
    turns_wait(&t, 0, (uint64_t)1 << 62);
    assert_int_equal(turns_next(&t), 1);
    start_all();
    assert_true(runs(0) && runs(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_place_has_its_turn, stop),
        cmocka_unit_test_teardown(heavy_one_is_not_starved, stop),
        cmocka_unit_test_teardown(small_ones_pass_where_they_do_not_harm, stop),
        cmocka_unit_test_teardown(one_over_the_budget_runs_alone, stop),
        cmocka_unit_test_teardown(no_budget_keeps_nobody, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
