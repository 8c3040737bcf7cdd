#include "peer/rendezvous/hiring_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/random_sys.h"
#include "common/table.h"
#include "jobs/program.h"
#include "peer/rendezvous/tracker_wants.h"

enum {
    NEEDS_BYTES = 64,
    STATED_MAX = 64, /* demands at the trackers: who comes for one is offered the others too */
};

/* A job that runs, and what the trackers were last told of it. */
struct stated {
    struct digest job;
    char needs[NEEDS_BYTES];
    uint16_t wanted;
    uint16_t told;
    bool served;
    bool queued; /* in the queue of those that find no room: next, prev */
    struct stated *next, *prev;
};

struct hiring {
    struct hiring_config config;
    struct table by_job;
    struct stated *queue; /* ring: the first waits longest */
    uint32_t told_count;
    struct digest waits_for; /* the last job that told trackers of a demand */
    uint16_t idle_told;
    bool idle_due; /* trackers wait to hear it, even if it is what they were told last */
};

struct hiring *hiring_new(const struct hiring_config *config)
{
    struct hiring *h = calloc(1, sizeof *h);
    if (h != NULL) {
        h->config = *config;
        h->idle_due = true;
        table_init(&h->by_job, DIGEST_BYTES, LEADS_MAX, random_fresh_seed());
    }
    return h;
}

void hiring_free(struct hiring *h)
{
    if (h == NULL) {
        return;
    }
    size_t place = 0;
    for (struct stated *s; (s = table_next(&h->by_job, &place)) != NULL;) {
        free(s);
    }
    table_fini(&h->by_job);
    free(h);
}

static void abilities_text(const struct hiring *h, char *text, size_t size)
{
    size_t len =
        (size_t)snprintf(text, size, "tier=%s", tier_name(sandbox_state(h->config.sandbox)->tier));
    const struct job_program *program;
    for (size_t i = 0; (program = job_program_at(i)) != NULL && len < size; i++) {
        char name[JOB_PROGRAM_NAME_BYTES];
        job_program_name(program, name);
        len += (size_t)snprintf(text + len, size - len, " %s", name);
    }
}

static struct stated *find_or_add(struct hiring *h, const struct digest *job)
{
    struct stated *s = table_get(&h->by_job, job->b);
    if (s != NULL) {
        return s;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL || table_put(&h->by_job, job->b, s) != PN_OK) {
        free(s);
        return NULL;
    }
    s->job = *job;
    return s;
}

static void enqueue(struct hiring *h, struct stated *s)
{
    if (s->queued) {
        return;
    }
    s->queued = true;
    s->next = h->queue != NULL ? h->queue : s;
    s->prev = h->queue != NULL ? h->queue->prev : s;
    s->next->prev = s->prev->next = s;
    h->queue = s->next;
}

static void dequeue(struct hiring *h, struct stated *s)
{
    if (!s->queued) {
        return;
    }
    s->queued = false;
    s->next->prev = s->prev;
    s->prev->next = s->next;
    h->queue = h->queue != s ? h->queue : s->next != s ? s->next : NULL;
}

/* Brings the trackers in step with one job. False: no room for it at present. */
static bool tell_demand(struct hiring *h, struct stated *s)
{
    if (s->wanted == s->told) {
        return true;
    }
    if ((s->told == 0 && h->told_count >= STATED_MAX) ||
        trackers_demand(h->config.trackers, &s->job, h->config.port, s->wanted,
                        pn_bytes_str(s->needs)) != PN_OK) {
        return false;
    }
    if (s->wanted > 0) {
        h->waits_for = s->job;
    }
    h->told_count += s->told == 0;
    h->told_count -= s->wanted == 0;
    s->told = s->wanted;
    return true;
}

static void forget(struct hiring *h, struct stated *s)
{
    s->wanted = 0;
    (void)tell_demand(h, s);
    if (s->served) {
        (void)trackers_serve(h->config.trackers, &s->job, 0);
    }
    dequeue(h, s);
    (void)table_remove(&h->by_job, s->job.b);
    free(s);
}

static void state_demand(void *arg, const struct digest *job, const struct manifest *m,
                         uint32_t slots)
{
    struct hiring *h = arg;
    struct stated *s = m != NULL ? find_or_add(h, job) : table_get(&h->by_job, job->b);
    if (s == NULL) {
        return;
    }
    if (m == NULL) { /* it runs no more: nothing of it is served or wanted */
        forget(h, s);
        return;
    }
    (void)snprintf(s->needs, sizeof s->needs, "%s",
                   m->program_kind == PROGRAM_OWN ? m->args[0] : "tier=full");
    if (!s->served) {
        s->served = trackers_serve(h->config.trackers, job, h->config.port) == PN_OK;
    }
    s->wanted = slots > UINT16_MAX ? UINT16_MAX : (uint16_t)slots;
    if (tell_demand(h, s)) {
        dequeue(h, s);
    } else {
        enqueue(h, s);
    }
}

/* A tracker takes so many jobs at a time: the others wait until there is room. */
static void state_queued(struct hiring *h)
{
    while (h->queue != NULL && tell_demand(h, h->queue)) {
        dequeue(h, h->queue);
    }
}

/* A job that waits for somebody; NULL: none, or none is known by now. */
static const struct digest *any_wanted(const struct hiring *h)
{
    const struct stated *s = table_get(&h->by_job, h->waits_for.b);
    return s != NULL && s->told > 0 ? &s->job : NULL;
}

void hiring_tell_waiting(struct hiring *h)
{
    struct waiting w = {.waits = true};
    if (trackers_count(h->config.trackers) == 0) {
        (void)snprintf(w.cause, sizeof w.cause, "no worker, and no tracker is set");
        (void)snprintf(w.remedy, sizeof w.remedy, "give --tracker HOST:PORT");
    } else {
        struct tracker_why why;
        trackers_why(h->config.trackers, trackers_best(h->config.trackers), any_wanted(h), &why);
        w.for_ms = why.for_ms;
        (void)snprintf(w.remedy, sizeof w.remedy, "%s", why.remedy);
        (void)snprintf(w.cause, sizeof w.cause, "%s",
                       why.cause[0] != '\0' ? why.cause : "workers have been asked for");
    }
    leads_set_waiting(h->config.leads, &w);
}

void hiring_refresh(struct hiring *h)
{
    leads_demands(h->config.leads, state_demand, h);
    state_queued(h);
    uint16_t idle = labour_idle_slots(h->config.labour);
    if (idle != h->idle_told || h->idle_due) {
        char abilities[TRACKER_WANTS_WORDS_BYTES];
        abilities_text(h, abilities, sizeof abilities);
        h->idle_told = idle;
        h->idle_due = false;
        (void)trackers_idle(h->config.trackers, idle, pn_bytes_str(abilities));
    }
}

void hiring_taken(struct hiring *h) { h->idle_due = true; }

void hiring_tier_changed(struct hiring *h) { h->idle_due = true; }
