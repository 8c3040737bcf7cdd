/* What a slice may ask of the kernel, and why something cannot be built. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "common/outcome.h"
#include "peer/sandbox/policy.h"
#include "peer/sandbox/program.h"
#include "peer/sandbox/tier.h"

static enum policy_action decide(bool full, const char *call, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[6] = {a, b, c, 0, 0, 0};
    return policy_decide(full, call, args);
}

/* A second unconditional row would make the order of the table matter, here and in libseccomp. */
static void table_is_unambiguous(void **state)
{
    (void)state;
    for (int tier = 0; tier < 2; tier++) {
        for (size_t i = 0; i < policy_row_count; i++) {
            const struct policy_row *a = &policy_rows[i];
            for (size_t k = i + 1; k < policy_row_count; k++) {
                const struct policy_row *b = &policy_rows[k];
                enum policy_action of_a = tier == 0 ? a->full : a->reduced;
                enum policy_action of_b = tier == 0 ? b->full : b->reduced;
                if (strcmp(a->call, b->call) != 0 || of_a == POLICY_UNKNOWN ||
                    of_b == POLICY_UNKNOWN) {
                    continue;
                }
                if (a->compare == POLICY_ALWAYS || b->compare == POLICY_ALWAYS || of_a != of_b) {
                    fail_msg("%s stands twice", a->call);
                }
            }
        }
    }
}

static void denies_what_reaches_outside(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "socket",      "socketpair",     "ptrace",        "process_vm_readv", "pidfd_getfd",
        "unshare",     "setns",          "mount",         "open_tree",        "pivot_root",
        "bpf",         "io_uring_setup", "keyctl",        "add_key",          "perf_event_open",
        "userfaultfd", "memfd_create",   "shmget",        "mq_open",          "setuid",
        "mknod",       "setpriority",    "sched_setattr", "seccomp",          "init_module",
        "kexec_load",  "reboot",         "settimeofday",  "fanotify_init",    "setxattr"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (int full = 0; full < 2; full++) {
            if (decide(full == 1, calls[i], 0, 0, 0) != POLICY_DENY) {
                fail_msg("%s is not denied", calls[i]);
            }
        }
    }
}

static void allows_what_programs_need(void **state)
{
    (void)state;
    static const char *const calls[] = {"read",          "write",     "openat",     "mmap",
                                        "execve",        "futex",     "exit_group", "getrandom",
                                        "clock_gettime", "newfstatat"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (int full = 0; full < 2; full++) {
            if (decide(full == 1, calls[i], 0, 0, 0) != POLICY_ALLOW) {
                fail_msg("%s is not allowed", calls[i]);
            }
        }
    }
}

static void looks_at_arguments(void **state)
{
    (void)state;
    assert_int_equal(decide(true, "clone", SIGCHLD, 0, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "clone", CLONE_NEWUSER | SIGCHLD, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "clone", CLONE_THREAD | CLONE_NEWNS, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(false, "clone", SIGCHLD, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(false, "clone", CLONE_THREAD | CLONE_VM, 0, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "clone3", 0, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "kill", 0, 0, 0), POLICY_ALLOW);
    assert_int_equal(decide(false, "kill", 0, 0, 0), POLICY_DENY);
    assert_int_equal(decide(true, "chmod", 0, 0755, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "chmod", 0, 04755, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "chmod", 0, 02755, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "open", 0, O_RDONLY, 04755), POLICY_ALLOW);
    assert_int_equal(decide(true, "open", 0, O_CREAT, 04755), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "open", 0, O_CREAT, 0644), POLICY_ALLOW);
    assert_int_equal(decide(true, "open", 0, O_TMPFILE | O_RDWR, 04755), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "open", 0, O_TMPFILE | O_RDWR, 0644), POLICY_ALLOW);
    assert_int_equal(decide(true, "open", 0, O_DIRECTORY, 04755), POLICY_ALLOW);
    static const struct {
        uint64_t flags;
        enum policy_action action;
    } maps[] = {{MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, POLICY_ALLOW},
                {MAP_SHARED, POLICY_ALLOW},
                {MAP_SHARED | MAP_ANONYMOUS, POLICY_UNKNOWN},
                {MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, POLICY_UNKNOWN}};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        const uint64_t args[6] = {0, 4096, 0, maps[i].flags, 0, 0};
        assert_int_equal(policy_decide(true, "mmap", args), maps[i].action);
        assert_int_equal(policy_decide(false, "mmap", args), maps[i].action);
    }
    assert_int_equal(decide(true, "fcntl", 1, F_SETOWN, 1), POLICY_ALLOW);
    assert_int_equal(decide(false, "fcntl", 1, F_SETOWN, 1), POLICY_UNKNOWN);
    assert_int_equal(decide(false, "fcntl", 1, F_SETSIG, SIGKILL), POLICY_UNKNOWN);
    assert_int_equal(decide(false, "fcntl", 1, F_DUPFD_CLOEXEC, 3), POLICY_ALLOW);
    assert_int_equal(decide(true, "inotify_init1", 0, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "setsid", 0, 0, 0), POLICY_DENY);
    assert_int_equal(decide(true, "ioctl", 1, TCGETS, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "ioctl", 1, TIOCSTI, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "ioctl", 1, TCGETS | (1ULL << 32), 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "prctl", PR_SET_NAME, 0, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "prctl", PR_SET_PDEATHSIG, 0, 0), POLICY_UNKNOWN);
    assert_int_equal(decide(true, "prlimit64", 0, 0, 0), POLICY_ALLOW);
    assert_int_equal(decide(true, "prlimit64", 1, 0, 0), POLICY_UNKNOWN);
}

static void knows_programs(void **state)
{
    (void)state;
    uint8_t x86[PROGRAM_HEAD_BYTES] = "\177ELF\002\001\001";
    uint8_t other[PROGRAM_HEAD_BYTES] = "\177ELF\002\001\001";
    uint8_t half[PROGRAM_HEAD_BYTES] = "\177ELF\001\001\001";
    x86[18] = 62;
    half[18] = 62;
    other[18] = 183;
    struct pn_bytes own = {x86, sizeof x86};
    assert_int_equal(program_form_of(own, own), PROGRAM_FORM_NATIVE);
    assert_int_equal(program_form_of((struct pn_bytes){other, 64}, own), PROGRAM_FORM_FOREIGN);
    assert_int_equal(program_form_of((struct pn_bytes){half, 64}, own), PROGRAM_FORM_FOREIGN);
    assert_int_equal(program_form_of(pn_bytes_str("#!/bin/sh\n"), own), PROGRAM_FORM_SCRIPT);
    assert_int_equal(program_form_of(pn_bytes_str("echo"), own), PROGRAM_FORM_UNKNOWN);
    for (size_t n = 0; n < 20; n++) {
        uint8_t *prefix = unit_exact(x86, n);
        assert_int_equal(program_form_of((struct pn_bytes){prefix, n}, own), PROGRAM_FORM_UNKNOWN);
        free(prefix);
    }
}

static void names_the_remedy(void **state)
{
    (void)state;
    char text[TIER_REMEDY_BYTES];
    struct tier_facts f = {
        .error = EPERM, .userns_clone = -1, .apparmor_restricts = -1, .userns_max = 9};
    assert_non_null(strstr(tier_remedy(&f, text), "administrator"));
    f.container = true;
    assert_non_null(strstr(tier_remedy(&f, text), "docker run --security-opt seccomp"));
    f.apparmor_restricts = 1;
    assert_non_null(strstr(tier_remedy(&f, text), "AppArmor profile"));
    f.userns_clone = 0;
    assert_non_null(strstr(tier_remedy(&f, text), "unprivileged_userns_clone=1"));
    f.userns_max = 0;
    assert_non_null(strstr(tier_remedy(&f, text), "max_user_namespaces"));
    enum sandbox_tier tier = SANDBOX_NONE;
    assert_true(tier_parse("reduced", &tier));
    assert_int_equal(tier, SANDBOX_REDUCED);
    assert_false(tier_parse("", &tier));
}

static void says_how_it_ended(void **state)
{
    (void)state;
    static const struct {
        struct outcome outcome;
        const char *text;
    } cases[] = {
        {{OUTCOME_EXITED, 3}, "exit 3"},
        {{OUTCOME_SIGNALLED, SIGSEGV}, "killed by signal 11 SIGSEGV"},
        {{OUTCOME_SIGNALLED, 999}, "killed by signal 999"},
        {{OUTCOME_TIME, 0}, "over its wall time"},
        {{OUTCOME_TIME, 1}, "over its processor time"},
        {{OUTCOME_MEMORY, 0}, "over its memory"},
        {{OUTCOME_OUTPUT, OUTCOME_OUTPUT_MISSING}, "an output is missing"},
        {{OUTCOME_NO_START, OUTCOME_NO_START_NOT_FOUND}, "could not start: program not found"},
        {{99, 1}, "outcome class 99 code 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[OUTCOME_TEXT_BYTES];
        assert_string_equal(outcome_text(cases[i].outcome, text, sizeof text), cases[i].text);
    }
    assert_true(outcome_good(cases[0].outcome) == false);
    assert_true(outcome_machine_fault(cases[7].outcome));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_unambiguous),
        cmocka_unit_test(denies_what_reaches_outside),
        cmocka_unit_test(allows_what_programs_need),
        cmocka_unit_test(looks_at_arguments),
        cmocka_unit_test(knows_programs),
        cmocka_unit_test(names_the_remedy),
        cmocka_unit_test(says_how_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
