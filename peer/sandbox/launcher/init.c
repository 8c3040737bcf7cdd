/* init -- pid 1 of a sandbox: builds it, forks the slice, buries whoever dies, ends with it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/launcher/kernel.h"
#include "peer/sandbox/launcher/proc.h"

enum { INIT_FAILED = 125 };

/* Closes every descriptor but the plan's: others belong to the launcher and to other sandboxes. */
static void close_others(const struct box_plan *plan)
{
    int keep[ORDER_FILES_MAX + 6];
    size_t count = 0;
    const int singles[] = {plan->stdout_fd, plan->stderr_fd, plan->program_fd,
                           plan->work_fd,   plan->word_fd,   plan->ways->null_fd};
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        keep[count++] = singles[i];
    }
    for (uint32_t i = 0; i < plan->order->file_count; i++) {
        keep[count++] = plan->file_fds[i];
    }
    for (size_t i = 1; i < count; i++) { /* insertion: a handful, nearly sorted */
        int fd = keep[i];
        size_t at = i;
        for (; at > 0 && keep[at - 1] > fd; at--) {
            keep[at] = keep[at - 1];
        }
        keep[at] = fd;
    }
    unsigned from = 0;
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < 0) {
            continue;
        }
        unsigned fd = (unsigned)keep[i];
        if (fd > from) {
            (void)close_range(from, fd - 1, 0);
        }
        from = fd + 1;
    }
    (void)close_range(from, ~0U, 0);
}

/* init dies with the launcher, also when that happened before the kernel was told so. */
static bool parent_lives(int word_fd)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd p = {.fd = word_fd, .events = POLLOUT};
    return poll(&p, 1, 0) >= 0 && (p.revents & POLLERR) == 0;
}

/* The slice is user 1000, which outside is the launcher's user: nobody whom anything belongs to. */
static int map_user(const char **what)
{
    *what = "user map";
    if (proc_write("/proc/self/setgroups", "deny") != 0 && errno != ENOENT) {
        return -1;
    }
    if (proc_write("/proc/self/uid_map", "1000 0 1") != 0 ||
        proc_write("/proc/self/gid_map", "1000 0 1") != 0) {
        return -1;
    }
    return 0;
}

static void fail(const struct box_plan *plan, const char *what)
{
    box_say(plan->word_fd, BOX_WORD_FAILED, OUTCOME_NO_START_SETUP, what, errno);
    _exit(INIT_FAILED);
}

/*
 * Waits for the slice; whatever else it has left behind is buried on the way. In tier reduced there
 * is no pid namespace whose end would take the slice along: SIGTERM stands for it.
 */
static int wait_slice(pid_t slice)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == slice) {
            return status;
        }
        if (pid > 0) {
            continue;
        }
        if (pid < 0 && errno != EINTR) {
            _exit(INIT_FAILED);
        }
        if (sigwaitinfo(&set, NULL) == SIGTERM) {
            (void)kill(slice, SIGKILL);
        }
    }
}

void init_run(struct box_plan *plan)
{
    bool full = plan->ways->tier == SANDBOX_FULL;
    const char *what = "";
    sigset_t waited;
    sigset_t before;

    if (!parent_lives(plan->word_fd)) {
        _exit(INIT_FAILED);
    }
    close_others(plan);
    (void)setpgid(0, 0); /* the launcher's group is out of reach of kill(0) */
    (void)umask(022);
    (void)proc_write("/proc/self/oom_score_adj", "1000"); /* we go first when memory is short */
    if (full && (map_user(&what) != 0 || root_build(plan, &what) != 0)) {
        fail(plan, what);
    }
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    sigaddset(&waited, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &waited, &before);
    if (rights_drop(plan, &what) != 0) {
        fail(plan, what);
    }
    plan->init_pid = getpid();
    pid_t slice = fork();
    if (slice < 0) {
        what = "fork";
        fail(plan, what);
    }
    if (slice == 0) {
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        slice_exec(plan);
    }
    /* All but the pipe to the launcher: stdout must end with the slice. */
    (void)close_range(0, (unsigned)plan->word_fd - 1, 0);
    (void)close_range((unsigned)plan->word_fd + 1, ~0U, 0);
    int status = wait_slice(slice);
    box_say(plan->word_fd, BOX_WORD_ENDED, status, NULL, 0);
    _exit(0); /* and with pid 1 goes everybody else */
}
