/*
 * kernel -- system calls that the C library has no function for.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_KERNEL_H
#define PREON_PEER_SANDBOX_LAUNCHER_KERNEL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Like fork: returns twice, and *pidfd is the child's. Only for a process with one thread, and a
 * child that keeps to system calls and plain C (the library's idea of its own thread ID is the
 * parent's).
 */
static inline pid_t kernel_clone(uint64_t flags, int *pidfd)
{
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)pidfd,
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0 && errno == ENOSYS) {
        /* Filters of containers say so of a call whose flags they cannot see; they let this pass.
         */
        pid = (pid_t)syscall(SYS_clone, args.flags | SIGCHLD, NULL, pidfd, NULL, NULL);
    }
    return pid;
}

static inline int kernel_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

static inline int kernel_execveat(int folder_fd, const char *path, char *const *args,
                                  char *const *env, int flags)
{
    return (int)syscall(SYS_execveat, folder_fd, path, args, env, flags);
}

/* waitid on a pidfd, with what the process and its waited-for children have used. */
static inline int kernel_wait_pidfd(int pidfd, siginfo_t *info, int options, struct rusage *usage)
{
    return (int)syscall(SYS_waitid, P_PIDFD, pidfd, info, options, usage);
}

static inline int kernel_pidfd_signal(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static inline int kernel_landlock_create(const struct landlock_ruleset_attr *attr, size_t size,
                                         uint32_t flags)
{
    return (int)syscall(SYS_landlock_create_ruleset, attr, size, flags);
}

static inline int kernel_landlock_add_path(int ruleset, const struct landlock_path_beneath_attr *a)
{
    return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, a, 0);
}

static inline int kernel_landlock_restrict(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}

#endif
