/*
 * The master's core, event by event: what it sends, writes and tells, as text. Links are workers: 1
 * is the master's own. Signatures are not what is tested here: every one is right.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/master/master.h"
#include "peer/wire/hire.h"
#include "tests/unit/alloc.h"

enum { LINKS = 6, SLICES = 40 };

static struct master *master;
static struct master_actions actions;
static struct master_config config;
static uint64_t now_ms;
static uint64_t given[LINKS][SLICES]; /* the attempt that a link was last given of a slice */
static uint64_t last_seq;
static char trace[4096];
static const char *const output_names[] = {"out"};

static bool any_signature(const struct public_key *key, const struct vote_claim *claim,
                          const struct signature *signature)
{
    (void)key;
    (void)claim;
    (void)signature;
    return true;
}

static void open_master(uint8_t quorum, uint32_t slice_count)
{
    config = (struct master_config){.slice_count = slice_count,
                                    .output_names = output_names,
                                    .output_count = 1,
                                    .output_bytes_max = 1 << 20,
                                    .time_limit_s = 120,
                                    .rule = {.quorum = quorum},
                                    .own_can_run = true,
                                    .check_vote = any_signature,
                                    .seed = 1};
    config.run.b[0] = 9;
    master = master_new(&config);
    assert_non_null(master);
    master_actions_init(&actions);
    memset(given, 0, sizeof given);
    now_ms = 1000;
    last_seq = 0;
    trace[0] = '\0';
}

static int tear_down(void **state)
{
    (void)state;
    master_free(master);
    master_actions_fini(&actions);
    return 0;
}

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t len = strlen(trace);
    (void)vsnprintf(trace + len, sizeof trace - len, format, args);
    va_end(args);
}

static void expect(const char *text)
{
    assert_string_equal(trace, text);
    trace[0] = '\0';
}

static void say_frame(const struct master_action *x)
{
    struct frame f;
    size_t used;
    size_t need;
    struct work_attempt a;
    enum work_disposition d;
    assert_int_equal(
        frame_parse(master_action_frame(&actions, x), FRAME_BODY_MAX, &f, &used, &need, NULL),
        PN_OK);
    if (f.type == FRAME_VOTE) {
        assert_int_equal(work_parse_vote_answer(f.body, &d, NULL), PN_OK);
        say("%u<%s ", x->link, d == WORK_KEEP ? "keep" : "drop");
    } else if (f.type == FRAME_ENDED) {
        say("%u<ended ", x->link);
    } else if (f.type != FRAME_ENLIST && f.type != FRAME_JOIN) {
        assert_int_equal(work_parse_attempt(f.type, f.body, &a, NULL), PN_OK);
        say("%u<%s%llu ", x->link,
            f.type == FRAME_ASSIGN   ? ""
            : f.type == FRAME_CANCEL ? "cancel"
                                     : "release",
            (unsigned long long)a.slice);
        given[x->link][a.slice] = f.type == FRAME_ASSIGN ? a.attempt : given[x->link][a.slice];
    }
}

static void say_actions(void)
{
    static const char *const records[] = {[RECORD_VOTE] = "vote",
                                          [RECORD_OUTPUT] = "output",
                                          [RECORD_FINAL] = "final",
                                          [RECORD_LIE] = "lie",
                                          [RECORD_JOB_STATE] = "state"};
    static const char *const kinds[] = {
        [MASTER_DO_SEND] = "",           [MASTER_DO_CLOSE] = "close",
        [MASTER_DO_PULL] = "pull",       [MASTER_DO_JUDGE] = "judge",
        [MASTER_DO_RELEASE] = "forget",  [MASTER_TELL_FINAL] = "final!",
        [MASTER_TELL_LIE] = "lie!",      [MASTER_TELL_ENDED] = "ended!",
        [MASTER_TELL_BROKEN] = "broken!"};
    for (size_t i = 0; i < actions.record_count; i++) {
        say("(%s) ", records[actions.records[i].kind]);
    }
    for (size_t i = 0; i < actions.count; i++) {
        if (actions.list[i].kind == MASTER_DO_SEND) {
            say_frame(&actions.list[i]);
        } else {
            say("%s ", kinds[actions.list[i].kind]);
        }
    }
    last_seq = actions.record_count > 0 ? actions.seq : last_seq;
}

static enum pn_status step(struct master_event ev)
{
    ev.now_ms = now_ms;
    enum pn_status status = master_step(master, &ev, &actions, NULL);
    say_actions();
    return status;
}

static void start(void) { (void)step((struct master_event){.kind = MASTER_START}); }

static enum pn_status send_frame(uint32_t link, const struct buffer *b)
{
    struct frame f;
    size_t used;
    size_t need;
    struct master_event ev = {.kind = MASTER_FRAME, .link = link, .own = link == 1, .frame = &f};
    const struct public_key key = {{(uint8_t)link}};
    public_key_peer_id(&key, &ev.peer);
    ev.prefix = link == 1 ? 0 : link;
    assert_int_equal(frame_parse(buffer_bytes(b), FRAME_BODY_MAX, &f, &used, &need, NULL), PN_OK);
    return step(ev);
}

/* What the test itself allocates does not fail. */
static unsigned long alloc_pause(void)
{
    unsigned long left = alloc_left;
    alloc_left = 0;
    return left;
}

static enum pn_status enlist(uint32_t link, uint16_t slots)
{
    static struct work_enlist e;
    struct buffer b;
    e = (struct work_enlist){.run = config.run, .key = {{(uint8_t)link}}, .slots = slots};
    buffer_init(&b, FRAME_BODY_MAX);
    unsigned long left = alloc_pause();
    assert_int_equal(work_write_enlist(1, &e, &b), PN_OK);
    alloc_left = left;
    enum pn_status status = send_frame(link, &b);
    buffer_fini(&b);
    return status;
}

struct ballot_paper {
    uint32_t link;
    uint64_t slice;
    char says; /* '!': exit 1 */
    bool big;  /* outputs too large to ride along */
    bool of_other_run;
    uint32_t wall_ms;
    uint64_t attempt; /* 0: the one given */
};

static enum pn_status vote(struct ballot_paper p)
{
    struct work_vote v = {
        .what = {.run = config.run, .slice = p.slice}, .code = p.says == '!', .wall_ms = p.wall_ms};
    v.what.attempt = p.attempt != 0 ? p.attempt : given[p.link][p.slice];
    v.what.run.b[1] = p.of_other_run;
    struct output out = {"out", p.big ? 100000 : 1, {{0}}};
    if (p.says != '!') {
        struct digest leaf;
        hash_leaf((struct pn_bytes){(const uint8_t *)&p.says, 1}, &leaf);
        hash_root(out.size, &leaf, &out.root);
        v.output_count = 1;
        v.outputs[0] = (struct work_output){0, out.size, out.root};
        v.has_bytes = !p.big;
        v.bytes = (struct pn_bytes){(const uint8_t *)&p.says, p.big ? 0 : 1};
    }
    hash_outputs(v.class, v.code, &out, v.output_count, &v.outputs_hash);
    struct buffer b;
    buffer_init(&b, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    unsigned long left = alloc_pause();
    assert_int_equal(work_write_vote(5, &v, &b), PN_OK);
    alloc_left = left;
    enum pn_status status = send_frame(p.link, &b);
    buffer_fini(&b);
    return status;
}

static void give_up(uint32_t link, uint64_t slice, enum work_reason reason)
{
    const struct work_give_up g = {
        .what = {.run = config.run, .slice = slice, .attempt = given[link][slice]},
        .reason = reason};
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    assert_int_equal(work_write_give_up(&g, &b), PN_OK);
    assert_int_equal(send_frame(link, &b), PN_OK);
    buffer_fini(&b);
}

static void committed(enum pn_status status)
{
    (void)step((struct master_event){.kind = MASTER_COMMITTED, .seq = last_seq, .status = status});
}

static void pulled(uint32_t link, uint64_t slice, enum pn_status status)
{
    (void)step((struct master_event){
        .kind = MASTER_PULLED, .slice = slice, .attempt = given[link][slice], .status = status});
}

static void link_down(uint32_t link)
{
    (void)step((struct master_event){.kind = MASTER_LINK_DOWN, .link = link});
}

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
    master_free(master);
    master = master_new(&config);
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
    give_up(2, 0, WORK_CANNOT_RUN);
    give_up(2, 1, WORK_CANNOT_RUN);
    expect("2<0 2<1 "); /* and not 2 at once */
    (void)enlist(3, 1);
    expect("3<2 "); /* 0 and 1 rest too */
    give_up(3, 2, WORK_LEAVING);
    expect(""); /* who leaves gets nothing more */
    assert_int_equal(master_demand(master), 1);
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

static void ticks(int seconds);

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
        expect("(state) 2<release0 3<release0 final! 2<ended 3<ended ");
        pulled(5 - first, 0, PN_OK);
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

static void ticks(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        now_ms += 1000;
        (void)step((struct master_event){.kind = MASTER_TICK});
    }
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

/* Three slots are hired, some of workers that have more: these must not run what is given ahead. */
static void hired_slots_are_a_limit(void **state)
{
    (void)state;
    open_master(1, 8);
    config.slots_max = 3;
    master_free(master);
    master = master_new(&config);
    start();
    (void)enlist(2, 1);
    expect("2<0 2<1 "); /* one place, and one slice ahead */
    (void)enlist(3, 4);
    expect("3<2 3<3 ");
    (void)enlist(4, 4);
    expect("");
    (void)vote((struct ballot_paper){.link = 3, .slice = 2, .says = 'a'});
    expect("(vote) (output) (final) 3<4 ");
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
    master_free(master);
    master = master_new(&config);
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
    master_free(master);
    master = master_new(&config);
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
        TEST(a_failed_slice_needs_two),
        TEST(the_ledger_fails),
        TEST(who_gives_up_rests),
        TEST(a_worker_comes_back_unnoticed),
        TEST(demand_counts_what_those_who_are_here_cannot_take),
        TEST(a_newcomer_gets_a_few_slices),
        TEST(who_hoards_is_helped),
        TEST(outputs_that_drip),
        TEST(what_drips_may_fail),
        TEST(the_voter_of_last_resort),
        TEST(hired_slots_are_a_limit),
        TEST(a_claimed_time_is_not_believed),
        TEST(a_timeout_outlives_its_master),
        TEST(no_timeout_no_records),
        TEST(records_bring_everything_back),
        TEST(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
