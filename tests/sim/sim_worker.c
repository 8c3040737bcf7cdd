#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define HOG_SAYS_US (10 * SIM_S) /* that it gets on */

static enum pn_status sign(void *arg, const struct vote_claim *claim, struct signature *out)
{
    const struct sim_node *n = arg;
    truth_sign(&n->key, claim, out);
    return PN_OK;
}

void sim_worker_up(struct sim *s, struct sim_node *n)
{
    bool own = n->index < s->master_count;
    if (own && s->scenario->own_slots < 0) {
        return;
    }
    const struct worker_config config = {.slots = n->slots,
                                         .key = n->key,
                                         .seed = random_u64(&s->random),
                                         .sign = sign,
                                         .sign_arg = n};
    n->worker = worker_new(&config);
    assert(n->worker != NULL);
    worker_actions_init(&n->actions);
    n->timer.kind = SIM_WORKER_TIMER;
    n->timer.node = n->index;
    for (int i = 0; i < SIM_PLACES_MAX; i++) {
        n->places[i] = (struct sim_place){.serial = n->places[i].serial};
    }
    memset(n->dialing, 0, sizeof n->dialing);
    if (own) {
        (void)sim_after_on(s, sim_between(&s->random, SIM_MS, SIM_S), SIM_OWN_TIE, n);
    }
    sim_villain_up(s, n);
}

void sim_worker_down(struct sim *s, struct sim_node *n)
{
    if (n->worker == NULL) {
        return;
    }
    worker_free(n->worker);
    n->worker = NULL;
    worker_actions_fini(&n->actions);
    sim_arm(s, &n->timer, SIM_NEVER);
    n->output_count = 0; /* the core has forgotten them, so its shell clears them away */
}

static uint32_t job_index(const struct sim *s, const struct digest *job)
{
    for (uint32_t i = 0; i < s->master_count; i++) {
        if (digest_equal(&s->masters[i].config.job, job)) {
            return i;
        }
    }
    assert(!"a job that nobody leads");
    return 0;
}

/* --- running slices --------------------------------------------------------------------------- */

static void on_way_later(struct sim *s, struct sim_node *n, uint32_t place, uint64_t time_us)
{
    struct sim_event *e = sim_after_on(s, time_us, SIM_ON_WAY, n);
    e->place = place;
    e->serial = n->places[place].serial;
}

static void run(struct sim *s, struct sim_node *n, const struct worker_action *x)
{
    assert(x->place < SIM_PLACES_MAX);
    struct sim_place *p = &n->places[x->place];
    if (p->busy) {
        sim_fail(s, "node %u runs two slices in place %u", n->index, x->place);
        return;
    }
    uint32_t job = job_index(s, &x->job);
    *p = (struct sim_place){.busy = true,
                            .serial = p->serial + 1,
                            .job = job,
                            .run = x->run,
                            .slice = x->slice,
                            .attempt = x->attempt};
    sim_trace(s, "node %u runs job %u slice %llu attempt %llx", n->index, job,
              (unsigned long long)x->slice, (unsigned long long)x->attempt);
    sim_watch_run(s, n, p);
    if (n->role == SIM_SILENT) {
        return;
    }
    if (n->role == SIM_HOG) {
        on_way_later(s, n, x->place, HOG_SAYS_US);
        return;
    }
    uint64_t time_us = sim_between(&s->random, n->slice_us / 2, n->slice_us * 3 / 2);
    struct sim_event *e = sim_after_on(s, time_us, SIM_RAN, n);
    e->place = x->place;
    e->serial = p->serial;
    on_way_later(s, n, x->place, time_us / 2);
}

static void keep_output(struct sim_node *n, const struct sim_place *p, uint64_t lie)
{
    if (sim_output_find(n->outputs, n->output_count, p->job, p->slice, p->attempt) == NULL) {
        n->outputs = sim_grow(n->outputs, n->output_count, &n->output_cap, sizeof *n->outputs);
        n->outputs[n->output_count++] = (struct sim_output){p->job, p->slice, p->attempt, lie};
    }
}

void sim_result_of(const struct truth *t, uint64_t slice_us, struct worker_result *r)
{
    *r = (struct worker_result){.class = t->class,
                                .code = t->code,
                                .wall_ms = (uint32_t)(slice_us / SIM_MS),
                                .outputs_hash = t->outputs};
    if (t->code == 0) {
        r->output_count = 1;
        r->outputs[0] = (struct work_output){0, t->size, t->root};
        r->has_bytes = !t->big;
        r->bytes = (struct pn_bytes){t->bytes, t->big ? 0 : sizeof t->bytes};
    }
}

/* True: the machine has stopped. */
bool sim_worker_aimed(struct sim *s, struct sim_node *n, enum sim_result_moment moment)
{
    if (s->calm || s->results != s->crash_result || s->result_moment != moment || !n->up) {
        return false;
    }
    sim_trace(s, "node %u: crash around result %llu, moment %d", n->index,
              (unsigned long long)s->results, (int)moment);
    s->crash_result = 0;
    sim_node_crash(s, n);
    sim_restart_later(s, n, 5 * SIM_S);
    return true;
}

/* A full disk, a launcher that has died: it passes. */
static bool in_trouble(const struct sim *s, const struct sim_node *n)
{
    return (s->scenario->faults & SIM_OWN_TROUBLE) != 0 && !s->calm && n->index < s->master_count &&
           s->now_us % (60 * SIM_S) < 15 * SIM_S;
}

static void ran(struct sim *s, struct sim_node *n, const struct sim_event *e)
{
    struct sim_place *p = &n->places[e->place];
    if (!p->busy || p->serial != e->serial) {
        return;
    }
    s->results++;
    if (sim_worker_aimed(s, n, SIM_BEFORE_KEPT)) {
        return;
    }
    struct worker_event ev = {.kind = WORKER_RAN, .place = e->place};
    struct worker_result result;
    struct truth t;
    uint64_t lie = sim_villain_lie(s, n, p);
    struct truth_job what = s->masters[p->job].truth;
    what.run = p->run;
    truth_of(&what, p->slice, lie, &t);
    sim_result_of(&t, n->slice_us, &result);
    if (p->killed || in_trouble(s, n) || (n->role == SIM_LAZY && sim_chance(&s->random, 70))) {
        ev.status = PN_E_SYSTEM;
        ev.reason = WORK_CANNOT_RUN;
        ev.text = "no wish to";
    } else {
        ev.result = &result;
        keep_output(n, p, lie);
    }
    if (sim_worker_aimed(s, n, SIM_BEFORE_VOTED)) {
        return;
    }
    p->busy = false;
    sim_worker_step(s, n, &ev);
    (void)sim_worker_aimed(s, n, SIM_AFTER_VOTED);
}

static void on_way(struct sim *s, struct sim_node *n, const struct sim_event *e)
{
    const struct sim_place *p = &n->places[e->place];
    if (p->busy && p->serial == e->serial && !p->killed) {
        struct worker_event ev = {.kind = WORKER_ON_WAY, .place = e->place, .done = 5, .total = 10};
        sim_worker_step(s, n, &ev);
        if (n->role == SIM_HOG) {
            on_way_later(s, n, e->place, HOG_SAYS_US);
        }
    }
}

static void kill_place(struct sim *s, struct sim_node *n, uint32_t place)
{
    struct sim_place *p = &n->places[place];
    if (!p->busy) {
        sim_fail(s, "node %u kills in the empty place %u", n->index, place);
        return;
    }
    p->killed = true;
    struct sim_event *e =
        sim_after_on(s, sim_between(&s->random, SIM_MS, 100 * SIM_MS), SIM_RAN, n);
    e->place = place;
    e->serial = p->serial;
}

/* --- what the core wants ---------------------------------------------------------------------- */

static void drop_output(struct sim *s, struct sim_node *n, const struct worker_action *x)
{
    struct sim_output *o =
        sim_output_find(n->outputs, n->output_count, job_index(s, &x->job), x->slice, x->attempt);
    if (o != NULL) {
        *o = n->outputs[--n->output_count];
    }
}

static void carry_out(struct sim *s, struct sim_node *n, const struct worker_action *x)
{
    struct sim_event *e;
    switch (x->kind) {
    case WORKER_DO_SEND: {
        struct pn_bytes frame = worker_action_frame(&n->actions, x);
        sim_villain_sends(n, n->actions.frames.ptr + x->frame_at);
        sim_villain_sent(s, n, x->link, frame);
        sim_send(s, x->link, 0, frame);
        break;
    }
    case WORKER_DO_CLOSE:
        sim_close(s, x->link, 0, x->reason);
        break;
    case WORKER_DO_DIAL:
        sim_dial(s, n, job_index(s, &x->job));
        break;
    case WORKER_DO_VET:
        e = sim_after_on(s, sim_between(&s->random, SIM_MS, 500 * SIM_MS), SIM_VETTED, n);
        e->job = job_index(s, &x->job);
        break;
    case WORKER_DO_FETCH:
        e = sim_after_on(s, sim_between(&s->random, SIM_MS, 2 * SIM_S), SIM_FILES, n);
        e->job = job_index(s, &x->job);
        break;
    case WORKER_DO_RUN:
        run(s, n, x);
        break;
    case WORKER_DO_KILL:
        kill_place(s, n, x->place);
        break;
    case WORKER_DO_DROP:
        drop_output(s, n, x);
        break;
    case WORKER_TELL_HIRED:
        break; /* nobody offers anything here */
    case WORKER_TELL_LEFT:
        sim_trace(s, "node %u leaves job %u: %s", n->index, job_index(s, &x->job), x->reason);
        break;
    }
}

void sim_worker_step(struct sim *s, struct sim_node *n, struct worker_event *ev)
{
    if (n->worker == NULL || s->failed) {
        return;
    }
    ev->now_ms = sim_now_ms(s);
    struct pn_err err = {0};
    enum pn_status status = worker_step(n->worker, ev, &n->actions, &err);
    if (status != PN_OK) {
        sim_trace(s, "node %u refuses: %s", n->index, err.text);
        ev->status = status; /* for sim_worker_frame */
        if (ev->kind == WORKER_ENGAGE) {
            sim_close(s, ev->link, 0, err.text);
        }
    }
    for (size_t i = 0; i < n->actions.count; i++) {
        carry_out(s, n, &n->actions.list[i]);
    }
    sim_watch_worker(s, n);
    uint64_t due_ms = worker_deadline_ms(n->worker);
    sim_arm(s, &n->timer, due_ms == UINT64_MAX ? SIM_NEVER : due_ms * SIM_MS);
    sim_client_refresh(s, n);
}

enum pn_status sim_worker_frame(struct sim *s, const struct sim_link *l, const struct frame *f)
{
    struct worker_event ev = {.kind = WORKER_FRAME, .link = l->id, .frame = f};
    sim_watch_called_off(s, &s->nodes[l->end[0].node], f);
    sim_worker_step(s, &s->nodes[l->end[0].node], &ev);
    if (f->type == FRAME_VOTE && s->result_moment == SIM_AFTER_ANSWER && s->crash_result > 0 &&
        s->results >= s->crash_result) {
        /* the first answer from then on, but not within the session's callback */
        (void)sim_after_on(s, 1, SIM_WORKER_ANSWERED, &s->nodes[l->end[0].node]);
    }
    return ev.status;
}

/* --- events ----------------------------------------------------------------------------------- */

/* What the peer does when a run begins or goes on: the way to its own worker is in memory. */
static void own_tie(struct sim *s, struct sim_node *n)
{
    const struct sim_master *m = &s->masters[n->index];
    (void)sim_after_on(s, sim_between(&s->random, 300 * SIM_MS, 2 * SIM_S), SIM_OWN_TIE, n);
    if (!m->ended && m->core != NULL && !worker_engaged(n->worker, &m->config.job)) {
        sim_dial(s, n, n->index);
    }
}

void sim_worker_event(struct sim *s, const struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    struct worker_event ev = {.kind = WORKER_TICK};
    switch (e->kind) {
    case SIM_WORKER_TIMER:
        sim_worker_step(s, n, &ev);
        break;
    case SIM_RAN:
        ran(s, n, e);
        break;
    case SIM_ON_WAY:
        on_way(s, n, e);
        break;
    case SIM_VETTED:
        ev.kind = WORKER_VETTED;
        ev.job = s->masters[e->job].config.job;
        sim_worker_step(s, n, &ev);
        break;
    case SIM_FILES:
        ev.kind = WORKER_FILES;
        ev.job = s->masters[e->job].config.job;
        if (n->role == SIM_LAZY && sim_chance(&s->random, 30)) {
            ev.status = PN_E_NOT_FOUND;
            ev.reason = WORK_NO_FILES;
        }
        sim_worker_step(s, n, &ev);
        break;
    case SIM_OWN_TIE:
        own_tie(s, n);
        break;
    case SIM_WORKER_ANSWERED:
        s->crash_result = s->crash_result > 0 ? s->results : 0;
        (void)sim_worker_aimed(s, n, SIM_AFTER_ANSWER);
        break;
    case SIM_MISCHIEF:
        sim_villain_event(s, n);
        break;
    default:
        assert(!"not a worker's event");
    }
}
