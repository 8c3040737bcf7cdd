/* The master's core: who is given what, which votes count, what is written and told. */
#include "tests/unit/alloc.h"
#include "tests/unit/master_bed.h"

/* --- traces ----------------------------------------------------------------------------------- */

/* Acknowledged after the commit, final after the commit, ended after the commit of that. */
static void a_job_of_one_slice(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    expect("2<0 3<0 ");
    assert_int_equal(vote((struct ballot_paper){.link = 2, .says = 'a'}), PN_OK);
    expect("(vote) (output) ");
    committed(PN_OK);
    expect("2<keep ");
    assert_int_equal(vote((struct ballot_paper){.link = 3, .says = 'a'}), PN_OK);
    expect("(vote) (output) (final) ");
    committed(PN_OK);
    expect("(state) 3<keep 2<release0 3<release0 final! 2<ended 3<ended ");
    committed(PN_OK);
    expect("ended! ");
}

static void large_outputs_are_pulled_first(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<0 (vote) pull ");
    committed(PN_OK);
    expect("2<keep ");
    pulled(2, 0, PN_OK);
    expect("(output) (final) ");
}

/* The machine stops: what runs is called off, what is voted on stays with who voted. */
static void a_stop_is_no_end(void **state)
{
    (void)state;
    open_master(1, 3);
    start();
    (void)enlist(2, 2);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<0 2<1 2<2 (vote) pull ");
    committed(PN_OK);
    expect("2<keep ");
    (void)step((struct master_event){.kind = MASTER_STOP, .reason = "stopped"});
    expect("(state) 2<cancel2 2<cancel1 ");
    (void)vote((struct ballot_paper){.link = 2, .slice = 1, .says = 'a'});
    expect(""); /* its vote crossed the stop: neither kept here nor dropped there */
    committed(PN_OK);
    expect("ended! ");
}

/* One job less on a link that stays. */
static void a_worker_leaves_the_job(void **state)
{
    (void)state;
    open_master(1, 2);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    expect("2<0 2<1 ");
    assert_true(master_has_worker(master, 2));
    struct hire_leave leave = {.reason = HIRE_NOT_WELCOME, .job = {{9}}};
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    assert_int_equal(hire_write_leave(&leave, &b), PN_OK); /* another job: not ours */
    assert_int_equal(send_frame(2, &b), PN_OK);
    assert_true(master_has_worker(master, 2));
    b.len = 0;
    leave.job = config.job;
    assert_int_equal(hire_write_leave(&leave, &b), PN_OK);
    assert_int_equal(send_frame(2, &b), PN_OK);
    assert_false(master_has_worker(master, 2));
    expect("3<0 3<1 ");
    b.len = 0;
    assert_int_equal(hire_write_idle(3, &b), PN_OK);
    assert_int_equal(send_frame(2, &b), PN_OK); /* before it enlists: of no job in particular */
    buffer_fini(&b);
}

static void the_own_worker_is_missed_when_a_tie_is_to_be_broken(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    assert_false(master_wants_own(master));
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    (void)vote((struct ballot_paper){.link = 3, .says = 'b'});
    assert_true(master_wants_own(master));
    (void)enlist(1, 0);
    assert_false(master_wants_own(master));
    expect("2<0 3<0 (vote) (output) (vote) (output) 1<0 ");
}

/* The outputs cannot be had: who has them votes again over its next link, and they are pulled. */
static void a_pull_that_fails(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    committed(PN_OK);
    link_down(2);
    pulled(2, 0, PN_E_CLOSED);
    expect("2<0 (vote) pull 2<keep ");
    uint64_t number = given[2][0];
    (void)enlist(2, 1); /* it comes back with nothing: it is to make them again, as before */
    expect("2<0 ");
    assert_true(given[2][0] == number);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<keep pull ");
}

/* Cancelled and resumed while outputs were on their way: their arrival is not what a vote lacks. */
static void a_pull_of_before_a_resume(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<0 (vote) pull ");
    const struct record r = actions.records[0];
    reopen_master();
    assert_non_null(master);
    assert_int_equal(master_replay(master, &r), PN_OK);
    start();
    pulled(2, 0, PN_OK);
    expect("forget ");
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<0 2<keep pull ");
    pulled(2, 0, PN_OK);
    expect("(output) (final) ");
}

static void votes_that_do_not_count(void **state)
{
    (void)state;
    open_master(2, 2);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    expect("2<0 2<1 3<0 3<1 ");
    assert_int_equal(vote((struct ballot_paper){.link = 2, .says = 'a', .of_other_run = true}),
                     PN_E_MISMATCH);
    assert_int_equal(vote((struct ballot_paper){.link = 2, .says = 'a', .attempt = given[3][0]}),
                     PN_E_DENIED);
    assert_int_equal(vote((struct ballot_paper){.link = 2, .says = 'a', .attempt = 77}),
                     PN_E_DENIED);
    assert_int_equal(vote((struct ballot_paper){.link = 4, .says = 'a', .attempt = 77}),
                     PN_E_DENIED); /* not enlisted */
    expect("");
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    committed(PN_OK);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    expect("(vote) (output) 2<keep 2<keep "); /* the same vote again counts once */
    (void)vote((struct ballot_paper){.link = 2, .says = 'b'});
    expect("2<drop ");
}

/* Two say different things: the master runs the slice itself, and convicts who was wrong. */
static void a_dispute(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(1, 0);
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    (void)vote((struct ballot_paper){.link = 3, .says = 'b'});
    expect("2<0 3<0 (vote) (output) (vote) (output) 1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .says = 'b'});
    expect("(vote) (output) (final) (lie) 2<ended ");
}

/*
 * One own run convicts two. Slice 1 waits on what one of them and an honest worker say alike: it is
 * weighed when both are gone from it, and nothing is had from either.
 */
static void two_liars_at_once(void **state)
{
    (void)state;
    open_master(2, 2);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    link_down(2);
    (void)enlist(4, 1);
    expect("2<0 2<1 3<0 3<1 4<0 4<1 ");
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .slice = 1, .says = 'z', .big = true});
    (void)vote((struct ballot_paper){.link = 3, .slice = 1, .says = 'x', .big = true});
    (void)vote((struct ballot_paper){.link = 4, .slice = 1, .says = 'x', .big = true});
    expect("(vote) (vote) (vote) ");
    (void)vote((struct ballot_paper){.link = 2, .slice = 0, .says = 'p'});
    (void)vote((struct ballot_paper){.link = 3, .slice = 0, .says = 'q'});
    (void)enlist(1, 0);
    expect("(vote) (output) (vote) (output) 1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .slice = 0, .says = 'r'});
    expect("(vote) (output) (final) (lie) (lie) 2<ended 3<ended ");
    const struct open_slice *s = master_open_slice(master, 1);
    assert_int_equal(s->tally.count, 1);
    assert_int_equal(s->need, 1);
    assert_false(s->provisional);
}

/* What was pulled from a liar goes when the lie is durable: before, a crash would bring it back. */
static void the_files_of_a_liar(void **state)
{
    (void)state;
    open_master(1, 1);
    judge_proofs();
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    pulled(2, 0, PN_OK);
    committed(PN_OK);
    expect("2<0 (vote) pull (output) judge 2<keep ");
    (void)step((struct master_event){.kind = MASTER_JUDGED, .attempt = given[2][0]});
    expect("(lie) 2<ended ");
    committed(PN_OK);
    expect("lie! forget ");
}

/* Here, but not to be read: made once more, and pulled once more. */
static void outputs_that_cannot_be_read(void **state)
{
    (void)state;
    open_master(1, 1);
    judge_proofs();
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    expect("2<0 (vote) (output) judge ");
    (void)step((struct master_event){
        .kind = MASTER_JUDGED, .attempt = given[2][0], .status = PN_E_SYSTEM});
    now_ms += 60 * 1000;
    (void)step((struct master_event){.kind = MASTER_TICK});
    expect("2<0 ");
}

static void a_failed_slice_needs_two(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = '!'});
    (void)vote((struct ballot_paper){.link = 3, .says = '!'});
    expect("2<0 3<0 (vote) (vote) (final) ");
    committed(PN_OK);
    struct master_stats stats;
    master_stats(master, &stats);
    assert_int_equal(stats.failed_count, 1);
}

/* Who asked for the lowest is not told one that may not be it: the failed one may hold another. */
static void a_failed_slice_below_the_answer(void **state)
{
    (void)state;
    for (int restarted = 0; restarted < 2; restarted++) {
        open_master(1, 2);
        config.rule.proof = true;
        config.judged = true;
        config.search = true;
        config.stop = STOP_LOWEST;
        reopen_master();
        struct record failed = {.kind = RECORD_FINAL, .final = {.class = OUTCOME_NO_START}};
        const struct record answer = {
            .kind = RECORD_FINAL, .final = {.slice = 1, .class = OUTCOME_EXITED, .answer = true}};
        assert_int_equal(master_replay(master, &answer), PN_OK);
        if (restarted == 1) {
            assert_int_equal(master_replay(master, &failed), PN_OK);
        }
        start();
        if (restarted == 0) {
            (void)enlist(2, 1);
            (void)enlist(3, 1);
            (void)vote((struct ballot_paper){.link = 2, .says = '!'});
            (void)vote((struct ballot_paper){.link = 3, .says = '!'});
            committed(PN_OK);
        }
        assert_int_equal(actions.record_count, 1);
        assert_int_equal(actions.records[0].job_state.state, JOB_FAILED);
        if (restarted == 0) {
            (void)tear_down(NULL);
        }
    }
}

/* After a commit that failed nothing is answered, written or given out. */
static void the_ledger_fails(void **state)
{
    (void)state;
    open_master(2, 2);
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    committed(PN_E_SYSTEM);
    expect("2<0 2<1 (vote) (output) broken! ");
    committed(PN_OK);
    (void)vote((struct ballot_paper){.link = 2, .slice = 1, .says = 'a'});
    (void)enlist(3, 1);
    expect("");
    assert_true(master_deadline_ms(master) == UINT64_MAX);
    assert_int_equal(master_demand(master), 0);
}

static void who_gives_up_rests(void **state)
{
    (void)state;
    open_master(1, 3);
    start();
    (void)enlist(2, 1);
    (void)give_up(2, 0, WORK_CANNOT_RUN);
    (void)give_up(2, 1, WORK_CANNOT_RUN);
    expect("2<0 2<1 "); /* and not 2 at once */
    (void)enlist(3, 1);
    expect("3<2 "); /* 0 and 1 rest too */
    (void)give_up(3, 2, WORK_LEAVING);
    expect(""); /* who leaves gets nothing more */
    assert_int_equal(master_demand(master), 1);
}

/* Takes, gives back and asks again: it is given nothing before it has rested, longer each time. */
static void who_leaves_and_returns_rests(void **state)
{
    (void)state;
    open_master(1, 2);
    start();
    (void)enlist(2, 1);
    expect("2<0 2<1 ");
    (void)give_up(2, 0, WORK_LEAVING);
    (void)give_up(2, 1, WORK_LEAVING);
    (void)enlist(2, 1);
    ticks(1);
    expect("");
    ticks(2);
    expect("2<0 2<1 ");
}

/* What a worker says that has just left the job: the link has others. */
static void a_report_that_crosses_a_leave(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    assert_int_equal(give_up(2, 0, WORK_LEAVING), PN_OK);
    assert_int_equal(vote((struct ballot_paper){.link = 2, .says = 'a'}), PN_E_DENIED);
}

static uint32_t checked_count;

static bool counted_signature(const struct public_key *key, const struct vote_claim *claim,
                              const struct signature *signature)
{
    checked_count++;
    return any_signature(key, claim, signature);
}

/* What is said again of a closed slice is dropped before anything is computed. */
static void a_vote_on_what_is_final_costs_nothing(void **state)
{
    (void)state;
    open_master(1, 2);
    config.check_vote = counted_signature;
    reopen_master();
    start();
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    committed(PN_OK);
    checked_count = 0;
    trace[0] = '\0';
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    expect("2<drop ");
    assert_int_equal(checked_count, 0);
}

/* A newer link of the same worker: what it does not bring along is given out again. */
static void a_worker_comes_back_unnoticed(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(2, 1);
    expect("2<0 ");
    struct buffer b;
    static struct work_enlist e;
    e = (struct work_enlist){.run = config.run, .key = {{2}}, .slots = 1};
    buffer_init(&b, FRAME_BODY_MAX);
    assert_int_equal(work_write_enlist(1, &e, &b), PN_OK);
    struct frame f;
    size_t used;
    size_t need;
    assert_int_equal(frame_parse(buffer_bytes(&b), FRAME_BODY_MAX, &f, &used, &need, NULL), PN_OK);
    struct master_event ev = {.kind = MASTER_FRAME, .link = 5, .prefix = 2, .frame = &f};
    public_key_peer_id(&e.key, &ev.peer);
    assert_int_equal(step(ev), PN_OK);
    buffer_fini(&b);
    expect("close 5<0 ");
}

static void demand_counts_what_those_who_are_here_cannot_take(void **state)
{
    (void)state;
    open_master(2, 2);
    start();
    assert_int_equal(master_demand(master), 2);
    (void)enlist(2, 4);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    assert_int_equal(master_demand(master), 2); /* it has 4 slots, and may vote once */
}

/* A short-handed master waits ten seconds for voters and then votes itself. */
static void the_voter_of_last_resort(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(1, 0);
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    expect("2<0 (vote) (output) ");
    for (int i = 0; i < 11; i++) {
        now_ms += 1000;
        expect("");
        (void)step((struct master_event){.kind = MASTER_TICK});
    }
    expect("1<0 ");
}

static void records_bring_everything_back(void **state)
{
    (void)state;
    open_master(2, 2);
    struct record r = {.kind = RECORD_VOTE};
    const struct public_key key = {{2}};
    public_key_peer_id(&key, &r.vote.worker);
    r.vote.worker_key = key;
    r.vote.prefix = 2;
    r.vote.attempt = 55;
    assert_int_equal(master_replay(master, &r), PN_OK);
    r = (struct record){.kind = RECORD_FINAL, .final = {.slice = 1, .class = OUTCOME_EXITED}};
    assert_int_equal(master_replay(master, &r), PN_OK);
    start();
    assert_true(master_slice_final(master, 1));
    assert_int_equal(master_open_slice(master, 0)->need, 1);
    (void)enlist(2, 2);
    expect(""); /* it has voted on the one that is left */
    (void)enlist(3, 2);
    expect("3<0 ");
}

/* Every allocation of a whole job fails once: no crash, no leak, nothing acknowledged that was not
 * handed to the ledger. */
static void memory_runs_out_anywhere(void **state)
{
    (void)state;
    open_master(1, 1); /* for tear_down */
    for (unsigned long n = 1; n < 60; n++) {
        tear_down(NULL);
        open_master(1, 2);
        start();
        alloc_fail_at(n);
        (void)enlist(2, 2);
        (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
        (void)vote((struct ballot_paper){.link = 2, .slice = 1, .says = 'a', .big = true});
        alloc_fail_never();
        assert_true(strstr(trace, "keep") == NULL);
        committed(PN_OK);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_job_of_one_slice),
        TEST(large_outputs_are_pulled_first),
        TEST(a_stop_is_no_end),
        TEST(a_worker_leaves_the_job),
        TEST(the_own_worker_is_missed_when_a_tie_is_to_be_broken),
        TEST(a_pull_that_fails),
        TEST(a_pull_of_before_a_resume),
        TEST(votes_that_do_not_count),
        TEST(a_dispute),
        TEST(two_liars_at_once),
        TEST(the_files_of_a_liar),
        TEST(outputs_that_cannot_be_read),
        TEST(a_failed_slice_needs_two),
        TEST(a_failed_slice_below_the_answer),
        TEST(the_ledger_fails),
        TEST(who_gives_up_rests),
        TEST(who_leaves_and_returns_rests),
        TEST(a_report_that_crosses_a_leave),
        TEST(a_vote_on_what_is_final_costs_nothing),
        TEST(a_worker_comes_back_unnoticed),
        TEST(demand_counts_what_those_who_are_here_cannot_take),
        TEST(the_voter_of_last_resort),
        TEST(records_bring_everything_back),
        TEST(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
