/*
 * The worker's core, event by event: what it sends and wants done, as text. One job, whose number
 * is its ID's first byte; a second one shares the places.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/wire/hire.h"
#include "peer/worker/worker.h"
#include "tests/unit/alloc.h"

static struct worker *worker;
static struct worker_actions actions;
static uint64_t now_ms;
static uint32_t request; /* of the last request it sent */
static uint8_t run_byte;
static char trace[8192];

static enum pn_status no_signature(void *arg, const struct vote_claim *claim, struct signature *out)
{
    (void)arg;
    (void)claim;
    *out = (struct signature){{0}};
    return PN_OK;
}

static void open_worker(uint16_t slots)
{
    const struct worker_config config = {.slots = slots, .seed = 4, .sign = no_signature};
    worker = worker_new(&config);
    assert_non_null(worker);
    worker_actions_init(&actions);
    now_ms = 1000;
    run_byte = 1;
    trace[0] = '\0';
}

static int tear_down(void **state)
{
    (void)state;
    worker_free(worker);
    worker_actions_fini(&actions);
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

static void say_frame(const struct worker_action *x)
{
    static struct work_enlist e;
    static struct work_vote v;
    struct work_attempt a;
    struct work_give_up g;
    struct hire_leave l;
    enum hire_reply reply;
    uint16_t slots;
    struct frame f;
    size_t used;
    size_t need;
    assert_int_equal(
        frame_parse(worker_action_frame(&actions, x), FRAME_BODY_MAX, &f, &used, &need, NULL),
        PN_OK);
    request = f.request != 0 && f.type != FRAME_OFFER ? f.request : request;
    switch (f.type) {
    case FRAME_JOIN:
        say("%u<join ", x->link);
        break;
    case FRAME_ENLIST:
        assert_int_equal(work_parse_enlist(f.body, &e, NULL), PN_OK);
        say("%u<enlist %u", x->link, e.slots);
        for (uint16_t i = 0; i < e.held_count; i++) {
            say("+%llu", (unsigned long long)e.held[i].slice);
        }
        say(" ");
        break;
    case FRAME_STARTED:
        assert_int_equal(work_parse_attempt(f.type, f.body, &a, NULL), PN_OK);
        say("%u<started%llu ", x->link, (unsigned long long)a.slice);
        break;
    case FRAME_VOTE:
        assert_int_equal(work_parse_vote(f.body, &v, NULL), PN_OK);
        say("%u<vote%llu ", x->link, (unsigned long long)v.what.slice);
        break;
    case FRAME_GIVE_UP:
        assert_int_equal(work_parse_give_up(f.body, &g, NULL), PN_OK);
        say("%u<back%llu ", x->link, (unsigned long long)g.what.slice);
        break;
    case FRAME_IDLE:
        assert_int_equal(hire_parse_idle(f.body, &slots, NULL), PN_OK);
        say("%u<idle%u ", x->link, slots);
        break;
    case FRAME_OFFER:
        assert_int_equal(hire_parse_reply(f.body, &reply, NULL), PN_OK);
        say("%u<%s ", x->link,
            reply == HIRE_TAKE    ? "take"
            : reply == HIRE_NEVER ? "never"
                                  : "not-now");
        break;
    case FRAME_LEAVE:
        assert_int_equal(hire_parse_leave(f.body, &l, NULL), PN_OK);
        say("%u<leave%u-%u ", x->link, l.job.b[0], l.reason);
        break;
    default:
        say("%u<frame%u ", x->link, f.type);
        break;
    }
}

static enum pn_status step(struct worker_event ev)
{
    static const char *const kinds[] = {
        [WORKER_DO_SEND] = "",        [WORKER_DO_CLOSE] = "close", [WORKER_DO_DIAL] = "dial",
        [WORKER_DO_VET] = "vet",      [WORKER_DO_FETCH] = "fetch", [WORKER_DO_RUN] = "run",
        [WORKER_DO_KILL] = "kill",    [WORKER_DO_DROP] = "drop",   [WORKER_TELL_LEFT] = "left",
        [WORKER_TELL_HIRED] = "hired"};
    ev.now_ms = now_ms;
    enum pn_status status = worker_step(worker, &ev, &actions, NULL);
    for (size_t i = 0; i < actions.count; i++) {
        const struct worker_action *x = &actions.list[i];
        if (x->kind == WORKER_DO_SEND) {
            say_frame(x);
        } else if (x->kind == WORKER_DO_RUN || x->kind == WORKER_DO_KILL ||
                   x->kind == WORKER_DO_DROP) {
            say("%s%llu ", kinds[x->kind], (unsigned long long)x->slice);
        } else {
            say("%s ", kinds[x->kind]);
        }
    }
    return status;
}

static const struct digest *job(uint8_t number)
{
    static struct digest id;
    id = (struct digest){{number}};
    return &id;
}

static void engage(uint32_t link, uint8_t number, bool own)
{
    (void)step((struct worker_event){
        .kind = WORKER_ENGAGE, .link = link, .own = own, .job = *job(number)});
}

static enum pn_status receive(uint32_t link, struct buffer *b)
{
    struct frame f;
    size_t used;
    size_t need;
    assert_int_equal(frame_parse(buffer_bytes(b), FRAME_BODY_MAX, &f, &used, &need, NULL), PN_OK);
    enum pn_status status =
        step((struct worker_event){.kind = WORKER_FRAME, .link = link, .frame = &f});
    buffer_fini(b);
    return status;
}

/* What the test itself allocates does not fail. */
static struct buffer *fresh(void)
{
    static struct buffer b;
    buffer_init(&b, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    uint8_t *room = __real_malloc(4096);
    b.ptr = room;
    b.cap = 4096;
    return &b;
}

static void join_answer(uint32_t link)
{
    const struct work_join_answer a = {.run = {{run_byte}}};
    struct buffer *b = fresh();
    assert_int_equal(work_write_join_answer(request, &a, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static void vetted(uint8_t number, enum pn_status status)
{
    (void)step((struct worker_event){.kind = WORKER_VETTED, .job = *job(number), .status = status});
}

static void enlist_answer(uint32_t link)
{
    struct buffer *b = fresh();
    assert_int_equal(work_write_enlist_answer(request, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static enum pn_status about(uint32_t link, uint8_t type, uint8_t number, uint64_t slice)
{
    const struct work_attempt a = {*job(number), {{run_byte}}, slice, 100 + slice, 60};
    struct buffer *b = fresh();
    assert_int_equal(work_write_attempt(type, &a, b), PN_OK);
    return receive(link, b);
}

/* The link's master leads that job too. */
static void offer(uint32_t link, uint8_t number, enum pn_status status)
{
    struct frame f;
    size_t used;
    size_t need;
    struct buffer *b = fresh();
    assert_int_equal(hire_write_offer(77, job(number), b), PN_OK);
    assert_int_equal(frame_parse(buffer_bytes(b), FRAME_BODY_MAX, &f, &used, &need, NULL), PN_OK);
    assert_int_equal(step((struct worker_event){
                         .kind = WORKER_FRAME, .link = link, .frame = &f, .status = status}),
                     PN_OK);
    buffer_fini(b);
}

static void ended(uint32_t link, uint8_t number)
{
    const struct work_ended e = {*job(number), {{run_byte}}, 2};
    struct buffer *b = fresh();
    assert_int_equal(work_write_ended(&e, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static void vote_answer(uint32_t link, uint32_t of_request, enum work_disposition d)
{
    struct buffer *b = fresh();
    assert_int_equal(work_write_vote_answer(of_request, d, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static void files(uint8_t number, enum pn_status status)
{
    (void)step((struct worker_event){
        .kind = WORKER_FILES, .job = *job(number), .status = status, .reason = WORK_NO_FILES});
}

static void ran(uint32_t place, bool whole)
{
    static struct worker_result r;
    r = (struct worker_result){.output_count = 1, .has_bytes = whole, .bytes = pn_bytes_str("a")};
    r.outputs[0].size = 1;
    r.bytes.len = whole ? 1 : 0;
    (void)step((struct worker_event){.kind = WORKER_RAN, .place = place, .result = &r});
}

static void link_down(uint32_t link)
{
    (void)step((struct worker_event){.kind = WORKER_LINK_DOWN, .link = link});
}

static void tick(uint64_t at_ms)
{
    now_ms = at_ms;
    (void)step((struct worker_event){.kind = WORKER_TICK});
}

static void at_work(uint16_t slots)
{
    open_worker(slots);
    engage(1, 1, false);
    join_answer(1);
    vetted(1, PN_OK);
    enlist_answer(1);
    trace[0] = '\0';
}

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
    expect("2<join 2<idle1 2<enlist 2+7+8 "); /* vetted already */
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
        TEST(outputs_outlive_a_restart),
        TEST(what_a_restart_left_and_nobody_wants),
        TEST(another_job_of_a_linked_master),
        TEST(a_bond_outlives_its_job_for_a_while),
        TEST(what_cannot_be_taken),
        TEST(a_refused_job_costs_no_link),
        TEST(nothing_lent_to_others),
        TEST(memory_runs_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
