/*
 * invariants -- what must hold after every step, written down without looking at how the cores do
 * it: from the frames that leave, the disk as a crash would leave it, and the truth.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/heap.h"
#include "peer/master/master_internal.h"
#include "tests/sim/sim.h"

enum { ISSUED_MAX = 4096, ASKED_MAX = 4096, ACTIONS_MAX = 10000 };

struct issued {
    uint64_t slice;
    uint64_t attempt;
    uint32_t node;
};

struct asked {
    uint32_t link;
    uint32_t request;
    uint64_t slice;
    uint64_t attempt;
};

struct sim_watch {
    struct issued *issued; /* every ASSIGN, over all lives of the master */
    size_t issued_count, issued_cap;
    struct asked asked[ASKED_MAX]; /* VOTE requests, the latest ones */
    size_t asked_count;
    struct record_final *told; /* by slice; attempt and basis 0: not told final yet */
    bool *is_told;
    uint64_t runs; /* by workers */
};

bool sim_watch_new(struct sim_master *m)
{
    struct sim_watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return false;
    }
    w->told = calloc(m->config.slice_count, sizeof *w->told);
    w->is_told = calloc(m->config.slice_count, sizeof *w->is_told);
    m->watch = w;
    return w->told != NULL && w->is_told != NULL;
}

void sim_watch_free(struct sim_master *m)
{
    if (m->watch != NULL) {
        free(m->watch->issued);
        free(m->watch->told);
        free(m->watch->is_told);
        free(m->watch);
        m->watch = NULL;
    }
}

#define REQUIRE(fact, ...)                                                                         \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            sim_fail(s, __VA_ARGS__);                                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define LLU(x) ((unsigned long long)(x))

static const struct sim_node *node_of_peer(const struct sim *s, const struct digest *peer)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (digest_equal(&s->nodes[i].peer, peer)) {
            return &s->nodes[i];
        }
    }
    return NULL;
}

/* --- frames ----------------------------------------------------------------------------------- */

void sim_watch_vote(struct sim *s, struct sim_master *m, const struct sim_link *l,
                    const struct frame *f)
{
    (void)s;
    struct work_vote v;
    if (f->type == FRAME_VOTE && work_parse_vote(f->body, &v, NULL) == PN_OK) {
        struct sim_watch *w = m->watch;
        w->asked[w->asked_count++ % ASKED_MAX] =
            (struct asked){l->id, f->request, v.what.slice, v.what.attempt};
    }
}

/* "Keep" is a promise: the vote is on the disk as a crash now would leave it. */
static void check_ack(struct sim *s, struct sim_master *m, uint32_t link, const struct frame *f)
{
    enum work_disposition d;
    enum pn_status status = work_parse_vote_answer(f->body, &d, NULL);
    REQUIRE(status == PN_OK, "master %u: a vote answer that does not parse", m->job);
    const struct sim_watch *w = m->watch;
    size_t count = w->asked_count < ASKED_MAX ? w->asked_count : ASKED_MAX;
    for (size_t i = 0; i < count && d == WORK_KEEP; i++) {
        const struct asked *a = &w->asked[(w->asked_count - 1 - i) % ASKED_MAX];
        if (a->link == link && a->request == f->request) {
            REQUIRE(sim_disk_vote(&m->disk, a->slice, a->attempt, false) != NULL,
                    "master %u acknowledges a vote on slice %llu that is not durable", m->job,
                    LLU(a->slice));
            return;
        }
    }
    REQUIRE(d == WORK_DROP, "master %u answers a vote that nobody sent", m->job);
}

static void check_assign(struct sim *s, struct sim_master *m, uint32_t link, const struct frame *f)
{
    struct work_attempt a;
    enum pn_status status = work_parse_attempt(f->type, f->body, &a, NULL);
    REQUIRE(status == PN_OK && a.slice < m->config.slice_count && a.lease_s > 0,
            "master %u: an ASSIGN that does not parse", m->job);
    REQUIRE(run_equal(&a.run, &m->config.run), "master %u assigns for another run", m->job);
    REQUIRE(!m->watch->is_told[a.slice], "master %u gives out slice %llu, which is final", m->job,
            LLU(a.slice));
    struct sim_watch *w = m->watch;
    w->issued = sim_grow(w->issued, w->issued_count, &w->issued_cap, sizeof *w->issued);
    const struct sim_link *l = sim_link_of(s, link);
    w->issued[w->issued_count++] = (struct issued){a.slice, a.attempt, l->end[0].node};
    sim_newcomer_assigned(s, &s->nodes[l->end[0].node]);
    REQUIRE(w->issued_count < 100 * (size_t)m->config.slice_count + 10000,
            "master %u gives out slices without end", m->job);
}

static void check_frame(struct sim *s, struct sim_master *m, const struct master_action *x)
{
    struct frame f;
    size_t used;
    size_t need;
    enum pn_status status =
        frame_parse(master_action_frame(&m->actions, x), FRAME_BODY_MAX, &f, &used, &need, NULL);
    REQUIRE(status == PN_OK && used == x->frame_len, "master %u sends a broken frame", m->job);
    if (f.type == FRAME_ASSIGN) {
        check_assign(s, m, x->link, &f);
    } else if (f.type == FRAME_VOTE) {
        check_ack(s, m, x->link, &f);
    }
}

/* --- records ---------------------------------------------------------------------------------- */

static bool was_issued(const struct sim_watch *w, uint64_t slice, uint64_t attempt, uint32_t node)
{
    for (size_t i = 0; i < w->issued_count; i++) {
        if (w->issued[i].slice == slice && w->issued[i].attempt == attempt &&
            w->issued[i].node == node) {
            return true;
        }
    }
    return false;
}

/* A vote counts only of this run, on an attempt that was given to that very worker. */
static void check_vote(struct sim *s, const struct sim_master *m, const struct record_vote *v)
{
    const struct sim_node *n = node_of_peer(s, &v->worker);
    REQUIRE(n != NULL, "master %u records a vote of nobody", m->job);
    REQUIRE(was_issued(m->watch, v->slice, v->attempt, n->index),
            "master %u counts node %u's vote on slice %llu, attempt %llx, never given to it",
            m->job, n->index, LLU(v->slice), LLU(v->attempt));
    const struct vote_claim claim = {m->config.job, m->config.run, v->slice, v->attempt,
                                     v->outputs};
    REQUIRE(truth_check(&n->key, &claim, &v->signature),
            "master %u counts node %u's vote on slice %llu, signed for something else", m->job,
            n->index, LLU(v->slice));
    REQUIRE(v->own == (n->index == m->job), "master %u takes node %u for its own", m->job,
            n->index);
}

/* Distinct identities, in distinct networks, whose votes on disk agree with a final. */
static uint32_t agreeing(const struct sim_master *m, const struct record_final *f, bool *own)
{
    const struct record_vote *seen[TALLY_BALLOTS_MAX];
    uint32_t count = 0;
    *own = false;
    for (size_t i = 0; i < m->disk.count; i++) {
        for (size_t k = 0; k < m->disk.batches[i].count; k++) {
            const struct record *r = &m->disk.batches[i].records[k];
            if (r->kind != RECORD_VOTE || r->vote.slice != f->slice ||
                !digest_equal(&r->vote.outputs, &f->outputs)) {
                continue;
            }
            *own = *own || r->vote.own;
            bool fresh = count < TALLY_BALLOTS_MAX;
            for (uint32_t j = 0; j < count; j++) {
                bool same_net = r->vote.prefix != 0 && r->vote.prefix == seen[j]->prefix;
                fresh = fresh && !same_net && !digest_equal(&r->vote.worker, &seen[j]->worker);
            }
            if (fresh) {
                seen[count++] = &r->vote;
            }
        }
    }
    return count;
}

static void check_final(struct sim *s, const struct sim_master *m, const struct record_final *f)
{
    struct truth t;
    truth_of(&m->truth, f->slice, 0, &t);
    if (f->basis == BASIS_GIVEN_UP) {
        REQUIRE(s->scenario->may_give_up, "master %u gives up slice %llu", m->job, LLU(f->slice));
        return;
    }
    REQUIRE(f->class == t.class && f->code == t.code && digest_equal(&f->outputs, &t.outputs),
            "master %u makes a wrong outcome of slice %llu final", m->job, LLU(f->slice));
    REQUIRE(!f->answer || t.answer, "master %u takes slice %llu for an answer", m->job,
            LLU(f->slice));
    bool own;
    uint32_t votes = agreeing(m, f, &own);
    bool good = f->class == OUTCOME_EXITED && f->code == 0;
    uint32_t needed = !s->scenario->proof ? s->scenario->quorum : good ? 1 : TALLY_FAILURE_QUORUM;
    REQUIRE(own || votes >= needed, "master %u makes slice %llu final on %u of %u votes", m->job,
            LLU(f->slice), votes, needed);
    REQUIRE(f->basis != BASIS_OWN_RUN || own, "master %u claims an own run of slice %llu", m->job,
            LLU(f->slice));
    if (!good) {
        return;
    }
    const struct record_output *o = sim_disk_output(&m->disk, f->slice, f->attempt, true);
    REQUIRE(o != NULL, "slice %llu is final and its outputs are nowhere", LLU(f->slice));
    REQUIRE(!o->in_file || sim_output_find(m->files, m->file_count, m->job, f->slice, f->attempt),
            "slice %llu is final and its file is gone", LLU(f->slice));
    REQUIRE(o->in_file || (o->bytes.len == sizeof t.bytes &&
                           memcmp(o->bytes.ptr, t.bytes, sizeof t.bytes) == 0),
            "slice %llu is final with other bytes", LLU(f->slice));
}

static void check_lie(struct sim *s, const struct sim_master *m, const struct record_lie *l)
{
    const struct sim_node *n = node_of_peer(s, &l->worker);
    REQUIRE(n != NULL && n->role == SIM_LIAR, "master %u convicts an honest worker", m->job);
}

void sim_watch_actions(struct sim *s, struct sim_master *m)
{
    const struct master_actions *a = &m->actions;
    REQUIRE(a->count < ACTIONS_MAX, "master %u: %zu actions in one step", m->job, a->count);
    for (size_t i = 0; i < a->record_count && !s->failed; i++) {
        const struct record *r = &a->records[i];
        if (r->kind == RECORD_VOTE) {
            check_vote(s, m, &r->vote);
        } else if (r->kind == RECORD_FINAL) {
            check_final(s, m, &r->final);
        } else if (r->kind == RECORD_LIE) {
            check_lie(s, m, &r->lie);
        }
    }
    for (size_t i = 0; i < a->count && !s->failed; i++) {
        const struct master_action *x = &a->list[i];
        if (x->kind == MASTER_DO_SEND) {
            check_frame(s, m, x);
        } else if (x->kind == MASTER_TELL_FINAL) {
            REQUIRE(sim_disk_final(&m->disk, x->slice, false) != NULL,
                    "master %u tells slice %llu as final before it is durable", m->job,
                    LLU(x->slice));
        }
    }
}

/* --- the disk --------------------------------------------------------------------------------- */

/* What is durable now: a slice becomes final once, and its outcome stays. */
void sim_watch_durable(struct sim *s, struct sim_master *m, size_t first)
{
    for (size_t i = first; i < m->disk.durable; i++) {
        for (size_t k = 0; k < m->disk.batches[i].count; k++) {
            const struct record *r = &m->disk.batches[i].records[k];
            if (r->kind == RECORD_FINAL) {
                REQUIRE(!m->watch->is_told[r->final.slice],
                        "master %u makes slice %llu final twice", m->job, LLU(r->final.slice));
                m->watch->is_told[r->final.slice] = true;
                m->watch->told[r->final.slice] = r->final;
            }
        }
    }
}

/* --- the state between steps ------------------------------------------------------------------ */

/* Nobody twice in a tally, every ballot on its way to the disk, no liar's among them. */
static void check_tally(struct sim *s, const struct sim_master *m, const struct open_slice *o)
{
    for (uint8_t i = 0; i < o->tally.count; i++) {
        const struct ballot *b = &o->tally.ballots[i];
        for (uint8_t j = 0; j < i; j++) {
            REQUIRE(o->tally.ballots[j].worker != b->worker,
                    "master %u counts one identity twice on slice %llu", m->job, LLU(o->slice));
        }
        REQUIRE(sim_disk_vote(&m->disk, o->slice, b->attempt, true) != NULL,
                "master %u weighs a vote on slice %llu that it has not written", m->job,
                LLU(o->slice));
        REQUIRE(o->final_queued || !m->core->roster.by_index[b->worker]->liar,
                "master %u weighs a liar's vote on slice %llu", m->job, LLU(o->slice));
    }
}

/* What the plan wants for a slice is what its votes lack, also after a recovery. */
static void check_need(struct sim *s, const struct sim_master *m, const struct open_slice *o)
{
    struct tally_decision d;
    tally_decide(&o->tally, &m->config.rule, &d);
    if (d.verdict == TALLY_AGREED) {
        REQUIRE(o->provisional || o->final_queued || o->bytes_wanted,
                "master %u lets slice %llu lie, whose votes agree", m->job, LLU(o->slice));
    } else if (d.verdict == TALLY_OPEN && !o->provisional && !o->final_queued) {
        REQUIRE(o->need == d.missing, "master %u wants %u votes on slice %llu, %u are missing",
                m->job, o->need, LLU(o->slice), d.missing);
    }
    uint32_t live = 0;
    for (const struct attempt *a = o->attempts; a != NULL; a = a->next_of_slice) {
        live += !a->late;
        REQUIRE(a->late || a->lease.place > 0, "slice %llu has an attempt without a lease",
                LLU(o->slice));
        REQUIRE(a->late || a->lease.due + MASTER_TICK_MS >= m->core->now_ms,
                "slice %llu has an attempt past its lease", LLU(o->slice));
        REQUIRE(a->late || m->core->roster.by_index[a->by->index]->link != 0,
                "slice %llu waits for a worker that is gone", LLU(o->slice));
        REQUIRE(a->late || !m->core->roster.by_index[a->by->index]->liar,
                "slice %llu waits for a liar", LLU(o->slice));
    }
    REQUIRE(live == o->live, "slice %llu: %u live attempts counted as %u", LLU(o->slice), live,
            o->live);
    bool settled = o->provisional || o->final_queued;
    bool ready = !settled && !o->own_wanted && o->live < o->need && o->retry.place == 0 &&
                 o->slice < m->core->plan.limit;
    REQUIRE(ready == bitset_has(&m->core->plan.ready, o->slice),
            "slice %llu is ready and not marked so, or the reverse", LLU(o->slice));
}

void sim_watch_step(struct sim *s, struct sim_master *m)
{
    const struct master *core = m->core;
    if (core == NULL || core->broken || core->ending != 0 || core->stats.state != JOB_RUNNING) {
        return;
    }
    uint64_t finals = 0;
    for (uint64_t slice = 0; slice < m->config.slice_count && !s->failed; slice++) {
        bool final = master_slice_final(core, slice);
        finals += final;
        REQUIRE(!final || m->watch->is_told[slice],
                "master %u holds slice %llu for final; its disk does not", m->job, LLU(slice));
        const struct open_slice *o = master_open_slice(core, slice);
        if (o != NULL) {
            check_tally(s, m, o);
            check_need(s, m, o);
        }
    }
    REQUIRE(s->failed || finals == core->stats.final_count, "master %u miscounts its finals",
            m->job);
    REQUIRE(core->ack_count <= ASKED_MAX && core->sealing_count <= m->config.slice_count,
            "master %u: a queue grows without bound", m->job);
}

/* --- recovery --------------------------------------------------------------------------------- */

static enum pn_status on_record(void *arg, const struct record *r) { return master_replay(arg, r); }

static bool same_ballots(const struct master *a, const struct tally *x, const struct master *b,
                         const struct tally *y)
{
    for (uint8_t i = 0; i < x->count; i++) {
        const struct ballot *other = tally_find(y, x->ballots[i].attempt);
        if (other == NULL || !ballots_agree(other, &x->ballots[i]) ||
            !digest_equal(&a->roster.by_index[x->ballots[i].worker]->plan.peer,
                          &b->roster.by_index[other->worker]->plan.peer)) {
            return false;
        }
    }
    return x->count == y->count;
}

/* The ledger, replayed whole, is the live state: finals and votes are the same. */
static void check_replay(struct sim *s, const struct sim_master *m)
{
    struct master *again = master_new(&m->config);
    assert(again != NULL);
    enum pn_status status = sim_disk_load(&m->disk, true, on_record, again);
    assert(status == PN_OK);
    for (uint64_t slice = 0; slice < m->config.slice_count && !s->failed; slice++) {
        const struct open_slice *live = master_open_slice(m->core, slice);
        const struct open_slice *back = master_open_slice(again, slice);
        static const struct tally none;
        bool final = master_slice_final(m->core, slice) || (live != NULL && live->final_queued);
        if (final != master_slice_final(again, slice)) {
            sim_fail(s, "slice %llu: final live or replayed, but not both", LLU(slice));
        } else if (!final && !same_ballots(m->core, live != NULL ? &live->tally : &none, again,
                                           back != NULL ? &back->tally : &none)) {
            sim_fail(s, "slice %llu: other votes live than replayed", LLU(slice));
        }
    }
    master_free(again);
}

void sim_watch_started(struct sim *s, struct sim_master *m)
{
    if (!s->failed && m->core != NULL && !m->core->broken) {
        check_replay(s, m);
    }
}

/* --- workers ---------------------------------------------------------------------------------- */

void sim_watch_run(struct sim *s, struct sim_node *n, uint32_t job, uint64_t slice)
{
    struct sim_master *m = &s->masters[job];
    m->watch->runs++;
    bool given = false;
    for (size_t i = 0; i < m->watch->issued_count && !given; i++) {
        given = m->watch->issued[i].slice == slice && m->watch->issued[i].node == n->index;
    }
    REQUIRE(given, "node %u runs slice %llu, which nobody gave it", n->index, LLU(slice));
}

void sim_watch_worker(struct sim *s, const struct sim_node *n)
{
    struct worker_stats stats;
    worker_stats(n->worker, &stats);
    REQUIRE(stats.running_count <= (n->slots > 0 ? n->slots : 1u), "node %u runs %u slices",
            n->index, stats.running_count);
    REQUIRE(stats.queued_count <= SIM_MASTERS_MAX * SIM_PLACES_MAX * WORKER_QUEUED_PER_PLACE,
            "node %u: %u slices wait", n->index, stats.queued_count);
}

/* --- liveness --------------------------------------------------------------------------------- */

void sim_watch_late(struct sim *s)
{
    for (uint32_t i = 0; i < s->master_count; i++) {
        const struct sim_master *m = &s->masters[i];
        uint64_t slice = 0;
        while (slice < m->config.slice_count && m->watch->is_told[slice]) {
            slice++;
        }
        const struct open_slice *o = m->core != NULL && slice < m->config.slice_count
                                         ? master_open_slice(m->core, slice)
                                         : NULL;
        if (!m->ended) {
            sim_fail(s,
                     "master %u is not done %llu s after faults stopped: slice %llu has %u votes, "
                     "%u live attempts, needs %u%s%s%s",
                     i, LLU((s->now_us - s->calm_us) / SIM_S), LLU(slice),
                     o != NULL ? o->tally.count : 0, o != NULL ? o->live : 0,
                     o != NULL ? o->need : 0, o != NULL && o->own_wanted ? ", own" : "",
                     o != NULL && o->bytes_wanted ? ", bytes" : "",
                     o != NULL && o->provisional ? ", provisional" : "");
        }
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void check_outcome(struct sim *s, const struct sim_master *m)
{
    bool all = true;
    bool failed = false;
    uint64_t lowest = BITSET_NONE;
    for (uint64_t i = 0; i < m->config.slice_count; i++) {
        const struct record_final *f = sim_disk_final(&m->disk, i, false);
        all = all && f != NULL;
        failed = failed || (f != NULL && !(f->class == OUTCOME_EXITED && f->code == 0));
        if (f != NULL && f->answer && lowest == BITSET_NONE) {
            lowest = i;
        }
        struct truth t;
        truth_of(&m->truth, i, 0, &t);
        REQUIRE(!t.answer || lowest != BITSET_NONE || m->config.stop != STOP_LOWEST ||
                    m->state != JOB_FOUND || f == NULL,
                "an answer in slice %llu was overlooked", LLU(i));
    }
    switch (m->state) {
    case JOB_FOUND:
        REQUIRE(lowest != BITSET_NONE, "found, but no final slice holds an answer");
        for (uint64_t i = 0; i < lowest && m->config.stop == STOP_LOWEST; i++) {
            REQUIRE(sim_disk_final(&m->disk, i, false) != NULL,
                    "slice %llu below the lowest answer was not looked at", LLU(i));
        }
        break;
    case JOB_NONE:
        REQUIRE(all && lowest == BITSET_NONE && !failed, "\"none exists\", but not all looked at");
        break;
    case JOB_DONE:
        REQUIRE(all && !failed, "done, but not all slices are");
        break;
    case JOB_FAILED:
        REQUIRE(all && failed, "failed, but no slice did");
        break;
    case JOB_RUNNING:
    case JOB_CANCELLED:
    case JOB_TIMED_OUT:
    case JOB_STOPPED:
        sim_fail(s, "master %u ended in state %d", m->job, (int)m->state);
        break;
    }
}

void sim_watch_cleared(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct worker_stats stats = {0};
        if (s->nodes[i].worker != NULL) {
            worker_stats(s->nodes[i].worker, &stats);
        }
        REQUIRE(stats.running_count == 0 && stats.engagement_count == 0,
                "node %u still works for a run that is over", i);
        REQUIRE(s->nodes[i].output_count == 0, "node %u keeps outputs of a run that is over", i);
    }
}

void sim_watch_end(struct sim *s)
{
    for (uint32_t i = 0; i < s->master_count && !s->failed; i++) {
        const struct sim_master *m = &s->masters[i];
        check_outcome(s, m);
        if (m->core != NULL && !m->core->broken && !s->failed) {
            check_replay(s, m);
        }
        uint64_t least =
            (uint64_t)m->config.slice_count * (s->scenario->proof ? 1 : s->scenario->quorum);
        bool peaceful = s->scenario->faults == 0;
        for (int role = SIM_HONEST + 1; role < SIM_ROLES; role++) {
            peaceful = peaceful && s->scenario->role_count[role] == 0;
        }
        /* Near the end free places double what takes long: once each. */
        uint64_t places = 0;
        for (uint32_t k = 0; k < s->node_count; k++) {
            places += s->nodes[k].slots;
        }
        REQUIRE(!peaceful || m->watch->runs <= least + least / 10 + places,
                "%llu runs for %llu votes although nothing failed", LLU(m->watch->runs),
                LLU(least));
    }
}
