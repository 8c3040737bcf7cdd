#include "peer/sandbox/collect_sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HOLE_BYTES_MAX = 16 * 1024 * 1024, STAT_BLOCK = 512 };

static int open_beneath(int folder_fd, const char *name)
{
    const struct open_how how = {
        /* A fifo must not make us wait for its other end; it is refused below. */
        .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, folder_fd, name, &how, sizeof how);
}

static enum pn_status refuse(struct outcome *outcome, enum outcome_output code,
                             enum pn_status status, struct pn_err *err, const char *name,
                             const char *why)
{
    *outcome = (struct outcome){OUTCOME_OUTPUT, (int32_t)code};
    return pn_fail(err, status, "output %.120s: %s", name, why);
}

static enum pn_status refuse_open(struct outcome *outcome, struct pn_err *err, const char *name,
                                  int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return refuse(outcome, OUTCOME_OUTPUT_MISSING, PN_E_MISMATCH, err, name, "is missing");
    case ELOOP:
    case EXDEV:
        return refuse(outcome, OUTCOME_OUTPUT_KIND, PN_E_MISMATCH, err, name,
                      "is reached by a link or lies elsewhere");
    case EACCES:
    case EPERM:
    case ENXIO: /* a socket, or a device without a driver */
        return refuse(outcome, OUTCOME_OUTPUT_KIND, PN_E_MISMATCH, err, name, "cannot be read");
    default:
        return pn_fail(err, PN_E_SYSTEM, "output %.120s: %s", name, strerror(error));
    }
}

/* A size that is mostly hole: cheap for the job to make, dear for us to read, hash and send. */
static bool hollow(const struct stat *st)
{
    int64_t held = (int64_t)st->st_blocks * STAT_BLOCK;
    return st->st_size - held > HOLE_BYTES_MAX;
}

static enum pn_status collect_one(int folder_fd, struct collect_output *o, uint64_t bytes_left,
                                  struct outcome *outcome, struct pn_err *err)
{
    struct stat st;
    o->fd = open_beneath(folder_fd, o->name);
    if (o->fd < 0) {
        return refuse_open(outcome, err, o->name, errno);
    }
    if (fstat(o->fd, &st) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "output %.120s: %s", o->name, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return refuse(outcome, OUTCOME_OUTPUT_KIND, PN_E_MISMATCH, err, o->name,
                      "is not a regular file");
    }
    if (st.st_nlink != 1) {
        return refuse(outcome, OUTCOME_OUTPUT_KIND, PN_E_MISMATCH, err, o->name,
                      "has another name too");
    }
    /* A peer that runs as root could read it nevertheless, and would then vote differently. */
    if ((st.st_mode & S_IRUSR) == 0) {
        return refuse(outcome, OUTCOME_OUTPUT_KIND, PN_E_MISMATCH, err, o->name, "cannot be read");
    }
    if ((uint64_t)st.st_size > bytes_left) {
        return refuse(outcome, OUTCOME_OUTPUT_SIZE, PN_E_TOO_BIG, err, o->name,
                      "makes the outputs larger than their limit");
    }
    if (hollow(&st)) {
        return refuse(outcome, OUTCOME_OUTPUT_SIZE, PN_E_TOO_BIG, err, o->name, "is mostly a hole");
    }
    o->size = (uint64_t)st.st_size;
    return PN_OK;
}

enum pn_status collect_outputs(int folder_fd, struct collect_output *outputs, uint32_t count,
                               uint64_t bytes_max, struct outcome *outcome, struct pn_err *err)
{
    uint64_t left = bytes_max;
    for (uint32_t i = 0; i < count; i++) {
        outputs[i].fd = -1;
        outputs[i].size = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        enum pn_status status = collect_one(folder_fd, &outputs[i], left, outcome, err);
        if (status != PN_OK) {
            collect_close(outputs, i + 1);
            return status;
        }
        left -= outputs[i].size;
    }
    return PN_OK;
}

void collect_close(struct collect_output *outputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i].fd >= 0) {
            (void)close(outputs[i].fd);
            outputs[i].fd = -1;
        }
    }
}

/* A folder may be closed to its owner, too; nobody runs any more who could exchange it. */
static bool widen(int at, const char *name)
{
    char link[32];
    int place = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0) {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", place);
    bool done = chmod(link, 0700) == 0;
    (void)close(place);
    return done;
}

/*
 * Empties one folder; a folder in it is moved up to `top` under a name that is free there, and is
 * emptied in its turn: no recursion, and never a path longer than one name.
 * Returns how many entries were dealt with.
 */
static size_t sweep(int top, int fd, uint64_t *next)
{
    size_t count = 0;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return 0;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, e->d_name, 0) == 0 || unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0) {
            count++;
        } else if (fd != top) {
            char name[40];
            (void)snprintf(name, sizeof name, ".preon-sweep-%" PRIu64, (*next)++);
            bool moved = renameat(fd, e->d_name, top, name) == 0 ||
                         (widen(fd, e->d_name) && renameat(fd, e->d_name, top, name) == 0);
            count += moved ? 1 : 0;
        }
    }
    (void)closedir(dir);
    return count;
}

/* One pass over the folders in top: sweeps each, which moves what is below into top. */
static size_t sweep_children(int top, uint64_t *next)
{
    size_t count = 0;
    int copy = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return 0;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        (void)widen(top, e->d_name); /* ours by then; fails harmlessly where it is not */
        int fd = openat(top, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        count += sweep(top, fd, next);
        (void)close(fd);
    }
    (void)closedir(dir);
    return count;
}

void collect_discard(int folder_fd)
{
    char link[32];
    char path[PATH_MAX];
    uint64_t next = 0;
    size_t done = 0;
    if (folder_fd < 0) {
        return;
    }
    /* In tier full it was a tmpfs, mounted nowhere any more, whose name is therefore "/": it goes
     * with the descriptor. Else it is a folder of ours. */
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", folder_fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len > 1) {
        path[len] = '\0';
        (void)fchmod(folder_fd, 0700);
        do {
            done = sweep(folder_fd, folder_fd, &next);
            done += sweep_children(folder_fd, &next);
        } while (done > 0);
        (void)rmdir(path); /* empty now: nothing else can be removed by this */
    }
    (void)close(folder_fd);
}
