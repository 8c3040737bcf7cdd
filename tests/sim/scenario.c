#include <assert.h>

#include "tests/sim/sim.h"

#define ALL_FAULTS                                                                                 \
    (SIM_BREAKS | SIM_PARTITIONS | SIM_WORKER_CRASHES | SIM_MASTER_CRASHES | SIM_LEAVING |         \
     SIM_STOPS | SIM_TRACKER | SIM_WIRES | SIM_STALLS | SIM_ISLANDS | SIM_AIMED_WORKER)

/* One row a world. Seeds take them in turn. */
static const struct sim_scenario scenarios[] = {
    {.name = "calm",
     .slices_min = 1,
     .slices_max = 60,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = -1,
     .big_every = 4},
    {.name = "proof",
     .slices_min = 4,
     .slices_max = 60,
     .masters = 1,
     .workers = 4,
     .quorum = 1,
     .proof = true,
     .judged = true,
     .search = true,
     .own_slots = 0,
     .role_count = {[SIM_LIAR] = 1},
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "first",
     .slices_min = 4,
     .slices_max = 80,
     .masters = 1,
     .workers = 5,
     .quorum = 1,
     .proof = true,
     .judged = true,
     .search = true,
     .stop = STOP_FIRST,
     .own_slots = 2,
     .answer_every = 20,
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "every",
     .slices_min = 4,
     .slices_max = 60,
     .masters = 1,
     .workers = 4,
     .quorum = 1,
     .proof = true,
     .judged = true,
     .search = true,
     .own_slots = 1,
     .answer_every = 6,
     .role_count = {[SIM_LIAR] = 1},
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "lowest",
     .slices_min = 4,
     .slices_max = 60,
     .masters = 1,
     .workers = 5,
     .quorum = 1,
     .proof = true,
     .judged = true,
     .search = true,
     .stop = STOP_LOWEST,
     .own_slots = -1,
     .fail_every = 13,
     .answer_every = 12,
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "quorum",
     .slices_min = 2,
     .slices_max = 40,
     .masters = 1,
     .workers = 3,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 3,
     .role_count = {[SIM_LIAR] = 1},
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "liars", /* each alone and now and then: one own run convicts several */
     .slices_min = 8,
     .slices_max = 40,
     .masters = 1,
     .workers = 7,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 2,
     .role_count = {[SIM_LIAR] = 1, [SIM_EQUIVOCATOR] = 3},
     .faults = SIM_BREAKS | SIM_WORKER_CRASHES | SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "two-voters",
     .slices_min = 2,
     .slices_max = 24,
     .masters = 1,
     .workers = 2,
     .quorum = 2,
     .own_slots = -1,
     .big_every = 2,
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "exec",
     .slices_min = 2,
     .slices_max = 40,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = 1,
     .fail_every = 4,
     .big_every = 5,
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "failing-proof",
     .slices_min = 2,
     .slices_max = 30,
     .masters = 1,
     .workers = 3,
     .quorum = 1,
     .proof = true,
     .judged = true,
     .own_slots = 0,
     .fail_every = 4,
     .faults = ALL_FAULTS | SIM_AIMED_CRASH},
    {.name = "own",
     .slices_min = 1,
     .slices_max = 30,
     .masters = 1,
     .workers = 0,
     .quorum = 1,
     .own_slots = 2,
     .big_every = 2,
     .faults = SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "restarts",
     .slices_min = 2,
     .slices_max = 24,
     .masters = 1,
     .workers = 3,
     .quorum = 2,
     .own_slots = -1,
     .big_every = 2,
     .faults = SIM_COMMIT_CRASHES},
    {.name = "own-trouble", /* ties wait until it has passed: no slice fails for it */
     .slices_min = 10,
     .slices_max = 40,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = 1,
     .big_every = 4,
     .role_count = {[SIM_LIAR] = 2},
     .faults = SIM_OWN_TROUBLE | SIM_BREAKS | SIM_MASTER_CRASHES},
    {.name = "bad-disk",
     .slices_min = 2,
     .slices_max = 24,
     .masters = 1,
     .workers = 3,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 4,
     .faults = SIM_BAD_DISK | SIM_BREAKS},
    {.name = "crowd",
     .slices_min = 10,
     .slices_max = 80,
     .masters = 2,
     .workers = 9,
     .quorum = 2,
     .own_slots = 1,
     .big_every = 6,
     .shared_prefix = true,
     .may_give_up = true,
     .role_count =
         {[SIM_SLOW] = 1, [SIM_LAZY] = 1, [SIM_SILENT] = 1, [SIM_LIAR] = 1, [SIM_REPLAY] = 1},
     .faults = ALL_FAULTS | SIM_BAD_DISK | SIM_AIMED_CRASH},
    {.name = "replay",
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = -1,
     .role_count = {[SIM_REPLAY] = 1},
     .faults = SIM_BREAKS | SIM_MASTER_CRASHES},
    {.name = "silent",
     .slices_min = 2,
     .slices_max = 20,
     .masters = 1,
     .workers = 3,
     .quorum = 1,
     .own_slots = -1,
     .role_count = {[SIM_SILENT] = 1, [SIM_SLOW] = 1},
     .faults = SIM_BREAKS},
    {.name = "cancel",
     .slices_min = 20,
     .slices_max = 80,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = 1,
     .big_every = 4,
     .cancel = true,
     .faults = SIM_BREAKS | SIM_WORKER_CRASHES | SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "resume",
     .slices_min = 20,
     .slices_max = 60,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 4,
     .cancel = true,
     .timeout_s = 30,
     .resume = true,
     .faults = SIM_BREAKS | SIM_STOPS | SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "anew",
     .slices_min = 10,
     .slices_max = 40,
     .masters = 1,
     .workers = 4,
     .quorum = 2,
     .own_slots = -1,
     .big_every = 3,
     .anew = true,
     .role_count = {[SIM_REPLAY] = 1, [SIM_SLOW] = 1},
     .faults = SIM_BREAKS | SIM_WORKER_CRASHES},
    {.name = "gang",
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 6,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 4,
     .one_gang = true,
     .role_count = {[SIM_COLLUDER] = 3},
     .faults = SIM_BREAKS | SIM_WORKER_CRASHES | SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "gang-alone", /* the master cannot run slices itself: a quorum settles disputes */
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 6,
     .quorum = 2,
     .own_slots = -1,
     .one_gang = true,
     .role_count = {[SIM_COLLUDER] = 3},
     .faults = SIM_BREAKS | SIM_WORKER_CRASHES},
    {.name = "copied",
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 6,
     .quorum = 3,
     .own_slots = 0,
     .role_count = {[SIM_COLLUDER] = 1, [SIM_COPIER] = 1},
     .faults = SIM_BREAKS | SIM_MASTER_CRASHES},
    {.name = "mischief",
     .slices_min = 10,
     .slices_max = 40,
     .masters = 1,
     .workers = 6,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 4,
     .role_count = {[SIM_EQUIVOCATOR] = 1, [SIM_FLOODER] = 1, [SIM_ABANDONER] = 1},
     .faults = SIM_BREAKS | SIM_MASTER_CRASHES | SIM_AIMED_CRASH},
    {.name = "all-down",
     .slices_min = 10,
     .slices_max = 40,
     .masters = 2,
     .workers = 5,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 3,
     .role_count = {[SIM_LIAR] = 1},
     .faults = SIM_ALL_DOWN | SIM_AIMED_WORKER},
    {.name = "islands",
     .slices_min = 10,
     .slices_max = 40,
     .masters = 1,
     .workers = 5,
     .quorum = 2,
     .own_slots = 1,
     .big_every = 3,
     .faults = SIM_STALLS | SIM_ISLANDS | SIM_PARTITIONS | SIM_AIMED_WORKER},
    {.name = "tracker",
     .slices_min = 100,
     .slices_max = 160,
     .masters = 1,
     .workers = 4,
     .quorum = 1,
     .own_slots = -1,
     .near = true,
     .long_slices = true,
     .faults = SIM_TRACKER | SIM_NEWCOMERS},
    {.name = "hogs", /* the job is done long before the first lease of them runs out */
     .slices_min = 4,
     .slices_max = 40,
     .masters = 1,
     .workers = 7,
     .quorum = 2,
     .own_slots = -1,
     .time_limit_s = 3600,
     .done_s = 900,
     .role_count = {[SIM_HOG] = 3},
     .faults = 0},
    {.name = "hired", /* as few as are hired at once could all be such */
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 7,
     .quorum = 2,
     .own_slots = -1,
     .slots_max = 2,
     .time_limit_s = 3600,
     .done_s = 600,
     .role_count = {[SIM_HOG] = 3},
     .faults = 0},
    {.name = "drips", /* the job is done long before their outputs are here */
     .slices_min = 4,
     .slices_max = 30,
     .masters = 1,
     .workers = 6,
     .quorum = 2,
     .own_slots = 0,
     .big_every = 2,
     .done_s = 600,
     .role_count = {[SIM_DRIPPER] = 2},
     .faults = 0},
    {.name = "bound", /* as many networks lie alike as make a quorum: they win, as is promised */
     .slices_min = 20,
     .slices_max = 40,
     .masters = 1,
     .workers = 5,
     .quorum = 2,
     .own_slots = 0,
     .apart = true,
     .role_count = {[SIM_COLLUDER] = 2},
     .faults = SIM_BREAKS},
};

enum {
    SCENARIO_COUNT = sizeof scenarios / sizeof scenarios[0],
    APART_COUNT = 1, /* the last of them: no seed takes those by itself */
    SEEDED_COUNT = SCENARIO_COUNT - APART_COUNT,
    CRASH_COMMITS = 40, /* crashes are aimed at the first so many */
    CRASH_RESULTS = 60,
};

const struct sim_scenario *sim_scenario_at(size_t index)
{
    return index < SCENARIO_COUNT ? &scenarios[index] : NULL;
}

const struct sim_scenario *sim_scenario_of_seed(uint64_t seed)
{
    const struct sim_scenario *c = &scenarios[seed % SEEDED_COUNT];
    assert(!c->apart);
    return c;
}

const struct sim_scenario *sim_scenario_named(const char *name)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

static void fill(struct random *r, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)random_u64(r);
    }
}

static void build_node(struct sim *s, uint32_t index, enum sim_role role)
{
    const struct sim_scenario *c = s->scenario;
    struct sim_node *n = &s->nodes[index];
    bool master = index < s->master_count;
    n->index = index;
    n->role = role;
    n->lie = 1 + index;
    fill(&s->random, n->key.b, sizeof n->key.b);
    public_key_peer_id(&n->key, &n->peer);
    n->prefix = index + 1;
    if (master) {
        n->prefix = 0;
        n->slots = c->own_slots > 0 ? (uint16_t)c->own_slots : 0;
    } else {
        n->slots = (uint16_t)sim_between(&s->random, 1, 3);
    }
    if (c->shared_prefix && index == s->master_count + 1) {
        n->prefix = index; /* its neighbour's */
    }
    if (c->one_gang && role == SIM_COLLUDER) {
        n->prefix = s->master_count + 1; /* the first of them has it already */
    }
    n->slice_us = sim_between(&s->random, 5 * SIM_MS, 4 * SIM_S);
    if (c->long_slices) {
        n->slice_us = sim_between(&s->random, 8 * SIM_S, 15 * SIM_S);
    }
    if (role == SIM_HOG) {
        n->slots = SIM_PLACES_MAX;
    }
    if (role == SIM_SLOW) {
        n->slice_us = sim_between(&s->random, 20 * SIM_S, 90 * SIM_S);
    }
}

static void build_master(struct sim *s, uint32_t index)
{
    const struct sim_scenario *c = s->scenario;
    struct sim_master *m = &s->masters[index];
    m->job = index;
    struct master_config *g = &m->config;
    fill(&s->random, g->job.b, sizeof g->job.b);
    fill(&s->random, g->run.b, sizeof g->run.b);
    fill(&s->random, g->secret, sizeof g->secret);
    g->slice_count = (uint32_t)sim_between(&s->random, c->slices_min, c->slices_max);
    g->serial = 1;
    g->output_names = truth_output_names;
    g->output_count = 1;
    g->output_bytes_max = 1 << 20;
    g->time_limit_s = c->time_limit_s > 0 ? c->time_limit_s : 120;
    g->rule = (struct tally_rule){.quorum = c->quorum, .proof = c->proof};
    g->search = c->search;
    g->judged = c->judged;
    g->stop = c->stop;
    g->slots_max = c->slots_max;
    g->own_can_run = c->own_slots >= 0;
    g->welcome.run = g->run;
    g->check_vote = truth_check;
    m->truth = (struct truth_job){.job = g->job,
                                  .run = g->run,
                                  .slice_count = g->slice_count,
                                  .fail_every = c->fail_every,
                                  .big_every = c->big_every,
                                  .answer_every = c->answer_every};
    bool watched = sim_watch_new(m);
    assert(watched);
    sim_orders_plan(s, m);
}

/*
 * Every second seed has only some kinds of its scenario's faults, and them rarely or densely: what
 * one kind breaks alone another may heal. The aimed crashes walk their whole grid, each commit at
 * each of its moments, each scenario from a corner of its own.
 */
static void draw_faults(struct sim *s)
{
    const struct sim_scenario *c = s->scenario;
    s->kinds = c->faults;
    s->pace = 100;
    if (sim_chance(&s->faults, 50)) {
        s->kinds &= (uint32_t)random_u64(&s->faults) | SIM_ALWAYS;
        s->pace = (uint32_t)sim_between(&s->faults, 20, 300);
    }
    uint64_t corner = (uint64_t)(c - scenarios);
    uint64_t turn = c == sim_scenario_of_seed(s->seed) ? s->seed / SEEDED_COUNT : s->seed;
    if ((c->faults & SIM_AIMED_CRASH) != 0) {
        s->crash_commit = 1 + turn % CRASH_COMMITS;
        s->crash_moment = (uint32_t)((turn + turn / CRASH_COMMITS + corner) % 3);
    }
    if ((c->faults & SIM_AIMED_WORKER) != 0) {
        s->crash_result = 1 + turn % CRASH_RESULTS;
        s->result_moment = (uint32_t)((turn + turn / CRASH_RESULTS + corner) % SIM_RESULT_MOMENTS);
    }
}

void sim_scenario_build(struct sim *s)
{
    const struct sim_scenario *c = s->scenario;
    s->master_count = c->masters;
    s->node_count = (uint32_t)c->masters + c->workers;
    assert(s->node_count <= SIM_NODES_MAX && s->master_count <= SIM_MASTERS_MAX);
    uint32_t index = 0;
    for (; index < s->master_count; index++) {
        build_node(s, index, SIM_HONEST);
        build_master(s, index);
    }
    for (int role = SIM_HONEST + 1; role < SIM_ROLES; role++) {
        for (uint8_t i = 0; i < c->role_count[role]; i++) {
            build_node(s, index++, (enum sim_role)role);
        }
    }
    while (index < s->node_count) {
        build_node(s, index++, SIM_HONEST);
    }

    s->calm_us = c->faults == 0
                     ? 0
                     : sim_between(&s->random, 2 * SIM_S, (c->long_slices ? 240 : 120) * SIM_S);
    s->calm = c->faults == 0;
    draw_faults(s);
    /*
     * Done in time: half-open links are found out, leases of what silent workers hold run out,
     * each a few times over; then the work itself, on the slowest honest worker alone.
     */
    uint64_t lease_us = (120 + 60) * SIM_S;
    s->deadline_us = s->calm_us + 3 * (SESSION_DEAD_MS * SIM_MS + lease_us) +
                     (uint64_t)c->slices_max * c->masters * c->quorum * 8 * SIM_S;
    if (c->done_s > 0) {
        s->deadline_us = c->done_s * SIM_S;
    }

    for (uint32_t i = 0; i < s->node_count; i++) {
        struct sim_event *e = sim_after(s, sim_between(&s->random, 0, SIM_S), SIM_START, 0);
        e->node = i;
    }
    sim_tracker_up(s);
    (void)sim_after(s, s->calm_us + SIM_KNOWN_MS * SIM_MS, SIM_KNOWN_DUE, 0);
    if (c->faults != 0) {
        (void)sim_after(s, s->calm_us, SIM_CALM, 0);
        (void)sim_after(s, SIM_S, SIM_FAULT, 0);
    }
}
