/*
 * ledger_sys -- what the ledger costs: commits one at a time and many at once, a job of a million
 * final slices written, then everything that a restart after kill -9 does with it.
 *
 *     build/release/tests/bench/ledger_sys [FOLDER] [SLICES]      default: /tmp 1000000
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "common/manifest.h"
#include "peer/master/ledger_read_sys.h"

enum { SINGLE_COMMITS = 500, OPEN_VOTES = 1000, IN_FLIGHT = 512 };

static const struct digest job = {{0x11}};
static const struct run run = {{0x22}};
static uint64_t reported;
static uint64_t failed;

static void on_committed(void *arg, const struct digest *j, const struct run *r, uint64_t seq,
                         enum pn_status status, const struct pn_err *err)
{
    (void)arg;
    (void)j;
    (void)r;
    (void)seq;
    reported++;
    if (status != PN_OK && failed++ == 0) {
        (void)fprintf(stderr, "%s\n", err->text);
    }
}

static void die(const struct pn_err *err)
{
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1); /* NOLINT(concurrency-mt-unsafe): nothing else runs that would mind */
}

static double cpu_ms(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static double resident_mb(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

/* One verified slice as a master would write it: a vote, a small output, the final. */
static void make_slice(struct record batch[3], uint64_t slice)
{
    static const uint8_t bytes[100] = {1, 2, 3};
    memset(batch, 0, 3 * sizeof *batch);
    batch[0].kind = RECORD_VOTE;
    batch[0].vote.slice = slice;
    batch[0].vote.attempt = slice + 1;
    batch[0].vote.worker.b[0] = (uint8_t)(slice % 50);
    memset(batch[0].vote.outputs.b, (int)(slice % 251), DIGEST_BYTES);
    batch[1].kind = RECORD_OUTPUT;
    batch[1].output.slice = slice;
    batch[1].output.attempt = slice + 1;
    batch[1].output.size = sizeof bytes;
    batch[1].output.bytes = (struct pn_bytes){bytes, sizeof bytes};
    batch[2].kind = RECORD_FINAL;
    batch[2].final.slice = slice;
    batch[2].final.attempt = slice + 1;
    batch[2].final.outputs = batch[0].vote.outputs;
    batch[2].final.basis = BASIS_QUORUM;
    batch[2].final.at_wall_ms = 1700000000000 + slice;
}

static void send_slice(struct ledger *l, uv_loop_t *loop, uint64_t slice, uint32_t records)
{
    struct record batch[3];
    make_slice(batch, slice);
    while (ledger_commit(l, &job, &run, slice, batch, records) == PN_E_FULL) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
}

/* Runs in a child that ends as if killed: without closing the ledger. */
static int write_job(const char *path, uint64_t slices)
{
    uv_loop_t loop;
    struct ledger *l = NULL;
    struct pn_err err = {0};
    struct ledger_figures figures;
    (void)uv_loop_init(&loop);
    if (ledger_open(path, &loop, on_committed, NULL, &l, &err) != PN_OK) {
        die(&err);
    }
    const struct ledger_job row = {
        .job = job, .run = run, .name = "bench", .slice_count = (uint32_t)slices};
    if (ledger_add_job(l, &row, &err) != PN_OK) {
        die(&err);
    }
    uint64_t start = clock_now_us();
    for (uint64_t i = 0; i < SINGLE_COMMITS; i++) {
        send_slice(l, &loop, i, 3);
        while (reported <= i) {
            (void)uv_run(&loop, UV_RUN_ONCE);
        }
    }
    double us = (double)(clock_now_us() - start);
    printf("one at a time    %8.2f ms from hand-over to report (group window %d ms)\n",
           us / SINGLE_COMMITS / 1e3, LEDGER_GROUP_MS);

    start = clock_now_us();
    double cpu = cpu_ms();
    for (uint64_t i = SINGLE_COMMITS; i < slices; i++) {
        send_slice(l, &loop, i, 3);
        while (i + 1 - reported > IN_FLIGHT) {
            (void)uv_run(&loop, UV_RUN_ONCE);
        }
    }
    for (uint64_t i = 0; i < OPEN_VOTES; i++) {
        send_slice(l, &loop, slices + i, 2);
    }
    while (reported < slices + OPEN_VOTES) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    us = (double)(clock_now_us() - start);
    ledger_figures(l, &figures);
    printf("%d in flight    %8.0f slices/s, %.3f ms of CPU each; %.0f batches a transaction\n",
           IN_FLIGHT, (double)slices / us * 1e6, (cpu_ms() - cpu) / (double)slices,
           (double)figures.batch_count / (double)figures.transaction_count);
    printf("writer's memory  %8.1f MB at most\n", resident_mb());
    (void)fflush(stdout);
    return failed == 0 ? 0 : 1;
}

struct totals {
    uint64_t finals;
    uint64_t others;
    uint64_t sum; /* of something in every record, so that reading it is not thought useless */
};

static enum pn_status on_record(void *arg, const struct record *r)
{
    struct totals *t = arg;
    if (r->kind == RECORD_FINAL) {
        t->finals++;
        t->sum += r->final.slice + r->final.outputs.b[0];
    } else {
        t->others++;
    }
    return PN_OK;
}

static void restart(const char *path)
{
    uv_loop_t loop;
    struct ledger *l = NULL;
    struct ledger_reader *r = NULL;
    struct totals t = {0};
    struct pn_err err = {0};
    (void)uv_loop_init(&loop);
    uint64_t start = clock_now_us();
    if (ledger_open(path, &loop, on_committed, NULL, &l, &err) != PN_OK) {
        die(&err);
    }
    uint64_t opened = clock_now_us();
    double before = resident_mb();
    if (ledger_reader_open(path, &r, &err) != PN_OK ||
        ledger_load(r, &job, &run, on_record, &t, &err) != PN_OK) {
        die(&err);
    }
    uint64_t loaded = clock_now_us();
    printf("open, unclean    %8.3f s with the check of its structure\n",
           (double)(opened - start) / 1e6);
    printf("load             %8.3f s for %" PRIu64 " finals and %" PRIu64 " others (%" PRIu64
           "); memory grew by %.1f MB\n",
           (double)(loaded - opened) / 1e6, t.finals, t.others, t.sum, resident_mb() - before);
    ledger_reader_close(r);
    ledger_close(l);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    start = clock_now_us();
    l = NULL;
    if (ledger_open(path, &loop, on_committed, NULL, &l, &err) != PN_OK) {
        die(&err);
    }
    printf("open, clean      %8.3f s\n", (double)(clock_now_us() - start) / 1e6);
    ledger_close(l);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    char folder[256];
    char path[300];
    struct stat st;
    uint64_t slices = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    if (slices <= SINGLE_COMMITS || slices > JOB_SLICES_MAX) {
        (void)fprintf(stderr, "SLICES: %d to %d\n", SINGLE_COMMITS + 1, JOB_SLICES_MAX);
        return 2;
    }
    (void)snprintf(folder, sizeof folder, "%s/preon-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, LEDGER_FILE_NAME);
    int how = 1;
    pid_t child = fork();
    if (child == 0) {
        _exit(write_job(path, slices));
    }
    if (child > 0 && waitpid(child, &how, 0) == child && how == 0 && stat(path, &st) == 0) {
        printf("file             %8.1f MB\n", (double)st.st_size / 1e6);
        restart(path);
    }
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    for (size_t i = 0; i < 3; i++) {
        char name[320];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
    return how == 0 ? 0 : 1;
}
