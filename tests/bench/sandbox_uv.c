/*
 * bench/sandbox -- what a sandbox costs: one slice after the other, against posix_spawn and against
 * bubblewrap with equal content, in turns within one run; then as many as two and four slots do.
 *
 * The slice is the same static program everywhere; it prints the time at which its main began.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer/sandbox/collect_sys.h"
#include "peer/sandbox/sandbox_uv.h"

enum { ROUNDS = 300, MANY = 2000 };

struct series {
    const char *name;
    double whole_us[ROUNDS]; /* asked for to gone */
    double start_us[ROUNDS]; /* asked for to main */
};

struct bench {
    uv_loop_t loop;
    struct sandbox *sandbox;
    struct sandbox_order order;
    char slice_path[4096];
    int ended;
    int failed;
    int to_start;
    double began_us; /* what the slice printed */
};

static struct bench b;

static double now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static _Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench/sandbox: %s: %s\n", what, why);
    exit(1);
}

static void on_state(void *arg, const struct sandbox_state *state)
{
    (void)arg;
    (void)state;
}

static void start_one(void);

static void on_end(void *arg, const struct sandbox_result *r)
{
    (void)arg;
    b.ended++;
    if (!outcome_good(r->outcome)) {
        b.failed++;
        (void)fprintf(stderr, "bench/sandbox: %s\n", r->text);
    }
    b.began_us = r->stdout_tail.len > 0 ? strtod((const char *)r->stdout_tail.ptr, NULL) : 0;
    collect_discard(r->folder_fd);
    if (b.to_start > 0) {
        start_one();
    }
}

static void start_one(void)
{
    struct pn_err err;
    uint32_t id = 0;
    b.to_start--;
    if (sandbox_run(b.sandbox, &b.order, NULL, on_end, NULL, &id, &err) != PN_OK) {
        die("sandbox_run", err.text);
    }
}

static void run_until(int ended)
{
    while (b.ended < ended) {
        (void)uv_run(&b.loop, UV_RUN_ONCE);
    }
}

static void measure_sandbox(struct series *s, int i)
{
    double before = now_us();
    b.to_start = 1;
    start_one();
    run_until(b.ended + 1);
    s->whole_us[i] = now_us() - before;
    s->start_us[i] = b.began_us - before;
}

static void measure_spawn(struct series *s, int i, const char *const *args)
{
    extern char **environ;
    int out[2];
    char text[64] = "";
    pid_t pid = 0;
    int status = 0;
    double before = now_us();
    posix_spawn_file_actions_t actions;
    if (pipe2(out, O_CLOEXEC) != 0) {
        die("pipe", "failed");
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    if (posix_spawnp(&pid, args[0], &actions, NULL, (char *const *)args, environ) != 0) {
        die(args[0], "could not be started");
    }
    (void)close(out[1]);
    ssize_t n = read(out[0], text, sizeof text - 1);
    if (waitpid(pid, &status, 0) != pid || status != 0 || n <= 0) {
        die(args[0], "failed");
    }
    (void)close(out[0]);
    (void)posix_spawn_file_actions_destroy(&actions);
    s->whole_us[i] = now_us() - before;
    s->start_us[i] = strtod(text, NULL) - before;
}

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x;
    double c = *(const double *)y;
    return (a > c) - (a < c);
}

static double percentile(double *values, int percent)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS * percent / 100];
}

static void print(struct series *s, double spawn_p50)
{
    double p50 = percentile(s->whole_us, 50);
    printf("%-22s whole p50 %6.2f ms  p99 %6.2f ms   to main p50 %6.2f ms   %5.2f x posix_spawn\n",
           s->name, p50 / 1e3, percentile(s->whole_us, 99) / 1e3, percentile(s->start_us, 50) / 1e3,
           p50 / spawn_p50);
}

static void measure_many(int slots)
{
    double before = now_us();
    int first = b.ended;
    b.to_start = MANY;
    for (int i = 0; i < slots; i++) {
        start_one();
    }
    run_until(first + MANY);
    printf("%d at a time: %.0f slices/s\n", slots, MANY / (now_us() - before) * 1e6);
}

/* Beside this program: build/PRESET/tests/bench/. */
static void find(const char *relative, char *out, size_t out_bytes)
{
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        die("/proc/self/exe", "cannot be read");
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(out, out_bytes, "%s/%s", self, relative);
}

static void start(void)
{
    char launcher[4096];
    struct pn_err err;
    find("../../libexec/preon/launcher", launcher, sizeof launcher);
    find("sandbox_slice", b.slice_path, sizeof b.slice_path);
    const struct sandbox_options options = {.launcher_path = launcher,
                                            .tier_most = SANDBOX_FULL,
                                            .slot_count = 64,
                                            .normal_priority = true};
    (void)uv_loop_init(&b.loop);
    if (sandbox_new(&b.loop, &options, on_state, NULL, &b.sandbox, &err) != PN_OK) {
        die("sandbox_new", err.text);
    }
    while (!sandbox_state(b.sandbox)->ready) {
        (void)uv_run(&b.loop, UV_RUN_ONCE);
    }
    printf("tier %s %s\n", tier_name(sandbox_state(b.sandbox)->tier),
           sandbox_state(b.sandbox)->reason);
}

int main(void)
{
    static struct series spawn = {.name = "posix_spawn"};
    static struct series bwrap = {.name = "bubblewrap"};
    static struct series own = {.name = "sandbox, own program"};
    static struct series file = {.name = "sandbox, job's file"};
    static struct series system = {.name = "sandbox, with /usr"};
    const char *const args[] = {"slice", NULL};
    start();
    int fd = open(b.slice_path, O_RDONLY | O_CLOEXEC);
    struct sandbox_file job_file = {.name = "slice", .fd = fd, .executable = true};
    const struct sandbox_order order = {
        .slice_count = 1,
        .program = PROGRAM_OWN,
        .program_fd = fd,
        .args = args,
        .arg_count = 1,
        .limits = {.time_s = 60,
                   .cpu_s = 60,
                   .memory_bytes = 512 << 20,
                   .process_count = 64,
                   .output_bytes = 64 << 20},
    };
    struct sandbox_order with_file = order;
    with_file.program = PROGRAM_FILE;
    with_file.files = &job_file;
    with_file.file_count = 1;
    struct sandbox_order with_system = with_file;
    with_system.system = true;
    const char *const plain[] = {b.slice_path, NULL};
    const char *const wrapped[] = {"bwrap",
                                   "--unshare-all",
                                   "--die-with-parent",
                                   "--new-session",
                                   "--cap-drop",
                                   "ALL",
                                   "--tmpfs",
                                   "/",
                                   "--ro-bind",
                                   b.slice_path,
                                   "/job/slice",
                                   "--dev",
                                   "/dev",
                                   "--tmpfs",
                                   "/work",
                                   "--tmpfs",
                                   "/tmp",
                                   "--chdir",
                                   "/work",
                                   "--clearenv",
                                   "/job/slice",
                                   NULL};
    for (int i = 0; i < ROUNDS; i++) {
        measure_spawn(&spawn, i, plain);
        measure_spawn(&bwrap, i, wrapped);
        b.order = order;
        measure_sandbox(&own, i);
        b.order = with_file;
        measure_sandbox(&file, i);
        b.order = with_system;
        measure_sandbox(&system, i);
    }
    double spawn_p50 = percentile(spawn.whole_us, 50);
    print(&spawn, spawn_p50);
    print(&bwrap, spawn_p50);
    print(&own, spawn_p50);
    print(&file, spawn_p50);
    print(&system, spawn_p50);
    printf("sandbox, job's file / bubblewrap: %.2f\n",
           percentile(file.whole_us, 50) / percentile(bwrap.whole_us, 50));
    b.order = with_file;
    measure_many(1);
    measure_many(2);
    measure_many(4);
    measure_many(8);
    sandbox_close(b.sandbox);
    (void)uv_run(&b.loop, UV_RUN_DEFAULT);
    (void)close(fd);
    return b.failed == 0 ? 0 : 1;
}
