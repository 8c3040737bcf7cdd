/*
 * worker_bed -- the worker's core and what is fed to it: what it sends and wants done, as text. One
 * job, whose number is its ID's first byte; a second one shares the places. Shared by the tests of
 * the worker.
 */
#ifndef PREON_TESTS_WORKER_BED_H
#define PREON_TESTS_WORKER_BED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/wire/hire.h"
#include "peer/worker/worker.h"
#include "tests/unit/alloc.h"
#include "tests/unit/trace.h"

static struct worker *worker;
static struct worker_actions actions;
static uint64_t now_ms;
static uint32_t request; /* of the last request it sent */
static uint8_t run_byte;

static inline enum pn_status no_signature(void *arg, const struct vote_claim *claim,
                                          struct signature *out)
{
    (void)arg;
    (void)claim;
    *out = (struct signature){{0}};
    return PN_OK;
}

static inline void open_worker(uint16_t slots)
{
    const struct worker_config config = {.slots = slots, .seed = 4, .sign = no_signature};
    worker = worker_new(&config);
    assert_non_null(worker);
    worker_actions_init(&actions);
    now_ms = 1000;
    run_byte = 1;
    trace[0] = '\0';
}

static inline int tear_down(void **state)
{
    (void)state;
    worker_free(worker);
    worker_actions_fini(&actions);
    return 0;
}

static inline void say_frame(const struct worker_action *x)
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

static inline enum pn_status step(struct worker_event ev)
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

static inline const struct digest *job(uint8_t number)
{
    static struct digest id;
    id = (struct digest){{number}};
    return &id;
}

static inline void engage(uint32_t link, uint8_t number, bool own)
{
    (void)step((struct worker_event){
        .kind = WORKER_ENGAGE, .link = link, .own = own, .peer = {{99}}, .job = *job(number)});
}

static inline enum pn_status receive(uint32_t link, struct buffer *b)
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
static inline struct buffer *fresh(void)
{
    static struct buffer b;
    buffer_init(&b, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    uint8_t *room = __real_malloc(4096);
    b.ptr = room;
    b.cap = 4096;
    return &b;
}

static inline void join_answer(uint32_t link)
{
    const struct work_join_answer a = {.run = {{run_byte}}};
    struct buffer *b = fresh();
    assert_int_equal(work_write_join_answer(request, &a, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static inline void vetted(uint8_t number, enum pn_status status)
{
    (void)step((struct worker_event){.kind = WORKER_VETTED, .job = *job(number), .status = status});
}

static inline void enlist_answer(uint32_t link)
{
    struct buffer *b = fresh();
    assert_int_equal(work_write_enlist_answer(request, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static inline enum pn_status about(uint32_t link, uint8_t type, uint8_t number, uint64_t slice)
{
    const struct work_attempt a = {*job(number), {{run_byte}}, slice, 100 + slice, 60};
    struct buffer *b = fresh();
    assert_int_equal(work_write_attempt(type, &a, b), PN_OK);
    return receive(link, b);
}

/* The link's master leads that job too. */
static inline void offer(uint32_t link, uint8_t number, enum pn_status status)
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

static inline void ended(uint32_t link, uint8_t number)
{
    const struct work_ended e = {*job(number), {{run_byte}}, 2};
    struct buffer *b = fresh();
    assert_int_equal(work_write_ended(&e, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static inline void vote_answer(uint32_t link, uint32_t of_request, enum work_disposition d)
{
    struct buffer *b = fresh();
    assert_int_equal(work_write_vote_answer(of_request, d, b), PN_OK);
    assert_int_equal(receive(link, b), PN_OK);
}

static inline void files(uint8_t number, enum pn_status status)
{
    (void)step((struct worker_event){
        .kind = WORKER_FILES, .job = *job(number), .status = status, .reason = WORK_NO_FILES});
}

static inline void ran(uint32_t place, bool whole)
{
    static struct worker_result r;
    r = (struct worker_result){.output_count = 1, .has_bytes = whole, .bytes = pn_bytes_str("a")};
    r.outputs[0].size = 1;
    r.bytes.len = whole ? 1 : 0;
    (void)step((struct worker_event){.kind = WORKER_RAN, .place = place, .result = &r});
}

static inline void link_down(uint32_t link)
{
    (void)step((struct worker_event){.kind = WORKER_LINK_DOWN, .link = link});
}

static inline void tick(uint64_t at_ms)
{
    now_ms = at_ms;
    (void)step((struct worker_event){.kind = WORKER_TICK});
}

static inline void at_work(uint16_t slots)
{
    open_worker(slots);
    engage(1, 1, false);
    join_answer(1);
    vetted(1, PN_OK);
    enlist_answer(1);
    trace[0] = '\0';
}

#endif
