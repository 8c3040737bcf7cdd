/*
 * ledger_fixture -- a ledger in a folder of its own, with a loop, and records that look real.
 */
#ifndef PREON_TESTS_LEDGER_FIXTURE_H
#define PREON_TESTS_LEDGER_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/master/ledger_read_sys.h"
#include "unit.h"

enum { FIXTURE_REPORTS_MAX = 20000 };

struct fixture {
    char folder[64];
    char path[96];
    uv_loop_t loop;
    struct ledger *ledger; /* NULL when closed */
    struct digest job;
    struct run run;
    /* What on_committed said. */
    uint32_t report_count;
    uint64_t report_seq[FIXTURE_REPORTS_MAX];
    enum pn_status report_status[FIXTURE_REPORTS_MAX];
    char report_text[PN_ERR_TEXT_BYTES]; /* of the last failure */
};

static inline void fixture_on_committed(void *arg, const struct digest *job, const struct run *run,
                                        uint64_t seq, enum pn_status status,
                                        const struct pn_err *err)
{
    struct fixture *f = arg;
    assert_true(digest_equal(job, &f->job));
    assert_true(run_equal(run, &f->run));
    assert_true(f->report_count < FIXTURE_REPORTS_MAX);
    assert_int_equal(status == PN_OK, err == NULL);
    if (err != NULL) {
        memcpy(f->report_text, err->text, sizeof f->report_text);
    }
    f->report_seq[f->report_count] = seq;
    f->report_status[f->report_count++] = status;
}

static inline enum pn_status fixture_open_in(struct fixture *f, const char *folder,
                                             struct pn_err *err)
{
    (void)snprintf(f->folder, sizeof f->folder, "%s", folder);
    (void)snprintf(f->path, sizeof f->path, "%s/%s", folder, LEDGER_FILE_NAME);
    memset(f->job.b, 0x1d, sizeof f->job.b);
    memset(f->run.b, 0x2e, sizeof f->run.b);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    return ledger_open(f->path, &f->loop, fixture_on_committed, f, &f->ledger, err);
}

/* A new ledger in a new folder, with one job of a million slices. */
static inline struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct pn_err err = {0};
    char folder[] = "/tmp/preon-ledger-XXXXXX";
    assert_non_null(f);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(fixture_open_in(f, folder, &err), PN_OK);
    const struct ledger_job job = {
        .job = f->job,
        .run = f->run,
        .name = "crunch",
        .slice_count = 1000000,
        .grant = pn_bytes_str("the grant's bytes"),
        .created_wall_ms = 1700000000000,
    };
    assert_int_equal(ledger_add_job(f->ledger, &job, &err), PN_OK);
    return f;
}

static inline void fixture_close(struct fixture *f)
{
    ledger_close(f->ledger);
    f->ledger = NULL;
    (void)uv_run(&f->loop, UV_RUN_DEFAULT); /* the handle goes */
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static inline enum pn_status fixture_reopen(struct fixture *f, struct pn_err *err)
{
    if (f->ledger != NULL) {
        fixture_close(f);
    }
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->report_count = 0;
    return ledger_open(f->path, &f->loop, fixture_on_committed, f, &f->ledger, err);
}

/* For a ledger that did not open: what is left is the loop and the handle that is closing. */
static inline void fixture_close_unopened(struct fixture *f)
{
    assert_null(f->ledger);
    fixture_close(f);
}

static inline int fixture_unlink(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void fixture_free(struct fixture *f)
{
    if (f->ledger != NULL) {
        fixture_close(f);
    }
    (void)nftw(f->folder, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
}

/* Runs the loop until `count` batches have been reported in all. */
static inline void fixture_wait(struct fixture *f, uint32_t count)
{
    while (f->report_count < count) {
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    assert_int_equal(f->report_count, count);
}

/* Commits one batch and waits for its report. */
static inline enum pn_status fixture_commit(struct fixture *f, const struct record *records,
                                            uint32_t count)
{
    uint32_t before = f->report_count;
    assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, before, records, count), PN_OK);
    fixture_wait(f, before + 1);
    return f->report_status[before];
}

static inline struct ledger_reader *fixture_reader(struct fixture *f)
{
    struct ledger_reader *r = NULL;
    struct pn_err err = {0};
    assert_int_equal(ledger_reader_open(f->path, &r, &err), PN_OK);
    return r;
}

/* ---- records: every field follows from slice and attempt ---- */

static inline struct digest fixture_digest(uint8_t kind, uint64_t number)
{
    struct digest d;
    memset(d.b, kind, sizeof d.b);
    memcpy(d.b, &number, sizeof number);
    return d;
}

static inline struct record fixture_vote(uint64_t slice, uint64_t attempt, uint64_t worker)
{
    struct record r = {.kind = RECORD_VOTE};
    r.vote = (struct record_vote){
        .slice = slice,
        .attempt = attempt,
        .worker = fixture_digest(1, worker),
        .own = worker == 0,
        .class = OUTCOME_EXITED,
        .code = 0,
        .outputs = fixture_digest(3, slice),
        .wall_ms = 1234,
        .cpu_ms = 1111,
        .prefix = 0xfffffffe,
        .at_wall_ms = 1700000001000 + slice,
    };
    memset(r.vote.worker_key.b, 0x77, sizeof r.vote.worker_key.b);
    memset(r.vote.signature.b, 0x88, sizeof r.vote.signature.b);
    return r;
}

static inline struct record fixture_final(uint64_t slice, uint64_t attempt)
{
    struct record r = {.kind = RECORD_FINAL};
    r.final = (struct record_final){
        .slice = slice,
        .attempt = attempt,
        .outputs = fixture_digest(3, slice),
        .class = OUTCOME_EXITED,
        .basis = BASIS_QUORUM,
        .serial = 7,
        .term = 9,
        .at_wall_ms = 1700000002000 + slice,
    };
    return r;
}

static inline struct record fixture_output(uint64_t slice, uint64_t attempt, uint32_t index,
                                           struct pn_bytes bytes)
{
    struct record r = {.kind = RECORD_OUTPUT};
    r.output = (struct record_output){
        .slice = slice,
        .attempt = attempt,
        .index = index,
        .size = bytes.len,
        .root = fixture_digest(4, index),
        .bytes = bytes,
    };
    return r;
}

#endif
