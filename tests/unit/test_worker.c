/*
 * The worker's core, event by event: the way of a slice, links that break, masters gone wrong.
 */
#include "tests/unit/alloc.h"
#include "tests/unit/worker_bed.h"

/* --- traces ----------------------------------------------------------------------------------- */

static void the_way_of_a_slice(void **state)
{
    (void)state;
    open_worker(1);
    engage(1, 1, false);
    join_answer(1);
    vetted(1, PN_OK);
    enlist_answer(1);
    expect("1<join vet 1<enlist 1 ");
    (void)about(1, FRAME_ASSIGN, 1, 7);
    (void)about(1, FRAME_ASSIGN, 1, 8);
    files(1, PN_OK);
    expect("fetch run7 1<started7 ");
    ran(0, true);
    expect("1<vote7 run8 1<started8 ");
    vote_answer(1, request, WORK_KEEP);
    expect("drop7 "); /* the master has all of it */
    ran(0, false);
    vote_answer(1, request, WORK_KEEP);
    expect("1<vote8 1<idle1 ");
    (void)about(1, FRAME_RELEASE, 1, 8);
    expect("drop8 1<idle0 "); /* the place is for this job's next */
}

static void not_welcome(void **state)
{
    (void)state;
    open_worker(1);
    engage(1, 1, false);
    join_answer(1);
    vetted(1, PN_E_DENIED);
    expect("1<join vet left 1<leave1-2 1<idle1 ");
    assert_false(worker_engaged(worker, job(1)));
}

static void papers_out_of_order(void **state)
{
    (void)state;
    open_worker(1);
    engage(1, 1, false);
    join_answer(1);
    vetted(1, PN_E_MISMATCH);
    expect("1<join vet left close 1<idle1 ");
}

static void files_that_cannot_be_had(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_E_NOT_FOUND);
    expect("fetch 1<back7 ");
    (void)about(1, FRAME_ASSIGN, 1, 8);
    expect("fetch "); /* perhaps now */
}

static void what_is_called_off_dies(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    (void)about(1, FRAME_ASSIGN, 1, 8);
    files(1, PN_OK);
    trace[0] = '\0';
    (void)about(1, FRAME_CANCEL, 1, 7);
    expect("kill7 "); /* its place is free only when the sandbox has ended */
    (void)step((struct worker_event){.kind = WORKER_RAN, .place = 0, .status = PN_E_SYSTEM});
    expect("run8 1<started8 ");
}

/* A link that breaks: work goes on, the master is dialled, told what is held, and voted to. */
static void a_link_breaks(void **state)
{
    (void)state;
    at_work(2);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    (void)about(1, FRAME_ASSIGN, 1, 8);
    files(1, PN_OK);
    link_down(1);
    trace[0] = '\0';
    ran(0, true);
    expect(""); /* its vote waits */
    tick(worker_deadline_ms(worker));
    expect("dial ");
    engage(2, 1, false);
    join_answer(2);
    expect("2<join 2<idle1 2<enlist 2+8+7 "); /* vetted already */
    enlist_answer(2);
    expect("2<vote7 ");
}

static void another_run_since(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    link_down(1);
    trace[0] = '\0';
    run_byte = 2;
    engage(2, 1, false);
    join_answer(2);
    expect("2<join kill7 vet ");
}

static void frames_of_the_past_are_handed_back(void **state)
{
    (void)state;
    at_work(1);
    run_byte = 2;
    assert_int_equal(about(1, FRAME_ASSIGN, 1, 7), PN_OK);
    expect("1<back7 ");
    run_byte = 1;
    assert_int_equal(about(1, FRAME_ASSIGN, 9, 7), PN_OK);
    expect("1<back7 ");
    assert_int_equal(about(1, FRAME_CANCEL, 1, 7), PN_OK);
    expect("");
}

/* The master lost track of the outputs and asks again: the vote goes out once more. */
static void asked_again_for_what_is_kept(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    ran(0, false);
    vote_answer(1, request, WORK_KEEP);
    trace[0] = '\0';
    (void)about(1, FRAME_ASSIGN, 1, 7);
    expect("1<vote7 ");
}

static void votes_wait_their_turn(void **state)
{
    (void)state;
    at_work(4);
    for (uint64_t i = 0; i < WORKER_VOTES_OUT_MAX + 2; i++) {
        (void)about(1, FRAME_ASSIGN, 1, i);
    }
    files(1, PN_OK);
    trace[0] = '\0';
    for (uint64_t i = 0; i < WORKER_VOTES_OUT_MAX + 2; i++) {
        ran((uint32_t)(i % 4), true);
    }
    assert_non_null(strstr(trace, "vote15"));
    assert_null(strstr(trace, "vote16"));
    trace[0] = '\0';
    vote_answer(1, request, WORK_KEEP);
    expect("drop15 1<vote16 ");
}

static void a_master_gone_wrong(void **state)
{
    (void)state;
    at_work(1);
    for (uint64_t i = 0; i < WORKER_QUEUED_PER_PLACE; i++) {
        assert_int_equal(about(1, FRAME_ASSIGN, 1, i), PN_OK);
    }
    assert_int_equal(about(1, FRAME_ASSIGN, 1, 999), PN_E_TOO_BIG);
}

/* Dials become rarer while none of them leads to being enlisted, and end after ten minutes. */
static void a_master_that_stays_away(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    link_down(1);
    uint64_t lost_ms = now_ms;
    uint32_t dials = 0;
    for (uint32_t link = 2; worker_engaged(worker, job(1)); link++) {
        assert_true(now_ms <= lost_ms + WORKER_LOST_MS + WORKER_REDIAL_MAX_MS);
        trace[0] = '\0';
        tick(worker_deadline_ms(worker));
        if (strcmp(trace, "dial ") == 0) { /* it takes the call and hangs up */
            dials++;
            engage(link, 1, false);
            link_down(link);
        }
    }
    assert_in_range(dials, 10, 120);
    assert_string_equal(trace, "kill7 left ");
}

static void an_idle_engagement_ends(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    files(1, PN_OK);
    now_ms += 100 * 1000; /* a long slice is not idleness */
    ran(0, true);
    vote_answer(1, request, WORK_KEEP);
    trace[0] = '\0';
    assert_true(worker_deadline_ms(worker) == now_ms + WORKER_IDLE_MS);
    tick(now_ms + WORKER_IDLE_MS);
    expect("1<leave1-1 left close 1<idle1 ");
}

static void leaving(void **state)
{
    (void)state;
    at_work(1);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    (void)about(1, FRAME_ASSIGN, 1, 8);
    files(1, PN_OK);
    trace[0] = '\0';
    (void)step((struct worker_event){.kind = WORKER_LEAVE});
    expect("1<back7 kill7 1<back8 1<enlist 0 ");
    (void)about(1, FRAME_ASSIGN, 1, 9);
    expect("1<back9 "); /* it crossed our leaving */
    assert_int_equal(worker_idle_slots(worker), 0);
}

/* The own job takes all places; others hear of it. */
static void the_own_job_first(void **state)
{
    (void)state;
    at_work(2);
    engage(2, 2, true);
    join_answer(2);
    vetted(2, PN_OK);
    enlist_answer(2);
    expect("2<join vet 2<enlist 2 ");
    (void)about(2, FRAME_ASSIGN, 2, 5);
    expect("fetch 1<enlist 0 1<idle0 ");
    files(2, PN_OK);
    ran(0, true);
    vote_answer(2, request, WORK_KEEP);
    expect("run5 2<started5 2<vote5 drop5 1<enlist 2 1<idle1 ");
}

/* What its own master was asked before that began anew may have gone to a core that was broken. */
static void the_own_master_begins_anew(void **state)
{
    (void)state;
    open_worker(1);
    engage(2, 2, true);
    const uint32_t earlier = request;
    engage(2, 2, true);
    expect("2<join 2<join ");
    join_answer(2);
    engage(2, 2, true);
    vetted(2, PN_OK);
    expect("vet 2<enlist 1 ");
    engage(2, 2, true);
    expect("2<enlist 1 ");
    enlist_answer(2);
    (void)about(2, FRAME_ASSIGN, 2, 5);
    files(2, PN_OK);
    expect("fetch run5 2<started5 ");
    engage(2, 2, true);
    engage(2, 2, true);
    expect("2<enlist 1+5 2<enlist 1+5 ");
    request = earlier; /* late, of the earlier core: it enlists nobody */
    enlist_answer(2);
    (void)about(2, FRAME_ASSIGN, 2, 6);
    expect("");
}

/* A frame may be lost for want of memory: the link to the own master does not break for that. */
static void the_own_master_is_asked_again(void **state)
{
    (void)state;
    open_worker(1);
    engage(2, 2, true);
    trace[0] = '\0';
    tick(worker_deadline_ms(worker));
    expect("2<join ");
    join_answer(2);
    vetted(2, PN_OK);
    trace[0] = '\0';
    tick(worker_deadline_ms(worker));
    expect("2<enlist 1 ");
}

/* A manifest that cannot be had just now costs nothing that is in hand; a wrong one does. */
static void papers_that_cannot_be_had(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct worker_event ev = {.kind = WORKER_RESTORED, .job = *job(1), .run = {{1}}};
        struct worker_result r = {.class = OUTCOME_EXITED};
        if (wrong) {
            tear_down(NULL);
        }
        open_worker(1);
        ev.result = &r;
        ev.slice = 7;
        (void)step(ev);
        tick(worker_deadline_ms(worker));
        engage(1, 1, false);
        join_answer(1);
        trace[0] = '\0';
        vetted(1, wrong ? PN_E_MISMATCH : PN_E_CLOSED);
        assert_string_equal(trace, wrong ? "drop7 left close " : "close ");
    }
}

static void nothing_lent_to_others(void **state)
{
    (void)state;
    at_work(0);
    (void)about(1, FRAME_ASSIGN, 1, 7);
    expect("1<back7 ");
}

/* Every allocation of a slice's way fails once: no crash, no leak. */
static void memory_runs_out_anywhere(void **state)
{
    (void)state;
    at_work(1);
    for (unsigned long n = 1; n < 40; n++) {
        tear_down(NULL);
        at_work(1);
        alloc_fail_at(n);
        (void)about(1, FRAME_ASSIGN, 1, 7);
        files(1, PN_OK);
        struct worker_stats stats;
        worker_stats(worker, &stats);
        if (stats.running_count > 0) {
            ran(0, true);
        }
        link_down(1);
        alloc_fail_never();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_way_of_a_slice),
        TEST(not_welcome),
        TEST(the_own_master_is_asked_again),
        TEST(papers_that_cannot_be_had),
        TEST(papers_out_of_order),
        TEST(files_that_cannot_be_had),
        TEST(what_is_called_off_dies),
        TEST(a_link_breaks),
        TEST(another_run_since),
        TEST(frames_of_the_past_are_handed_back),
        TEST(asked_again_for_what_is_kept),
        TEST(votes_wait_their_turn),
        TEST(a_master_gone_wrong),
        TEST(a_master_that_stays_away),
        TEST(an_idle_engagement_ends),
        TEST(leaving),
        TEST(the_own_job_first),
        TEST(the_own_master_begins_anew),
        TEST(nothing_lent_to_others),
        TEST(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
