/*
 * faults -- what befalls the world of a seed: one fault after the other until all is calm.
 */
#include "tests/sim/sim.h"

void sim_restart_later(struct sim *s, const struct sim_node *n, uint64_t most_us)
{
    struct sim_event *e = sim_after(s, sim_between(&s->faults, SIM_MS, most_us), SIM_START, 0);
    e->node = n->index;
}

static struct sim_link *any_link(struct sim *s)
{
    for (int tries = 0; tries < 8 && s->link_count > 0; tries++) {
        struct sim_link *l = s->links[random_below(&s->faults, s->link_count)];
        if (l != NULL && !l->own && l->end[0].session != NULL && l->end[1].session != NULL) {
            return l;
        }
    }
    return NULL;
}

static void worker_fault(struct sim *s, bool leaves)
{
    if (s->node_count == s->master_count) {
        return;
    }
    struct sim_node *n = &s->nodes[sim_between(&s->faults, s->master_count, s->node_count - 1)];
    if (!n->up) {
        return;
    }
    if (!leaves) {
        sim_node_crash(s, n);
        sim_restart_later(s, n, 20 * SIM_S);
        return;
    }
    sim_trace(s, "node %u leaves", n->index);
    struct worker_event ev = {.kind = WORKER_LEAVE};
    sim_worker_step(s, n, &ev);
    (void)sim_after_on(s, 3 * SIM_S, SIM_GONE, n);
}

/* Away for a while; and where newcomers are watched, the last worker comes when it is back. */
static void tracker_fault(struct sim *s)
{
    if (s->tracker.board == NULL) {
        return;
    }
    sim_tracker_down(s, sim_chance(&s->faults, 30));
    uint64_t away_us = sim_between(&s->faults, SIM_MS, 40 * SIM_S);
    (void)sim_after(s, away_us, SIM_TRACKER_START, 0);
    if ((s->kinds & SIM_NEWCOMERS) != 0) {
        sim_node_crash(s, &s->nodes[s->node_count - 1]);
        sim_after(s, away_us + 1, SIM_NEWCOMER, 0)->node = s->node_count - 1;
    }
}

/* Nothing is lost on a stream: it comes when the way is free again, if the end still waits. */
static void stall(struct sim_link *l, int end, uint64_t until_us)
{
    l->end[end].due_us = until_us > l->end[end].due_us ? until_us : l->end[end].due_us;
}

bool sim_is_island(const struct sim *s, const struct sim_node *n)
{
    return n->island_until_us > s->now_us;
}

static void cut_off(struct sim *s, struct sim_node *n)
{
    n->island_until_us = s->now_us + sim_between(&s->faults, SIM_S, 200 * SIM_S);
    sim_trace(s, "node %u is cut off for %llu s", n->index,
              (unsigned long long)((n->island_until_us - s->now_us) / SIM_S));
    for (size_t i = 0; i < s->link_count; i++) {
        struct sim_link *l = s->links[i];
        if (!l->own && (l->end[0].node == n->index || l->end[1].node == n->index)) {
            stall(l, 0, n->island_until_us);
            stall(l, 1, n->island_until_us);
        }
    }
    struct sim_wire *w = sim_wire_at(s, n->tracker.wire);
    if (w != NULL) {
        w->due_us[0] = w->due_us[1] = n->island_until_us;
    }
}

static void all_down(struct sim *s)
{
    sim_trace(s, "everything crashes");
    if (s->tracker.board != NULL) {
        sim_tracker_down(s, sim_chance(&s->faults, 50));
        (void)sim_after(s, sim_between(&s->faults, SIM_MS, 20 * SIM_S), SIM_TRACKER_START, 0);
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i].up) {
            sim_node_crash(s, &s->nodes[i]);
            sim_restart_later(s, &s->nodes[i], 20 * SIM_S);
        }
    }
}

/* One of the kinds that this world knows, but for those that are aimed. */
static uint32_t any_kind(struct sim *s)
{
    uint32_t kinds = s->kinds & ~(uint32_t)SIM_ALWAYS;
    uint32_t count = (uint32_t)__builtin_popcount(kinds);
    for (uint32_t skip = count > 0 ? (uint32_t)random_below(&s->faults, count) : 0; skip > 0;
         skip--) {
        kinds &= kinds - 1;
    }
    return kinds & (~kinds + 1);
}

void sim_fault(struct sim *s)
{
    if (s->calm) {
        return;
    }
    struct sim_link *l = any_link(s);
    switch (any_kind(s)) {
    case SIM_BREAKS:
        if (l != NULL) {
            sim_link_break(s, l, sim_chance(&s->faults, 70));
        }
        break;
    case SIM_PARTITIONS:
        if (l != NULL) {
            int end = sim_chance(&s->faults, 50);
            l->end[end].cut = true; /* for good: lost bytes are never made up on this stream */
            sim_trace(s, "link %u loses what end %d sends", l->id, end);
        }
        break;
    case SIM_WORKER_CRASHES:
        worker_fault(s, false);
        break;
    case SIM_LEAVING:
        worker_fault(s, true);
        break;
    case SIM_MASTER_CRASHES: {
        struct sim_node *n = &s->nodes[random_below(&s->faults, s->master_count)];
        if (n->up) {
            sim_node_crash(s, n);
            sim_restart_later(s, n, 15 * SIM_S);
        }
        break;
    }
    case SIM_STOPS: {
        struct master_event ev = {.kind = MASTER_STOP};
        sim_master_step(s, &s->masters[random_below(&s->faults, s->master_count)], &ev);
        break;
    }
    case SIM_BAD_DISK:
        s->masters[random_below(&s->faults, s->master_count)].disk.failing = true;
        break;
    case SIM_TRACKER:
        tracker_fault(s);
        break;
    case SIM_STALLS:
        if (l != NULL) {
            uint64_t until_us = s->now_us + sim_between(&s->faults, SIM_S, 120 * SIM_S);
            bool both = sim_chance(&s->faults, 50);
            sim_trace(s, "link %u stalls", l->id);
            stall(l, 0, until_us);
            stall(l, 1, both ? until_us : 0);
        }
        break;
    case SIM_ISLANDS:
        cut_off(s, &s->nodes[random_below(&s->faults, s->node_count)]);
        break;
    case SIM_ALL_DOWN:
        if (sim_chance(&s->faults, 20)) {
            all_down(s);
        }
        break;
    case SIM_WIRES:
        sim_wire_fault(s);
        break;
    default:
        break;
    }
    uint64_t pause_us = s->scenario->long_slices ? sim_between(&s->faults, 5 * SIM_S, 90 * SIM_S)
                                                 : sim_between(&s->faults, 50 * SIM_MS, 6 * SIM_S);
    (void)sim_after(s, pause_us * s->pace / 100, SIM_FAULT, 0);
}

/* Faults stop: what is down comes up, a failed disk is replaced by a restart. */
void sim_calm(struct sim *s)
{
    sim_trace(s, "faults stop");
    s->calm = true;
    for (uint32_t i = 0; i < s->node_count; i++) {
        s->nodes[i].island_until_us = 0; /* for dials; links still stall as long as they do */
    }
    for (uint32_t i = 0; i < s->master_count; i++) {
        s->masters[i].disk.failing = false;
        if (s->masters[i].broken) {
            sim_node_crash(s, &s->nodes[i]);
        }
    }
    sim_tracker_up(s);
    for (uint32_t i = 0; i < s->node_count; i++) {
        if ((s->kinds & SIM_NEWCOMERS) != 0 && i == s->node_count - 1) {
            sim_newcomer(s, &s->nodes[i]);
        } else {
            sim_node_start(s, &s->nodes[i]);
        }
    }
}
