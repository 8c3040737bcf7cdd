#include "peer/worker/worker.h"

#include <assert.h>
#include <stdlib.h>

#include "peer/worker/worker_internal.h"

struct worker *worker_new(const struct worker_config *config)
{
    assert(config->slots <= WORKER_PLACES_MAX);
    struct worker *w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->config = *config;
        w->place_count = config->slots > 0 ? config->slots : 1;
        random_seed(&w->random, config->seed);
    }
    return w;
}

void worker_free(struct worker *w)
{
    while (w != NULL && w->first != NULL) {
        struct tie *t = w->first;
        w->first = t->next;
        while (t->first != NULL) {
            struct holding *h = t->first;
            t->first = h->next;
            buffer_fini(&h->vote);
            free(h);
        }
        free(t);
    }
    while (w != NULL && w->bonds != NULL) {
        bond_end(w, w->bonds->link);
    }
    free(w);
}

/* --- places ----------------------------------------------------------------------------------- */

static struct holding *next_queued(const struct tie *t)
{
    struct holding *h = t->files == FILES_HERE && t->count[HOLDING_QUEUED] > 0 ? t->first : NULL;
    while (h != NULL && h->state != HOLDING_QUEUED) {
        h = h->next;
    }
    return h;
}

static void run_in(struct worker *w, uint32_t place, struct tie *t, struct holding *h)
{
    h->place = place;
    if (!worker_act_on(w, WORKER_DO_RUN, t, h)) {
        h->place = WORKER_NO_PLACE; /* it waits for the next step */
        return;
    }
    w->places[place] = (struct place){.busy = true, .of = t, .holding = h};
    w->busy_count++;
    holding_set(t, h, HOLDING_RUNNING);
    if (tie_listens(t)) {
        const struct work_attempt a = holding_attempt(t, h);
        size_t at = w->out->frames.len;
        worker_send_from(w, t->link, at, work_write_attempt(FRAME_STARTED, &a, &w->out->frames));
    }
}

/* Free places take the first slice that waits; own jobs come first in the list of ties. */
static void fill_places(struct worker *w)
{
    struct tie *t = w->first;
    for (uint32_t i = 0; i < w->place_count && !w->leaving; i++) {
        if (w->places[i].busy) {
            continue;
        }
        struct holding *h = NULL;
        while (t != NULL && (h = next_queued(t)) == NULL) {
            t = t->next;
        }
        if (t == NULL) {
            return;
        }
        run_in(w, i, t, h);
    }
}

static void on_ran(struct worker *w, const struct worker_event *ev)
{
    assert(ev->place < w->place_count && w->places[ev->place].busy);
    struct tie *t = w->places[ev->place].of;
    struct holding *h = w->places[ev->place].holding;
    w->places[ev->place] = (struct place){0};
    w->busy_count--;
    if (h == NULL) {
        return; /* called off meanwhile */
    }
    holding_set(t, h, HOLDING_VOTED);
    h->place = WORKER_NO_PLACE;
    if (ev->status != PN_OK) {
        holding_give_up(w, t, h, ev->reason, ev->text);
    } else if (holding_vote(w, t, h, ev->result) != PN_OK) {
        holding_give_up(w, t, h, WORK_CANNOT_RUN, "out of memory for its vote");
    } else {
        holding_send_votes(w, t);
    }
}

static void on_way(struct worker *w, const struct worker_event *ev)
{
    assert(ev->place < w->place_count);
    const struct tie *t = w->places[ev->place].of;
    const struct holding *h = w->places[ev->place].holding;
    if (h == NULL || !tie_listens(t) || ev->done > ev->total) {
        return;
    }
    const struct work_progress m = {holding_attempt(t, h), ev->done, ev->total};
    size_t at = w->out->frames.len;
    worker_send_from(w, t->link, at, work_write_progress(&m, &w->out->frames));
}

/* --- the whole -------------------------------------------------------------------------------- */

static void on_leave(struct worker *w)
{
    w->leaving = true;
    for (struct tie *t = w->first; t != NULL; t = t->next) {
        struct holding *next;
        for (struct holding *h = t->first; h != NULL; h = next) {
            next = h->next;
            if (h->state == HOLDING_QUEUED || h->state == HOLDING_RUNNING) {
                holding_give_up(w, t, h, WORK_LEAVING, NULL);
            }
        }
        if (t->phase == TIE_ENLISTED) {
            tie_send_enlist(w, t, false);
        }
    }
}

/* Tells masters when their share has changed. */
static void retell_slots(struct worker *w)
{
    for (struct tie *t = w->first; t != NULL && !w->leaving; t = t->next) {
        if (t->phase == TIE_ENLISTED && t->slots_told != tie_slots(w, t)) {
            tie_send_enlist(w, t, false);
        }
    }
}

enum pn_status worker_step(struct worker *w, const struct worker_event *ev,
                           struct worker_actions *out, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    w->out = out;
    w->now_ms = ev->now_ms;
    out->count = 0;
    out->frames.len = 0;
    out->lost = false;

    switch (ev->kind) {
    case WORKER_ENGAGE:
        status = tie_engage(w, ev, err);
        break;
    case WORKER_LINK_DOWN:
        tie_link_down(w, ev->link);
        break;
    case WORKER_FRAME:
        status = tie_frame(w, ev, err);
        break;
    case WORKER_VETTED:
        tie_vetted(w, ev);
        break;
    case WORKER_FILES:
        tie_files(w, ev);
        break;
    case WORKER_RAN:
        on_ran(w, ev);
        break;
    case WORKER_ON_WAY:
        on_way(w, ev);
        break;
    case WORKER_RESTORED:
        tie_restored(w, ev);
        break;
    case WORKER_LEAVE:
        on_leave(w);
        break;
    case WORKER_TICK:
        for (struct tie *t = w->first, *next; t != NULL; t = next) {
            next = t->next;
            tie_tick(w, t);
        }
        bond_tick(w);
        break;
    }
    fill_places(w);
    retell_slots(w);
    bond_tell_idle(w);
    w->out = NULL;
    return status;
}

uint64_t worker_deadline_ms(const struct worker *w)
{
    uint64_t due = bond_deadline_ms(w);
    for (const struct tie *t = w->first; t != NULL; t = t->next) {
        uint64_t d = tie_deadline_ms(t);
        due = d < due ? d : due;
    }
    return due;
}

uint16_t worker_idle_slots(const struct worker *w)
{
    uint32_t taken = 0;
    for (const struct tie *t = w->first; t != NULL; t = t->next) {
        if (t->own && t->first != NULL) {
            return 0; /* own jobs first */
        }
        taken += t->count[HOLDING_QUEUED] + t->count[HOLDING_RUNNING];
        taken += !t->own && t->phase != TIE_DOWN && t->first == NULL && t->reserved;
    }
    return w->leaving || taken >= w->config.slots ? 0 : (uint16_t)(w->config.slots - taken);
}

bool worker_engaged(const struct worker *w, const struct digest *job)
{
    return tie_by_job(w, job) != NULL;
}

bool worker_linked(const struct worker *w, const struct digest *job)
{
    const struct tie *t = tie_by_job(w, job);
    return t != NULL && t->link != 0;
}

void worker_stats(const struct worker *w, struct worker_stats *out)
{
    *out = (struct worker_stats){.engagement_count = w->tie_count, .running_count = w->busy_count};
    for (const struct tie *t = w->first; t != NULL; t = t->next) {
        out->queued_count += t->count[HOLDING_QUEUED];
        out->kept_count += t->count[HOLDING_VOTED] + t->count[HOLDING_KEPT];
    }
}
