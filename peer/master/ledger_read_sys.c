#include "peer/master/ledger_read_sys.h"

#include <stdlib.h>
#include <string.h>

#include "peer/master/ledger_file_sys.h"

#define JOB_COLUMNS                                                                                \
    "SELECT job, run, name, slices, grant_bytes, created_ms, state, answer_slice, reason, "        \
    "state_ms, slots_max, ran_ms FROM jobs WHERE removed = 0"
#define VOTE_COLUMNS                                                                               \
    "v.slice, v.attempt, w.peer, w.public_key, v.own, v.class, v.code, v.outputs, v.signature, "   \
    "v.wall_ms, v.cpu_ms, v.prefix, v.at_ms"
#define FINAL_REST                                                                                 \
    "f.attempt, f.class, f.code, f.basis, f.answer, f.serial, f.term, f.at_ms, f.outputs"
#define FINAL_COLUMNS "f.slice, " FINAL_REST
#define OUTPUT_COLUMNS "o.slice, o.attempt, o.output, o.size, o.root, o.bytes IS NULL"

enum statement {
    FIND_JOB,
    LIST_JOBS,
    READ_JOB,
    LOAD_LIES,
    LOAD_FINALS,
    LOAD_VOTES,
    LOAD_OUTPUTS,
    SLICE_FINAL,
    SLICE_VOTES,
    SLICE_OUTPUTS,
    READ_OUTPUT,
    LIST_SLICES,
    COUNT_FINALS,
    STATEMENT_COUNT,
};

/* CROSS JOIN: in this order, which is that of the keys; nothing is sorted. */
static const char *const sql[STATEMENT_COUNT] = {
    [FIND_JOB] = "SELECT job_no FROM jobs WHERE job = ?1 AND run = ?2 AND removed = 0",
    [LIST_JOBS] = JOB_COLUMNS " ORDER BY job_no",
    [READ_JOB] = JOB_COLUMNS " AND job_no = ?1",
    [LOAD_LIES] = "SELECT w.peer, l.slice, l.attempt, l.reason, l.at_ms FROM lies l "
                  "CROSS JOIN workers w ON w.worker_no = l.worker_no WHERE l.job_no = ?1",
    [LOAD_FINALS] = "SELECT " FINAL_COLUMNS " FROM finals f WHERE f.job_no = ?1 ORDER BY f.slice",
    [LOAD_VOTES] = "SELECT " VOTE_COLUMNS " FROM open_slices s CROSS JOIN votes v ON "
                   "v.job_no = s.job_no AND v.slice = s.slice CROSS JOIN workers w ON "
                   "w.worker_no = v.worker_no WHERE s.job_no = ?1 ORDER BY s.slice, v.attempt",
    [LOAD_OUTPUTS] = "SELECT " OUTPUT_COLUMNS ", o.bytes FROM open_slices s CROSS JOIN outputs o "
                     "ON o.job_no = s.job_no AND o.slice = s.slice WHERE s.job_no = ?1 "
                     "ORDER BY s.slice, o.attempt, o.output",
    [SLICE_FINAL] = "SELECT " FINAL_COLUMNS " FROM finals f WHERE f.job_no = ?1 AND f.slice = ?2",
    [SLICE_VOTES] =
        "SELECT " VOTE_COLUMNS ", t.stdout_tail, t.stderr_tail FROM votes v CROSS JOIN workers w "
        "ON w.worker_no = v.worker_no LEFT JOIN tails t ON t.job_no = v.job_no AND "
        "t.slice = v.slice AND t.attempt = v.attempt WHERE v.job_no = ?1 AND v.slice = ?2 "
        "ORDER BY v.attempt",
    [SLICE_OUTPUTS] = "SELECT " OUTPUT_COLUMNS " FROM outputs o WHERE o.job_no = ?1 AND "
                      "o.slice = ?2 ORDER BY o.attempt, o.output",
    [READ_OUTPUT] = "SELECT " OUTPUT_COLUMNS ", o.bytes FROM finals f CROSS JOIN outputs o ON "
                    "o.job_no = f.job_no AND o.slice = f.slice AND o.attempt = f.attempt "
                    "WHERE f.job_no = ?1 AND f.slice = ?2 AND o.output = ?3",
    [LIST_SLICES] =
        "SELECT s.slice, " FINAL_REST ", s.is_final, (SELECT count(*) FROM votes v WHERE "
        "v.job_no = ?1 AND v.slice = s.slice) FROM "
        "(SELECT * FROM (SELECT slice, 1 AS is_final FROM finals WHERE job_no = ?1 AND slice >= ?2 "
        "ORDER BY slice LIMIT ?3) UNION ALL SELECT * FROM (SELECT slice, 0 FROM open_slices WHERE "
        "job_no = ?1 AND slice >= ?2 ORDER BY slice LIMIT ?3) ORDER BY slice LIMIT ?3) s "
        "LEFT JOIN finals f ON f.job_no = ?1 AND f.slice = s.slice ORDER BY s.slice",
    [COUNT_FINALS] = "SELECT count(*), coalesce(sum(class <> 0 OR code <> 0), 0) FROM finals "
                     "WHERE job_no = ?1",
};

struct ledger_reader {
    uv_mutex_t turn;
    sqlite3 *db;
    sqlite3_stmt *statement[STATEMENT_COUNT];
};

enum pn_status ledger_reader_open(const char *path, struct ledger_reader **out, struct pn_err *err)
{
    struct ledger_reader *r = calloc(1, sizeof *r);
    if (r == NULL || uv_mutex_init(&r->turn) != 0) {
        free(r);
        return pn_fail(err, PN_E_NO_MEMORY, "ledger: out of memory");
    }
    enum pn_status status = ledger_file_open_reader(path, &r->db, err);
    for (size_t i = 0; i < STATEMENT_COUNT && status == PN_OK; i++) {
        status = ledger_file_prepare(r->db, sql[i], &r->statement[i], err);
    }
    if (status != PN_OK) {
        ledger_reader_close(r);
        return status;
    }
    *out = r;
    return PN_OK;
}

void ledger_reader_close(struct ledger_reader *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(r->statement[i]);
    }
    ledger_file_close(r->db, false); /* folding the log into the file is the writer's affair */
    uv_mutex_destroy(&r->turn);
    free(r);
}

/* ---- rows into records; false when a row does not hold what we wrote ---- */

/* One of an enum's values; false for every other number. */
static bool column_among(sqlite3_stmt *s, int column, int first, int last, int *out)
{
    sqlite3_int64 value = sqlite3_column_int64(s, column);
    *out = (int)(value >= first && value <= last ? value : first);
    return value == *out;
}

static bool column_class(sqlite3_stmt *s, int column, enum outcome_class *out)
{
    int value;
    bool good = column_among(s, column, OUTCOME_EXITED, OUTCOME_CLASS_COUNT - 1, &value);
    *out = (enum outcome_class)value;
    return good;
}

static int32_t column_code(sqlite3_stmt *s, int column)
{
    return (int32_t)sqlite3_column_int64(s, column);
}

static void column_text(sqlite3_stmt *s, int column, char *out, size_t out_bytes)
{
    struct pn_bytes text = ledger_column_bytes(s, column);
    size_t len = text.len < out_bytes ? text.len : out_bytes - 1;
    if (len > 0) {
        memcpy(out, text.ptr, len);
    }
    out[len] = '\0';
}

static bool row_lie(sqlite3_stmt *s, struct record *r)
{
    *r = (struct record){.kind = RECORD_LIE};
    r->lie.slice = ledger_column_u64(s, 1);
    r->lie.attempt = ledger_column_u64(s, 2);
    column_text(s, 3, r->lie.reason, sizeof r->lie.reason);
    r->lie.at_wall_ms = ledger_column_u64(s, 4);
    return ledger_column_exact(s, 0, r->lie.worker.b, DIGEST_BYTES);
}

/* The kind and the union's other members are left alone: a million of these are read in a row. */
static bool row_final(sqlite3_stmt *s, struct record *r)
{
    struct record_final *f = &r->final;
    r->kind = RECORD_FINAL;
    f->slice = ledger_column_u64(s, 0);
    f->attempt = ledger_column_u64(s, 1);
    int basis;
    bool good = column_class(s, 2, &f->class);
    f->code = column_code(s, 3);
    good = column_among(s, 4, BASIS_QUORUM, BASIS_GIVEN_UP, &basis) && good;
    f->basis = (enum record_basis)basis;
    f->answer = sqlite3_column_int(s, 5) != 0;
    f->serial = (uint32_t)ledger_column_u64(s, 6);
    f->term = (uint32_t)ledger_column_u64(s, 7);
    f->at_wall_ms = ledger_column_u64(s, 8);
    return ledger_column_exact(s, 9, f->outputs.b, DIGEST_BYTES) && good;
}

static bool row_vote(sqlite3_stmt *s, struct record *r)
{
    *r = (struct record){.kind = RECORD_VOTE};
    struct record_vote *v = &r->vote;
    v->slice = ledger_column_u64(s, 0);
    v->attempt = ledger_column_u64(s, 1);
    v->own = sqlite3_column_int(s, 4) != 0;
    bool good = column_class(s, 5, &v->class);
    v->code = column_code(s, 6);
    v->wall_ms = (uint32_t)ledger_column_u64(s, 9);
    v->cpu_ms = (uint32_t)ledger_column_u64(s, 10);
    v->prefix = (uint32_t)ledger_column_u64(s, 11);
    v->at_wall_ms = ledger_column_u64(s, 12);
    return good && ledger_column_exact(s, 2, v->worker.b, DIGEST_BYTES) &&
           ledger_column_exact(s, 3, v->worker_key.b, PUBLIC_KEY_BYTES) &&
           ledger_column_exact(s, 7, v->outputs.b, DIGEST_BYTES) &&
           ledger_column_exact(s, 8, v->signature.b, SIGNATURE_BYTES);
}

static bool row_vote_with_tails(sqlite3_stmt *s, struct record *r)
{
    bool good = row_vote(s, r);
    r->vote.stdout_tail = ledger_column_bytes(s, 13);
    r->vote.stderr_tail = ledger_column_bytes(s, 14);
    return good;
}

static bool row_output(sqlite3_stmt *s, struct record *r)
{
    *r = (struct record){.kind = RECORD_OUTPUT};
    struct record_output *o = &r->output;
    o->slice = ledger_column_u64(s, 0);
    o->attempt = ledger_column_u64(s, 1);
    o->index = (uint32_t)ledger_column_u64(s, 2);
    o->size = ledger_column_u64(s, 3);
    o->in_file = sqlite3_column_int(s, 5) != 0;
    return ledger_column_exact(s, 4, o->root.b, DIGEST_BYTES);
}

static bool row_output_with_bytes(sqlite3_stmt *s, struct record *r)
{
    bool good = row_output(s, r);
    r->output.bytes = ledger_column_bytes(s, 6);
    return good && (r->output.in_file || r->output.bytes.len == r->output.size);
}

static bool row_job(sqlite3_stmt *s, char name[LEDGER_NAME_BYTES_MAX + 1],
                    struct ledger_job_row *row)
{
    column_text(s, 2, name, LEDGER_NAME_BYTES_MAX + 1);
    row->job.name = name;
    row->job.slice_count = (uint32_t)ledger_column_u64(s, 3);
    row->job.grant = ledger_column_bytes(s, 4);
    row->job.created_wall_ms = ledger_column_u64(s, 5);
    int state;
    bool good = column_among(s, 6, JOB_RUNNING, JOB_STOPPED, &state);
    row->state.state = (enum job_state)state;
    row->state.answer_slice = ledger_column_u64(s, 7);
    column_text(s, 8, row->state.reason, sizeof row->state.reason);
    row->state.at_wall_ms = ledger_column_u64(s, 9);
    row->job.slots_max = (uint32_t)ledger_column_u64(s, 10);
    row->state.ran_ms = ledger_column_u64(s, 11);
    return good && ledger_column_exact(s, 0, row->job.job.b, DIGEST_BYTES) &&
           ledger_column_exact(s, 1, row->job.run.b, RUN_BYTES);
}

/* ---- reading ---- */

static enum pn_status strange_row(struct pn_err *err)
{
    return pn_fail(err, PN_E_MALFORMED, "ledger: a row holds what this program never writes");
}

/* How a reading ended: code is what the last step gave. */
static enum pn_status ended(struct ledger_reader *r, int code, struct pn_err *err)
{
    return code == SQLITE_DONE ? PN_OK : ledger_file_error(r->db, err);
}

/* Each row of a statement that is bound already, as a record. */
static enum pn_status each_record(struct ledger_reader *r, sqlite3_stmt *s,
                                  bool (*row)(sqlite3_stmt *, struct record *),
                                  ledger_on_record *on_record, void *arg, uint64_t *count,
                                  struct pn_err *err)
{
    enum pn_status status = PN_OK;
    struct record record = {.kind = RECORD_FINAL};
    int code = SQLITE_DONE;
    while (status == PN_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        (*count)++;
        status = row(s, &record) ? on_record(arg, &record) : strange_row(err);
    }
    if (status == PN_OK) {
        status = ended(r, code, err);
    }
    (void)sqlite3_reset(s);
    return status;
}

static enum pn_status each_job(struct ledger_reader *r, sqlite3_stmt *s, ledger_on_job *on_job,
                               void *arg, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    int code = SQLITE_DONE;
    while (status == PN_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        char name[LEDGER_NAME_BYTES_MAX + 1];
        struct ledger_job_row row;
        status = row_job(s, name, &row) ? on_job(arg, &row) : strange_row(err);
    }
    if (status == PN_OK) {
        status = ended(r, code, err);
    }
    (void)sqlite3_reset(s);
    return status;
}

/*
 * Takes the turn and begins one moment of the file. leave() must follow, whatever this returned.
 */
static enum pn_status enter(struct ledger_reader *r, const struct digest *job,
                            const struct run *run, uint64_t *job_no, struct pn_err *err)
{
    uv_mutex_lock(&r->turn);
    enum pn_status status = ledger_file_run(r->db, "BEGIN", err);
    if (status != PN_OK) {
        return status;
    }
    sqlite3_stmt *s = r->statement[FIND_JOB];
    ledger_bind_bytes(s, 1, digest_bytes(job));
    ledger_bind_bytes(s, 2, run_bytes(run));
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *job_no = ledger_column_u64(s, 0);
    } else if (code == SQLITE_DONE) {
        char text[DIGEST_SHORT_BYTES];
        digest_short(job, text);
        status = pn_fail(err, PN_E_NOT_FOUND, "ledger: this run of job %s is not in it", text);
    } else {
        status = ledger_file_error(r->db, err);
    }
    (void)sqlite3_reset(s);
    return status;
}

static void leave(struct ledger_reader *r)
{
    if (sqlite3_get_autocommit(r->db) == 0) {
        (void)ledger_file_run(r->db, "COMMIT", NULL); /* nothing was written: nothing can be lost */
    }
    uv_mutex_unlock(&r->turn);
}

enum pn_status ledger_list_jobs(struct ledger_reader *r, ledger_on_job *on_job, void *arg,
                                struct pn_err *err)
{
    uv_mutex_lock(&r->turn);
    enum pn_status status = each_job(r, r->statement[LIST_JOBS], on_job, arg, err);
    uv_mutex_unlock(&r->turn);
    return status;
}

enum pn_status ledger_read_job(struct ledger_reader *r, const struct digest *job,
                               const struct run *run, ledger_on_job *on_job, void *arg,
                               struct pn_err *err)
{
    uint64_t job_no = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    if (status == PN_OK) {
        ledger_bind_u64(r->statement[READ_JOB], 1, job_no);
        status = each_job(r, r->statement[READ_JOB], on_job, arg, err);
    }
    leave(r);
    return status;
}

struct state_reader {
    ledger_on_record *on_record;
    void *arg;
};

static enum pn_status on_state_row(void *arg, const struct ledger_job_row *row)
{
    const struct state_reader *to = arg;
    const struct record r = {.kind = RECORD_JOB_STATE, .job_state = row->state};
    return to->on_record(to->arg, &r);
}

enum pn_status ledger_load(struct ledger_reader *r, const struct digest *job, const struct run *run,
                           ledger_on_record *on_record, void *arg, struct pn_err *err)
{
    static const struct {
        enum statement statement;
        bool (*row)(sqlite3_stmt *, struct record *);
    } parts[] = {
        {LOAD_LIES, row_lie},
        {LOAD_FINALS, row_final},
        {LOAD_VOTES, row_vote},
        {LOAD_OUTPUTS, row_output_with_bytes},
    };
    uint64_t job_no = 0;
    uint64_t count = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == PN_OK; i++) {
        sqlite3_stmt *s = r->statement[parts[i].statement];
        ledger_bind_u64(s, 1, job_no);
        status = each_record(r, s, parts[i].row, on_record, arg, &count, err);
    }
    if (status == PN_OK) {
        struct state_reader to = {.on_record = on_record, .arg = arg};
        ledger_bind_u64(r->statement[READ_JOB], 1, job_no);
        status = each_job(r, r->statement[READ_JOB], on_state_row, &to, err);
    }
    leave(r);
    return status;
}

enum pn_status ledger_read_slice(struct ledger_reader *r, const struct digest *job,
                                 const struct run *run, uint64_t slice, ledger_on_record *on_record,
                                 void *arg, struct pn_err *err)
{
    static const struct {
        enum statement statement;
        bool (*row)(sqlite3_stmt *, struct record *);
    } parts[] = {
        {SLICE_FINAL, row_final},
        {SLICE_VOTES, row_vote_with_tails},
        {SLICE_OUTPUTS, row_output},
    };
    uint64_t job_no = 0;
    uint64_t count = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == PN_OK; i++) {
        sqlite3_stmt *s = r->statement[parts[i].statement];
        ledger_bind_u64(s, 1, job_no);
        ledger_bind_u64(s, 2, slice);
        status = each_record(r, s, parts[i].row, on_record, arg, &count, err);
    }
    leave(r);
    if (status == PN_OK && count == 0) {
        return pn_fail(err, PN_E_NOT_FOUND, "ledger: nothing is recorded for slice %llu",
                       (unsigned long long)slice);
    }
    return status;
}

static enum pn_status take_output(sqlite3_stmt *s, struct record_output *out, struct buffer *bytes,
                                  struct pn_err *err)
{
    struct record record;
    if (!row_output_with_bytes(s, &record)) {
        return strange_row(err);
    }
    *out = record.output;
    out->bytes = (struct pn_bytes){NULL, 0};
    if (out->in_file) {
        return PN_OK;
    }
    enum pn_status status = buffer_append(bytes, record.output.bytes);
    if (status != PN_OK) {
        return pn_fail(err, status, "ledger: output of %zu bytes: %s", record.output.bytes.len,
                       pn_status_text(status));
    }
    if (record.output.bytes.len > 0) {
        out->bytes = (struct pn_bytes){bytes->ptr + (bytes->len - record.output.bytes.len),
                                       record.output.bytes.len};
    }
    return PN_OK;
}

enum pn_status ledger_read_output(struct ledger_reader *r, const struct digest *job,
                                  const struct run *run, uint64_t slice, uint32_t index,
                                  struct record_output *out, struct buffer *bytes,
                                  struct pn_err *err)
{
    uint64_t job_no = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    if (status == PN_OK) {
        sqlite3_stmt *s = r->statement[READ_OUTPUT];
        ledger_bind_u64(s, 1, job_no);
        ledger_bind_u64(s, 2, slice);
        ledger_bind_u64(s, 3, index);
        int code = sqlite3_step(s);
        if (code == SQLITE_ROW) {
            status = take_output(s, out, bytes, err);
        } else if (code == SQLITE_DONE) {
            status = pn_fail(err, PN_E_NOT_FOUND, "ledger: slice %llu has no final output %u",
                             (unsigned long long)slice, index);
        } else {
            status = ledger_file_error(r->db, err);
        }
        (void)sqlite3_reset(s);
    }
    leave(r);
    return status;
}

static bool row_slice(sqlite3_stmt *s, struct ledger_slice *slice)
{
    struct record record = {.kind = RECORD_FINAL};
    *slice = (struct ledger_slice){.slice = ledger_column_u64(s, 0),
                                   .is_final = sqlite3_column_int(s, 10) != 0,
                                   .vote_count = (uint32_t)ledger_column_u64(s, 11)};
    if (slice->is_final && !row_final(s, &record)) {
        return false;
    }
    slice->final = record.final;
    return true;
}

enum pn_status ledger_list_slices(struct ledger_reader *r, const struct digest *job,
                                  const struct run *run, uint64_t first, uint32_t slices_max,
                                  ledger_on_slice *on_slice, void *arg, struct pn_err *err)
{
    uint64_t job_no = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    if (status == PN_OK) {
        sqlite3_stmt *s = r->statement[LIST_SLICES];
        int code = SQLITE_DONE;
        ledger_bind_u64(s, 1, job_no);
        ledger_bind_u64(s, 2, first);
        ledger_bind_u64(s, 3, slices_max);
        while (status == PN_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
            struct ledger_slice slice;
            status = row_slice(s, &slice) ? on_slice(arg, &slice) : strange_row(err);
        }
        if (status == PN_OK) {
            status = ended(r, code, err);
        }
        (void)sqlite3_reset(s);
    }
    leave(r);
    return status;
}

enum pn_status ledger_count(struct ledger_reader *r, const struct digest *job,
                            const struct run *run, struct ledger_counts *out, struct pn_err *err)
{
    uint64_t job_no = 0;
    enum pn_status status = enter(r, job, run, &job_no, err);
    if (status == PN_OK) {
        sqlite3_stmt *s = r->statement[COUNT_FINALS];
        ledger_bind_u64(s, 1, job_no);
        if (sqlite3_step(s) == SQLITE_ROW) {
            out->final_count = ledger_column_u64(s, 0);
            out->failed_count = ledger_column_u64(s, 1);
        } else {
            status = ledger_file_error(r->db, err);
        }
        (void)sqlite3_reset(s);
    }
    leave(r);
    return status;
}
