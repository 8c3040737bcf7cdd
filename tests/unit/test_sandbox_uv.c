/* The sandbox from the daemon's side: real launcher, real slices, on this machine's best tier. */
#include "unit.h"

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
#include "tests/lacks.h"

/* Ends that nobody has waited for yet: several may come in one turn of the loop. */
enum { ENDS_MAX = 8 };

struct end {
    struct outcome outcome;
    char text[192];
    char out[SANDBOX_TAIL_BYTES_MAX + 1];
    char err[SANDBOX_TAIL_BYTES_MAX + 1];
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

static void on_state(void *arg, const struct sandbox_state *state)
{
    (void)arg;
    (void)state;
}

static void on_line(void *arg, struct pn_bytes line)
{
    (void)arg;
    (void)line;
    fx.line_count++;
}

static void on_end(void *arg, const struct sandbox_result *r)
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

static void beside_build(const char *name, char *out, size_t out_bytes)
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

static void start_tier(enum sandbox_tier most, bool normal_priority)
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
    };
    assert_int_equal(sandbox_new(&fx.loop, &options, on_state, NULL, &fx.sandbox, &err), PN_OK);
    while (!sandbox_state(fx.sandbox)->ready) {
        (void)uv_run(&fx.loop, UV_RUN_ONCE);
    }
    assert_string_equal(tier_name(sandbox_state(fx.sandbox)->tier), tier_name(most));
}

static int start_full(void **state)
{
    (void)state;
    start_tier(SANDBOX_FULL, true);
    return 0;
}

static int start_reduced(void **state)
{
    (void)state;
    start_tier(SANDBOX_REDUCED, true);
    return 0;
}

static int start_light(void **state)
{
    (void)state;
    start_tier(SANDBOX_FULL, false);
    return 0;
}

static int stop(void **state)
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

static struct sandbox_order plain_order(void)
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

static void wait_end(void)
{
    while (fx.end_count == 0) {
        (void)uv_run(&fx.loop, UV_RUN_ONCE);
    }
    fx.last = fx.ends[0];
    memmove(fx.ends, fx.ends + 1, --fx.end_count * sizeof fx.ends[0]);
}

static void run(const struct sandbox_order *o)
{
    struct pn_err err = {.text = ""};
    uint32_t id = 0;
    fx.last.folder_fd = -1;
    if (sandbox_run(fx.sandbox, o, on_line, on_end, NULL, &id, &err) != PN_OK) {
        fail_msg("sandbox_run: %s", err.text);
    }
    wait_end();
}

static void run_sh(const char *script)
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

static void discard(void)
{
    collect_discard(fx.last.folder_fd);
    fx.last.folder_fd = -1;
}

static int file_with(const char *content, mode_t mode)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/file", fx.folder);
    (void)unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void runs_a_shell(void **state)
{
    (void)state;
    run_sh("echo $PREON_SLICE/$PREON_SLICES $PREON_OUT; echo oops >&2; pwd; exit 7");
    CHECK_OUTCOME(OUTCOME_EXITED, 7);
    assert_string_equal(fx.last.out, "3/8 /work\n/work\n");
    assert_string_equal(fx.last.err, "oops\n");
    assert_int_equal(fx.line_count, 2);
    discard();
}

static void gives_outputs_back(void **state)
{
    (void)state;
    static const char *const outputs[] = {"a/b.txt", "out.txt"};
    const char *const args[] = {"sh", "crunch.sh"};
    int fd = file_with("echo deep > a/b.txt; cat crunch.sh | wc -c > out.txt", 0600);
    const struct sandbox_file file = {.name = "crunch.sh", .fd = fd};
    struct sandbox_order o = plain_order();
    struct collect_output got[] = {{.name = outputs[0]}, {.name = outputs[1]}};
    struct outcome outcome;
    struct pn_err err = {.text = ""};
    char text[16] = "";
    o.args = args;
    o.arg_count = 2;
    o.files = &file;
    o.file_count = 1;
    o.outputs = outputs;
    o.output_count = 2;
    run(&o);
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    if (collect_outputs(fx.last.folder_fd, got, 2, 1 << 20, &outcome, &err) != PN_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(got[0].size, 5);
    assert_int_equal(read(got[1].fd, text, sizeof text), 3);
    assert_string_equal(text, "52\n");
    collect_close(got, 2);
    discard();
    (void)close(fd);
}

/* As a program of its own: a script by its #! line, without being executable in the store. */
static void runs_a_file(void **state)
{
    (void)state;
    const char *const args[] = {"bin/tool", "x y"};
    int fd = file_with("#!/bin/sh\necho \"$0 $1\"; ls /job/bin", 0600);
    const struct sandbox_file file = {.name = "bin/tool", .fd = fd, .executable = true};
    struct sandbox_order o = plain_order();
    o.program = PROGRAM_FILE;
    o.args = args;
    o.arg_count = 2;
    o.files = &file;
    o.file_count = 1;
    run(&o);
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    assert_string_equal(fx.last.out, "/job/bin/tool x y\ntool\n");
    discard();
    (void)close(fd);
}

/* A whole folder as /job: its files are in the working folder too, and cannot be changed. */
static void sees_a_folder(void **state)
{
    (void)state;
    static const char *const outputs[] = {"sub/out"};
    const char *const args[] = {
        "sh", "-c", "cat file sub/out; echo x > /job/file || echo held; echo y > sub/out"};
    int fd = file_with("content", 0644);
    int folder = open(fx.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct sandbox_file files[] = {{.name = "", .fd = folder, .folder = true}};
    struct sandbox_order o = plain_order();
    assert_int_equal(chmod(fx.folder, 0755), 0);
    o.args = args;
    o.arg_count = 3;
    o.files = files;
    o.file_count = 1;
    o.outputs = outputs;
    o.output_count = 1;
    run(&o);
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    assert_string_equal(fx.last.out, "contentheld\n");
    discard();
    (void)close(folder);
    (void)close(fd);
}

static void says_why_it_could_not_start(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        bool system;
        int code;
    } cases[] = {
        {"no program at all", true, OUTCOME_NO_START_NOT_EXEC},
        {"#!/bin/sh\nexit 0", false, OUTCOME_NO_START_NOT_EXEC},
        {"\177ELF\002\001\001\001\001\001\001\001\001\001\001\001\002\001\001\177....", true,
         OUTCOME_NO_START_WRONG_ARCH},
    };
    struct sandbox_order o = plain_order();
    const char *args[] = {"tool"};
    o.args = args;
    o.arg_count = 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = file_with(cases[i].content, 0755);
        const struct sandbox_file file = {.name = "tool", .fd = fd, .executable = true};
        o.program = PROGRAM_FILE;
        o.system = cases[i].system;
        o.files = &file;
        o.file_count = 1;
        run(&o);
        CHECK_OUTCOME(OUTCOME_NO_START, cases[i].code);
        discard();
        (void)close(fd);
    }
    o.program = PROGRAM_SYSTEM;
    o.system = true;
    o.files = NULL;
    o.file_count = 0;
    args[0] = "no-such-program";
    run(&o);
    CHECK_OUTCOME(OUTCOME_NO_START, OUTCOME_NO_START_NOT_FOUND);
    assert_string_equal(
        fx.last.text,
        "could not start: program not found (no-such-program: No such file or directory)");
    discard();
}

static void keeps_time(void **state)
{
    (void)state;
    const char *const args[] = {"sh", "-c", "trap '' TERM INT; echo on; while :; do sleep 9; done"};
    struct sandbox_order o = plain_order();
    o.args = args;
    o.arg_count = 3;
    o.limits.time_s = 1;
    run(&o);
    CHECK_OUTCOME(OUTCOME_TIME, 0);
    assert_true(fx.last.wall_ms >= 1000 && fx.last.wall_ms < 3000);
    discard();
    const char *const busy[] = {"sh", "-c", "while :; do :; done"};
    o.args = busy;
    o.limits.time_s = 30;
    o.limits.cpu_s = 1;
    run(&o);
    CHECK_OUTCOME(OUTCOME_TIME, 1);
    discard();
}

static void on_line_kill(void *arg, struct pn_bytes line)
{
    (void)line;
    sandbox_kill(fx.sandbox, *(uint32_t *)arg);
}

static void on_end_arg(void *arg, const struct sandbox_result *r)
{
    (void)arg;
    on_end(NULL, r);
}

static void kills(void **state)
{
    (void)state;
    const char *const args[] = {
        "sh", "-c", "trap '' TERM; (sh -c 'while :; do :; done' &) ; echo on; sleep 100"};
    struct sandbox_order o = plain_order();
    static uint32_t id;
    o.args = args;
    o.arg_count = 3;
    assert_int_equal(sandbox_run(fx.sandbox, &o, on_line_kill, on_end_arg, &id, &id, NULL), PN_OK);
    wait_end();
    CHECK_OUTCOME(OUTCOME_NO_START, OUTCOME_NO_START_KILLED);
    assert_string_equal(fx.last.out, "on\n");
    discard();
}

/*
 * On one processor with something busy in a session of its own, three busy processes together get a
 * sliver. Shares are compared, so that other load does not matter.
 */
static void leaves_the_processor_to_others(void **state)
{
    (void)state;
    const char *const args[] = {
        "taskset", "-c",
        "0",       "sh",
        "-c",      "for i in 1 2 3; do timeout 2 sh -c 'while :; do :; done' & done; wait; times"};
    struct sandbox_order o = plain_order();
    struct timespec used;
    clockid_t clock;
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    o.args = args;
    o.arg_count = 6;
    pid_t other = fork();
    if (other == 0) {
        (void)setsid();
        (void)sched_setaffinity(0, sizeof first, &first);
        for (;;) {
        }
    }
    assert_int_equal(clock_getcpuclockid(other, &clock), 0);
    run(&o);
    (void)clock_gettime(clock, &used);
    (void)kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    const char *children = strchr(fx.last.out, '\n'); /* its own times stand before theirs */
    assert_non_null(children);
    char *end = NULL;
    double slice_s = 60.0 * strtod(children, &end);
    slice_s += strtod(end + 1, NULL);
    double other_s = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    print_message("slice %.2f s, other %.2f s\n", slice_s, other_s);
    assert_true(slice_s * 4 < other_s);
    discard();
}

/* Light as they are, slices die at once: three busy ones beside something busy on each processor.
 */
static void kills_soon_on_a_busy_machine(void **state)
{
    (void)state;
    enum { OTHERS = 4, RUNS = 3, WITHIN_MS = 1000 };
    const char *const args[] = {"sh", "-c", "while :; do :; done"};
    struct sandbox_order o = plain_order();
    uint32_t ids[RUNS];
    pid_t others[OTHERS];
    o.args = args;
    o.arg_count = 3;
    for (int i = 0; i < RUNS; i++) {
        assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &ids[i], NULL), PN_OK);
    }
    for (int i = 0; i < OTHERS; i++) {
        others[i] = fork();
        if (others[i] == 0) {
            for (;;) {
            }
        }
    }
    const uint64_t settle_ns = uv_hrtime() + 300 * UINT64_C(1000000);
    while (uv_hrtime() < settle_ns) {
        (void)uv_run(&fx.loop, UV_RUN_NOWAIT);
    }
    const uint64_t before_ns = uv_hrtime();
    for (int i = 0; i < RUNS; i++) {
        sandbox_kill(fx.sandbox, ids[i]);
    }
    for (int i = 0; i < RUNS; i++) {
        wait_end();
        discard();
    }
    const uint64_t took_ms = (uv_hrtime() - before_ns) / 1000000;
    for (int i = 0; i < OTHERS; i++) {
        (void)kill(others[i], SIGKILL);
        (void)waitpid(others[i], NULL, 0);
    }
    print_message("killed within %llu ms\n", (unsigned long long)took_ms);
    assert_true(took_ms < WITHIN_MS);
}

/* All of a flood is drained up to the cap, its ends are kept, and then it is over. */
static void ends_a_flood(void **state)
{
    (void)state;
    run_sh("echo first; yes | head -c 1000000; echo last");
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    assert_memory_equal(fx.last.out, "first\n", 6);
    assert_non_null(strstr(fx.last.out, "\n[... "));
    assert_string_equal(fx.last.out + strlen(fx.last.out) - 5, "last\n");
    discard();
    run_sh("yes");
    CHECK_OUTCOME(OUTCOME_OUTPUT, OUTCOME_OUTPUT_FLOOD);
    discard();
}

static void bounds_the_folder(void **state)
{
    (void)state;
    run_sh("head -c 1500000 /dev/zero > a & head -c 1500000 /dev/zero > b & wait; "
           "cat a b | head -c 9999999 | wc -c > c; du -k . | cut -f1 | tail -1");
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    assert_true(strtol(fx.last.out, NULL, 10) <= 2048);
    discard();
    run_sh("head -c 1500000 /dev/zero | cat > a; exec head -c 1100000 /dev/zero > b");
    CHECK_OUTCOME(OUTCOME_SIGNALLED, SIGXFSZ);
    discard();
}

/* Six processes that each stay below the limit and together do not. */
static void bounds_all_memory(void **state)
{
    (void)state;
    const char *const args[] = {
        "sh", "-c",
        "for i in 1 2 3 4 5 6; do head -c 60000000 /dev/zero | tail -c 60000000 | sleep 9 & done; "
        "wait"};
    struct sandbox_order o = plain_order();
    o.args = args;
    o.arg_count = 3;
    o.limits.process_count = 64;
    run(&o);
    CHECK_OUTCOME(OUTCOME_MEMORY, 0);
    discard();
}

static void refuses_over_the_caps(void **state)
{
    (void)state;
    const char *const args[] = {"true"};
    struct sandbox_order o = plain_order();
    struct pn_err err;
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 1;
    o.limits.memory_bytes = (uint64_t)2 << 30;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_E_DENIED);
    assert_string_equal(err.text, "limits: memory = 2147483648 asked for, at most 1073741824 on "
                                  "this machine");
    assert_int_equal(sandbox_running(fx.sandbox), 0);
}

static pid_t launcher_pid(void)
{
    char path[64];
    char text[64] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    return (pid_t)strtol(text, NULL, 10);
}

/* Its group, as it sees it, is its own; the launcher has another. */
static void signals_only_itself(void **state)
{
    (void)state;
    const pid_t launcher = launcher_pid();
    run_sh("kill -9 0");
    CHECK_OUTCOME(OUTCOME_SIGNALLED, SIGKILL);
    discard();
    run_sh("set -m; sleep 9 & kill -9 -1; kill -9 -- -1; echo left");
    discard();
    run_sh("echo still here");
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    discard();
    assert_int_equal(launcher_pid(), launcher);
}

/* With the launcher dies what it ran, even what ignores every signal; a new one takes over. */
static void survives_the_launchers_death(void **state)
{
    (void)state;
    const char *const args[] = {"sh", "-c", "trap '' TERM HUP INT; while :; do sleep 9; done"};
    struct sandbox_order o = plain_order();
    struct pn_err err;
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 3;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, NULL), PN_OK);
    assert_int_equal(kill(launcher_pid(), SIGKILL), 0);
    wait_end(); /* which needs the end of file on its pipes: nobody holds them any more */
    CHECK_OUTCOME(OUTCOME_NO_START, OUTCOME_NO_START_SETUP);
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_E_BUSY);
    assert_string_equal(err.text, "sandbox: the launcher is being started");
    while (!sandbox_state(fx.sandbox)->ready) {
        (void)uv_run(&fx.loop, UV_RUN_ONCE);
    }
    run_sh("echo again");
    CHECK_OUTCOME(OUTCOME_EXITED, 0);
    discard();
}

/* More at once than the socket to the launcher holds. */
static void takes_large_orders(void **state)
{
    (void)state;
    enum { WORD = 60 * 1000 };
    char *word = malloc(WORD + 1);
    memset(word, 'w', WORD);
    word[WORD] = '\0';
    const char *const args[] = {"sh", "-c", "exit ${#1}", "sh", word, word};
    struct sandbox_order o = plain_order();
    struct pn_err err;
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 6;
    for (int i = 0; i < 4; i++) {
        if (sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err) != PN_OK) {
            fail_msg("%s", err.text);
        }
    }
    for (int i = 0; i < 4; i++) {
        wait_end();
        CHECK_OUTCOME(OUTCOME_EXITED, WORD & 0xff);
        discard();
    }
    free(word);
}

/*
 * The launcher may be waiting for us to read: an order for which it has no room waits, and our loop
 * does not. Some thousand orders to end an unknown run fill its socket.
 */
static void does_not_wait_for_the_launcher(void **state)
{
    (void)state;
    const char *const busy[] = {"sleep", "100"};
    const char *const good[] = {"sh", "-c", "exit 7"};
    struct sandbox_order o = plain_order();
    uint32_t first = 0;
    uint32_t called_off = 0;
    uint32_t last = 0;
    const pid_t launcher = launcher_pid();
    o.args = busy;
    o.arg_count = 2;
    assert_int_equal(kill(launcher, SIGSTOP), 0);
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &first, NULL), PN_OK);
    for (int i = 0; i < 10000; i++) {
        sandbox_kill(fx.sandbox, first);
    }
    const uint64_t before_ns = uv_hrtime();
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &called_off, NULL), PN_OK);
    o.args = good;
    o.arg_count = 3;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &last, NULL), PN_OK);
    assert_true(uv_hrtime() - before_ns < 500 * UINT64_C(1000000));

    sandbox_kill(fx.sandbox, called_off); /* the launcher need not even hear of it */
    wait_end();
    CHECK_OUTCOME(OUTCOME_NO_START, OUTCOME_NO_START_KILLED);
    assert_int_equal(fx.last.folder_fd, -1);
    assert_int_equal(sandbox_running(fx.sandbox), 2);

    assert_int_equal(kill(launcher, SIGCONT), 0);
    bool killed = false;
    bool ran = false;
    for (int i = 0; i < 2; i++) {
        wait_end();
        killed = killed || fx.last.outcome.code == OUTCOME_NO_START_KILLED;
        ran = ran || (fx.last.outcome.class == OUTCOME_EXITED && fx.last.outcome.code == 7);
        discard();
    }
    assert_true(killed && ran);
}

/* Its death ends what it was never told, too; and so does closing. */
static void forgets_what_waits(void **state)
{
    (void)state;
    const char *const args[] = {"sleep", "100"};
    struct sandbox_order o = plain_order();
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 2;
    for (int round = 0; round < 2; round++) {
        const pid_t launcher = launcher_pid();
        assert_int_equal(kill(launcher, SIGSTOP), 0);
        assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, NULL), PN_OK);
        for (int i = 0; i < 10000; i++) {
            sandbox_kill(fx.sandbox, id);
        }
        assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, NULL), PN_OK);
        if (round == 1) {
            break; /* stop() closes the sandbox */
        }
        assert_int_equal(kill(launcher, SIGKILL), 0);
        wait_end();
        wait_end();
        CHECK_OUTCOME(OUTCOME_NO_START, OUTCOME_NO_START_SETUP);
        while (!sandbox_state(fx.sandbox)->ready) {
            (void)uv_run(&fx.loop, UV_RUN_ONCE);
        }
    }
}

/* A closed sandbox calls nobody, whatever runs. */
static void closes_while_running(void **state)
{
    (void)state;
    const char *const args[] = {"sleep", "100"};
    struct sandbox_order o = plain_order();
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 2;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, NULL), PN_OK);
    }
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, NULL), PN_E_BUSY);
    sandbox_close(fx.sandbox);
    fx.sandbox = NULL;
    (void)uv_run(&fx.loop, UV_RUN_DEFAULT);
    assert_int_equal(fx.end_count, 0);
}

static void reduced_runs_own_programs_only(void **state)
{
    (void)state;
    const char *const args[] = {"launcher", "--probe"};
    struct sandbox_order o = plain_order();
    struct pn_err err;
    uint32_t id = 0;
    char path[2200];
    o.args = args;
    o.arg_count = 2;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_E_DENIED);
    beside_build("launcher", path, sizeof path);
    o.program_fd = open(path, O_RDONLY | O_CLOEXEC);
    o.program = PROGRAM_OWN;
    o.system = false;
    run(&o);
    CHECK_OUTCOME(OUTCOME_EXITED, 42);
    assert_string_equal(fx.last.out, "contained\n");
    discard();
    (void)close(o.program_fd);
}

int main(void)
{
#define FULL(test) cmocka_unit_test_setup_teardown(test, start_full, stop)
    const struct CMUnitTest full[] = {
        FULL(runs_a_shell),
        FULL(gives_outputs_back),
        FULL(runs_a_file),
        FULL(sees_a_folder),
        FULL(says_why_it_could_not_start),
        FULL(keeps_time),
        FULL(kills),
        cmocka_unit_test_setup_teardown(leaves_the_processor_to_others, start_light, stop),
        cmocka_unit_test_setup_teardown(kills_soon_on_a_busy_machine, start_light, stop),
        FULL(signals_only_itself),
        FULL(ends_a_flood),
        FULL(bounds_the_folder),
        FULL(bounds_all_memory),
        FULL(refuses_over_the_caps),
        FULL(survives_the_launchers_death),
        FULL(takes_large_orders),
        FULL(does_not_wait_for_the_launcher),
        FULL(forgets_what_waits),
        FULL(closes_while_running),
    };
    const struct CMUnitTest reduced[] = {
        cmocka_unit_test_setup_teardown(reduced_runs_own_programs_only, start_reduced, stop),
    };
    int failed = cmocka_run_group_tests(reduced, NULL, NULL);
    if (lacks("sandbox")) {
        return lacks_exit(failed, "tier full", "sandbox");
    }
    return failed + cmocka_run_group_tests(full, NULL, NULL);
}
