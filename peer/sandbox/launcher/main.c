/*
 * launcher -- makes sandboxes on its daemon's orders; see peer/sandbox/README.md.
 *
 *     launcher SOCKET TIER UID GID       started by sandbox_uv.c, with an empty environment
 *     launcher --probe                   run by itself, inside a sandbox
 *
 * One thread, one loop, no memory but static: forking it costs what its few pages cost.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer/sandbox/launcher/kernel.h"
#include "peer/sandbox/launcher/run.h"
#include "peer/sandbox/launcher/tiers.h"

enum { EXIT_ORDERLY = 0, EXIT_USAGE = 2, EXIT_SOCKET = 3 };

struct launcher {
    int socket;
    struct box_ways ways;
    struct runs runs;
    struct order_room room;
    uint8_t packet[ORDER_BYTES_MAX];
    struct pollfd polls[1 + 2 * RUN_MAX];
    uint32_t index[RUN_MAX];
};

static struct launcher launcher;

/* Blocks while the daemon is behind; reports are small and as many as slices. fd < 0: none. */
static void send_report(int socket, const struct report *r, int fd)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = report_write(r, bytes)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&control, 0, sizeof control);
    if (fd >= 0) {
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control.room;
    }
    if (sendmsg(socket, &msg, MSG_NOSIGNAL) < 0) {
        _exit(EXIT_SOCKET); /* the daemon is gone; what we made dies with us */
    }
}

/* Returns the packet's length, 0 when the daemon has gone, -1 for "nothing more now". */
static ssize_t receive(struct launcher *l, struct run_fds *fds)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * ORDER_FDS_MAX)];
    } control;
    struct iovec iov = {.iov_base = l->packet, .iov_len = sizeof l->packet};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof control};
    fds->count = 0;
    ssize_t n = recvmsg(l->socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            return -1;
        }
        _exit(EXIT_SOCKET);
    }
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        fds->count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds->fds, CMSG_DATA(c), fds->count * sizeof(int));
    }
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        _exit(EXIT_SOCKET); /* ours and too long: something is wrong beyond repair */
    }
    return n;
}

/* True when there may be more. */
static bool take_order(struct launcher *l)
{
    struct run_fds fds;
    struct order o;
    struct report ended;
    ssize_t n = receive(l, &fds);
    if (n < 0) {
        return false;
    }
    if (n == 0) {
        _exit(EXIT_ORDERLY);
    }
    if (order_parse((struct pn_bytes){l->packet, (size_t)n}, &l->room, &o, NULL) != PN_OK) {
        _exit(EXIT_SOCKET);
    }
    switch (o.kind) {
    case ORDER_RUN:
        if (!runs_start(&l->runs, &o, &fds, &ended)) {
            send_report(l->socket, &ended, -1);
        }
        break;
    case ORDER_KILL:
        run_fds_close(&fds);
        runs_kill(&l->runs, o.id, RUN_KILLED);
        break;
    }
    return true;
}

static void report_ended(struct launcher *l, size_t count)
{
    for (size_t i = 0; i + 1 < count; i += 2) {
        const struct pollfd *p = &l->polls[1 + i];
        struct report ended;
        int work_fd = -1;
        if ((p[0].revents | p[1].revents) != 0 &&
            runs_ready(&l->runs, l->index[i / 2], (p[1].revents & POLLIN) != 0, &ended, &work_fd)) {
            send_report(l->socket, &ended, work_fd);
            if (work_fd >= 0) {
                (void)close(work_fd);
            }
        }
    }
}

_Noreturn static void serve(struct launcher *l)
{
    for (;;) {
        size_t count = runs_poll(&l->runs, l->polls + 1, l->index);
        l->polls[0] = (struct pollfd){.fd = l->socket, .events = POLLIN};
        if (poll(l->polls, 1 + count, runs_timeout_ms(&l->runs)) < 0 && errno != EINTR) {
            _exit(EXIT_SOCKET);
        }
        runs_tick(&l->runs);
        report_ended(l, count); /* before new orders reuse the indices */
        if (l->polls[0].revents != 0) {
            while (take_order(l)) {
            }
        }
    }
}

/*
 * Root of a user namespace only, as in a container of an ordinary user: outside it is that user.
 * The map's first line is "inside outside count".
 */
static bool is_mapped_root(void)
{
    char text[128];
    char *end = NULL;
    int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    unsigned long inside = strtoul(text, &end, 10);
    return inside == 0 && end != text && strtoul(end, NULL, 10) != 0;
}

/* Jobs never run with kernel uid 0. False with *text saying why. */
static bool drop_user(uint32_t uid, uint32_t gid, char *text, size_t text_bytes)
{
    if (geteuid() != 0 && getuid() != 0) {
        return true;
    }
    if (uid == 0 || gid == 0) {
        (void)snprintf(text, text_bytes, "slices never run as root, and user 0 was asked for");
        return false;
    }
    if ((setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
         setresuid(uid, uid, uid) != 0) &&
        !is_mapped_root()) {
        (void)snprintf(text, text_bytes,
                       "slices never run as root, and becoming user %u failed: %s", uid,
                       strerror(errno));
        return false;
    }
    /* A change of user makes /proc/self root's; the user map is written there. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return true;
}

static bool prepare(struct box_ways *ways)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    ways->self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ways->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return ways->self_fd >= 0 && ways->null_fd >= 0 &&
           pread(ways->self_fd, ways->self_head, sizeof ways->self_head, 0) ==
               (ssize_t)sizeof ways->self_head;
}

static bool parse_number(const char *text, uint32_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *out = (uint32_t)value;
    return errno == 0 && end != text && *end == '\0' && value <= UINT32_MAX;
}

int main(int argc, char **argv)
{
    struct launcher *l = &launcher;
    struct report ready;
    enum sandbox_tier most = SANDBOX_NONE;
    uint32_t socket = 0;
    uint32_t uid = 0;
    uint32_t gid = 0;

    if (argc == 2 && strcmp(argv[1], TIERS_PROBE_WORD) == 0) {
        return tiers_probe_main();
    }
    if (argc != 5 || !parse_number(argv[1], &socket) || !tier_parse(argv[2], &most) ||
        !parse_number(argv[3], &uid) || !parse_number(argv[4], &gid)) {
        (void)fprintf(stderr, "launcher: makes sandboxes for a running `preon peer`, which starts "
                              "it: not a command\n");
        return EXIT_USAGE;
    }
    l->socket = (int)socket;
    l->runs.ways = &l->ways;
    /* Whatever else was inherited is a mistake of the daemon's. */
    (void)close_range((unsigned)l->socket + 1, ~0U, 0);
    if (fcntl(l->socket, F_SETFD, FD_CLOEXEC) != 0 || chdir("/") != 0) {
        return EXIT_SOCKET;
    }
    ready = (struct report){.kind = REPORT_READY};
    if (!drop_user(uid, gid, ready.ready.reason, sizeof ready.ready.reason)) {
        (void)snprintf(ready.ready.remedy, sizeof ready.ready.remedy,
                       "start the peer as an ordinary user");
    } else if (!prepare(&l->ways)) {
        (void)snprintf(ready.ready.reason, sizeof ready.ready.reason,
                       "/proc/self/exe or /dev/null: %s", strerror(errno));
        (void)snprintf(ready.ready.remedy, sizeof ready.ready.remedy,
                       "mount /proc and /dev, and let user %u read the launcher", uid);
    } else {
        uint32_t outside = (uint32_t)geteuid();
        tiers_choose(most, &l->ways, &ready);
        ready.ready.uid = outside;
    }
    int root = -1;
    if (ready.ready.tier == SANDBOX_FULL) {
        root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    } else {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no namespace hides us from a slice */
    }
    send_report(l->socket, &ready, root);
    if (root >= 0) {
        (void)close(root);
    }
    serve(l);
}
