#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define DRIP_US (2000 * SIM_S) /* an output of a dripper, a block in two minutes */

static struct sim_node *node_of(struct sim *s, const struct sim_master *m)
{
    return &s->nodes[m->job];
}

struct sim_output *sim_output_find(struct sim_output *list, size_t count, uint32_t job,
                                   uint64_t slice, uint64_t attempt)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].job == job && list[i].slice == slice && list[i].attempt == attempt) {
            return &list[i];
        }
    }
    return NULL;
}

/* --- life ------------------------------------------------------------------------------------- */

static enum pn_status on_record(void *arg, const struct record *r) { return master_replay(arg, r); }

void sim_master_up(struct sim *s, struct sim_master *m)
{
    m->config.seed = random_u64(&s->random);
    m->core = master_new(&m->config);
    assert(m->core != NULL);
    master_actions_init(&m->actions);
    enum pn_status status = sim_disk_load(&m->disk, false, on_record, m->core);
    assert(status == PN_OK);
    m->broken = false;
    m->up_us = s->now_us;
    m->ending = false;
    sim_watch_up(m);
    m->timer.kind = SIM_MASTER_TIMER;
    m->timer.job = m->job;
    struct master_event ev = {.kind = MASTER_START};
    sim_master_step(s, m, &ev);
    sim_watch_replay(s, m);
}

void sim_master_down(struct sim *s, struct sim_master *m)
{
    if (m->core == NULL) {
        return;
    }
    sim_watch_credit(s, m);
    size_t first = m->disk.durable;
    sim_disk_crash(&m->disk, (size_t)random_below(&s->faults, m->disk.syncing + 1));
    sim_watch_durable(s, m, first); /* durable, though nobody was told */
    master_free(m->core);
    m->core = NULL;
    master_actions_fini(&m->actions);
    sim_arm(s, &m->timer, SIM_NEVER);
    m->pull_count = 0;
}

/* --- the disk --------------------------------------------------------------------------------- */

static void sync_begin(struct sim *s, struct sim_master *m)
{
    struct sim_disk *d = &m->disk;
    if (d->syncing > 0 || d->failed || d->durable == d->count) {
        return;
    }
    d->syncing = d->count - d->durable;
    uint64_t most = sim_chance(&s->random, 5) ? 400 * SIM_MS : 8 * SIM_MS;
    struct sim_event *e =
        sim_after_on(s, sim_between(&s->random, 200, most), SIM_SYNCED, node_of(s, m));
    e->job = m->job;
}

static void report(struct sim *s, struct sim_master *m, uint64_t seq, enum pn_status status)
{
    struct master_event ev = {.kind = MASTER_COMMITTED, .seq = seq, .status = status};
    sim_master_step(s, m, &ev);
}

static void crash_and_return(struct sim *s, struct sim_master *m, const char *moment)
{
    sim_trace(s, "master %u: crash %s", m->job, moment);
    sim_node_crash(s, node_of(s, m));
    struct sim_event *e = sim_after(s, sim_between(&s->faults, SIM_MS, 5 * SIM_S), SIM_START, 0);
    e->node = m->job;
}

/* Whether the machine stops around this commit, and when; 3: it does not. */
static uint32_t crash_moment(struct sim *s, const struct sim_master *m)
{
    if (s->calm) {
        return 3;
    }
    if (m->job == 0 && m->disk.commits == s->crash_commit) {
        return s->crash_moment;
    }
    if ((s->kinds & SIM_COMMIT_CRASHES) != 0 && sim_chance(&s->faults, 25)) {
        return (uint32_t)random_below(&s->faults, 3);
    }
    return 3;
}

static void synced(struct sim *s, struct sim_master *m)
{
    struct sim_disk *d = &m->disk;
    d->commits++;
    uint32_t moment = crash_moment(s, m);
    if (moment == 0) {
        crash_and_return(s, m, "before its batches are durable");
        return;
    }
    size_t first = d->durable;
    if (d->failing) {
        sim_trace(s, "master %u: the disk fails", m->job);
        d->failing = false;
        d->failed = true;
        report(s, m, d->batches[first].seq, PN_E_SYSTEM);
        return;
    }
    d->durable += d->syncing;
    d->syncing = 0;
    sim_watch_durable(s, m, first);
    if (moment == 1) {
        crash_and_return(s, m, "before its batches are reported");
        return;
    }
    /* One report for each, or one for all: the ledger may do either. */
    uint64_t last = d->batches[d->durable - 1].seq;
    if (sim_chance(&s->random, 50)) {
        for (size_t i = first; i + 1 < d->durable; i++) {
            report(s, m, d->batches[i].seq, PN_OK);
        }
    }
    report(s, m, last, PN_OK);
    if (moment == 2) {
        crash_and_return(s, m, "after its batches are reported");
        return;
    }
    sync_begin(s, m);
}

/* --- what the core wants ---------------------------------------------------------------------- */

static void release(struct sim *s, struct sim_master *m, const struct master_action *x)
{
    struct sim_output *f = sim_output_find(m->files, m->file_count, m->job, x->slice, x->attempt);
    if (f != NULL) {
        *f = m->files[--m->file_count];
    }
    const struct record_final *final = sim_disk_final(&m->disk, x->slice, true);
    if (final != NULL && final->attempt == x->attempt) {
        sim_fail(s, "master %u lets go the outputs of final slice %llu", m->job,
                 (unsigned long long)x->slice);
    }
}

/* As transfer_cancel: nothing comes any more, but of our own worker. */
static void unpull(struct sim *s, struct sim_master *m, const struct master_action *x)
{
    for (size_t i = 0; i < m->pull_count; i++) {
        struct sim_event *e = m->pulls[i];
        const struct sim_link *l = sim_link_of(s, e->link);
        if (e->slice == x->slice && e->attempt == x->attempt && (l == NULL || !l->own)) {
            e->epoch--; /* as if of before a crash */
            m->pulls[i] = m->pulls[--m->pull_count];
            return;
        }
    }
}

static void carry_out(struct sim *s, struct sim_master *m, const struct master_action *x)
{
    struct sim_event *e;
    struct sim_node *n = node_of(s, m);
    switch (x->kind) {
    case MASTER_DO_SEND:
        sim_send(s, x->link, 1, master_action_frame(&m->actions, x));
        break;
    case MASTER_DO_CLOSE:
        sim_close(s, x->link, 1, x->reason);
        break;
    case MASTER_DO_PULL:
    case MASTER_DO_JUDGE: {
        bool pull = x->kind == MASTER_DO_PULL;
        uint64_t time_us = sim_between(&s->random, SIM_MS, pull ? 3 * SIM_S : 200 * SIM_MS);
        if (pull && s->nodes[sim_link_of(s, x->link)->end[0].node].role == SIM_DRIPPER) {
            time_us += DRIP_US;
        }
        e = sim_after_on(s, time_us, pull ? SIM_PULLED : SIM_JUDGED, n);
        e->job = m->job;
        e->slice = x->slice;
        e->attempt = x->attempt;
        e->link = x->link;
        if (pull) {
            m->pulls = sim_grow(m->pulls, m->pull_count, &m->pull_cap, sizeof(struct sim_event *));
            m->pulls[m->pull_count++] = e;
        }
        sim_trace(s, "master %u %s slice %llu", m->job, pull ? "pulls" : "judges",
                  (unsigned long long)x->slice);
        break;
    }
    case MASTER_DO_UNPULL:
        unpull(s, m, x);
        break;
    case MASTER_DO_RELEASE:
        release(s, m, x);
        break;
    case MASTER_TELL_FINAL:
        sim_trace(s, "master %u: slice %llu is final", m->job, (unsigned long long)x->slice);
        break;
    case MASTER_TELL_LIE:
        sim_trace(s, "master %u: a lie on slice %llu", m->job, (unsigned long long)x->slice);
        break;
    case MASTER_TELL_ENDED:
        sim_trace(s, "master %u ended, state %d", m->job, (int)x->state);
        if (x->state == JOB_STOPPED) { /* until this machine starts again */
            (void)sim_after_on(s, sim_between(&s->faults, 1, 5 * SIM_S), SIM_GONE, n);
            break;
        }
        m->ended = !sim_orders_ended(s, m, x->state);
        m->state = x->state;
        break;
    case MASTER_TELL_BROKEN:
        sim_trace(s, "master %u is broken: %s", m->job, x->reason);
        m->broken = true;
        (void)sim_after_on(s, sim_between(&s->faults, SIM_S, 5 * SIM_S), SIM_GONE, n);
        break;
    }
}

void sim_master_step(struct sim *s, struct sim_master *m, struct master_event *ev)
{
    if (m->core == NULL || s->failed) {
        return;
    }
    ev->now_ms = sim_now_ms(s);
    ev->now_wall_ms = ev->now_ms + 1000;
    struct pn_err err = {0};
    enum pn_status status = master_step(m->core, ev, &m->actions, &err);
    if (status != PN_OK) {
        sim_trace(s, "master %u refuses: %s", m->job, err.text);
        ev->status = status; /* for sim_master_frame */
    }
    const struct master_actions *a = &m->actions;
    if (a->record_count > 0) {
        if (m->broken) {
            sim_fail(s, "master %u writes records after its ledger has failed", m->job);
        }
        bool added = sim_disk_add(&m->disk, a->seq, a->records, a->record_count);
        assert(added);
    }
    sim_watch_actions(s, m);
    for (size_t i = 0; i < a->count; i++) {
        carry_out(s, m, &a->list[i]);
    }
    sim_watch_step(s, m);
    sync_begin(s, m);
    uint64_t due_ms = master_deadline_ms(m->core);
    uint64_t due_us = due_ms == UINT64_MAX ? SIM_NEVER : due_ms * SIM_MS;
    sim_arm(s, &m->timer, due_us);
    sim_client_refresh(s, node_of(s, m));
}

enum pn_status sim_master_frame(struct sim *s, const struct sim_link *l, const struct frame *f)
{
    struct sim_master *m = &s->masters[l->job];
    const struct sim_node *from = &s->nodes[l->end[0].node];
    sim_watch_vote(s, m, l, f);
    struct master_event ev = {.kind = MASTER_FRAME,
                              .link = l->id,
                              .peer = from->peer,
                              .prefix = from->prefix,
                              .own = l->own,
                              .frame = f};
    sim_master_step(s, m, &ev);
    return ev.status;
}

/* --- what comes back -------------------------------------------------------------------------- */

static void pulled(struct sim *s, struct sim_master *m, const struct sim_event *e)
{
    for (size_t i = 0; i < m->pull_count; i++) {
        if (m->pulls[i] == e) {
            m->pulls[i] = m->pulls[--m->pull_count];
            break;
        }
    }
    const struct sim_link *l = sim_link_of(s, e->link);
    bool here = l != NULL && l->end[0].session != NULL && l->end[1].session != NULL;
    if (here) {
        const struct sim_node *n = &s->nodes[l->end[0].node];
        here = sim_output_find(n->outputs, n->output_count, m->job, e->slice, e->attempt) != NULL;
    }
    if (!s->calm && sim_chance(&s->random, 10)) {
        here = false;
    }
    if (here && sim_output_find(m->files, m->file_count, m->job, e->slice, e->attempt) == NULL) {
        m->files = sim_grow(m->files, m->file_count, &m->file_cap, sizeof *m->files);
        m->files[m->file_count++] = (struct sim_output){m->job, e->slice, e->attempt, 0};
    }
    struct master_event ev = {.kind = MASTER_PULLED,
                              .slice = e->slice,
                              .attempt = e->attempt,
                              .status = here ? PN_OK : PN_E_CLOSED};
    sim_master_step(s, m, &ev);
}

static void judged(struct sim *s, struct sim_master *m, const struct sim_event *e)
{
    const struct record_vote *v = sim_disk_vote(&m->disk, e->slice, e->attempt, true);
    if (v == NULL) {
        sim_fail(s, "master %u judges slice %llu, on which nobody voted so", m->job,
                 (unsigned long long)e->slice);
        return;
    }
    struct truth truth;
    truth_of(&m->truth, e->slice, 0, &truth);
    bool truthful = v->class == truth.class && v->code == truth.code &&
                    digest_equal(&v->outputs, &truth.outputs);
    struct master_event ev = {.kind = MASTER_JUDGED,
                              .slice = e->slice,
                              .attempt = e->attempt,
                              .truthful = truthful,
                              .answer = truthful && truth.answer};
    sim_master_step(s, m, &ev);
}

void sim_master_event(struct sim *s, const struct sim_event *e)
{
    struct sim_master *m = &s->masters[e->job];
    if (e->kind == SIM_MASTER_TIMER) {
        struct master_event ev = {.kind = MASTER_TICK};
        sim_master_step(s, m, &ev);
    } else if (e->kind == SIM_PULLED) {
        pulled(s, m, e);
    } else if (e->kind == SIM_JUDGED) {
        judged(s, m, e);
    } else {
        synced(s, m);
    }
}
