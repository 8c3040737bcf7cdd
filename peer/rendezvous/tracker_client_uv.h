/*
 * tracker_client_uv -- all trackers of a peer on its loop: what is stated here is stated to each.
 */
#ifndef PREON_PEER_RENDEZVOUS_TRACKER_CLIENT_UV_H
#define PREON_PEER_RENDEZVOUS_TRACKER_CLIENT_UV_H

#include <uv.h>

#include "peer/peer.h"
#include "peer/rendezvous/tracker_client.h"

struct trackers;

struct trackers_callbacks {
    /* As in tracker_client_ops; several trackers may tell the same. */
    bool (*on_hire)(void *arg, const struct addr *master, const struct digest *job);
    void (*on_peers)(void *arg, const struct digest *job, const struct addr *peers, size_t count);
};

/*
 * Starts to dial each. proof: see tracker_client_new. callbacks is copied, arg passed to each.
 * Fails with PN_E_NO_MEMORY or PN_E_RANGE (more than PEER_TRACKERS_MAX).
 */
enum pn_status trackers_open(uv_loop_t *loop, const struct peer_tracker *list, uint32_t count,
                             uint64_t proof, const struct trackers_callbacks *callbacks, void *arg,
                             struct trackers **out, struct pn_err *err);

/*
 * Closes all; not from a callback of theirs. No callback comes any more; the memory goes when the
 * loop has closed the handles.
 */
void trackers_close(struct trackers *t); /* NULL is fine */

/* As the tracker_client_… of the same name, to each; the last failure is returned. */
enum pn_status trackers_serve(struct trackers *t, const struct digest *job, uint16_t port);
enum pn_status trackers_idle(struct trackers *t, uint16_t slots, struct pn_bytes abilities);
enum pn_status trackers_demand(struct trackers *t, const struct digest *job, uint16_t port,
                               uint16_t slots, struct pn_bytes needs);
enum pn_status trackers_query(struct trackers *t, const struct digest *job);

uint32_t trackers_count(const struct trackers *t);

/* How many of them answer. */
uint32_t trackers_ready_count(const struct trackers *t);

/* A tracker on a loopback or private address is connected: such peers may be dialled (--lan). */
bool trackers_on_lan(const struct trackers *t);

/* The first of them that answers, else the first. */
uint32_t trackers_best(const struct trackers *t);

/* tracker_client_why of the index-th tracker. */
void trackers_why(const struct trackers *t, uint32_t index, const struct digest *job,
                  struct tracker_why *out);

#endif
