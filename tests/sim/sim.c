#include "tests/sim/sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

enum {
    TIMERS_PER_SECOND_MAX = 60,        /* of all cores together */
    EVENTS_PER_SECOND_MAX = 50 * 1000, /* of virtual time: more is a busy loop */
    CLEAR_UP_US =
        40 * 1000 * 1000, /* who is still joining, on the slowest link, hears it at last */
};

void sim_fail(struct sim *s, const char *format, ...)
{
    if (s->failed) {
        return;
    }
    s->failed = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->why, sizeof s->why, format, args);
    va_end(args);
    sim_trace(s, "BROKEN: %s", s->why);
}

/* Every line of the trace goes into its hash, whether it is printed or not. */
void sim_trace(struct sim *s, const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len < sizeof line ? (size_t)len : sizeof line - 1;
    s->trace_hash ^= s->now_us;
    for (size_t i = 0; i < used; i++) { /* FNV-1a: nobody attacks a trace */
        s->trace_hash = (s->trace_hash ^ (uint8_t)line[i]) * 0x100000001b3u;
    }
    if (s->trace != NULL) {
        (void)fprintf(s->trace, "%11.6f %s\n", (double)s->now_us / (double)SIM_S, line);
    }
}

uint64_t sim_between(struct random *r, uint64_t least, uint64_t most)
{
    return least + random_below(r, most - least + 1);
}

bool sim_chance(struct random *r, uint32_t percent) { return random_below(r, 100) < percent; }

void *sim_grow(void *list, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap) {
        return list;
    }
    *cap = *cap == 0 ? 16 : *cap * 2;
    void *grown = realloc(list, *cap * item_bytes);
    assert(grown != NULL);
    return grown;
}

/* --- the queue -------------------------------------------------------------------------------- */

struct sim_event *sim_after(struct sim *s, uint64_t delay_us, enum sim_event_kind kind, size_t len)
{
    struct sim_event *e = calloc(1, sizeof *e + len);
    assert(e != NULL);
    e->kind = kind;
    e->len = len;
    enum pn_status status = heap_add(&s->queue, &e->due, s->now_us + delay_us);
    assert(status == PN_OK);
    return e;
}

struct sim_event *sim_after_on(struct sim *s, uint64_t delay_us, enum sim_event_kind kind,
                               const struct sim_node *n)
{
    struct sim_event *e = sim_after(s, delay_us, kind, 0);
    e->node = n->index;
    e->epoch = n->epoch;
    return e;
}

void sim_arm(struct sim *s, struct sim_event *e, uint64_t due_us)
{
    if (due_us == SIM_NEVER) {
        heap_remove(&s->queue, &e->due);
    } else if (e->due.place > 0) {
        heap_move(&s->queue, &e->due, due_us);
    } else {
        enum pn_status status = heap_add(&s->queue, &e->due, due_us);
        assert(status == PN_OK);
    }
}

/* --- birth and death -------------------------------------------------------------------------- */

void sim_node_start(struct sim *s, struct sim_node *n)
{
    if (n->up) {
        return;
    }
    n->up = true;
    sim_trace(s, "node %u starts", n->index);
    if (n->index < s->master_count) {
        sim_master_up(s, &s->masters[n->index]);
    }
    sim_worker_up(s, n);
    sim_client_up(s, n);
}

void sim_node_crash(struct sim *s, struct sim_node *n)
{
    if (!n->up) {
        return;
    }
    sim_trace(s, "node %u crashes", n->index);
    n->up = false;
    n->epoch++;
    bool noticed = sim_chance(&s->faults, 80); /* else the other side finds out by itself */
    for (size_t i = 0; i < s->link_count; i++) {
        struct sim_link *l = s->links[i];
        if (l != NULL && (l->end[0].node == n->index || l->end[1].node == n->index)) {
            sim_link_break(s, l, noticed);
        }
    }
    sim_client_down(s, n, noticed);
    if (n->index < s->master_count) {
        sim_master_down(s, &s->masters[n->index]);
    }
    sim_worker_down(s, n);
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool of_the_past(const struct sim *s, const struct sim_event *e)
{
    switch (e->kind) {
    case SIM_CONNECT:
    case SIM_RAN:
    case SIM_ON_WAY:
    case SIM_VETTED:
    case SIM_FILES:
    case SIM_PULLED:
    case SIM_JUDGED:
    case SIM_SYNCED:
    case SIM_GONE:
    case SIM_MISCHIEF:
    case SIM_WORKER_ANSWERED:
    case SIM_WIRE_CONNECT:
    case SIM_REFRESH:
    case SIM_HIRED_DUE:
    case SIM_OWN_TIE:
    case SIM_CALLED_OFF:
        return !s->nodes[e->node].up || s->nodes[e->node].epoch != e->epoch;
    case SIM_BYTES:
    case SIM_CLOSED:
    case SIM_LINK_DOWN:
    case SIM_SESSION_TIMER:
    case SIM_MASTER_TIMER:
    case SIM_WORKER_TIMER:
    case SIM_FAULT:
    case SIM_START:
    case SIM_CALM:
    case SIM_WIRE_BYTES:
    case SIM_WIRE_CLOSED:
    case SIM_CLIENT_TIMER:
    case SIM_TRACKER_TIMER:
    case SIM_TRACKER_START:
    case SIM_NEWCOMER:
    case SIM_KNOWN_DUE:
    case SIM_CANCEL:
    case SIM_RESUME:
    case SIM_ANEW:
        return false;
    }
    return false;
}

static void happen(struct sim *s, const struct sim_event *e)
{
    switch (e->kind) {
    case SIM_BYTES:
    case SIM_CLOSED:
    case SIM_LINK_DOWN:
    case SIM_SESSION_TIMER:
    case SIM_CONNECT:
        sim_net_event(s, e);
        break;
    case SIM_MASTER_TIMER:
    case SIM_PULLED:
    case SIM_JUDGED:
    case SIM_SYNCED:
        sim_master_event(s, e);
        break;
    case SIM_WORKER_TIMER:
    case SIM_RAN:
    case SIM_ON_WAY:
    case SIM_VETTED:
    case SIM_FILES:
    case SIM_OWN_TIE:
    case SIM_MISCHIEF:
    case SIM_WORKER_ANSWERED:
        sim_worker_event(s, e);
        break;
    case SIM_FAULT:
        sim_fault(s);
        break;
    case SIM_START:
        sim_node_start(s, &s->nodes[e->node]);
        break;
    case SIM_GONE:
        sim_node_crash(s, &s->nodes[e->node]);
        sim_restart_later(s, &s->nodes[e->node], 20 * SIM_S);
        break;
    case SIM_CALM:
        sim_calm(s);
        break;
    case SIM_CANCEL:
    case SIM_RESUME:
    case SIM_ANEW:
    case SIM_CALLED_OFF:
        sim_orders_event(s, e);
        break;
    case SIM_NEWCOMER:
        sim_newcomer(s, &s->nodes[e->node]);
        break;
    case SIM_WIRE_BYTES:
    case SIM_WIRE_CLOSED:
    case SIM_TRACKER_TIMER:
    case SIM_TRACKER_START:
        sim_tracker_event(s, e);
        break;
    case SIM_WIRE_CONNECT:
    case SIM_CLIENT_TIMER:
    case SIM_REFRESH:
    case SIM_HIRED_DUE:
    case SIM_KNOWN_DUE:
        sim_client_event(s, e);
        break;
    }
}

static bool lives_in_owner(const struct sim_event *e)
{
    return e->kind == SIM_SESSION_TIMER || e->kind == SIM_MASTER_TIMER ||
           e->kind == SIM_WORKER_TIMER || e->kind == SIM_CLIENT_TIMER ||
           e->kind == SIM_TRACKER_TIMER;
}

static bool all_ended(const struct sim *s)
{
    for (uint32_t i = 0; i < s->master_count; i++) {
        if (!s->masters[i].ended) {
            return false;
        }
    }
    return true;
}

static void check_pace(struct sim *s, bool timer)
{
    if (s->now_us / SIM_S != s->second) {
        s->second = s->now_us / SIM_S;
        s->second_events = 0;
        s->second_timers = 0;
    }
    s->second_timers += timer;
    if (s->second_timers > TIMERS_PER_SECOND_MAX) {
        sim_fail(s, "busy loop: over %d timers in one second", TIMERS_PER_SECOND_MAX);
    }
    if (++s->second_events > EVENTS_PER_SECOND_MAX) {
        sim_fail(s, "busy loop: over %d events in one second", EVENTS_PER_SECOND_MAX);
    }
}

static void next_event(struct sim *s)
{
    struct heap_node *first = heap_first(&s->queue);
    assert(first != NULL); /* there are always fault, calm and timers */
    struct sim_event *e = heap_owner(first, struct sim_event, due);
    s->now_us = first->due > s->now_us ? first->due : s->now_us;
    heap_remove(&s->queue, first);
    s->events++;
    if (s->now_us > s->deadline_us) {
        sim_watch_late(s);
    }
    check_pace(s, lives_in_owner(e));
    if (lives_in_owner(e)) {
        happen(s, e);
        return;
    }
    if (!of_the_past(s, e)) {
        happen(s, e);
    }
    free(e);
}

bool sim_run(struct sim *s, uint64_t seed, const struct sim_scenario *scenario, FILE *trace)
{
    *s = (struct sim){.seed = seed, .scenario = scenario, .trace = trace};
    random_seed(&s->random, seed);
    random_seed(&s->faults, seed ^ 0x6661756c7473u);
    sim_scenario_build(s);
    while (!s->failed && !all_ended(s)) {
        next_event(s);
    }
    if (!s->failed) {
        sim_watch_end(s);
    }
    uint64_t end_us = s->now_us + CLEAR_UP_US;
    while (!s->failed && scenario->faults == 0 && s->now_us < end_us) {
        next_event(s);
    }
    if (!s->failed && scenario->faults == 0) {
        sim_watch_cleared(s);
    }
    return !s->failed;
}

void sim_fini(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct sim_node *n = &s->nodes[i];
        sim_client_down(s, n, false);
        sim_worker_down(s, n);
        if (i < s->master_count) {
            struct sim_master *m = &s->masters[i];
            sim_master_down(s, m);
            sim_disk_fini(&m->disk);
            free(m->files);
            free(m->pulls);
            sim_watch_free(m);
        }
        free(n->outputs);
        for (size_t k = 0; k < n->old_count; k++) {
            free(n->old[k].frame);
        }
    }
    for (size_t i = 0; i < s->link_count; i++) {
        sim_link_free(s, s->links[i]);
    }
    free(s->links);
    sim_tracker_fini(s);
    for (struct heap_node *n; (n = heap_first(&s->queue)) != NULL;) {
        heap_remove(&s->queue, n);
        free(heap_owner(n, struct sim_event, due));
    }
    heap_fini(&s->queue);
}
