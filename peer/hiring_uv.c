#include "peer/hiring_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/random_sys.h"
#include "common/table.h"
#include "jobs/program.h"
#include "peer/tracker_wants.h"

enum { NEEDS_BYTES = 64 };

/* What the trackers were last told of a job. */
struct stated {
    struct digest job;
    uint16_t slots;
    bool served;
    bool seen; /* in the present round */
    struct stated *next;
};

struct hiring {
    struct hiring_config config;
    struct stated *stated;
    struct table by_job;
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
    while (h->stated != NULL) {
        struct stated *s = h->stated;
        h->stated = s->next;
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
    s->next = h->stated;
    h->stated = s;
    return s;
}

/* A tracker takes so many jobs at a time: what finds no room is stated again in later rounds. */
static void state_demand(void *arg, const struct digest *job, const struct manifest *m,
                         uint32_t slots)
{
    struct hiring *h = arg;
    struct stated *s = find_or_add(h, job);
    if (s == NULL) {
        return;
    }
    s->seen = true;
    if (!s->served) {
        s->served = trackers_serve(h->config.trackers, job, h->config.port) == PN_OK;
    }
    uint16_t wanted = slots > UINT16_MAX ? UINT16_MAX : (uint16_t)slots;
    if (s->slots != wanted) {
        char needs[NEEDS_BYTES];
        (void)snprintf(needs, sizeof needs, "%s",
                       m->program_kind == PROGRAM_OWN ? m->args[0] : "tier=full");
        if (trackers_demand(h->config.trackers, job, h->config.port, wanted, pn_bytes_str(needs)) ==
            PN_OK) {
            s->slots = wanted;
        }
    }
}

/* Jobs that run no more: nothing of them is served or wanted. */
static void unstate_ended(struct hiring *h)
{
    struct stated **link = &h->stated;
    while (*link != NULL) {
        struct stated *s = *link;
        if (s->seen) {
            s->seen = false;
            link = &s->next;
            continue;
        }
        if (s->slots > 0) {
            (void)trackers_demand(h->config.trackers, &s->job, h->config.port, 0, pn_bytes_str(""));
        }
        (void)trackers_serve(h->config.trackers, &s->job, 0);
        (void)table_remove(&h->by_job, s->job.b);
        *link = s->next;
        free(s);
    }
}

void hiring_tell_waiting(struct hiring *h)
{
    struct waiting w = {.waits = true};
    if (trackers_count(h->config.trackers) == 0) {
        (void)snprintf(w.cause, sizeof w.cause, "no worker, and no tracker is set");
        (void)snprintf(w.remedy, sizeof w.remedy, "give --tracker HOST:PORT");
    } else {
        struct tracker_why why;
        const struct digest *job = h->stated != NULL ? &h->stated->job : NULL;
        trackers_why(h->config.trackers, trackers_best(h->config.trackers), job, &why);
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
    unstate_ended(h);
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
