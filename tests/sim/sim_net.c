#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

enum {
    CHUNK_BYTES_MAX = 64 * 1024,
    DIALS_MAX = 45, /* of one worker to one master in a minute: its pauses grow */
};

struct sim_link *sim_link_of(const struct sim *s, uint32_t link)
{
    return link > 0 && link <= s->link_count ? s->links[link - 1] : NULL;
}

static void arm_session(struct sim *s, struct sim_end *e)
{
    uint64_t due_ms = e->session != NULL ? session_deadline_ms(e->session) : UINT64_MAX;
    sim_arm(s, &e->timer, due_ms == UINT64_MAX ? SIM_NEVER : due_ms * SIM_MS);
}

/* What a session has to say goes on its way, in pieces of any size. */
static void pump(struct sim *s, struct sim_link *l, int end)
{
    struct sim_end *e = &l->end[end];
    if (e->session == NULL) {
        return;
    }
    for (;;) {
        size_t most = l->own ? CHUNK_BYTES_MAX : sim_between(&s->random, 1, 4096);
        struct pn_bytes out = session_output(e->session, most);
        if (out.len == 0) {
            break;
        }
        if (!e->cut) {
            uint64_t due_us =
                s->now_us + (l->own ? 1 : sim_between(&s->random, l->delay_us, l->delay_us * 2));
            e->due_us = due_us > e->due_us ? due_us : e->due_us + 1;
            struct sim_event *ev = sim_after(s, e->due_us - s->now_us, SIM_BYTES, out.len);
            ev->link = l->id;
            ev->end = (uint32_t)!end;
            memcpy(ev->bytes, out.ptr, out.len);
        }
        session_sent(e->session, sim_now_ms(s), out.len);
    }
    arm_session(s, e);
}

void sim_send(struct sim *s, uint32_t link, int end, struct pn_bytes frame)
{
    struct sim_link *l = sim_link_of(s, link);
    if (l == NULL || l->end[end].session == NULL) {
        return;
    }
    struct frame f;
    size_t used;
    size_t need;
    enum pn_status status = frame_parse(frame, FRAME_BODY_MAX, &f, &used, &need, NULL);
    assert(status == PN_OK && used == frame.len);
    status = session_send(l->end[end].session, SESSION_CONTROL, &f);
    if (status != PN_OK) {
        sim_fail(s, "link %u: a control queue is full", link);
    }
    if (s->inside != l) {
        pump(s, l, end);
    }
}

/* Up, or in vain: until then nobody else may hire for this place. */
static void dial_over(struct sim *s, struct sim_node *n, uint32_t job)
{
    n->dialing[job] = false;
    sim_client_refresh(s, n);
}

/* --- the end of a link ------------------------------------------------------------------------ */

/* This end is closed; its core hears of it as an event of its own. */
static void end_now(struct sim *s, struct sim_link *l, int end)
{
    struct sim_end *e = &l->end[end];
    if (e->session == NULL) {
        return;
    }
    session_free(e->session);
    e->session = NULL;
    sim_arm(s, &e->timer, SIM_NEVER);
    if (e->told) {
        struct sim_event *ev = sim_after(s, 1, SIM_LINK_DOWN, 0);
        ev->link = l->id;
        ev->end = (uint32_t)end;
    } else if (end == 0 && s->nodes[e->node].epoch == e->epoch) {
        dial_over(s, &s->nodes[e->node], l->job);
    }
}

static void notice(struct sim *s, struct sim_link *l, int end, uint64_t delay_us)
{
    struct sim_event *ev = sim_after(s, delay_us, SIM_CLOSED, 0);
    ev->link = l->id;
    ev->end = (uint32_t)end;
}

void sim_close(struct sim *s, uint32_t link, int end, const char *reason)
{
    struct sim_link *l = sim_link_of(s, link);
    if (l == NULL || l->end[end].session == NULL) {
        return;
    }
    sim_trace(s, "link %u closed by end %d: %s", link, end, reason);
    struct sim_end *e = &l->end[end];
    if (s->inside == l) {
        e->closing = true;
        return;
    }
    pump(s, l, end);
    if (!e->cut) {
        e->due_us = (s->now_us > e->due_us ? s->now_us : e->due_us) + l->delay_us + 1;
        notice(s, l, !end, e->due_us - s->now_us);
    }
    end_now(s, l, end);
}

void sim_link_break(struct sim *s, struct sim_link *l, bool noticed)
{
    sim_trace(s, "link %u breaks%s", l->id, noticed ? "" : ", unnoticed");
    for (int end = 0; end < 2; end++) {
        l->end[end].cut = true;
        if (!s->nodes[l->end[end].node].up ||
            s->nodes[l->end[end].node].epoch != l->end[end].epoch) {
            l->end[end].told = false; /* nobody there to tell */
            end_now(s, l, end);
        } else if (noticed) {
            notice(s, l, end, sim_between(&s->random, 0, 2 * SIM_S));
        }
    }
}

void sim_link_free(struct sim *s, struct sim_link *l)
{
    if (l == NULL) {
        return;
    }
    s->links[l->id - 1] = NULL;
    for (int end = 0; end < 2; end++) {
        session_free(l->end[end].session);
        sim_arm(s, &l->end[end].timer, SIM_NEVER);
    }
    free(l);
}

/* --- its beginning ---------------------------------------------------------------------------- */

static enum pn_status on_worker_hello(void *arg, const struct hello *hello, struct pn_err *err)
{
    (void)hello;
    (void)err;
    struct sim_link *l = arg;
    struct sim *s = l->sim;
    struct sim_node *n = &s->nodes[l->end[0].node];
    l->end[0].told = true;
    dial_over(s, n, l->job);
    struct worker_event ev = {.kind = WORKER_ENGAGE,
                              .link = l->id,
                              .own = l->own,
                              .peer = s->nodes[l->end[1].node].peer,
                              .job = s->masters[l->job].config.job};
    sim_worker_step(s, n, &ev);
    return PN_OK;
}

static enum pn_status on_worker_frame(void *arg, const struct frame *f, struct pn_err *err)
{
    (void)err;
    struct sim_link *l = arg;
    return sim_worker_frame(l->sim, l, f);
}

static enum pn_status on_master_hello(void *arg, const struct hello *hello, struct pn_err *err)
{
    (void)hello;
    (void)err;
    ((struct sim_link *)arg)->end[1].told = true;
    return PN_OK;
}

static enum pn_status on_master_frame(void *arg, const struct frame *f, struct pn_err *err)
{
    (void)err;
    struct sim_link *l = arg;
    return sim_master_frame(l->sim, l, f);
}

void sim_dial(struct sim *s, struct sim_node *n, uint32_t job)
{
    if (n->dialing[job]) {
        return;
    }
    n->dialing[job] = true;
    bool own = n->index == job;
    uint64_t minute = s->now_us / (60 * SIM_S);
    if (n->minute != minute) {
        n->minute = minute;
        memset(n->dials, 0, sizeof n->dials);
    }
    n->dials[job] += !own;
    if (n->dials[job] > DIALS_MAX) {
        sim_fail(s, "node %u dials master %u %u times in a minute", n->index, job, n->dials[job]);
    }
    struct sim_event *e =
        sim_after_on(s, own ? 1 : sim_between(&s->random, SIM_MS, 300 * SIM_MS), SIM_CONNECT, n);
    e->job = job;
    e->attempt = SIM_S;
}

/* Nobody answers: the kernel knocks again, ever more rarely, and then it is given up. */
static void knock(struct sim *s, struct sim_node *n, uint32_t job, uint64_t pause_us)
{
    if (pause_us > 8 * SIM_S) {
        dial_over(s, n, job);
        return;
    }
    struct sim_event *e = sim_after_on(s, pause_us, SIM_CONNECT, n);
    e->job = job;
    e->attempt = pause_us * 2;
}

static void connect_now(struct sim *s, struct sim_node *n, uint32_t job, uint64_t pause_us)
{
    struct sim_node *to = &s->nodes[job];
    if (n != to && (sim_is_island(s, n) || sim_is_island(s, to))) {
        knock(s, n, job, pause_us);
        return;
    }
    if (!to->up || n->worker == NULL) {
        dial_over(s, n, job);
        return;
    }
    struct sim_link *l = calloc(1, sizeof *l);
    assert(l != NULL);
    s->links = sim_grow(s->links, s->link_count, &s->link_cap, sizeof(struct sim_link *));
    s->links[s->link_count++] = l;
    l->sim = s;
    l->id = (uint32_t)s->link_count;
    l->job = job;
    l->own = n == to;
    l->delay_us = !s->scenario->near && sim_chance(&s->random, 10)
                      ? sim_between(&s->random, SIM_S, 3 * SIM_S)
                      : sim_between(&s->random, 100, 60 * SIM_MS);
    const struct hello hello = {.version = HELLO_VERSION, .slots = n->slots};
    const struct session_events events[2] = {{on_worker_hello, on_worker_frame, l},
                                             {on_master_hello, on_master_frame, l}};
    for (int end = 0; end < 2; end++) {
        struct sim_end *e = &l->end[end];
        const struct sim_node *at = end == 0 ? n : to;
        e->node = at->index;
        e->epoch = at->epoch;
        e->timer.kind = SIM_SESSION_TIMER;
        e->timer.link = l->id;
        e->timer.end = (uint32_t)end;
        e->session = session_new(&hello, &events[end]);
        assert(e->session != NULL);
        session_start(e->session, sim_now_ms(s));
    }
    sim_trace(s, "link %u: node %u to master %u, %llu us", l->id, n->index, job,
              (unsigned long long)l->delay_us);
    pump(s, l, 0);
    pump(s, l, 1);
}

/* --- events ----------------------------------------------------------------------------------- */

static void arrive(struct sim *s, struct sim_link *l, int end, struct pn_bytes bytes)
{
    struct sim_end *e = &l->end[end];
    if (e->session == NULL) {
        return;
    }
    s->inside = l;
    struct pn_err err;
    enum pn_status status = session_input(e->session, sim_now_ms(s), bytes, &err);
    s->inside = NULL;
    for (int i = 0; i < 2; i++) {
        if (l->end[i].closing || (i == end && status != PN_OK)) {
            l->end[i].closing = false;
            sim_close(s, l->id, i, status != PN_OK ? "unacceptable" : "asked for");
        }
    }
    pump(s, l, 0);
    pump(s, l, 1);
}

static void tell_down(struct sim *s, struct sim_link *l, int end)
{
    struct sim_end *e = &l->end[end];
    struct sim_node *n = &s->nodes[e->node];
    if (!e->told || !n->up || n->epoch != e->epoch) {
        return;
    }
    e->told = false;
    if (end == 0 && n->worker != NULL) {
        struct worker_event ev = {.kind = WORKER_LINK_DOWN, .link = l->id};
        sim_worker_step(s, n, &ev);
    } else if (end == 1 && s->masters[l->job].core != NULL) {
        struct master_event ev = {.kind = MASTER_LINK_DOWN, .link = l->id};
        sim_master_step(s, &s->masters[l->job], &ev);
    }
}

static void session_time(struct sim *s, struct sim_link *l, int end)
{
    struct pn_err err;
    if (l->end[end].session == NULL) {
        return;
    }
    if (session_tick(l->end[end].session, sim_now_ms(s), &err) != PN_OK) {
        sim_close(s, l->id, end, "its session timed out");
        return;
    }
    pump(s, l, end);
}

void sim_net_event(struct sim *s, const struct sim_event *e)
{
    if (e->kind == SIM_CONNECT) {
        connect_now(s, &s->nodes[e->node], e->job, e->attempt);
        return;
    }
    struct sim_link *l = sim_link_of(s, e->link);
    if (l == NULL) {
        return;
    }
    int end = (int)e->end;
    if (e->kind == SIM_BYTES) {
        arrive(s, l, end, (struct pn_bytes){e->bytes, e->len});
    } else if (e->kind == SIM_CLOSED) {
        end_now(s, l, end);
    } else if (e->kind == SIM_LINK_DOWN) {
        tell_down(s, l, end);
    } else {
        session_time(s, l, end);
    }
}
