/*
 * worker_uv -- the worker's shell: carries out what worker.h decides, with the store, the transfer
 * room and the sandbox.
 */
#ifndef PREON_PEER_WORKER_WORKER_UV_H
#define PREON_PEER_WORKER_WORKER_UV_H

#include <uv.h>

#include "peer/rendezvous/ports_uv.h"
#include "peer/sandbox/sandbox_uv.h"
#include "peer/swarm/transfer_uv.h"
#include "peer/worker/consent.h"
#include "peer/worker/worker.h"

struct labour; /* the worker's shell */

enum { LABOUR_FOUND_DIALS_MAX = 4 }; /* at a time, for one lost master */

struct labour_config {
    uv_loop_t *loop;
    struct store *store;
    struct transfer *transfer;
    struct ports *ports;
    struct sandbox *sandbox;
    const struct key_pair *key;
    struct digest peer_id;
    struct wishes wishes;
    uint16_t slots;
    uint64_t budget_bytes;   /* the sandbox's: turns.h says who waits for it */
    const char *program_dir; /* folder of the own job programs; borrowed */
    /* The job's files are wanted (others may have them, and may have them of us), or no more. */
    void (*on_files)(void *arg, const struct digest *job, bool wanted);
    /* The master of a job that we have work of does not answer where it was: who serves it now? */
    void (*on_lost)(void *arg, const struct digest *job);
    /* Does this peer lead the job itself? */
    bool (*leads)(void *arg, const struct digest *job);
    /* More or fewer slots are idle, or an engagement has begun or ended. */
    void (*on_change)(void *arg);
    void *arg;
};

/* What config points to outlives it. */
enum pn_status labour_new(const struct labour_config *config, struct labour **out,
                          struct pn_err *err);

/* Gives everything back to the masters; links stay for the frames to leave. */
void labour_leave(struct labour *l);

/* No call comes any more; frees itself when its work on the thread pool has ended. */
void labour_free(struct labour *l, void (*on_freed)(void *arg), void *arg);

/* The other end of the port leads that job (or is our own master). */
enum pn_status labour_engage(struct labour *l, struct port *p, const struct digest *job,
                             struct pn_err *err);

/* A hire: dials the master and engages. PN_E_BUSY: no idle slot, or engaged for it already. */
enum pn_status labour_hire(struct labour *l, const struct digest *job, const struct addr *master,
                           struct pn_err *err);

/*
 * A peer that serves the job, by a tracker, at an address that may be dialled: its lost master may
 * be there by now.
 */
void labour_found(struct labour *l, const struct digest *job, const struct addr *peer);

/* Events of ports; labour_up is for ports that labour dialled (tag != 0). */
void labour_up(struct labour *l, struct port *p, uint64_t tag);
void labour_down(struct labour *l, struct port *p, bool was_up, uint64_t tag);
enum pn_status labour_frame(struct labour *l, struct port *p, const struct frame *f,
                            struct pn_err *err);

/* The tier is known now, or is another. */
void labour_sandbox_changed(struct labour *l);

uint16_t labour_idle_slots(const struct labour *l);
void labour_stats(const struct labour *l, struct worker_stats *out);

/* May this peer read the outputs that we keep? The master of the job, proven by its grant. */
bool labour_may_read(const struct labour *l, const struct port *p, const struct file_set *set);

/* Do we work on this job (so that its files may be served to others)? */
bool labour_works_on(const struct labour *l, const struct digest *job);

#endif
