/*
 * The worker's core and its masters: outputs that outlive a restart, and links that outlive a job.
 */
#include "tests/unit/alloc.h"
#include "tests/unit/worker_bed.h"

/* --- after a restart -------------------------------------------------------------------------- */

static void restored(uint8_t number, uint8_t run, uint64_t slice)
{
    static struct worker_result r;
    r = (struct worker_result){.output_count = 1};
    r.outputs[0].size = 1000000;
    (void)step((struct worker_event){.kind = WORKER_RESTORED,
                                     .job = *job(number),
                                     .run = {{run}},
                                     .slice = slice,
                                     .attempt = 100 + slice,
                                     .result = &r});
}

/* Outputs that lie in the store from before: their master is dialled, and gets the votes again. */
static void outputs_outlive_a_restart(void **state)
{
    (void)state;
    open_worker(1);
    restored(1, 1, 7);
    restored(1, 1, 8);
    expect("");
    tick(worker_deadline_ms(worker));
    expect("dial ");
    engage(2, 1, false);
    join_answer(2);
    vetted(1, PN_OK);
    expect("2<join 2<idle1 vet 2<enlist 1+7+8 ");
    enlist_answer(2);
    expect("2<vote7 2<vote8 ");
    vote_answer(2, request, WORK_KEEP);
    (void)about(2, FRAME_RELEASE, 1, 8);
    expect("drop8 ");
    (void)about(2, FRAME_CANCEL, 1, 7);
    expect("drop7 2<idle0 ");
}

static void what_a_restart_left_and_nobody_wants(void **state)
{
    (void)state;
    open_worker(1);
    restored(1, 1, 7);
    restored(1, 2, 7); /* of another run of the job: only one can go on */
    expect("drop7 ");
    run_byte = 3;
    engage(2, 1, false);
    join_answer(2);
    expect("2<join 2<idle1 drop7 vet 2<idle0 ");
    restored(2, 1, 5);
    uint64_t lost_ms = now_ms;
    while (worker_engaged(worker, job(2))) {
        assert_true(now_ms <= lost_ms + WORKER_LOST_MS + WORKER_REDIAL_MAX_MS);
        trace[0] = '\0';
        tick(now_ms + 1000);
    }
    assert_non_null(strstr(trace, "drop5 left"));
}

/* --- bonds ------------------------------------------------------------------------------------ */

/* A master whose job is done gives another over the same link. */
static void another_job_of_a_linked_master(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    ran(0, true);
    trace[0] = '\0';
    offer(1, 2, PN_OK); /* while the vote is on its way */
    expect("hired 1<take 1<join 1<idle0 ");
    join_answer(1);
    vetted(2, PN_OK);
    enlist_answer(1);
    expect("vet 1<enlist 1 ");
    ended(1, 1);
    expect("drop7 left ");
    (void)about(1, FRAME_ASSIGN, 2, 3);
    files(2, PN_OK);
    expect("fetch run3 1<started3 ");
}

static void a_bond_outlives_its_job_for_a_while(void **state)
{
    (void)state;
    at_work(1);
    ended(1, 1);
    expect("left 1<idle1 ");
    assert_true(worker_deadline_ms(worker) == now_ms + WORKER_IDLE_MS);
    tick(now_ms + WORKER_IDLE_MS - 1);
    expect("");
    tick(now_ms + 1);
    expect("close ");
    link_down(1);
    assert_true(worker_deadline_ms(worker) == UINT64_MAX);
}

static void what_cannot_be_taken(void **state)
{
    (void)state;
    at_work(1);
    offer(1, 1, PN_OK); /* engaged for it already */
    expect("1<never ");
    offer(1, 2, PN_OK); /* its one slot waits for a slice of job 1 */
    expect("1<not-now ");
    ended(1, 1);
    trace[0] = '\0';
    offer(1, 2, PN_E_DENIED); /* we lead it ourselves */
    expect("1<never ");
    offer(9, 2, PN_OK); /* no master of ours */
    expect("9<never ");
    (void)step((struct worker_event){.kind = WORKER_LEAVE});
    trace[0] = '\0';
    offer(1, 2, PN_OK);
    expect("1<not-now ");
}

/* One job of a link is refused; the others go on. */
static void a_refused_job_costs_no_link(void **state)
{
    (void)state;
    at_work(2);
    offer(1, 2, PN_OK);
    join_answer(1);
    trace[0] = '\0';
    vetted(2, PN_E_DENIED);
    expect("left 1<leave2-2 1<idle1 ");
    assert_true(worker_linked(worker, job(1)));
}

/* It offers its jobs, is taken at its word, and says nothing more: others get the slots. */
static void a_master_that_leaves_us_waiting(void **state)
{
    (void)state;
    open_worker(2);
    engage(1, 1, false);
    offer(1, 2, PN_OK);
    expect("1<join 1<idle1 hired 1<take 1<join 1<idle0 ");
    tick(now_ms + WORKER_RESERVED_MS);
    expect("1<idle2 ");
    offer(1, 3, PN_OK);
    expect("1<not-now ");
    tick(now_ms + WORKER_ANSWER_MS - WORKER_RESERVED_MS);
    expect("close close ");
    link_down(1);
    trace[0] = '\0';
    uint64_t rest_ms = WORKER_REST_MIN_MS;
    for (uint32_t link = 2; link < 5; link++, rest_ms *= 2) {
        tick(now_ms + rest_ms - 1);
        engage(link, 4, false);
        assert_false(worker_engaged(worker, job(4)));
        tick(now_ms + 1);
        engage(link, 4, false);
        assert_true(worker_linked(worker, job(4)));
        tick(now_ms + WORKER_ANSWER_MS);
        link_down(link);
    }
}

/* What is enlisted and given nothing holds no slot either; once it was given some, it does. */
static void a_slot_waits_for_a_while(void **state)
{
    (void)state;
    at_work(1);
    trace[0] = '\0';
    assert_true(worker_deadline_ms(worker) == now_ms + WORKER_RESERVED_MS);
    tick(now_ms + WORKER_RESERVED_MS);
    expect("1<idle1 ");
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    ran(0, true);
    vote_answer(1, request, WORK_KEEP);
    trace[0] = '\0';
    tick(now_ms + WORKER_RESERVED_MS);
    expect("");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(outputs_outlive_a_restart),
        TEST(what_a_restart_left_and_nobody_wants),
        TEST(another_job_of_a_linked_master),
        TEST(a_bond_outlives_its_job_for_a_while),
        TEST(what_cannot_be_taken),
        TEST(a_refused_job_costs_no_link),
        TEST(a_master_that_leaves_us_waiting),
        TEST(a_slot_waits_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
