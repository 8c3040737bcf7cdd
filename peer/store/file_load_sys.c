/* What the disk says about a file of the store when it is opened, and what of that is true. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log_sys.h"
#include "peer/store/dir_sys.h"
#include "peer/store/file_inside.h"

/* Leaves that do not fit the root are no leaves. */
static void load_leaves(struct store_file *f)
{
    char name[STORE_NAME_BYTES];
    struct buffer b;
    size_t bytes = f->content.block_count * sizeof(struct digest);
    buffer_init(&b, bytes);
    store_name_add(f->name, ".leaves", name);
    if (f->content.block_count > 1 && dir_read_file(f->store->dir_fd, name, &b, NULL) == PN_OK &&
        b.len == bytes) {
        (void)content_set_leaves(&f->content, (const struct digest *)b.ptr);
    }
    buffer_fini(&b);
}

static enum pn_status save_leaves(struct store_file *f, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    struct pn_bytes bytes = {(const uint8_t *)f->content.leaves,
                             f->content.block_count * sizeof(struct digest)};
    store_name_add(f->name, ".leaves", name);
    return dir_write_file(f->store->dir_fd, name, bytes, false, err);
}

static void load_record(struct store_file *f)
{
    char name[STORE_NAME_BYTES];
    struct buffer b;
    buffer_init(&b, content_record_bytes(&f->content));
    store_name_add(f->name, ".had", name);
    if (f->content.block_count > 0 && dir_read_file(f->store->dir_fd, name, &b, NULL) == PN_OK) {
        (void)content_read_record(&f->content, buffer_bytes(&b));
    }
    buffer_fini(&b);
}

/*
 * Hashes the blocks that count as had, and takes those back that are wrong. With leaves_out (when
 * there are no leaves to compare with) it fills in what the leaves are instead.
 */
static enum pn_status hash_had(struct store_file *f, const char *name, struct digest *leaves_out,
                               struct pn_err *err)
{
    struct content *c = &f->content;
    int fd = dir_open(f->store->dir_fd, name, O_RDONLY);
    uint8_t *block = malloc(block_bytes_for(c->size));
    enum pn_status status = PN_OK;
    if (fd < 0 || block == NULL) {
        status =
            fd < 0 ? dir_fail(name, err) : pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", name);
        goto out;
    }
    uint64_t bs = block_bytes_for(c->size);
    for (uint64_t i = bitset_next(&c->had, 0); i != BITSET_NONE; i = bitset_next(&c->had, i + 1)) {
        struct pn_bytes bytes = {block, block_length(c->size, (uint32_t)i)};
        status = dir_pread(fd, block, bytes.len, i * bs, name, err);
        if (status != PN_OK && status != PN_E_MISMATCH) {
            goto out;
        }
        if (status == PN_OK && leaves_out != NULL) {
            hash_leaf(bytes, &leaves_out[i]);
        } else if (status != PN_OK || !content_is_block(c, (uint32_t)i, bytes)) {
            bitset_remove(&c->had, i);
        }
        status = PN_OK;
    }
out:
    free(block);
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

static enum pn_status write_record(struct store_file *f, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    size_t len = content_record_bytes(&f->content);
    uint8_t *record = malloc(len > 0 ? len : 1);
    if (record == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", f->name);
    }
    for (size_t i = 0; i < len; i++) {
        record[i] = content_record_byte(&f->content, i);
    }
    store_name_add(f->name, ".had", name);
    enum pn_status status =
        dir_write_file(f->store->dir_fd, name, (struct pn_bytes){record, len}, false, err);
    free(record);
    return status;
}

/* A whole file with wrong blocks is an incomplete one again. */
static enum pn_status demote(struct store_file *f, struct pn_err *err)
{
    char part[STORE_NAME_BYTES];
    store_name_add(f->name, ".part", part);
    log_write(LOG_WARN, "store", "%s: %llu of %u blocks do not hash right any more", f->name,
              (unsigned long long)(f->content.block_count - f->content.had.member_count),
              f->content.block_count);
    enum pn_status status = write_record(f, err);
    status = status == PN_OK ? dir_rename(f->store->dir_fd, f->name, part, err) : status;
    f->on_disk_whole = false;
    f->part_made = status == PN_OK;
    return status;
}

/* The list of leaves may be missing while the file is there: then the file itself tells them. */
static enum pn_status find_leaves(struct store_file *f, struct pn_err *err)
{
    struct content *c = &f->content;
    /* One more than needed: an empty file has none, and calloc may say NULL to 0. */
    struct digest *leaves = calloc((size_t)c->block_count + 1, sizeof *leaves);
    if (leaves == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "%s: out of memory", f->name);
    }
    enum pn_status status = hash_had(f, f->name, leaves, err);
    if (status == PN_OK) {
        status = content_set_leaves(c, leaves);
        if (status != PN_OK) {
            (void)pn_fail(err, status, "%s: has changed on the disk", f->name);
        } else {
            status = save_leaves(f, err);
        }
    }
    free(leaves);
    return status;
}

/* The size on the disk is wrong, or nothing at all can be said about the file: begin anew. */
static enum pn_status discard(struct store_file *f, struct pn_err *err)
{
    static const char *const suffixes[] = {"", ".part", ".had", ".leaves"};
    char name[STORE_NAME_BYTES];
    for (uint64_t i = bitset_next(&f->content.had, 0); i != BITSET_NONE;
         i = bitset_next(&f->content.had, i + 1)) {
        bitset_remove(&f->content.had, i);
    }
    f->on_disk_whole = false;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        store_name_add(f->name, suffixes[i], name);
        enum pn_status status = dir_remove(f->store->dir_fd, name, err);
        if (status != PN_OK) {
            return status;
        }
    }
    return PN_OK;
}

/* Is what lies under the file's name its content, only of another size than we were told? */
static enum pn_status has_other_size(struct store_file *f, uint64_t size, bool *has,
                                     struct pn_err *err)
{
    struct store_file twin = {.store = f->store};
    *has = false;
    (void)snprintf(twin.name, sizeof twin.name, "%s", f->name);
    enum pn_status status = content_init(&twin.content, &f->content.root, size);
    if (status == PN_OK && twin.content.block_count > 0) {
        bitset_fill(&twin.content.had);
        load_leaves(&twin);
        if (!content_has_leaves(&twin.content)) {
            status = find_leaves(&twin, err);
        } else if (twin.content.block_count == 1) { /* a list of leaves proves the size, but */
            status = hash_had(&twin, twin.name, NULL, err); /* of one block there is none */
        }
        *has = status == PN_OK && content_whole(&twin.content);
    } else if (status == PN_OK) {
        struct digest root;
        hash_root(0, NULL, &root);
        *has = digest_equal(&root, &f->content.root);
    }
    content_fini(&twin.content);
    return status == PN_E_MISMATCH || status == PN_E_TOO_BIG ? PN_OK : status;
}

/*
 * The size that a manifest names is a stranger's word, and must cost nobody a file: only what is
 * not the content at all is thrown away.
 */
static enum pn_status load_other_size(struct store_file *f, uint64_t size, struct pn_err *err)
{
    bool has;
    enum pn_status status = has_other_size(f, size, &has, err);
    if (status != PN_OK) {
        return status;
    }
    return has ? pn_fail(err, PN_E_MISMATCH, "%s: has %llu bytes, not %llu", f->name,
                         (unsigned long long)size, (unsigned long long)f->content.size)
               : discard(f, err);
}

static enum pn_status load_whole(struct store_file *f, bool prove, struct pn_err *err)
{
    uint64_t size;
    enum pn_status status = store_stat_size(f->store, f->name, &size, err);
    if (status != PN_OK) {
        return status;
    }
    f->on_disk_whole = true;
    if (f->content.block_count > 0) {
        bitset_fill(&f->content.had);
    }
    if (size != f->content.size) {
        return load_other_size(f, size, err);
    }
    if (!content_has_leaves(&f->content)) {
        status = find_leaves(f, err);
        return status == PN_E_MISMATCH ? discard(f, err) : status;
    }
    if (prove) {
        status = hash_had(f, f->name, NULL, err);
        if (status == PN_OK && !content_whole(&f->content)) {
            status = demote(f, err);
        }
    }
    return status;
}

static enum pn_status load_part(struct store_file *f, bool prove, struct pn_err *err)
{
    char part[STORE_NAME_BYTES];
    store_name_add(f->name, ".part", part);
    f->part_made = dir_has(f->store->dir_fd, part);
    if (!f->part_made || f->content.leaves == NULL) {
        return PN_OK; /* blocks without leaves prove nothing */
    }
    load_record(f);
    if (!prove) {
        return PN_OK;
    }
    enum pn_status status = hash_had(f, part, NULL, err);
    return status == PN_OK ? write_record(f, err) : status;
}

enum pn_status store_file_become_whole(struct store_file *f, struct pn_err *err)
{
    char part[STORE_NAME_BYTES];
    char had[STORE_NAME_BYTES];
    store_name_add(f->name, ".part", part);
    store_name_add(f->name, ".had", had);
    enum pn_status status = dir_rename(f->store->dir_fd, part, f->name, err);
    if (status != PN_OK) {
        return status;
    }
    (void)unlinkat(f->store->dir_fd, had, 0);
    f->on_disk_whole = true;
    f->part_made = false;
    f->stamp = (struct stamp){0}; /* taken at the next reading */
    if (f->of_job) {
        store_lock(f->store);
        status = catalogue_set_here(&f->store->catalogue, &f->content.root, true);
        store_unlock(f->store);
    }
    return status;
}

static enum pn_status make_empty(struct store_file *f, struct pn_err *err)
{
    struct digest root;
    char part[STORE_NAME_BYTES];
    hash_root(0, NULL, &root);
    if (!digest_equal(&root, &f->content.root)) {
        return pn_fail(err, PN_E_MISMATCH, "%s: not the root of an empty file", f->name);
    }
    store_name_add(f->name, ".part", part);
    enum pn_status status =
        dir_write_file(f->store->dir_fd, part, (struct pn_bytes){NULL, 0}, false, err);
    return status == PN_OK ? store_file_become_whole(f, err) : status;
}

enum pn_status store_file_load(struct store_file *f, bool create, bool prove, struct pn_err *err)
{
    load_leaves(f);
    enum pn_status status = load_whole(f, prove, err);
    if (status == PN_E_NOT_FOUND) {
        status = load_part(f, prove, err);
    }
    if (status != PN_OK || f->on_disk_whole || f->part_made) {
        return status;
    }
    if (!create) {
        return pn_fail(err, PN_E_NOT_FOUND, "%s: not there", f->name);
    }
    return f->content.size == 0 ? make_empty(f, err) : PN_OK;
}
