#include "jobs/nonce/nonce_bench_sys.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "jobs/nonce/nonce_pick.h"
#include "jobs/nonce/nonce_search.h"

/* 1024 windows of 65,536 nonces, or more of more: as in real slices. */
enum { NONCES_AT_MOST = 1 << 30, THREADS_MAX = 1024 };

/* So many nonces are searched whatever the range has: a rate over three of them says nothing. */
static const uint64_t NONCES_AT_LEAST = UINT64_C(1) << 26;

uint64_t nonce_bench_clock(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* When a measurement ends; the clock is a system call, so it is not asked every time. */
struct meter {
    uint64_t begin;
    uint64_t end;
    double seconds;
    double hashes;
    uint32_t calls;
};

static bool on_progress(void *arg, double done)
{
    enum { CALLS_A_LOOK = 16 };
    struct meter *m = arg;
    if (++m->calls % CALLS_A_LOOK != 0) {
        return true;
    }
    m->hashes = done;
    m->end = nonce_bench_clock();
    return (double)(m->end - m->begin) < m->seconds * 1e9;
}

/* Where a puzzle's rate is measured: its range, made long enough, towards the end of all nonces. */
static struct nonce_range bench_range(const struct nonce_puzzle *p)
{
    const uint64_t max = nonce_puzzle_nonce_max(p->append);
    struct nonce_range range = p->range;
    if (range.last - range.first >= NONCES_AT_MOST) {
        range.last = range.first + NONCES_AT_MOST - 1;
    } else if (range.last - range.first < NONCES_AT_LEAST) {
        range.first = max - range.first < NONCES_AT_LEAST ? max - NONCES_AT_LEAST : range.first;
        range.last = range.first + NONCES_AT_LEAST;
    }
    return range;
}

double nonce_bench_rate(const struct nonce_puzzle *p, const struct nonce_kernel *kernel,
                        double seconds)
{
    struct nonce_report *report = malloc(sizeof *report);
    if (report == NULL) {
        return 0;
    }
    struct meter m = {.begin = nonce_bench_clock(), .seconds = seconds};
    const struct nonce_watch watch = {on_progress, &m};
    struct nonce_puzzle all = *p;
    all.goal = NONCE_ALL; /* no hit ends the search early, and next to nothing is one */
    nonce_puzzle_set_zeros(&all, 8 * NONCE_KEY_BYTES);
    enum pn_status status = nonce_search(&all, bench_range(p), kernel, &watch, report);
    free(report);
    return status == PN_OK && m.end > m.begin ? m.hashes * 1e9 / (double)(m.end - m.begin) : 0;
}

/* Nine-digit nonces behind the default block; nothing is a hit. */
static struct nonce_puzzle bench_puzzle(void)
{
    struct nonce_puzzle p = {.goal = NONCE_ALL, .range = {1000000000, 9999999999}};
    nonce_puzzle_set_block(&p, pn_bytes_str("COMSM0010cloud"));
    nonce_puzzle_set_zeros(&p, 256);
    return p;
}

struct task {
    pthread_t thread;
    const struct nonce_kernel *kernel;
    double seconds;
    double rate;
};

static void *run_task(void *arg)
{
    struct task *t = arg;
    struct nonce_puzzle p = bench_puzzle();
    t->rate = nonce_bench_rate(&p, t->kernel, t->seconds);
    return NULL;
}

static enum pn_status measure_all(const struct nonce_kernel *kernel, uint32_t threads,
                                  double seconds, double *rate, struct pn_err *err)
{
    struct task *tasks = calloc(threads, sizeof *tasks);
    uint32_t started = 0;
    enum pn_status status = PN_OK;
    if (tasks == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "bench: out of memory");
    }
    for (; started < threads && status == PN_OK; started += status == PN_OK) {
        tasks[started].kernel = kernel;
        tasks[started].seconds = seconds;
        int failed = pthread_create(&tasks[started].thread, NULL, run_task, &tasks[started]);
        if (failed != 0) {
            status = pn_fail(err, PN_E_SYSTEM, "bench: thread: %s", strerror(failed));
        }
    }
    *rate = 0;
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(tasks[i].thread, NULL);
        *rate += tasks[i].rate;
    }
    free(tasks);
    return status;
}

enum pn_status nonce_bench_run(uint32_t threads, double seconds, struct nonce_bench *out,
                               struct pn_err *err)
{
    const struct nonce_kernel *k;
    const struct nonce_kernel *wrong;
    struct nonce_bench b = {0};
    enum pn_status status = PN_OK;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    b.threads = threads > 0 ? threads : online > 0 ? (uint32_t)online : 1;
    b.threads = b.threads < THREADS_MAX ? b.threads : THREADS_MAX;
    b.chosen = nonce_pick(nonce_bench_clock, &wrong);
    for (size_t i = 0; (k = nonce_kernel_at(i)) != NULL && status == PN_OK; i++) {
        b.lines[i].kernel = k;
        b.lines[i].usable = k->words != NULL && k->usable();
        b.lines[i].right = b.lines[i].usable && nonce_pick_check(k);
        b.count = i + 1;
        if (b.lines[i].right) {
            status = measure_all(k, 1, seconds, &b.lines[i].one_thread, err);
        }
        if (b.lines[i].right && status == PN_OK) {
            status = measure_all(k, b.threads, seconds, &b.lines[i].all_threads, err);
        }
    }
    if (status == PN_OK) {
        *out = b;
    }
    return status;
}
