#include "peer/sandbox/launcher/run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "peer/sandbox/launcher/kernel.h"
#include "peer/sandbox/launcher/memory.h"
#include "peer/sandbox/launcher/mounts.h"

enum {
    SETUP_TIME_US = 30 * 1000 * 1000, /* a sandbox takes 2 ms; this is for a drowning machine */
    WATCH_US = 100 * 1000,
    WORK_SLACK_BYTES = 1 << 20, /* folders and links are the sandbox's own */
};

/* Not CLOCK_BOOTTIME: a slice should not be over its time because a laptop was closed. */
uint64_t run_now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

void run_fds_close(struct run_fds *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        close_fd(&f->fds[i]);
    }
    f->count = 0;
}

static void could_not(struct report *ended, uint32_t id, enum outcome_no_start code,
                      const char *what, int error)
{
    *ended = (struct report){.kind = REPORT_ENDED};
    ended->ended.id = id;
    ended->ended.outcome = (struct outcome){OUTCOME_NO_START, (int32_t)code};
    if (error != 0) {
        (void)snprintf(ended->ended.text, sizeof ended->ended.text, "%s: %s", what,
                       strerror(error));
    } else {
        (void)snprintf(ended->ended.text, sizeof ended->ended.text, "%s", what);
    }
}

/* The order's descriptors, by their places; see order.h. */
static void spread(const struct order *o, const struct run_fds *f, struct box_plan *plan)
{
    uint32_t at = 0;
    plan->stdout_fd = f->fds[at++];
    plan->stderr_fd = f->fds[at++];
    plan->program_fd = o->program == ORDER_PROGRAM_OWN ? f->fds[at++] : -1;
    plan->work_fd = o->own_folder ? f->fds[at++] : -1;
    for (uint32_t i = 0; i < o->file_count; i++) {
        plan->file_fds[i] = f->fds[at++];
    }
}

/*
 * Only the launcher can copy these mounts: the descriptors are of its mount namespace, init has a
 * namespace of its own. A detached copy can be attached anywhere.
 */
static bool make_mounts(struct box_plan *plan, const char **what)
{
    const struct order *o = plan->order;
    uint64_t own_inodes = 16 + 8 * ((uint64_t)o->file_count + o->output_count);
    *what = "work folder";
    plan->work_fd = mounts_tmpfs(o->limits.output_bytes + WORK_SLACK_BYTES,
                                 o->limits.inode_count + own_inodes, "0755");
    if (plan->work_fd < 0) {
        return false;
    }
    for (uint32_t i = 0; i < o->file_count; i++) {
        *what = "job file";
        int tree = mounts_clone(plan->file_fds[i], "", o->files[i].folder, MOUNTS_READ_ONLY);
        if (tree < 0) {
            return false;
        }
        (void)close(plan->file_fds[i]);
        plan->file_fds[i] = tree;
    }
    return true;
}

static struct run *free_run(struct runs *r)
{
    for (uint32_t i = 0; i < RUN_MAX; i++) {
        if (!r->all[i].used) {
            r->used_end = i + 1 > r->used_end ? i + 1 : r->used_end;
            return &r->all[i];
        }
    }
    return NULL;
}

static void fill_run(struct run *run, const struct order *o)
{
    *run = (struct run){.used = true,
                        .id = o->id,
                        .pidfd = -1,
                        .word_fd = -1,
                        .work_fd = -1,
                        .ordered_us = run_now_us(),
                        .time_ms = o->limits.time_ms,
                        .cpu_s = o->limits.cpu_s,
                        .memory_bytes = o->limits.memory_bytes,
                        .oom_kills = memory_oom_kills(),
                        .single = o->limits.process_count == 1};
    run->deadline_us = run->ordered_us + SETUP_TIME_US;
}

bool runs_start(struct runs *r, const struct order *o, struct run_fds *f, struct report *ended)
{
    static struct box_plan plan; /* large; one at a time */
    bool full = r->ways->tier == SANDBOX_FULL;
    int words[2] = {-1, -1};
    const char *what = "";
    int error = 0;
    bool started = false;
    struct run *run = free_run(r);

    plan = (struct box_plan){.ways = r->ways, .order = o, .work_fd = -1, .program_fd = -1};
    if (run == NULL || f->count != order_fd_count(o) || o->own_folder == full) {
        could_not(ended, o->id, OUTCOME_NO_START_SETUP, "order does not fit this launcher", 0);
        run_fds_close(f);
        return false;
    }
    if (!full && (o->program != ORDER_PROGRAM_OWN || o->system || o->file_count > 0)) {
        could_not(ended, o->id, OUTCOME_NO_START_TIER,
                  "without namespaces only the peer's own programs run", 0);
        run_fds_close(f);
        return false;
    }
    fill_run(run, o);
    spread(o, f, &plan);
    f->count = 0; /* from here they are the plan's */
    if (full && !make_mounts(&plan, &what)) {
        error = errno;
        goto out;
    }
    what = "pipe";
    if (pipe2(words, O_CLOEXEC | O_NONBLOCK) != 0) {
        error = errno;
        goto out;
    }
    plan.word_fd = words[1];
    what = "new namespaces";
    if (!box_start(&plan, &run->pid, &run->pidfd, &error)) {
        goto out;
    }
    started = true;
    run->word_fd = words[0];
    words[0] = -1;
    if (full) {
        run->work_fd = plan.work_fd;
        plan.work_fd = -1;
    }
    r->count++;
out:
    close_fd(&words[0]);
    close_fd(&words[1]);
    close_fd(&plan.stdout_fd);
    close_fd(&plan.stderr_fd);
    close_fd(&plan.program_fd);
    close_fd(&plan.work_fd);
    for (uint32_t i = 0; i < o->file_count; i++) {
        close_fd(&plan.file_fds[i]);
    }
    if (!started) {
        run->used = false;
        could_not(ended, o->id, OUTCOME_NO_START_SETUP, what, error);
    }
    return started;
}

static void end_run(const struct runs *r, struct run *run, enum run_cause cause)
{
    if (run->cause == RUN_BY_ITSELF) {
        run->cause = cause;
    }
    /* The end of pid 1 is the end of its namespace; without one, init ends its only child. */
    (void)kernel_pidfd_signal(run->pidfd, r->ways->tier == SANDBOX_FULL ? SIGKILL : SIGTERM);
}

void runs_kill(struct runs *r, uint32_t id, enum run_cause cause)
{
    for (uint32_t i = 0; i < r->used_end; i++) {
        if (r->all[i].used && r->all[i].id == id) {
            end_run(r, &r->all[i], cause);
        }
    }
}

size_t runs_poll(const struct runs *r, struct pollfd *out, uint32_t *index)
{
    size_t count = 0;
    for (uint32_t i = 0; i < r->used_end; i++) {
        if (r->all[i].used) {
            index[count / 2] = i;
            out[count++] = (struct pollfd){.fd = r->all[i].word_fd, .events = POLLIN};
            out[count++] = (struct pollfd){.fd = r->all[i].pidfd, .events = POLLIN};
        }
    }
    return count;
}

int runs_timeout_ms(const struct runs *r)
{
    uint64_t now = run_now_us();
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < r->used_end; i++) {
        const struct run *run = &r->all[i];
        if (!run->used) {
            continue;
        }
        next = run->deadline_us < next ? run->deadline_us : next;
        if (!run->single && run->started_us != 0 && r->watch_us < next) {
            next = r->watch_us;
        }
    }
    if (next == UINT64_MAX) {
        return -1;
    }
    uint64_t ms = next <= now ? 0 : (next - now) / 1000 + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/*
 * In turns: a run that takes long to look at puts the others off, and does not have them judged in
 * haste. At most a tenth of our time goes into it, however long it takes.
 */
static void watch_memory(struct runs *r)
{
    const uint64_t began = run_now_us();
    uint64_t now = began;
    for (uint32_t k = 0; k < r->used_end && now - began < MEMORY_LOOK_US; k++) {
        r->watch_index = (r->watch_index + 1) % r->used_end;
        struct run *run = &r->all[r->watch_index];
        if (run->used && !run->single && run->started_us != 0 &&
            memory_of_tree(run->pid, run->memory_bytes) > run->memory_bytes) {
            end_run(r, run, RUN_OVER_MEMORY);
        }
        now = run_now_us();
    }
    r->watch_us = now + (WATCH_US > 10 * (now - began) ? WATCH_US : 10 * (now - began));
}

void runs_tick(struct runs *r)
{
    uint64_t now = run_now_us();
    for (uint32_t i = 0; i < r->used_end; i++) {
        struct run *run = &r->all[i];
        if (run->used && now >= run->deadline_us) {
            end_run(r, run, RUN_OVER_TIME);
            run->deadline_us = now + WATCH_US; /* again, should the kernel be slow to follow */
        }
    }
    if (now >= r->watch_us) {
        watch_memory(r);
    }
}

static void read_words(struct run *run)
{
    struct box_word word;
    ssize_t n;
    while ((n = read(run->word_fd, &word, sizeof word)) == (ssize_t)sizeof word) {
        word.text[sizeof word.text - 1] = '\0';
        if (word.kind == BOX_WORD_EXEC) {
            run->started_us = run_now_us();
            run->deadline_us = run->started_us + (uint64_t)run->time_ms * 1000;
        } else if (!run->has_word) {
            run->has_word = true;
            run->last = word;
        }
    }
    if (n == 0) { /* init has ended; until its namespaces are gone poll would return at once */
        close_fd(&run->word_fd);
    }
}

static struct outcome outcome_of_status(const struct run *run, int status, uint64_t cpu_ms)
{
    if (WIFEXITED(status)) {
        return (struct outcome){OUTCOME_EXITED, WEXITSTATUS(status)};
    }
    int signal = WTERMSIG(status);
    if (signal == SIGXCPU || (signal == SIGKILL && cpu_ms >= (uint64_t)run->cpu_s * 1000)) {
        return (struct outcome){OUTCOME_TIME, 1};
    }
    return (struct outcome){OUTCOME_SIGNALLED, signal};
}

/* The slice was killed, by nobody here: it is no crash of the job's when the machine needed room.
 */
static bool out_of_memory(const struct run *run)
{
    return run->last.kind == BOX_WORD_ENDED && WIFSIGNALED(run->last.code) &&
           WTERMSIG(run->last.code) == SIGKILL && memory_oom_kills() != run->oom_kills;
}

static struct outcome outcome_of(const struct run *run, uint64_t cpu_ms, char *text,
                                 size_t text_bytes)
{
    if (run->cause == RUN_KILLED && !run->has_word) {
        return (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_KILLED};
    }
    if (run->has_word && run->last.kind == BOX_WORD_FAILED) {
        (void)snprintf(text, text_bytes, "%s", run->last.text);
        return (struct outcome){OUTCOME_NO_START, run->last.code};
    }
    /* In tier reduced init reports the death that we caused: the cause is what counts then. */
    bool killed = run->has_word && WIFSIGNALED(run->last.code) && run->cause != RUN_BY_ITSELF;
    if (run->has_word && !killed) {
        struct outcome o = outcome_of_status(run, run->last.code, cpu_ms);
        if (o.class == OUTCOME_SIGNALLED && out_of_memory(run)) {
            (void)snprintf(text, text_bytes, "the machine was out of memory");
            return (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_SETUP};
        }
        return o;
    }
    switch (run->cause) {
    case RUN_KILLED:
        return (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_KILLED};
    case RUN_OVER_MEMORY:
        return (struct outcome){OUTCOME_MEMORY, 0};
    case RUN_OVER_TIME:
        if (run->started_us != 0) {
            return (struct outcome){OUTCOME_TIME, 0};
        }
        (void)snprintf(text, text_bytes, "the sandbox was not ready within 30 s");
        return (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_SETUP};
    case RUN_BY_ITSELF:
        break;
    }
    (void)snprintf(text, text_bytes,
                   "the sandbox's init was killed (is the machine out of memory?)");
    return (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_SETUP};
}

static uint64_t ms_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

bool runs_ready(struct runs *r, uint32_t index, bool dead, struct report *ended, int *work_fd)
{
    struct run *run = &r->all[index];
    siginfo_t info;
    struct rusage usage;

    read_words(run);
    if (!dead) {
        return false;
    }
    memset(&info, 0, sizeof info);
    if (kernel_wait_pidfd(run->pidfd, &info, WEXITED | WNOHANG, &usage) != 0 || info.si_pid == 0) {
        return false;
    }
    uint64_t now = run_now_us();
    uint64_t cpu_ms = ms_of(usage.ru_utime) + ms_of(usage.ru_stime);
    *ended = (struct report){.kind = REPORT_ENDED};
    ended->ended.id = run->id;
    ended->ended.outcome = outcome_of(run, cpu_ms, ended->ended.text, sizeof ended->ended.text);
    ended->ended.cpu_ms = (uint32_t)cpu_ms;
    ended->ended.peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
    if (run->started_us != 0) {
        ended->ended.wall_ms = (uint32_t)((now - run->started_us) / 1000);
        ended->ended.setup_us = (uint32_t)(run->started_us - run->ordered_us);
    }
    *work_fd = run->work_fd;
    ended->ended.folder = run->work_fd >= 0;
    close_fd(&run->pidfd);
    close_fd(&run->word_fd);
    run->used = false;
    r->count--;
    while (r->used_end > 0 && !r->all[r->used_end - 1].used) {
        r->used_end--;
    }
    return true;
}
