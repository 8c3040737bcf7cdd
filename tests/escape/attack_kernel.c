#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- network ---- */

static bool connect_loopback(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)attack_number("ESCAPE_PORT")),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
}

/* Abstract names belong to the network namespace, not to any file system. */
static bool connect_abstract(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = attack_setting("ESCAPE_ABSTRACT");
    (void)snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "%s", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    return fd >= 0 && connect(fd, (struct sockaddr *)&to, len) == 0;
}

static bool open_socket(int family, int type)
{
    return socket(family, type | SOCK_CLOEXEC, 0) >= 0;
}

static bool open_netlink(void) { return open_socket(AF_NETLINK, SOCK_RAW); }
static bool open_udp6(void) { return open_socket(AF_INET6, SOCK_DGRAM); }

static bool open_socket_pair(void)
{
    int pair[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

/* ---- kernel interfaces ---- */

static bool new_user_namespace(void) { return unshare(CLONE_NEWUSER) == 0; }

static bool wait_zero(pid_t pid)
{
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool clone_user_namespace(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        _exit(0);
    }
    return wait_zero(pid);
}

static bool clone3_user_namespace(void)
{
    uint64_t args[11] = {CLONE_NEWUSER, 0, 0, 0, SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, args, sizeof args);
    if (pid == 0) {
        _exit(0);
    }
    return wait_zero(pid);
}

static bool make_memory_file(void) { return memfd_create("m", MFD_CLOEXEC) >= 0; }

static bool share_memory_by_key(void)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    if (id >= 0) {
        (void)shmctl(id, IPC_RMID, NULL);
    }
    return id >= 0;
}

static bool add_kernel_key(void)
{
    /* To the process's own keyring, which ends with it. */
    return syscall(SYS_add_key, "user", "preon-escape", "x", 1, -2) >= 0;
}

static bool set_up_io_uring(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    return syscall(SYS_io_uring_setup, 1, &params) >= 0;
}

static bool put_on_filter(void)
{
    /* With a bad address: EFAULT says that the call was let in. */
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_seccomp, 1, 0, NULL) != 0 &&
           errno == EFAULT;
}

static bool stop_randomising(void) { return personality(ADDR_NO_RANDOMIZE) != -1; }

static bool take_child(void (*attack)(pid_t child, bool *got))
{
    bool got = false;
    pid_t child = fork();
    if (child == 0) {
        (void)pause();
        _exit(0);
    }
    if (child < 0) {
        return false;
    }
    attack(child, &got);
    int error = errno;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    errno = error;
    return got;
}

static void read_memory(pid_t child, bool *got)
{
    static char here = 'x';
    char there = 0;
    unsigned long local[2] = {(unsigned long)&there, 1};
    unsigned long remote[2] = {(unsigned long)&here, 1};
    *got = syscall(SYS_process_vm_readv, child, local, 1, remote, 1, 0) == 1;
}

static void take_descriptor(pid_t child, bool *got)
{
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    *got = pidfd >= 0 && syscall(SYS_pidfd_getfd, pidfd, 1, 0) >= 0;
}

static void seize(pid_t child, bool *got)
{
    *got = syscall(SYS_ptrace, 0x4206, child, 0, 0) == 0; /* PTRACE_SEIZE */
}

static bool read_memory_of_child(void) { return take_child(read_memory); }
static bool take_descriptor_of_child(void) { return take_child(take_descriptor); }
static bool trace_child(void) { return take_child(seize); }

/* ---- what the kernel counts per user, or has set aside for him ---- */

/* Instances of the user: outside a daemon has the most of them, inside one would be one too many.
 */
static bool watch_files(void)
{
    int fd = inotify_init1(IN_CLOEXEC);
    return fd >= 0 && inotify_add_watch(fd, "/", IN_ACCESS | IN_OPEN) >= 0;
}

/* More than the few that a program needs; the user has tens of thousands, in all. */
static bool take_timers(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    timer_t timer;
    for (int i = 0; i < 1000; i++) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
            return false;
        }
    }
    return true;
}

/* Outside it may fail for want of such pages, after the kernel has looked for them. */
static bool take_huge_page(void)
{
    void *p = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED;
}

/* Without a call to kill: when there is something to read, the kernel signals the owner. */
static bool signal_by_pipe(void)
{
    int ends[2];
    return pipe2(ends, O_CLOEXEC) == 0 &&
           fcntl(ends[0], F_SETOWN, (int)attack_number("ESCAPE_PID")) == 0 &&
           fcntl(ends[0], F_SETSIG, SIGWINCH) == 0 &&
           fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0 && write(ends[1], "x", 1) == 1;
}

const struct attack attacks_on_kernel[] = {
    {"watch-files", watch_files},
    {"take-timers", take_timers},
    {"take-huge-page", take_huge_page},
    {"signal-by-pipe", signal_by_pipe},
    {"connect-loopback", connect_loopback},
    {"connect-abstract", connect_abstract},
    {"open-netlink", open_netlink},
    {"open-udp6", open_udp6},
    {"open-socket-pair", open_socket_pair},
    {"new-user-namespace", new_user_namespace},
    {"clone-user-namespace", clone_user_namespace},
    {"clone3-user-namespace", clone3_user_namespace},
    {"make-memory-file", make_memory_file},
    {"share-memory-by-key", share_memory_by_key},
    {"add-kernel-key", add_kernel_key},
    {"set-up-io-uring", set_up_io_uring},
    {"put-on-filter", put_on_filter},
    {"stop-randomising", stop_randomising},
    {"read-memory-of-child", read_memory_of_child},
    {"take-descriptor-of-child", take_descriptor_of_child},
    {"trace-child", trace_child},
    {NULL, NULL},
};
