#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

static struct sim_wire *wire_of_link(const struct sim *s, uint32_t link)
{
    struct sim_wire *w = link < SIM_WIRES_MAX ? sim_wire_at(s, s->tracker.wire_of[link]) : NULL;
    return w != NULL && w->open[1] && w->life == s->tracker.life && w->link == link ? w : NULL;
}

static bool board_send(void *arg, uint32_t link, struct pn_bytes bytes)
{
    struct sim *s = arg;
    struct sim_wire *w = wire_of_link(s, link);
    if (w == NULL) {
        sim_fail(s, "the tracker speaks on link %u, which is closed", link);
        return true;
    }
    sim_wire_send(s, w, 1, bytes);
    return true;
}

static void board_finish(void *arg, uint32_t link, bool quiet)
{
    struct sim *s = arg;
    struct sim_wire *w = wire_of_link(s, link);
    if (w == NULL) {
        return;
    }
    sim_wire_notice(s, w, 0);
    w->finishing = true;
    w->ended = w->ended || quiet;
}

static void board_drop(void *arg, uint32_t link)
{
    struct sim *s = arg;
    struct sim_wire *w = wire_of_link(s, link);
    if (w != NULL) {
        sim_trace(s, "the tracker drops node %u", w->node);
        sim_wire_close(s, w, 1);
    }
}

static void arm_board(struct sim *s)
{
    struct sim_tracker *t = &s->tracker;
    uint64_t due_ms = t->board != NULL ? switchboard_deadline_ms(t->board) : UINT64_MAX;
    sim_arm(s, &s->tracker_timer, due_ms == UINT64_MAX ? SIM_NEVER : due_ms * SIM_MS);
}

void sim_tracker_up(struct sim *s)
{
    static const struct switchboard_ops OPS = {
        .send = board_send, .finish = board_finish, .drop = board_drop};
    struct sim_tracker *t = &s->tracker;
    if (t->board != NULL) {
        return;
    }
    struct registry_config config = registry_config_default();
    config.seed = random_u64(&s->random);
    config.connection_count_max = SIM_WIRES_MAX / 2;
    t->board = switchboard_new(&config, &OPS, s, sim_now_ms(s));
    assert(t->board != NULL);
    t->life++;
    t->silent = false;
    t->up_us = s->now_us;
    s->tracker_timer.kind = SIM_TRACKER_TIMER;
    sim_trace(s, "the tracker starts");
    arm_board(s);
}

/* silent: its machine is gone, and so nobody is told; clients find out. */
void sim_tracker_down(struct sim *s, bool silent)
{
    struct sim_tracker *t = &s->tracker;
    if (t->board == NULL) {
        return;
    }
    sim_trace(s, "the tracker crashes%s", silent ? " with its machine" : "");
    switchboard_free(t->board);
    t->board = NULL;
    t->silent = silent;
    t->newcomer = 0;
    for (size_t i = 0; i < t->wire_count; i++) {
        struct sim_wire *w = t->wires[i];
        if (w != NULL && silent && w->open[0]) {
            w->open[1] = false;
        } else if (w != NULL) {
            sim_wire_close(s, w, 1);
        }
    }
    arm_board(s);
}

void sim_tracker_fini(struct sim *s)
{
    struct sim_tracker *t = &s->tracker;
    switchboard_free(t->board);
    for (size_t i = 0; i < t->wire_count; i++) {
        free(t->wires[i]);
    }
    free(t->wires);
    sim_arm(s, &s->tracker_timer, SIM_NEVER);
}

/* --- what happens to wires -------------------------------------------------------------------- */

void sim_wire_connect(struct sim *s, struct sim_node *n, uint64_t knock_us)
{
    struct sim_tracker *t = &s->tracker;
    struct addr at = sim_address_of(s, n);
    uint32_t link;
    struct pn_err err;
    if (t->board == NULL || sim_is_island(s, n)) {
        if (!t->silent && !sim_is_island(s, n)) {
            tracker_client_lost(n->tracker.core, "connection refused", sim_now_ms(s));
        } else { /* the kernel knocks again, ever more rarely, until the client gives up */
            struct sim_event *e = sim_after_on(s, knock_us, SIM_WIRE_CONNECT, n);
            e->serial = n->tracker.dial_serial;
            e->attempt = knock_us * 2;
        }
        return;
    }
    at.port = 0;
    if (switchboard_connected(t->board, &at, sim_now_ms(s), &link, &err) != PN_OK) {
        tracker_client_lost(n->tracker.core, err.text, sim_now_ms(s));
        return;
    }
    assert(link < SIM_WIRES_MAX);
    struct sim_wire *w = calloc(1, sizeof *w);
    assert(w != NULL);
    t->wires = sim_grow(t->wires, t->wire_count, &t->wire_cap, sizeof *t->wires);
    t->wires[t->wire_count++] = w;
    *w = (struct sim_wire){.id = (uint32_t)t->wire_count,
                           .node = n->index,
                           .epoch = n->epoch,
                           .life = t->life,
                           .link = link,
                           .open = {true, true},
                           .delay_us = sim_between(&s->random, 100, 60 * SIM_MS)};
    t->wire_of[link] = w->id;
    n->tracker.wire = w->id;
    sim_trace(s, "node %u is connected to the tracker", n->index);
    tracker_client_connected(n->tracker.core, sim_now_ms(s));
    arm_board(s);
}

static void to_tracker(struct sim *s, struct sim_wire *w, const struct sim_event *e)
{
    struct sim_tracker *t = &s->tracker;
    if (!w->open[1]) { /* of a life before: its machine resets the connection, if it is on */
        if (t->board != NULL && !w->cut[0]) {
            sim_wire_notice(s, w, 0);
        }
        return;
    }
    if (e->kind == SIM_WIRE_BYTES) {
        size_t used = switchboard_received(t->board, w->link, (struct pn_bytes){e->bytes, e->len},
                                           sim_now_ms(s));
        assert(used == e->len);
    } else {
        w->ended = true;
        switchboard_ended(t->board, w->link, sim_now_ms(s));
    }
    if (w->finishing && w->ended) { /* both sides are done */
        uint32_t link = w->link;
        sim_wire_close(s, w, 1);
        switchboard_closed(t->board, link, sim_now_ms(s));
    }
    arm_board(s);
}

void sim_tracker_event(struct sim *s, const struct sim_event *e)
{
    struct sim_wire *w = sim_wire_at(s, e->link);
    if (e->kind == SIM_TRACKER_START) {
        sim_tracker_up(s);
    } else if (e->kind == SIM_TRACKER_TIMER) {
        switchboard_tick(s->tracker.board, sim_now_ms(s));
        arm_board(s);
    } else if (w != NULL && e->end == 0) {
        sim_client_event(s, e);
    } else if (w != NULL) {
        to_tracker(s, w, e);
    }
}
