#include "peer/sandbox/launcher/tiers.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "peer/sandbox/launcher/kernel.h"
#include "peer/sandbox/launcher/proc.h"
#include "peer/sandbox/launcher/run.h"

static const char probe_marker[] = "contained\n";

/* The filter must be on: a socket is refused. */
int tiers_probe_main(void)
{
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM) {
        return 1;
    }
    return write(1, probe_marker, sizeof probe_marker - 1) == (ssize_t)sizeof probe_marker - 1
               ? TIERS_PROBE_EXIT
               : 2;
}

/*
 * The launcher's own namespaces: a user namespace in which it may build, a mount namespace whose
 * mounts it may copy, and one network namespace with nothing in it for all sandboxes (one each
 * would cost 0.5 ms a slice).
 */
static int enter_namespaces(const char **what)
{
    char map[48];
    unsigned uid = (unsigned)geteuid();
    unsigned gid = (unsigned)getegid();
    *what = "new user namespace";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0) {
        return -1;
    }
    *what = "user map";
    if (proc_write("/proc/self/setgroups", "deny") != 0 && errno != ENOENT) {
        return -1;
    }
    (void)snprintf(map, sizeof map, "0 %u 1", uid);
    if (proc_write("/proc/self/uid_map", map) != 0) {
        return -1;
    }
    (void)snprintf(map, sizeof map, "0 %u 1", gid);
    if (proc_write("/proc/self/gid_map", map) != 0) {
        return -1;
    }
    /* What the host mounts later appears here too (the daemon's data may lie there), not vice
     * versa.
     */
    *what = "mounts made slaves of the host's";
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

static int64_t read_number(const char *path)
{
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0) {
        return -1;
    }
    text[n] = '\0';
    return strtoll(text, NULL, 10);
}

static void explain(int error, struct report *ready)
{
    struct tier_facts facts = {
        .error = error,
        .userns_clone = (int)read_number("/proc/sys/kernel/unprivileged_userns_clone"),
        .apparmor_restricts =
            (int)read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        .userns_max = read_number("/proc/sys/user/max_user_namespaces"),
        .container = access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0,
    };
    (void)tier_remedy(&facts, ready->ready.remedy);
}

/* A folder for the probe in tier reduced; its name is gone before anything runs in it. */
static int probe_folder(void)
{
    char path[] = "/tmp/preon-probe-XXXXXX";
    if (mkdtemp(path) == NULL) {
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)rmdir(path);
    return fd;
}

static bool wait_probe(struct runs *runs, struct report *ended)
{
    struct pollfd polls[2];
    uint32_t index[1];
    int work_fd = -1;
    for (;;) {
        size_t count = runs_poll(runs, polls, index);
        if (count == 0) {
            return false;
        }
        (void)poll(polls, count, runs_timeout_ms(runs));
        runs_tick(runs);
        if (runs_ready(runs, index[0], (polls[1].revents & POLLIN) != 0, ended, &work_fd)) {
            if (work_fd >= 0) {
                (void)close(work_fd);
            }
            return true;
        }
    }
}

/* Runs this program in a sandbox of the given ways; *text says what went wrong. */
static bool probe(const struct box_ways *ways, char *text, size_t text_bytes)
{
    static struct runs runs; /* large */
    const char *const args[] = {"launcher", TIERS_PROBE_WORD, NULL};
    const char *const env[] = {NULL};
    int out[2] = {-1, -1};
    char said[sizeof probe_marker] = "";
    struct report ended = {0};
    struct order o = {
        .kind = ORDER_RUN,
        .program = ORDER_PROGRAM_OWN,
        .own_folder = ways->tier != SANDBOX_FULL,
        .limits = {.memory_bytes = 64 << 20,
                   .output_bytes = 1 << 20,
                   .tmp_bytes = 1 << 20,
                   .time_ms = 5000,
                   .cpu_s = 5,
                   .process_count = 1,
                   .inode_count = 16,
                   .open_file_count = 16},
        .args = args,
        .arg_count = 2,
        .env = env,
    };
    memset(&runs, 0, sizeof runs);
    runs.ways = ways;
    if (pipe2(out, O_CLOEXEC) != 0) {
        (void)snprintf(text, text_bytes, "pipe: %s", strerror(errno));
        return false;
    }
    struct run_fds fds = {.fds = {dup(out[1]), out[1], dup(ways->self_fd)}, .count = 3};
    if (o.own_folder) {
        fds.fds[fds.count++] = probe_folder();
    }
    bool ran = runs_start(&runs, &o, &fds, &ended) && wait_probe(&runs, &ended);
    ssize_t n = ran ? read(out[0], said, sizeof said - 1) : 0;
    (void)close(out[0]);
    struct outcome good = {OUTCOME_EXITED, TIERS_PROBE_EXIT};
    if (ran && outcome_equal(ended.ended.outcome, good) && n == (ssize_t)sizeof probe_marker - 1 &&
        strcmp(said, probe_marker) == 0) {
        return true;
    }
    char how[OUTCOME_TEXT_BYTES];
    (void)snprintf(text, text_bytes, "%s",
                   ended.ended.text[0] != '\0'
                       ? ended.ended.text
                       : outcome_text(ended.ended.outcome, how, sizeof how));
    return false;
}

static bool try_full(struct box_ways *ways, struct report *ready)
{
    const char *what = "";
    struct pn_err err = {.text = ""};
    char *reason = ready->ready.reason;
    ways->tier = SANDBOX_FULL;
    if (filter_compile(true, &ways->filter, &err) != PN_OK) {
        (void)snprintf(reason, TIER_REASON_BYTES, "%s", err.text);
        return false;
    }
    if (enter_namespaces(&what) != 0) {
        (void)snprintf(reason, TIER_REASON_BYTES, "%s: %s", what, strerror(errno));
        explain(errno, ready);
        return false;
    }
    if (!probe(ways, reason, TIER_REASON_BYTES)) {
        explain(0, ready);
        return false;
    }
    reason[0] = '\0';
    return true;
}

static bool try_reduced(struct box_ways *ways, struct report *ready)
{
    struct pn_err err = {.text = ""};
    char text[TIER_REASON_BYTES] = "";
    ways->tier = SANDBOX_REDUCED;
    if (filter_compile(false, &ways->filter, &err) == PN_OK && probe(ways, text, sizeof text)) {
        return true;
    }
    size_t used = strlen(ready->ready.reason);
    (void)snprintf(ready->ready.reason + used, sizeof ready->ready.reason - used, "%s%s",
                   used > 0 ? "; " : "", err.text[0] != '\0' ? err.text : text);
    return false;
}

void tiers_choose(enum sandbox_tier most, struct box_ways *ways, struct report *ready)
{
    *ready = (struct report){.kind = REPORT_READY};
    int version = kernel_landlock_create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    ways->landlock_version = version > 0 ? version : 0;
    if (most < SANDBOX_FULL) {
        (void)snprintf(ready->ready.reason, sizeof ready->ready.reason, "tier %s was asked for",
                       tier_name(most));
    }
    if (!(most >= SANDBOX_FULL && try_full(ways, ready)) &&
        !(most >= SANDBOX_REDUCED && try_reduced(ways, ready))) {
        ways->tier = SANDBOX_NONE;
    }
    ready->ready.tier = ways->tier;
}
