#include "tools/paths_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

__attribute__((format(printf, 3, 4))) static enum pn_status
join(char out[PATH_BYTES_MAX], struct pn_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(out, PATH_BYTES_MAX, format, args);
    va_end(args);
    return len >= 0 && len < PATH_BYTES_MAX
               ? PN_OK
               : pn_fail(err, PN_E_TOO_BIG, "%.60s…: the path is too long", out);
}

/* An XDG folder must be absolute to count (XDG Base Directory Specification). */
static enum pn_status xdg(const char *variable, const char *below_home, const char *name,
                          char out[PATH_BYTES_MAX], struct pn_err *err)
{
    const char *dir = getenv(variable);
    if (dir != NULL && dir[0] == '/') {
        return join(out, err, "%s/preon%s%s", dir, name[0] != '\0' ? "/" : "", name);
    }
    const char *home = getenv("HOME");
    if (home == NULL || home[0] != '/') {
        const struct passwd *user = getpwuid(geteuid());
        home = user != NULL ? user->pw_dir : NULL;
    }
    if (home == NULL || home[0] != '/') {
        return pn_fail(err, PN_E_NOT_FOUND, "no home folder: set HOME or %s, or give --data",
                       variable);
    }
    return join(out, err, "%s/%s/preon%s%s", home, below_home, name[0] != '\0' ? "/" : "", name);
}

enum pn_status paths_data(char out[PATH_BYTES_MAX], struct pn_err *err)
{
    /* A peer that root starts becomes another user, who cannot look into root's own home. */
    const struct passwd *user = geteuid() == 0 ? getpwuid(0) : NULL;
    const char *home = getenv("HOME");
    if (user != NULL && getenv("XDG_DATA_HOME") == NULL &&
        (home == NULL || strcmp(home, user->pw_dir) == 0)) {
        return join(out, err, "/var/lib/preon");
    }
    return xdg("XDG_DATA_HOME", ".local/share", "", out, err);
}

enum pn_status paths_config(const char *name, char out[PATH_BYTES_MAX], struct pn_err *err)
{
    return xdg("XDG_CONFIG_HOME", ".config", name, out, err);
}

enum pn_status paths_absolute(const char *path, char out[PATH_BYTES_MAX], struct pn_err *err)
{
    char here[PATH_BYTES_MAX];
    if (path[0] == '/') {
        return join(out, err, "%s", path);
    }
    if (path[0] == '\0') {
        return pn_fail(err, PN_E_MALFORMED, "an empty path");
    }
    if (getcwd(here, sizeof here) == NULL) {
        return pn_fail(err, PN_E_SYSTEM, "the working folder: %s", strerror(errno));
    }
    return join(out, err, "%s/%s", here, path);
}

enum pn_status paths_libexec(char out[PATH_BYTES_MAX], struct pn_err *err)
{
    static const char *const PLACES[] = {"libexec/preon", "../libexec/preon"};
    char self[PATH_BYTES_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) {
        return pn_fail(err, PN_E_SYSTEM, "/proc/self/exe: %s", strerror(errno));
    }
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    *(slash != NULL ? slash : self) = '\0';
    for (size_t i = 0; i < sizeof PLACES / sizeof PLACES[0]; i++) {
        enum pn_status status = join(out, err, "%s/%s", self, PLACES[i]);
        if (status != PN_OK) {
            return status;
        }
        if (access(out, X_OK) == 0) {
            return PN_OK;
        }
    }
    return pn_fail(err, PN_E_NOT_FOUND, "%s: neither libexec/preon nor ../libexec/preon is there",
                   self);
}

enum pn_status paths_read(const char *path, size_t bytes_max, struct buffer *out,
                          struct pn_err *err)
{
    struct stat st;
    enum pn_status status = PN_OK;
    buffer_init(out, bytes_max + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us up */
    if (fd < 0 || fstat(fd, &st) != 0) {
        status = errno == ENOENT ? PN_E_NOT_FOUND : PN_E_SYSTEM;
        status = pn_fail(err, status, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        status = pn_fail(err, PN_E_MALFORMED, "%s: not a regular file", path);
        goto out;
    }
    for (ssize_t n = 1; status == PN_OK && n > 0;) {
        const size_t want = out->max - out->len < READ_BYTES ? out->max - out->len : READ_BYTES;
        uint8_t *room = want > 0 ? buffer_room(out, want) : NULL;
        if (want == 0) {
            status = pn_fail(err, PN_E_TOO_BIG, "%s: over %zu bytes", path, bytes_max);
        } else if (room == NULL) {
            status = pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", path);
        } else {
            n = read(fd, room, want);
            status = n < 0 ? pn_fail(err, PN_E_SYSTEM, "%s: %s", path, strerror(errno)) : PN_OK;
            buffer_used(out, n > 0 ? (size_t)n : 0);
        }
    }
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

enum pn_status paths_check_folder(const char *path, struct pn_err *err)
{
    char part[PATH_BYTES_MAX];
    struct stat st;
    enum pn_status status = paths_absolute(path, part, err);
    if (status != PN_OK) {
        return status;
    }
    while (stat(part, &st) != 0) { /* up to the first folder that is there: "/" is */
        char *slash = strrchr(part, '/');
        if (errno != ENOENT || slash == NULL) {
            return pn_fail(err, PN_E_SYSTEM, "%s: %s", part, strerror(errno));
        }
        slash[slash == part] = '\0';
    }
    if (!S_ISDIR(st.st_mode)) {
        return pn_fail(err, PN_E_MALFORMED, "%s: not a folder", part);
    }
    return access(part, W_OK | X_OK) == 0
               ? PN_OK
               : pn_fail(err, PN_E_DENIED, "%s: %s", part, strerror(errno));
}

enum pn_status paths_make(const char *path, unsigned mode, struct pn_err *err)
{
    char part[PATH_BYTES_MAX];
    enum pn_status status = join(part, err, "%s", path);
    for (char *slash = part; status == PN_OK && slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        if (mkdir(part, mode) != 0 && errno != EEXIST) {
            return pn_fail(err, errno == ENOSPC ? PN_E_FULL : PN_E_SYSTEM, "%s: %s", part,
                           strerror(errno));
        }
        if (slash != NULL) {
            *slash = '/';
        }
    }
    return status;
}

enum pn_status paths_make_parent(const char *path, unsigned mode, struct pn_err *err)
{
    char parent[PATH_BYTES_MAX];
    enum pn_status status = join(parent, err, "%s", path);
    char *slash = status == PN_OK ? strrchr(parent, '/') : NULL;
    if (slash == NULL || slash == parent) {
        return status;
    }
    *slash = '\0';
    return paths_make(parent, mode, err);
}
