/* A job's files under their own names, in one folder: links to the contents, nothing is copied. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/store/dir_sys.h"
#include "peer/store/file_inside.h"
#include "peer/store/inside.h"

struct store_tree {
    struct store *store;
    int fd;
    char name[STORE_NAME_BYTES];
};

/* The folders of "a/b/c": a and a/b. Not synced: a tree need not survive anything. */
static enum pn_status make_parents(int at, const char *name, struct pn_err *err)
{
    char part[NAME_BYTES_MAX + 1];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        if (mkdirat(at, part, 0755) != 0 && errno != EEXIST) {
            return dir_fail(part, err);
        }
    }
    return PN_OK;
}

static enum pn_status add_file(struct store_tree *t, const struct manifest_file *file,
                               struct pn_err *err)
{
    char content[STORE_NAME_BYTES];
    struct stat st;
    int fd = -1;
    enum pn_status status = make_parents(t->fd, file->name, err);
    if (status == PN_OK) {
        status = store_file_fd(t->store, &file->root, &fd, err); /* it hashes right */
    }
    if (status != PN_OK) {
        return status;
    }
    store_content_name(&file->root, content);
    const mode_t mode = file->executable ? 0555 : 0444;
    if (fstat(fd, &st) != 0 ||
        ((st.st_mode & mode) != mode && fchmod(fd, (st.st_mode & 0777) | mode) != 0) ||
        linkat(t->store->dir_fd, content, t->fd, file->name, 0) != 0) {
        status = dir_fail(file->name, err);
    }
    (void)close(fd);
    return status;
}

enum pn_status store_tree_make(struct store *s, const struct manifest *m, struct store_tree **out,
                               struct pn_err *err)
{
    struct store_tree *t = malloc(sizeof *t);
    if (t == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    *t = (struct store_tree){.store = s, .fd = -1};
    store_tmp_name(s, t->name);
    enum pn_status status = PN_OK;
    if (mkdirat(s->dir_fd, t->name, 0755) == 0) {
        t->fd = dir_open(s->dir_fd, t->name, O_RDONLY | O_DIRECTORY);
    }
    if (t->fd < 0) {
        status = dir_fail(t->name, err);
    }
    for (uint32_t i = 0; status == PN_OK && i < m->file_count; i++) {
        status = add_file(t, &m->files[i], err);
    }
    if (status != PN_OK) {
        store_tree_remove(t);
        return status;
    }
    *out = t;
    return PN_OK;
}

int store_tree_fd(const struct store_tree *t) { return t->fd; }

void store_tree_remove(struct store_tree *t)
{
    if (t == NULL) {
        return;
    }
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    (void)dir_remove(t->store->dir_fd, t->name, NULL); /* else at the next start */
    free(t);
}
