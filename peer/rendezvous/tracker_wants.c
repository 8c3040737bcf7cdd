#include "peer/rendezvous/tracker_wants.h"

#include <assert.h>
#include <stdlib.h>

struct served {
    struct digest job;
    uint16_t port;     /* 0: to be deleted … */
    uint16_t old_port; /* … as this one */
    bool untold;
};

struct demand {
    struct digest job;
    uint16_t port;
    uint16_t slots;
    bool untold;
    struct tracker_words needs;
    uint64_t since_ms;
};

struct query {
    struct digest job;
    bool asked;
};

static void *list_at(const struct tracker_list *l, uint32_t i)
{
    return (uint8_t *)l->items + i * l->item_bytes;
}

/* A zeroed item at the end. */
static enum pn_status list_add(struct tracker_list *l, const struct digest *job, void **item)
{
    if (l->count == l->max) {
        return PN_E_FULL;
    }
    if (l->count == l->cap) {
        uint32_t cap = l->cap == 0 ? 8 : l->cap * 2;
        void *items = realloc(l->items, cap * l->item_bytes);
        if (items == NULL) {
            return PN_E_NO_MEMORY;
        }
        l->items = items;
        l->cap = cap;
    }
    *item = list_at(l, l->count++);
    memset(*item, 0, l->item_bytes);
    memcpy(*item, job, sizeof *job);
    return PN_OK;
}

/* Keeps the order of the others. */
static void list_remove(struct tracker_list *l, uint32_t i)
{
    l->count--;
    memmove(list_at(l, i), list_at(l, i + 1), (l->count - i) * l->item_bytes);
}

static void *list_find(const struct tracker_list *l, const struct digest *job)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (memcmp(list_at(l, i), job, sizeof *job) == 0) {
            return list_at(l, i);
        }
    }
    return NULL;
}

void tracker_wants_init(struct tracker_wants *w)
{
    *w = (struct tracker_wants){
        .served = {.item_bytes = sizeof(struct served), .max = TRACKER_WANTS_JOBS_MAX},
        .demands = {.item_bytes = sizeof(struct demand), .max = TRACKER_WANTS_DEMANDS_MAX},
        .queries = {.item_bytes = sizeof(struct query), .max = TRACKER_WANTS_QUERIES_MAX},
    };
}

void tracker_wants_fini(struct tracker_wants *w)
{
    free(w->served.items);
    free(w->demands.items);
    free(w->queries.items);
    tracker_wants_init(w);
}

static bool words_set(struct tracker_words *to, struct pn_bytes from)
{
    if (from.len > sizeof to->text || !trackline_words_are_good(from)) {
        return false;
    }
    to->len = (uint16_t)from.len;
    if (from.len > 0) {
        memcpy(to->text, from.ptr, from.len);
    }
    return true;
}

static struct pn_bytes words_get(const struct tracker_words *words)
{
    return (struct pn_bytes){(const uint8_t *)words->text, words->len};
}

enum pn_status tracker_wants_serve(struct tracker_wants *w, const struct digest *job, uint16_t port)
{
    void *item = list_find(&w->served, job);
    if (item == NULL && port == 0) {
        return PN_OK;
    }
    enum pn_status status = item == NULL ? list_add(&w->served, job, &item) : PN_OK;
    if (status != PN_OK) {
        return status;
    }
    struct served *served = item;
    if (served->port != port) {
        served->old_port = served->port != 0 ? served->port : served->old_port;
        served->port = port;
        served->untold = true;
    }
    return PN_OK;
}

enum pn_status tracker_wants_idle(struct tracker_wants *w, uint16_t slots,
                                  struct pn_bytes abilities)
{
    if (!words_set(&w->abilities, abilities)) {
        return PN_E_RANGE;
    }
    w->idle_untold = w->idle_untold || slots > 0 || w->idle_slots > 0;
    w->idle_slots = slots;
    return PN_OK;
}

enum pn_status tracker_wants_demand(struct tracker_wants *w, const struct digest *job,
                                    uint16_t port, uint16_t slots, struct pn_bytes needs,
                                    uint64_t now_ms)
{
    void *item = list_find(&w->demands, job);
    struct tracker_words words;
    if (!words_set(&words, needs)) {
        return PN_E_RANGE;
    }
    if (item == NULL && slots == 0) {
        return PN_OK;
    }
    enum pn_status status = item == NULL ? list_add(&w->demands, job, &item) : PN_OK;
    if (status != PN_OK) {
        return status;
    }
    struct demand *demand = item;
    if (demand->slots == 0 || slots < demand->slots) {
        demand->since_ms = now_ms; /* new, or it got some */
    }
    demand->port = port;
    demand->slots = slots;
    demand->needs = words;
    demand->untold = true;
    return PN_OK;
}

enum pn_status tracker_wants_query(struct tracker_wants *w, const struct digest *job)
{
    void *item = list_find(&w->queries, job);
    return item != NULL ? PN_OK : list_add(&w->queries, job, &item);
}

static struct trackline_job job_of(const struct digest *id)
{
    return (struct trackline_job){.kind = TRACKLINE_JOB, .id = *id};
}

static bool next_served(struct tracker_wants *w, struct trackline *line)
{
    for (uint32_t i = 0; i < w->served.count; i++) {
        struct served *served = list_at(&w->served, i);
        if (!served->untold) {
            continue;
        }
        served->untold = false;
        line->kind = served->port != 0 ? TRACKLINE_INFORM : TRACKLINE_DELETE;
        line->port = served->port != 0 ? served->port : served->old_port;
        line->job = job_of(&served->job);
        if (served->port == 0) {
            list_remove(&w->served, i);
        }
        return true;
    }
    return false;
}

static bool next_demand(struct tracker_wants *w, struct trackline *line)
{
    for (uint32_t i = 0; i < w->demands.count; i++) {
        struct demand *demand = list_at(&w->demands, i);
        if (!demand->untold) {
            continue;
        }
        demand->untold = false;
        line->kind = TRACKLINE_DEMAND;
        line->port = demand->port;
        line->job = job_of(&demand->job);
        line->slots = demand->slots;
        line->words = words_get(&demand->needs);
        if (demand->slots == 0) {
            line->words.len = 0; /* they go with the demand */
            list_remove(&w->demands, i);
        }
        return true;
    }
    return false;
}

static bool next_query(struct tracker_wants *w, struct trackline *line)
{
    for (uint32_t i = 0; i < w->queries.count; i++) {
        struct query *query = list_at(&w->queries, i);
        if (!query->asked) {
            query->asked = true;
            line->kind = TRACKLINE_QUERY;
            line->job = job_of(&query->job);
            return true;
        }
    }
    return false;
}

bool tracker_wants_next(struct tracker_wants *w, struct trackline *line)
{
    *line = (struct trackline){.kind = TRACKLINE_IDLE};
    if (next_served(w, line) || next_demand(w, line)) {
        return true;
    }
    if (w->idle_untold) {
        w->idle_untold = false;
        line->slots = w->idle_slots;
        line->words = words_get(&w->abilities);
        return true;
    }
    return next_query(w, line);
}

void tracker_wants_retell_demands(struct tracker_wants *w)
{
#ifdef PREON_DEFECT_UNTOLD
    return;
#endif
    for (uint32_t i = 0; i < w->demands.count; i++) {
        ((struct demand *)list_at(&w->demands, i))->untold = true;
    }
}

void tracker_wants_retell(struct tracker_wants *w)
{
    for (uint32_t i = 0; i < w->served.count; i++) {
        ((struct served *)list_at(&w->served, i))->untold = true;
    }
    tracker_wants_retell_demands(w);
    w->idle_untold = w->idle_slots > 0;
}

void tracker_wants_reask(struct tracker_wants *w)
{
    for (uint32_t i = 0; i < w->queries.count; i++) {
        ((struct query *)list_at(&w->queries, i))->asked = false;
    }
}

struct digest tracker_wants_answered(struct tracker_wants *w)
{
    assert(w->queries.count > 0);
    struct digest job = ((const struct query *)list_at(&w->queries, 0))->job;
    list_remove(&w->queries, 0);
    return job;
}

bool tracker_wants_waiting(const struct tracker_wants *w, const struct digest *job,
                           uint64_t *since_ms)
{
    const struct demand *demand = list_find(&w->demands, job);
    if (demand == NULL || demand->slots == 0) {
        return false;
    }
    *since_ms = demand->since_ms;
    return true;
}
