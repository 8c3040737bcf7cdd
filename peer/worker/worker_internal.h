/*
 * worker_internal -- what the files of the worker's core share; for nobody else.
 *
 *     worker.c           life, events, places
 *     worker_holding.c   attempts in hand, and actions
 *     worker_tie.c       engagements: join, enlist, frames of the master
 *     worker_rest.c      masters that left us waiting
 *     worker_bond.c      links with masters: what is idle, other jobs that are offered
 */
#ifndef PREON_PEER_WORKER_WORKER_INTERNAL_H
#define PREON_PEER_WORKER_WORKER_INTERNAL_H

#include "peer/worker/worker.h"

enum { WORKER_NO_PLACE = UINT32_MAX };

enum holding_state {
    HOLDING_QUEUED,
    HOLDING_RUNNING,
    HOLDING_VOTED, /* the vote is on its way, or waits for the link */
    HOLDING_KEPT,  /* the vote is durable at the master; outputs wait for their release */
    HOLDING_STATES,
};

struct holding {
    enum holding_state state;
    uint64_t slice;
    uint64_t attempt;
    uint32_t place;
    uint32_t request;     /* of the vote under way; 0: none */
    bool to_send;         /* the vote waits for its turn */
    bool whole;           /* the vote carries all outputs: once durable, nothing is left to keep */
    struct buffer vote;   /* its whole frame, with request 0 */
    struct holding *next; /* in the order of assignment */
};

enum tie_phase { TIE_DOWN, TIE_JOINING, TIE_VETTING, TIE_ENLISTING, TIE_ENLISTED };
enum tie_files { FILES_NONE, FILES_FETCHING, FILES_HERE };

/* An engagement. */
struct tie {
    struct digest job;
    struct run run;
    bool run_known;
    bool own;
    bool vetted;
    bool reserved;       /* a slot is kept free for its slices, … */
    bool given;          /* … of which one has come … */
    uint64_t engaged_ms; /* … since then */
    struct digest master;
    uint32_t link; /* 0: none */
    enum tie_phase phase;
    enum tie_files files;
    uint32_t request;               /* of the JOIN or ENLIST under way */
    uint16_t slots_told;            /* in the last ENLIST */
    uint32_t count[HOLDING_STATES]; /* holdings by state */
    uint32_t votes_out;             /* sent and not answered: at most WORKER_VOTES_OUT_MAX */
    struct holding *first;
    struct holding **last;
    uint64_t since_ms; /* the phase began, or work was last given */
    uint64_t lost_ms;  /* since when it is not enlisted, though it was; 0: it is, or never was */
    uint64_t dial_ms;  /* next dial while down */
    uint32_t dial_count;
    struct tie *next;
};

/* A link with a master, whoever dialled: it may lead other jobs that we can work on. */
struct bond {
    uint32_t link;
    struct digest master;
    uint16_t idle_told;
    uint64_t since_ms; /* no engagement has used it since */
    struct bond *next;
};

struct place {
    bool busy;
    struct tie *of;          /* both NULL when free, and when the attempt was called off: */
    struct holding *holding; /* then the place is busy until the sandbox has ended */
};

/* A master that has answered neither JOIN nor ENLIST; free while count is 0. */
struct rested {
    struct digest master;
    uint64_t until_ms;
    uint32_t count;
};

struct worker {
    struct worker_config config;
    struct tie *first; /* own ones first, else in the order of arrival */
    uint32_t tie_count;
    struct bond *bonds;
    uint32_t bond_count;
    struct rested rested[WORKER_RESTED_MAX];
    struct place places[WORKER_PLACES_MAX];
    uint32_t place_count;
    uint32_t busy_count;
    uint32_t request;
    bool leaving;
    uint64_t now_ms;
    struct random random;
    struct work_enlist enlist; /* scratch: large */
    struct worker_actions *out;
};

/* worker_holding.c. Actions are lost when memory is short; deadlines then repeat what matters. */
struct worker_action *worker_act(struct worker *w, enum worker_action_kind kind);
void worker_act_close(struct worker *w, uint32_t link, const char *reason);
bool worker_act_on(struct worker *w, enum worker_action_kind kind, const struct tie *t,
                   const struct holding *h); /* false: it is lost */
void worker_send_from(struct worker *w, uint32_t link, size_t at, enum pn_status written);

struct work_attempt holding_attempt(const struct tie *t, const struct holding *h);
void holding_set(struct tie *t, struct holding *h, enum holding_state state);
struct holding *holding_find(const struct tie *t, uint64_t slice, uint64_t attempt);
struct holding *holding_add(struct tie *t, uint64_t slice, uint64_t attempt); /* NULL: no memory */
/* Forgets an attempt. A slice that runs is killed, stored outputs are dropped. */
void holding_drop(struct worker *w, struct tie *t, struct holding *h);
void holding_give_up(struct worker *w, struct tie *t, struct holding *h, enum work_reason reason,
                     const char *text);
/* Whether this tie's master has heard, or is about to hear, what we hold. */
static inline bool tie_listens(const struct tie *t)
{
    return t->link != 0 && (t->phase == TIE_ENLISTING || t->phase == TIE_ENLISTED);
}
/* Writes the vote into h->vote; it is sent in its turn, when the tie is enlisted. */
enum pn_status holding_vote(struct worker *w, struct tie *t, struct holding *h,
                            const struct worker_result *r);
/* Sends votes that wait, in order, as many as may be under way. */
void holding_send_votes(struct worker *w, struct tie *t);
/* The vote under way was answered, or will not be. */
void holding_answered(struct tie *t, struct holding *h);

/* worker_tie.c */
enum pn_status tie_engage(struct worker *w, const struct worker_event *ev, struct pn_err *err);
enum pn_status tie_frame(struct worker *w, const struct worker_event *ev, struct pn_err *err);
void tie_restored(struct worker *w, const struct worker_event *ev);
void tie_vetted(struct worker *w, const struct worker_event *ev);
void tie_files(struct worker *w, const struct worker_event *ev);
void tie_link_down(struct worker *w, uint32_t link);
void tie_tick(struct worker *w, struct tie *t);
uint64_t tie_deadline_ms(const struct tie *t);
struct tie *tie_by_job(const struct worker *w, const struct digest *job);
uint16_t tie_slots(const struct worker *w, const struct tie *t);
void tie_send_enlist(struct worker *w, struct tie *t, bool with_held);
uint32_t worker_next_request(struct worker *w);
/* The engagement for this job, made when there is room for it; NULL: there is none. */
struct tie *tie_room(struct worker *w, const struct digest *job);

/* worker_rest.c */
void rest_begin(struct worker *w, const struct digest *master);
bool rest_of(const struct worker *w, const struct digest *master);
/* True when something was agreed on this link, and waits for its master for too long. */
bool rest_due(const struct worker *w, uint32_t link);

/* worker_bond.c */
struct bond *bond_find(const struct worker *w, uint32_t link);
void bond_begin(struct worker *w, uint32_t link,
                const struct digest *master);        /* if there is room */
void bond_end(struct worker *w, uint32_t link);      /* the link is down */
void bond_released(struct worker *w, uint32_t link); /* perhaps no engagement uses it any more */
void bond_idle(struct worker *w, uint32_t link);     /* closes it if no engagement uses it */
enum pn_status bond_offered(struct worker *w, const struct worker_event *ev, struct pn_err *err);
void bond_leave_job(struct worker *w, uint32_t link, const struct digest *job, bool welcome);
void bond_tell_idle(struct worker *w);
void bond_tick(struct worker *w);
uint64_t bond_deadline_ms(const struct worker *w);

#endif
