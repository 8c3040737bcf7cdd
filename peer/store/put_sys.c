/* Whole files coming in: a job's file from its owner, and a worker's outputs from a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "peer/store/dir_sys.h"
#include "peer/store/inside.h"

enum { COPY_BYTES = 256 * 1024, PUTS_SYNCED_ALONE = 16 };

/* A file that is being written and hashed: to its end, in order. */
struct intake {
    int fd;
    uint64_t at;
    struct hash_stream *hash;
    char name[STORE_NAME_BYTES];
};

static enum pn_status intake_begin(struct intake *in, struct store *s, uint64_t size,
                                   const char *name, struct pn_err *err)
{
    *in = (struct intake){.fd = -1};
    (void)snprintf(in->name, sizeof in->name, "%s", name);
    in->hash = hash_stream_new(size);
    if (in->hash == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", name);
    }
    in->fd = dir_open(s->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL);
    return in->fd >= 0 ? PN_OK : dir_fail(name, err);
}

static enum pn_status intake_write(struct intake *in, struct pn_bytes bytes, struct pn_err *err)
{
    if (!hash_stream_update(in->hash, bytes)) {
        return pn_fail(err, PN_E_MISMATCH, "%s: more bytes than its size says", in->name);
    }
    enum pn_status status = dir_pwrite(in->fd, bytes, in->at, in->name, err);
    in->at += bytes.len;
    return status;
}

/* Leaves are written beside it when there is more than one. */
static enum pn_status intake_finish(struct intake *in, struct store *s, uint64_t size, bool sync,
                                    struct digest *root, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    const struct digest *leaves;
    if (!hash_stream_final(in->hash, root, &leaves)) {
        return pn_fail(err, PN_E_MISMATCH, "%s: %llu bytes, its size says %llu", in->name,
                       (unsigned long long)in->at, (unsigned long long)size);
    }
    if (sync && fsync(in->fd) != 0) {
        return dir_fail(in->name, err);
    }
    uint32_t count = block_count_for(size);
    if (count <= 1) {
        return PN_OK;
    }
    store_name_add(in->name, ".leaves", name);
    return dir_write_file(s->dir_fd, name,
                          (struct pn_bytes){(const uint8_t *)leaves, count * sizeof *leaves}, sync,
                          err);
}

static void intake_end(struct intake *in)
{
    hash_stream_free(in->hash);
    if (in->fd >= 0) {
        (void)close(in->fd);
    }
}

/* --- from the owner --- */

struct store_put {
    struct store *store;
    struct digest root;
    uint64_t size;
    bool open; /* the file is there, under tmp/ */
    struct intake intake;
};

/* Whether so many bytes would fit now: a question to the superblock, not to the disk. */
static bool has_room(const struct store *s, uint64_t size)
{
    struct statvfs fs;
    return fstatvfs(s->dir_fd, &fs) != 0 || fs.f_blocks == 0 ||
           size / fs.f_frsize <= (uint64_t)fs.f_bavail;
}

enum pn_status store_put_begin(struct store *s, uint64_t size, const struct digest *root,
                               struct store_put **out, struct pn_err *err)
{
    if (size > FILE_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "a file of %llu bytes, at most %llu",
                       (unsigned long long)size, (unsigned long long)FILE_BYTES_MAX);
    }
    if (store_file_proven(s, root)) { /* else these bytes replace those */
        store_lock(s);
        s->unsynced = true; /* it may have come as somebody's blocks, which nobody has synced */
        store_unlock(s);
        return pn_fail(err, PN_E_EXISTS, "the file is here already");
    }
    if (!has_room(s, size)) {
        errno = ENOSPC;
        return dir_fail("files", err);
    }
    struct store_put *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    p->store = s;
    p->root = *root;
    p->size = size;
    p->intake.fd = -1;
    *out = p;
    return PN_OK;
}

static enum pn_status put_open(struct store_put *p, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    if (p->open) {
        return PN_OK;
    }
    store_tmp_name(p->store, name);
    enum pn_status status = intake_begin(&p->intake, p->store, p->size, name, err);
    p->open = true;
    if (status == PN_OK && p->size > 0 &&
        fallocate(p->intake.fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)p->size) != 0) {
        status = dir_fail(name, err);
        status = status == PN_E_FULL ? status : PN_OK; /* other file systems just can't reserve */
    }
    return status;
}

enum pn_status store_put_write(struct store_put *p, struct pn_bytes bytes, struct pn_err *err)
{
    enum pn_status status = put_open(p, err);
    return status == PN_OK ? intake_write(&p->intake, bytes, err) : status;
}

static enum pn_status put_place(struct store_put *p, bool sync, struct pn_err *err)
{
    struct store *s = p->store;
    char name[STORE_NAME_BYTES];
    char from[STORE_NAME_BYTES];
    char to[STORE_NAME_BYTES];
    store_content_name(&p->root, name);
    store_name_add(p->intake.name, ".leaves", from);
    store_name_add(name, ".leaves", to);
    enum pn_status status =
        block_count_for(p->size) > 1 ? dir_rename(s->dir_fd, from, to, err) : PN_OK;
    status = status == PN_OK ? dir_rename(s->dir_fd, p->intake.name, name, err) : status;
    status = status == PN_OK && sync ? dir_sync(s->dir_fd, "files", err) : status;
    if (status != PN_OK) {
        return status;
    }
    p->open = false; /* nothing of it is left in tmp/ */
    store_lock(s);
    s->unsynced = s->unsynced || !sync;
    status = catalogue_set_here(&s->catalogue, &p->root, true);
    store_unlock(s);
    return status == PN_OK ? PN_OK : pn_fail(err, status, "files: %s", pn_status_text(status));
}

/*
 * A sync of the file system waits for all that others write to it, too: it is for jobs of so many
 * files that a sync each would take longer.
 */
static bool sync_alone(struct store *s)
{
    store_lock(s);
    bool alone = s->synced_alone < PUTS_SYNCED_ALONE;
    s->synced_alone += alone;
    store_unlock(s);
    return alone;
}

enum pn_status store_put_finish(struct store_put *p, struct pn_err *err)
{
    struct digest root;
    bool sync = sync_alone(p->store);
    enum pn_status status = put_open(p, err); /* an empty file has no write */
    status =
        status == PN_OK ? intake_finish(&p->intake, p->store, p->size, sync, &root, err) : status;
    if (status == PN_OK && !digest_equal(&root, &p->root)) {
        status = pn_fail(err, PN_E_MISMATCH, "the file's bytes are not those its manifest names");
    }
    status = status == PN_OK ? put_place(p, sync, err) : status;
    store_put_abort(p);
    return status;
}

void store_put_abort(struct store_put *p)
{
    if (p == NULL) {
        return;
    }
    if (p->open) {
        char leaves[STORE_NAME_BYTES];
        store_name_add(p->intake.name, ".leaves", leaves);
        (void)dir_remove(p->store->dir_fd, p->intake.name, NULL);
        (void)dir_remove(p->store->dir_fd, leaves, NULL);
    }
    intake_end(&p->intake);
    free(p);
}

enum pn_status store_sync(struct store *s, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    (void)pthread_mutex_lock(&s->syncing); /* whoever comes meanwhile waits for its end, too */
    store_lock(s);
    bool needed = s->unsynced;
    s->unsynced = false; /* what comes from now on is the next call's */
    s->synced_alone = 0;
    store_unlock(s);
    if (s->sync_failed) {
        status = pn_fail(err, PN_E_SYSTEM,
                         "files: the disk has failed to keep some; start the peer again");
    } else if (needed && syncfs(s->dir_fd) != 0) {
        status = dir_fail("files", err);
        s->sync_failed = true;
    }
    (void)pthread_mutex_unlock(&s->syncing);
    return status;
}

/* --- from a descriptor --- */

static enum pn_status copy_all(struct intake *in, int fd, uint64_t size, struct pn_err *err)
{
    uint8_t *piece = malloc(COPY_BYTES);
    enum pn_status status =
        piece != NULL ? PN_OK : pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", in->name);
    for (uint64_t at = 0; at < size && status == PN_OK;) {
        size_t len = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        status = dir_pread(fd, piece, len, at, "output", err);
        if (status == PN_OK) {
            status = intake_write(in, (struct pn_bytes){piece, len}, err);
        }
        at += len;
    }
    free(piece);
    return status;
}

enum pn_status store_copy_in(struct store *s, int fd, uint64_t bytes_max, const char *name,
                             uint64_t *size, struct digest *root, struct pn_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return dir_fail("output", err);
    }
    if (!S_ISREG(st.st_mode)) {
        return pn_fail(err, PN_E_MISMATCH, "output: not a regular file");
    }
    *size = (uint64_t)st.st_size;
    if (*size > bytes_max || *size > FILE_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "output: %llu bytes, at most %llu are left",
                       (unsigned long long)*size, (unsigned long long)bytes_max);
    }
    struct intake in;
    enum pn_status status = intake_begin(&in, s, *size, name, err);
    status = status == PN_OK ? copy_all(&in, fd, *size, err) : status;
    status = status == PN_OK ? intake_finish(&in, s, *size, true, root, err) : status;
    intake_end(&in);
    return status;
}
