/*
 * ledger_file_sys -- the ledger's file as SQLite sees it: opening with every check, and errors in
 * our words.
 */
#ifndef PREON_PEER_MASTER_LEDGER_FILE_SYS_H
#define PREON_PEER_MASTER_LEDGER_FILE_SYS_H

#include <sqlite3.h>

#include "common/bytes.h"
#include "common/status.h"

enum { LEDGER_BUSY_MS = 1000 }; /* how long one attempt waits for somebody else's lock */

/* The checks and failures of ledger_open. *out is closed by ledger_file_close. */
enum pn_status ledger_file_open(const char *path, sqlite3 **out, struct pn_err *err);

/* For reading only, while or after a ledger_open made sure of the file. */
enum pn_status ledger_file_open_reader(const char *path, sqlite3 **out, struct pn_err *err);

/*
 * All statements must be finalized. clean: everything written so far is sound, so the log may be
 * folded into the file; else both stay as they are for the next opening to judge. NULL is fine.
 */
void ledger_file_close(sqlite3 *db, bool clean);

/* Says in *err what the last call on db failed with. Never PN_OK. */
enum pn_status ledger_file_error(sqlite3 *db, struct pn_err *err);

/* Within a transaction: a page is written as it was. */
enum pn_status ledger_file_write_nothing(sqlite3 *db, struct pn_err *err);

/* Runs SQL that yields no rows. */
enum pn_status ledger_file_run(sqlite3 *db, const char *sql, struct pn_err *err);

enum pn_status ledger_file_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                                   struct pn_err *err);

/*
 * Values in and out of statements. Bytes are borrowed until the statement is bound again (in) or
 * stepped or reset (out). A blob that is not exactly len bytes long reads as PN_E_MALFORMED.
 */
void ledger_bind_u64(sqlite3_stmt *s, int place, uint64_t value);
void ledger_bind_bytes(sqlite3_stmt *s, int place, struct pn_bytes bytes);
uint64_t ledger_column_u64(sqlite3_stmt *s, int column);
struct pn_bytes ledger_column_bytes(sqlite3_stmt *s, int column);
bool ledger_column_exact(sqlite3_stmt *s, int column, void *out, size_t len);

#endif
