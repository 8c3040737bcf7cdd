#include "tools/local_files_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"

enum { READ_BYTES = 256 * 1024, REQUEST_BYTES = 160 };

void local_files_fini(struct local_files *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        free(f->list[i].name);
        free(f->list[i].path);
    }
    free(f->list);
    *f = (struct local_files){NULL, 0};
}

/* A regular file, open for reading; -1 on failure. */
static int open_regular(const char *path, struct stat *st, struct pn_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us up */
    if (fd < 0 || fstat(fd, st) != 0) {
        (void)pn_fail(err, errno == ENOENT ? PN_E_NOT_FOUND : PN_E_SYSTEM, "file %s: %s", path,
                      strerror(errno));
    } else if (!S_ISREG(st->st_mode)) {
        (void)pn_fail(err, PN_E_MALFORMED, "file %s: not a regular file", path);
    } else if ((uint64_t)st->st_size > FILE_BYTES_MAX) {
        (void)pn_fail(err, PN_E_TOO_BIG, "file %s: %lld bytes, at most %llu", path,
                      (long long)st->st_size, (unsigned long long)FILE_BYTES_MAX);
    } else {
        return fd;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static enum pn_status hash_file(int fd, const char *path, uint64_t size, struct digest *root,
                                struct pn_err *err)
{
    struct hash_stream *stream = hash_stream_new(size);
    uint8_t *bytes = malloc(READ_BYTES);
    const struct digest *leaves;
    enum pn_status status = PN_OK;
    if (stream == NULL || bytes == NULL) {
        status = pn_fail(err, PN_E_NO_MEMORY, "file %s: out of memory", path);
    }
    for (ssize_t n = 1; status == PN_OK && n > 0;) {
        n = read(fd, bytes, READ_BYTES);
        if (n < 0) {
            status = pn_fail(err, PN_E_SYSTEM, "file %s: %s", path, strerror(errno));
        } else if (!hash_stream_update(stream, (struct pn_bytes){bytes, (size_t)n})) {
            status = pn_fail(err, PN_E_MISMATCH, "file %s: grows while it is read", path);
        }
    }
    if (status == PN_OK && !hash_stream_final(stream, root, &leaves)) {
        status = pn_fail(err, PN_E_MISMATCH, "file %s: shrinks while it is read", path);
    }
    hash_stream_free(stream);
    free(bytes);
    return status;
}

enum pn_status local_files_add(struct local_files *f, const char *name, const char *path,
                               struct pn_err *err)
{
    struct stat st;
    struct local_file file = {.name = NULL};
    if (f->count == JOB_FILES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "file %s: more than %d files", path, JOB_FILES_MAX);
    }
    if (!manifest_name_valid(name)) {
        return pn_fail(err, PN_E_MALFORMED,
                       "file %s: '%.60s' cannot be a job's file name; give NAME=PATH", path, name);
    }
    int fd = open_regular(path, &st, err);
    if (fd < 0) {
        return err->status;
    }
    file.size = (uint64_t)st.st_size;
    file.executable = (st.st_mode & S_IXUSR) != 0;
    enum pn_status status = hash_file(fd, path, file.size, &file.root, err);
    (void)close(fd);
    if (status != PN_OK) {
        return status;
    }
    struct local_file *list = realloc(f->list, (f->count + 1) * sizeof *list);
    file.name = strdup(name);
    file.path = strdup(path);
    f->list = list != NULL ? list : f->list;
    if (list == NULL || file.name == NULL || file.path == NULL) {
        free(file.name);
        free(file.path);
        return pn_fail(err, PN_E_NO_MEMORY, "file %s: out of memory", path);
    }
    f->list[f->count++] = file;
    return PN_OK;
}

enum pn_status local_files_add_option(struct local_files *f, const char *option, struct pn_err *err)
{
    char name[NAME_BYTES_MAX + 2];
    const char *equals = strchr(option, '=');
    const char *path = equals != NULL ? equals + 1 : option;
    if (equals != NULL) {
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - option), option);
    } else {
        const char *slash = strrchr(option, '/');
        (void)snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : option);
    }
    return local_files_add(f, name, path, err);
}

enum pn_status local_files_describe(const struct local_files *f, struct manifest *m,
                                    struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (uint32_t i = 0; status == PN_OK && i < f->count; i++) {
        const struct local_file *file = &f->list[i];
        status = manifest_add_file(m, file->name, file->size, &file->root, file->executable, err);
    }
    return status;
}

static const struct local_file *find(const struct local_files *f, const char *name)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (strcmp(f->list[i].name, name) == 0) {
            return &f->list[i];
        }
    }
    return NULL;
}

enum pn_status local_files_send(const struct local_files *f, const struct manifest *m,
                                struct client *client, const char *job_id, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (uint32_t i = 0; status == PN_OK && i < m->file_count; i++) {
        char request[REQUEST_BYTES];
        struct stat st;
        bool had = false;
        const struct local_file *file = find(f, m->files[i].name);
        if (file == NULL) {
            return pn_fail(err, PN_E_NOT_FOUND, "file %.100s: is not at hand", m->files[i].name);
        }
        int fd = open_regular(file->path, &st, err);
        if (fd < 0) {
            return err->status;
        }
        (void)snprintf(request, sizeof request, "/v1/jobs/%s/files/%u", job_id, i);
        status = (uint64_t)st.st_size == file->size
                     ? client_put(client, request, fd, file->size, &had, err)
                     : pn_fail(err, PN_E_MISMATCH, "has changed since it was hashed");
        (void)close(fd);
        if (status != PN_OK) {
            pn_err_wrap(err, "file %s", file->path);
        }
    }
    return status;
}
