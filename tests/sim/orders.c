/*
 * orders -- what its user does to a run: cancels it, resumes it, throws it away and starts it anew.
 */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/watch.h"

static struct sim_node *node_of(struct sim *s, const struct sim_master *m)
{
    return &s->nodes[m->job];
}

static void again_later(struct sim *s, const struct sim_master *m, enum sim_event_kind kind,
                        uint64_t delay_us)
{
    sim_after(s, delay_us, kind, 0)->job = m->job;
}

void sim_orders_plan(struct sim *s, struct sim_master *m)
{
    const struct sim_scenario *c = s->scenario;
    if (c->cancel) {
        again_later(s, m, SIM_CANCEL, sim_between(&s->random, SIM_S / 2, 40 * SIM_S));
    }
    if (c->anew) {
        again_later(s, m, SIM_ANEW, sim_between(&s->random, SIM_S, 30 * SIM_S));
    }
    if (c->timeout_s > 0) {
        m->config.timeout_ms = sim_between(&s->random, 5000, (uint64_t)c->timeout_s * 1000);
    }
}

/* An order is only obeyed when its end is told: who hears nothing gives it again. */
static void cancel(struct sim *s, struct sim_master *m)
{
    if (m->ended || m->cancelled) {
        return;
    }
    again_later(s, m, SIM_CANCEL, 2 * SIM_S);
    struct master_event ev = {.kind = MASTER_CANCEL, .reason = "by its user"};
    sim_trace(s, "master %u is told to cancel", m->job);
    sim_master_step(s, m, &ev);
}

/* The run is over, durably. True: it is not the end of it. */
bool sim_orders_ended(struct sim *s, struct sim_master *m, enum job_state state)
{
    bool called_off = state == JOB_CANCELLED || state == JOB_TIMED_OUT;
    m->cancelled = m->cancelled || state == JOB_CANCELLED;
    if (called_off && s->scenario->resume) {
        again_later(s, m, SIM_RESUME, sim_between(&s->random, SIM_MS, 20 * SIM_S));
        return true;
    }
    return false;
}

/* As the shell does: a new core on the same ledger, and workers hear of it from the tracker. */
static void resume(struct sim *s, struct sim_master *m)
{
    struct master_stats stats = {.state = JOB_RUNNING};
    if (m->core != NULL) {
        master_stats(m->core, &stats);
    }
    if (m->core == NULL || m->disk.syncing > 0 || m->disk.durable < m->disk.count) {
        again_later(s, m, SIM_RESUME, 100 * SIM_MS);
        return;
    }
    if (stats.state == JOB_RUNNING || stats.state == JOB_STOPPED) {
        return; /* it is already, or will with its machine */
    }
    sim_trace(s, "master %u is resumed", m->job);
    sim_master_down(s, m);
    m->config.resumed = true;
    m->config.timeout_ms =
        s->calm ? 0 : m->config.timeout_ms; /* at last it gets the time it needs */
    sim_master_up(s, m);
    m->config.resumed = false;
}

/* Gone with its ledger, and started again: another run of the same job. */
static void anew(struct sim *s, struct sim_master *m)
{
    if (m->core == NULL || m->ended) {
        return;
    }
    sim_trace(s, "master %u loses its data", m->job);
    sim_node_crash(s, node_of(s, m));
    uint64_t commits = m->disk.commits;
    sim_disk_fini(&m->disk);
    m->disk.commits = commits;
    m->file_count = 0;
    sim_watch_free(m);
    for (size_t i = 0; i < RUN_BYTES; i++) {
        m->config.run.b[i] = (uint8_t)random_u64(&s->random);
    }
    for (size_t i = 0; i < sizeof m->config.secret; i++) {
        m->config.secret[i] = (uint8_t)random_u64(&s->random);
    }
    m->config.welcome.run = m->config.run;
    m->truth.run = m->config.run;
    bool watched = sim_watch_new(m);
    assert(watched);
    sim_restart_later(s, node_of(s, m), 3 * SIM_S);
}

void sim_orders_event(struct sim *s, const struct sim_event *e)
{
    struct sim_master *m = &s->masters[e->job];
    if (e->kind == SIM_CANCEL) {
        cancel(s, m);
    } else if (e->kind == SIM_RESUME) {
        resume(s, m);
    } else if (e->kind == SIM_ANEW) {
        anew(s, m);
    } else {
        const struct sim_place *p = &s->nodes[e->node].places[e->place];
        if (p->busy && p->serial == e->serial) {
            sim_fail(s, "node %u still runs slice %llu a second after it was called off", e->node,
                     (unsigned long long)p->slice);
        }
    }
}

/* --- what is called off ends within a second -------------------------------------------------- */

static bool calls_off(const struct sim *s, const struct sim_place *p, const struct frame *f)
{
    const struct digest *job = &s->masters[p->job].config.job;
    struct work_ended ended;
    struct work_attempt a;
    if (f->type == FRAME_ENDED && work_parse_ended(f->body, &ended, NULL) == PN_OK) {
        return digest_equal(&ended.job, job) && run_equal(&ended.run, &p->run);
    }
    return f->type == FRAME_CANCEL && work_parse_attempt(f->type, f->body, &a, NULL) == PN_OK &&
           digest_equal(&a.job, job) && run_equal(&a.run, &p->run) && a.slice == p->slice &&
           a.attempt == p->attempt;
}

/* Before the frame is given to the worker. */
void sim_watch_called_off(struct sim *s, const struct sim_node *n, const struct frame *f)
{
    for (uint32_t i = 0; i < SIM_PLACES_MAX; i++) {
        if (n->places[i].busy && calls_off(s, &n->places[i], f)) {
            struct sim_event *e = sim_after_on(s, SIM_S, SIM_CALLED_OFF, n);
            e->place = i;
            e->serial = n->places[i].serial;
        }
    }
}
