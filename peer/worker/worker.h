/*
 * worker -- runs slices for masters in a bounded number of places. A core: events in, actions out;
 * the shell owns links, files, sandboxes and clock. The simulator runs this same code.
 *
 * An engagement is this worker's tie to one job's master: JOIN, vetting (manifest, signatures, the
 * volunteer's wishes: the shell's, as VETTED), ENLIST; the first ASSIGN fetches the job's files. An
 * engagement with work in hand outlives its link: slices run on, the master is dialled again, and
 * ENLIST names what is still held. A holding is one attempt in hand, from ASSIGN until its vote is
 * known to be durable and its outputs are released. A bond is a link with a master, which outlives
 * its engagements for WORKER_IDLE_MS: its master is told of idle slots, and may offer other jobs.
 */
#ifndef PREON_PEER_WORKER_WORKER_H
#define PREON_PEER_WORKER_WORKER_H

#include "common/frame.h"
#include "common/random.h"
#include "peer/wire/work.h"

enum {
    WORKER_ENGAGEMENTS_MAX = 64,
    WORKER_BONDS_MAX = 64,
    WORKER_PLACES_MAX = 1024,
    WORKER_QUEUED_PER_PLACE = 16,   /* more in one engagement is a master gone wrong */
    WORKER_VOTES_OUT_MAX = 16,      /* votes of one engagement under way at a time */
    WORKER_KEPT_MAX = 1024,         /* with so many votes in hand it takes nothing more */
    WORKER_ANSWER_MS = 30 * 1000,   /* for JOIN and ENLIST */
    WORKER_RESERVED_MS = 3 * 1000,  /* a slot waits so long for the first slice of a master */
    WORKER_RESTED_MAX = 64,         /* masters that left us waiting, the last ones */
    WORKER_REST_MIN_MS = 30 * 1000, /* … get no engagement for so long, doubling each time, … */
    WORKER_REST_MAX_MS = 60 * 60 * 1000, /* … which is forgotten after as much again */
    WORKER_IDLE_MS = 30 * 1000,          /* a master that gives nothing for so long is left */
    WORKER_LOST_MS = 10 * 60 * 1000,     /* how long a lost master's work is kept */
    WORKER_REDIAL_MIN_MS = 500,
    WORKER_REDIAL_MAX_MS = 30 * 1000,
};

struct worker_config {
    uint16_t slots; /* 0: lends none; one place is still there for the own master's tie-breaks */
    struct public_key key;
    uint64_t seed;
    /* Signs a vote with the peer's key. */
    enum pn_status (*sign)(void *arg, const struct vote_claim *claim, struct signature *out);
    void *sign_arg;
};

enum worker_event_kind {
    WORKER_ENGAGE,    /* link, own, peer, job: the link's other end says that it leads this job;
                         PN_E_BUSY: it has left us waiting */
    WORKER_LINK_DOWN, /* link */
    WORKER_FRAME,     /* link, frame; status: why a job offered in it must not be taken */
    WORKER_VETTED,    /* job, status: manifest and signatures are right, and it is welcome;
                         PN_E_DENIED: not welcome, but no fault of its master's */
    WORKER_FILES,     /* job, status: all its files are here, or cannot be had */
    WORKER_RAN,       /* place, status, result | reason and text */
    WORKER_ON_WAY,    /* place, done, total */
    WORKER_RESTORED,  /* job, run, slice, attempt, result: outputs that a restart has left in the
                         store;  their master is dialled, and gets the vote again. Before all else */
    WORKER_LEAVE,     /* the peer is ending: everything goes back */
    WORKER_TICK,
};

/* How a slice ended, its outputs stored safely (or small enough to ride in the vote). */
struct worker_result {
    enum outcome_class class;
    int32_t code;
    uint32_t wall_ms;
    uint32_t cpu_ms;
    struct digest outputs_hash;
    uint8_t output_count;
    struct work_output outputs[JOB_OUTPUTS_MAX];
    bool has_bytes;
    struct pn_bytes bytes;
    struct pn_bytes stdout_tail;
    struct pn_bytes stderr_tail;
};

struct worker_event {
    enum worker_event_kind kind;
    uint64_t now_ms;
    uint32_t link;
    bool own;
    struct digest peer; /* the master's identity, as its link has proven it */
    struct digest job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
    const struct frame *frame;
    enum pn_status status;
    uint32_t place;
    const struct worker_result *result; /* WORKER_RAN with PN_OK, WORKER_RESTORED */
    enum work_reason reason;            /* WORKER_RAN, WORKER_VETTED, WORKER_FILES without */
    const char *text;
    uint64_t done, total;
};

enum worker_action_kind {
    WORKER_DO_SEND,    /* link, frame */
    WORKER_DO_CLOSE,   /* link, reason */
    WORKER_DO_DIAL,    /* job: its master again, which may be elsewhere by now; dials: how often it
                          was in vain. Then WORKER_ENGAGE, or nothing */
    WORKER_DO_VET,     /* link, job, run, welcome: then WORKER_VETTED */
    WORKER_DO_FETCH,   /* link, job: then WORKER_FILES */
    WORKER_DO_RUN,     /* place, job, run, slice, attempt: then WORKER_RAN */
    WORKER_DO_KILL,    /* place: then still WORKER_RAN, whose result is not used */
    WORKER_DO_DROP,    /* job, run, slice, attempt: stored outputs may go */
    WORKER_TELL_HIRED, /* link, job: an offer of that link's master was taken; WORKER_DO_VET comes
                        */
    WORKER_TELL_LEFT,  /* job: the engagement is over, its files are no longer needed; reason */
};

struct worker_action {
    enum worker_action_kind kind;
    uint32_t link;
    uint32_t place;
    uint32_t dials;
    struct digest job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
    size_t frame_at; /* in worker_actions.frames */
    size_t frame_len;
    struct work_join_answer welcome; /* WORKER_DO_VET: the grant borrows from the event's frame */
    const char *reason;
};

/* Owned by the caller, reused from step to step. */
struct worker_actions {
    struct worker_action *list;
    size_t count, cap;
    struct buffer frames;
    bool lost; /* memory was short for one: links are to break, and all is said and asked anew */
};

struct worker;

struct worker *worker_new(const struct worker_config *config); /* NULL when memory is short */
void worker_free(struct worker *w);                            /* NULL is fine */

void worker_actions_init(struct worker_actions *a);
void worker_actions_fini(struct worker_actions *a);

/*
 * Applies one event; overwrites *out. A status other than PN_OK means that a frame was
 * unacceptable: its link is to be closed with err's sentence; *out is valid all the same.
 */
enum pn_status worker_step(struct worker *w, const struct worker_event *ev,
                           struct worker_actions *out, struct pn_err *err);
uint64_t worker_deadline_ms(const struct worker *w); /* UINT64_MAX if never */

struct pn_bytes worker_action_frame(const struct worker_actions *a, const struct worker_action *x);

/* Slots that could take on another master's work now: what the tracker is told. */
uint16_t worker_idle_slots(const struct worker *w);

/* True when there is a tie to a master of this job (connected or to be dialled again). */
bool worker_engaged(const struct worker *w, const struct digest *job);

/* True when that master is linked now. */
bool worker_linked(const struct worker *w, const struct digest *job);

struct worker_stats {
    uint32_t engagement_count;
    uint32_t running_count;
    uint32_t queued_count;
    uint32_t kept_count; /* votes sent, or outputs kept for a master */
};
void worker_stats(const struct worker *w, struct worker_stats *out);

#endif
