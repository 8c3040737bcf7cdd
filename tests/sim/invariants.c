/*
 * invariants -- what must hold after every step, written down without looking at how the cores do
 * it: from the frames that leave, the disk as a crash would leave it, and the truth.
 */
#include <assert.h>
#include <stdlib.h>

#include "peer/master/master_internal.h"
#include "tests/sim/watch.h"

bool sim_watch_new(struct sim_master *m)
{
    struct sim_watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return false;
    }
    w->told = calloc(m->config.slice_count, sizeof *w->told);
    w->is_told = calloc(m->config.slice_count, sizeof *w->is_told);
    w->was_told = calloc(m->config.slice_count, sizeof *w->was_told);
    w->seen_on_disk = calloc(m->config.slice_count, sizeof *w->seen_on_disk);
    m->watch = w;
    return w->told != NULL && w->is_told != NULL && w->was_told != NULL && w->seen_on_disk != NULL;
}

void sim_watch_free(struct sim_master *m)
{
    if (m->watch != NULL) {
        free(m->watch->issued);
        free(m->watch->told);
        free(m->watch->is_told);
        free(m->watch->was_told);
        free(m->watch->seen_on_disk);
        free(m->watch);
        m->watch = NULL;
    }
}

static const struct sim_node *node_of_peer(const struct sim *s, const struct digest *peer)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (digest_equal(&s->nodes[i].peer, peer)) {
            return &s->nodes[i];
        }
    }
    return NULL;
}

void sim_watch_up(const struct sim_master *m)
{
    struct sim_watch *w = m->watch;
    memset(w->seen_on_disk, 0, m->config.slice_count * sizeof *w->seen_on_disk);
    memcpy(w->was_told, w->is_told, m->config.slice_count * sizeof *w->was_told);
    w->finals_seen = 0;
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
    REQUIRE(!m->ending, "master %u gives out slice %llu after its end", m->job, LLU(a.slice));
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
    const struct vote_claim claim = {m->config.job, m->config.run, v->slice, v->attempt,
                                     v->outputs};
    REQUIRE(truth_check(&n->key, &claim, &v->signature),
            "master %u counts node %u's vote on slice %llu, signed for something else", m->job,
            n->index, LLU(v->slice));
    REQUIRE(was_issued(m->watch, v->slice, v->attempt, n->index),
            "master %u counts node %u's vote on slice %llu, attempt %llx, never given to it",
            m->job, n->index, LLU(v->slice), LLU(v->attempt));
    REQUIRE(v->prefix == n->prefix, "master %u records another network for node %u", m->job,
            n->index);
    REQUIRE(v->own == (n->index == m->job), "master %u takes node %u for its own", m->job,
            n->index);
}

static bool is_liar(const struct sim_master *m, const struct digest *peer)
{
    const struct worker_entry *w = table_get(&m->core->roster.by_peer, peer->b);
    return w != NULL && w->liar;
}

/*
 * Distinct identities, in distinct networks, whose votes on disk agree with a final; none of them a
 * liar as far as the master knows after this step.
 */
static uint32_t agreeing(const struct sim_master *m, const struct record_final *f, bool *own)
{
    const struct record_vote *seen[TALLY_BALLOTS_MAX];
    uint32_t count = 0;
    *own = false;
    for (size_t i = 0; i < m->disk.count; i++) {
        for (size_t k = 0; k < m->disk.batches[i].count; k++) {
            const struct record *r = &m->disk.batches[i].records[k];
            if (r->kind != RECORD_VOTE || r->vote.slice != f->slice ||
                !digest_equal(&r->vote.outputs, &f->outputs) || is_liar(m, &r->vote.worker)) {
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
    REQUIRE(n != NULL && sim_villain_lies(n->role), "master %u convicts an honest worker", m->job);
}

static uint32_t frames_to(const struct sim_master *m, uint32_t link, uint8_t type)
{
    uint32_t count = 0;
    for (size_t i = 0; i < m->actions.count; i++) {
        const struct master_action *x = &m->actions.list[i];
        count += x->kind == MASTER_DO_SEND && x->link == link &&
                 master_action_frame(&m->actions, x).ptr[4] == type;
    }
    return count;
}

/*
 * However it ends, and before that is durable: whoever is connected hears of it in that step. A
 * stop is no end, but what was given out is called off.
 */
static void check_ending(struct sim *s, struct sim_master *m)
{
    if (m->ending || m->core->ending == 0) {
        return;
    }
    m->ending = true;
    for (const struct worker_entry *w = m->core->roster.first; w != NULL; w = w->next) {
        uint32_t given = 0;
        for (const struct attempt *a = w->plan.attempts; a != NULL; a = a->next_of_worker) {
            given++;
        }
        bool stops = m->core->ending == JOB_STOPPED;
        REQUIRE(w->link == 0 || w->liar ||
                    (stops ? frames_to(m, w->link, FRAME_CANCEL) >= given
                           : frames_to(m, w->link, FRAME_ENDED) > 0),
                "master %u ends and does not tell it on link %u", m->job, w->link);
    }
}

void sim_watch_actions(struct sim *s, struct sim_master *m)
{
    const struct master_actions *a = &m->actions;
    m->watch->records += a->record_count;
    REQUIRE(m->watch->records < 50 * (uint64_t)m->config.slice_count + 1000,
            "master %u writes without end: somebody says things again and again", m->job);
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
    if (!s->failed && !m->core->broken) {
        check_ending(s, m);
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

/* --- workers ---------------------------------------------------------------------------------- */

void sim_watch_run(struct sim *s, const struct sim_node *n, const struct sim_place *p)
{
    struct sim_master *m = &s->masters[p->job];
    if (!run_equal(&p->run, &m->config.run)) {
        return; /* of a run that is no more */
    }
    m->watch->runs++;
    bool given = false;
    for (size_t i = 0; i < m->watch->issued_count && !given; i++) {
        given = m->watch->issued[i].slice == p->slice && m->watch->issued[i].node == n->index;
    }
    REQUIRE(given, "node %u runs slice %llu, which nobody gave it", n->index, LLU(p->slice));
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
