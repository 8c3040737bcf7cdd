/* rights -- limits, priority, capabilities and system calls, laid down once for init and slice. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/launcher/kernel.h"

enum { IOPRIO_WHO_SELF = 1, IOPRIO_IDLE = 3 << 13, NICE_MOST = 19, SIGNALS = 128 };

struct limit_row {
    __rlimit_resource_t resource;
    uint64_t soft;
    uint64_t hard;
};

static int set_limits(const struct box_plan *plan)
{
    const struct order_limits *l = &plan->order->limits;
    const struct limit_row rows[] = {
        {RLIMIT_AS, l->memory_bytes, l->memory_bytes},
        {RLIMIT_CPU, l->cpu_s, (uint64_t)l->cpu_s + 1}, /* SIGXCPU, then SIGKILL */
        {RLIMIT_FSIZE, l->output_bytes, l->output_bytes},
        {RLIMIT_NOFILE, l->open_file_count, l->open_file_count},
        {RLIMIT_CORE, 0, 0},
        {RLIMIT_MEMLOCK, 0, 0},
        {RLIMIT_MSGQUEUE, 0, 0},
        /* Timers too: counted per user, so what a slice takes the volunteer's programs lack. */
        {RLIMIT_SIGPENDING, SIGNALS, SIGNALS},
        /* Counted per user *and* user namespace: init and the slice's processes. In tier reduced it
         * would count all the user's processes; there the filter forbids new ones. */
        {RLIMIT_NPROC, (uint64_t)l->process_count + 1, (uint64_t)l->process_count + 1},
    };
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t i = 0; i < count; i++) {
        if (rows[i].resource == RLIMIT_NPROC && plan->ways->tier != SANDBOX_FULL) {
            continue;
        }
        /* Never above what this user may have. */
        struct rlimit now;
        if (getrlimit(rows[i].resource, &now) != 0) {
            return -1;
        }
        struct rlimit want = {.rlim_cur = rows[i].soft, .rlim_max = rows[i].hard};
        want.rlim_max = want.rlim_max < now.rlim_max ? want.rlim_max : now.rlim_max;
        want.rlim_cur = want.rlim_cur < want.rlim_max ? want.rlim_cur : want.rlim_max;
        if (setrlimit(rows[i].resource, &want) != 0) {
            return -1;
        }
    }
    return 0;
}

static void lower_priority(bool low)
{
    const struct sched_param none = {0};
    if (low) {
        /* Best effort: none is a matter of safety. Not SCHED_IDLE: with a fifth of this weight
         * beside a busy program a killed slice needs seconds to give its memory back. */
        (void)sched_setscheduler(0, SCHED_BATCH, &none);
        (void)setpriority(PRIO_PROCESS, 0, NICE_MOST);
        (void)syscall(SYS_ioprio_set, IOPRIO_WHO_SELF, 0, IOPRIO_IDLE);
    }
}

static int drop_capabilities(void)
{
    /* Fails with EINVAL past the last one the kernel knows, EPERM where we never had any. */
    for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
    }
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
    return (int)syscall(SYS_capset, &head, none);
}

int rights_drop(const struct box_plan *plan, const char **what)
{
    bool full = plan->ways->tier == SANDBOX_FULL;
    *what = "host name";
    if (full && sethostname("preon", 5) != 0) {
        return -1;
    }
    *what = "limits";
    if (set_limits(plan) != 0) {
        return -1;
    }
    lower_priority(plan->order->low_priority);
    *what = "capabilities";
    if (drop_capabilities() != 0) {
        return -1;
    }
    *what = "process flags";
    /* Nobody of the same user, the slice least of all, may look into init or take its pipe. The
     * signal at the launcher's end is set again: a change of rights may clear it. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    *what = "seccomp";
    /* In tier reduced the filter forbids what init still has to do: the slice puts it on. */
    return full ? filter_install(&plan->ways->filter) : 0;
}
