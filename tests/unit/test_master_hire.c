/* --workers N: at most N slots are hired, and nobody holds one who does not work. */
#include "tests/unit/alloc.h"
#include "tests/unit/master_bed.h"

static void open_for_hire(uint32_t slots_max, uint32_t slice_count)
{
    open_master(1, slice_count);
    config.slots_max = slots_max;
    reopen_master();
    assert_non_null(master);
    start();
}

/* Three slots are hired, some of workers that have more: these must not run what is given ahead. */
static void hired_slots_are_a_limit(void **state)
{
    (void)state;
    open_for_hire(3, 8);
    (void)enlist(2, 1);
    expect("2<0 2<1 "); /* one place, and one slice ahead */
    (void)enlist(3, 4);
    expect("3<2 3<3 ");
    (void)enlist(4, 4);
    expect("");
    (void)vote((struct ballot_paper){.link = 3, .slice = 2, .says = 'a'});
    expect("(vote) (output) (final) 3<4 ");
}

/* Who came when all were hired is hired when somebody goes. */
static void who_waits_is_hired_next(void **state)
{
    (void)state;
    open_for_hire(2, 4);
    (void)enlist(2, 4);
    (void)enlist(3, 1);
    expect("2<0 2<1 ");
    link_down(2);
    ticks(1);
    expect("3<0 3<1 ");
    assert_int_equal(master_demand(master), 1);
}

/* All slots with one that never answers, and nothing is known of how long a slice takes. */
static void a_silent_worker_is_replaced(void **state)
{
    (void)state;
    open_for_hire(2, 4);
    (void)enlist(2, 100);
    (void)enlist(3, 1);
    expect("2<0 2<1 ");
    assert_int_equal(master_demand(master), 0);
    ticks(9);
    expect("");
    ticks(1);
    expect("3<0 3<1 ");
    assert_int_equal(master_demand(master), 1);
    (void)enlist(4, 1);
    expect("4<2 4<3 ");
    ticks(9);
    expect(""); /* those are given longer */
    (void)vote((struct ballot_paper){.link = 2, .slice = 1, .says = 'a'}); /* it was only slow */
    committed(PN_OK);
    expect("(vote) (output) (final) 2<keep 2<release1 3<cancel1 final! ");
    assert_int_equal(master_demand(master), 0);
}

static void a_slot_of_who_rests_is_hired(void **state)
{
    (void)state;
    open_for_hire(1, 3);
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    expect("2<0 2<1 ");
    (void)give_up(2, 0, WORK_CANNOT_RUN);
    expect("");
    ticks(1);
    expect("3<0 3<2 ");
    ticks(5);
    expect(""); /* what has been hired in its place stays */
}

static void a_liar_that_stays_holds_nothing(void **state)
{
    (void)state;
    open_for_hire(1, 2);
    judge_proofs();
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    trace[0] = '\0';
    (void)step((struct master_event){.kind = MASTER_JUDGED, .attempt = given[2][0]});
    expect("(lie) 2<ended ");
    ticks(1);
    expect("3<0 3<1 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(hired_slots_are_a_limit),         TEST(who_waits_is_hired_next),
        TEST(a_silent_worker_is_replaced),     TEST(a_slot_of_who_rests_is_hired),
        TEST(a_liar_that_stays_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
