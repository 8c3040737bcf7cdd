#include "tools/owner_sys.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/key_sys.h"

enum pn_status owner_path(const struct context *c, char out[PATH_BYTES_MAX], struct pn_err *err)
{
    const char *given = context_text(c, "key");
    return given != NULL ? paths_absolute(given, out, err) : paths_config("owner.key", out, err);
}

/* path is absolute: its folder and the file's name in it. */
static enum pn_status open_key(char path[PATH_BYTES_MAX], struct key_pair **out, struct pn_err *err)
{
    char *slash = strrchr(path, '/');
    *slash = '\0';
    enum pn_status status = key_file_open(slash == path ? "/" : path, slash + 1, out, err);
    *slash = '/';
    return status;
}

enum pn_status owner_read(const struct context *c, struct key_pair **out, struct pn_err *err)
{
    char path[PATH_BYTES_MAX];
    enum pn_status status = owner_path(c, path, err);
    if (status == PN_OK && access(path, F_OK) != 0) {
        status = pn_fail(err, errno == ENOENT ? PN_E_NOT_FOUND : PN_E_SYSTEM, "key %s: %s", path,
                         strerror(errno));
    }
    return status == PN_OK ? open_key(path, out, err) : status;
}

enum pn_status owner_open(const struct context *c, struct key_pair **out, struct pn_err *err)
{
    char path[PATH_BYTES_MAX];
    enum pn_status status = owner_path(c, path, err);
    if (status != PN_OK) {
        return status;
    }
    const bool is_new = access(path, F_OK) != 0 && errno == ENOENT;
    status = paths_make_parent(path, 0700, err);
    if (status == PN_OK) {
        status = open_key(path, out, err);
    }
    if (status == PN_OK && is_new) {
        (void)fprintf(stderr, "preon: made your key: %s\n", path);
    }
    return status;
}
