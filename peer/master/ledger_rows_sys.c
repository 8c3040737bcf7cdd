#include "peer/master/ledger_rows_sys.h"

#include <assert.h>
#include <string.h>

#include "peer/master/ledger_file_sys.h"

/* What the file holds are these numbers: they are frozen, new ones go to the end. */
_Static_assert(BASIS_QUORUM == 1 && BASIS_GIVEN_UP == 4, "values of finals.basis");
_Static_assert(JOB_RUNNING == 1 && JOB_STOPPED == 8, "values of jobs.state");
_Static_assert(OUTCOME_EXITED == 0 && OUTCOME_NO_START == 5, "values of the class columns");

enum statement {
    FIND_JOB,
    ADD_JOB,
    REMOVE_JOB,
    SET_STATE,
    ADD_WORKER,
    FIND_WORKER,
    ADD_VOTE,
    OPEN_SLICE,
    ADD_TAILS,
    ADD_OUTPUT,
    ADD_FINAL,
    SAME_FINAL,
    CLOSE_SLICE,
    DROP_OUTPUTS,
    ADD_LIE,
    SWEEP_FIND,
    SWEEP_FIRST, /* one per table, in this order */
    SWEEP_LAST = SWEEP_FIRST + 5,
    SWEEP_JOB,
    SWEEP_FILE,
    STATEMENT_COUNT,
};
_Static_assert((int)STATEMENT_COUNT <= (int)LEDGER_ROWS_STATEMENTS_MAX, "room for the statements");

/* A piece is small enough that a commit that waits behind it does not notice. */
#define SWEEP_TABLE(name)                                                                          \
    "DELETE FROM " name " WHERE job_no = ?1 AND slice IN (SELECT slice FROM " name                 \
    " WHERE job_no = ?1 LIMIT 1000)"

static const char *const sql[STATEMENT_COUNT] = {
    [FIND_JOB] = "SELECT job_no FROM jobs WHERE job = ?1 AND run = ?2 AND removed = 0",
    [ADD_JOB] = "INSERT INTO jobs (job, run, name, slices, grant_bytes, created_ms, state, "
                "state_ms, slots_max) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?6, ?7)",
    [REMOVE_JOB] = "UPDATE jobs SET removed = 1 WHERE job_no = ?1",
    [SET_STATE] = "UPDATE jobs SET state = ?2, answer_slice = ?3, reason = ?4, ran_ms = ?6, "
                  "state_ms = CASE state WHEN ?2 THEN state_ms ELSE ?5 END WHERE job_no = ?1",
    [ADD_WORKER] = "INSERT INTO workers (peer, public_key) VALUES (?1, ?2) ON CONFLICT (peer) "
                   "DO UPDATE SET public_key = excluded.public_key WHERE public_key IS NULL",
    [FIND_WORKER] = "SELECT worker_no, public_key IS NULL FROM workers WHERE peer = ?1",
    [ADD_VOTE] = "INSERT OR REPLACE INTO votes VALUES "
                 "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [OPEN_SLICE] = "INSERT OR IGNORE INTO open_slices SELECT ?1, ?2 WHERE NOT EXISTS "
                   "(SELECT 1 FROM finals WHERE job_no = ?1 AND slice = ?2)",
    [ADD_TAILS] = "INSERT OR REPLACE INTO tails VALUES (?1, ?2, ?3, ?4, ?5)",
    [ADD_OUTPUT] = "INSERT OR REPLACE INTO outputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [ADD_FINAL] = "INSERT OR IGNORE INTO finals VALUES "
                  "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SAME_FINAL] = "SELECT 1 FROM finals WHERE job_no = ?1 AND slice = ?2 AND class = ?3 AND "
                   "code = ?4 AND outputs = ?5",
    [CLOSE_SLICE] = "DELETE FROM open_slices WHERE job_no = ?1 AND slice = ?2",
    [DROP_OUTPUTS] = "DELETE FROM outputs WHERE job_no = ?1 AND slice = ?2 AND attempt <> ?3",
    [ADD_LIE] = "INSERT OR REPLACE INTO lies VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SWEEP_FIND] = "SELECT job_no FROM jobs WHERE removed = 1 LIMIT 1",
    [SWEEP_FIRST] = SWEEP_TABLE("outputs"),
    [SWEEP_FIRST + 1] = SWEEP_TABLE("tails"),
    [SWEEP_FIRST + 2] = SWEEP_TABLE("votes"),
    [SWEEP_FIRST + 3] = SWEEP_TABLE("finals"),
    [SWEEP_FIRST + 4] = SWEEP_TABLE("open_slices"),
    [SWEEP_LAST] = SWEEP_TABLE("lies"),
    [SWEEP_JOB] = "DELETE FROM jobs WHERE job_no = ?1",
    [SWEEP_FILE] = "PRAGMA incremental_vacuum(1000)",
};

enum pn_status ledger_rows_init(struct ledger_rows *rows, sqlite3 *db, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    *rows = (struct ledger_rows){.db = db};
    for (size_t i = 0; i < STATEMENT_COUNT && status == PN_OK; i++) {
        status = ledger_file_prepare(db, sql[i], &rows->statement[i], err);
    }
    return status;
}

void ledger_rows_fini(struct ledger_rows *rows)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(rows->statement[i]);
        rows->statement[i] = NULL;
    }
}

/* Runs a statement to its end, whatever rows it yields. */
static enum pn_status run(struct ledger_rows *rows, sqlite3_stmt *s, struct pn_err *err)
{
    int code;
    do {
        code = sqlite3_step(s);
    } while (code == SQLITE_ROW);
    enum pn_status status = code == SQLITE_DONE ? PN_OK : ledger_file_error(rows->db, err);
    (void)sqlite3_reset(s);
    return status;
}

/* The first column of the first row; PN_E_NOT_FOUND without words when there is none. */
static enum pn_status ask(struct ledger_rows *rows, sqlite3_stmt *s, int64_t *out,
                          struct pn_err *err)
{
    enum pn_status status = PN_OK;
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(s, 0);
    } else {
        status = code == SQLITE_DONE ? PN_E_NOT_FOUND : ledger_file_error(rows->db, err);
    }
    (void)sqlite3_reset(s);
    return status;
}

static void bind_numbers(sqlite3_stmt *s, const uint64_t *values, int count)
{
    for (int i = 0; i < count; i++) {
        ledger_bind_u64(s, i + 1, values[i]);
    }
}

static void bind_text(sqlite3_stmt *s, int place, const char *text, size_t bytes_max)
{
    int code = sqlite3_bind_text(s, place, text, (int)strnlen(text, bytes_max), SQLITE_STATIC);
    assert(code == SQLITE_OK);
}

enum pn_status ledger_rows_find_job(struct ledger_rows *rows, const struct digest *job,
                                    const struct run *run, int64_t *job_no, struct pn_err *err)
{
    sqlite3_stmt *s = rows->statement[FIND_JOB];
    ledger_bind_bytes(s, 1, digest_bytes(job));
    ledger_bind_bytes(s, 2, run_bytes(run));
    enum pn_status status = ask(rows, s, job_no, err);
    if (status == PN_E_NOT_FOUND) {
        char text[DIGEST_SHORT_BYTES];
        digest_short(job, text);
        return pn_fail(err, status, "ledger: this run of job %s is not in it", text);
    }
    return status;
}

enum pn_status ledger_rows_add_job(struct ledger_rows *rows, const struct ledger_job *job,
                                   struct pn_err *err)
{
    int64_t job_no;
    enum pn_status status = ledger_rows_find_job(rows, &job->job, &job->run, &job_no, err);
    if (status == PN_OK) {
        char text[DIGEST_SHORT_BYTES];
        digest_short(&job->job, text);
        return pn_fail(err, PN_E_EXISTS, "ledger: this run of job %s is in it already", text);
    }
    if (status != PN_E_NOT_FOUND) {
        return status;
    }
    sqlite3_stmt *s = rows->statement[ADD_JOB];
    ledger_bind_bytes(s, 1, digest_bytes(&job->job));
    ledger_bind_bytes(s, 2, run_bytes(&job->run));
    bind_text(s, 3, job->name, LEDGER_NAME_BYTES_MAX);
    ledger_bind_u64(s, 4, job->slice_count);
    ledger_bind_bytes(s, 5, job->grant);
    ledger_bind_u64(s, 6, job->created_wall_ms);
    ledger_bind_u64(s, 7, job->slots_max);
    return run(rows, s, err);
}

enum pn_status ledger_rows_remove_job(struct ledger_rows *rows, int64_t job_no, struct pn_err *err)
{
    sqlite3_stmt *s = rows->statement[REMOVE_JOB];
    ledger_bind_u64(s, 1, (uint64_t)job_no);
    return run(rows, s, err);
}

/* key: NULL when only the identity is known. */
static enum pn_status worker_number(struct ledger_rows *rows, const struct digest *peer,
                                    const struct public_key *key, int64_t *worker_no,
                                    struct pn_err *err)
{
    sqlite3_stmt *find = rows->statement[FIND_WORKER];
    ledger_bind_bytes(find, 1, digest_bytes(peer));
    enum pn_status status = ask(rows, find, worker_no, err);
    if (status != PN_E_NOT_FOUND) {
        return status;
    }
    sqlite3_stmt *add = rows->statement[ADD_WORKER];
    ledger_bind_bytes(add, 1, digest_bytes(peer));
    if (key != NULL) {
        ledger_bind_bytes(add, 2, (struct pn_bytes){key->b, PUBLIC_KEY_BYTES});
    } else {
        (void)sqlite3_bind_null(add, 2);
    }
    status = run(rows, add, err);
    *worker_no = sqlite3_last_insert_rowid(rows->db);
    return status;
}

static enum pn_status write_vote(struct ledger_rows *rows, uint64_t job_no,
                                 const struct record_vote *v, struct pn_err *err)
{
    int64_t worker_no = 0;
    enum pn_status status = worker_number(rows, &v->worker, &v->worker_key, &worker_no, err);
    if (status != PN_OK) {
        return status;
    }
    sqlite3_stmt *s = rows->statement[ADD_VOTE];
    const uint64_t key[] = {job_no, v->slice, v->attempt, (uint64_t)worker_no, v->own, v->class};
    bind_numbers(s, key, sizeof key / sizeof key[0]);
    ledger_bind_u64(s, 7, (uint64_t)(int64_t)v->code);
    ledger_bind_bytes(s, 8, digest_bytes(&v->outputs));
    ledger_bind_bytes(s, 9, (struct pn_bytes){v->signature.b, SIGNATURE_BYTES});
    ledger_bind_u64(s, 10, v->wall_ms);
    ledger_bind_u64(s, 11, v->cpu_ms);
    ledger_bind_u64(s, 12, v->prefix);
    ledger_bind_u64(s, 13, v->at_wall_ms);
    status = run(rows, s, err);
    if (status == PN_OK) {
        bind_numbers(rows->statement[OPEN_SLICE], key, 2);
        status = run(rows, rows->statement[OPEN_SLICE], err);
    }
    if (status == PN_OK && (v->stdout_tail.len > 0 || v->stderr_tail.len > 0)) {
        sqlite3_stmt *tails = rows->statement[ADD_TAILS];
        bind_numbers(tails, key, 3);
        ledger_bind_bytes(tails, 4, v->stdout_tail);
        ledger_bind_bytes(tails, 5, v->stderr_tail);
        status = run(rows, tails, err);
    }
    return status;
}

static enum pn_status write_output(struct ledger_rows *rows, uint64_t job_no,
                                   const struct record_output *o, struct pn_err *err)
{
    sqlite3_stmt *s = rows->statement[ADD_OUTPUT];
    const uint64_t numbers[] = {job_no, o->slice, o->attempt, o->index, o->size};
    bind_numbers(s, numbers, sizeof numbers / sizeof numbers[0]);
    ledger_bind_bytes(s, 6, digest_bytes(&o->root));
    if (o->in_file) {
        (void)sqlite3_bind_null(s, 7);
    } else {
        ledger_bind_bytes(s, 7, o->bytes);
    }
    return run(rows, s, err);
}

/* A final is for ever: a second one may only repeat it. */
static enum pn_status check_same_final(struct ledger_rows *rows, uint64_t job_no,
                                       const struct record_final *f, struct pn_err *err)
{
    int64_t same = 0;
    sqlite3_stmt *s = rows->statement[SAME_FINAL];
    const uint64_t numbers[] = {job_no, f->slice, f->class, (uint64_t)(int64_t)f->code};
    bind_numbers(s, numbers, sizeof numbers / sizeof numbers[0]);
    ledger_bind_bytes(s, 5, digest_bytes(&f->outputs));
    enum pn_status status = ask(rows, s, &same, err);
    if (status == PN_E_NOT_FOUND) {
        return pn_fail(err, PN_E_MISMATCH, "ledger: slice %llu is final with another outcome",
                       (unsigned long long)f->slice);
    }
    return status;
}

static enum pn_status write_final(struct ledger_rows *rows, uint64_t job_no,
                                  const struct record_final *f, struct pn_err *err)
{
    sqlite3_stmt *s = rows->statement[ADD_FINAL];
    const uint64_t numbers[] = {
        job_no,   f->slice,  f->attempt, f->class, (uint64_t)(int64_t)f->code,
        f->basis, f->answer, f->serial,  f->term,  f->at_wall_ms};
    bind_numbers(s, numbers, sizeof numbers / sizeof numbers[0]);
    ledger_bind_bytes(s, 11, digest_bytes(&f->outputs));
    enum pn_status status = run(rows, s, err);
    if (status == PN_OK && sqlite3_changes(rows->db) == 0) {
        return check_same_final(rows, job_no, f, err);
    }
    if (status == PN_OK) {
        bind_numbers(rows->statement[CLOSE_SLICE], numbers, 2);
        status = run(rows, rows->statement[CLOSE_SLICE], err);
    }
    if (status == PN_OK) {
        bind_numbers(rows->statement[DROP_OUTPUTS], numbers, 3);
        status = run(rows, rows->statement[DROP_OUTPUTS], err);
    }
    return status;
}

static enum pn_status write_lie(struct ledger_rows *rows, uint64_t job_no,
                                const struct record_lie *l, struct pn_err *err)
{
    int64_t worker_no = 0;
    enum pn_status status = worker_number(rows, &l->worker, NULL, &worker_no, err);
    if (status != PN_OK) {
        return status;
    }
    sqlite3_stmt *s = rows->statement[ADD_LIE];
    const uint64_t numbers[] = {job_no, (uint64_t)worker_no, l->slice, l->attempt};
    bind_numbers(s, numbers, sizeof numbers / sizeof numbers[0]);
    bind_text(s, 5, l->reason, sizeof l->reason);
    ledger_bind_u64(s, 6, l->at_wall_ms);
    return run(rows, s, err);
}

static enum pn_status write_state(struct ledger_rows *rows, uint64_t job_no,
                                  const struct record_job_state *j, struct pn_err *err)
{
    sqlite3_stmt *s = rows->statement[SET_STATE];
    const uint64_t numbers[] = {job_no, j->state, j->answer_slice};
    bind_numbers(s, numbers, sizeof numbers / sizeof numbers[0]);
    bind_text(s, 4, j->reason, sizeof j->reason);
    ledger_bind_u64(s, 5, j->at_wall_ms);
    ledger_bind_u64(s, 6, j->ran_ms);
    return run(rows, s, err);
}

enum pn_status ledger_rows_write(struct ledger_rows *rows, int64_t job_no, const struct record *r,
                                 struct pn_err *err)
{
    uint64_t no = (uint64_t)job_no;
    switch (r->kind) {
    case RECORD_VOTE:
        return write_vote(rows, no, &r->vote, err);
    case RECORD_OUTPUT:
        return write_output(rows, no, &r->output, err);
    case RECORD_FINAL:
        return write_final(rows, no, &r->final, err);
    case RECORD_LIE:
        return write_lie(rows, no, &r->lie, err);
    case RECORD_JOB_STATE:
        return write_state(rows, no, &r->job_state, err);
    }
    assert(!"a record kind without rows");
    return PN_E_UNSUPPORTED;
}

enum pn_status ledger_rows_sweep(struct ledger_rows *rows, bool *more, struct pn_err *err)
{
    int64_t job_no = 0;
    *more = false;
    enum pn_status status = ask(rows, rows->statement[SWEEP_FIND], &job_no, err);
    if (status == PN_E_NOT_FOUND) {
        return PN_OK;
    }
    for (int i = SWEEP_FIRST; i <= SWEEP_LAST && status == PN_OK && !*more; i++) {
        ledger_bind_u64(rows->statement[i], 1, (uint64_t)job_no);
        status = run(rows, rows->statement[i], err);
        *more = sqlite3_changes(rows->db) > 0;
    }
    if (status == PN_OK && !*more) {
        ledger_bind_u64(rows->statement[SWEEP_JOB], 1, (uint64_t)job_no);
        status = run(rows, rows->statement[SWEEP_JOB], err);
        *more = true; /* perhaps another job */
    }
    if (status == PN_OK) {
        status = run(rows, rows->statement[SWEEP_FILE], err); /* gives pages back to the disk */
    }
    return status;
}
