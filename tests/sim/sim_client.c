#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

enum { REFRESH_MS = 10, LISTEN_PORT = 7601 };

/* Public addresses, so that the tracker's budgets count; a prefix is a /24. */
struct addr sim_address_of(const struct sim *s, const struct sim_node *n)
{
    bool master = n->index < s->master_count;
    return addr_v4(44, (uint8_t)master, (uint8_t)(master ? n->index : n->prefix),
                   (uint8_t)(n->index + 1), LISTEN_PORT);
}

/* --- its shell -----------------------------------------------------------------------------------
 */

static void arm_client(struct sim *s, struct sim_node *n)
{
    uint64_t due_ms =
        n->tracker.core != NULL ? tracker_client_deadline_ms(n->tracker.core) : UINT64_MAX;
    sim_arm(s, &n->client_timer, due_ms == UINT64_MAX ? SIM_NEVER : due_ms * SIM_MS);
}

static void op_dial(void *arg)
{
    struct sim_node *n = arg;
    struct sim *s = n->sim;
    struct sim_client *c = &n->tracker;
    uint64_t minute = s->now_us / (60 * SIM_S);
    c->dials = c->minute == minute ? c->dials + 1 : 1;
    c->minute = minute;
    if (c->dials > SIM_DIALS_MAX) {
        sim_fail(s, "node %u dials the tracker %u times in a minute", n->index, c->dials);
    }
    struct sim_event *e =
        sim_after_on(s, sim_between(&s->random, 100, 200 * SIM_MS), SIM_WIRE_CONNECT, n);
    e->serial = ++c->dial_serial;
    e->attempt = SIM_S;
}

static void op_hang_up(void *arg)
{
    struct sim_node *n = arg;
    n->tracker.dial_serial++;
    struct sim_wire *w = sim_wire_at(n->sim, n->tracker.wire);
    if (w != NULL) {
        sim_wire_close(n->sim, w, 0);
    }
}

static void op_send(void *arg, struct pn_bytes bytes)
{
    struct sim_node *n = arg;
    struct sim_wire *w = sim_wire_at(n->sim, n->tracker.wire);
    if (w != NULL) {
        sim_wire_send(n->sim, w, 0, bytes);
    }
}

/* As peer_uv and labour_hire decide. */
static bool op_on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    struct sim_node *n = arg;
    struct sim *s = n->sim;
    for (uint32_t i = 0; i < s->master_count; i++) {
        struct addr at = sim_address_of(s, &s->nodes[i]);
        if (!digest_equal(&s->masters[i].config.job, job) || !addr_equal(&at, master)) {
            continue;
        }
        if (n->worker == NULL || n->index == i || n->dialing[i] || worker_linked(n->worker, job) ||
            (worker_idle_slots(n->worker) == 0 && !worker_engaged(n->worker, job))) {
            return false;
        }
        sim_trace(s, "node %u is hired by master %u", n->index, i);
        sim_dial(s, n, i);
        n->tracker.idle_due = true;
        sim_client_refresh(s, n);
        return true;
    }
    sim_fail(s, "node %u is hired for a job that nobody leads", n->index);
    return false;
}

static void op_on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count,
                        uint32_t known)
{
    (void)arg;
    (void)job;
    (void)peers;
    (void)count;
    (void)known;
}

void sim_client_up(struct sim *s, struct sim_node *n)
{
    static const struct tracker_client_ops OPS = {.dial = op_dial,
                                                  .hang_up = op_hang_up,
                                                  .send = op_send,
                                                  .on_hire = op_on_hire,
                                                  .on_peers = op_on_peers};
    n->sim = s;
    n->tracker = (struct sim_client){.idle_due = true, .dial_serial = n->tracker.dial_serial};
    n->tracker.core = tracker_client_new("tracker", 0, &OPS, n, random_u64(&s->random));
    assert(n->tracker.core != NULL);
    n->client_timer.kind = SIM_CLIENT_TIMER;
    n->client_timer.node = n->index;
    tracker_client_start(n->tracker.core, sim_now_ms(s));
    arm_client(s, n);
    sim_client_refresh(s, n);
}

void sim_client_down(struct sim *s, struct sim_node *n, bool noticed)
{
    if (n->tracker.core == NULL) {
        return;
    }
    struct sim_wire *w = sim_wire_at(s, n->tracker.wire);
    if (w != NULL) {
        w->cut[0] = w->cut[0] || !noticed;
        sim_wire_close(s, w, 0);
    }
    tracker_client_free(n->tracker.core);
    n->tracker.core = NULL;
    n->tracker.wire = 0;
    arm_client(s, n);
}

/* --- what a node states ----------------------------------------------------------------------- */

static struct sim_master *leads(struct sim *s, const struct sim_node *n)
{
    struct sim_master *m = n->index < s->master_count ? &s->masters[n->index] : NULL;
    struct master_stats stats;
    if (m == NULL || m->core == NULL) {
        return NULL;
    }
    master_stats(m->core, &stats);
    return stats.state == JOB_RUNNING ? m : NULL;
}

static uint16_t wanted_by(struct sim *s, const struct sim_node *n)
{
    const struct sim_master *m = leads(s, n);
    uint32_t slots = m != NULL ? master_demand(m->core) : 0;
    return slots > UINT16_MAX ? UINT16_MAX : (uint16_t)slots;
}

static uint16_t idle_at(const struct sim *s, const struct sim_node *n)
{
    uint32_t dialling = 0;
    for (uint32_t i = 0; i < s->master_count; i++) {
        dialling += n->dialing[i] && n->index != i;
    }
    uint32_t idle = n->worker != NULL ? worker_idle_slots(n->worker) : 0;
    return idle > dialling ? (uint16_t)(idle - dialling) : 0;
}

void sim_client_refresh(struct sim *s, struct sim_node *n)
{
    const struct sim_client *c = &n->tracker;
    if (c->core == NULL || c->refresh_due ||
        (!c->idle_due && c->idle_told == idle_at(s, n) && c->demand_told == wanted_by(s, n))) {
        return;
    }
    n->tracker.refresh_due = true;
    (void)sim_after_on(s, sim_between(&s->random, SIM_MS, REFRESH_MS * SIM_MS), SIM_REFRESH, n);
}

static void refresh(struct sim *s, struct sim_node *n)
{
    struct sim_client *c = &n->tracker;
    enum pn_status status = PN_OK;
    const struct pn_bytes none = {NULL, 0};
    c->refresh_due = false;
    if (n->index < s->master_count) {
        const struct digest *job = &s->masters[n->index].config.job;
        bool serves = leads(s, n) != NULL;
        uint16_t wanted = wanted_by(s, n);
        if (serves != c->served) {
            c->served = serves;
            status = tracker_client_serve(c->core, job, serves ? LISTEN_PORT : 0);
            assert(status == PN_OK);
        }
        if (wanted != c->demand_told) {
            c->demand_told = wanted;
            status = tracker_client_demand(c->core, job, LISTEN_PORT, wanted, none, sim_now_ms(s));
            assert(status == PN_OK);
        }
    }
    if (idle_at(s, n) != c->idle_told || c->idle_due) {
        c->idle_told = idle_at(s, n);
        c->idle_due = false;
        status = tracker_client_idle(c->core, c->idle_told, none);
        assert(status == PN_OK);
    }
    arm_client(s, n);
}

/* --- a new worker ----------------------------------------------------------------------------- */

void sim_newcomer(struct sim *s, struct sim_node *n)
{
    struct sim_tracker *t = &s->tracker;
    if (n->up) {
        return;
    }
    sim_node_start(s, n);
    t->newcomer = n->index + 1;
    struct sim_event *e = sim_after_on(s, SIM_HIRED_MS * SIM_MS, SIM_HIRED_DUE, n);
    e->serial = ++t->newcomer_serial;
}

void sim_newcomer_assigned(struct sim *s, const struct sim_node *n)
{
    if (s->tracker.newcomer == n->index + 1) {
        sim_trace(s, "node %u has work %llu ms after the tracker is back", n->index,
                  (unsigned long long)((s->now_us - s->tracker.up_us) / SIM_MS));
        s->tracker.newcomer = 0;
    }
}

static void hired_due(struct sim *s, const struct sim_event *e)
{
    struct sim_tracker *t = &s->tracker;
    if (t->newcomer != e->node + 1 || t->newcomer_serial != e->serial) {
        return;
    }
    bool wanted = false;
    for (uint32_t i = 0; i < s->master_count; i++) {
        wanted = wanted || wanted_by(s, &s->nodes[i]) > 0;
    }
    t->newcomer = 0;
    if (wanted) {
        sim_fail(s, "node %u is new and has no work %d s after the tracker is back", e->node,
                 SIM_HIRED_MS / 1000);
    }
}

/* Some time after the last fault: every client is at home. */
static void known_due(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        if (n->up && n->role != SIM_ABANDONER && /* that one has just come, always */
            tracker_client_state(n->tracker.core) != TRACKER_CLIENT_READY) {
            sim_fail(s, "node %u has not found the tracker again", i);
        }
    }
}

/* --- events --------------------------------------------------------------------------------------
 */

/* The client's socket has ended, or nobody knows the connection where its bytes arrive. */
static void lose(struct sim *s, struct sim_wire *w, const char *reason)
{
    struct sim_node *n = sim_wire_node(s, w);
    sim_wire_close(s, w, 0);
    if (n != NULL) {
        tracker_client_lost(n->tracker.core, reason, sim_now_ms(s));
        arm_client(s, n);
    }
}

static void to_client(struct sim *s, struct sim_wire *w, const struct sim_event *e)
{
    struct sim_node *n = sim_wire_node(s, w);
    if (!w->open[0] || n == NULL) {
        return;
    }
    if (e->kind == SIM_WIRE_CLOSED) {
        lose(s, w, "closed the connection");
        return;
    }
    tracker_client_received(n->tracker.core, (struct pn_bytes){e->bytes, e->len}, sim_now_ms(s));
    arm_client(s, n);
}

void sim_client_event(struct sim *s, const struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    switch (e->kind) {
    case SIM_WIRE_CONNECT:
        if (e->serial == n->tracker.dial_serial) {
            sim_wire_connect(s, n, e->attempt);
            arm_client(s, n);
        }
        break;
    case SIM_WIRE_BYTES:
    case SIM_WIRE_CLOSED:
        to_client(s, sim_wire_at(s, e->link), e);
        break;
    case SIM_CLIENT_TIMER:
        tracker_client_tick(n->tracker.core, sim_now_ms(s));
        arm_client(s, n);
        break;
    case SIM_REFRESH:
        refresh(s, n);
        break;
    case SIM_HIRED_DUE:
        hired_due(s, e);
        break;
    case SIM_KNOWN_DUE:
        known_due(s);
        break;
    default:
        assert(!"not a client's event");
    }
}
