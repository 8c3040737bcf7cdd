#include "peer/user_sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, NOBODY = 65534 };

static enum pn_status make_folders(const char *path, struct pn_err *err)
{
    char part[PATH_BYTES];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part) {
        return pn_fail(err, PN_E_TOO_BIG, "data folder: path of %zu bytes", len);
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, kept == '\0' ? 0700 : 0755) != 0 && errno != EEXIST) {
            return pn_fail(err, PN_E_SYSTEM, "data folder %s: %s", part, strerror(errno));
        }
        part[i] = kept;
    }
    return PN_OK;
}

static enum pn_status choose(const char *user, const struct stat *st, uid_t *uid, gid_t *gid,
                             struct pn_err *err)
{
    if (user != NULL) {
        const struct passwd *pw = getpwnam(user);
        if (pw == NULL || pw->pw_uid == 0) {
            return pn_fail(err, PN_E_RANGE, "--user %s: no such user, or root itself", user);
        }
        *uid = pw->pw_uid;
        *gid = pw->pw_gid;
    } else if (st->st_uid != 0) {
        *uid = st->st_uid;
        *gid = st->st_gid != 0 ? st->st_gid : NOBODY;
    } else {
        *uid = NOBODY;
        *gid = NOBODY;
    }
    return PN_OK;
}

/*
 * Root of a user namespace who is an ordinary user outside (user_namespaces(7),
 * /proc/self/uid_map): such a root has nothing to give up, and often nobody to become.
 */
static bool is_root_inside_only(void)
{
    FILE *f = fopen("/proc/self/uid_map", "re");
    char line[64];
    bool found = false;
    if (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *end;
        unsigned long inside = strtoul(line, &end, 10);
        found = end != line && inside == 0 && strtoul(end, NULL, 10) != 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* Whether there is nothing in the folder: then it may be given away. */
static bool is_empty(int fd)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    if (dir == NULL) {
        if (own >= 0) {
            (void)close(own);
        }
        return false;
    }
    const struct dirent *entry;
    do {
        entry = readdir(dir);
    } while (entry != NULL &&
             (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    (void)closedir(dir);
    return entry == NULL;
}

/*
 * Root's folder becomes the user's, but only while it is empty: what was mistyped (--data /etc), or
 * is led elsewhere by a link, stays whose it is.
 */
static enum pn_status give(const char *data_dir, int fd, const struct stat *st, uid_t uid,
                           gid_t gid, struct pn_err *err)
{
    if (st->st_uid == uid) {
        return PN_OK;
    }
    if (!is_empty(fd)) {
        return pn_fail(err, PN_E_DENIED,
                       "data folder %s: belongs to user %u and is not empty: choose another with "
                       "--data, or give it to user %u",
                       data_dir, (unsigned)st->st_uid, (unsigned)uid);
    }
    if (fchown(fd, uid, gid) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "data folder %s: %s", data_dir, strerror(errno));
    }
    return PN_OK;
}

enum pn_status user_settle(const char *data_dir, const char *user, struct pn_err *err)
{
    struct stat st;
    uid_t uid = NOBODY;
    gid_t gid = NOBODY;
    enum pn_status status = make_folders(data_dir, err);
    if (status != PN_OK || geteuid() != 0 || is_root_inside_only()) {
        return status;
    }
    int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = pn_fail(err, PN_E_SYSTEM, "data folder %s: %s", data_dir,
                         errno == ENOTDIR ? "not a folder" : strerror(errno));
    } else {
        status = choose(user, &st, &uid, &gid, err);
    }
    if (status == PN_OK) {
        status = give(data_dir, fd, &st, uid, gid, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (status != PN_OK) {
        return status;
    }
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "becoming user %u: %s", (unsigned)uid, strerror(errno));
    }
    if (access(data_dir, R_OK | W_OK | X_OK) != 0) {
        return pn_fail(err, PN_E_DENIED,
                       "data folder %s: user %u, whom a peer started by root becomes, cannot reach "
                       "it: choose another with --data",
                       data_dir, (unsigned)uid);
    }
    return PN_OK;
}
