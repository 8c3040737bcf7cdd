#include "peer/worker/worker_uv.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/rendezvous/mates_uv.h"
#include "peer/wire/hire.h"
#include "peer/worker/worker_shell.h"

enum { ASK_AGAIN_MS = 1000 };

/* --- events and actions ----------------------------------------------------------------------- */

static void send_frame(struct labour *l, const struct worker_action *x)
{
    struct port *p = ports_find(l->config.ports, x->link);
    struct frame f;
    size_t used;
    size_t need;
    if (p != NULL && frame_parse(worker_action_frame(&l->actions, x), FRAME_BODY_MAX, &f, &used,
                                 &need, NULL) == PN_OK) {
        enum pn_status status = p->send(p, SESSION_CONTROL, &f);
        l->own_lost |= p->own && status != PN_OK;
    }
}

/* Memory was short for an action: masters hear of all that is in hand when they are linked again.
 */
static void break_links(struct labour *l)
{
    for (const struct errand *e = l->errands; e != NULL; e = e->next) {
        if (e->own) {
            l->own_lost = true;
        } else {
            port_close(ports_find(l->config.ports, e->port), "out of memory");
        }
    }
}

static struct dialled *dial(struct labour *l, const struct digest *job, const struct addr *to,
                            const struct digest *expected, enum dialling_for why,
                            struct pn_err *err)
{
    struct dialled *d = calloc(1, sizeof *d);
    if (d == NULL) {
        (void)pn_fail(err, PN_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    d->tag = ++l->last_tag;
    d->job = *job;
    d->to = *to;
    if (ports_dial(l->config.ports, to, expected, why, d->tag, err) != PN_OK) {
        free(d);
        return NULL;
    }
    d->next = l->dials;
    l->dials = d;
    return d;
}

static void leave_job(struct labour *l, const struct worker_action *x)
{
    struct errand *e = errand_find(l, &x->job);
    if (e == NULL) {
        return;
    }
    char job[DIGEST_SHORT_BYTES];
    digest_short(&x->job, job);
    log_write(LOG_INFO, "worker", "job %s: left: %s", job, x->reason);
    errand_leave(e);
}

/* A master that we are linked with leads another job too. */
static void hired(struct labour *l, const struct worker_action *x)
{
    struct port *p = ports_find(l->config.ports, x->link);
    struct errand *e = errand_find(l, &x->job);
    e = e == NULL ? errand_new(l, &x->job) : e;
    if (p == NULL || e == NULL) {
        return; /* the link's end is on its way to the core; or else its papers find no errand */
    }
    e->port = p->id;
    e->own = false;
    e->master = p->remote;
    e->master_id = p->peer;
}

static void carry_out(struct labour *l, const struct worker_action *x)
{
    struct errand *e = NULL;
    struct pn_err err;
    switch (x->kind) {
    case WORKER_DO_SEND:
        send_frame(l, x);
        break;
    case WORKER_DO_CLOSE: {
        struct port *p = ports_find(l->config.ports, x->link);
        if (p != NULL && p->own) { /* it does not break, and a frame was lost */
            l->own_lost = true;
        } else {
            port_close(p, x->reason);
        }
        break;
    }
    case WORKER_DO_DIAL:
        e = errand_find(l, &x->job);
        if (e != NULL &&
            dial(l, &e->job, &e->master, &e->master_id, DIALLING_AGAIN, &err) == NULL) {
            log_write(LOG_WARN, "worker", "dialling a master again: %s", err.text);
        }
        if (e != NULL && x->dials > 0) {
            l->config.on_lost(l->config.arg, &x->job);
        }
        break;
    case WORKER_DO_VET:
        e = errand_find(l, &x->job);
        if (e != NULL) {
            errand_vet(e, x);
        } else { /* the link's end tells the core */
            port_close(ports_find(l->config.ports, x->link), "out of memory");
        }
        break;
    case WORKER_DO_FETCH:
        e = errand_find(l, &x->job);
        if (e != NULL) {
            errand_fetch(e);
        }
        break;
    case WORKER_DO_RUN:
        e = errand_find(l, &x->job);
        if (e != NULL) {
            task_start(&l->tasks[x->place], e, x);
        }
        break;
    case WORKER_DO_KILL:
        task_kill(&l->tasks[x->place]);
        break;
    case WORKER_DO_DROP:
        labour_drop_outputs(l, x);
        break;
    case WORKER_TELL_HIRED:
        hired(l, x);
        break;
    case WORKER_TELL_LEFT:
        leave_job(l, x);
        break;
    }
}

static void arm(struct labour *l);

static enum pn_status step(struct labour *l, struct worker_event *ev, struct pn_err *err)
{
    ev->now_ms = clock_now_ms();
    enum pn_status status = worker_step(l->core, ev, &l->actions, err);
    for (size_t i = 0; i < l->actions.count; i++) {
        carry_out(l, &l->actions.list[i]);
    }
    if (l->actions.lost) {
        break_links(l);
    }
    return status;
}

static void ask_own_anew(struct labour *l)
{
    l->own_lost = false;
    for (struct errand *e = l->errands, *next; e != NULL; e = next) {
        errand_pin(e); /* a step may leave any of them: this one stays, and what follows it is so */
        if (e->own && !e->gone) {
            struct worker_event ev = {.kind = WORKER_ENGAGE,
                                      .link = e->port,
                                      .own = true,
                                      .peer = e->master_id,
                                      .job = e->job};
            (void)step(l, &ev, NULL);
        }
        next = e->next;
        errand_unpin(e);
    }
}

static void free_task(struct task *t)
{
    struct errand *e = t->errand;
    free(t->bytes);
    t->bytes = NULL;
    t->errand = NULL;
    t->state = TASK_FREE;
    errand_unpin(e);
}

/* The core may run the next slice in the place at once: what it hears is a copy. */
static void tell_ran(struct labour *l, struct task *t)
{
    t->state = TASK_FREE;
    struct task done = *t;
    struct worker_event *ev = &done.ended.event;
    t->bytes = NULL;
    if (ev->result != NULL) {
        ev->result = &done.result;
        done.result.stdout_tail.ptr = done.stdout_tail;
        done.result.stderr_tail.ptr = done.stderr_tail;
    }
    if (ev->text != NULL) {
        ev->text = done.ended.text;
    }
    (void)step(l, ev, NULL);
    free_task(&done);
}

static struct deferred *take_first(struct labour *l)
{
    struct deferred *d = l->first;
    l->first = d->next;
    l->last = l->first == NULL ? &l->first : l->last;
    d->queued = false;
    return d;
}

/* Steps once, then whatever that has brought up. */
static enum pn_status run_steps(struct labour *l, struct worker_event *ev, struct pn_err *err)
{
    bool asked = false;
    l->stepping = true;
    enum pn_status status = step(l, ev, err);
    while (l->first != NULL || (l->own_lost && !asked)) {
        if (l->first == NULL) {
            asked = true;
            ask_own_anew(l);
            continue;
        }
        struct deferred *d = take_first(l);
        if (d->task != NULL) {
            tell_ran(l, d->task);
            continue;
        }
        if (!d->errand->gone) {
            (void)step(l, &d->event, NULL);
        }
        errand_unpin(d->errand);
    }
    l->stepping = false;
    arm(l);
    l->config.on_change(l->config.arg);
    return status;
}

void labour_step_now(struct labour *l, struct worker_event *ev) { (void)run_steps(l, ev, NULL); }

void labour_event(struct labour *l, struct deferred *d, const struct worker_event *ev,
                  const char *text)
{
    if (l->freeing) { /* the core hears nothing any more */
        if (d->task != NULL) {
            free_task(d->task);
        }
        return;
    }
    d->event = *ev;
    if (text != NULL) {
        (void)snprintf(d->text, sizeof d->text, "%s", text);
        d->event.text = d->text;
    }
    if (!d->queued) {
        d->queued = true;
        d->next = NULL;
        *l->last = d;
        l->last = &d->next;
        if (d->errand != NULL) {
            errand_pin(d->errand);
        }
    }
    if (!l->stepping) {
        struct worker_event tick = {.kind = WORKER_TICK};
        (void)run_steps(l, &tick, NULL);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct worker_event ev = {.kind = WORKER_TICK};
    (void)run_steps(timer->data, &ev, NULL);
}

static void arm(struct labour *l)
{
    uint64_t due = worker_deadline_ms(l->core);
    uint64_t now = clock_now_ms();
    due = l->own_lost && due > now + ASK_AGAIN_MS ? now + ASK_AGAIN_MS : due;
    if (due == UINT64_MAX) {
        (void)uv_timer_stop(&l->timer);
    } else {
        uv_update_time(l->config.loop);
        (void)uv_timer_start(&l->timer, on_timer, due > now ? due - now : 1, 0);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static enum pn_status sign_vote(void *arg, const struct vote_claim *claim, struct signature *out)
{
    const struct labour *l = arg;
    return claim_vote_sign(l->config.key, claim, out);
}

enum pn_status labour_new(const struct labour_config *config, struct labour **out,
                          struct pn_err *err)
{
    struct labour *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    l->config = *config;
    l->last = &l->first;
    worker_actions_init(&l->actions);
    struct worker_config core = {
        .slots = config->slots, .seed = random_fresh_seed(), .sign = sign_vote, .sign_arg = l};
    key_pair_public(config->key, &core.key);
    l->core = worker_new(&core);
    l->place_count = config->slots > 0 ? config->slots : 1;
    l->tasks = calloc(l->place_count, sizeof *l->tasks);
    bool room = turns_init(&l->turns, l->place_count, config->budget_bytes) == PN_OK;
    enum pn_status status = l->core != NULL && l->tasks != NULL && room
                                ? run_log_open(&l->run_log, store_dir_fd(config->store), err)
                                : pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    if (status != PN_OK) {
        worker_free(l->core);
        free(l->tasks);
        turns_fini(&l->turns);
        free(l);
        return status;
    }
    for (uint32_t i = 0; i < l->place_count; i++) {
        l->tasks[i].of = l;
        l->tasks[i].place = i;
        l->tasks[i].ended.task = &l->tasks[i];
    }
    (void)uv_timer_init(config->loop, &l->timer);
    l->timer.data = l;
    labour_restore(l);
    *out = l;
    return PN_OK;
}

static void free_if_done(struct labour *l)
{
    if (!l->freeing || l->pins > 0 || !l->timer_closed) {
        return;
    }
    while (l->dials != NULL) {
        struct dialled *d = l->dials;
        l->dials = d->next;
        free(d);
    }
    void (*on_freed)(void *arg) = l->on_freed;
    void *arg = l->on_freed_arg;
    worker_free(l->core);
    worker_actions_fini(&l->actions);
    run_log_close(&l->run_log);
    free(l->tasks);
    turns_fini(&l->turns);
    free(l);
    on_freed(arg);
}

void labour_pin(struct labour *l) { l->pins++; }

void labour_unpin(struct labour *l)
{
    l->pins--;
    free_if_done(l);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct labour *l = h->data;
    l->timer_closed = true;
    labour_pin(l);
    while (l->first != NULL) { /* events that came too late: they and their tasks hold errands */
        struct deferred *d = take_first(l);
        if (d->task != NULL) {
            free_task(d->task);
        } else {
            errand_unpin(d->errand);
        }
    }
    labour_unpin(l);
}

void labour_free(struct labour *l, void (*on_freed)(void *arg), void *arg)
{
    l->freeing = true;
    l->on_freed = on_freed;
    l->on_freed_arg = arg;
    for (uint32_t i = 0; i < l->place_count; i++) {
        struct task *t = &l->tasks[i];
        if (t->state == TASK_RUNNING || t->state == TASK_WAITING) {
            free_task(t); /* the sandbox is closed: no end of it will be told */
        }
    }
    for (struct errand *e = l->errands, *next; e != NULL; e = next) {
        next = e->next;
        errand_leave(e);
    }
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

void labour_leave(struct labour *l)
{
    struct worker_event ev = {.kind = WORKER_LEAVE};
    (void)run_steps(l, &ev, NULL);
}

void labour_log_run(struct labour *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    run_log_add(&l->run_log, format, args);
    va_end(args);
}

/* --- engagements ------------------------------------------------------------------------------ */

enum pn_status labour_engage(struct labour *l, struct port *p, const struct digest *job,
                             struct pn_err *err)
{
    struct errand *e = errand_find(l, job);
    /* Its papers were judged for one master: another, or a second link, changes nothing of it. */
    if (e != NULL && !p->own &&
        (worker_linked(l->core, job) || !digest_equal(&e->master_id, &p->peer))) {
        return pn_fail(err, PN_E_EXISTS, "works for this job already");
    }
    if (e == NULL) {
        e = errand_new(l, job);
    }
    if (e == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    e->port = p->id;
    e->own = p->own;
    e->master = p->remote;
    e->master_id = p->peer;
    struct worker_event ev = {
        .kind = WORKER_ENGAGE, .link = p->id, .own = p->own, .peer = p->peer, .job = *job};
    enum pn_status status = run_steps(l, &ev, err);
    if (status != PN_OK && !worker_engaged(l->core, job)) {
        errand_leave(e);
    }
    return status;
}

enum pn_status labour_hire(struct labour *l, const struct digest *job, const struct addr *master,
                           struct pn_err *err)
{
    for (const struct dialled *d = l->dials; d != NULL; d = d->next) {
        if (digest_equal(&d->job, job)) {
            return pn_fail(err, PN_E_BUSY, "its master is being dialled");
        }
    }
    if (worker_linked(l->core, job) ||
        (worker_idle_slots(l->core) == 0 && !worker_engaged(l->core, job))) {
        return pn_fail(err, PN_E_BUSY, "no idle slot, or at work for it already");
    }
    struct port *p = ports_dialled(l->config.ports, master, MATES_TAG_BIT);
    /* No second link for another job of the same master; but where work is in hand its run may
     * stand still, which ends a link of its own and drops what is in hand over any other. */
    if (p != NULL && !worker_engaged(l->core, job)) {
        return labour_engage(l, p, job, err);
    }
    /* A master that was lost and is back, perhaps elsewhere: the tracker knows where, not who. */
    const struct errand *e = errand_find(l, job);
    const struct digest *id = e != NULL ? &e->master_id : NULL;
    enum dialling_for why = id != NULL ? DIALLING_SEARCH : DIALLING_WORK;
    return dial(l, job, master, id, why, err) != NULL ? PN_OK : PN_E_BUSY;
}

void labour_found(struct labour *l, const struct digest *job, const struct addr *peer)
{
    const struct errand *e = errand_find(l, job);
    if (e == NULL || e->own || e->port != 0 || addr_equal(peer, &e->master)) {
        return;
    }
    size_t dials = 0;
    for (const struct dialled *d = l->dials; d != NULL; d = d->next) {
        dials += digest_equal(&d->job, job);
    }
    if (dials < LABOUR_FOUND_DIALS_MAX) {
        /* Whoever else is there has another key: the link is closed before anything is said. */
        (void)dial(l, job, peer, &e->master_id, DIALLING_SEARCH, NULL);
    }
}

static struct dialled *take_dial(struct labour *l, uint64_t tag)
{
    struct dialled **link = &l->dials;
    while (*link != NULL && (*link)->tag != tag) {
        link = &(*link)->next;
    }
    struct dialled *d = *link;
    if (d != NULL) {
        *link = d->next;
    }
    return d;
}

void labour_up(struct labour *l, struct port *p, uint64_t tag)
{
    struct dialled *d = take_dial(l, tag);
    if (d != NULL) {
        struct pn_err err;
        if (labour_engage(l, p, &d->job, &err) != PN_OK) {
            port_close(p, err.text);
        }
        struct errand *e = errand_find(l, &d->job);
        if (e != NULL && e->port == p->id) {
            e->master = d->to;
        }
        free(d);
    }
}

void labour_down(struct labour *l, struct port *p, bool was_up, uint64_t tag)
{
    if (!was_up) {
        free(take_dial(l, tag));
        l->config.on_change(l->config.arg);
        return;
    }
    for (struct errand *e = l->errands; e != NULL; e = e->next) {
        if (e->port == p->id) {
            e->port = 0;
        }
    }
    struct worker_event ev = {.kind = WORKER_LINK_DOWN, .link = p->id};
    (void)run_steps(l, &ev, NULL);
}

/* When a slice was given: with its start and end, how long it waited here. */
static void log_assign(struct labour *l, const struct frame *f)
{
    struct work_attempt a;
    char job[DIGEST_SHORT_BYTES];
    if (work_parse_attempt(FRAME_ASSIGN, f->body, &a, NULL) == PN_OK) {
        digest_short(&a.job, job);
        labour_log_run(l, "given %s %llu %016llx", job, (unsigned long long)a.slice,
                       (unsigned long long)a.attempt);
    }
}

enum pn_status labour_frame(struct labour *l, struct port *p, const struct frame *f,
                            struct pn_err *err)
{
    struct worker_event ev = {.kind = WORKER_FRAME, .link = p->id, .frame = f};
    struct digest job;
    if (f->type == FRAME_ASSIGN) {
        log_assign(l, f);
    }
    if (f->type == FRAME_OFFER && hire_parse_offer(f->body, &job, NULL) == PN_OK) {
        /* Ours to lead, or its papers were judged for another master. */
        const struct errand *e = errand_find(l, &job);
        bool other = e != NULL && !digest_equal(&e->master_id, &p->peer);
        ev.status = other || l->config.leads(l->config.arg, &job) ? PN_E_DENIED : PN_OK;
    }
    return run_steps(l, &ev, err);
}

void labour_sandbox_changed(struct labour *l)
{
    const struct sandbox_state *s = sandbox_state(l->config.sandbox);
    l->config.wishes.foreign_contained = s->ready && s->tier == SANDBOX_FULL;
    l->config.wishes.tier_reason = s->reason;
    if (s->ready) {
        labour_start_waiting(l);
    }
}

void labour_start_waiting(struct labour *l)
{
    for (uint32_t place; (place = turns_next(&l->turns)) != TURNS_NOBODY;) {
        if (!task_run(&l->tasks[place])) {
            break; /* the launcher is being started: labour_sandbox_changed */
        }
    }
}

uint16_t labour_idle_slots(const struct labour *l)
{
    uint32_t dialling = 0;
    for (const struct dialled *d = l->dials; d != NULL; d = d->next) {
        dialling++;
    }
    uint16_t idle = worker_idle_slots(l->core);
    return idle > dialling ? (uint16_t)(idle - dialling) : 0;
}

void labour_stats(const struct labour *l, struct worker_stats *out) { worker_stats(l->core, out); }

bool labour_may_read(const struct labour *l, const struct port *p, const struct file_set *set)
{
    const struct errand *e = errand_find(l, &set->job);
    return e != NULL && e->parsed && run_equal(&e->run, &set->run) &&
           grant_rank(&e->grant, &p->peer) >= 0;
}

bool labour_works_on(const struct labour *l, const struct digest *job)
{
    return errand_find(l, job) != NULL;
}
