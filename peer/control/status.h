/*
 * status -- what a peer tells the person in front of it about its jobs, slices and itself.
 *
 * Plain data: filled in by the peer shell, turned into JSON by control_json.h.
 * Times are wall clock, milliseconds since 1970, and only shown; 0 means "not yet" or "unknown".
 * Durations are measured on the monotonic clock.
 */
#ifndef PREON_PEER_CONTROL_STATUS_H
#define PREON_PEER_CONTROL_STATUS_H

#include "common/addr.h"
#include "common/manifest.h"
#include "common/outcome.h"
#include "peer/master/record.h"

enum {
    WAITING_TEXT_BYTES = 160,
    ANSWER_LINE_BYTES = 512,
    ANSWER_FIELDS_MAX = 12,
    ANSWER_KEY_BYTES = 24,
    ANSWER_VALUE_BYTES = 1024,
    LIARS_SHOWN_MAX = 8,
    WORKERS_SHOWN_MAX = 64,
    TRACKERS_SHOWN_MAX = 8,
};

/*
 * Why something stands still. Everything that waits says the cause it observed, since when, and
 * what would help.
 */
struct waiting {
    bool waits;
    char cause[WAITING_TEXT_BYTES];  /* "no idle peer at tracker 127.0.0.1:7600" */
    char remedy[WAITING_TEXT_BYTES]; /* "start `preon peer`"; empty when there is none */
    uint64_t for_ms;
};

/* What a search found: the line for people, and its parts by name. */
struct job_answer {
    bool found;
    uint64_t slice;
    struct digest worker;
    char line[ANSWER_LINE_BYTES]; /* "nonce 1074435534" */
    struct {
        char key[ANSWER_KEY_BYTES]; /* "nonce", "hash", "bits", "check", … */
        char value[ANSWER_VALUE_BYTES];
    } fields[ANSWER_FIELDS_MAX];
    uint32_t field_count;
    uint64_t search_ms;   /* of the slice that found it: from its start to the hit */
    uint64_t received_ms; /* from the job's start until the master had verified it */
    double unit_count;    /* of that slice, searched until the hit; 0: not known */
    double rate_per_s;    /* of all slots then at work, if each was as fast; 0: not known */
};

struct liar {
    struct digest worker;
    uint64_t slice;
    char reason[RECORD_REASON_BYTES_MAX];
};

struct job_worker {
    struct digest id;
    struct addr remote; /* ADDR_NONE for this peer's own */
    bool own;
    uint32_t slot_count;
    uint32_t running;  /* slices at work */
    uint64_t final;    /* slices of its that were accepted */
    double rate_per_s; /* units per second, see job_status; 0 when unknown */
};

/*
 * A job that is uploaded but not started has started_wall_ms 0 and state JOB_RUNNING; the name
 * that people and JSON see is job_state_name's.
 */
struct job_status {
    struct digest id;
    char name[JOB_NAME_MAX + 1];
    char program[NAME_BYTES_MAX + 16]; /* as in the manifest: "program:nonce@1" */
    struct run run;
    struct digest owner; /* SHA-256 of its key, as with peers */
    enum job_state state;
    char reason[RECORD_REASON_BYTES_MAX]; /* of an end that needs one; else empty */
    struct waiting waiting;
    bool mastered; /* this peer is its master; else it only works on it */

    uint64_t slice_count;
    uint64_t slices_final;  /* with the failed ones */
    uint64_t slices_failed; /* final, and their outcome is not exit 0 */
    uint64_t slices_provisional;
    uint64_t slices_running; /* at least one attempt is at work */
    uint64_t slices_reopened;

    uint32_t worker_count;
    uint32_t slot_count; /* hired in all */
    struct job_worker workers[WORKERS_SHOWN_MAX];
    uint32_t workers_shown;

    /* Progress in the job's own units ("hashes", "rows", "slices"). */
    char unit[16];
    double rate_per_s;      /* of all workers, lately */
    double units_done;      /* 0 .. units_total */
    double units_total;     /* for a search: the whole range */
    double probability;     /* of having found it by now, for a search; else 0 */
    uint64_t expected_ms;   /* until the end, from now; 0 when unknown */
    uint64_t likely_ms;     /* the same with 95 % probability */
    uint64_t timeout_in_ms; /* until the job's own timeout; 0: none */

    uint64_t created_wall_ms;
    uint64_t started_wall_ms;
    uint64_t ended_wall_ms;
    uint64_t elapsed_ms; /* of this run, as long as it is or was running */

    struct job_answer answer;
    char assumption[WAITING_TEXT_BYTES]; /* under which "none exists" or the results hold */
    struct liar liars[LIARS_SHOWN_MAX];
    uint32_t liars_shown;
    uint32_t liar_count;
};

/* "created", "waiting", "running", "done", "found", "none", "failed", "cancelled", "timed-out",
 * "stopped". */
const char *job_state_name(const struct job_status *s);

/* No more will happen without somebody's order. */
bool job_state_ended(const struct job_status *s);

enum slice_state { SLICE_OPEN, SLICE_RUNNING, SLICE_PROVISIONAL, SLICE_FINAL, SLICE_FAILED };
const char *slice_state_name(enum slice_state state);

struct slice_status {
    uint64_t slice;
    enum slice_state state;
    uint32_t attempt_count; /* given out so far */
    uint32_t vote_count;
};

struct slice_output {
    uint32_t index; /* of the manifest's output names */
    uint64_t size;
    struct digest root;
};

/* A final slice. */
struct slice_result {
    uint64_t slice;
    uint64_t attempt;
    enum outcome_class class;
    int32_t code;
    enum record_basis basis;
    bool answer;
    struct digest worker;
    uint32_t output_count;
    const struct slice_output *outputs; /* borrowed for the call that hands it over */
};

/* The tail of what an attempt printed. */
struct slice_log {
    uint64_t attempt;
    struct digest worker;
    enum outcome_class class;
    int32_t code;
    uint32_t wall_ms;
    struct pn_bytes stdout_tail; /* borrowed for the call that hands it over */
    struct pn_bytes stderr_tail;
};

struct tracker_status {
    struct addr addr;
    char name[WAITING_TEXT_BYTES]; /* as the user wrote it */
    bool connected;
    uint64_t since_ms;                /* how long it has been so */
    char trouble[WAITING_TEXT_BYTES]; /* why not connected; empty when it is */
};

struct peer_status {
    struct digest id;
    uint64_t pid;
    bool embedded;
    struct addr listening;    /* ADDR_NONE when nothing listens */
    struct addr reached_from; /* who has dialled that last; ADDR_NONE: nobody so far */
    uint64_t reached_ago_ms;
    uint32_t slot_count;
    uint32_t slots_busy;
    uint32_t link_count;
    uint64_t bytes_sent;     /* of blocks, to other peers, since the start */
    uint64_t bytes_received; /* the same, from them */
    uint32_t jobs_mastered;  /* and not ended */
    uint32_t jobs_worked_on;
    char tier[16];                        /* of the sandbox: "full", "reduced", "none" */
    char tier_reason[WAITING_TEXT_BYTES]; /* what refused; empty for "full" */
    char tier_remedy[WAITING_TEXT_BYTES];
    uint64_t memory_bytes_max; /* of one slice */
    uint64_t output_bytes_max;
    uint64_t budget_bytes;  /* memory and outputs of all slices together */
    struct waiting waiting; /* an idle peer: for whom, where */
    struct tracker_status trackers[TRACKERS_SHOWN_MAX];
    uint32_t tracker_count;
    uint64_t up_ms;
};

#endif
