/*
 * mates_uv -- the other peers that work on a job: found at the trackers, dialled, and asked for the
 * job's blocks; and we are offered to them.
 */
#ifndef PREON_PEER_RENDEZVOUS_MATES_UV_H
#define PREON_PEER_RENDEZVOUS_MATES_UV_H

#include "peer/rendezvous/ports_uv.h"
#include "peer/rendezvous/tracker_client_uv.h"
#include "peer/swarm/transfer_uv.h"

enum {
    MATES_PER_JOB_MAX = 8, /* dialled by us; others dial us */
    MATES_DIALS_MAX = 256, /* under way or up, all jobs together */
    /* While files are wanted: who else has come? Soon at first: they begin when we do, and trackers
     * list them only when their ports have been tried, which takes a round trip or four. What is
     * asked at a tracker and not yet answered is not asked again, so that a far one is not
     * pestered.
     */
    MATES_ASK_SOON_MS = 10,
    MATES_ASK_AGAIN_MS = 5000, /* doubling up to this */
};

/* Tags of ports_dial with this bit are ours. */
#define MATES_TAG_BIT ((uint64_t)1 << 63)

struct mates;

struct mates_config {
    uv_loop_t *loop;
    struct ports *ports;
    struct transfer *transfer;
    struct digest peer_id;
};

/* NULL: memory is short. */
struct mates *mates_new(const struct mates_config *config);

/* No call comes any more; the memory goes when the loop has closed its timer. NULL is fine. */
void mates_free(struct mates *m);

/* Where we ask and tell; NULL until there are trackers. port: where we listen, 0: nowhere. */
void mates_set_trackers(struct mates *m, struct trackers *trackers, uint16_t port);

/* The job's files are wanted from now on, or no more. */
void mates_want(struct mates *m, const struct digest *job, bool wanted);

/* Somebody names peers of a job: a tracker, or a source that is busy. */
void mates_found(struct mates *m, const struct digest *job, const struct addr *peers, size_t count);

/*
 * Peers of the job that may be named to the one at the other end of `asker`: they listen where we
 * have dialled them, and may be dialled from there (a lan is nobody's business elsewhere). Returns
 * how many, at most max.
 */
uint32_t mates_others(const struct mates *m, const struct digest *job, const struct port *asker,
                      struct addr *out, uint32_t max);

/* Ports with our tag. */
void mates_up(struct mates *m, struct port *p, uint64_t tag);
void mates_down(struct mates *m, uint64_t tag);

#endif
