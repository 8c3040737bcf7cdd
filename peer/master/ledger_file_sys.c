#include "peer/master/ledger_file_sys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/master/ledger_schema.h"

enum { PATH_TEXT_BYTES = 4096, FULL_CHECK_PAGES_MAX = 32 * 1024 };

/*
 * What SQLite's own shell can rescue of a damaged file: a dump ends with ROLLBACK after the first
 * damage (what came before it is good), and forgets the version.
 */
#define RECOVER_COMMAND                                                                            \
    "sqlite3 ledger.db .dump | sed 's/^ROLLBACK.*/COMMIT;/;$aPRAGMA user_version=%lld;' | "        \
    "sqlite3 new.db"

static enum pn_status status_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return PN_E_FULL;
    case SQLITE_NOMEM:
        return PN_E_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return PN_E_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return PN_E_MALFORMED;
    default:
        return PN_E_SYSTEM;
    }
}

enum pn_status ledger_file_error(sqlite3 *db, struct pn_err *err)
{
    if (db == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "ledger: out of memory");
    }
    int code = sqlite3_extended_errcode(db);
    int number = sqlite3_system_errno(db);
    if ((code & 0xff) == SQLITE_IOERR && number != 0) {
        return pn_fail(err, PN_E_SYSTEM, "ledger: %s (%s)", sqlite3_errmsg(db), strerror(number));
    }
    return pn_fail(err, status_of(code), "ledger: %s", sqlite3_errmsg(db));
}

enum pn_status ledger_file_run(sqlite3 *db, const char *sql, struct pn_err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? PN_OK
                                                                : ledger_file_error(db, err);
}

enum pn_status ledger_file_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out,
                                   struct pn_err *err)
{
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    return code == SQLITE_OK ? PN_OK : ledger_file_error(db, err);
}

void ledger_bind_u64(sqlite3_stmt *s, int place, uint64_t value)
{
    int code = sqlite3_bind_int64(s, place, (sqlite3_int64)value);
    assert(code == SQLITE_OK); /* fails only for a wrong place or a statement that is running */
}

void ledger_bind_bytes(sqlite3_stmt *s, int place, struct pn_bytes bytes)
{
    /* A NULL pointer would bind NULL, not an empty blob. */
    const void *ptr = bytes.ptr != NULL ? bytes.ptr : (const uint8_t *)"";
    int code = sqlite3_bind_blob64(s, place, ptr, bytes.len, SQLITE_STATIC);
    assert(code == SQLITE_OK);
}

uint64_t ledger_column_u64(sqlite3_stmt *s, int column)
{
    return (uint64_t)sqlite3_column_int64(s, column);
}

struct pn_bytes ledger_column_bytes(sqlite3_stmt *s, int column)
{
    const uint8_t *ptr = sqlite3_column_blob(s, column);
    return (struct pn_bytes){ptr, (size_t)sqlite3_column_bytes(s, column)};
}

bool ledger_column_exact(sqlite3_stmt *s, int column, void *out, size_t len)
{
    struct pn_bytes b = ledger_column_bytes(s, column);
    if (b.ptr == NULL || b.len != len) {
        return false;
    }
    memcpy(out, b.ptr, len);
    return true;
}

/* One integer, or the failure. */
static enum pn_status ask_number(sqlite3 *db, const char *sql, int64_t *out, struct pn_err *err)
{
    sqlite3_stmt *s = NULL;
    enum pn_status status = ledger_file_prepare(db, sql, &s, err);
    if (status == PN_OK) {
        if (sqlite3_step(s) == SQLITE_ROW) {
            *out = sqlite3_column_int64(s, 0);
        } else {
            status = ledger_file_error(db, err);
        }
    }
    (void)sqlite3_finalize(s);
    return status;
}

static enum pn_status damaged(sqlite3 *db, const char *found, struct pn_err *err)
{
    int64_t version = LEDGER_SCHEMA_VERSION; /* unless the file can still say that it is older */
    char what[PN_ERR_TEXT_BYTES];
    (void)snprintf(what, sizeof what, "%s", found); /* SQLite's own, until it is asked again */
    (void)ask_number(db, "PRAGMA user_version", &version, NULL);
    return pn_fail(err, PN_E_MALFORMED,
                   "ledger is damaged; to rescue what can be: " RECOVER_COMMAND " (found: %s)",
                   (long long)version, what);
}

static enum pn_status check_one(sqlite3 *db, const char *sql, struct pn_err *err)
{
    sqlite3_stmt *s = NULL;
    enum pn_status status = ledger_file_prepare(db, sql, &s, err);
    if (status == PN_OK) {
        const char *found = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0)
                                                          : sqlite3_errmsg(db);
        if (found == NULL || strcmp(found, "ok") != 0) {
            status = damaged(db, found != NULL ? found : "no memory to look", err);
        }
    }
    (void)sqlite3_finalize(s);
    return status;
}

/*
 * The structure of the tables; not whether each index entry has its row, which takes far longer. Of
 * a large file (1 GB would take 3 s) only what a restart builds on; damage in the rest is found
 * when it is read.
 */
static enum pn_status check_structure(sqlite3 *db, struct pn_err *err)
{
    static const char *const vital[] = {"PRAGMA quick_check(jobs)", "PRAGMA quick_check(workers)",
                                        "PRAGMA quick_check(finals)", "PRAGMA quick_check(lies)",
                                        "PRAGMA quick_check(open_slices)"};
    int64_t page_count = 0;
    enum pn_status status = ask_number(db, "PRAGMA page_count", &page_count, err);
    if (status == PN_OK && page_count <= FULL_CHECK_PAGES_MAX) {
        return check_one(db, "PRAGMA quick_check(1)", err);
    }
    for (size_t i = 0; i < sizeof vital / sizeof vital[0] && status == PN_OK; i++) {
        status = check_one(db, vital[i], err);
    }
    return status;
}

/* *version is 0 for a file without anything in it. */
static enum pn_status check_version(sqlite3 *db, int64_t *version, struct pn_err *err)
{
    int64_t table_count = 0;
    enum pn_status status = ask_number(db, "PRAGMA user_version", version, err);
    if (status == PN_OK) {
        status = ask_number(db, "SELECT count(*) FROM sqlite_master", &table_count, err);
    }
    if (status != PN_OK) {
        return status;
    }
    if (*version > LEDGER_SCHEMA_VERSION) {
        return pn_fail(
            err, PN_E_UNSUPPORTED,
            "ledger: written by a newer preon (schema %lld, this one knows %d): use that "
            "version",
            (long long)*version, LEDGER_SCHEMA_VERSION);
    }
    if (*version < 0 || (*version == 0 && table_count > 0)) {
        return pn_fail(err, PN_E_MALFORMED, "ledger: a database, but not a ledger (schema %lld)",
                       (long long)*version);
    }
    return PN_OK;
}

enum pn_status ledger_file_write_nothing(sqlite3 *db, struct pn_err *err)
{
    char version[64];
    (void)snprintf(version, sizeof version, "PRAGMA user_version = %d", LEDGER_SCHEMA_VERSION);
    return ledger_file_run(db, version, err); /* the page is written, though nothing changes */
}

/* All or nothing: a crash in between leaves the file as it was, empty or of an older version. */
static enum pn_status make_schema(sqlite3 *db, int64_t from, struct pn_err *err)
{
    char version[64];
    (void)snprintf(version, sizeof version, "PRAGMA user_version = %d", LEDGER_SCHEMA_VERSION);
    enum pn_status status = ledger_file_run(db, "BEGIN IMMEDIATE", err);
    if (status == PN_OK && from == 0) {
        status = ledger_file_run(db, ledger_schema_tables, err);
        if (status == PN_OK) {
            status = ledger_file_run(db, ledger_schema_views, err);
        }
    }
    for (int64_t v = from; v > 0 && v < LEDGER_SCHEMA_VERSION && status == PN_OK; v++) {
        status = ledger_file_run(db, ledger_schema_steps[v], err);
    }
    if (status == PN_OK) {
        status = ledger_file_run(db, version, err);
    }
    return status == PN_OK ? ledger_file_run(db, "COMMIT", err) : status;
}

/*
 * A log that is not empty was left behind by a process that did not close the file. (A damaged file
 * is refused only after this; what SQLite replays of the log is checksummed.)
 */
static bool stopped_uncleanly(const char *path)
{
    char wal[PATH_TEXT_BYTES];
    struct stat st;
    int len = snprintf(wal, sizeof wal, "%s-wal", path);
    return len > 0 && (size_t)len < sizeof wal && stat(wal, &st) == 0 && st.st_size > 0;
}

/* SQLite would make the file with the umask's mode; it gives its log the file's mode. */
static enum pn_status make_file(const char *path, struct pn_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return pn_fail(err, errno == ENOSPC ? PN_E_FULL : PN_E_SYSTEM, "ledger: %s: %s", path,
                       strerror(errno));
    }
    (void)close(fd);
    return PN_OK;
}

static enum pn_status open_with(const char *path, int flags, sqlite3 **out, struct pn_err *err)
{
    int code =
        sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK) {
        enum pn_status status = ledger_file_error(*out, err);
        (void)sqlite3_close(*out);
        *out = NULL;
        return status;
    }
    (void)sqlite3_busy_timeout(*out, LEDGER_BUSY_MS);
    return PN_OK;
}

/*
 * secure_delete: Debian builds SQLite with it; we keep no secrets, and it doubles what a removal
 * writes. auto_vacuum must come before the first table; checkpoints are ours (ledger_sys.c), as
 * SQLite's own ignore a failed sync.
 */
static const char settings[] = "PRAGMA auto_vacuum = INCREMENTAL;"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = OFF;"
                               "PRAGMA secure_delete = OFF;"
                               "PRAGMA wal_autocheckpoint = 0;"
                               "PRAGMA journal_size_limit = 67108864;"
                               "PRAGMA temp_store = MEMORY;";

enum pn_status ledger_file_open(const char *path, sqlite3 **out, struct pn_err *err)
{
    sqlite3 *db = NULL;
    int64_t version = 0;
    bool unclean = stopped_uncleanly(path);
    enum pn_status status = make_file(path, err);
    if (status == PN_OK) {
        status = open_with(path, SQLITE_OPEN_READWRITE, &db, err);
    }
    if (status == PN_OK) {
        status = check_version(db, &version, err); /* before anything is written */
    }
    if (status == PN_OK && unclean) {
        status = check_structure(db, err);
    }
    if (status == PN_OK) {
        status = ledger_file_run(db, settings, err);
    }
    if (status == PN_OK && version < LEDGER_SCHEMA_VERSION) {
        status = make_schema(db, version, err);
    }
    if (status != PN_OK) {
        if (status == PN_E_MALFORMED && db != NULL &&
            (sqlite3_errcode(db) == SQLITE_CORRUPT || sqlite3_errcode(db) == SQLITE_NOTADB)) {
            status = damaged(db, sqlite3_errmsg(db), err);
        }
        ledger_file_close(db, false);
        return status;
    }
    *out = db;
    return PN_OK;
}

enum pn_status ledger_file_open_reader(const char *path, sqlite3 **out, struct pn_err *err)
{
    sqlite3 *db = NULL;
    int64_t version = 0;
    enum pn_status status = open_with(path, SQLITE_OPEN_READONLY, &db, err);
    if (status == PN_OK) {
        status = check_version(db, &version, err);
        if (status == PN_OK && version < LEDGER_SCHEMA_VERSION) {
            status =
                pn_fail(err, PN_E_NOT_FOUND, "ledger: %s is empty, or of an older preon", path);
        }
    }
    if (status != PN_OK) {
        ledger_file_close(db, false);
        return status;
    }
    *out = db;
    return PN_OK;
}

void ledger_file_close(sqlite3 *db, bool clean)
{
    if (db == NULL) {
        return;
    }
    if (!clean ||
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) != SQLITE_OK) {
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    int code = sqlite3_close(db);
    assert(code == SQLITE_OK); /* a statement was forgotten */
}
