/*
 * transfer_uv -- fetches and serves manifests, files and outputs over the ports of a peer.
 *
 * One object per peer. Decisions are swarm.h's and spread.h's (cores); this is the thin rest:
 * frames in and out, disk and hashing on the thread pool, one timer.
 *
 * The peer shell gives it every frame of types FRAME_MANIFEST .. FRAME_STOP, and every FRAME_ERROR
 * whose request number has TRANSFER_REQUEST_BIT set: that bit marks this room's requests, so that
 * rooms that share a port cannot be answered each other's errors.
 *
 * All calls on the loop's thread. No callback comes from within the call that starts something, nor
 * after its cancel.
 */
#ifndef PREON_PEER_SWARM_TRANSFER_UV_H
#define PREON_PEER_SWARM_TRANSFER_UV_H

#include <uv.h>

#include "peer/store/store_sys.h"
#include "peer/wire/port.h"

#define TRANSFER_REQUEST_BIT ((uint32_t)1 << 31)

struct transfer;
struct transfer_fetch;

struct transfer_hooks {
    /*
     * May this port read this set? A job's files: whoever works on the job; an attempt's outputs:
     * the job's masters only, anybody after the slice is final. Asked for every request.
     */
    bool (*may_read)(void *arg, const struct port *p, const struct file_set *set);

    /* Too much disk or hash work is pending (or no more): stop (go on) reading from the links. */
    void (*on_pressure)(void *arg, bool stop_reading);

    /* Other peers that have the set, to be named when we are busy; returns how many. May be NULL.
     */
    uint32_t (*others)(void *arg, const struct port *p, const struct file_set *set,
                       struct addr addrs[DATA_ERROR_ADDRS_MAX]);

    /* A busy source of the set names these instead: a stranger's word. May be NULL. */
    void (*named)(void *arg, const struct file_set *set, const struct addr *addrs, uint32_t count);
    void *arg;
};

/* status is PN_OK, or err says why not. The fetch is gone when it is called. */
typedef void transfer_on_done(void *arg, enum pn_status status, const struct pn_err *err);

/* text: the manifest, already checked to hash to the job ID; borrowed for the call. */
typedef void transfer_on_manifest(void *arg, enum pn_status status, struct pn_bytes text,
                                  const struct pn_err *err);

/* The loop and the store outlive it. */
enum pn_status transfer_new(uv_loop_t *loop, struct store *store,
                            const struct transfer_hooks *hooks, struct transfer **out,
                            struct pn_err *err);

/* Cancels everything silently; frees itself when the loop has run its closing callbacks. */
void transfer_free(struct transfer *t); /* NULL is fine */

/*
 * Fetches all files of a job or dataset that the store knows (store_job_put) into the store, from
 * whoever is added as a source; asks for nothing when all is here. Waits for sources as long as it
 * takes. Several fetches of one job share the work.
 */
enum pn_status transfer_fetch_files(struct transfer *t, const struct digest *job,
                                    transfer_on_done *on_done, void *arg,
                                    struct transfer_fetch **out, struct pn_err *err);

struct transfer_output {
    uint32_t index;
    uint64_t size;
    struct digest root;
};

/*
 * Pulls an attempt's outputs from port into the store's outputs/; durable at PN_OK. outputs is
 * copied; sorted by index. Fails when the port closes or denies. Not for the own port: there
 * store_outbox_hand_over does it without copying.
 */
enum pn_status transfer_fetch_outputs(struct transfer *t, struct port *port,
                                      const struct file_set *attempt,
                                      const struct transfer_output *outputs, uint32_t count,
                                      transfer_on_done *on_done, void *arg,
                                      struct transfer_fetch **out, struct pn_err *err);

enum pn_status transfer_fetch_manifest(struct transfer *t, struct port *port,
                                       const struct digest *job, transfer_on_manifest *on_done,
                                       void *arg, struct transfer_fetch **out, struct pn_err *err);

/* No callback comes any more. NULL is fine. */
void transfer_cancel(struct transfer_fetch *f);

/*
 * The other end of port may have files of this job (its master, or a peer that works on it). Kept
 * until the port closes, also for fetches that start later. Adding twice is fine.
 */
enum pn_status transfer_add_source(struct transfer *t, const struct digest *job, struct port *port);

/* The port is never used again after this. */
void transfer_port_closed(struct transfer *t, struct port *port);

/* The data lane of port has room again. */
void transfer_port_drained(struct transfer *t, struct port *port);

/* A frame for this room. A status other than PN_OK: close the link, err says why. */
enum pn_status transfer_frame(struct transfer *t, struct port *port, const struct frame *f,
                              struct pn_err *err);

/* What a fetch does and waits for, for people. */
struct transfer_status {
    uint64_t bytes_total;
    uint64_t bytes_had;
    uint64_t bytes_per_s;
    uint32_t source_count;
    char waiting[96]; /* "" while bytes arrive; else the cause, e.g. "no source for 12 s" */
};
void transfer_status(const struct transfer_fetch *f, struct transfer_status *out);

/* Counters of the whole room since its start. */
struct transfer_counts {
    uint64_t bytes_sent;     /* chunks of blocks, as encoded */
    uint64_t bytes_received; /* the same */
    uint64_t blocks_bad;     /* arrived and did not hash right */
    uint64_t bytes_twice;    /* of blocks that we had already */
    uint32_t fetch_count;
    uint32_t serving_count; /* requests queued */
};
void transfer_counts(const struct transfer *t, struct transfer_counts *out);

#endif
