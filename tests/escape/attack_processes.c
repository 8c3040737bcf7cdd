#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEBIBYTE = 1 << 20 };

static bool signal_daemon(void) { return kill((pid_t)attack_number("ESCAPE_PID"), 0) == 0; }

/* Asks only whether there is anybody: nothing is sent. */
static bool signal_everybody(void) { return kill(-1, 0) == 0; }

/* With autogroups a session has a share of the processor of its own. */
static bool leave_session(void)
{
    int status = 1;
    pid_t pid = fork(); /* a group's leader may not leave; in tier reduced nobody may fork */
    if (pid <= 0) {
        bool left = setsid() >= 0;
        if (pid < 0) {
            return left;
        }
        _exit(left ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

/* Twice removed from its parent, in its own session, deaf to signals, and late. */
static bool outlive(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        return false;
    }
    if (pid == 0) {
        (void)setsid();
        if (fork() == 0) {
            const struct timespec late = {.tv_nsec = 300 * 1000 * 1000};
            for (int s = 1; s < NSIG; s++) {
                (void)signal(s, SIG_IGN);
            }
            (void)nanosleep(&late, NULL);
            printf("escaped outlive\n");
            (void)fflush(stdout);
        }
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
    _exit(0); /* what counts is what the late one prints */
}

static bool take_time(void)
{
    const struct timespec step = {.tv_nsec = 100 * 1000 * 1000};
    for (int s = 1; s < NSIG; s++) {
        (void)signal(s, SIG_IGN);
    }
    for (int i = 0; i < 25; i++) {
        (void)nanosleep(&step, NULL);
    }
    return true;
}

static bool take_processor(void)
{
    struct timespec t;
    (void)signal(SIGXCPU, SIG_IGN);
    do {
        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    } while (t.tv_sec * 10 + t.tv_nsec / 100000000 < 25);
    return true;
}

static bool touch(int flags, size_t mebibytes)
{
    char *p =
        mmap(NULL, mebibytes * MEBIBYTE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return false;
    }
    for (size_t i = 0; i < mebibytes * MEBIBYTE; i += 4096) {
        p[i] = 'x';
    }
    return true;
}

static bool take_memory(void) { return touch(MAP_PRIVATE, 300); }
static bool take_shared_memory(void) { return touch(MAP_SHARED, 300); }

/* What is unmapped of a shared mapping stays, as long as a page of it does not. */
static bool keep_shared(int fd, int flags)
{
    for (int i = 0; i < 6; i++) {
        size_t len = (size_t)64 * MEBIBYTE;
        char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
        if (p == MAP_FAILED) {
            return false;
        }
        for (size_t at = 0; at < len; at += 4096) {
            p[at] = 'x';
        }
        if (munmap(p + 4096, len - 4096) != 0) {
            return false;
        }
    }
    return true;
}

static bool keep_shared_memory(void) { return keep_shared(-1, MAP_ANONYMOUS); }

static bool keep_zero_memory(void)
{
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    return fd >= 0 && keep_shared(fd, 0);
}

/* Each one stays within what a process may have. */
static bool take_memory_together(void)
{
    int good = 0;
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            bool got = touch(MAP_PRIVATE, 100);
            (void)sleep(1);
            _exit(got ? 0 : 1);
        }
        good += pid > 0 ? 1 : 0;
    }
    int status = 0;
    while (wait(&status) > 0) {
        good -= status == 0 ? 0 : 1;
    }
    return good == 4;
}

static bool fork_many(void)
{
    int made = 0;
    for (int i = 0; i < 200; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)sleep(1);
            _exit(0);
        }
        made += pid > 0 ? 1 : 0;
    }
    int error = errno;
    while (wait(NULL) > 0) {
    }
    errno = error;
    return made == 200;
}

static void *fork_in_thread(void *good)
{
    *(bool *)good = take_memory_together();
    return NULL;
}

/* Children of a thread, which the kernel lists apart from those of the process. */
static bool take_memory_by_thread(void)
{
    pthread_t thread;
    bool good = false;
    return pthread_create(&thread, NULL, fork_in_thread, &good) == 0 &&
           pthread_join(thread, NULL) == 0 && good;
}

/* What is locked cannot be swapped out when the volunteer needs room. */
static bool lock_memory(void)
{
    static char page[4096];
    return mlock(page, sizeof page) == 0;
}

static bool raise_priority(void)
{
    errno = 0;
    return setpriority(PRIO_PROCESS, 0, 5) == 0;
}

static bool change_limit_of_another(void)
{
    struct rlimit now;
    return prlimit((pid_t)attack_number("ESCAPE_PID"), RLIMIT_CORE, NULL, &now) == 0;
}

static bool write_core(void)
{
    struct rlimit now;
    return getrlimit(RLIMIT_CORE, &now) == 0 && now.rlim_max > 0;
}

static bool flood_output(void)
{
    static char block[MEBIBYTE];
    memset(block, 'x', sizeof block);
    block[sizeof block - 1] = '\n';
    for (int i = 0; i < 80; i++) {
        for (size_t at = 0; at < sizeof block;) {
            ssize_t n = write(1, block + at, sizeof block - at);
            if (n <= 0) {
                return false;
            }
            at += (size_t)n;
        }
    }
    return true;
}

const struct attack attacks_on_processes[] = {
    {"signal-daemon", signal_daemon},
    {"signal-everybody", signal_everybody},
    {"leave-session", leave_session},
    {"outlive", outlive},
    {"take-time", take_time},
    {"take-processor", take_processor},
    {"take-memory", take_memory},
    {"take-shared-memory", take_shared_memory},
    {"take-memory-together", take_memory_together},
    {"take-memory-by-thread", take_memory_by_thread},
    {"keep-shared-memory", keep_shared_memory},
    {"keep-zero-memory", keep_zero_memory},
    {"fork-many", fork_many},
    {"raise-priority", raise_priority},
    {"change-limit-of-another", change_limit_of_another},
    {"lock-memory", lock_memory},
    {"write-core", write_core},
    {"flood-output", flood_output},
    {NULL, NULL},
};
