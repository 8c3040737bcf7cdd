/*
 * What holds between the steps of a master: its tallies, its plan, and that its ledger is its
 * memory.
 */
#include <assert.h>

#include "peer/master/master_internal.h"
#include "tests/sim/watch.h"

/* Nobody twice in a tally, every ballot on its way to the disk, no liar's among them. */
static void check_tally(struct sim *s, const struct sim_master *m, const struct open_slice *o)
{
    uint64_t sum = 0;
    for (uint8_t i = 0; i < o->tally.count; i++) {
        const struct ballot *b = &o->tally.ballots[i];
        for (uint8_t j = 0; j < i; j++) {
            REQUIRE(o->tally.ballots[j].worker != b->worker,
                    "master %u counts one identity twice on slice %llu", m->job, LLU(o->slice));
        }
        sum += b->attempt;
        REQUIRE(o->final_queued || !m->core->roster.by_index[b->worker]->liar,
                "master %u weighs a liar's vote on slice %llu", m->job, LLU(o->slice));
    }
    if (sum == m->watch->seen_on_disk[o->slice]) {
        return; /* the same ballots as in the step before */
    }
    for (uint8_t i = 0; i < o->tally.count; i++) {
        REQUIRE(sim_disk_vote(&m->disk, o->slice, o->tally.ballots[i].attempt, true) != NULL,
                "master %u weighs a vote on slice %llu that it has not written", m->job,
                LLU(o->slice));
    }
    m->watch->seen_on_disk[o->slice] = sum;
}

/* What is final in memory is so on the disk. */
static void check_finals(struct sim *s, const struct sim_master *m)
{
    uint64_t finals = 0;
    for (uint64_t slice = 0; slice < m->config.slice_count; slice++) {
        bool final = master_slice_final(m->core, slice);
        finals += final;
        REQUIRE(!final || m->watch->is_told[slice],
                "master %u holds slice %llu for final; its disk does not", m->job, LLU(slice));
    }
    REQUIRE(finals == m->core->stats.final_count, "master %u miscounts its finals", m->job);
    m->watch->finals_seen = finals;
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

static uint32_t pulling(const struct open_slice *o)
{
    uint32_t count = 0;
    for (uint8_t i = 0; i < o->tally.count; i++) {
        count += o->tally.ballots[i].copy == COPY_PULLING;
    }
    return count;
}

/* Nothing comes that nobody waits for; but our own worker is not to be stopped. */
static void check_pulls(struct sim *s, const struct sim_master *m)
{
    for (size_t i = 0; i < m->pull_count; i++) {
        const struct sim_event *e = m->pulls[i];
        const struct sim_link *l = sim_link_of(s, e->link);
        const struct ballot *b = master_ballot(m->core, e->slice, e->attempt);
        REQUIRE((l != NULL && l->own) || (b != NULL && b->copy == COPY_PULLING),
                "master %u pulls outputs of slice %llu for nobody", m->job, LLU(e->slice));
    }
}

void sim_watch_step(struct sim *s, struct sim_master *m)
{
    const struct master *core = m->core;
    if (core == NULL || core->broken || core->ending != 0 || core->stats.state != JOB_RUNNING) {
        return;
    }
    if (core->stats.final_count != m->watch->finals_seen) {
        check_finals(s, m);
    }
    size_t place = 0;
    const struct open_slice *o;
    uint32_t pulls = 0;
    while (!s->failed && (o = table_next(&core->plan.open, &place)) != NULL) {
        check_tally(s, m, o);
        check_need(s, m, o);
        pulls += pulling(o);
    }
    REQUIRE(s->failed || pulls == core->pull_count, "master %u counts %u pulls of %u", m->job,
            core->pull_count, pulls);
    check_pulls(s, m);
    REQUIRE(m->config.slots_max == 0 || master_hired_slots(core) <= m->config.slots_max,
            "master %u hires %u slots of %u", m->job, master_hired_slots(core),
            m->config.slots_max);
    if (s->events % REPLAYED_EVERY == 0) {
        sim_watch_replay(s, m);
    }
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

/* Whose votes agreed with what became final in this life of the master: as many as it has counted.
 */
static void check_credit(struct sim *s, const struct sim_master *m, const struct worker_entry *w)
{
    uint32_t accepted = 0;
    for (uint64_t slice = 0; slice < m->config.slice_count; slice++) {
        const struct record_final *f = &m->watch->told[slice];
        if (!master_slice_final(m->core, slice) || m->watch->was_told[slice] ||
            f->basis == BASIS_GIVEN_UP) {
            continue;
        }
        accepted += sim_disk_voted(&m->disk, slice, &w->plan.peer, &f->outputs);
    }
    REQUIRE(w->liar || w->accepted == accepted,
            "worker %u has credit for %u votes at master %u, %u were accepted", w->plan.index,
            w->accepted, m->job, accepted);
}

void sim_watch_credit(struct sim *s, const struct sim_master *m)
{
    if (s->failed || m->core == NULL || m->core->broken) {
        return;
    }
    for (const struct worker_entry *w = m->core->roster.first; w != NULL; w = w->next) {
        check_credit(s, m, w);
    }
}

void sim_watch_replay(struct sim *s, const struct sim_master *m)
{
    if (!s->failed && m->core != NULL && !m->core->broken) {
        check_replay(s, m);
    }
}
