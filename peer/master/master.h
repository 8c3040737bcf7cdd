/*
 * master -- leads one run of one job: hires workers, gives out slices, weighs votes, decides. A
 * core: events in, actions out; the shell owns links, disk and clock. The simulator runs this same
 * code.
 *
 *     step(event) -> actions:  frames to send, outputs to pull and to judge, and at most one batch
 *                              of records for the ledger
 *     what is acknowledged to a worker, or told to anybody as final, has been reported as committed
 *     by the ledger before
 *
 * The way of a slice: open -> (votes agree) provisional -> (its outputs are here and judged, its
 * record is on disk) final. Start: master_new, master_replay for every record of the ledger,
 * MASTER_START.
 */
#ifndef PREON_PEER_MASTER_MASTER_H
#define PREON_PEER_MASTER_MASTER_H

#include "common/frame.h"
#include "common/manifest.h"
#include "peer/master/plan.h"
#include "peer/master/record.h"
#include "peer/master/roster.h"
#include "peer/wire/work.h"

enum {
    MASTER_TICK_MS = 1000,        /* stragglers, own runs for want of voters */
    MASTER_NOTE_MS = 10 * 1000,   /* so much of a job's timeout a crash forgets at most, … */
    MASTER_NOTES = 16,            /* … and of a short one at most this part, or a tick */
    MASTER_SHORT_MS = 10 * 1000,  /* nobody eligible for so long: the master runs it itself */
    MASTER_PREFETCH_MS = 100,     /* work kept in a worker's queue beyond its slots */
    MASTER_PREFETCH_PER_SLOT = 4, /* at most */
    /*
     * Nobody knows whether a newcomer has the slots that it says, or does anything at all: it gets
     * no more slices than this, and one more for each vote of it that proves true, which doubles
     * them every time it has answered for all, as a stream's slow start does. 32 are what most
     * machines run at once, and more than what 16 slots and their queue take: those wait for
     * nothing. Of what others are stuck with it gets a few, until one of its votes has proved true.
     */
    MASTER_NEWCOMER_SLICES = 32,
    MASTER_NEWCOMER_DOUBLES = 4,
    /*
     * A pull is a lease: outputs that have not come by then, at this rate and later where many are
     * pulled at once, are had from who else has them, or made again; what comes first counts.
     */
    MASTER_PULL_MIN_MS = 60 * 1000,
    MASTER_PULL_KIB_PER_S = 64,
    MASTER_PULLS_AT_ONCE = 16, /* so many do not slow each other */
    /* The own run has failed, and still nobody else is here: a full disk may have room again. */
    MASTER_OWN_AGAIN_MS = 10 * 60 * 1000,
};

struct master_config {
    struct digest job;
    struct run run;
    uint32_t serial; /* of the grant; every acceptance carries it */
    uint32_t term;
    uint32_t slice_count;
    const char *const *output_names; /* the manifest's, sorted; outlive the master */
    uint32_t output_count;
    uint64_t output_bytes_max; /* of one slice */
    uint32_t time_limit_s;
    struct tally_rule rule;
    bool search; /* an answer is looked for: "none" is a result of its own */
    bool judged; /* outputs are judged by the job's own program before they count */
    enum stop_mode stop;
    uint64_t timeout_ms;             /* 0: none; counts while some master leads the run */
    uint32_t slots_max;              /* hired at most, of who answers; 0: no bound */
    bool resumed;                    /* the run had ended or been stopped, and is to go on */
    bool own_can_run;                /* this peer can run the job itself, to break ties */
    struct work_join_answer welcome; /* what JOIN is answered; its bytes outlive the master */
    uint8_t secret[PLAN_SECRET_BYTES];
    uint64_t seed;
    /* Verifies a vote's signature; NULL: claim_vote_check. */
    bool (*check_vote)(const struct public_key *key, const struct vote_claim *claim,
                       const struct signature *signature);
};

enum master_event_kind {
    MASTER_START,     /* all records of the ledger have been replayed */
    MASTER_FRAME,     /* link, peer, prefix, own, frame */
    MASTER_LINK_DOWN, /* link */
    MASTER_COMMITTED, /* seq, status */
    MASTER_PULLED,    /* slice, attempt, status: the outputs are durable here, or cannot be had */
    MASTER_JUDGED,    /* slice, attempt, status: PN_OK, and truthful, answer; or not readable */
    MASTER_CANCEL,    /* by the user; reason */
    MASTER_STOP,      /* by this machine: leases go back, the run can be resumed */
    MASTER_TICK,      /* at master_deadline_ms */
};

struct master_event {
    enum master_event_kind kind;
    uint64_t now_ms;      /* durations */
    uint64_t now_wall_ms; /* for records, shown to people */
    uint32_t link;
    struct digest peer;
    uint32_t prefix; /* of the peer's public network, 0 exempt; see master_prefix in the shell */
    bool own;        /* the link leads to this peer's own worker */
    const struct frame *frame;
    uint64_t seq;
    enum pn_status status;
    uint64_t slice;
    uint64_t attempt;
    bool truthful;      /* MASTER_JUDGED: well-formed and true */
    bool answer;        /* MASTER_JUDGED: holds what is searched for */
    const char *reason; /* of a stop; MASTER_JUDGED: what is wrong, NULL for no particular */
};

enum master_action_kind {
    MASTER_DO_SEND,  /* link: the frame at master_action_frame */
    MASTER_DO_CLOSE, /* link, reason */
    MASTER_DO_PULL,  /* link, slice, attempt: master_ballot knows which files. MASTER_PULLED then */
    MASTER_DO_UNPULL,  /* slice, attempt: nobody waits for them any more */
    MASTER_DO_JUDGE,   /* slice, attempt: then MASTER_JUDGED */
    MASTER_DO_RELEASE, /* slice, attempt: pulled outputs that did not become final may go */
    MASTER_TELL_FINAL, /* slice: it is final and durable */
    MASTER_TELL_LIE,   /* peer, slice, reason: a worker was proven wrong; durable */
    MASTER_TELL_ENDED, /* state: the run is over; durable. Again at MASTER_START if it was before */
    MASTER_TELL_BROKEN, /* reason: the ledger has failed; the run has stopped */
};

struct master_action {
    enum master_action_kind kind;
    uint32_t link;
    uint64_t slice;
    uint64_t attempt;
    size_t frame_at; /* in master_actions.frames */
    size_t frame_len;
    struct digest peer;
    enum job_state state;
    const char *reason; /* borrowed until the next step, or static */
};

/* Owned by the caller, reused from step to step. Records borrow from the event's frame. */
struct master_actions {
    struct master_action *list;
    size_t count, cap;
    struct buffer frames;
    struct record *records; /* to be committed together, when record_count > 0, */
    size_t record_count, record_cap;
    uint64_t seq; /* … and reported under this number, in order */
};

struct master_stats {
    enum job_state state;
    uint64_t slice_count, final_count, failed_count, answer_count;
    uint64_t running_count; /* attempts that are not late */
    uint64_t open_count;
    uint64_t retry_count;   /* slices that wait until they are tried again */
    uint32_t pull_count;    /* attempts whose outputs are on their way */
    uint64_t late_count;    /* attempts of workers that are here and have not answered in time */
    uint32_t worker_count;  /* connected and enlisted */
    uint32_t resting_count; /* of these: get nothing for a while, having given up */
    uint32_t slot_count;
    uint32_t liar_count;
    uint32_t own_runs_wanted;
    uint64_t answer_slice;  /* when answer_count > 0: the one that ends the search, or the lowest */
    uint64_t mean_ms;       /* of a slice */
    uint64_t timeout_at_ms; /* on the clock of the events; UINT64_MAX: none, or it is over */
    bool short_of_voters;   /* open slices want voters that are not there */
};

struct master; /* heap */

/* NULL when memory is short. config is copied, what it points to is not. */
struct master *master_new(const struct master_config *config);
void master_free(struct master *m); /* NULL is fine */

void master_actions_init(struct master_actions *a);
void master_actions_fini(struct master_actions *a);

/* Takes a record of the ledger, in its order, before MASTER_START. */
enum pn_status master_replay(struct master *m, const struct record *r);

/*
 * Applies one event; overwrites *out. A status other than PN_OK means that a frame was
 * unacceptable: its link is to be closed with err's sentence; *out is valid all the same.
 */
enum pn_status master_step(struct master *m, const struct master_event *ev,
                           struct master_actions *out, struct pn_err *err);
uint64_t master_deadline_ms(const struct master *m); /* UINT64_MAX if never */

struct pn_bytes master_action_frame(const struct master_actions *a, const struct master_action *x);

void master_stats(const struct master *m, struct master_stats *out);

/*
 * Slots that would find work now beyond those enlisted: the demand to state at the tracker. Slices
 * that are stuck count, as of the last tick: what one worker holds on to is work for others.
 */
uint32_t master_demand(const struct master *m);

/* The state of one slice, for people: open_slice (NULL: untouched or final) and whether final. */
const struct open_slice *master_open_slice(const struct master *m, uint64_t slice);
bool master_slice_final(const struct master *m, uint64_t slice);

/* The vote of an attempt, valid until the next step. NULL: none that counts, or no more. */
const struct ballot *master_ballot(const struct master *m, uint64_t slice, uint64_t attempt);

/* True when a slice is to be run by the master itself, whose own worker is not there. */
bool master_wants_own(const struct master *m);

/* True when the worker at this link is enlisted. */
bool master_has_worker(const struct master *m, uint32_t link);

/* The workers, in order of arrival: roster.h's list. */
const struct worker_entry *master_workers(const struct master *m);

#endif
