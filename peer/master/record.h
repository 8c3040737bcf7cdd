/*
 * record -- what a master must not forget: the rows that its core hands to the ledger, and that the
 * ledger hands back after a restart.
 *
 * The core decides what is durable together (a batch) and acknowledges only what the ledger has
 * reported as committed. In the simulator the same records go to a disk that crashes.
 */
#ifndef PREON_PEER_MASTER_RECORD_H
#define PREON_PEER_MASTER_RECORD_H

#include "common/hash.h"
#include "common/key.h"

enum {
    RECORD_TAIL_BYTES_MAX = 8 * 1024, /* kept of stdout and of stderr, each */
    RECORD_REASON_BYTES_MAX = 160,
};

enum record_kind {
    RECORD_VOTE = 1, /* a worker's signed outcome of an attempt */
    RECORD_OUTPUT,   /* one output file of an attempt: its bytes, or the fact that a file holds them
                      */
    RECORD_FINAL,    /* the slice's outcome is decided, for ever within this run */
    RECORD_LIE,      /* a worker is proven wrong: its votes on open slices count no more */
    RECORD_JOB_STATE, /* the job as a whole; now and then only for how long it has run */
};

/* Why an outcome was accepted. */
enum record_basis { BASIS_QUORUM = 1, BASIS_PROOF, BASIS_OWN_RUN, BASIS_GIVEN_UP };

enum job_state {
    JOB_RUNNING = 1,
    JOB_DONE,   /* every slice final, none failed */
    JOB_FOUND,  /* an answer that ends the search */
    JOB_NONE,   /* searched all: no answer exists */
    JOB_FAILED, /* every slice final, some failed */
    JOB_CANCELLED,
    JOB_TIMED_OUT,
    JOB_STOPPED, /* by this machine: can be resumed */
};

struct record_vote {
    uint64_t slice;
    uint64_t attempt;
    struct digest worker;
    struct public_key worker_key;
    bool own; /* this master's own run */
    enum outcome_class class;
    int32_t code;
    struct digest outputs;
    struct signature signature;
    uint32_t wall_ms;
    uint32_t cpu_ms;
    uint32_t prefix;             /* of the worker's public network; 0 exempt */
    struct pn_bytes stdout_tail; /* borrowed */
    struct pn_bytes stderr_tail;
    uint64_t at_wall_ms; /* shown to people */
};

struct record_output {
    uint64_t slice;
    uint64_t attempt;
    uint32_t index; /* of the manifest's output names */
    uint64_t size;
    struct digest root;
    bool in_file;          /* else: */
    struct pn_bytes bytes; /* borrowed; size bytes */
};

struct record_final {
    uint64_t slice;
    uint64_t attempt; /* whose outputs are kept; 0 when given up */
    struct digest outputs;
    enum outcome_class class;
    int32_t code;
    enum record_basis basis;
    bool answer; /* holds what the search looks for */
    uint32_t serial;
    uint32_t term;
    uint64_t at_wall_ms;
};

struct record_lie {
    struct digest worker;
    uint64_t slice;
    uint64_t attempt;
    char reason[RECORD_REASON_BYTES_MAX];
    uint64_t at_wall_ms;
};

struct record_job_state {
    enum job_state state;
    uint64_t answer_slice; /* for JOB_FOUND */
    char reason[RECORD_REASON_BYTES_MAX];
    uint64_t at_wall_ms; /* ignored where the job is in that state already */
    uint64_t ran_ms;     /* for how long masters have led the run */
};

struct record {
    enum record_kind kind;
    union {
        struct record_vote vote;
        struct record_output output;
        struct record_final final;
        struct record_lie lie;
        struct record_job_state job_state;
    };
};

#endif
