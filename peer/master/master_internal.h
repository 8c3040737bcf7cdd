/*
 * master_internal -- what the files of the master's core share; for nobody else.
 *
 *     master.c        life, events, the job as a whole
 *     master_work.c   workers: join, enlist, give out, progress, give up
 *     master_vote.c   votes: checked, recorded, weighed
 *     master_decide.c what they decide: pull, judge, convict, seal
 *     master_final.c  what is sealed and durable: releases, counts, limits
 *     master_replay.c records of the ledger after a restart
 *     master_out.c    actions and records
 */
#ifndef PREON_PEER_MASTER_MASTER_INTERNAL_H
#define PREON_PEER_MASTER_MASTER_INTERNAL_H

#include "peer/master/master.h"

/* An answer to a vote that waits for the ledger. */
struct master_ack {
    uint64_t seq;
    uint32_t link;
    uint32_t request;
};

/* A final record that waits for the ledger. */
struct master_sealing {
    uint64_t seq;
    uint64_t slice;
    uint64_t attempt;
    bool good;
    bool answer;
};

/* What is told once a batch is durable. */
struct master_pending_lie {
    uint64_t seq;
    struct digest peer;
    uint64_t slice;
    char reason[RECORD_REASON_BYTES_MAX];
};

/* A file of a liar, which is that of a vote that counts until the lie is durable. */
struct master_pending_drop {
    uint64_t seq;
    uint64_t slice;
    uint64_t attempt;
};

struct master {
    struct master_config config;
    struct plan plan;
    struct roster roster;
    struct master_stats stats; /* the counts that are kept, not computed */
    enum job_state ending;     /* decided, its record on the way; 0: not so */
    uint64_t ending_seq;
    bool started;
    const char *broken; /* why nothing is done any more; NULL: all is well */
    bool broken_told;
    uint64_t now_ms;
    uint64_t now_wall_ms;
    uint64_t started_ms;    /* in this life, … */
    uint64_t ran_before_ms; /* … and for how long the run was led in earlier ones */
    uint64_t timeout_at_ms; /* UINT64_MAX: never */
    uint64_t note_at_ms;    /* when ran_ms is recorded again; UINT64_MAX: never */
    uint64_t tick_at_ms;
    uint64_t seq; /* of the last batch handed out */
    uint64_t committed_seq;
    uint64_t filled_round;
    struct worker_entry *roomy, *roomy_last; /* who may take more since: looked at in this step */
    struct heap pulls;                       /* open slices whose outputs are on their way */
    uint32_t pull_count; /* ballots whose outputs are on their way, late ones too */
    uint64_t
        short_since_ms;    /* ticks have found slices that nobody here suits; 0: the last did not */
    uint64_t unheard_ms;   /* before any slice is measured: patience with the unknown; doubles */
    uint32_t stuck_count;  /* slices that are stuck and that nobody here has taken */
    uint64_t answer_slice; /* BITSET_NONE: none */
    uint64_t lowest_failed; /* of the slices that failed; BITSET_NONE: none */
    uint64_t closed_below;  /* all slices below it are closed */
    /* Queues in the order of their seq. */
    struct master_ack *acks;
    size_t ack_count, ack_cap;
    struct master_sealing *sealings;
    size_t sealing_count, sealing_cap;
    struct master_pending_lie *lies;
    size_t lie_count, lie_cap;
    struct master_pending_lie *told; /* those of the last commit: actions point at their reasons */
    size_t told_cap;
    struct master_pending_drop *drops;
    size_t drop_count, drop_cap;
    struct work_enlist enlist; /* scratch: large */
    struct master_actions *out;
};

/* master_out.c. Memory may be short: then the link is closed or the run is marked broken. */
bool master_grow(void **list, size_t count, size_t *cap, size_t item_bytes);
struct master_action *master_act(struct master *m, enum master_action_kind kind);
struct record *master_record(struct master *m, enum record_kind kind);
void master_close_link(struct master *m, uint32_t link, const char *reason);
/* Writes frames through the given calls and sends them. */
struct buffer *master_frame_begin(struct master *m, size_t *at);
void master_frame_end(struct master *m, uint32_t link, size_t at, enum pn_status written);
void master_send_attempt(struct master *m, uint32_t link, uint8_t type, uint64_t slice,
                         uint64_t attempt, uint32_t lease_s);
void master_break(struct master *m, const char *reason);

/* The number under which this step's records will be committed. */
static inline uint64_t master_step_seq(const struct master *m) { return m->seq + 1; }

/* master_work.c */
enum pn_status master_on_frame(struct master *m, const struct master_event *ev, struct pn_err *err);
void master_on_link_down(struct master *m, uint32_t link);
void master_fill(struct master *m); /* gives out what is ready to whoever has room */
void master_note_room(struct master *m, struct worker_entry *w);
void master_fill_worker(struct master *m, struct worker_entry *w);
void master_tell_ended(struct master *m, struct worker_entry *w);
/* Calls off what is not voted on. Outputs and votes stay with the worker: the run may go on. */
void master_recall(struct master *m, struct worker_entry *w);
/* Open slices that wait for voters who are not there: the master votes itself. */
void master_look_for_voters(struct master *m);
/* The worker cannot run the slice: back-off for both. Frees the attempt. */
void master_gave_up(struct master *m, struct worker_entry *w, struct attempt *a);
bool master_is_ours(const struct master *m, const struct digest *job, const struct run *run);
uint32_t master_hired_slots(const struct master *m);
/* With --workers: takes slots from who does not answer, and gives what is free to who has places.
 */
void master_rehire(struct master *m);

/* master_vote.c */
enum pn_status master_on_vote(struct master *m, struct worker_entry *w, uint32_t request,
                              const struct work_vote *v, struct pn_err *err);

/* master_decide.c */
void master_on_pulled(struct master *m, const struct master_event *ev);
void master_pulls_due(struct master *m); /* late ones hold their slices no longer */
void master_on_judged(struct master *m, const struct master_event *ev);
void master_decide(struct master *m, struct open_slice *s);
void master_no_more_voters(struct master *m, struct open_slice *s);
void master_give_up_slice(struct master *m, struct open_slice *s);
void master_own_run_failed(struct master *m, struct open_slice *s);
void master_strike(struct master *m); /* takes away what proven liars have voted, decides anew */

/* master_final.c */
void master_sealed(struct master *m, const struct master_sealing *sealing);
void master_count_final(struct master *m, uint64_t slice, bool good, bool answer);
void master_let_go_copy(struct master *m, uint64_t slice, uint64_t attempt);
void master_unpull(struct master *m, struct open_slice *s, struct ballot *b);

/* master.c */
void master_end(struct master *m, enum job_state state, const char *reason);
void master_check_end(struct master *m);

/* master_replay.c: weighs again what was voted before the restart. */
void master_retally(struct master *m);

#endif
