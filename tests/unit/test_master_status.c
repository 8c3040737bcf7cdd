/* What a run that does not get on says of it. */
#include "tests/unit/alloc.h"
#include "tests/unit/master_bed.h"

#include "peer/master/master_shell.h"

static struct leads leads;
static struct lead lead;
static struct job_status status;

static void open_lead(uint32_t slice_count)
{
    open_master(1, slice_count);
    leads = (struct leads){.waiting = {.waits = true, .for_ms = 1, .cause = "no idle peer"}};
    lead = (struct lead){.of = &leads,
                         .core = master,
                         .in_ledger = true,
                         .state = JOB_RUNNING,
                         .created_wall_ms = 5000,
                         .started_ms = now_ms,
                         .manifest = {.kind = MANIFEST_DATASET}}; /* nothing to compute rates of */
    start();
}

static void expect_waiting(const char *cause)
{
    lead_status(&lead, now_ms, 65000, &status);
    assert_int_equal(status.waiting.waits, cause != NULL);
    assert_string_equal(status.waiting.cause, cause != NULL ? cause : "");
}

static void a_run_that_was_never_started(void **state)
{
    (void)state;
    open_lead(1);
    lead.core = NULL;
    lead.in_ledger = false;
    expect_waiting("it was created, and not started");
    assert_int_equal(status.waiting.for_ms, 60000);
}

static void a_run_that_stands_still(void **state)
{
    (void)state;
    open_lead(1);
    expect_waiting("no idle peer");
    (void)enlist(2, 1);
    expect_waiting(NULL); /* it runs */
    (void)snprintf(lead.given_up, sizeof lead.given_up, "no sandbox");
    (void)give_up(2, 0, WORK_CANNOT_RUN);
    expect_waiting(NULL); /* for a moment only */
    now_ms += 1000;
    expect_waiting("its workers rest after giving slices up: no sandbox");
    (void)enlist(3, 1);
    expect_waiting("its workers rest after giving slices up: no sandbox");
    ticks(1);
    expect_waiting(NULL);
    (void)vote((struct ballot_paper){.link = 3, .says = 'a', .big = true});
    expect_waiting("outputs of 1 slice are on their way here");
    ticks(1);
    assert_int_equal(status.waiting.for_ms, now_ms - 1000 - lead.started_ms);
}

static void all_slices_wait_for_their_next_try(void **state)
{
    (void)state;
    open_lead(1);
    (void)enlist(1, 1);
    (void)give_up(1, 0, WORK_CANNOT_RUN);
    now_ms += 1000;
    expect_waiting("1 slice is to be tried again: no reason was given");
}

static void all_that_was_given_is_late(void **state)
{
    (void)state;
    open_lead(1);
    (void)enlist(2, 1);
    now_ms += 1000 * 1000;
    (void)step((struct master_event){.kind = MASTER_TICK});
    expect_waiting("open slices want voters that are not there");
    (void)enlist(3, 1);
    expect_waiting(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_run_that_was_never_started),
        TEST(a_run_that_stands_still),
        TEST(all_slices_wait_for_their_next_try),
        TEST(all_that_was_given_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
