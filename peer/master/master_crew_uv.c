/* Workers that are linked already: their slots, what they are offered, and what is left to want. */
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/random_sys.h"
#include "peer/master/master_shell.h"

/* --- what changed, for the trackers ----------------------------------------------------------- */

static void mark(struct leads *l, const struct digest *job)
{
    struct lead *d = leads_find(l, job);
    if (d == NULL || d->marked) {
        return;
    }
    if (l->marked_count == l->marked_cap) {
        size_t cap = l->marked_cap == 0 ? 64 : l->marked_cap * 2;
        struct digest *list = realloc(l->marked, cap * sizeof *list);
        if (list == NULL) {
            return; /* the job's next change marks it */
        }
        l->marked = list;
        l->marked_cap = cap;
    }
    d->marked = true;
    l->marked[l->marked_count++] = *job;
}

static bool runs(const struct lead *d) { return d->core != NULL && d->state == JOB_RUNNING; }

void leads_demands(struct leads *l,
                   void (*each)(void *arg, const struct digest *job, const struct manifest *m,
                                uint32_t slots),
                   void *arg)
{
    for (size_t i = 0; i < l->marked_count; i++) {
        const struct digest job = l->marked[i];
        struct lead *d = leads_find(l, &job);
        if (d != NULL) {
            d->marked = false;
        }
        if (d == NULL || !runs(d)) {
            each(arg, &job, NULL, 0);
            continue;
        }
        uint32_t held = crew_offered(l->crew, &job);
        each(arg, &job, &d->manifest, d->demand > held ? d->demand - held : 0);
    }
    l->marked_count = 0;
}

/* --- our own worker --------------------------------------------------------------------------- */

static void own_wait(struct lead *d, bool waits)
{
    struct leads *l = d->of;
    if (waits == d->own_waits) {
        return;
    }
    d->own_waits = waits;
    if (waits) {
        d->own_next = l->own_first != NULL ? l->own_first : d;
        d->own_prev = l->own_first != NULL ? l->own_first->own_prev : d;
        d->own_next->own_prev = d->own_prev->own_next = d;
        l->own_first = d->own_next;
        return;
    }
    d->own_next->own_prev = d->own_prev;
    d->own_prev->own_next = d->own_next;
    l->own_first = l->own_first != d ? l->own_first : d->own_next != d ? d->own_next : NULL;
}

void lead_ask_own(struct lead *d)
{
    const struct leads_config *c = &d->of->config;
    bool wanted = runs(d) && !d->gone && !d->own_asked && !d->of->freeing &&
                  (c->lends || master_wants_own(d->core));
    if (wanted && !d->own_waits) {
        d->own_asked = true; /* first: what follows may bring us here again */
        d->own_asked = c->on_own_wanted(c->arg, &d->job);
        wanted = !d->own_asked;
    }
    own_wait(d, wanted);
}

void leads_own_has_room(struct leads *l)
{
    while (l->own_first != NULL && !l->freeing) {
        struct lead *d = l->own_first;
        own_wait(d, false);
        lead_ask_own(d);
        if (d->own_waits) {
            return; /* no room after all; the others wait behind it */
        }
    }
}

/* --- the crew --------------------------------------------------------------------------------- */

static bool suits(void *arg, const struct digest *job, uint32_t link)
{
    const struct leads *l = arg;
    const struct lead *d = leads_find(l, job);
    return d != NULL && runs(d) && !master_has_worker(d->core, link);
}

static void on_held(void *arg, const struct digest *job) { mark(arg, job); }

static void on_timer(uv_timer_t *timer);

/* Sends what can be offered now. */
static void offer_all(struct leads *l)
{
    struct crew_offer o;
    uint64_t now = clock_now_ms();
    while (crew_next(l->crew, now, &o)) {
        struct port *p = ports_find(l->config.ports, o.link);
        const struct frame f = {FRAME_OFFER, 0, o.request, digest_bytes(&o.job)};
        if (p == NULL) {
            crew_gone(l->crew, o.link);
        } else {
            (void)p->send(p, SESSION_CONTROL, &f);
        }
    }
    uint64_t due = crew_deadline_ms(l->crew);
    if (due == UINT64_MAX) {
        (void)uv_timer_stop(&l->crew_timer);
    } else if (!uv_is_active((uv_handle_t *)&l->crew_timer)) {
        (void)uv_timer_start(&l->crew_timer, on_timer, due > now ? due - now : 1, 0);
    }
    if (l->marked_count > 0) {
        l->config.on_demand(l->config.arg);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct leads *l = timer->data;
    crew_tick(l->crew, clock_now_ms());
    offer_all(l);
}

enum pn_status leads_crew_open(struct leads *l)
{
    const struct crew_hooks hooks = {suits, on_held, l};
    l->crew = crew_new(random_fresh_seed(), &hooks);
    if (l->crew == NULL) {
        return PN_E_NO_MEMORY;
    }
    (void)uv_timer_init(l->config.loop, &l->crew_timer);
    l->crew_timer.data = l;
    return PN_OK;
}

static void on_timer_closed(uv_handle_t *h) { leads_unpin(h->data); }

void leads_crew_close(struct leads *l)
{
    leads_pin(l);
    uv_close((uv_handle_t *)&l->crew_timer, on_timer_closed);
}

void leads_crew_fini(struct leads *l)
{
    crew_free(l->crew);
    free(l->marked);
}

void lead_demand_changed(struct lead *d)
{
    struct leads *l = d->of;
    bool running = runs(d) && !d->gone;
    uint32_t demand = running ? master_demand(d->core) : 0;
    if (l->freeing || (demand == d->demand && running == d->stated)) {
        return;
    }
    l->running_count += running;
    l->running_count -= d->stated;
    d->demand = demand;
    d->stated = running;
    mark(l, &d->job);
    (void)crew_want(l->crew, &d->job, demand); /* short of memory: the trackers are asked anyway */
    offer_all(l);
}

/* --- frames ----------------------------------------------------------------------------------- */

static enum pn_status on_idle(struct leads *l, const struct port *p, struct pn_bytes body,
                              struct pn_err *err)
{
    uint16_t slots;
    enum pn_status status = hire_parse_idle(body, &slots, err);
    if (status == PN_OK) {
        (void)crew_idle(l->crew, p->id, slots); /* full: it is hired through a tracker */
    }
    return status;
}

static enum pn_status on_reply(struct leads *l, const struct port *p, const struct frame *f,
                               struct pn_err *err)
{
    enum hire_reply reply;
    enum pn_status status = hire_parse_reply(f->body, &reply, err);
    if (status == PN_OK) {
        crew_reply(l->crew, p->id, f->request, reply, clock_now_ms());
    }
    return status;
}

static enum pn_status on_leave(struct leads *l, struct port *p, const struct frame *f,
                               struct pn_err *err)
{
    struct hire_leave leave;
    enum pn_status status = hire_parse_leave(f->body, &leave, err);
    if (status != PN_OK) {
        return status;
    }
    crew_left(l->crew, p->id, &leave.job, leave.reason == HIRE_NOT_WELCOME, clock_now_ms());
    return leads_frame(l, p, f, err);
}

enum pn_status leads_hire_frame(struct leads *l, struct port *p, const struct frame *f,
                                struct pn_err *err)
{
    if (p->own) {
        return PN_OK; /* our own worker is engaged for everything anyway */
    }
    enum pn_status status = f->type == FRAME_IDLE    ? on_idle(l, p, f->body, err)
                            : f->type == FRAME_LEAVE ? on_leave(l, p, f, err)
                                                     : on_reply(l, p, f, err);
    offer_all(l);
    return status;
}

void leads_crew_enlisted(struct leads *l, const struct port *p, const struct digest *job)
{
    crew_enlisted(l->crew, p->id, job);
    offer_all(l);
}

void leads_crew_gone(struct leads *l, const struct port *p)
{
    crew_gone(l->crew, p->id);
    offer_all(l);
}
