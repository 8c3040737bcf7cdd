/*
 * A ledger whose rows somebody has changed: each is refused, or a record within its bounds, and a
 * master that replays what is left starts.
 *
 * Input, a line each: a byte for the column, one for the kind of value, the value.
 */
#include <stdio.h>
#include <unistd.h>

#include "peer/master/ledger_file_sys.h"
#include "peer/master/ledger_read_sys.h"
#include "peer/master/master.h"
#include "tests/fuzz/fuzz.h"

static const char *const TABLES[] = {"jobs",  "workers", "finals",  "open_slices",
                                     "votes", "tails",   "outputs", "lies"};
enum { TABLE_COUNT = sizeof TABLES / sizeof TABLES[0], SLICES = 64 };

/* What is changed: every row of the table gets the value, where the table's rules allow it. */
static const struct {
    const char *table;
    const char *column;
} COLUMNS[] = {
    {"jobs", "job"},          {"jobs", "run"},          {"jobs", "name"},
    {"jobs", "slices"},       {"jobs", "grant_bytes"},  {"jobs", "created_ms"},
    {"jobs", "ran_ms"},       {"jobs", "state"},        {"jobs", "answer_slice"},
    {"jobs", "reason"},       {"workers", "peer"},      {"workers", "public_key"},
    {"finals", "slice"},      {"finals", "attempt"},    {"finals", "class"},
    {"finals", "code"},       {"finals", "basis"},      {"finals", "answer"},
    {"finals", "serial"},     {"finals", "outputs"},    {"open_slices", "slice"},
    {"votes", "slice"},       {"votes", "attempt"},     {"votes", "own"},
    {"votes", "class"},       {"votes", "code"},        {"votes", "outputs"},
    {"votes", "signature"},   {"votes", "wall_ms"},     {"votes", "prefix"},
    {"tails", "stdout_tail"}, {"tails", "stderr_tail"}, {"outputs", "output"},
    {"outputs", "size"},      {"outputs", "root"},      {"outputs", "bytes"},
    {"lies", "slice"},        {"lies", "attempt"},      {"lies", "reason"},
    {"jobs", "slots_max"},    {"jobs", "ran_ms"},
};
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof COLUMNS[0] };

static struct digest job = {{0x1d}};
static struct run run = {{0x2e}};
static char folder[] = "/tmp/preon-fuzz-XXXXXX";
static sqlite3 *db; /* changes the rows behind the reader's back */
static struct ledger_reader *reader;

/* --- the ledger ------------------------------------------------------------------------------- */

static void remove_folder(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s/" LEDGER_FILE_NAME "%s", folder, suffixes[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static void on_committed(void *arg, const struct digest *of, const struct run *in, uint64_t seq,
                         enum pn_status status, const struct pn_err *err)
{
    (void)of;
    (void)in;
    (void)seq;
    (void)err;
    assert(status == PN_OK);
    *(bool *)arg = true;
}

static struct record vote(uint64_t slice, uint64_t attempt, uint8_t worker)
{
    struct record r = {.kind = RECORD_VOTE};
    r.vote = (struct record_vote){.slice = slice,
                                  .attempt = attempt,
                                  .worker = {{worker}},
                                  .worker_key = {{worker, 1}},
                                  .outputs = {{3}},
                                  .prefix = worker,
                                  .stdout_tail = pn_bytes_str("out"),
                                  .stderr_tail = pn_bytes_str("err")};
    return r;
}

static struct record output(uint64_t slice, uint64_t attempt)
{
    struct record r = {.kind = RECORD_OUTPUT};
    r.output = (struct record_output){.slice = slice,
                                      .attempt = attempt,
                                      .size = 5,
                                      .root = {{4}},
                                      .bytes = pn_bytes_str("bytes")};
    return r;
}

static void fill(struct ledger *l)
{
    const struct ledger_job added = {
        .job = job, .run = run, .name = "crunch", .slice_count = SLICES};
    struct record records[] = {vote(0, 1, 7), vote(0, 2, 8), output(0, 1),  {.kind = RECORD_FINAL},
                               vote(5, 3, 7), output(5, 3),  vote(6, 4, 8), {.kind = RECORD_LIE}};
    records[3].final = (struct record_final){
        .attempt = 1, .outputs = {{3}}, .basis = BASIS_QUORUM, .answer = true};
    records[7].lie = (struct record_lie){.worker = {{8}}, .slice = 6, .reason = "a lie"};
    enum pn_status status = ledger_add_job(l, &added, NULL);
    assert(status == PN_OK);
    status = ledger_commit(l, &job, &run, 1, records, sizeof records / sizeof records[0]);
    assert(status == PN_OK);
}

static void make_ledger(void)
{
    char path[64];
    uv_loop_t loop;
    struct ledger *l = NULL;
    bool committed = false;
    bool made = mkdtemp(folder) != NULL && atexit(remove_folder) == 0 && uv_loop_init(&loop) == 0;
    assert(made);
    (void)snprintf(path, sizeof path, "%s/" LEDGER_FILE_NAME, folder);
    enum pn_status status = ledger_open(path, &loop, on_committed, &committed, &l, NULL);
    assert(status == PN_OK);
    fill(l);
    while (!committed) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    ledger_close(l);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    made = sqlite3_open(path, &db) == SQLITE_OK &&
           sqlite3_exec(db, "PRAGMA synchronous = OFF", NULL, NULL, NULL) == SQLITE_OK &&
           ledger_reader_open(path, &reader, NULL) == PN_OK;
    assert(made);
}

/* --- changing it, and back -------------------------------------------------------------------- */

static void each_table(const char *format)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        char sql[128];
        (void)sqlite3_snprintf(sizeof sql, sql, format, TABLES[i], TABLES[i]);
        int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
        assert(code == SQLITE_OK);
    }
}

static void bind_value(sqlite3_stmt *s, uint8_t kind, struct pn_bytes value)
{
    int64_t number = 0;
    double real = 0;
    size_t len = value.len < sizeof number ? value.len : sizeof number;
    memcpy(&number, value.ptr, len);
    memcpy(&real, value.ptr, len);
    switch (kind % 5) {
    case 0:
        (void)sqlite3_bind_int64(s, 1, number);
        break;
    case 1:
        (void)sqlite3_bind_blob64(s, 1, value.ptr, value.len, SQLITE_TRANSIENT);
        break;
    case 2:
        (void)sqlite3_bind_text(s, 1, (const char *)value.ptr, (int)value.len, SQLITE_TRANSIENT);
        break;
    case 3:
        (void)sqlite3_bind_double(s, 1, real);
        break;
    default:
        (void)sqlite3_bind_null(s, 1);
    }
}

static void change(struct pn_bytes line)
{
    if (line.len < 2) {
        return;
    }
    const size_t at = line.ptr[0] % COLUMN_COUNT;
    sqlite3_stmt *s = NULL;
    char sql[128];
    (void)snprintf(sql, sizeof sql, "UPDATE OR IGNORE %s SET %s = ?1", COLUMNS[at].table,
                   COLUMNS[at].column);
    int code = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    assert(code == SQLITE_OK);
    bind_value(s, line.ptr[1], (struct pn_bytes){line.ptr + 2, line.len - 2});
    (void)sqlite3_step(s);
    (void)sqlite3_finalize(s);
}

/* --- reading it ------------------------------------------------------------------------------- */

static void check_final(const struct record_final *f)
{
    assert((unsigned)f->class < OUTCOME_CLASS_COUNT);
    assert(f->basis >= BASIS_QUORUM && f->basis <= BASIS_GIVEN_UP);
}

static enum pn_status on_record(void *arg, const struct record *r)
{
    switch (r->kind) {
    case RECORD_VOTE:
        assert((unsigned)r->vote.class < OUTCOME_CLASS_COUNT);
        break;
    case RECORD_OUTPUT:
        assert(r->output.bytes.len == 0 || r->output.bytes.len == r->output.size);
        break;
    case RECORD_FINAL:
        check_final(&r->final);
        break;
    case RECORD_LIE:
        assert(memchr(r->lie.reason, '\0', sizeof r->lie.reason) != NULL);
        break;
    case RECORD_JOB_STATE:
        assert(r->job_state.state >= JOB_RUNNING && r->job_state.state <= JOB_STOPPED);
        break;
    }
    return arg == NULL ? PN_OK : master_replay(arg, r);
}

static enum pn_status on_job(void *arg, const struct ledger_job_row *row)
{
    (void)arg;
    assert(strlen(row->job.name) <= LEDGER_NAME_BYTES_MAX);
    assert(memchr(row->state.reason, '\0', sizeof row->state.reason) != NULL);
    return PN_OK;
}

static enum pn_status on_slice(void *arg, const struct ledger_slice *s)
{
    (void)arg;
    if (s->is_final) {
        check_final(&s->final);
    }
    return PN_OK;
}

static void read_parts(void)
{
    struct ledger_counts counts = {0};
    struct record_output out;
    struct buffer bytes;
    buffer_init(&bytes, 1 << 16);
    (void)ledger_list_jobs(reader, on_job, NULL, NULL);
    (void)ledger_read_job(reader, &job, &run, on_job, NULL, NULL);
    (void)ledger_read_slice(reader, &job, &run, 0, on_record, NULL, NULL);
    (void)ledger_read_slice(reader, &job, &run, 5, on_record, NULL, NULL);
    (void)ledger_list_slices(reader, &job, &run, 0, SLICES, on_slice, NULL, NULL);
    (void)ledger_count(reader, &job, &run, &counts, NULL);
    if (ledger_read_output(reader, &job, &run, 0, 0, &out, &bytes, NULL) == PN_OK) {
        assert(out.in_file || out.size == bytes.len);
    }
    buffer_fini(&bytes);
}

static void start_master(void)
{
    static const char *const names[] = {"out"};
    const struct master_config config = {.job = job,
                                         .run = run,
                                         .slice_count = SLICES,
                                         .output_names = names,
                                         .output_count = 1,
                                         .output_bytes_max = 1 << 20,
                                         .time_limit_s = 120,
                                         .rule = {.quorum = 2},
                                         .own_can_run = true};
    const struct master_event start = {.kind = MASTER_START, .now_ms = 1000};
    struct master_actions actions;
    struct master *m = master_new(&config);
    assert(m != NULL);
    master_actions_init(&actions);
    if (ledger_load(reader, &job, &run, on_record, m, NULL) == PN_OK) {
        enum pn_status status = master_step(m, &start, &actions, NULL);
        assert(status == PN_OK);
    }
    master_actions_fini(&actions);
    master_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_bytes in = {data, size};
    struct pn_bytes line;
    if (db == NULL) {
        make_ledger();
        each_table("CREATE TEMP TABLE keep_%s AS SELECT * FROM main.%s");
    }
    for (int i = 0; i < 8 && fuzz_line(&in, &line); i++) {
        change(line);
    }
    read_parts();
    start_master();
    each_table("DELETE FROM main.%s");
    each_table("INSERT INTO main.%s SELECT * FROM keep_%s");
    return 0;
}
