/*
 * sandbox_bed -- a real launcher and real slices, for tests: start, run to the end, look at it.
 */
#ifndef PREON_TESTS_SANDBOX_BED_H
#define PREON_TESTS_SANDBOX_BED_H

#include "tests/lacks.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer/sandbox/collect_sys.h"
#include "peer/sandbox/sandbox_uv.h"
#include "peer/sandbox/tail.h"

/* Ends that nobody has waited for yet: several may come in one turn of the loop. */
enum { ENDS_MAX = 8 };

struct end {
    struct outcome outcome;
    char text[192];
    char out[TAIL_TEXT_BYTES + 1];
    char err[TAIL_TEXT_BYTES + 1];
    uint32_t wall_ms;
    int folder_fd;
};

struct fixture {
    uv_loop_t loop;
    struct sandbox *sandbox;
    struct end ends[ENDS_MAX];
    uint32_t end_count;
    struct end last; /* what wait_end has waited for */
    uint32_t line_count;
    char folder[64]; /* of files that jobs see */
};

static struct fixture fx;

static inline void on_state(void *arg, const struct sandbox_state *state)
{
    (void)arg;
    (void)state;
}

static inline void on_line(void *arg, struct pn_bytes line)
{
    (void)arg;
    (void)line;
    fx.line_count++;
}

static inline void on_end(void *arg, const struct sandbox_result *r)
{
    (void)arg;
    assert_true(fx.end_count < ENDS_MAX);
    struct end *e = &fx.ends[fx.end_count++];
    e->outcome = r->outcome;
    e->wall_ms = r->wall_ms;
    e->folder_fd = r->folder_fd;
    (void)snprintf(e->text, sizeof e->text, "%s", r->text);
    (void)snprintf(e->out, sizeof e->out, "%.*s", (int)r->stdout_tail.len, r->stdout_tail.ptr);
    (void)snprintf(e->err, sizeof e->err, "%.*s", (int)r->stderr_tail.len, r->stderr_tail.ptr);
}

static inline void beside_build(const char *name, char *out, size_t out_bytes)
{
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    for (int up = 0; up < 3; up++) { /* tests/unit/test_sandbox_uv */
        *strrchr(self, '/') = '\0';
    }
    (void)snprintf(out, out_bytes, "%s/libexec/preon/%s", self, name);
}

static inline void start_tier(enum sandbox_tier most, bool normal_priority)
{
    char launcher[2200];
    struct pn_err err;
    memset(&fx, 0, sizeof fx);
    assert_int_equal(uv_loop_init(&fx.loop), 0);
    beside_build("launcher", launcher, sizeof launcher);
    (void)snprintf(fx.folder, sizeof fx.folder, "/tmp/preon-test-XXXXXX");
    assert_non_null(mkdtemp(fx.folder));
    const struct sandbox_options options = {
        .launcher_path = launcher,
        .tier_most = most,
        .slot_count = 4,
        .normal_priority = normal_priority,
        .caps = {.memory_bytes = 1 << 30},
        .budget_bytes = (uint64_t)1100 << 20,
    };
    assert_int_equal(sandbox_new(&fx.loop, &options, on_state, NULL, &fx.sandbox, &err), PN_OK);
    while (!sandbox_state(fx.sandbox)->ready) {
        (void)uv_run(&fx.loop, UV_RUN_ONCE);
    }
    assert_string_equal(tier_name(sandbox_state(fx.sandbox)->tier), tier_name(most));
}

static inline int start_full(void **state)
{
    (void)state;
    start_tier(SANDBOX_FULL, true);
    return 0;
}

static inline int start_reduced(void **state)
{
    (void)state;
    start_tier(SANDBOX_REDUCED, true);
    return 0;
}

static inline int start_light(void **state)
{
    (void)state;
    start_tier(SANDBOX_FULL, false);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    char command[128];
    sandbox_close(fx.sandbox);
    (void)uv_run(&fx.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fx.loop), 0);
    (void)snprintf(command, sizeof command, "%s/file", fx.folder);
    (void)unlink(command);
    assert_int_equal(rmdir(fx.folder), 0);
    return 0;
}

static inline struct sandbox_order plain_order(void)
{
    return (struct sandbox_order){
        .slice = 3,
        .slice_count = 8,
        .program = PROGRAM_SYSTEM,
        .program_fd = -1,
        .system = true,
        .limits = {.time_s = 20,
                   .cpu_s = 10,
                   .memory_bytes = 256 << 20,
                   .process_count = 16,
                   .output_bytes = 1 << 20},
    };
}

static inline void wait_end(void)
{
    while (fx.end_count == 0) {
        (void)uv_run(&fx.loop, UV_RUN_ONCE);
    }
    fx.last = fx.ends[0];
    memmove(fx.ends, fx.ends + 1, --fx.end_count * sizeof fx.ends[0]);
}

static inline void run(const struct sandbox_order *o)
{
    struct pn_err err = {.text = ""};
    uint32_t id = 0;
    fx.last.folder_fd = -1;
    if (sandbox_run(fx.sandbox, o, on_line, on_end, NULL, &id, &err) != PN_OK) {
        fail_msg("sandbox_run: %s", err.text);
    }
    wait_end();
}

static inline void run_sh(const char *script)
{
    const char *const args[] = {"sh", "-c", script};
    struct sandbox_order o = plain_order();
    o.args = args;
    o.arg_count = 3;
    run(&o);
}

#define CHECK_OUTCOME(wanted_class, wanted_code)                                                   \
    do {                                                                                           \
        if (fx.last.outcome.class != (wanted_class) || fx.last.outcome.code != (wanted_code)) {    \
            fail_msg("%s; stdout: %s stderr: %s", fx.last.text, fx.last.out, fx.last.err);         \
        }                                                                                          \
    } while (0)

static inline void discard(void)
{
    collect_discard(fx.last.folder_fd);
    fx.last.folder_fd = -1;
}

static inline pid_t launcher_pid(void)
{
    char path[64];
    char text[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    return (pid_t)strtol(text, NULL, 10);
}

#endif
