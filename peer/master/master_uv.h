/*
 * master_uv -- the master's shell: the runs that this peer leads. Carries out what master.h
 * decides, with the ledger, the store, the transfer room and the jobs' own programs as judges.
 */
#ifndef PREON_PEER_MASTER_MASTER_UV_H
#define PREON_PEER_MASTER_MASTER_UV_H

#include <uv.h>

#include "peer/control/status.h"
#include "peer/master/ledger_read_sys.h"
#include "peer/master/ledger_sys.h"
#include "peer/master/master.h"
#include "peer/rendezvous/ports_uv.h"
#include "peer/store/store_sys.h"
#include "peer/swarm/transfer_uv.h"

enum { LEADS_MAX = 4096 };

struct leads; /* all runs that this peer leads or has led */

struct leads_config {
    uv_loop_t *loop;
    struct store *store;
    struct transfer *transfer;
    struct ports *ports;
    const struct key_pair *key;
    struct digest peer_id;
    /* Can this peer run the job itself, to break ties? */
    bool (*own_can_run)(void *arg, const struct manifest *m);
    bool lends; /* this peer has slots: its own worker is wanted by every run, else for ties only */
    /* A run wants this peer's own worker, and answers its JOIN. False: it has no room at present.
     */
    bool (*on_own_wanted)(void *arg, const struct digest *job);
    /* State, demand or progress of a job has changed. */
    void (*on_change)(void *arg, const struct digest *job);
    /* The ledger is behind: links should not be read; or it has caught up. */
    void (*on_pressure)(void *arg, bool stop_reading);
    /* leads_demands has something to tell. */
    void (*on_demand)(void *arg);
    void *arg;
};

/*
 * Opens the ledger in the store's folder, and takes up what runs in it (leads_resume_all). Blocks
 * for as long as the ledger takes to be read.
 */
enum pn_status leads_new(const struct leads_config *config, struct leads **out, struct pn_err *err);
void leads_free(struct leads *l, void (*on_freed)(void *arg), void *arg);

/* Our own worker has room again: runs that wait for it are told by on_own_wanted. */
void leads_own_has_room(struct leads *l);

/* Runs that were not ended when this peer last stopped go on, but for those in state stopped. */
void leads_resume_all(struct leads *l);

/*
 * Every run that was started or resumed in this process is stopped: leases go back, and JOB_STOPPED
 * is recorded: leads_resume goes on. Those of an earlier process are left as they were.
 */
void leads_stop_all(struct leads *l);

/* True when the answers of runs that ended before this process began can be told. */
bool leads_described(const struct leads *l);

/* True when nothing is under way at the ledger. */
bool leads_quiet(const struct leads *l);

/*
 * A job becomes known: kept in store and ledger, durably; on_done then. It does not run yet.
 * PN_E_EXISTS; PN_E_DENIED when the grant does not name this peer.
 */
typedef void leads_on_done(void *arg, enum pn_status status, const struct pn_err *err);
enum pn_status leads_create(struct leads *l, struct pn_bytes text, const struct manifest *m,
                            const struct digest *job, const struct signature *owner,
                            const struct grant *grant, leads_on_done *on_done, void *arg,
                            struct pn_err *err);

/* PN_E_NOT_FOUND; PN_E_BUSY when files are missing; PN_E_EXISTS when it has been started before. */
enum pn_status leads_start(struct leads *l, const struct digest *job, uint32_t slots_max,
                           struct pn_err *err);

/*
 * PN_OK: on_done follows, perhaps at once, when the order is durable. Then it is PN_E_BUSY when the
 * run ended otherwise, and PN_E_CLOSED with the cause when the ledger failed meanwhile: what counts
 * then is what job status says. Any other status: it is not done, and no call follows.
 */
enum pn_status leads_cancel(struct leads *l, const struct digest *job, const char *reason,
                            leads_on_done *on_done, void *arg, struct pn_err *err);
enum pn_status leads_resume(struct leads *l, const struct digest *job, leads_on_done *on_done,
                            void *arg, struct pn_err *err);
enum pn_status leads_remove(struct leads *l, const struct digest *job, leads_on_done *on_done,
                            void *arg, struct pn_err *err);

/*
 * Frames of workers. Requests about a job that is not led here are answered with ERROR, PN_OK.
 * Any other status closes the link: of PN_E_BUSY when the run stands still and goes on later.
 */
enum pn_status leads_frame(struct leads *l, struct port *p, const struct frame *f,
                           struct pn_err *err);
void leads_port_down(struct leads *l, struct port *p);

/* May this peer read the job's files? Whoever has joined. */
bool leads_knows_job(const struct leads *l, const struct digest *job);
bool leads_output_final(const struct leads *l, const struct file_set *set);

/* OFFER's answer, IDLE and LEAVE: of workers that are linked already (wire/hire.h). */
enum pn_status leads_hire_frame(struct leads *l, struct port *p, const struct frame *f,
                                struct pn_err *err);

/*
 * For the trackers: called for every run whose demand has changed since the last call: slots that
 * it wants beyond those offered to linked workers. m is NULL when the run does not go on.
 */
void leads_demands(struct leads *l,
                   void (*each)(void *arg, const struct digest *job, const struct manifest *m,
                                uint32_t slots),
                   void *arg);

/* For control. Newest first. */
void leads_each(struct leads *l, void (*each)(void *arg, const struct job_status *s), void *arg);
enum pn_status leads_status(struct leads *l, const struct digest *job, struct job_status *out,
                            struct pn_err *err);
enum pn_status leads_slices(struct leads *l, const struct digest *job, uint64_t from,
                            struct slice_status *out, uint32_t max, uint32_t *count,
                            struct pn_err *err);
/* For reading results and logs on the thread pool; lives as long as l. */
struct ledger_reader *leads_reader(const struct leads *l);

/* The run and manifest of a job, for readers of the ledger; NULL: unknown. Borrowed. */
const struct manifest *leads_manifest(const struct leads *l, const struct digest *job,
                                      struct run *run);
uint32_t leads_running(const struct leads *l);

/* Why a run that has no workers waits, and what would help: the peer's trackers say it. */
void leads_set_waiting(struct leads *l, const struct waiting *w);

#endif
