/*
 * proofs -- which claimed addresses were dialled back, and what their listeners said.
 *
 * A client claims to listen on a port of its own address and tells the token by which its listener
 * will be known. Whoever answers there with that token is it; what another one answers is kept as
 * well, so that a wrong claim takes nothing from the address's true owner.
 *
 * The work that strangers can cause is bounded here: each address and port is dialled at most once
 * in ten minutes, few ports of an address and of its network, so many at a time; the others wait.
 * A hundred thousand volunteers, four fifths of them where nobody can dial, are asked within five
 * minutes: who does not answer holds a place for three seconds.
 */
#ifndef PREON_TRACKER_PROOFS_H
#define PREON_TRACKER_PROOFS_H

#include "common/addr.h"
#include "common/digest.h"
#include "tracker/fifo.h"

enum {
    PROOFS_KEPT_MS = 600000,   /* an answer, good or bad, counts for so long */
    PROOFS_COUNT_MAX = 262144, /* remembered at once: the rate of dial-backs is bounded by this */
    PROOFS_UNDER_WAY_MAX = 1024,
    PROOFS_HOST_MAX = 4,   /* ports of one public address within PROOFS_KEPT_MS */
    PROOFS_NET_MAX = 64,   /* and of its network (IPv4 /24, IPv6 /48) */
    PROOFS_JOBS_MAX = 256, /* that wait for one answer; the others are told when informed again */
    PROOFS_WAITING_MAX = 131072, /* in all */
};

enum proof {
    PROOF_PENDING, /* to be dialled, or being dialled: `settle` tells the job */
    PROOF_REACHED, /* the listener there says this token */
    PROOF_UNREACHED,
    PROOF_UNASKED, /* a budget is used up or memory short: what was known before still counts */
};

struct proofs {
    struct pool pool;
    struct pool waiting; /* jobs whose entries wait for an answer */
    struct fifo by_age;  /* all but those under way: their dials end by their own deadlines */
    struct fifo queue;   /* to be dialled, who waits longest first */
    struct pool_index by_addr;
    struct pool_index by_net; /* public addresses only */
    uint32_t under_way_count;
    uint32_t under_way_max;
    uint64_t seed;
};

/* under_way_max: dials at a time, PROOFS_UNDER_WAY_MAX at most. */
void proofs_init(struct proofs *p, uint32_t under_way_max, uint64_t seed);
void proofs_fini(struct proofs *p);

/*
 * What is known of a client that claims addr with this token (0: none, it is not dialled back),
 * for a job's entry.
 */
enum proof proofs_claim(struct proofs *p, const struct addr *addr, const struct digest *job,
                        uint64_t token, uint64_t now_ms);

/* The next address to dial now; false when there is none or enough are under way. */
bool proofs_next(struct proofs *p, struct addr *addr);

/*
 * Somebody (token) or nobody (0) answered at addr. settle is called for each job that waited and
 * may not call back.
 */
void proofs_end(struct proofs *p, const struct addr *addr, uint64_t token, uint64_t now_ms,
                void (*settle)(void *arg, const struct digest *job, bool reached), void *arg);

void proofs_tick(struct proofs *p, uint64_t now_ms);
uint64_t proofs_deadline_ms(const struct proofs *p);
size_t proofs_bytes(const struct proofs *p);

#endif
