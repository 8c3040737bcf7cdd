/*
 * Files of a store block by block. No descriptor is kept: a thousand open files cost memory only,
 * and opening by name costs little beside reading or writing a block.
 *
 * While incomplete: NAME.part (the blocks), NAME.leaves (once believed), NAME.had (a bit for each
 * block, written after the block). NAME appears by renaming the whole NAME.part.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/store/dir_sys.h"
#include "peer/store/file_inside.h"

static void file_lock(struct store_file *f) { (void)pthread_mutex_lock(&f->lock); }
static void file_unlock(struct store_file *f) { (void)pthread_mutex_unlock(&f->lock); }

uint64_t store_file_size(const struct store_file *f) { return f->content.size; }

const struct digest *store_file_root(const struct store_file *f) { return &f->content.root; }

bool store_file_has_leaves(struct store_file *f)
{
    file_lock(f);
    bool has = content_has_leaves(&f->content);
    file_unlock(f);
    return has;
}

bool store_file_has_block(struct store_file *f, uint32_t index)
{
    file_lock(f);
    bool has = index < f->content.block_count && bitset_has(&f->content.had, index);
    file_unlock(f);
    return has;
}

bool store_file_whole(struct store_file *f)
{
    file_lock(f);
    bool whole = f->on_disk_whole;
    file_unlock(f);
    return whole;
}

/* --- opening --- */

static void file_free(struct store_file *f)
{
    content_fini(&f->content);
    bitset_fini(&f->checked);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

/*
 * Under which name it is shared. A size is somebody's word until the bytes are here, so that a job
 * that names a content with another size than it has meets nobody who names it rightly.
 */
static void share_key(const char *name, uint64_t size, struct digest *key)
{
    char text[STORE_NAME_BYTES + 24];
    (void)snprintf(text, sizeof text, "%s %llu", name, (unsigned long long)size);
    hash_sha256(pn_bytes_str(text), key);
}

static struct store_file *file_new(struct store *s, const char *name, const struct digest *root,
                                   uint64_t size, struct pn_err *err)
{
    struct store_file *f = calloc(1, sizeof *f);
    enum pn_status status = f != NULL ? content_init(&f->content, root, size) : PN_E_NO_MEMORY;
    if (f != NULL) {
        (void)pthread_mutex_init(&f->lock, NULL);
        f->store = s;
        (void)snprintf(f->name, sizeof f->name, "%s", name);
        share_key(name, size, &f->key);
    }
    if (status == PN_OK && !bitset_init(&f->checked, f->content.had.bit_count)) {
        status = PN_E_NO_MEMORY;
    }
    if (status != PN_OK) {
        (void)pn_fail(err, status, "%s: %s", name, pn_status_text(status));
        if (f != NULL) {
            file_free(f);
        }
        return NULL;
    }
    return f;
}

/* Waits until whoever opened it first has loaded it. */
static enum pn_status open_again(struct store_file *f, const struct digest *root, bool create,
                                 struct store_file **out, struct pn_err *err)
{
    file_lock(f);
    enum pn_status loaded = f->loaded;
    if (loaded == PN_OK && !digest_equal(&f->content.root, root)) {
        loaded = PN_E_MISMATCH; /* an attempt's output, of which there is another version */
    }
    bool there = create || f->on_disk_whole || f->part_made;
    file_unlock(f);
    if (loaded != PN_OK || !there) {
        store_file_close(f);
        loaded = loaded != PN_OK ? loaded : PN_E_NOT_FOUND;
        return pn_fail(err, loaded, "a file of the store: %s", pn_status_text(loaded));
    }
    *out = f;
    return PN_OK;
}

/*
 * Finds the file among those that are open, or loads it and adds it. Loading happens under the new
 * file's own lock, so that a second opener of the same file waits for it and no other.
 */
static enum pn_status open_shared(struct store *s, struct store_file *fresh, bool create,
                                  bool prove, struct store_file **out, struct pn_err *err)
{
    file_lock(fresh); /* before the store's lock, as everywhere */
    store_lock(s);
    struct store_file *f = table_get(&s->files, fresh->key.b);
    if (f != NULL) {
        f->user_count++;
        store_unlock(s);
        struct digest root = fresh->content.root;
        file_unlock(fresh);
        file_free(fresh);
        return open_again(f, &root, create, out, err);
    }
    fresh->user_count = 1;
    enum pn_status status = table_put(&s->files, fresh->key.b, fresh);
    store_unlock(s);
    if (status != PN_OK) {
        file_unlock(fresh);
        file_free(fresh);
        return pn_fail(err, status, "open files: %s", pn_status_text(status));
    }
    status = store_file_load(fresh, create, prove, err);
    fresh->loaded = status;
    file_unlock(fresh);
    if (status != PN_OK) {
        store_file_close(fresh);
        return status;
    }
    *out = fresh;
    return PN_OK;
}

enum pn_status store_file_open(struct store *s, const struct digest *root, uint64_t size,
                               bool create, struct store_file **out, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    store_content_name(root, name);
    struct store_file *f = file_new(s, name, root, size, err);
    if (f == NULL) {
        return err != NULL ? err->status : PN_E_NO_MEMORY;
    }
    f->of_job = true;
    store_lock(s);
    bool here = catalogue_here(&s->catalogue, root);
    bool prove = here ? !catalogue_proven(&s->catalogue, root) : s->unclean;
    store_unlock(s);

    enum pn_status status = open_shared(s, f, create, prove, out, err);
    if (status != PN_OK || !here) {
        return status;
    }
    file_lock(*out);
    store_lock(s); /* in this order, as when a file becomes whole */
    if (!(*out)->on_disk_whole) {
        catalogue_set_gone(&s->catalogue, root);
    } else if (prove) {
        status = catalogue_set_here(&s->catalogue, root, true);
    }
    store_unlock(s);
    file_unlock(*out);
    return status;
}

/* Where an attempt's output is: complete in outputs/ or in the outbox, else where it is fetched. */
static void output_name(struct store *s, const struct file_set *attempt, uint32_t index,
                        bool create, char name[STORE_NAME_BYTES])
{
    static const struct {
        const char *folder;
        const char *suffix;
    } places[] = {{"outputs", ""}, {"outbox", ""}, {"outputs", ".part"}};
    char folder[STORE_NAME_BYTES];
    size_t last = sizeof places / sizeof places[0] - 1;
    for (size_t i = create ? last : 0; i <= last; i++) {
        store_attempt_name(places[i].folder, attempt, places[i].suffix, folder);
        (void)snprintf(name, STORE_NAME_BYTES, "%.360s/%u", folder, index);
        if (i == last || dir_has(s->dir_fd, name)) {
            return;
        }
    }
}

/* Whoever serves an output does not know its root: the bytes and the leaves beside them tell. */
static enum pn_status output_root(struct store *s, const char *name, uint64_t *size,
                                  struct digest *root, struct pn_err *err)
{
    enum pn_status status = store_stat_size(s, name, size, err);
    if (status != PN_OK) {
        return status;
    }
    struct buffer b;
    char leaves[STORE_NAME_BYTES];
    uint32_t count = block_count_for(*size);
    buffer_init(&b, count > 1 ? count * sizeof(struct digest) : BLOCK_BYTES_MIN);
    if (count <= 1) {
        status = dir_read_file(s->dir_fd, name, &b, err);
        struct digest leaf;
        hash_leaf(buffer_bytes(&b), &leaf);
        hash_root(*size, &leaf, root);
    } else {
        store_name_add(name, ".leaves", leaves);
        status = dir_read_file(s->dir_fd, leaves, &b, err);
        if (status == PN_OK && b.len != count * sizeof(struct digest)) {
            status = pn_fail(err, PN_E_MISMATCH, "%s: %zu bytes", leaves, b.len);
        }
        if (status == PN_OK) {
            hash_root(*size, (const struct digest *)b.ptr, root);
        }
    }
    buffer_fini(&b);
    return status;
}

enum pn_status store_output_open(struct store *s, const struct file_set *attempt, uint32_t index,
                                 const struct digest *root, uint64_t size, bool create,
                                 struct store_file **out, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    struct digest found;
    output_name(s, attempt, index, create, name);
    enum pn_status status = PN_OK;
    if (create) {
        char folder[STORE_NAME_BYTES];
        store_attempt_name("outputs", attempt, ".part", folder);
        status = dir_make(s->dir_fd, folder, err);
    } else if (root == NULL) {
        status = output_root(s, name, &size, &found, err);
        root = &found;
    }
    if (status != PN_OK) {
        return status;
    }
    struct store_file *f = file_new(s, name, root, size, err);
    if (f == NULL) {
        return err != NULL ? err->status : PN_E_NO_MEMORY;
    }
    return open_shared(s, f, create, create && s->unclean, out, err);
}

void store_file_close(struct store_file *f)
{
    if (f == NULL) {
        return;
    }
    struct store *s = f->store;
    store_lock(s);
    bool last = --f->user_count == 0;
    if (last) {
        (void)table_remove(&s->files, f->key.b);
    }
    store_unlock(s);
    if (last) {
        file_free(f);
    }
}

/* --- leaves --- */

enum pn_status store_file_put_leaves(struct store_file *f, const struct digest *leaves,
                                     struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    size_t bytes = f->content.block_count * sizeof *leaves;
    file_lock(f);
    enum pn_status status = content_set_leaves(&f->content, leaves);
    file_unlock(f);
    if (status != PN_OK) {
        return pn_fail(err, status, "%s: leaves: %s", f->name, pn_status_text(status));
    }
    if (f->content.block_count <= 1) {
        return PN_OK;
    }
    store_name_add(f->name, ".leaves", name);
    return dir_write_file(f->store->dir_fd, name, (struct pn_bytes){(const uint8_t *)leaves, bytes},
                          false, err);
}

enum pn_status store_file_leaves(struct store_file *f, uint32_t first, uint32_t count,
                                 struct digest *out, struct pn_err *err)
{
    if (first > f->content.block_count || count > f->content.block_count - first) {
        return pn_fail(err, PN_E_RANGE, "%s: leaves %u to %u of %u", f->name, first, first + count,
                       f->content.block_count);
    }
    file_lock(f);
    bool known = f->content.leaves != NULL;
    if (known) {
        memcpy(out, f->content.leaves + first, count * sizeof *out);
    }
    file_unlock(f);
    return known ? PN_OK : pn_fail(err, PN_E_NOT_FOUND, "%s: no leaves yet", f->name);
}

/* --- blocks --- */

/* The room is taken at once, so that a full disk is known before the network is troubled. */
static enum pn_status make_part(struct store_file *f, const char *part, struct pn_err *err)
{
    int fd = dir_open(f->store->dir_fd, part, O_WRONLY | O_CREAT);
    if (fd < 0) {
        return dir_fail(part, err);
    }
    enum pn_status status = PN_OK;
    if (fallocate(fd, 0, 0, (off_t)f->content.size) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS) {
        status = dir_fail(part, err);
        (void)unlinkat(f->store->dir_fd, part, 0);
    }
    f->part_made = status == PN_OK;
    (void)close(fd);
    return status;
}

static enum pn_status record_block(struct store_file *f, uint32_t index, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    store_name_add(f->name, ".had", name);
    int fd = dir_open(f->store->dir_fd, name, O_WRONLY | O_CREAT);
    if (fd < 0) {
        return dir_fail(name, err);
    }
    size_t at = index / 8;
    size_t last = content_record_bytes(&f->content) - 1;
    uint8_t bytes[2] = {content_record_byte(&f->content, at),
                        content_record_byte(&f->content, last)};
    enum pn_status status = dir_pwrite(fd, (struct pn_bytes){&bytes[1], 1}, last, name, err);
    if (status == PN_OK) {
        status = dir_pwrite(fd, (struct pn_bytes){&bytes[0], 1}, at, name, err);
    }
    (void)close(fd);
    return status;
}

/*
 * fd: -1 if the block is here by now. The last blocks are asked of two sources: the same block may
 * come twice at a time, and the first of them may have made the file whole.
 */
static enum pn_status part_open(struct store_file *f, uint32_t index, const char *part, int *fd,
                                struct pn_err *err)
{
    file_lock(f);
    enum pn_status status = PN_OK;
    *fd = -1;
    if (!f->on_disk_whole && !bitset_has(&f->content.had, index)) {
        status = f->part_made ? PN_OK : make_part(f, part, err);
        *fd = status == PN_OK ? dir_open(f->store->dir_fd, part, O_WRONLY) : -1;
        if (status == PN_OK && *fd < 0) {
            status = dir_fail(part, err);
        }
    }
    file_unlock(f);
    return status;
}

static enum pn_status part_write(struct store_file *f, uint32_t index, struct pn_bytes bytes,
                                 struct pn_err *err)
{
    char part[STORE_NAME_BYTES];
    int fd;
    store_name_add(f->name, ".part", part);
    enum pn_status status = part_open(f, index, part, &fd, err);
    if (fd >= 0) {
        uint64_t offset = (uint64_t)index * block_bytes_for(f->content.size);
        status = dir_pwrite(fd, bytes, offset, part, err);
        (void)close(fd);
    }
    return status;
}

enum pn_status store_file_write_block(struct store_file *f, uint32_t index, struct pn_bytes bytes,
                                      struct pn_err *err)
{
    if (index >= f->content.block_count) {
        return pn_fail(err, PN_E_RANGE, "%s: block %u of %u", f->name, index,
                       f->content.block_count);
    }
    if (!store_file_has_leaves(f)) {
        return pn_fail(err, PN_E_NOT_FOUND, "%s: no leaves yet", f->name);
    }
    if (!content_is_block(&f->content, index, bytes)) { /* leaves never change: no lock */
        return pn_fail(err, PN_E_MISMATCH, "%s: block %u does not hash right", f->name, index);
    }
    enum pn_status status = part_write(f, index, bytes, err);
    if (status != PN_OK) {
        return status;
    }
    file_lock(f);
    if (!bitset_has(&f->content.had, index)) {
        bitset_add(&f->content.had, index);
        bitset_add(&f->checked, index);
        status = content_whole(&f->content) ? store_file_become_whole(f, err)
                                            : record_block(f, index, err);
    }
    file_unlock(f);
    return status;
}

/* A file that is not as it was when its blocks were hashed is hashed again. The lock is held. */
static bool take_stamp(struct store_file *f, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    if (!f->on_disk_whole) {
        return true; /* our own writing changes it all the time */
    }
    struct stamp now = {st.st_mtim, st.st_ino, st.st_size};
    if (f->stamp.inode != 0 && memcmp(&now, &f->stamp, sizeof now) != 0) {
        for (uint64_t i = bitset_next(&f->checked, 0); i != BITSET_NONE;
             i = bitset_next(&f->checked, i + 1)) {
            bitset_remove(&f->checked, i);
        }
    }
    f->stamp = now;
    return true;
}

enum pn_status store_file_read_block(struct store_file *f, uint32_t index, uint8_t *out, size_t len,
                                     struct pn_err *err)
{
    if (!store_file_has_block(f, index)) {
        return pn_fail(err, PN_E_NOT_FOUND, "%s: block %u is not here", f->name, index);
    }
    if (len != block_length(f->content.size, index)) {
        return pn_fail(err, PN_E_MISMATCH, "%s: block %u has %u bytes, not %zu", f->name, index,
                       block_length(f->content.size, index), len);
    }
    char name[STORE_NAME_BYTES];
    uint64_t offset = (uint64_t)index * block_bytes_for(f->content.size);
    file_lock(f);
    store_name_add(f->name, f->on_disk_whole ? "" : ".part", name);
    int fd = dir_open(f->store->dir_fd, name, O_RDONLY);
    bool checked = fd >= 0 && take_stamp(f, fd) && bitset_has(&f->checked, index);
    file_unlock(f);
    if (fd < 0) {
        return dir_fail(name, err);
    }
    enum pn_status status = dir_pread(fd, out, len, offset, name, err);
    (void)close(fd);
    if (status != PN_OK || checked) {
        return status;
    }
    if (!content_is_block(&f->content, index, (struct pn_bytes){out, len})) {
        return pn_fail(err, PN_E_MISMATCH, "%s: block %u has changed on the disk", f->name, index);
    }
    file_lock(f);
    bitset_add(&f->checked, index);
    file_unlock(f);
    return PN_OK;
}

enum pn_status store_file_fd(struct store *s, const struct digest *root, int *fd,
                             struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    uint64_t size;
    store_content_name(root, name);
    enum pn_status status = store_stat_size(s, name, &size, err);
    if (status == PN_OK && !store_file_proven(s, root)) {
        struct store_file *f = NULL;
        status = store_file_open(s, root, size, false, &f, err);
        if (status == PN_OK) {
            store_file_close(f);
            status = store_file_proven(s, root)
                         ? PN_OK
                         : pn_fail(err, PN_E_MISMATCH, "%s: has changed on the disk", name);
        }
    }
    if (status != PN_OK) {
        return status;
    }
    *fd = dir_open(s->dir_fd, name, O_RDONLY);
    return *fd >= 0 ? PN_OK : dir_fail(name, err);
}

bool store_has_file(struct store *s, const struct digest *root)
{
    store_lock(s);
    bool has = catalogue_here(&s->catalogue, root);
    store_unlock(s);
    return has;
}

bool store_file_proven(struct store *s, const struct digest *root)
{
    store_lock(s);
    bool proven = catalogue_proven(&s->catalogue, root);
    store_unlock(s);
    return proven;
}
