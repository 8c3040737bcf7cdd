#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

struct sim_wire *sim_wire_at(const struct sim *s, uint32_t id)
{
    const struct sim_tracker *t = &s->tracker;
    return id > 0 && id <= t->wire_count ? t->wires[id - 1] : NULL;
}

struct sim_node *sim_wire_node(struct sim *s, const struct sim_wire *w)
{
    struct sim_node *n = &s->nodes[w->node];
    return n->epoch == w->epoch && n->tracker.wire == w->id ? n : NULL;
}

static void forget_if_dead(struct sim *s, struct sim_wire *w)
{
    if (!w->open[0] && !w->open[1]) {
        s->tracker.wires[w->id - 1] = NULL;
        free(w);
    }
}

static struct sim_event *wire_event(struct sim *s, uint64_t delay_us, enum sim_event_kind kind,
                                    const struct sim_wire *w, int end, size_t len)
{
    struct sim_event *e = sim_after(s, delay_us, kind, len);
    e->link = w->id;
    e->end = (uint32_t)end;
    return e;
}

/* Bytes keep their order on a wire. */
static uint64_t way_us(struct sim *s, struct sim_wire *w, int from)
{
    uint64_t due_us = s->now_us + sim_between(&s->random, w->delay_us, w->delay_us * 2);
    w->due_us[from] = due_us > w->due_us[from] ? due_us : w->due_us[from] + 1;
    return w->due_us[from] - s->now_us;
}

void sim_wire_send(struct sim *s, struct sim_wire *w, int from, struct pn_bytes bytes)
{
    for (size_t at = 0; at < bytes.len && !w->cut[from];) { /* in pieces of any size */
        size_t len = sim_between(&s->random, 1, 200);
        len = len < bytes.len - at ? len : bytes.len - at;
        struct sim_event *e = wire_event(s, way_us(s, w, from), SIM_WIRE_BYTES, w, !from, len);
        memcpy(e->bytes, bytes.ptr + at, len);
        at += len;
    }
}

void sim_wire_notice(struct sim *s, struct sim_wire *w, int to)
{
    if (w->open[to] && !w->cut[!to]) {
        (void)wire_event(s, way_us(s, w, !to), SIM_WIRE_CLOSED, w, to, 0);
    }
}

/* This end is closed, and the other hears of it behind all bytes. */
void sim_wire_close(struct sim *s, struct sim_wire *w, int end)
{
    if (!w->open[end]) {
        return;
    }
    sim_wire_notice(s, w, !end);
    w->open[end] = false;
    if (end == 0) {
        struct sim_node *n = sim_wire_node(s, w);
        if (n != NULL) {
            n->tracker.wire = 0;
        }
    }
    forget_if_dead(s, w);
}

static struct sim_wire *any_wire(struct sim *s)
{
    const struct sim_tracker *t = &s->tracker;
    for (int tries = 0; tries < 8 && t->wire_count > 0; tries++) {
        struct sim_wire *w = t->wires[random_below(&s->faults, t->wire_count)];
        if (w != NULL && w->open[0] && w->open[1]) {
            return w;
        }
    }
    return NULL;
}

void sim_wire_fault(struct sim *s)
{
    struct sim_wire *w = any_wire(s);
    if (w == NULL) {
        return;
    }
    int end = sim_chance(&s->faults, 50);
    switch (random_below(&s->faults, 4)) {
    case 0:
        sim_trace(s, "node %u and the tracker are cut off from each other", w->node);
        w->cut[0] = w->cut[1] = true;
        break;
    case 1:
        sim_trace(s, "what end %d of node %u's wire sends is lost", end, w->node);
        w->cut[end] = true;
        break;
    case 2:
        sim_trace(s, "end %d of node %u's wire stalls", end, w->node);
        w->due_us[end] = s->now_us + sim_between(&s->faults, SIM_S, 90 * SIM_S);
        break;
    default:
        sim_trace(s, "node %u's wire is reset", w->node);
        (void)wire_event(s, 1, SIM_WIRE_CLOSED, w, 0, 0);
        w->cut[0] = true;
        break;
    }
}
