#include "peer/sandbox/policy.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <termios.h>

#define ALLOW(name)                                                                                \
    {                                                                                              \
        .call = (name), .full = POLICY_ALLOW, .reduced = POLICY_ALLOW                              \
    }
#define DENY(name)                                                                                 \
    {                                                                                              \
        .call = (name), .full = POLICY_DENY, .reduced = POLICY_DENY                                \
    }

/* Needs a pid namespace, or processes of its own: in tier reduced nobody but ourselves runs. */
#define ALLOW_FULL(name)                                                                           \
    {                                                                                              \
        .call = (name), .full = POLICY_ALLOW, .reduced = POLICY_DENY                               \
    }

/* In tier reduced the row does not exist, and rows with conditions stand for it. */
#define ONLY_FULL(name)                                                                            \
    {                                                                                              \
        .call = (name), .full = POLICY_ALLOW                                                       \
    }

#define IF_EQUAL(name, index, number)                                                              \
    {                                                                                              \
        .call = (name), .full = POLICY_ALLOW, .reduced = POLICY_ALLOW,                             \
        .compare = POLICY_ARG_EQUAL, .arg = (index), .value = (number)                             \
    }
#define IF_EQUAL_REDUCED(name, index, number)                                                      \
    {                                                                                              \
        .call = (name), .reduced = POLICY_ALLOW, .compare = POLICY_ARG_EQUAL, .arg = (index),      \
        .value = (number)                                                                          \
    }
#define IF_MASKED(name, index, bits, number)                                                       \
    {                                                                                              \
        .call = (name), .full = POLICY_ALLOW, .reduced = POLICY_ALLOW,                             \
        .compare = POLICY_ARG_MASKED, .arg = (index), .mask = (bits), .value = (number)            \
    }

enum {
    SET_ID_BITS = S_ISUID | S_ISGID,
    CREATES = O_CREAT | (O_TMPFILE & ~O_DIRECTORY), /* where the mode argument is one */
    /* clone3 hides its flags in memory, where no filter can see them: it answers ENOSYS, and C
     * libraries fall back to clone. */
    NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                     CLONE_NEWPID | CLONE_NEWNET,
};

const struct policy_row policy_rows[] = {
    /* files, by names that the mount namespace (or Landlock) bounds */
    ALLOW("access"),
    ALLOW("faccessat"),
    ALLOW("faccessat2"),
    ALLOW("stat"),
    ALLOW("lstat"),
    ALLOW("fstat"),
    ALLOW("newfstatat"),
    ALLOW("statx"),
    ALLOW("statfs"),
    ALLOW("fstatfs"),
    ALLOW("close"),
    ALLOW("close_range"),
    ALLOW("read"),
    ALLOW("write"),
    ALLOW("pread64"),
    ALLOW("pwrite64"),
    ALLOW("readv"),
    ALLOW("writev"),
    ALLOW("preadv"),
    ALLOW("pwritev"),
    ALLOW("preadv2"),
    ALLOW("pwritev2"),
    ALLOW("lseek"),
    ALLOW("dup"),
    ALLOW("dup2"),
    ALLOW("dup3"),
    ALLOW("pipe"),
    ALLOW("pipe2"),
    ALLOW("flock"),
    ALLOW("fsync"),
    ALLOW("fdatasync"),
    ALLOW("sync_file_range"),
    ALLOW("ftruncate"),
    ALLOW("truncate"),
    ALLOW("fallocate"),
    ALLOW("getdents"),
    ALLOW("getdents64"),
    ALLOW("getcwd"),
    ALLOW("chdir"),
    ALLOW("fchdir"),
    ALLOW("mkdir"),
    ALLOW("mkdirat"),
    ALLOW("rmdir"),
    ALLOW("unlink"),
    ALLOW("unlinkat"),
    ALLOW("rename"),
    ALLOW("renameat"),
    ALLOW("renameat2"),
    ALLOW("link"),
    ALLOW("linkat"),
    ALLOW("symlink"),
    ALLOW("symlinkat"),
    ALLOW("readlink"),
    ALLOW("readlinkat"),
    ALLOW("umask"),
    ALLOW("utime"),
    ALLOW("utimes"),
    ALLOW("utimensat"),
    ALLOW("futimesat"),
    ALLOW("sendfile"),
    ALLOW("copy_file_range"),
    ALLOW("splice"),
    ALLOW("tee"),
    ALLOW("fadvise64"),
    ALLOW("readahead"),
    ALLOW("getxattr"),
    ALLOW("lgetxattr"),
    ALLOW("fgetxattr"),
    ALLOW("listxattr"),
    ALLOW("llistxattr"),
    ALLOW("flistxattr"),
    /* waiting */
    ALLOW("poll"),
    ALLOW("ppoll"),
    ALLOW("select"),
    ALLOW("pselect6"),
    ALLOW("epoll_create"),
    ALLOW("epoll_create1"),
    ALLOW("epoll_ctl"),
    ALLOW("epoll_wait"),
    ALLOW("epoll_pwait"),
    ALLOW("epoll_pwait2"),
    ALLOW("eventfd"),
    ALLOW("eventfd2"),
    ALLOW("timerfd_create"),
    ALLOW("timerfd_settime"),
    ALLOW("timerfd_gettime"),
    ALLOW("signalfd"),
    ALLOW("signalfd4"),
    /* No inotify: its instances are counted per user, the volunteer's own programs included; and a
     * watch on /usr would tell of them. */
    /* memory */
    ALLOW("brk"),
    /* Not shared and anonymous: such pages stay when they are unmapped, as long as one of them is
     * not, and are then in no count; files in /tmp do the same and have a size. Nor huge pages,
     * which the volunteer has set aside for himself. */
    IF_MASKED("mmap", 3, MAP_HUGETLB | MAP_ANONYMOUS, 0),
    IF_MASKED("mmap", 3, MAP_HUGETLB | MAP_TYPE, MAP_PRIVATE),
    ALLOW("munmap"),
    ALLOW("mprotect"),
    ALLOW("mremap"),
    ALLOW("madvise"),
    ALLOW("mincore"),
    ALLOW("msync"),
    ALLOW("mlock"),
    ALLOW("munlock"),
    ALLOW("mlock2"),
    ALLOW("membarrier"),
    ALLOW("pkey_alloc"),
    ALLOW("pkey_free"),
    ALLOW("pkey_mprotect"),
    /* time */
    ALLOW("time"),
    ALLOW("gettimeofday"),
    ALLOW("clock_gettime"),
    ALLOW("clock_getres"),
    ALLOW("clock_nanosleep"),
    ALLOW("nanosleep"),
    ALLOW("alarm"),
    ALLOW("getitimer"),
    ALLOW("setitimer"),
    ALLOW("timer_create"),
    ALLOW("timer_settime"),
    ALLOW("timer_gettime"),
    ALLOW("timer_getoverrun"),
    ALLOW("timer_delete"),
    ALLOW("times"),
    /* signals of its own */
    ALLOW("rt_sigaction"),
    ALLOW("rt_sigprocmask"),
    ALLOW("rt_sigreturn"),
    ALLOW("rt_sigpending"),
    ALLOW("rt_sigsuspend"),
    ALLOW("rt_sigtimedwait"),
    ALLOW("sigaltstack"),
    ALLOW("pause"),
    ALLOW("restart_syscall"),
    /* threads */
    ALLOW("futex"),
    ALLOW("futex_waitv"),
    ALLOW("set_robust_list"),
    ALLOW("get_robust_list"),
    ALLOW("set_tid_address"),
    ALLOW("gettid"),
    ALLOW("rseq"),
    ALLOW("arch_prctl"),
    ALLOW("sched_yield"),
    ALLOW("sched_getaffinity"),
    ALLOW("sched_setaffinity"),
    ALLOW("sched_getparam"),
    ALLOW("sched_getscheduler"),
    ALLOW("sched_get_priority_max"),
    ALLOW("sched_get_priority_min"),
    ALLOW("sched_rr_get_interval"),
    ALLOW("sched_getattr"),
    ALLOW("getcpu"),
    /* itself */
    ALLOW("execve"),
    ALLOW("execveat"),
    ALLOW("exit"),
    ALLOW("exit_group"),
    ALLOW("getpid"),
    ALLOW("getppid"),
    ALLOW("getpgrp"),
    ALLOW("getpgid"),
    ALLOW("getsid"),
    ALLOW("setpgid"),
    ALLOW("getuid"),
    ALLOW("geteuid"),
    ALLOW("getgid"),
    ALLOW("getegid"),
    ALLOW("getresuid"),
    ALLOW("getresgid"),
    ALLOW("getgroups"),
    ALLOW("getpriority"),
    ALLOW("getrlimit"),
    ALLOW("getrusage"),
    ALLOW("wait4"),
    ALLOW("waitid"),
    ALLOW("uname"),
    ALLOW("sysinfo"),
    ALLOW("getrandom"),
    ALLOW("capget"),
    /* A mode may not set user or group on execution; where nothing is created the mode argument is
     * whatever lay in the register. */
    IF_MASKED("open", 1, CREATES, 0),
    IF_MASKED("open", 2, SET_ID_BITS, 0),
    IF_MASKED("openat", 2, CREATES, 0),
    IF_MASKED("openat", 3, SET_ID_BITS, 0),
    IF_MASKED("creat", 1, SET_ID_BITS, 0),
    IF_MASKED("chmod", 1, SET_ID_BITS, 0),
    IF_MASKED("fchmod", 1, SET_ID_BITS, 0),
    IF_MASKED("fchmodat", 2, SET_ID_BITS, 0),

    /* In tier reduced F_SETOWN and F_SETSIG would signal any process of the user. */
    ONLY_FULL("fcntl"),
    IF_EQUAL_REDUCED("fcntl", 1, F_DUPFD),
    IF_EQUAL_REDUCED("fcntl", 1, F_DUPFD_CLOEXEC),
    IF_EQUAL_REDUCED("fcntl", 1, F_GETFD),
    IF_EQUAL_REDUCED("fcntl", 1, F_SETFD),
    IF_EQUAL_REDUCED("fcntl", 1, F_GETFL),
    IF_EQUAL_REDUCED("fcntl", 1, F_SETFL),
    IF_EQUAL_REDUCED("fcntl", 1, F_GETLK),
    IF_EQUAL_REDUCED("fcntl", 1, F_SETLK),
    IF_EQUAL_REDUCED("fcntl", 1, F_SETLKW),

    /* Processes and threads: no namespaces; in tier reduced only threads, so that nothing can be
     * left behind when the one process is killed. */
    {.call = "clone",
     .full = POLICY_ALLOW,
     .compare = POLICY_ARG_MASKED,
     .mask = NEW_NAMESPACES,
     .value = 0},
    {.call = "clone",
     .reduced = POLICY_ALLOW,
     .compare = POLICY_ARG_MASKED,
     .mask = NEW_NAMESPACES | CLONE_THREAD,
     .value = CLONE_THREAD},
    ALLOW_FULL("fork"),
    ALLOW_FULL("vfork"),
    ALLOW_FULL("kill"),
    ALLOW_FULL("tkill"),
    ALLOW_FULL("tgkill"),

    /* The limits of oneself can be read, and lowered; those of others have a pid. */
    IF_EQUAL("prlimit64", 0, 0),

    /* Terminals: asking whether there is one, never pushing bytes into it (TIOCSTI). */
    IF_EQUAL("ioctl", 1, TCGETS),
    IF_EQUAL("ioctl", 1, TIOCGWINSZ),
    IF_EQUAL("ioctl", 1, TIOCGPGRP),
    IF_EQUAL("ioctl", 1, FIONREAD),
    IF_EQUAL("ioctl", 1, FIONBIO),
    IF_EQUAL("ioctl", 1, FIOCLEX),
    IF_EQUAL("ioctl", 1, FIONCLEX),

    IF_EQUAL("prctl", 0, PR_SET_NAME),
    IF_EQUAL("prctl", 0, PR_GET_NAME),
    IF_EQUAL("prctl", 0, PR_GET_DUMPABLE),
    IF_EQUAL("prctl", 0, PR_SET_NO_NEW_PRIVS),
    IF_EQUAL("prctl", 0, PR_GET_NO_NEW_PRIVS),
    IF_EQUAL("prctl", 0, PR_SET_VMA),
    IF_EQUAL("prctl", 0, PR_CAPBSET_READ),

    /* Only the question, and the default. */
    IF_EQUAL("personality", 0, 0xffffffff),
    IF_EQUAL("personality", 0, 0),

    /* network, of any family */
    DENY("socket"),
    DENY("socketpair"),
    DENY("bind"),
    DENY("connect"),
    DENY("listen"),
    DENY("accept"),
    DENY("accept4"),
    DENY("sendto"),
    DENY("recvfrom"),
    DENY("sendmsg"),
    DENY("recvmsg"),
    DENY("sendmmsg"),
    DENY("recvmmsg"),
    DENY("getsockname"),
    DENY("getpeername"),
    DENY("setsockopt"),
    DENY("getsockopt"),
    DENY("shutdown"),
    /* System V and POSIX IPC */
    DENY("shmget"),
    DENY("shmat"),
    DENY("shmctl"),
    DENY("shmdt"),
    DENY("semget"),
    DENY("semop"),
    DENY("semtimedop"),
    DENY("semctl"),
    DENY("msgget"),
    DENY("msgsnd"),
    DENY("msgrcv"),
    DENY("msgctl"),
    DENY("mq_open"),
    DENY("mq_unlink"),
    DENY("mq_timedsend"),
    DENY("mq_timedreceive"),
    DENY("mq_notify"),
    DENY("mq_getsetattr"),
    /* other processes, and their descriptors */
    DENY("ptrace"),
    DENY("process_vm_readv"),
    DENY("process_vm_writev"),
    DENY("process_madvise"),
    DENY("process_mrelease"),
    DENY("pidfd_open"),
    DENY("pidfd_getfd"),
    DENY("pidfd_send_signal"),
    DENY("kcmp"),
    DENY("rt_sigqueueinfo"),
    DENY("rt_tgsigqueueinfo"),
    DENY("migrate_pages"),
    DENY("move_pages"),
    /* namespaces and mounts */
    DENY("unshare"),
    DENY("setns"),
    DENY("mount"),
    DENY("umount2"),
    DENY("pivot_root"),
    DENY("chroot"),
    DENY("open_tree"),
    DENY("move_mount"),
    DENY("fsopen"),
    DENY("fsconfig"),
    DENY("fsmount"),
    DENY("fspick"),
    DENY("mount_setattr"),
    DENY("name_to_handle_at"),
    DENY("open_by_handle_at"),
    DENY("fanotify_init"),
    DENY("fanotify_mark"),
    DENY("quotactl"),
    DENY("quotactl_fd"),
    DENY("swapon"),
    DENY("swapoff"),
    DENY("landlock_create_ruleset"),
    DENY("landlock_add_rule"),
    DENY("landlock_restrict_self"),
    /* kernel interfaces with a history */
    DENY("io_uring_setup"),
    DENY("io_uring_enter"),
    DENY("io_uring_register"),
    DENY("io_setup"),
    DENY("io_submit"),
    DENY("io_getevents"),
    DENY("io_pgetevents"),
    DENY("io_cancel"),
    DENY("io_destroy"),
    DENY("bpf"),
    DENY("perf_event_open"),
    DENY("userfaultfd"),
    DENY("keyctl"),
    DENY("add_key"),
    DENY("request_key"),
    DENY("memfd_create"),
    DENY("memfd_secret"),
    DENY("seccomp"),
    DENY("vmsplice"),
    DENY("init_module"),
    DENY("finit_module"),
    DENY("delete_module"),
    DENY("kexec_load"),
    DENY("kexec_file_load"),
    DENY("lookup_dcookie"),
    DENY("uselib"),
    DENY("modify_ldt"),
    DENY("syslog"),
    DENY("acct"),
    DENY("reboot"),
    DENY("sethostname"),
    DENY("setdomainname"),
    DENY("iopl"),
    DENY("ioperm"),
    DENY("vhangup"),
    DENY("nfsservctl"),
    /* the clock and the machine */
    DENY("settimeofday"),
    DENY("clock_settime"),
    DENY("clock_adjtime"),
    DENY("adjtimex"),
    DENY("stime"),
    /* identities and rights */
    DENY("setuid"),
    DENY("setgid"),
    DENY("setreuid"),
    DENY("setregid"),
    DENY("setresuid"),
    DENY("setresgid"),
    DENY("setgroups"),
    DENY("setfsuid"),
    DENY("setfsgid"),
    DENY("capset"),
    DENY("chown"),
    DENY("fchown"),
    DENY("lchown"),
    DENY("fchownat"),
    DENY("mknod"),
    DENY("mknodat"),
    DENY("setxattr"),
    DENY("lsetxattr"),
    DENY("fsetxattr"),
    DENY("removexattr"),
    DENY("lremovexattr"),
    DENY("fremovexattr"),
    /* its own priority and limits are set from outside; with autogroups each session has as much
     * of the processor as any other */
    DENY("setsid"),
    DENY("setpriority"),
    DENY("nice"),
    DENY("ioprio_set"),
    DENY("sched_setscheduler"),
    DENY("sched_setparam"),
    DENY("sched_setattr"),
    DENY("setrlimit"),
    DENY("mlockall"),
    DENY("munlockall"),
    DENY("set_mempolicy"),
    DENY("mbind"),
    DENY("set_mempolicy_home_node"),
};

const size_t policy_row_count = sizeof policy_rows / sizeof policy_rows[0];

static bool row_matches(const struct policy_row *row, const uint64_t args[6])
{
    switch (row->compare) {
    case POLICY_ALWAYS:
        return true;
    case POLICY_ARG_EQUAL:
        return args[row->arg] == row->value;
    case POLICY_ARG_MASKED:
        return (args[row->arg] & row->mask) == row->value;
    }
    return false;
}

enum policy_action policy_decide(bool full, const char *call, const uint64_t args[6])
{
    for (size_t i = 0; i < policy_row_count; i++) {
        const struct policy_row *row = &policy_rows[i];
        enum policy_action action = full ? row->full : row->reduced;
        if (action != POLICY_UNKNOWN && strcmp(row->call, call) == 0 && row_matches(row, args)) {
            return action;
        }
    }
    return POLICY_UNKNOWN;
}
