/*
 * ledger_sys -- the file in which a master keeps what it must not forget (SQLite; LEDGER.md).
 *
 * One thread owns the only writing connection. Batches of records are queued, whatever waits is
 * committed in one transaction (at most one each LEDGER_GROUP_MS, at once after a pause), and each
 * batch is then reported on the loop's thread, in the order in which it was handed over. What has
 * been reported with PN_OK survives kill -9 and power loss.
 *
 * The first commit or sync that fails ends the session: that batch and all later ones are reported
 * with the failure and nothing is tried again, because after a failed fsync the kernel may have
 * dropped what it could not write. Close the ledger and open it again: what is then in it is true.
 *
 * Reading is ledger_read_sys.h.
 */
#ifndef PREON_PEER_MASTER_LEDGER_SYS_H
#define PREON_PEER_MASTER_LEDGER_SYS_H

#include <stdint.h>
#include <uv.h>

#include "common/run.h"
#include "common/status.h"
#include "peer/master/record.h"

#define LEDGER_FILE_NAME "ledger.db" /* in the data folder */

enum {
    LEDGER_GROUP_MS = 5,
    LEDGER_QUEUE_BYTES_MAX = 32 * 1024 * 1024,
    LEDGER_QUEUE_BATCHES_MAX = 8192,
    LEDGER_GRANT_BYTES_MAX = 4096,
    LEDGER_NAME_BYTES_MAX = 64,
};

struct ledger;

/*
 * Batch seq of (job, run) is durable (PN_OK), or the job is not in the ledger (PN_E_NOT_FOUND: it
 * was removed meanwhile), or the session has failed (anything else). job, run and err are borrowed
 * for the call; err is NULL on PN_OK. May call any ledger_ function, ledger_close too.
 */
typedef void ledger_on_committed(void *arg, const struct digest *job, const struct run *run,
                                 uint64_t seq, enum pn_status status, const struct pn_err *err);

/*
 * Opens the file, or makes it (mode 0600); one of an older version is brought up to date. After an
 * unclean stop its structure is checked first. Fails with PN_E_UNSUPPORTED for a file of a newer
 * version, PN_E_MALFORMED for a damaged one (the sentence holds the command that recovers what can
 * be recovered), PN_E_FULL, PN_E_SYSTEM. Nothing is changed on disk then. *out is freed by
 * ledger_close.
 */
enum pn_status ledger_open(const char *path, uv_loop_t *loop, ledger_on_committed *on_committed,
                           void *arg, struct ledger **out, struct pn_err *err);

/*
 * Commits what is queued, ends the thread and closes the file; no callback comes any more. The
 * memory goes when the loop has run once more. NULL is fine.
 */
void ledger_close(struct ledger *l);

/* A job as the ledger keeps it. In is borrowed for the call. */
struct ledger_job {
    struct digest job;
    struct run run;
    const char *name; /* at most LEDGER_NAME_BYTES_MAX bytes */
    uint32_t slice_count;
    uint32_t slots_max;       /* hired at most, 0: no bound */
    struct pn_bytes grant;    /* as grant_write gives it; at most LEDGER_GRANT_BYTES_MAX */
    uint64_t created_wall_ms; /* since 1970 */
};

/*
 * The next three wait for one commit of the ledger's thread (a sync of the disk): call them when a
 * job is made, started or removed, not per slice. PN_E_BUSY after a second at most: another program
 * holds the file's write lock (batches wait for it without limit).
 */

/* A new run of a job, JOB_RUNNING. PN_E_EXISTS when the ledger has this run already. */
enum pn_status ledger_add_job(struct ledger *l, const struct ledger_job *job, struct pn_err *err);

/* The run is gone at once and for ever; its rows are deleted little by little between commits. */
enum pn_status ledger_remove_job(struct ledger *l, const struct digest *job, const struct run *run,
                                 struct pn_err *err);

/* Commits a page that says what it said before: is there room, does the disk take it? */
enum pn_status ledger_try(struct ledger *l, struct pn_err *err);

/*
 * Queues a copy of count records that become durable together or not at all. PN_E_FULL: the queue
 * is full, hand the batch over again after the next report, or replay the file. PN_E_NO_MEMORY.
 * Otherwise exactly one report follows, unless the ledger is closed before.
 */
enum pn_status ledger_commit(struct ledger *l, const struct digest *job, const struct run *run,
                             uint64_t seq, const struct record *records, uint32_t count);

/*
 * More than half full, until it is less than a quarter: who feeds it should read no more from
 * strangers. What is under way already then still finds room.
 */
bool ledger_pressed(struct ledger *l);

/* For status pages and tests. */
struct ledger_figures {
    uint64_t batch_count;       /* committed in this session */
    uint64_t transaction_count; /* that held them */
    size_t queued_bytes;
};
void ledger_figures(struct ledger *l, struct ledger_figures *out);

#endif
