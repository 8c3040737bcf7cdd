/*
 * A real ledger in a temporary folder: what goes in comes out, in order, in few transactions.
 */
#include "ledger_fixture.h"

#include <fcntl.h>

#include <sqlite3.h>

#include "tests/unit/alloc.h"

enum { SEEN_MAX = 4096 };

struct seen {
    uint32_t count;
    struct record records[SEEN_MAX];
    uint8_t *bytes[SEEN_MAX][2]; /* copies of what records[i] borrowed */
};

static enum pn_status on_record(void *arg, const struct record *r)
{
    struct seen *s = arg;
    assert_true(s->count < SEEN_MAX);
    struct record *to = &s->records[s->count];
    *to = *r;
    if (r->kind == RECORD_VOTE) {
        to->vote.stdout_tail.ptr = s->bytes[s->count][0] =
            unit_exact(r->vote.stdout_tail.ptr, r->vote.stdout_tail.len);
        to->vote.stderr_tail.ptr = s->bytes[s->count][1] =
            unit_exact(r->vote.stderr_tail.ptr, r->vote.stderr_tail.len);
    } else if (r->kind == RECORD_OUTPUT) {
        to->output.bytes.ptr = s->bytes[s->count][0] =
            unit_exact(r->output.bytes.ptr, r->output.bytes.len);
    }
    s->count++;
    return PN_OK;
}

static struct seen *load(struct fixture *f)
{
    struct seen *s = calloc(1, sizeof *s);
    struct ledger_reader *r = fixture_reader(f);
    struct pn_err err = {0};
    assert_non_null(s);
    assert_int_equal(ledger_load(r, &f->job, &f->run, on_record, s, &err), PN_OK);
    ledger_reader_close(r);
    return s;
}

static void seen_free(struct seen *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        free(s->bytes[i][0]);
        free(s->bytes[i][1]);
    }
    free(s);
}

static void check_vote(const struct record_vote *a, const struct record_vote *b, bool tails)
{
    assert_int_equal(a->slice, b->slice);
    assert_int_equal(a->attempt, b->attempt);
    assert_true(digest_equal(&a->worker, &b->worker));
    assert_memory_equal(a->worker_key.b, b->worker_key.b, PUBLIC_KEY_BYTES);
    assert_int_equal(a->own, b->own);
    assert_int_equal(a->class, b->class);
    assert_int_equal(a->code, b->code);
    assert_true(digest_equal(&a->outputs, &b->outputs));
    assert_memory_equal(a->signature.b, b->signature.b, SIGNATURE_BYTES);
    assert_int_equal(a->wall_ms, b->wall_ms);
    assert_int_equal(a->cpu_ms, b->cpu_ms);
    assert_int_equal(a->prefix, b->prefix);
    assert_int_equal(a->at_wall_ms, b->at_wall_ms);
    if (tails) {
        assert_true(pn_bytes_equal(a->stdout_tail, b->stdout_tail));
        assert_true(pn_bytes_equal(a->stderr_tail, b->stderr_tail));
    }
}

static void check_final(const struct record_final *a, const struct record_final *b)
{
    assert_int_equal(a->slice, b->slice);
    assert_int_equal(a->attempt, b->attempt);
    assert_true(digest_equal(&a->outputs, &b->outputs));
    assert_int_equal(a->class, b->class);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->basis, b->basis);
    assert_int_equal(a->answer, b->answer);
    assert_int_equal(a->serial, b->serial);
    assert_int_equal(a->term, b->term);
    assert_int_equal(a->at_wall_ms, b->at_wall_ms);
}

/* Every kind of record, with values at the ends of their ranges. */
static void test_round_trip(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct record vote = fixture_vote(5, UINT64_C(0x7fffffff00000001), 1);
    vote.vote.class = OUTCOME_SIGNALLED;
    vote.vote.code = INT32_MIN;
    vote.vote.wall_ms = UINT32_MAX;
    vote.vote.stdout_tail = pn_bytes_str("out");
    vote.vote.stderr_tail = pn_bytes_str("");
    struct record output = fixture_output(5, vote.vote.attempt, 63, pn_bytes_str("a\0b"));
    struct record empty = fixture_output(5, vote.vote.attempt, 64, pn_bytes_str(""));
    struct record large = fixture_output(5, vote.vote.attempt, 65, pn_bytes_str(""));
    large.output.in_file = true;
    large.output.size = UINT64_C(1) << 40;
    struct record final = fixture_final(4, 17);
    final.final.answer = true;
    final.final.code = 255;
    final.final.basis = BASIS_GIVEN_UP;
    final.final.serial = UINT32_MAX;
    struct record lie = {.kind = RECORD_LIE,
                         .lie = {.worker = fixture_digest(1, 99),
                                 .slice = 3,
                                 .attempt = 2,
                                 .reason = "window 7: the sum is wrong",
                                 .at_wall_ms = 5}};
    struct record ended = {.kind = RECORD_JOB_STATE,
                           .job_state = {.state = JOB_FOUND,
                                         .answer_slice = 4,
                                         .reason = "found",
                                         .at_wall_ms = UINT64_C(1) << 41,
                                         .ran_ms = UINT64_C(1) << 40}};
    const struct record batch[] = {vote, output, empty, large, final, lie, ended};
    assert_int_equal(fixture_commit(f, batch, 7), PN_OK);

    for (int times = 0; times < 2; times++) { /* as it is, and after closing and opening */
        struct seen *s = load(f);
        assert_int_equal(s->count, 7);
        assert_int_equal(s->records[0].kind, RECORD_LIE);
        assert_true(digest_equal(&s->records[0].lie.worker, &lie.lie.worker));
        assert_string_equal(s->records[0].lie.reason, lie.lie.reason);
        assert_int_equal(s->records[0].lie.slice, 3);
        assert_int_equal(s->records[0].lie.attempt, 2);
        assert_int_equal(s->records[1].kind, RECORD_FINAL);
        check_final(&s->records[1].final, &final.final);
        assert_int_equal(s->records[2].kind, RECORD_VOTE);
        check_vote(&s->records[2].vote, &vote.vote, false);
        const struct record *const outputs[] = {&output, &empty, &large};
        for (uint32_t i = 0; i < 3; i++) {
            const struct record *got = &s->records[3 + i];
            assert_int_equal(got->kind, RECORD_OUTPUT);
            assert_int_equal(got->output.index, outputs[i]->output.index);
            assert_int_equal(got->output.size, outputs[i]->output.size);
            assert_int_equal(got->output.in_file, outputs[i]->output.in_file);
            assert_true(digest_equal(&got->output.root, &outputs[i]->output.root));
            assert_true(pn_bytes_equal(got->output.bytes, outputs[i]->output.bytes));
        }
        assert_int_equal(s->records[6].kind, RECORD_JOB_STATE);
        assert_int_equal(s->records[6].job_state.state, JOB_FOUND);
        assert_int_equal(s->records[6].job_state.answer_slice, 4);
        assert_string_equal(s->records[6].job_state.reason, "found");
        assert_int_equal(s->records[6].job_state.at_wall_ms, UINT64_C(1) << 41);
        assert_int_equal(s->records[6].job_state.ran_ms, UINT64_C(1) << 40);
        seen_free(s);
        struct pn_err err = {0};
        assert_int_equal(fixture_reopen(f, &err), PN_OK);
    }
    fixture_free(f);
}

/* Once a slice is final a restart does not see its votes; the kept attempt's outputs can be read.
 */
static void test_final_closes_slice(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct record votes[] = {fixture_vote(8, 1, 1), fixture_vote(8, 2, 2),
                             fixture_output(8, 1, 0, pn_bytes_str("one")),
                             fixture_output(8, 2, 0, pn_bytes_str("two"))};
    votes[0].vote.stderr_tail = pn_bytes_str("a warning\n");
    const struct record final = fixture_final(8, 2);
    const struct record late = fixture_vote(8, 3, 3);
    assert_int_equal(fixture_commit(f, votes, 4), PN_OK);
    struct seen *s = load(f);
    assert_int_equal(s->count, 5); /* with the job's state */
    seen_free(s);
    assert_int_equal(fixture_commit(f, &final, 1), PN_OK);
    assert_int_equal(fixture_commit(f, &late, 1), PN_OK);
    s = load(f);
    assert_int_equal(s->count, 2);
    check_final(&s->records[0].final, &final.final);
    seen_free(s);

    struct ledger_reader *r = fixture_reader(f);
    struct pn_err err = {0};
    struct record_output out;
    struct buffer bytes;
    buffer_init(&bytes, 100);
    assert_int_equal(ledger_read_output(r, &f->job, &f->run, 8, 0, &out, &bytes, &err), PN_OK);
    assert_true(pn_bytes_equal(out.bytes, pn_bytes_str("two")));
    assert_int_equal(out.attempt, 2);
    assert_int_equal(ledger_read_output(r, &f->job, &f->run, 8, 1, &out, &bytes, &err),
                     PN_E_NOT_FOUND);
    assert_int_equal(ledger_read_output(r, &f->job, &f->run, 9, 0, &out, &bytes, &err),
                     PN_E_NOT_FOUND);
    buffer_fini(&bytes);
    buffer_init(&bytes, 2); /* smaller than the output */
    assert_int_equal(ledger_read_output(r, &f->job, &f->run, 8, 0, &out, &bytes, &err), PN_E_FULL);
    buffer_fini(&bytes);

    s = calloc(1, sizeof *s);
    assert_non_null(s);
    assert_int_equal(ledger_read_slice(r, &f->job, &f->run, 8, on_record, s, &err), PN_OK);
    assert_int_equal(s->count, 5); /* final, three votes, and only the kept output */
    assert_int_equal(s->records[0].kind, RECORD_FINAL);
    check_vote(&s->records[1].vote, &votes[0].vote, true);
    check_vote(&s->records[3].vote, &late.vote, true);
    assert_int_equal(s->records[4].output.attempt, 2);
    seen_free(s);
    assert_int_equal(ledger_read_slice(r, &f->job, &f->run, 7, on_record, NULL, &err),
                     PN_E_NOT_FOUND);
    ledger_reader_close(r);
    fixture_free(f);
}

/* The same final again is nothing new; another one for the slice is our own broken promise. */
static void test_final_is_for_ever(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    const struct record final = fixture_final(1, 1);
    struct record again = fixture_final(1, 2);
    struct record other = fixture_final(1, 2);
    other.final.outputs = fixture_digest(9, 9);
    const struct record more = fixture_final(2, 1);
    assert_int_equal(fixture_commit(f, &final, 1), PN_OK);
    assert_int_equal(fixture_commit(f, &again, 1), PN_OK);
    assert_int_equal(fixture_commit(f, &other, 1), PN_E_MISMATCH);
    assert_string_equal(f->report_text, "ledger: slice 1 is final with another outcome");
    assert_int_equal(fixture_commit(f, &more, 1), PN_E_MISMATCH); /* the session is over */

    struct pn_err err = {0};
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    assert_int_equal(fixture_commit(f, &more, 1), PN_OK);
    struct seen *s = load(f);
    assert_int_equal(s->count, 3);
    check_final(&s->records[0].final, &final.final);
    seen_free(s);
    fixture_free(f);
}

/* Reports come in order, one per batch; many batches share a transaction. */
static void test_group_commit(void **state)
{
    (void)state;
    enum { BATCHES = 3000 };
    struct fixture *f = fixture_new();
    struct ledger_figures figures;
    for (uint64_t seq = 0; seq < BATCHES; seq++) {
        const struct record batch[] = {fixture_vote(seq, 1, seq % 10), fixture_final(seq, 1)};
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, seq, batch, 2), PN_OK);
    }
    fixture_wait(f, BATCHES);
    for (uint64_t seq = 0; seq < BATCHES; seq++) {
        assert_int_equal(f->report_seq[seq], seq);
        assert_int_equal(f->report_status[seq], PN_OK);
    }
    ledger_figures(f->ledger, &figures);
    assert_int_equal(figures.batch_count, BATCHES);
    assert_true(figures.transaction_count < BATCHES / 20);
    assert_int_equal(figures.queued_bytes, 0);
    struct seen *s = load(f);
    assert_int_equal(s->count, BATCHES + 1);
    for (uint64_t i = 0; i < BATCHES; i++) {
        assert_int_equal(s->records[i].final.slice, i);
    }
    seen_free(s);
    fixture_free(f);
}

/* A queue with no end would be a way to fill the memory. */
static void test_queue_is_bounded(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    enum { LEN = 1024 * 1024 };
    uint8_t *bytes = calloc(1, LEN);
    assert_non_null(bytes);
    const struct record r = fixture_output(1, 1, 0, (struct pn_bytes){bytes, LEN});
    uint32_t accepted = 0;
    enum pn_status status;
    while ((status = ledger_commit(f->ledger, &f->job, &f->run, accepted, &r, 1)) == PN_OK) {
        accepted++;
        assert_true(accepted < 100);
    }
    assert_int_equal(status, PN_E_FULL);
    assert_int_equal(accepted, LEDGER_QUEUE_BYTES_MAX / LEN - 1); /* each is a little larger */
    assert_true(ledger_pressed(f->ledger));
    fixture_wait(f, accepted);
    assert_false(ledger_pressed(f->ledger));
    assert_int_equal(fixture_commit(f, &r, 1), PN_OK); /* room again */

    /* One batch that is larger than the queue still has its way. */
    struct record *many = calloc(40, sizeof *many);
    assert_non_null(many);
    for (uint32_t i = 0; i < 40; i++) {
        many[i] = fixture_output(2, 1, i, (struct pn_bytes){bytes, LEN});
    }
    assert_int_equal(fixture_commit(f, many, 40), PN_OK);
    free(many);
    free(bytes);
    fixture_free(f);
}

/* What is queued when the ledger closes is committed, but nobody is told. */
static void test_close_commits(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    for (uint64_t slice = 0; slice < 100; slice++) {
        const struct record final = fixture_final(slice, 1);
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, slice, &final, 1), PN_OK);
    }
    struct pn_err err = {0};
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    assert_int_equal(f->report_count, 0);
    struct seen *s = load(f);
    assert_int_equal(s->count, 101);
    seen_free(s);
    fixture_free(f);
}

struct job_list {
    uint32_t count;
    struct ledger_job_row rows[4];
    char name[4][LEDGER_NAME_BYTES_MAX + 1];
    size_t grant_len[4];
};

static enum pn_status on_job(void *arg, const struct ledger_job_row *row)
{
    struct job_list *list = arg;
    assert_true(list->count < 4);
    list->rows[list->count] = *row;
    (void)snprintf(list->name[list->count], sizeof list->name[0], "%s", row->job.name);
    list->grant_len[list->count] = row->job.grant.len;
    list->count++;
    return PN_OK;
}

static void test_jobs(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    struct job_list list = {0};
    struct ledger_job second = {
        .job = f->job, .name = "crunch", .slots_max = 4294967295, .grant = pn_bytes_str("g2")};
    assert_int_equal(ledger_add_job(f->ledger, &second, &err), PN_OK); /* another run */
    assert_int_equal(ledger_add_job(f->ledger, &second, &err), PN_E_EXISTS);
    const struct run nobody = {.b = {9}};
    assert_int_equal(ledger_remove_job(f->ledger, &f->job, &nobody, &err), PN_E_NOT_FOUND);
    assert_int_equal(fixture_reopen(f, &err), PN_OK);

    struct ledger_reader *r = fixture_reader(f);
    assert_int_equal(ledger_list_jobs(r, on_job, &list, &err), PN_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.name[0], "crunch");
    assert_int_equal(list.rows[0].job.slice_count, 1000000);
    assert_int_equal(list.rows[0].job.slots_max, 0);
    assert_int_equal(list.rows[1].job.slots_max, 4294967295);
    assert_int_equal(list.rows[0].state.state, JOB_RUNNING);
    assert_int_equal(list.rows[0].job.created_wall_ms, 1700000000000);
    assert_int_equal(list.grant_len[0], 17);
    assert_int_equal(list.grant_len[1], 2);
    assert_true(run_equal(&list.rows[1].job.run, &second.run));
    ledger_reader_close(r);

    char name[LEDGER_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    second.name = name;
    assert_int_equal(ledger_add_job(f->ledger, &second, &err), PN_E_TOO_BIG);
    fixture_free(f);
}

static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return value;
}

/* A removed run is gone at once, its rows and pages soon, and others stay as they were. */
static void test_remove(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    const struct ledger_job other = {.job = f->job, .run = {.b = {1}}, .name = "other"};
    assert_int_equal(ledger_add_job(f->ledger, &other, &err), PN_OK);
    for (uint64_t slice = 0; slice < 3000; slice++) {
        const struct record batch[] = {fixture_vote(slice, 1, 1), fixture_final(slice, 1),
                                       fixture_output(slice, 1, 0, pn_bytes_str("bytes"))};
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, slice, batch, 3), PN_OK);
    }
    fixture_wait(f, 3000);
    assert_int_equal(ledger_remove_job(f->ledger, &f->job, &f->run, &err), PN_OK);
    assert_int_equal(ledger_remove_job(f->ledger, &f->job, &f->run, &err), PN_E_NOT_FOUND);
    const struct record late = fixture_final(5000, 1);
    assert_int_equal(fixture_commit(f, &late, 1), PN_E_NOT_FOUND);

    struct job_list list = {0};
    struct ledger_reader *r = fixture_reader(f);
    assert_int_equal(ledger_list_jobs(r, on_job, &list, &err), PN_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(ledger_load(r, &f->job, &f->run, on_record, NULL, &err), PN_E_NOT_FOUND);
    ledger_reader_close(r);

    /* Stopped in the middle of cleaning up, the next session goes on with it. */
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    for (int i = 0; i < 1000; i++) {
        if (ask(f->path, "SELECT count(*) FROM jobs") == 1) {
            break;
        }
        (void)usleep(10000);
    }
    assert_int_equal(ask(f->path, "SELECT count(*) FROM jobs"), 1);
    assert_int_equal(ask(f->path, "SELECT (SELECT count(*) FROM finals) + (SELECT count(*) FROM "
                                  "votes) + (SELECT count(*) FROM outputs)"),
                     0);
    fixture_close(f);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(st.st_size < 200000);
    fixture_free(f);
}

struct slice_list {
    uint32_t count;
    struct ledger_slice slices[16];
};

static enum pn_status on_slice(void *arg, const struct ledger_slice *slice)
{
    struct slice_list *list = arg;
    assert_true(list->count < 16);
    list->slices[list->count++] = *slice;
    return PN_OK;
}

static void test_list_slices(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    for (uint64_t slice = 10; slice < 20; slice++) { /* even ones final */
        struct record batch[] = {fixture_vote(slice, 1, 1), fixture_vote(slice, 2, 2),
                                 fixture_final(slice, 1)};
        batch[2].final.code = slice == 12 ? 3 : 0;
        assert_int_equal(fixture_commit(f, batch, slice % 2 == 0 ? 3 : 2), PN_OK);
    }
    struct ledger_reader *r = fixture_reader(f);
    struct slice_list list = {0};
    assert_int_equal(ledger_list_slices(r, &f->job, &f->run, 11, 4, on_slice, &list, &err), PN_OK);
    assert_int_equal(list.count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(list.slices[i].slice, 11 + i);
        assert_int_equal(list.slices[i].vote_count, 2);
        assert_int_equal(list.slices[i].is_final, (11 + i) % 2 == 0);
    }
    assert_int_equal(list.slices[1].final.code, 3);
    list.count = 0;
    assert_int_equal(ledger_list_slices(r, &f->job, &f->run, 0, 16, on_slice, &list, &err), PN_OK);
    assert_int_equal(list.count, 10);
    struct ledger_counts counts;
    assert_int_equal(ledger_count(r, &f->job, &f->run, &counts, &err), PN_OK);
    assert_int_equal(counts.final_count, 5);
    assert_int_equal(counts.failed_count, 1);
    ledger_reader_close(r);

    /* What people see through the views. */
    assert_int_equal(ask(f->path, "SELECT count(*) FROM v_slices WHERE state = 'final'"), 5);
    assert_int_equal(ask(f->path, "SELECT count(*) FROM v_slices WHERE state = 'voting'"), 5);
    assert_int_equal(ask(f->path, "SELECT final FROM v_jobs WHERE state = 'running'"), 5);
    assert_int_equal(ask(f->path, "SELECT count(*) FROM v_votes WHERE accepted"), 10);
    assert_int_equal(ask(f->path, "SELECT sum(accepted) FROM v_workers WHERE votes = 10"), 10);
    fixture_free(f);
}

/* A callback that has seen enough ends the reading with its own word. */
static enum pn_status on_enough(void *arg, const struct record *r)
{
    (void)r;
    uint32_t *count = arg;
    return ++*count == 3 ? PN_E_CLOSED : PN_OK;
}

static void test_reading_can_be_ended(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    uint32_t count = 0;
    for (uint64_t slice = 0; slice < 9; slice++) {
        const struct record vote = fixture_vote(slice, 1, 1);
        assert_int_equal(fixture_commit(f, &vote, 1), PN_OK);
    }
    struct ledger_reader *r = fixture_reader(f);
    assert_int_equal(ledger_load(r, &f->job, &f->run, on_enough, &count, &err), PN_E_CLOSED);
    assert_int_equal(count, 3);
    assert_int_equal(ledger_load(r, &f->job, &f->run, on_enough, &count, &err), PN_OK);
    ledger_reader_close(r);
    fixture_free(f);
}

/* Whatever allocation fails: the call says so, nothing leaks, and the next one works. */
static void test_short_of_memory(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    const struct record vote = fixture_vote(1, 1, 1);
    enum pn_status status;
    int failures = 0;
    fixture_close(f);
    for (alloc_fail_at(1);; alloc_fail_next(), failures++) {
        status = fixture_reopen(f, &err);
        if (status != PN_E_NO_MEMORY) {
            break;
        }
        fixture_close_unopened(f);
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    for (alloc_fail_at(1);; alloc_fail_next(), failures++) {
        status = ledger_commit(f->ledger, &f->job, &f->run, 0, &vote, 1);
        if (status != PN_E_NO_MEMORY) {
            break;
        }
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    fixture_wait(f, 1);
    struct ledger_reader *r = NULL;
    for (alloc_fail_at(1);; alloc_fail_next(), failures++) {
        status = ledger_reader_open(f->path, &r, &err);
        if (status != PN_E_NO_MEMORY) {
            break;
        }
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    assert_int_equal(failures, 3); /* ledger, batch, reader: one block each */
    ledger_reader_close(r);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_final_closes_slice),
        cmocka_unit_test(test_final_is_for_ever),
        cmocka_unit_test(test_group_commit),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_close_commits),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_list_slices),
        cmocka_unit_test(test_reading_can_be_ended),
        cmocka_unit_test(test_short_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
