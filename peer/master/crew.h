/*
 * crew -- the workers that are linked with this peer's masters and have slots to spare, and the
 * jobs that want some: offers over links that are there. What is left over is for the trackers.
 *
 * A core. A worker says IDLE; a job states its demand; whoever comes later is matched at once. An
 * offer holds as many of the job's slots and of the worker's as it could bring together until the
 * worker enlists for the job, answers otherwise, or is silent for CREW_ANSWER_MS. Jobs take turns,
 * workers too.
 */
#ifndef PREON_PEER_MASTER_CREW_H
#define PREON_PEER_MASTER_CREW_H

#include "common/digest.h"
#include "common/table.h"
#include "peer/wire/hire.h"

enum {
    CREW_MEMBERS_MAX = 16384,
    CREW_JOBS_MAX = 4096,
    CREW_OFFERS_MAX = 1024,     /* under way, of all workers */
    CREW_LINK_OFFERS_MAX = 16,  /* … and of one: so many jobs it can keep waiting, at most … */
    CREW_ANSWER_MS = 10 * 1000, /* … each for so long */
    CREW_AGAIN_MS = 5 * 1000,   /* an offer that came to nothing is not repeated for so long */
    CREW_SHUNNED = 8,           /* jobs that a worker is remembered not to want */
    CREW_TRIES_MAX = 64,        /* pairs looked at for one offer */
};

struct crew;

struct crew_offer {
    uint32_t request; /* of the OFFER */
    uint32_t link;
    struct digest job;
};

/* Neither may call the crew. */
struct crew_hooks {
    /* Could the worker at this link be of use to the job? Not if it has enlisted for it. */
    bool (*suits)(void *arg, const struct digest *job, uint32_t link);
    /* crew_offered of the job has changed. */
    void (*on_held)(void *arg, const struct digest *job);
    void *arg;
};

struct crew *crew_new(uint64_t seed, const struct crew_hooks *hooks); /* NULL: memory is short */
void crew_free(struct crew *c);                                       /* NULL is fine */

/* --- what is so; each may make crew_next succeed. PN_E_FULL, PN_E_NO_MEMORY change nothing --- */

/* The worker at this link says that it could take on so many slots' work more. */
enum pn_status crew_idle(struct crew *c, uint32_t link, uint16_t slots);
void crew_gone(struct crew *c, uint32_t link);

/* The job wants so many slots beyond those of who has enlisted; 0: none. */
enum pn_status crew_want(struct crew *c, const struct digest *job, uint32_t slots);

/* The worker has enlisted for the job: what it takes is part of crew_want from now on. */
void crew_enlisted(struct crew *c, uint32_t link, const struct digest *job);

/* The worker has left the job, or never came to enlist. */
void crew_left(struct crew *c, uint32_t link, const struct digest *job, bool for_good,
               uint64_t now_ms);

/* The answer to an offer; one that is late or nobody's is ignored. */
void crew_reply(struct crew *c, uint32_t link, uint32_t request, enum hire_reply reply,
                uint64_t now_ms);

/* --- what to do --- */

/* The next offer to send; false: none for now. */
bool crew_next(struct crew *c, uint64_t now_ms, struct crew_offer *out);

/* Ends what was not answered. Call when crew_deadline_ms has passed, then crew_next. */
void crew_tick(struct crew *c, uint64_t now_ms);
uint64_t crew_deadline_ms(const struct crew *c); /* UINT64_MAX if never */

/* Slots of the job that offers hold: the trackers need not be asked for them. */
uint32_t crew_offered(const struct crew *c, const struct digest *job);

#endif
