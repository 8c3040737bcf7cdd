/*
 * master_bed -- a master's core, event by event: what it sends, writes and tells, as text. Links
 * are workers: 1 is the master's own. Signatures are not what is tested here: every one is right.
 */
#ifndef PREON_TESTS_MASTER_BED_H
#define PREON_TESTS_MASTER_BED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/master/master.h"
#include "peer/wire/hire.h"
#include "tests/unit/alloc.h"
#include "tests/unit/trace.h"

enum { LINKS = 6, SLICES = 40 };

static struct master *master;
static struct master_actions actions;
static struct master_config config;
static uint64_t now_ms;
static uint64_t given[LINKS][SLICES]; /* the attempt that a link was last given of a slice */
static uint64_t last_seq;
static const char *const output_names[] = {"out"};

static inline bool any_signature(const struct public_key *key, const struct vote_claim *claim,
                                 const struct signature *signature)
{
    (void)key;
    (void)claim;
    (void)signature;
    return true;
}

static inline void open_master(uint8_t quorum, uint32_t slice_count)
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

/* Begins anew with what the test has changed in config. */
static inline void reopen_master(void)
{
    master_free(master);
    master = master_new(&config);
    assert_non_null(master);
}

/* The job's program proves its own work, and what it proves is judged. */
static inline void judge_proofs(void)
{
    config.rule.proof = true;
    config.judged = true;
    reopen_master();
}

static inline int tear_down(void **state)
{
    (void)state;
    master_free(master);
    master_actions_fini(&actions);
    return 0;
}

static inline void say_frame(const struct master_action *x)
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

static inline void say_actions(void)
{
    static const char *const records[] = {[RECORD_VOTE] = "vote",
                                          [RECORD_OUTPUT] = "output",
                                          [RECORD_FINAL] = "final",
                                          [RECORD_LIE] = "lie",
                                          [RECORD_JOB_STATE] = "state"};
    static const char *const kinds[] = {
        [MASTER_DO_SEND] = "",          [MASTER_DO_CLOSE] = "close",
        [MASTER_DO_PULL] = "pull",      [MASTER_DO_UNPULL] = "unpull",
        [MASTER_DO_JUDGE] = "judge",    [MASTER_DO_RELEASE] = "forget",
        [MASTER_TELL_FINAL] = "final!", [MASTER_TELL_LIE] = "lie!",
        [MASTER_TELL_ENDED] = "ended!", [MASTER_TELL_BROKEN] = "broken!"};
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

static inline enum pn_status step(struct master_event ev)
{
    ev.now_ms = now_ms;
    enum pn_status status = master_step(master, &ev, &actions, NULL);
    say_actions();
    return status;
}

static inline void start(void) { (void)step((struct master_event){.kind = MASTER_START}); }

static inline enum pn_status send_frame(uint32_t link, const struct buffer *b)
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
static inline unsigned long alloc_pause(void)
{
    unsigned long left = alloc_left;
    alloc_left = 0;
    return left;
}

static inline enum pn_status enlist(uint32_t link, uint16_t slots)
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
    bool no_program; /* on its machine */
    uint32_t wall_ms;
    uint64_t attempt; /* 0: the one given */
};

static inline enum pn_status vote(struct ballot_paper p)
{
    struct work_vote v = {
        .what = {.run = config.run, .slice = p.slice}, .code = p.says == '!', .wall_ms = p.wall_ms};
    v.what.attempt = p.attempt != 0 ? p.attempt : given[p.link][p.slice];
    v.what.run.b[1] = p.of_other_run;
    if (p.no_program) {
        v.class = OUTCOME_NO_START;
        v.code = OUTCOME_NO_START_NOT_FOUND;
    }
    struct output out = {"out", p.big ? 100000 : 1, {{0}}};
    if (p.says != '!' && !p.no_program) {
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

static inline enum pn_status give_up(uint32_t link, uint64_t slice, enum work_reason reason)
{
    const struct work_give_up g = {
        .what = {.run = config.run, .slice = slice, .attempt = given[link][slice]},
        .reason = reason};
    struct buffer b;
    buffer_init(&b, FRAME_BODY_MAX);
    assert_int_equal(work_write_give_up(&g, &b), PN_OK);
    enum pn_status status = send_frame(link, &b);
    buffer_fini(&b);
    return status;
}

static inline void committed(enum pn_status status)
{
    (void)step((struct master_event){.kind = MASTER_COMMITTED, .seq = last_seq, .status = status});
}

static inline void pulled(uint32_t link, uint64_t slice, enum pn_status status)
{
    (void)step((struct master_event){
        .kind = MASTER_PULLED, .slice = slice, .attempt = given[link][slice], .status = status});
}

static inline void ticks(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        now_ms += 1000;
        (void)step((struct master_event){.kind = MASTER_TICK});
    }
}

static inline void link_down(uint32_t link)
{
    (void)step((struct master_event){.kind = MASTER_LINK_DOWN, .link = link});
}

#endif
