/* The master's core as time passes: the slow, the silent, the dripping, and timeouts. */
#include "tests/unit/alloc.h"
#include "tests/unit/master_bed.h"

/* Our own worker kept its vote, but the outputs went to an earlier core: only a run brings them. */
static void outputs_of_our_own_that_are_gone(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 1);
    (void)vote((struct ballot_paper){.link = 1, .says = 'a', .big = true});
    committed(PN_OK);
    expect("1<0 (vote) pull 1<keep ");
    const uint64_t number = given[1][0];
    for (int i = 0; i < 2 * PLAN_GIVE_UPS_MAX; i++) { /* also when it is the last that is asked */
        pulled(1, 0, PN_E_NOT_FOUND);
        ticks(60);
        expect("1<cancel0 1<0 ");
        assert_true(given[1][0] == number);
        (void)vote((struct ballot_paper){.link = 1, .says = 'a', .big = true});
        expect("1<keep pull ");
    }
    pulled(1, 0, PN_OK);
    expect("(output) (final) ");
}

/* Blocks come, but one in two minutes: the slice is somebody else's too, and the first counts. */
static void outputs_that_drip(void **state)
{
    (void)state;
    for (uint32_t first = 2; first <= 3; first++) {
        open_master(1, 1);
        start();
        (void)enlist(2, 1);
        (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
        committed(PN_OK);
        expect("2<0 (vote) pull 2<keep ");
        (void)enlist(3, 1);
        ticks(61);
        expect("");
        ticks(2); /* 98 KiB more than the least */
        expect("3<0 ");
        (void)vote((struct ballot_paper){.link = 3, .says = 'a', .big = true});
        committed(PN_OK);
        expect("(vote) pull 3<keep ");
        pulled(first, 0, PN_OK);
        expect("(output) (final) ");
        committed(PN_OK);
        expect(first == 2 ? "(state) 2<release0 3<release0 unpull final! 2<ended 3<ended "
                          : "(state) 2<release0 unpull 3<release0 final! 2<ended 3<ended ");
        pulled(5 - first, 0, PN_OK); /* it was too late to call that off */
        expect("forget ");
        if (first == 2) {
            (void)tear_down(NULL);
        }
    }
}

/* A late pull that fails in the end changes nothing for the one that has taken its place. */
static void what_drips_may_fail(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    ticks(63);
    trace[0] = '\0';
    (void)vote((struct ballot_paper){.link = 3, .says = 'a', .big = true});
    expect("(vote) pull ");
    pulled(2, 0, PN_E_CLOSED);
    expect("");
    pulled(3, 0, PN_OK);
    expect("(output) (final) ");
}

/* Four thousand slots, a few slices; and one more for each vote that proves true. */
static void a_newcomer_gets_a_few_slices(void **state)
{
    (void)state;
    open_master(1, 200);
    start();
    (void)enlist(2, 4096);
    assert_int_equal(master_demand(master), 200 - MASTER_NEWCOMER_SLICES);
    assert_non_null(strstr(trace, "2<31 "));
    trace[0] = '\0';
    now_ms += 1000;
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .wall_ms = 1000});
    expect("(vote) (output) (final) 2<32 "); /* in the place of that one */
    committed(PN_OK);
    expect("2<keep 2<release0 final! 2<33 ");
}

/* It takes what there is and says that it goes on: what is stuck is work for others. */
static void who_hoards_is_helped(void **state)
{
    (void)state;
    open_master(1, 6);
    start();
    (void)enlist(2, 4096);
    expect("2<0 2<1 2<2 2<3 2<4 2<5 ");
    assert_int_equal(master_demand(master), 0);
    ticks(9);
    assert_int_equal(master_demand(master), 0);
    ticks(1);
    assert_int_equal(master_demand(master), 6);
    (void)enlist(3, 8); /* as unknown, and so it gets a few */
    expect("3<0 3<1 3<2 3<3 ");
    assert_int_equal(master_demand(master), 2);
    now_ms += 100;
    (void)vote((struct ballot_paper){.link = 3, .says = 'a', .wall_ms = 100});
    expect("(vote) (output) (final) 3<4 ");
    committed(PN_OK);
    expect("3<keep 3<release0 2<cancel0 final! 3<5 ");
    assert_int_equal(master_demand(master), 0);
}

static void a_claimed_time_is_not_believed(void **state)
{
    (void)state;
    struct master_stats stats;
    open_master(1, 8);
    start();
    (void)enlist(2, 1);
    now_ms += 1500;
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .wall_ms = UINT32_MAX});
    assert_int_equal(actions.records[0].vote.wall_ms, 1500);
    master_stats(master, &stats);
    assert_int_equal(stats.mean_ms, 1500);
}

/* Ticks for so long, then crashes: the state that its ledger would hold, if any was recorded. */
static bool run_for(uint32_t seconds, struct record *state)
{
    bool recorded = false;
    start();
    for (uint32_t i = 0; i < seconds; i++) {
        now_ms += 1000;
        (void)step((struct master_event){.kind = MASTER_TICK});
        for (size_t k = 0; k < actions.record_count; k++) {
            *state = actions.records[k];
            recorded = true;
        }
    }
    return recorded;
}

static void open_again(const struct record *state)
{
    reopen_master();
    assert_non_null(master);
    assert_int_equal(master_replay(master, state), PN_OK);
    now_ms += 3600 * 1000; /* the machine was off: nobody led it */
}

/* The limit of time is the run's, not that of one life of its master. */
static void a_timeout_outlives_its_master(void **state)
{
    (void)state;
    struct record r = {.kind = RECORD_JOB_STATE};
    open_master(2, 1);
    config.timeout_ms = 200 * 1000;
    reopen_master();
    assert_true(run_for(75, &r)); /* what a crash forgets is at most the last ten seconds */
    assert_int_equal(r.job_state.state, JOB_RUNNING);
    assert_int_equal(r.job_state.ran_ms, 70 * 1000);
    open_again(&r);
    assert_true(run_for(129, &r));
    assert_int_equal(r.job_state.state, JOB_RUNNING);
    now_ms += 1000;
    (void)step((struct master_event){.kind = MASTER_TICK});
    assert_int_equal(actions.record_count, 1);
    assert_int_equal(actions.records[0].job_state.state, JOB_TIMED_OUT);
    assert_int_equal(actions.records[0].job_state.ran_ms, 200 * 1000);

    /* Its user gives it that time once more. */
    r = actions.records[0];
    config.resumed = true;
    open_again(&r);
    assert_true(run_for(199, &r));
    assert_int_equal(r.job_state.state, JOB_RUNNING);
}

/* A run without a limit leaves the disk alone. */
static void no_timeout_no_records(void **state)
{
    (void)state;
    struct record r;
    open_master(2, 1);
    assert_false(run_for(300, &r));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_newcomer_gets_a_few_slices),
        TEST(who_hoards_is_helped),
        TEST(outputs_of_our_own_that_are_gone),
        TEST(outputs_that_drip),
        TEST(what_drips_may_fail),
        TEST(a_claimed_time_is_not_believed),
        TEST(a_timeout_outlives_its_master),
        TEST(no_timeout_no_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
