#include "peer/rendezvous/mates_uv.h"

#include <stdlib.h>

/* A peer that we dialled for the blocks of a job. */
struct mate {
    uint64_t tag;
    struct digest job;
    struct addr addr;
    uint32_t port; /* its ID once up, else 0 */
    struct mate *next;
};

struct wanted {
    struct digest job;
    struct wanted *next;
};

struct mates {
    struct mates_config config;
    struct trackers *trackers;
    uint16_t port;
    struct mate *first;
    struct wanted *wanted;
    uint64_t last_tag;
    uint32_t count;
    uint64_t pause_ms; /* until the trackers are asked again */
    uv_timer_t timer;
};

struct mates *mates_new(const struct mates_config *config)
{
    struct mates *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->config = *config;
        (void)uv_timer_init(config->loop, &m->timer);
        m->timer.data = m;
    }
    return m;
}

static void on_timer_closed(uv_handle_t *h) { free(h->data); }

void mates_free(struct mates *m)
{
    if (m == NULL) {
        return;
    }
    while (m->first != NULL) {
        struct mate *mate = m->first;
        m->first = mate->next;
        free(mate);
    }
    while (m->wanted != NULL) {
        struct wanted *w = m->wanted;
        m->wanted = w->next;
        free(w);
    }
    uv_close((uv_handle_t *)&m->timer, on_timer_closed);
}

void mates_set_trackers(struct mates *m, struct trackers *trackers, uint16_t port)
{
    m->trackers = trackers;
    m->port = port;
}

static struct wanted **find_wanted(struct mates *m, const struct digest *job)
{
    struct wanted **link = &m->wanted;
    while (*link != NULL && !digest_equal(&(*link)->job, job)) {
        link = &(*link)->next;
    }
    return link;
}

static void ask_again(uv_timer_t *timer)
{
    struct mates *m = timer->data;
    m->pause_ms = m->pause_ms * 2 < MATES_ASK_AGAIN_MS ? m->pause_ms * 2 : MATES_ASK_AGAIN_MS;
    (void)uv_timer_start(timer, ask_again, m->pause_ms, 0);
    for (const struct wanted *w = m->wanted; w != NULL; w = w->next) {
        (void)trackers_query(m->trackers, &w->job);
    }
}

/* Links of a job that is over have served their time. */
static void close_mates(struct mates *m, const struct digest *job)
{
    for (struct mate *mate = m->first; mate != NULL; mate = mate->next) {
        if (digest_equal(&mate->job, job) && mate->port != 0) {
            port_close(ports_find(m->config.ports, mate->port), "the job is over here");
        }
    }
}

void mates_want(struct mates *m, const struct digest *job, bool wanted)
{
    struct wanted **link = find_wanted(m, job);
    if (m->trackers == NULL || wanted == (*link != NULL)) {
        return;
    }
    (void)trackers_serve(m->trackers, job, wanted ? m->port : 0);
    if (!wanted) {
        struct wanted *w = *link;
        *link = w->next;
        free(w);
        close_mates(m, job);
        if (m->wanted == NULL) {
            (void)uv_timer_stop(&m->timer);
        }
        return;
    }
    struct wanted *w = calloc(1, sizeof *w);
    if (w != NULL) { /* else: the master alone is asked */
        w->job = *job;
        w->next = m->wanted;
        m->wanted = w;
        (void)trackers_query(m->trackers, job);
        m->pause_ms = MATES_ASK_SOON_MS;
        (void)uv_timer_start(&m->timer, ask_again, m->pause_ms, 0);
    }
}

static bool known(const struct mates *m, const struct digest *job, const struct addr *addr,
                  uint32_t *of_job)
{
    bool found = false;
    for (const struct mate *mate = m->first; mate != NULL; mate = mate->next) {
        bool same = digest_equal(&mate->job, job);
        *of_job += same;
        found = found || (same && addr_equal(&mate->addr, addr));
    }
    return found;
}

void mates_found(struct mates *m, const struct digest *job, const struct addr *peers, size_t count)
{
    if (*find_wanted(m, job) == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t of_job = 0;
        if (known(m, job, &peers[i], &of_job)) {
            continue;
        }
        struct mate *mate = of_job < MATES_PER_JOB_MAX && m->count < MATES_DIALS_MAX
                                ? calloc(1, sizeof *mate)
                                : NULL;
        if (mate == NULL) {
            return;
        }
        mate->tag = MATES_TAG_BIT | ++m->last_tag;
        mate->job = *job;
        mate->addr = peers[i];
        if (ports_dial(m->config.ports, &peers[i], NULL, DIALLING_BLOCKS, mate->tag, NULL) !=
            PN_OK) {
            free(mate); /* not now, or never; others may do */
            continue;
        }
        mate->next = m->first;
        m->first = mate;
        m->count++;
    }
}

uint32_t mates_others(const struct mates *m, const struct digest *job, const struct port *asker,
                      struct addr *out, uint32_t max)
{
    uint32_t count = 0;
    const enum addr_class from = addr_class(&asker->remote);
    bool lan = addr_is_lan(&asker->remote);
    for (const struct mate *mate = m->first; mate != NULL && count < max; mate = mate->next) {
        if (mate->port != 0 && mate->port != asker->id && digest_equal(&mate->job, job) &&
            addr_may_dial(&mate->addr, lan) &&
            (from == ADDR_LOOPBACK || addr_class(&mate->addr) != ADDR_LOOPBACK)) {
            out[count++] = mate->addr;
        }
    }
    return count;
}

void mates_up(struct mates *m, struct port *p, uint64_t tag)
{
    for (struct mate *mate = m->first; mate != NULL; mate = mate->next) {
        if (mate->tag == tag) {
            mate->port = p->id;
            (void)transfer_add_source(m->config.transfer, &mate->job, p);
        }
    }
}

void mates_down(struct mates *m, uint64_t tag)
{
    struct mate **link = &m->first;
    while (*link != NULL && (*link)->tag != tag) {
        link = &(*link)->next;
    }
    struct mate *mate = *link;
    if (mate != NULL) {
        *link = mate->next;
        m->count--;
        free(mate);
    }
}
