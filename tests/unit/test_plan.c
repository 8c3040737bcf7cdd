/* Which slice goes to which worker, and when again: traces. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/master/plan.h"
#include "tests/unit/alloc.h"

enum { WORKERS = 5 };

static struct plan plan;
static struct plan_worker workers[WORKERS]; /* 0 is the master's own */
static char trace[2048];

static void open_plan(uint64_t slice_count, uint8_t copies)
{
    const struct plan_config config = {
        .slice_count = slice_count, .copies = copies, .time_limit_s = 120, .seed = 3};
    assert_int_equal(plan_init(&plan, &config), PN_OK);
    memset(workers, 0, sizeof workers);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct plan_worker){
            .index = i, .peer = {{(uint8_t)i}}, .prefix = i == 0 ? 0 : 10 + i, .own = i == 0};
    }
    trace[0] = '\0';
}

static int tear_down(void **state)
{
    (void)state;
    plan_fini(&plan);
    return 0;
}

static struct attempt *note(struct attempt *a, uint32_t worker)
{
    char line[32];
    (void)snprintf(line, sizeof line, a != NULL ? "%u:%llu " : "%u:- ", worker,
                   a != NULL ? (unsigned long long)a->of->slice : 0);
    assert_true(strlen(trace) + strlen(line) < sizeof trace);
    memcpy(trace + strlen(trace), line, strlen(line) + 1);
    return a;
}

static struct attempt *take(uint32_t worker, uint64_t now_ms)
{
    return note(plan_take(&plan, &workers[worker], now_ms), worker);
}

static void expect(const char *text)
{
    assert_string_equal(trace, text);
    trace[0] = '\0';
}

/* The attempt is over by a vote, and the votes that are missing are told. */
static void voted(struct attempt *a, uint8_t missing)
{
    struct open_slice *s = a->of;
    const struct ballot b = {.attempt = a->id, .worker = a->by->index, .prefix = a->by->prefix};
    assert_int_equal(tally_add_take(&s->tally, &b), PN_OK);
    plan_voted(&plan, a, 1000);
    plan_need(&plan, s, missing, false);
}

static void ascending_and_each_as_often_as_votes_are_needed(void **state)
{
    (void)state;
    open_plan(3, 2);
    (void)take(1, 0);
    (void)take(1, 0);
    (void)take(2, 0);
    (void)take(3, 0);
    (void)take(3, 0);
    (void)take(1, 0);
    expect("1:0 1:1 2:0 3:1 3:2 1:2 ");
    (void)take(4, 0);
    expect("4:- ");
}

static void an_identity_and_a_network_once(void **state)
{
    (void)state;
    open_plan(1, 2);
    workers[2].prefix = workers[1].prefix;
    struct attempt *a = take(1, 0);
    (void)take(1, 0);
    (void)take(2, 0); /* its neighbour works on it */
    voted(a, 1);
    (void)take(1, 0);
    (void)take(2, 0); /* its neighbour has voted */
    (void)take(3, 0);
    expect("1:0 1:- 2:- 1:- 2:- 3:0 ");
}

/* A lease that runs out: the slice goes to somebody else; the late one may come in all the same. */
static void a_lease_runs_out(void **state)
{
    (void)state;
    open_plan(1, 1);
    struct attempt *a = take(1, 0);
    uint64_t number = a->id;
    assert_int_equal(plan_deadline_ms(&plan), 180000); /* nothing measured: limit and a minute */
    plan_tick(&plan, 179999);
    (void)take(2, 179999);
    plan_tick(&plan, 180000);
    (void)take(1, 180000); /* it may still be at it */
    (void)take(2, 180000);
    expect("1:0 2:- 1:- 2:0 ");
    assert_int_equal(workers[1].outstanding, 0);
    assert_int_equal(workers[1].late_count, 1);
    assert_ptr_equal(plan_find(&plan, &workers[1], 0, number), a);
}

static void who_says_that_it_goes_on_is_believed_for_the_jobs_limit(void **state)
{
    (void)state;
    open_plan(1, 1);
    struct attempt *a = take(1, 0);
    plan_alive(&plan, a, 1000, 0);
    for (uint64_t now = 2000; now < 600000; now += 1000) {
        plan_alive(&plan, a, now, 100000);
        plan_tick(&plan, now);
    }
    assert_true(a->late); /* 1 s + 120 s + 60 s */
    (void)take(2, 600000);
    expect("1:0 2:0 ");
}

static void a_worker_lost_and_back(void **state)
{
    (void)state;
    open_plan(2, 1);
    struct attempt *a = take(1, 0);
    plan_worker_lost(&plan, &workers[1]);
    (void)take(2, 10);
    plan_alive(&plan, a, 20, 0); /* back, and still at it */
    assert_false(a->late);
    assert_int_equal(workers[1].outstanding, 1);
    plan_ended(&plan, a);
    (void)take(1, 30);
    expect("1:0 2:0 1:1 ");
}

/* The cursor of a worker that forgot a slice does not pass it: nobody else may be there. */
static void a_worker_that_forgot_gets_it_again(void **state)
{
    (void)state;
    open_plan(1, 2);
    struct attempt *a = take(1, 0);
    (void)take(1, 0);
    plan_worker_lost(&plan, &workers[1]);
    plan_ended(&plan, a);
    (void)take(1, 10);
    expect("1:0 1:- 1:0 ");
}

static void giving_up_means_somebody_else_later(void **state)
{
    (void)state;
    open_plan(1, 1);
    struct attempt *a = take(1, 0);
    plan_gave_up(&plan, a, 0);
    (void)take(2, 0);
    uint64_t due = plan_deadline_ms(&plan);
    assert_in_range(due, PLAN_RETRY_MIN_MS, PLAN_RETRY_MAX_MS);
    plan_tick(&plan, due);
    (void)take(1, due);
    (void)take(2, due);
    expect("1:0 2:- 1:- 2:0 ");
}

static void lost_outputs_are_made_again_under_the_old_number(void **state)
{
    (void)state;
    open_plan(1, 1);
    struct attempt *a = take(1, 0);
    uint64_t number = a->id;
    struct open_slice *s = a->of;
    voted(a, 0);
    s->tally.ballots[0].copy = COPY_LOST;
    s->bytes_wanted = true;
    plan_need(&plan, s, 1, false);
    plan_reconsider(&plan, s);
    a = take(1, 10);
    expect("1:0 1:0 ");
    assert_true(a->id == number);
}

static void the_own_run(void **state)
{
    (void)state;
    open_plan(2, 2);
    struct attempt *a = take(1, 0);
    plan_need(&plan, a->of, 1, true);
    (void)note(plan_take_own(&plan, &workers[0], 0), 0);
    (void)note(plan_take_own(&plan, &workers[0], 0), 0);
    (void)take(2, 0); /* only the own run helps slice 0 */
    expect("1:0 0:0 0:- 2:1 ");
}

static void stragglers_are_doubled(void **state)
{
    (void)state;
    open_plan(2, 1);
    voted(take(1, 0), 0); /* a second each */
    (void)take(2, 0);
    (void)note(plan_take_straggler(&plan, &workers[3], 2999), 3);
    (void)note(plan_take_straggler(&plan, &workers[2], 3000), 2); /* it is the straggler */
    (void)note(plan_take_straggler(&plan, &workers[3], 3000), 3);
    (void)note(plan_take_straggler(&plan, &workers[4], 3000), 4); /* doubled already */
    expect("1:0 2:1 3:- 2:- 3:1 4:- ");
}

/* A helper that is silent too does not keep the slice: but one that is proven is waited for. */
static void who_takes_over_may_be_silent_too(void **state)
{
    (void)state;
    open_plan(2, 1);
    voted(take(0, 0), 0); /* a second each */
    (void)take(1, 0);
    assert_int_equal(plan_stuck_count(&plan, 2999), 0);
    assert_int_equal(plan_stuck_count(&plan, 3000), 1);
    (void)note(plan_take_straggler(&plan, &workers[2], 3000), 2);
    assert_int_equal(plan_stuck_count(&plan, 8999), 0);
    (void)note(plan_take_straggler(&plan, &workers[3], 8999), 3);
    assert_int_equal(plan_stuck_count(&plan, 9000), 1);
    (void)note(plan_take_straggler(&plan, &workers[3], 9000), 3);
    workers[3].proven = true;
    assert_int_equal(plan_stuck_count(&plan, 100000), 0);
    (void)note(plan_take_straggler(&plan, &workers[4], 100000), 4);
    expect("0:0 1:1 2:1 3:- 3:1 4:- ");
}

/* While nobody knows how long a slice takes, all that are under way may be right. */
static void few_are_called_before_anything_is_measured(void **state)
{
    (void)state;
    open_plan(20, 1);
    for (int i = 0; i < 20; i++) {
        assert_non_null(plan_take(&plan, &workers[1], 0));
    }
    assert_int_equal(plan_stuck_count(&plan, PLAN_UNMEASURED_MS - 1), 0);
    assert_int_equal(plan_stuck_count(&plan, PLAN_UNMEASURED_MS), PLAN_UNMEASURED_HELPERS);
    struct attempt *a = plan_take_straggler(&plan, &workers[2], PLAN_UNMEASURED_MS);
    assert_int_equal(plan_stuck_count(&plan, PLAN_UNMEASURED_MS + 1), 0);
    voted(a, 0);
    assert_int_equal(plan_stuck_count(&plan, PLAN_UNMEASURED_MS + 1), 19);
}

static void nothing_above_the_limit(void **state)
{
    (void)state;
    open_plan(100, 1);
    (void)take(1, 0);
    plan_set_limit(&plan, 2);
    assert_int_equal(plan.ready.member_count, 1);
    (void)take(1, 0);
    (void)take(1, 0);
    expect("1:0 1:1 1:- ");
}

/* A number is known again by a plan that has never given it, and fits nothing else. */
static void numbers_survive_a_restart(void **state)
{
    (void)state;
    open_plan(2, 1);
    uint64_t number = take(1, 0)->id;
    plan_fini(&plan);
    open_plan(2, 1);
    assert_true(plan_issued(&plan, &workers[1], 0, number));
    assert_false(plan_issued(&plan, &workers[1], 1, number));
    assert_false(plan_issued(&plan, &workers[2], 0, number));
    assert_false(plan_issued(&plan, &workers[1], 0, number ^ 1));
    assert_false(plan_issued(&plan, &workers[1], 2, number));
    assert_non_null(plan_adopt(&plan, &workers[1], 0, number, 5));
    (void)take(2, 5);
    expect("2:1 ");
}

/* What a worker says of its time can neither hide stragglers nor make leases long. */
static void a_claimed_time_is_believed_as_far_as_it_can_be(void **state)
{
    (void)state;
    open_plan(8, 1);
    struct attempt *a = take(1, 1000);
    assert_int_equal(plan_believed_ms(&plan, a, 2999, 4000), 2999);
    assert_int_equal(plan_believed_ms(&plan, a, UINT32_MAX, 4000), 3000);
    assert_int_equal(plan_believed_ms(&plan, a, UINT32_MAX, 1000000), 120 * 1000);
    assert_int_equal(plan_believed_ms(&plan, NULL, UINT32_MAX, 4000), 120 * 1000);
    const uint64_t number = take(2, 1000)->id; /* and after a restart: since when? */
    plan_fini(&plan);
    open_plan(8, 1);
    a = plan_adopt(&plan, &workers[2], 1, number, 500);
    assert_non_null(a);
    assert_int_equal(plan_believed_ms(&plan, a, 50 * 1000, 501), 50 * 1000);
    assert_int_equal(plan_believed_ms(&plan, a, UINT32_MAX, 501), 120 * 1000);
}

static void memory_runs_out_anywhere(void **state)
{
    (void)state;
    open_plan(4, 1);
    struct attempt *a = NULL;
    unsigned long failed = 0;
    for (alloc_fail_at(1); (a = plan_take(&plan, &workers[1], 0)) == NULL; alloc_fail_next()) {
        failed++;
        workers[1].cursor = 0;
    }
    alloc_fail_never();
    assert_true(failed >= 3); /* the slice, its place in the table, the attempt, its lease */
    assert_int_equal(a->of->slice, 0);
    assert_int_equal(workers[1].outstanding, 1);
}

/* Hundreds of slices that wait for their outputs: one behind them that is stuck is seen. */
static void what_is_settled_hides_nothing(void **state)
{
    (void)state;
    open_plan(2000, 1);
    for (int i = 0; i < PLAN_STUCK_LOOKED_AT; i++) {
        struct attempt *a = plan_take(&plan, &workers[1], 0);
        a->of->provisional = true;
        plan_need(&plan, a->of, 0, false);
    }
    plan.mean_ms = 1000;
    (void)take(2, 1000);
    (void)note(plan_take_straggler(&plan, &workers[3], 2000), 3);
    assert_int_equal(plan_stuck_count(&plan, 5000), 1);
    (void)note(plan_take_straggler(&plan, &workers[3], 5000), 3);
    expect("2:1024 3:- 3:1024 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(ascending_and_each_as_often_as_votes_are_needed),
        TEST(an_identity_and_a_network_once),
        TEST(a_lease_runs_out),
        TEST(who_says_that_it_goes_on_is_believed_for_the_jobs_limit),
        TEST(a_worker_lost_and_back),
        TEST(a_worker_that_forgot_gets_it_again),
        TEST(giving_up_means_somebody_else_later),
        TEST(lost_outputs_are_made_again_under_the_old_number),
        TEST(the_own_run),
        TEST(a_claimed_time_is_believed_as_far_as_it_can_be),
        TEST(stragglers_are_doubled),
        TEST(who_takes_over_may_be_silent_too),
        TEST(few_are_called_before_anything_is_measured),
        TEST(nothing_above_the_limit),
        TEST(numbers_survive_a_restart),
        TEST(memory_runs_out_anywhere),
        TEST(what_is_settled_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
