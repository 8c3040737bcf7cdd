/*
 * sim -- one seed, one whole run: real cores of masters and workers, joined by a simulated network,
 * with simulated disks and programs, in virtual time. README.md tells how to read a failure.
 *
 *     sim.c          the world: its clock, its queue, birth and death of nodes
 *     faults.c       what befalls it
 *     orders.c       what users do to their runs
 *     sim_net.c      links: bytes through real sessions, late, cut or never
 *     sim_tracker.c  the tracker; sim_client.c: its clients; sim_wire.c: the streams between
 *     sim_disk.c     a master's disk: durable late and in order, or failing
 *     sim_master.c   carries out what a master's core wants
 *     sim_worker.c   carries out what a worker's core wants; how it fails
 *     villain.c      what dishonest workers do
 *     scenario.c     which world a seed makes
 *     invariants.c   what must hold of all that leaves a master; …_state.c: between its steps;
 *                    …_end.c: in the end
 *
 * Time: the cores' milliseconds from microseconds here, so that bytes keep their order on a link.
 */
#ifndef PREON_TESTS_SIM_SIM_H
#define PREON_TESTS_SIM_SIM_H

#include <stdio.h>

#include "common/heap.h"
#include "common/random.h"
#include "common/session.h"
#include "peer/master/master.h"
#include "peer/worker/worker.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_tracker.h"
#include "tests/sim/truth.h"

enum {
    SIM_NODES_MAX = 16,
    SIM_MASTERS_MAX = 2,
    SIM_PLACES_MAX = 4,
    SIM_WHY_BYTES = 240,
};

#define SIM_MS ((uint64_t)1000) /* of the queue's microseconds */
#define SIM_S ((uint64_t)1000000)
#define SIM_NEVER UINT64_MAX

/* --- what kind of world ----------------------------------------------------------------------- */

enum sim_role {
    SIM_HONEST,
    SIM_SLOW,        /* twenty times slower: over its lease, late with its votes */
    SIM_LIAR,        /* votes a wrong outcome, signed by itself */
    SIM_LAZY,        /* often says that it cannot run a slice */
    SIM_SILENT,      /* takes slices and never answers, on a link that stays */
    SIM_REPLAY,      /* honest, and also sends old votes again, of this run and of others */
    SIM_COLLUDER,    /* votes the wrong outcome that all its like vote */
    SIM_EQUIVOCATOR, /* votes twice on one attempt: the truth and a lie, in either order */
    SIM_COPIER,      /* votes what somebody else has voted, right or wrong */
    SIM_FLOODER,     /* honest, and says each vote a hundred times more */
    SIM_ABANDONER,   /* takes slices, goes without a word, and comes back */
    SIM_DRIPPER,     /* honest, but its outputs come as slowly as they may */
    SIM_HOG,         /* says that it has thousands of slots, takes all, and goes on for ever */
    SIM_ROLES,
};

enum sim_faults {
    SIM_BREAKS = 1,           /* links break */
    SIM_PARTITIONS = 2,       /* bytes of one direction vanish for a while */
    SIM_WORKER_CRASHES = 4,   /* and forget what they ran */
    SIM_MASTER_CRASHES = 8,   /* at random moments */
    SIM_COMMIT_CRASHES = 16,  /* around many commits */
    SIM_BAD_DISK = 32,        /* a sync fails: nothing more is written until a restart */
    SIM_LEAVING = 64,         /* workers go in good order, and come back */
    SIM_STOPS = 128,          /* a master is stopped in good order, and goes on later */
    SIM_AIMED_CRASH = 256,    /* one crash, around one commit: the seed says which */
    SIM_TRACKER = 512,        /* crashes, alone or with its machine */
    SIM_WIRES = 1024,         /* connections to the tracker break, stall, or are cut one way */
    SIM_NEWCOMERS = 2048,     /* a worker comes whenever the tracker is back, and is to be hired */
    SIM_STALLS = 4096,        /* a link's bytes come much later, in one direction or both */
    SIM_ISLANDS = 8192,       /* a machine reaches nobody for a while, and nobody reaches it */
    SIM_ALL_DOWN = 16384,     /* everything crashes at once */
    SIM_AIMED_WORKER = 32768, /* one crash of a worker, around one result: the seed says which */
    SIM_OWN_TROUBLE = 65536,  /* a master's machine can run nothing for a quarter of each minute */
    SIM_ALWAYS = SIM_COMMIT_CRASHES | SIM_AIMED_CRASH | SIM_NEWCOMERS | SIM_AIMED_WORKER,
};

/* One row of scenario.c's table. Counts of roles; the rest of the workers are honest. */
struct sim_scenario {
    const char *name;
    uint32_t slices_min, slices_max;
    uint8_t masters;
    uint8_t workers;
    uint8_t role_count[SIM_ROLES];
    uint8_t quorum;
    bool proof;
    bool judged;
    bool search;
    enum stop_mode stop;
    int8_t own_slots;   /* of the master's own worker; -1: there is none */
    bool one_gang;      /* its colluders all live in one network */
    bool apart;         /* not among those that seeds take in turn: it is expected to break */
    bool shared_prefix; /* two of the workers live in one network */
    uint32_t fail_every, big_every, answer_every;
    uint32_t faults;
    bool long_slices;      /* and faults rarely */
    bool near;             /* no link is a slow one */
    bool cancel;           /* by the user, some time */
    uint32_t timeout_s;    /* of the job, at most; 0: none */
    bool resume;           /* whenever it was called off */
    bool anew;             /* once it is lost with its ledger, and started as another run */
    bool may_give_up;      /* slices may end as given up */
    uint32_t time_limit_s; /* of a slice; 0: two minutes */
    uint32_t slots_max;    /* hired at most; 0: no bound */
    uint32_t done_s;       /* the job ends by then, however long leases are; 0: computed */
};

const struct sim_scenario *sim_scenario_named(const char *name); /* NULL: none */
const struct sim_scenario *sim_scenario_of_seed(uint64_t seed);
const struct sim_scenario *sim_scenario_at(size_t index); /* NULL: past the last */

/* --- the queue -------------------------------------------------------------------------------- */

enum sim_event_kind {
    SIM_BYTES,         /* link, end: arrive */
    SIM_CLOSED,        /* link, end: the other side has closed */
    SIM_LINK_DOWN,     /* link, end: told to the core */
    SIM_SESSION_TIMER, /* link, end */
    SIM_CONNECT,       /* node dials job */
    SIM_MASTER_TIMER,
    SIM_WORKER_TIMER,
    SIM_RAN,             /* node, place */
    SIM_ON_WAY,          /* node, place */
    SIM_VETTED,          /* node, job */
    SIM_FILES,           /* node, job */
    SIM_PULLED,          /* job, slice, attempt, link */
    SIM_JUDGED,          /* job, slice, attempt */
    SIM_SYNCED,          /* job */
    SIM_OWN_TIE,         /* node: its own worker ties itself to its master */
    SIM_FAULT,           /* the next one */
    SIM_START,           /* node comes up */
    SIM_GONE,            /* node that was leaving is gone */
    SIM_WORKER_ANSWERED, /* node: a vote of it, when a crash is aimed there */
    SIM_MISCHIEF,        /* node, a villain, does what it does */
    SIM_CALM,            /* no more faults */
    SIM_WIRE_CONNECT,    /* node, serial: its client's dial */
    SIM_WIRE_BYTES,      /* link: the wire's number; end: arrive */
    SIM_WIRE_CLOSED,     /* link, end: the other side has closed */
    SIM_CLIENT_TIMER,
    SIM_TRACKER_TIMER,
    SIM_TRACKER_START,
    SIM_REFRESH,    /* node tells its tracker what has changed */
    SIM_NEWCOMER,   /* node comes up, and should be hired */
    SIM_HIRED_DUE,  /* node, serial: now at the latest */
    SIM_CANCEL,     /* job: its user says so */
    SIM_RESUME,     /* job */
    SIM_ANEW,       /* job */
    SIM_CALLED_OFF, /* node, place, serial: by now it must be gone */
    SIM_KNOWN_DUE,  /* every node is at home at the tracker again */
};

struct sim_event {
    struct heap_node due; /* in microseconds; 0 as place when not queued */
    enum sim_event_kind kind;
    uint32_t node;
    uint32_t epoch; /* of the node: an event of before its crash is void */
    uint32_t link;
    uint32_t end;
    uint32_t place;
    uint32_t serial;
    uint32_t job;
    uint64_t slice;
    uint64_t attempt;
    size_t len;
    uint8_t bytes[]; /* len of them */
};

/* --- nodes ------------------------------------------------------------------------------------ */

/* Two ends; end 0 is the worker's (it dialled), end 1 the master's. */
struct sim_end {
    struct session *session; /* NULL: closed */
    uint32_t node;
    uint32_t epoch;
    bool told;       /* its core knows of the link */
    bool closing;    /* asked for from inside a callback */
    uint64_t due_us; /* of the last bytes sent: the next come later */
    bool cut;        /* what it sends vanishes */
    struct sim_event timer;
};

struct sim_link {
    struct sim *sim;
    uint32_t id; /* index + 1 */
    uint32_t job;
    bool own;
    uint64_t delay_us;
    struct sim_end end[2];
};

struct sim_place {
    bool busy;
    bool killed;
    uint32_t serial;
    uint32_t job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
};

/* Outputs that a worker keeps. */
struct sim_output {
    uint32_t job;
    uint64_t slice;
    uint64_t attempt;
    uint64_t lie;
};

struct sim_old_vote {
    uint8_t *frame;
    size_t len;
};

struct sim_node {
    struct sim *sim;
    uint32_t index;
    bool up;
    uint32_t epoch;
    enum sim_role role;
    uint64_t lie; /* of a liar: which */
    uint64_t slice_us;
    struct public_key key;
    struct digest peer;
    uint32_t prefix;
    uint16_t slots;
    struct worker *worker; /* NULL: none, or down */
    struct worker_actions actions;
    struct sim_event timer;
    struct sim_place places[SIM_PLACES_MAX];
    bool dialing[SIM_MASTERS_MAX];
    uint64_t island_until_us;
    uint64_t minute; /* that dials are counted in */
    uint32_t dials[SIM_MASTERS_MAX];
    struct sim_client tracker;
    struct sim_event client_timer;
    struct sim_output *outputs;
    size_t output_count, output_cap;
    struct sim_old_vote old[8];
    size_t old_count;
};

/* When a worker crashes around a result. */
enum sim_result_moment {
    SIM_BEFORE_KEPT,  /* before its outputs are stored */
    SIM_BEFORE_VOTED, /* before the core has signed and sent */
    SIM_AFTER_VOTED,  /* the vote is on its way */
    SIM_AFTER_ANSWER, /* the master has it */
    SIM_RESULT_MOMENTS,
};

struct sim_watch; /* invariants.c */

struct sim_master {
    uint32_t job; /* its index; its node's too */
    struct truth_job truth;
    struct master_config config;
    struct master *core; /* NULL: down */
    struct master_actions actions;
    struct sim_event timer;
    struct sim_disk disk;
    struct sim_output *files; /* pulled and durable */
    size_t file_count, file_cap;
    struct sim_event **pulls; /* on their way */
    size_t pull_count, pull_cap;
    bool ended;  /* durably, and for good */
    bool ending; /* its present core has decided to end */
    bool cancelled;
    uint64_t up_us;
    enum job_state state;
    bool broken;
    struct sim_watch *watch;
};

struct sim {
    uint64_t seed;
    const struct sim_scenario *scenario;
    struct random random;
    struct random faults; /* apart, so that a fault more does not change all else */
    FILE *trace;          /* NULL: none */
    uint64_t trace_hash;
    uint64_t now_us;
    uint64_t events;
    uint32_t said;    /* requests of villains */
    uint32_t kinds;   /* enum sim_faults: those of its scenario that this seed has */
    uint32_t pace;    /* percent: how long it is between them */
    uint64_t calm_us; /* faults stop then */
    bool calm;
    uint64_t deadline_us;
    uint64_t second; /* that is counted, for busy loops */
    uint64_t second_events;
    uint64_t second_timers;
    struct heap queue;
    struct sim_node nodes[SIM_NODES_MAX];
    uint32_t node_count;
    struct sim_master masters[SIM_MASTERS_MAX];
    uint32_t master_count;
    struct sim_tracker tracker;
    struct sim_event tracker_timer;
    struct sim_link **links;
    size_t link_count, link_cap;
    struct sim_link *inside; /* its session's callback is running */
    uint64_t crash_commit;   /* of master 0: crash around this one; 0: none */
    uint64_t results;        /* of slices, so far */
    uint64_t crash_result;   /* a worker's: crash around this one; 0: none */
    uint32_t result_moment;  /* enum sim_result_moment */
    uint32_t crash_moment;   /* 0 before it is durable, 1 before its report, 2 after */
    bool failed;
    char why[SIM_WHY_BYTES];
};

/* Runs one seed. False: an invariant broke; s->why says which. sim_fini frees. */
bool sim_run(struct sim *s, uint64_t seed, const struct sim_scenario *scenario, FILE *trace);
void sim_fini(struct sim *s);

/* The first broken invariant counts; the run then stops. */
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *s, const char *format, ...);
__attribute__((format(printf, 2, 3))) void sim_trace(struct sim *s, const char *format, ...);

static inline uint64_t sim_now_ms(const struct sim *s) { return s->now_us / SIM_MS; }
uint64_t sim_between(struct random *r, uint64_t least, uint64_t most);
bool sim_chance(struct random *r, uint32_t percent);

/* A new event, in the queue after delay_us. Freed when it has happened. */
struct sim_event *sim_after(struct sim *s, uint64_t delay_us, enum sim_event_kind kind, size_t len);
/* A node's event: void when the node has crashed before it happens. */
struct sim_event *sim_after_on(struct sim *s, uint64_t delay_us, enum sim_event_kind kind,
                               const struct sim_node *n);
/* An event that lives in its owner: moved to due_us, or taken out (SIM_NEVER). */
void sim_arm(struct sim *s, struct sim_event *e, uint64_t due_us);
void *sim_grow(void *list, size_t count, size_t *cap, size_t item_bytes);

void sim_node_start(struct sim *s, struct sim_node *n);
void sim_node_crash(struct sim *s, struct sim_node *n);

/* faults.c */
void sim_fault(struct sim *s); /* something happens, and the next is planned */
void sim_calm(struct sim *s);  /* faults stop: what is down comes up */
bool sim_is_island(const struct sim *s, const struct sim_node *n);
void sim_restart_later(struct sim *s, const struct sim_node *n, uint64_t most_us);

/* orders.c */
void sim_orders_plan(struct sim *s, struct sim_master *m);
bool sim_orders_ended(struct sim *s, struct sim_master *m, enum job_state state);
void sim_orders_event(struct sim *s, const struct sim_event *e);
void sim_watch_called_off(struct sim *s, const struct sim_node *n, const struct frame *f);

/* sim_net.c */
void sim_dial(struct sim *s, struct sim_node *n, uint32_t job);
void sim_net_event(struct sim *s, const struct sim_event *e);
void sim_send(struct sim *s, uint32_t link, int end, struct pn_bytes frame);
void sim_close(struct sim *s, uint32_t link, int end, const char *reason);
void sim_link_break(struct sim *s, struct sim_link *l, bool noticed);
void sim_link_free(struct sim *s, struct sim_link *l);
struct sim_link *sim_link_of(const struct sim *s, uint32_t link); /* NULL: none */

/* sim_master.c */
void sim_master_up(struct sim *s, struct sim_master *m);
void sim_master_down(struct sim *s, struct sim_master *m);
void sim_master_step(struct sim *s, struct sim_master *m, struct master_event *ev);
void sim_master_event(struct sim *s, const struct sim_event *e);
enum pn_status sim_master_frame(struct sim *s, const struct sim_link *l, const struct frame *f);
struct sim_output *sim_output_find(struct sim_output *list, size_t count, uint32_t job,
                                   uint64_t slice, uint64_t attempt);

/* sim_worker.c */
void sim_worker_up(struct sim *s, struct sim_node *n);
void sim_worker_down(struct sim *s, struct sim_node *n);
bool sim_worker_aimed(struct sim *s, struct sim_node *n, enum sim_result_moment moment);
void sim_worker_step(struct sim *s, struct sim_node *n, struct worker_event *ev);
void sim_worker_event(struct sim *s, const struct sim_event *e);
void sim_result_of(const struct truth *t, uint64_t slice_us, struct worker_result *r);
enum pn_status sim_worker_frame(struct sim *s, const struct sim_link *l, const struct frame *f);

/* villain.c */
void sim_villain_up(struct sim *s, const struct sim_node *n);
uint64_t sim_villain_lie(struct sim *s, const struct sim_node *n, const struct sim_place *p);
bool sim_villain_lies(enum sim_role role);
void sim_villain_sends(const struct sim_node *n, uint8_t *frame); /* what it says instead */
void sim_villain_sent(struct sim *s, struct sim_node *n, uint32_t link, struct pn_bytes frame);
void sim_villain_event(struct sim *s, struct sim_node *n);

/* scenario.c: makes the nodes of a seed. */
void sim_scenario_build(struct sim *s);

/* invariants.c */
bool sim_watch_new(struct sim_master *m);
void sim_watch_free(struct sim_master *m);
void sim_watch_up(const struct sim_master *m); /* a new life: its memory is its disk */
void sim_watch_vote(struct sim *s, struct sim_master *m, const struct sim_link *l,
                    const struct frame *f);
void sim_watch_actions(struct sim *s, struct sim_master *m); /* before they are carried out */
void sim_watch_durable(struct sim *s, struct sim_master *m, size_t first); /* new batches */
void sim_watch_step(struct sim *s, struct sim_master *m);
void sim_watch_run(struct sim *s, const struct sim_node *n, const struct sim_place *p);
void sim_watch_worker(struct sim *s, const struct sim_node *n);
void sim_watch_replay(struct sim *s, const struct sim_master *m); /* its ledger is its memory */
void sim_watch_credit(struct sim *s, const struct sim_master *m); /* before a life ends */
void sim_watch_late(struct sim *s); /* the run takes too long: says what waits */
void sim_watch_end(struct sim *s);
void sim_watch_cleared(struct sim *s); /* some time after the end */

#endif
