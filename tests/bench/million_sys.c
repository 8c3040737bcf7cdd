/*
 * million_sys -- a million slices made final: simulated workers' encoded frames into the real core
 * of a master, its records into a real ledger through a real loop; then what a restart costs.
 *
 *     build/release/tests/bench/million_sys [FOLDER] [SLICES]      default: /tmp 1000000
 *
 * Bars: 1 ms of the master's processor time a slice, 100 MB, 2 s for the restart. The votes of the
 * first SIGNED_COUNT slices are signed and checked, which is shown by itself: signing and checking
 * a million would take minutes of a processor and say nothing more. The workers' share of the
 * process's time is measured apart and taken off. Memory is that of the whole process.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "peer/master/ledger_read_sys.h"
#include "peer/master/master.h"

enum {
    WORKERS = 64,
    SLOTS = 4,
    SIGNED_COUNT = 20000,
    QUEUE_MAX = 1 << 14, /* assignments under way: far fewer, see MASTER_PREFETCH_PER_SLOT */
    BATCHES_MAX = 2048,  /* with the ledger: the workers are faster than any disk */
};

static const double BAR_CPU_MS = 1;
static const double BAR_MEMORY_MB = 100;
static const double BAR_RESTART_S = 2;

struct assigned {
    uint32_t link; /* 1 .. WORKERS */
    uint64_t slice;
    uint64_t attempt;
};

/* Plain data of one process, which runs one job once. */
static struct bench {
    uv_loop_t loop;
    struct ledger *ledger;
    struct master *core;
    struct master_actions actions;
    struct key_pair *keys[WORKERS];
    struct public_key public[WORKERS];
    struct digest peers[WORKERS];
    struct assigned queue[QUEUE_MAX]; /* a ring */
    uint32_t first, count;
    struct buffer frame;
    struct digest job;
    struct run run;
    uint64_t last;      /* slice */
    uint64_t batch_seq; /* handed to the ledger last */
    uint64_t committed_seq;
    uint64_t workers_us; /* processor time that is the workers', not the master's */
    uint64_t final_count;
    uint64_t kept_count;
    bool ended;
} bench;

static const char *const OUTPUT_NAMES[] = {"out.txt"};

static void die(const char *what, const struct pn_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err != NULL ? err->text : "failed");
    exit(1); /* NOLINT(concurrency-mt-unsafe): nothing else runs that would mind */
}

/* --- measuring -------------------------------------------------------------------------------- */

static uint64_t cpu_us(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t master_us(void) { return cpu_us(CLOCK_PROCESS_CPUTIME_ID) - bench.workers_us; }

static double resident_mb(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static void show(const char *what, double value, const char *unit, double bar)
{
    printf("%-44s %9.3f %-2s  bar %g %s, ratio %.2f\n", what, value, unit, bar, unit, value / bar);
    (void)fflush(stdout);
}

/* --- the master's shell ----------------------------------------------------------------------- */

static void hear(uint32_t link, const struct frame *f);

static void carry_out(const struct master_action *x)
{
    struct frame f;
    size_t used;
    size_t need;
    if (x->kind == MASTER_TELL_FINAL) {
        bench.final_count++;
    } else if (x->kind == MASTER_TELL_ENDED) {
        bench.ended = true;
    } else if (x->kind == MASTER_DO_SEND) {
        if (frame_parse(master_action_frame(&bench.actions, x), FRAME_BODY_MAX, &f, &used, &need,
                        NULL) != PN_OK) {
            die("a frame of the master", NULL);
        }
        hear(x->link, &f);
    } else {
        die("the master wants what no honest worker gives cause for", NULL);
    }
}

static void step(struct master_event *ev)
{
    struct pn_err err = {0};
    ev->now_ms = clock_now_ms();
    ev->now_wall_ms = clock_wall_ms();
    if (master_step(bench.core, ev, &bench.actions, &err) != PN_OK) {
        die("master", &err);
    }
    const struct master_actions *a = &bench.actions;
    bench.batch_seq = a->record_count > 0 ? a->seq : bench.batch_seq;
    if (a->record_count > 0 && ledger_commit(bench.ledger, &bench.job, &bench.run, a->seq,
                                             a->records, (uint32_t)a->record_count) != PN_OK) {
        die("ledger_commit", NULL);
    }
    for (size_t i = 0; i < a->count; i++) {
        carry_out(&a->list[i]);
    }
}

static void on_committed(void *arg, const struct digest *job, const struct run *run, uint64_t seq,
                         enum pn_status status, const struct pn_err *err)
{
    (void)arg;
    (void)job;
    (void)run;
    if (status != PN_OK) {
        die("commit", err);
    }
    bench.committed_seq = seq;
    struct master_event ev = {.kind = MASTER_COMMITTED, .seq = seq, .status = status};
    step(&ev);
}

/* The frame that a worker has written goes to the master, parsed as from a link. */
static void deliver(uint32_t link)
{
    struct frame f;
    size_t used;
    size_t need;
    struct pn_err err = {0};
    if (frame_parse(buffer_bytes(&bench.frame), FRAME_BODY_MAX, &f, &used, &need, &err) != PN_OK) {
        die("a frame of a worker", &err);
    }
    struct master_event ev = {.kind = MASTER_FRAME,
                              .link = link,
                              .peer = bench.peers[link - 1],
                              .prefix = link,
                              .frame = &f};
    step(&ev);
    bench.frame.len = 0;
}

/* --- the workers ------------------------------------------------------------------------------ */

static void hear(uint32_t link, const struct frame *f)
{
    struct work_attempt a;
    enum work_disposition kept;
    if (f->type == FRAME_ASSIGN) {
        if (work_parse_attempt(FRAME_ASSIGN, f->body, &a, NULL) != PN_OK ||
            bench.count == QUEUE_MAX) {
            die("ASSIGN", NULL);
        }
        if (a.slice == bench.last) {
            return; /* it is still being worked on when the master is killed */
        }
        bench.queue[(bench.first + bench.count++) % QUEUE_MAX] =
            (struct assigned){link, a.slice, a.attempt};
    } else if (f->type == FRAME_VOTE) {
        if (work_parse_vote_answer(f->body, &kept, NULL) != PN_OK) {
            die("VOTE's answer", NULL);
        }
        bench.kept_count += kept == WORK_KEEP;
    }
}

static void started(const struct assigned *t)
{
    const struct work_attempt what = {bench.job, bench.run, t->slice, t->attempt, 0};
    if (work_write_attempt(FRAME_STARTED, &what, &bench.frame) != PN_OK) {
        die("STARTED", NULL);
    }
}

/* The number of the slice, as text, is its output. */
static void vote(const struct assigned *t)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%" PRIu64 "\n", t->slice);
    struct work_vote v = {.what = {bench.job, bench.run, t->slice, t->attempt, 0},
                          .class = OUTCOME_EXITED,
                          .wall_ms = 1,
                          .cpu_ms = 1,
                          .output_count = 1,
                          .has_bytes = true,
                          .bytes = {(const uint8_t *)text, (size_t)len}};
    struct digest leaf;
    v.outputs[0].size = (uint64_t)len;
    hash_leaf(v.bytes, &leaf);
    hash_root(v.outputs[0].size, &leaf, &v.outputs[0].root);
    const struct output o = {OUTPUT_NAMES[0], v.outputs[0].size, v.outputs[0].root};
    hash_outputs(v.class, v.code, &o, 1, &v.outputs_hash);
    const struct vote_claim claim = {bench.job, bench.run, t->slice, t->attempt, v.outputs_hash};
    if ((t->slice < SIGNED_COUNT &&
         claim_vote_sign(bench.keys[t->link - 1], &claim, &v.signature) != PN_OK) ||
        work_write_vote(1, &v, &bench.frame) != PN_OK) {
        die("VOTE", NULL);
    }
}

static bool check_vote(const struct public_key *key, const struct vote_claim *claim,
                       const struct signature *s)
{
    return claim->slice >= SIGNED_COUNT || claim_vote_check(key, claim, s);
}

static void say(const struct assigned *t, void (*write)(const struct assigned *t))
{
    uint64_t before = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    write(t);
    bench.workers_us += cpu_us(CLOCK_THREAD_CPUTIME_ID) - before;
    deliver(t->link);
}

static void enlist(uint32_t link)
{
    static struct work_enlist e; /* large */
    e = (struct work_enlist){
        .job = bench.job, .run = bench.run, .key = bench.public[link - 1], .slots = SLOTS};
    if (work_write_join(1, &bench.job, &bench.frame) != PN_OK) {
        die("JOIN", NULL);
    }
    deliver(link);
    if (work_write_enlist(2, &e, &bench.frame) != PN_OK) {
        die("ENLIST", NULL);
    }
    deliver(link);
}

static void make_workers(void)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        uint8_t seed[SECRET_SEED_BYTES] = {(uint8_t)i, 1};
        bench.keys[i] = key_pair_new(seed);
        if (bench.keys[i] == NULL) {
            die("out of memory", NULL);
        }
        key_pair_public(bench.keys[i], &bench.public[i]);
        public_key_peer_id(&bench.public[i], &bench.peers[i]);
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static void open_all(const char *path, uint32_t slices)
{
    static const uint8_t grant[] = {1}; /* nobody here looks into it */
    struct pn_err err = {0};
    const struct master_config c = {.job = bench.job,
                                    .run = bench.run,
                                    .serial = 1,
                                    .term = 1,
                                    .slice_count = slices,
                                    .output_names = OUTPUT_NAMES,
                                    .output_count = 1,
                                    .output_bytes_max = 1 << 20,
                                    .time_limit_s = 3600,
                                    .rule = {.quorum = 1},
                                    .stop = STOP_ALL,
                                    .welcome = {.run = bench.run, .grant = {grant, sizeof grant}},
                                    .secret = {7},
                                    .seed = 1,
                                    .check_vote = check_vote};
    (void)uv_loop_init(&bench.loop);
    master_actions_init(&bench.actions);
    buffer_init(&bench.frame, 2 * (FRAME_HEADER_BYTES + FRAME_BODY_MAX));
    if (ledger_open(path, &bench.loop, on_committed, NULL, &bench.ledger, &err) != PN_OK) {
        die("ledger_open", &err);
    }
    bench.core = master_new(&c);
    if (bench.core == NULL) {
        die("out of memory", NULL);
    }
}

static void start(void)
{
    struct master_event ev = {.kind = MASTER_START};
    step(&ev);
}

static void tick_if_due(void)
{
    if (master_deadline_ms(bench.core) <= clock_now_ms()) {
        struct master_event ev = {.kind = MASTER_TICK};
        step(&ev);
    }
}

/* Until so many are final, or the run has ended. */
static void work(uint64_t final_count)
{
    while (bench.final_count < final_count && !bench.ended) {
        while (bench.count > 0 && bench.batch_seq - bench.committed_seq < BATCHES_MAX) {
            const struct assigned t = bench.queue[bench.first];
            bench.first = (bench.first + 1) % QUEUE_MAX;
            bench.count--;
            say(&t, started);
            say(&t, vote);
        }
        (void)uv_run(&bench.loop, UV_RUN_ONCE); /* commits are reported */
        tick_if_due();
    }
}

/* In a child that ends as if it were killed, the last slice still under way. */
static int lead(const char *path, uint32_t slices)
{
    struct pn_err err = {0};
    const struct ledger_job row = {
        .job = bench.job, .run = bench.run, .name = "million", .slice_count = slices};
    make_workers();
    open_all(path, slices);
    if (ledger_add_job(bench.ledger, &row, &err) != PN_OK) {
        die("ledger_add_job", &err);
    }
    start();
    for (uint32_t link = 1; link <= WORKERS; link++) {
        enlist(link);
    }
    uint64_t cpu = master_us();
    work(SIGNED_COUNT);
    show("master's processor time a slice, signed",
         (double)(master_us() - cpu) / 1e3 / SIGNED_COUNT, "ms", BAR_CPU_MS);
    uint64_t from = bench.final_count;
    uint64_t begin = clock_now_us();
    cpu = master_us();
    work(slices - 1);
    double count = (double)(bench.final_count - from);
    double us = (double)(clock_now_us() - begin);
    show("  the same without the signature's check", (double)(master_us() - cpu) / 1e3 / count,
         "ms", BAR_CPU_MS);
    printf("%-44s %9.1f s   %.0f slices/s, workers' work included\n", "wall time of these",
           us / 1e6, count / us * 1e6);
    show("memory at most, leading", resident_mb(), "MB", BAR_MEMORY_MB);
    bool good = bench.kept_count >= bench.final_count && bench.final_count + 1 == slices;
    return good ? 0 : 1;
}

static enum pn_status on_record(void *arg, const struct record *r) { return master_replay(arg, r); }

static int restart(const char *path, uint32_t slices)
{
    struct ledger_reader *reader = NULL;
    struct pn_err err = {0};
    uint64_t begin = clock_now_us();
    open_all(path, slices);
    uint64_t opened = clock_now_us();
    if (ledger_reader_open(path, &reader, &err) != PN_OK ||
        ledger_load(reader, &bench.job, &bench.run, on_record, bench.core, &err) != PN_OK) {
        die("ledger_load", &err);
    }
    start();
    uint64_t ready = clock_now_us();
    struct master_stats stats;
    master_stats(bench.core, &stats);
    printf("%-44s %9.3f s\n", "  ledger_open, after the kill", (double)(opened - begin) / 1e6);
    printf("%-44s %9.3f s   %" PRIu64 " of %" PRIu64 " final\n", "  ledger_load, replay, start",
           (double)(ready - opened) / 1e6, stats.final_count, stats.slice_count);
    show("restart", (double)(ready - begin) / 1e6, "s", BAR_RESTART_S);
    show("memory at most, restarted", resident_mb(), "MB", BAR_MEMORY_MB);
    ledger_reader_close(reader);
    ledger_close(bench.ledger);
    (void)uv_run(&bench.loop, UV_RUN_DEFAULT);
    return stats.final_count + 1 == slices ? 0 : 1;
}

static int in_child(int (*run)(const char *path, uint32_t slices), const char *path,
                    uint32_t slices)
{
    int how = 1;
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int code = run(path, slices);
        (void)fflush(stdout);
        _exit(code);
    }
    return child > 0 && waitpid(child, &how, 0) == child ? how : 1;
}

int main(int argc, char **argv)
{
    char folder[256];
    char path[300];
    double load[3] = {0};
    uint64_t slices = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    if (slices <= SIGNED_COUNT || slices > JOB_SLICES_MAX) {
        (void)fprintf(stderr, "SLICES: %d to %d\n", SIGNED_COUNT + 1, JOB_SLICES_MAX);
        return 2;
    }
    (void)snprintf(folder, sizeof folder, "%s/preon-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    (void)snprintf(path, sizeof path, "%s/%s", folder, LEDGER_FILE_NAME);
    bench.job.b[0] = 0x33;
    bench.run.b[0] = 0x44;
    bench.last = slices - 1;
    (void)uv_loadavg(load);
    printf("%" PRIu64 " slices, %d workers of %d slots; load average %.2f\n", slices, WORKERS,
           SLOTS, load[0]);
    int how = in_child(lead, path, (uint32_t)slices);
    if (how == 0) {
        how = in_child(restart, path, (uint32_t)slices);
    }
    static const char *const suffixes[] = {"-wal", "-shm", ""};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[320];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
    return how == 0 ? 0 : 1;
}
