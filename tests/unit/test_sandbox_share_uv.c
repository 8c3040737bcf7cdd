/* What slices leave to others: the processor, the memory, and being signalled. */
#include "tests/unit/sandbox_bed.h"

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

/*
 * Light as they are, slices die soon: three busy ones beside four busy programs. The bound is for a
 * machine that runs other tests as well.
 */
static void kills_soon_on_a_busy_machine(void **state)
{
    (void)state;
    enum { OTHERS = 4, RUNS = 3, WITHIN_MS = 2000 };
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

/*
 * What foreign programs may take together is bounded: another's end makes room. One alone is let in
 * by its caps, and our own programs weigh little.
 */
static void keeps_to_a_budget(void **state)
{
    (void)state;
    const char *const args[] = {"sleep", "100"};
    struct sandbox_order o = plain_order();
    struct pn_err err;
    uint32_t first = 0;
    uint32_t id = 0;
    o.args = args;
    o.arg_count = 2;
    o.limits.memory_bytes = 600 << 20;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &first, &err), PN_OK);
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_E_BUSY);
    assert_string_equal(err.text, "sandbox: what runs may take 602 MiB of memory; 602 more would "
                                  "be over this machine's 1100");
    o.limits.memory_bytes = 300 << 20;
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_OK);
    sandbox_kill(fx.sandbox, id);
    sandbox_kill(fx.sandbox, first);
    for (int i = 0; i < 2; i++) {
        wait_end();
        discard();
    }
    o.limits.memory_bytes = 1 << 30; /* the cap, and over the budget */
    assert_int_equal(sandbox_run(fx.sandbox, &o, NULL, on_end, NULL, &id, &err), PN_OK);
    sandbox_kill(fx.sandbox, id);
    wait_end();
    discard();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(leaves_the_processor_to_others, start_light, stop),
        cmocka_unit_test_setup_teardown(kills_soon_on_a_busy_machine, start_light, stop),
        cmocka_unit_test_setup_teardown(signals_only_itself, start_full, stop),
        cmocka_unit_test_setup_teardown(keeps_to_a_budget, start_full, stop),
    };
    if (lacks("sandbox")) {
        return lacks_exit(0, "tier full", "sandbox");
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
