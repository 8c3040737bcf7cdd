/*
 * master_shell -- what the files of the master's shell share; for nobody else.
 *
 *     master_uv.c         the runs of this peer: life, routing
 *     master_lead_uv.c    one run: its core, events and actions
 *     master_crew_uv.c    workers that are linked already, offered other jobs
 *     master_mend_uv.c    the ledger: opened, lost, opened again
 *     master_wish_uv.c    orders that are answered when they are durable
 *     master_judge_uv.c   outputs pulled, judged and described on the thread pool
 *     master_status.c     what people are told (a core: no I/O)
 */
#ifndef PREON_PEER_MASTER_MASTER_SHELL_H
#define PREON_PEER_MASTER_MASTER_SHELL_H

#include <stdatomic.h>

#include "jobs/program.h"
#include "peer/master/crew.h"
#include "peer/master/master_uv.h"

enum { LEAD_RATE_SLACK = 4 }; /* a claimed rate is believed up to so many times what was done */

/* An inline output that may still have to be judged. */
struct benched {
    uint64_t attempt;
    size_t len;
    uint8_t *bytes;       /* owned */
    struct benched *next; /* of the same slice */
};

/* A judgement that waits until what it judges is durable. */
struct waiting_judge {
    uint64_t seq;
    uint64_t slice;
    uint64_t attempt;
};

struct pull;
struct wish;

struct lead {
    struct leads *of;
    struct digest job;
    struct run run;
    struct manifest manifest;
    const struct job_program *program; /* NULL for foreign ones */
    struct signature owner_signature;
    uint8_t grant_bytes[GRANT_BYTES_MAX];
    size_t grant_len;
    struct grant grant;
    bool in_ledger;      /* has been started */
    bool ordered;        /* started or resumed by somebody who spoke to this process */
    struct master *core; /* NULL while it does not run */
    uint32_t life;       /* counts the cores: work on the pool reports to the one that asked */
    struct master_actions actions;
    enum job_state state; /* of the last run; JOB_RUNNING with core NULL: not started */
    char reason[RECORD_REASON_BYTES_MAX];
    char given_up[WORK_TEXT_BYTES_MAX]; /* what the last worker said that could not run a slice */
    uint32_t slots_max;
    uint64_t created_wall_ms;
    uint64_t started_wall_ms;
    uint64_t ended_wall_ms;
    uint64_t started_ms;
    uint64_t earlier_ms; /* that the run had lasted when this process took it up */
    uint64_t ended_ms;
    uint64_t busy_ms; /* when a slice was last seen at work */
    uint64_t seq;
    uint64_t committed_seq;
    bool decided;           /* how the run ends is with the ledger: no other answer counts */
    enum pn_status refused; /* the ledger did not take the last batch */
    uint64_t stalled_ms;    /* since when nothing is accepted; 0: all is well */
    char stall[WAITING_TEXT_BYTES]; /* … and why */
    struct wish *wishes;            /* orders that wait for the ledger */
    uint64_t cancel_seq; /* of the end of a run that had been stopped; 0: none on its way */
    struct table bench;  /* slice -> benched */
    struct waiting_judge *judges;
    size_t judge_count, judge_cap;
    struct job_answer answer;
    struct liar liars[LIARS_SHOWN_MAX];
    uint32_t liars_shown;
    struct master_stats last_stats; /* of a run that is over */
    bool own_asked;                 /* our own worker is engaged, */
    bool own_waits;                 /* … or has no room: in the ring leads.own_first */
    struct lead *own_next, *own_prev;
    uint32_t demand;    /* of slots, as the crew knows it */
    bool stated;        /* it ran when that was told */
    bool marked;        /* in leads.marked */
    struct pull *pulls; /* outputs on their way here */
    uv_timer_t timer;
    bool timer_open;
    bool gone; /* removed: freed when nothing pins it */
    uint32_t pins;
    struct lead *next; /* newest first */
};

struct leads {
    struct leads_config config;
    struct ledger *ledger;        /* NULL while it is being mended */
    bool ledger_failed;           /* its session is over */
    struct pn_err ledger_failure; /* … and why */
    bool pressed;                 /* links are not read: the ledger is behind */
    uv_timer_t mend;
    bool mend_open;
    uint32_t mend_tries; /* since something was last committed */
    struct ledger_reader *reader;
    struct table by_job;
    struct lead *first;
    struct waiting waiting;
    uint32_t running_count; /* runs that go on */
    uint32_t describing;    /* answers of runs that are over, on their way to be read again */
    struct lead *own_first; /* ring of runs that wait for our own worker */
    struct crew *crew;
    uv_timer_t crew_timer;
    struct digest *marked; /* jobs whose demand has changed since leads_demands */
    size_t marked_count, marked_cap;
    uint32_t pins;
    bool freeing;
    atomic_bool ends; /* told to the pool: an audit under way is given up */
    void (*on_freed)(void *arg);
    void *on_freed_arg;
};

/* master_uv.c */
void leads_pin(struct leads *l);
void leads_unpin(struct leads *l);
struct lead *leads_find(const struct leads *l, const struct digest *job);

/* master_lead_uv.c */
struct lead *lead_new(struct leads *l, const struct digest *job, struct pn_bytes text,
                      const struct signature *owner, const struct grant *grant, struct pn_err *err);
void lead_pin(struct lead *d);
void lead_unpin(struct lead *d);
void lead_forget(struct lead *d);
/* Reads the ledger and begins, or goes on. */
enum pn_status lead_begin(struct lead *d, bool resumed, struct pn_err *err);
enum pn_status lead_event(struct lead *d, struct master_event *ev, struct pn_err *err);

/* The ledger's report of a batch. */
void lead_committed(struct lead *d, uint64_t seq, enum pn_status status);

/* master_mend_uv.c */
enum pn_status leads_ledger_open(struct leads *l, struct pn_err *err);
/* The session is over: it is opened again after a while, and all runs begin anew. */
void leads_ledger_failed(struct leads *l, enum pn_status status, const struct pn_err *err);
/* Something was given to the ledger, or reported: are links to be read? */
void leads_press(struct leads *l);
/* Before an order to the ledger: fails while there is none. */
enum pn_status leads_ledger_usable(struct leads *l, struct pn_err *err);
/* What an order came to; returns it. */
enum pn_status leads_ledger_said(struct leads *l, enum pn_status status, const struct pn_err *err);
/* The run cannot go on as it is: after a while it begins anew from what the ledger holds. */
void lead_stall(struct lead *d, const char *cause);
/* The same where an event or a frame is lost: the core hears of that after this step, and stops. */
void lead_out_of_memory(struct lead *d, const char *what);
void leads_mend_close(struct leads *l); /* leads is pinned until its timer is closed */

/* master_wish_uv.c */
void lead_answer_wishes(struct lead *d); /* those whose batch is durable */
void lead_break_wishes(struct lead *d, const char *cause);

/* master_crew_uv.c */
enum pn_status leads_crew_open(struct leads *l);
void leads_crew_close(struct leads *l); /* leads is pinned until its timer is closed */
void leads_crew_fini(struct leads *l);
/* The run's core has taken a step, has begun or is over. */
void lead_demand_changed(struct lead *d);
void lead_ask_own(struct lead *d);
void leads_crew_enlisted(struct leads *l, const struct port *p, const struct digest *job);
void leads_crew_gone(struct leads *l, const struct port *p);

/* master_judge_uv.c */
void lead_pull(struct lead *d, const struct master_action *x);
void lead_unpull(struct lead *d, uint64_t slice, uint64_t attempt);
void lead_cancel_pulls(struct lead *d);
void lead_judge(struct lead *d, uint64_t slice, uint64_t attempt);
void lead_judge_committed(struct lead *d);
void lead_release(struct lead *d, uint64_t slice, uint64_t attempt);
void lead_bench(struct lead *d, const struct record *r);
void lead_unbench(struct lead *d, uint64_t slice);
void lead_unbench_all(struct lead *d);
/* After a restart: describes the answer of a run that has ended. */
void lead_describe_again(struct lead *d, uint64_t slice);

/* master_status.c */
struct job_slice lead_slice(const struct lead *d, uint64_t slice);
void lead_status(const struct lead *d, uint64_t now_ms, uint64_t now_wall_ms,
                 struct job_status *out);

#endif
