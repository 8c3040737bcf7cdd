/*
 * plan -- which slice goes to which worker, and when again to another. A core.
 *
 * Slices are given out in ascending order. A slice that nobody has touched costs two bits; one that
 * somebody works on, or has voted on, has an open_slice; a closed one costs a bit again. An attempt
 * has a lease: when it runs out, the slice is also given to somebody else, and the late attempt may
 * still vote.
 *
 * A lease is long, for the slow; and who only takes and says that it goes on keeps it. So a slice
 * is stuck, and given to one more, long before: when it takes three times as long as others do.
 * Whoever gets it then may be as silent: after twice that time it is stuck again, until somebody
 * has it whose votes have been true in this run.
 *
 * Attempt numbers are 24 bits of a counter and 40 bits of a hash over a secret of this run, the
 * slice and the worker: a restarted master knows its own attempts again without having written one
 * down, and nobody can vote on a slice that was not given to him.
 */
#ifndef PREON_PEER_MASTER_PLAN_H
#define PREON_PEER_MASTER_PLAN_H

#include "common/bitset.h"
#include "common/digest.h"
#include "common/heap.h"
#include "common/random.h"
#include "common/run.h"
#include "common/table.h"
#include "peer/master/tally.h"

enum {
    PLAN_SECRET_BYTES = 32,
    PLAN_OPEN_MAX = 1 << 16, /* slices open at a time; more wait untouched */
    PLAN_EXCLUDED_MAX = 8,   /* workers that could not run a slice, remembered per slice */
    PLAN_GIVE_UPS_MAX = 8,   /* then the master's own run decides; after as many, the slice fails */
    PLAN_LEASE_MIN_MS = 30 * 1000,
    PLAN_LEASE_UNKNOWN_MAX_MS = 600 * 1000, /* before any slice has been measured */
    PLAN_RETRY_MIN_MS = 200,
    PLAN_RETRY_MAX_MS = 60 * 1000,
    PLAN_STRAGGLER_MIN_MS = 2000,   /* a slice is not doubled before it has taken this long */
    PLAN_STRAGGLER_DOUBLES_MAX = 5, /* then only leases that run out help */
    PLAN_STUCK_LOOKED_AT = 1024,
    /* Before any slice has been measured, nobody knows what is long: few are called, now and then.
     */
    PLAN_UNMEASURED_MS = 10 * 1000,
    PLAN_UNMEASURED_HELPERS = 8,
};

/* What the plan knows of a worker; embedded in the roster's entry. */
struct plan_worker {
    uint32_t index;     /* in the roster */
    struct digest peer; /* its identity */
    uint32_t prefix;
    bool own;
    bool proven;          /* a vote of it agreed with a final outcome, in this life of the run */
    uint32_t outstanding; /* attempts that are not late */
    uint32_t late_count;  /* attempts that are: it may still work on them */
    struct attempt *attempts;
    uint64_t cursor;  /* nothing ready below it suits this worker … */
    uint64_t round;   /* … unless the plan's round has changed since */
    uint64_t mean_ms; /* of its slices, 0 before the first */
};

struct attempt {
    uint64_t id;
    struct open_slice *of;
    struct plan_worker *by;
    uint64_t assigned_ms;
    uint64_t started_ms; /* 0 until the worker says so */
    bool late;           /* its lease has run out, or its worker is gone */
    bool adopted;        /* of before a restart: nobody knows when it was assigned */
    struct heap_node lease;
    struct attempt *next_of_slice;
    struct attempt *next_of_worker;
    struct attempt **link_of_worker; /* what points at this one */
};

struct open_slice {
    uint64_t slice;
    struct tally tally;
    struct attempt *attempts;
    uint8_t live;     /* attempts that are not late */
    uint8_t need;     /* votes still wanted */
    uint8_t give_ups; /* since other workers, or the own run, were first wanted for it */
    uint8_t excluded_count;
    bool own_wanted;   /* only the master's own run helps */
    bool own_failed;   /* the master's: its own run was wanted, and could not be had */
    bool bytes_wanted; /* votes agree, but nobody has the outputs: another run, by anybody */
    bool provisional;  /* agreed; its outputs are on their way or being judged */
    bool final_queued; /* its final record is on its way to the disk */
    uint32_t excluded[PLAN_EXCLUDED_MAX];
    uint64_t own_failed_ms; /* the last time */
    struct heap_node retry; /* in the heap: not to be given out before */
    struct heap_node pull;  /* the master's: until when its outputs are expected */
    bool given;             /* to all it needs: it stands in the line, the longest ago first */
    uint64_t given_ms;      /* to anybody, the last time */
    struct open_slice *line_next, *line_prev;
};

struct plan_config {
    uint64_t slice_count; /* 1 .. JOB_SLICES_MAX */
    uint8_t copies;       /* votes that a fresh slice needs */
    uint32_t time_limit_s;
    struct run run;
    uint8_t secret[PLAN_SECRET_BYTES];
    uint64_t seed;
};

struct plan {
    struct plan_config config;
    struct bitset ready;  /* open or untouched slices that may be given out now */
    struct bitset own;    /* slices that want the master's own run and have none under way */
    struct bitset closed; /* final */
    uint64_t limit;       /* only slices below it are given out */
    uint64_t touched;     /* slices from here on were never open */
    uint64_t round;       /* incremented whenever a slice becomes ready again */
    struct table open;    /* slice -> open_slice */
    struct open_slice *line_first, *line_last; /* those given, by given_ms */
    uint64_t doubled_ms;                       /* when one was last given to one more */
    struct heap leases;
    struct heap retries;
    struct random random;
    uint32_t attempt_count;
    uint64_t mean_ms; /* of all slices, 0 before the first */
};

/* PN_E_NO_MEMORY leaves nothing behind. */
enum pn_status plan_init(struct plan *p, const struct plan_config *config);
void plan_fini(struct plan *p);

struct open_slice *plan_slice(const struct plan *p, uint64_t slice); /* NULL: untouched or closed */

/* Makes an entry for a slice that is not closed, or returns the one there is. NULL: no memory. */
struct open_slice *plan_open(struct plan *p, uint64_t slice);

/*
 * Chooses the lowest slice that suits the worker and opens an attempt. NULL: nothing suits, or
 * memory is short. Whose outputs are lost gets its old number again, and so its vote. plan_take_own
 * takes slices that want the master's own run; plan_take_straggler gives one that is stuck to one
 * more worker.
 */
struct attempt *plan_take(struct plan *p, struct plan_worker *w, uint64_t now_ms);
struct attempt *plan_take_own(struct plan *p, struct plan_worker *w, uint64_t now_ms);
struct attempt *plan_take_straggler(struct plan *p, struct plan_worker *w, uint64_t now_ms);

/*
 * So many slices are stuck that others may be called for; of more than PLAN_STUCK_LOOKED_AT only
 * the first are counted.
 */
uint32_t plan_stuck_count(const struct plan *p, uint64_t now_ms);

/* The attempt of this worker on this slice with this number, NULL when there is none. */
struct attempt *plan_find(const struct plan *p, const struct plan_worker *w, uint64_t slice,
                          uint64_t attempt);

/* True when this master, in this run, gave that number to that worker for that slice. */
bool plan_issued(const struct plan *p, const struct plan_worker *w, uint64_t slice,
                 uint64_t attempt);

/* Takes up again an attempt of before a restart, with a new lease in full. NULL: no memory. */
struct attempt *plan_adopt(struct plan *p, struct plan_worker *w, uint64_t slice, uint64_t attempt,
                           uint64_t now_ms);

/* True when the worker may be given the slice: it neither works nor has voted on it, … */
bool plan_suits(const struct open_slice *s, const struct plan_worker *w);

/*
 * The worker has begun, or is getting on: the lease starts again. remaining_ms 0: unknown. What it
 * says helps it no longer than the job's limit of time allows a slice to run.
 */
void plan_alive(struct plan *p, struct attempt *a, uint64_t now_ms, uint64_t remaining_ms);

/* The attempt is over without a vote. Frees it. */
void plan_ended(struct plan *p, struct attempt *a);

/*
 * For how long a worker says that it ran, as far as that can be: no longer than the job's limit of
 * time, nor than since the slice was given to it, where that was in this life. a: NULL if unknown.
 */
uint32_t plan_believed_ms(const struct plan *p, const struct attempt *a, uint32_t said_ms,
                          uint64_t now_ms);

/* The attempt is over by a vote, which took wall_ms. Frees it; plan_need must follow. */
void plan_voted(struct plan *p, struct attempt *a, uint32_t wall_ms);

/* Something went wrong with the slice: it is given out again after a jittered back-off. */
void plan_back_off(struct plan *p, struct open_slice *s, uint64_t now_ms);

/* The worker could not run it: somebody else, after the back-off. Frees it. */
void plan_gave_up(struct plan *p, struct attempt *a, uint64_t now_ms);

/* All of a worker's attempts become late: its link is gone. */
void plan_worker_lost(struct plan *p, struct plan_worker *w);

/* An unknown worker that has had a slice for so long and not voted on it. */
bool plan_silent(const struct plan_worker *w, uint64_t patience_ms, uint64_t now_ms);

/* How long the slices of this run take with others at most, as a rule; 0: nothing is measured. */
uint64_t plan_patience_ms(const struct plan *p);

/* Sets how many votes are still wanted, and whether only the own run helps. */
void plan_need(struct plan *p, struct open_slice *s, uint8_t votes, bool own);

/* Ballots were taken away: workers who were excluded may suit again. */
void plan_reconsider(struct plan *p, struct open_slice *s);

/* Slices from `limit` on are given out no more. Only ever lower. */
void plan_set_limit(struct plan *p, uint64_t limit);

/* The slice is final. Its attempts are freed by the caller through plan_ended before. */
void plan_close(struct plan *p, uint64_t slice);

/* Leases and back-offs that have run out. */
void plan_tick(struct plan *p, uint64_t now_ms);
uint64_t plan_deadline_ms(const struct plan *p); /* UINT64_MAX if never */

/* How long an attempt given out now to w may take before it counts as late. */
uint64_t plan_lease_ms(const struct plan *p, const struct plan_worker *w);

#endif
