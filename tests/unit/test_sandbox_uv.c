/* The sandbox from the daemon's side: real launcher, real slices, on this machine's best tier. */
#include "tests/unit/sandbox_bed.h"

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
    assert_true(fx.last.wall_ms >= 1000 && fx.last.wall_ms < 10000);
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
    assert_true(uv_hrtime() - before_ns < 5000 * UINT64_C(1000000));

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
