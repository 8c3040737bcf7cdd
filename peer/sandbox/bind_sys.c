#include "peer/sandbox/bind_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum pn_status bind_reopen(int root_fd, int fd, int *out, struct pn_err *err)
{
    char link[32];
    char path[PATH_MAX];
    struct stat ours;
    struct stat theirs;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 2 || path[0] != '/' || fstat(fd, &ours) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "no name for descriptor %d", fd);
    }
    path[len] = '\0';
    int opened = openat(root_fd, path + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (opened < 0) {
        return pn_fail(err, PN_E_SYSTEM, "%.120s: %s", path, strerror(errno));
    }
    if (fstat(opened, &theirs) != 0 || ours.st_dev != theirs.st_dev ||
        ours.st_ino != theirs.st_ino) {
        (void)close(opened);
        return pn_fail(err, PN_E_MISMATCH, "%.120s: has been replaced", path);
    }
    *out = opened;
    return PN_OK;
}

enum pn_status bind_widen(int fd, uint32_t uid, bool executable, struct pn_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "file mode: %s", strerror(errno));
    }
    mode_t want = executable ? 0555 : 0444;
    mode_t needed = st.st_uid == uid ? want & 0700 : want & 0007;
    if ((st.st_mode & needed) == needed) {
        return PN_OK;
    }
    if (fchmod(fd, (st.st_mode & 0777) | want) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "file mode %o: %s", (unsigned)(st.st_mode & 07777),
                       strerror(errno));
    }
    return PN_OK;
}

enum pn_status bind_make_folder(const char *parent, const char *name, uint32_t uid, int *out,
                                struct pn_err *err)
{
    enum pn_status status = PN_OK;
    int fd = -1;
    int at = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || mkdirat(at, name, 0700) != 0) {
        status = pn_fail(err, PN_E_SYSTEM, "%.100s/%s: %s", parent, name, strerror(errno));
        goto out;
    }
    fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (geteuid() != uid && fchown(fd, uid, (gid_t)-1) != 0)) {
        status = pn_fail(err, PN_E_SYSTEM, "%.100s/%s: %s", parent, name, strerror(errno));
        (void)unlinkat(at, name, AT_REMOVEDIR);
        goto out;
    }
    *out = fd;
    fd = -1;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (at >= 0) {
        (void)close(at);
    }
    return status;
}
