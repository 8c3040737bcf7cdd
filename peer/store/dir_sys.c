#include "peer/store/dir_sys.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_BYTES = 512,
    FOLDER_DEPTH_MAX = 136, /* a file's name in tree_sys has up to 128 parts */
};

enum pn_status dir_fail(const char *path, struct pn_err *err)
{
    int cause = errno;
    if (cause == ENOSPC || cause == EDQUOT) {
        return pn_fail(err, PN_E_FULL, "the data folder's disk is full: %s", path);
    }
    if (cause == ENOENT) {
        return pn_fail(err, PN_E_NOT_FOUND, "%s: not there", path);
    }
    return pn_fail(err, PN_E_SYSTEM, "%s: %s", path, strerror(cause));
}

int dir_open(int at, const char *path, int flags)
{
    return openat(at, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static enum pn_status sync_fd(int fd, const char *path, struct pn_err *err)
{
    return fsync(fd) == 0 ? PN_OK : dir_fail(path, err);
}

enum pn_status dir_sync(int at, const char *path, struct pn_err *err)
{
    int fd = dir_open(at, path, O_RDONLY);
    if (fd < 0) {
        return dir_fail(path, err);
    }
    enum pn_status status = sync_fd(fd, path, err);
    (void)close(fd);
    return status;
}

/* Makes one folder below one that exists; parent is "." for the topmost. */
static enum pn_status make_one(int at, const char *path, const char *parent, struct pn_err *err)
{
    if (mkdirat(at, path, 0700) == 0) {
        return dir_sync(at, parent, err);
    }
    return errno == EEXIST ? PN_OK : dir_fail(path, err);
}

enum pn_status dir_make(int at, const char *path, struct pn_err *err)
{
    char part[PATH_BYTES];
    char parent[PATH_BYTES] = ".";
    size_t len = strlen(path);
    assert(len < sizeof part);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        enum pn_status status = make_one(at, part, parent, err);
        if (status != PN_OK) {
            return status;
        }
        memcpy(parent, part, i + 1);
    }
    return PN_OK;
}

bool dir_has(int at, const char *path)
{
    struct stat st;
    return fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum pn_status dir_rename(int at, const char *from, const char *to, struct pn_err *err)
{
    return renameat(at, from, at, to) == 0 ? PN_OK : dir_fail(from, err);
}

enum pn_status dir_replace(int at, const char *from, const char *to, struct pn_err *err)
{
    if (renameat2(at, from, at, to, RENAME_EXCHANGE) == 0) {
        return PN_OK;
    }
    if (errno == EINVAL) { /* a file system that cannot exchange */
        enum pn_status status = dir_remove(at, to, err);
        return status == PN_OK ? dir_rename(at, from, to, err) : status;
    }
    return errno == ENOENT ? dir_rename(at, from, to, err) : dir_fail(to, err);
}

enum pn_status dir_each(int at, const char *path, void (*each)(void *arg, const char *name),
                        void *arg, struct pn_err *err)
{
    int fd = dir_open(at, path, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        enum pn_status status = dir_fail(path, err);
        if (fd >= 0) {
            (void)close(fd);
        }
        return status;
    }
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            each(arg, e->d_name);
        }
    }
    (void)closedir(dir);
    return PN_OK;
}

struct removal {
    int at;
    const char *path;
    int depth;
    enum pn_status status;
    struct pn_err *err;
};

static enum pn_status remove_tree(int at, const char *path, int depth, struct pn_err *err);

static void remove_child(void *arg, const char *name)
{
    struct removal *r = arg;
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof path, "%s/%s", r->path, name);
    if (len < 0 || (size_t)len >= sizeof path) {
        r->status = pn_fail(r->err, PN_E_TOO_BIG, "%s: a name that is not ours", r->path);
        return;
    }
    enum pn_status status = remove_tree(r->at, path, r->depth + 1, r->err);
    if (status != PN_OK) {
        r->status = status;
    }
}

/* The depth is bounded by what we make ourselves; nothing else is in our folders. */
static enum pn_status remove_tree(int at, const char *path, int depth, struct pn_err *err)
{
    if (unlinkat(at, path, 0) == 0 || errno == ENOENT) {
        return PN_OK;
    }
    if (errno != EISDIR || depth >= FOLDER_DEPTH_MAX) {
        return dir_fail(path, err);
    }
    struct removal r = {.at = at, .path = path, .depth = depth, .status = PN_OK, .err = err};
    enum pn_status status = dir_each(at, path, remove_child, &r, err);
    if (status != PN_OK || r.status != PN_OK) {
        return status != PN_OK ? status : r.status;
    }
    return unlinkat(at, path, AT_REMOVEDIR) == 0 ? PN_OK : dir_fail(path, err);
}

enum pn_status dir_remove(int at, const char *path, struct pn_err *err)
{
    return remove_tree(at, path, 0, err);
}

enum pn_status dir_pwrite(int fd, struct pn_bytes bytes, uint64_t offset, const char *path,
                          struct pn_err *err)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return dir_fail(path, err);
        }
        bytes.ptr += n;
        bytes.len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PN_OK;
}

enum pn_status dir_pread(int fd, uint8_t *out, size_t len, uint64_t offset, const char *path,
                         struct pn_err *err)
{
    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return dir_fail(path, err);
        }
        if (n == 0) {
            return pn_fail(err, PN_E_MISMATCH, "%s: shorter than it was", path);
        }
        out += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PN_OK;
}

enum pn_status dir_write_file(int at, const char *path, struct pn_bytes bytes, bool sync,
                              struct pn_err *err)
{
    int fd = dir_open(at, path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) {
        return dir_fail(path, err);
    }
    enum pn_status status = dir_pwrite(fd, bytes, 0, path, err);
    if (status == PN_OK && sync) {
        status = sync_fd(fd, path, err);
    }
    if (close(fd) != 0 && status == PN_OK) {
        status = dir_fail(path, err);
    }
    return status;
}

enum pn_status dir_read_file(int at, const char *path, struct buffer *out, struct pn_err *err)
{
    struct stat st;
    enum pn_status status;
    int fd = dir_open(at, path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = dir_fail(path, err);
        goto out;
    }
    size_t len = (size_t)st.st_size;
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || len > out->max - out->len) {
        status = pn_fail(err, PN_E_TOO_BIG, "%s: %zu bytes, at most %zu", path, len,
                         out->max - out->len);
        goto out;
    }
    uint8_t *room = buffer_room(out, len > 0 ? len : 1);
    if (room == NULL) {
        status = len > 0 ? pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", path) : PN_OK;
        goto out;
    }
    status = dir_pread(fd, room, len, 0, path, err);
    if (status == PN_OK) {
        buffer_used(out, len);
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}
