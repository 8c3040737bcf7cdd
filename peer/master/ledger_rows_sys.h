/*
 * ledger_rows_sys -- records into rows: the statements of the ledger's writing connection.
 *
 * Everything happens inside a transaction that the caller begins and commits.
 */
#ifndef PREON_PEER_MASTER_LEDGER_ROWS_SYS_H
#define PREON_PEER_MASTER_LEDGER_ROWS_SYS_H

#include <sqlite3.h>

#include "peer/master/ledger_sys.h"

enum { LEDGER_ROWS_STATEMENTS_MAX = 32 };

struct ledger_rows {
    sqlite3 *db; /* borrowed */
    sqlite3_stmt *statement[LEDGER_ROWS_STATEMENTS_MAX];
};

enum pn_status ledger_rows_init(struct ledger_rows *rows, sqlite3 *db, struct pn_err *err);
void ledger_rows_fini(struct ledger_rows *rows); /* also after a failed init */

/*
 * PN_E_NOT_FOUND and PN_E_EXISTS leave the transaction good; any other failure means that it must
 * be rolled back.
 */
enum pn_status ledger_rows_find_job(struct ledger_rows *rows, const struct digest *job,
                                    const struct run *run, int64_t *job_no, struct pn_err *err);
enum pn_status ledger_rows_add_job(struct ledger_rows *rows, const struct ledger_job *job,
                                   struct pn_err *err);
enum pn_status ledger_rows_remove_job(struct ledger_rows *rows, int64_t job_no, struct pn_err *err);

/*
 * Adds one record. A second final of a slice is accepted when it says the same; else it is our own
 * broken promise and fails with PN_E_MISMATCH.
 */
enum pn_status ledger_rows_write(struct ledger_rows *rows, int64_t job_no, const struct record *r,
                                 struct pn_err *err);

/* Deletes a piece of what removed jobs left behind. *more is false when nothing is left. */
enum pn_status ledger_rows_sweep(struct ledger_rows *rows, bool *more, struct pn_err *err);

#endif
