/*
 * hiring -- brings peers that look for work together with masters that look for workers.
 *
 * Demand stands until it is met or withdrawn; peers stay idle until they say otherwise. Whichever
 * side arrives later is matched at once: a hirer's address is drawn at random, so that a hundred
 * jobs of one hirer weigh as much as one job of another, and its jobs take turns. The peer is sent
 * HIRE and answers TAKE or PASS. Peers and demands belong to connections and vanish with them.
 */
#ifndef PREON_TRACKER_HIRING_H
#define PREON_TRACKER_HIRING_H

#include "tracker/fifo.h"
#include "tracker/hosts.h"
#include "tracker/says.h"

#include "common/random.h"

enum {
    HIRING_ANSWER_MS = 10000,   /* TAKE or PASS must come within */
    HIRING_ENGAGED_MS = 10000,  /* after TAKE nobody else is told of the peer for so long */
    HIRING_BURST = 256,         /* HIREs to one hirer's address at once, then … */
    HIRING_PACE_MS = 2,         /* … one in so much time */
    HIRING_SLOTS_BELIEVED = 64, /* of a peer's slots: none meets a great demand by its word alone */
    HIRING_OFFERS_MAX = 100,    /* unanswered HIREs of one demand */
    HIRING_TRIES_MAX = 256,     /* pairs looked at in one go, see hiring_tick */
    HIRING_RETRY_MS = 100,
};

struct hiring {
    struct hosts *hosts;   /* borrowed */
    struct random *random; /* borrowed */
    struct pool idles;
    struct pool demands;
    struct pool hirers;
    struct fifo offered; /* idles by when their HIRE was sent */
    struct fifo engaged; /* idles by when they took it */
    uint32_t *available; /* idles that may be offered work: owned array of numbers */
    uint32_t available_count;
    uint32_t resting_count;
    uint32_t available_cap;
    uint32_t *open; /* hirers with demand that is not met: owned array of numbers */
    uint32_t open_count;
    uint32_t open_cap;
    struct pool_index hirers_by_host;
    uint64_t retry_at_ms; /* UINT64_MAX: nothing was left untried */
    uint32_t demand_ids;  /* how many demands there ever were */
    uint64_t seed;
};

/* What a peer says of itself. host: of its connection, as hosts counts it. */
struct hiring_idle {
    uint32_t conn;
    uint32_t host;
    uint16_t slots;
    struct pn_bytes abilities; /* words */
};

/* What a master wants. */
struct hiring_demand {
    uint32_t conn;
    struct addr addr; /* with the port to dial; counted as a demand of this address */
    uint16_t slots;
    struct digest job;
    struct pn_bytes needs; /* words */
};

/* hosts and random are borrowed for the object's life. Allocates nothing yet. */
void hiring_init(struct hiring *h, struct hosts *hosts, struct random *random,
                 uint32_t idle_count_max, uint32_t demand_count_max, uint64_t seed);
void hiring_fini(struct hiring *h);

/*
 * Adds a peer, or changes the one in *number (POOL_NONE: none yet), and offers it work. slots is at
 * least 1. PN_E_FULL, PN_E_NO_MEMORY: nothing is changed.
 */
enum pn_status hiring_idle(struct hiring *h, uint32_t *number, const struct hiring_idle *idle,
                           uint64_t now_ms, struct says *out);

/*
 * The peer is not idle for now. What it shuns is remembered: one that is turned away again and
 * again, and busy in between, is not hired for the same job in a circle.
 */
void hiring_busy(struct hiring *h, uint32_t number);

/* Its connection is gone. */
void hiring_gone(struct hiring *h, uint32_t number);

bool hiring_is_idle(const struct hiring *h, uint32_t number); /* POOL_NONE: false */
uint32_t hiring_idle_count(const struct hiring *h);

/*
 * Adds or restates a demand of this connection (a list from *head, POOL_NONE when empty): slots is
 * how many are still wanted beyond those that work already; 0 withdraws it. PN_E_BUSY (budget),
 * PN_E_FULL, PN_E_NO_MEMORY: nothing is changed, err tells why.
 */
enum pn_status hiring_demand(struct hiring *h, uint32_t *head, const struct hiring_demand *demand,
                             uint64_t now_ms, struct says *out, struct pn_err *err);

/* Withdraws all demands of a connection. */
void hiring_withdraw(struct hiring *h, uint32_t head);

/* An answer to HIRE; one that is late or nobody's is ignored. */
void hiring_answer(struct hiring *h, uint32_t number, uint32_t token, bool taken, uint64_t now_ms,
                   struct says *out);

/* A sign of life from a peer that had not answered HIRE: it may be offered work again. */
void hiring_alive(struct hiring *h, uint32_t number, uint64_t now_ms, struct says *out);

/* Adds at most count_max WANT lines, of random open demands that this host could dial. */
uint32_t hiring_list(struct hiring *h, uint32_t conn, uint32_t host, uint32_t count_max,
                     struct says *out);

/*
 * Ends what was not answered and goes on with matching where one go was not enough. Call when
 * hiring_deadline_ms has passed.
 */
void hiring_tick(struct hiring *h, uint64_t now_ms, struct says *out);
uint64_t hiring_deadline_ms(const struct hiring *h);

size_t hiring_bytes(const struct hiring *h);

#endif
