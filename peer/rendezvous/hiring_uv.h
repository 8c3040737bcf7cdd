/*
 * hiring -- what this peer tells the trackers of itself: its idle slots, the slots its own jobs
 * want, and the jobs it serves; and what they say when nobody comes.
 */
#ifndef PREON_PEER_RENDEZVOUS_HIRING_UV_H
#define PREON_PEER_RENDEZVOUS_HIRING_UV_H

#include "peer/master/master_uv.h"
#include "peer/rendezvous/tracker_client_uv.h"
#include "peer/worker/worker_uv.h"

struct hiring;

struct hiring_config {
    struct trackers *trackers;
    struct leads *leads;
    struct labour *labour;
    const struct sandbox *sandbox;
    uint16_t port; /* where workers dial us; 0: nowhere */
};

/* What config points to outlives it. NULL: memory is short. */
struct hiring *hiring_new(const struct hiring_config *config);
void hiring_free(struct hiring *h); /* NULL is fine */

/* Brings the trackers in step with what is now; cheap when nothing has changed. */
void hiring_refresh(struct hiring *h);

/*
 * An offer of a tracker was taken. It waits to hear what is left before it offers anything else,
 * for ten seconds; a job may be over so soon that all is left again.
 */
void hiring_taken(struct hiring *h);

/* The sandbox's tier may be another: abilities are told again. */
void hiring_tier_changed(struct hiring *h);

/* Tells the runs that have no workers why, as the first tracker sees it. */
void hiring_tell_waiting(struct hiring *h);

#endif
