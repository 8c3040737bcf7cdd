/*
 * Outputs of attempts: a folder each, that appears whole and synced under its name.
 *
 * Order, for every promise about results: files synced, their folder synced, the folder renamed,
 * the folder above synced; only then is PN_OK returned.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/store/attempt_name.h"
#include "peer/store/dir_sys.h"
#include "peer/store/inside.h"

/* Where an attempt is put together before it has a name: as long as the vote is not signed. */
static void draft_name(const struct file_set *attempt, char name[STORE_NAME_BYTES])
{
    char job[DIGEST_HEX_BYTES];
    char run[RUN_HEX_BYTES];
    digest_hex(&attempt->job, job);
    hex_write(run_bytes(&attempt->run), run);
    (void)snprintf(name, STORE_NAME_BYTES, "tmp/%s.%s.%" PRIu64 ".%" PRIu64, job, run,
                   attempt->slice, attempt->attempt);
}

/* Not synced: a draft need not survive anything. */
static enum pn_status make_draft(struct store *s, const char *draft, struct pn_err *err)
{
    return mkdirat(s->dir_fd, draft, 0700) == 0 || errno == EEXIST ? PN_OK : dir_fail(draft, err);
}

enum pn_status store_outbox_adopt(struct store *s, const struct file_set *attempt,
                                  struct store_adopt *outputs, uint32_t count, uint64_t bytes_max,
                                  struct pn_err *err)
{
    char draft[STORE_NAME_BYTES];
    char name[STORE_NAME_BYTES];
    store_attempt_name("outbox", attempt, "", name);
    if (dir_has(s->dir_fd, name)) {
        return pn_fail(err, PN_E_EXISTS, "%s: is there already", name);
    }
    draft_name(attempt, draft);
    enum pn_status status = dir_remove(s->dir_fd, draft, err);
    status = status == PN_OK ? make_draft(s, draft, err) : status;
    for (uint32_t i = 0; i < count && status == PN_OK; i++) {
        struct store_adopt *o = &outputs[i];
        (void)snprintf(name, sizeof name, "%.360s/%u", draft, o->index);
        status = store_copy_in(s, o->fd, bytes_max, name, &o->size, &o->root, err);
        bytes_max -= status == PN_OK ? o->size : 0;
    }
    if (status != PN_OK) {
        (void)dir_remove(s->dir_fd, draft, NULL);
    }
    return status;
}

/*
 * Moves a folder that is whole to <folder>/<job>/<run>/<slice>.<attempt>, for good. What is there
 * already was put there before a crash, or is to be made again: nobody has recorded its roots, or
 * they count no more.
 */
static enum pn_status place(struct store *s, const char *from, const char *folder,
                            const struct file_set *attempt, struct pn_err *err)
{
    char above[STORE_NAME_BYTES];
    char to[STORE_NAME_BYTES];
    store_run_name(folder, attempt, above);
    store_attempt_name(folder, attempt, "", to);
    enum pn_status status = dir_sync(s->dir_fd, from, err);
    status = status == PN_OK ? dir_make(s->dir_fd, above, err) : status;
    status = status == PN_OK ? dir_replace(s->dir_fd, from, to, err) : status;
    status = status == PN_OK ? dir_sync(s->dir_fd, above, err) : status;
    return status == PN_OK ? dir_remove(s->dir_fd, from, err) : status;
}

enum pn_status store_outbox_commit(struct store *s, const struct file_set *attempt,
                                   struct pn_bytes note, struct pn_err *err)
{
    char draft[STORE_NAME_BYTES];
    char name[STORE_NAME_BYTES];
    if (note.len > STORE_NOTE_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "note of %zu bytes", note.len);
    }
    draft_name(attempt, draft);
    store_name_add(draft, "/note", name);
    enum pn_status status = make_draft(s, draft, err); /* when there are no outputs */
    status = status == PN_OK ? dir_write_file(s->dir_fd, name, note, true, err) : status;
    return status == PN_OK ? place(s, draft, "outbox", attempt, err) : status;
}

enum pn_status store_outbox_hand_over(struct store *s, const struct file_set *attempt,
                                      struct pn_err *err)
{
    char from[STORE_NAME_BYTES];
    char to[STORE_NAME_BYTES];
    char above[STORE_NAME_BYTES];
    store_attempt_name("outbox", attempt, "", from);
    store_attempt_name("outputs", attempt, "", to);
    store_run_name("outbox", attempt, above);
    if (!dir_has(s->dir_fd, from) && dir_has(s->dir_fd, to)) {
        store_run_name("outputs", attempt, above); /* handed over before, perhaps a moment ago */
        return dir_sync(s->dir_fd, above, err);
    }
    enum pn_status status = place(s, from, "outputs", attempt, err);
    status = status == PN_OK ? dir_sync(s->dir_fd, above, err) : status;
    if (status == PN_OK) {
        char note[STORE_NAME_BYTES];
        store_name_add(to, "/note", note);
        (void)dir_remove(s->dir_fd, note, NULL); /* it was the worker's */
    }
    return status;
}

enum pn_status store_outbox_note(struct store *s, const struct file_set *attempt,
                                 struct buffer *note, struct pn_err *err)
{
    char folder[STORE_NAME_BYTES];
    char name[STORE_NAME_BYTES];
    store_attempt_name("outbox", attempt, "", folder);
    store_name_add(folder, "/note", name);
    return dir_read_file(s->dir_fd, name, note, err);
}

static enum pn_status drop(struct store *s, const char *folder, const struct file_set *attempt,
                           const char *suffix, struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    store_attempt_name(folder, attempt, suffix, name);
    return dir_remove(s->dir_fd, name, err);
}

enum pn_status store_outbox_drop(struct store *s, const struct file_set *attempt,
                                 struct pn_err *err)
{
    char draft[STORE_NAME_BYTES];
    draft_name(attempt, draft);
    enum pn_status status = dir_remove(s->dir_fd, draft, err);
    return status == PN_OK ? drop(s, "outbox", attempt, "", err) : status;
}

enum pn_status store_outputs_drop(struct store *s, const struct file_set *attempt,
                                  struct pn_err *err)
{
    enum pn_status status = drop(s, "outputs", attempt, ".part", err);
    return status == PN_OK ? drop(s, "outputs", attempt, "", err) : status;
}

/* --- walking the outbox: job, run, attempt --- */

struct walk {
    struct store *store;
    struct file_set set;
    void (*each)(void *arg, const struct file_set *attempt);
    void *arg;
};

static void walk_attempt(void *arg, const char *name)
{
    struct walk *w = arg;
    if (attempt_name_parse(name, &w->set.slice, &w->set.attempt)) {
        w->each(w->arg, &w->set);
    }
}

static void walk_run(void *arg, const char *name)
{
    struct walk *w = arg;
    char folder[STORE_NAME_BYTES];
    if (hex_parse(name, strlen(name), w->set.run.b, RUN_BYTES)) {
        store_run_name("outbox", &w->set, folder);
        (void)dir_each(w->store->dir_fd, folder, walk_attempt, w, NULL);
    }
}

static void walk_job(void *arg, const char *name)
{
    struct walk *w = arg;
    char folder[STORE_NAME_BYTES];
    if (digest_parse(name, strlen(name), &w->set.job)) {
        (void)snprintf(folder, sizeof folder, "outbox/%.128s", name);
        (void)dir_each(w->store->dir_fd, folder, walk_run, w, NULL);
    }
}

enum pn_status store_outbox_list(struct store *s,
                                 void (*each)(void *arg, const struct file_set *attempt), void *arg,
                                 struct pn_err *err)
{
    struct walk w = {.store = s, .set = {.kind = SET_OF_ATTEMPT}, .each = each, .arg = arg};
    return dir_each(s->dir_fd, "outbox", walk_job, &w, err);
}

/* --- a master's outputs --- */

struct sync_all {
    struct store *store;
    const char *folder;
    enum pn_status status;
    struct pn_err *err;
};

static void sync_each(void *arg, const char *name)
{
    struct sync_all *a = arg;
    char path[STORE_NAME_BYTES];
    (void)snprintf(path, sizeof path, "%.320s/%.32s", a->folder, name);
    if (a->status == PN_OK) {
        a->status = dir_sync(a->store->dir_fd, path, a->err);
    }
}

enum pn_status store_outputs_finish(struct store *s, const struct file_set *attempt,
                                    struct pn_err *err)
{
    char part[STORE_NAME_BYTES];
    char to[STORE_NAME_BYTES];
    char above[STORE_NAME_BYTES];
    store_attempt_name("outputs", attempt, ".part", part);
    store_attempt_name("outputs", attempt, "", to);
    if (!dir_has(s->dir_fd, part) && dir_has(s->dir_fd, to)) {
        store_run_name("outputs", attempt, above);
        return dir_sync(s->dir_fd, above, err);
    }
    struct sync_all all = {.store = s, .folder = part, .status = PN_OK, .err = err};
    enum pn_status status = dir_make(s->dir_fd, part, err); /* no outputs: an empty folder */
    status = status == PN_OK ? dir_each(s->dir_fd, part, sync_each, &all, err) : status;
    status = status == PN_OK ? all.status : status;
    return status == PN_OK ? place(s, part, "outputs", attempt, err) : status;
}

/* The caller closes *fd. */
static enum pn_status open_output(struct store *s, const struct file_set *attempt, uint32_t index,
                                  int *fd, uint64_t *size, struct pn_err *err)
{
    static const char *const folders[] = {"outputs", "outbox"};
    enum pn_status status = PN_E_NOT_FOUND;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && status == PN_E_NOT_FOUND; i++) {
        char folder[STORE_NAME_BYTES];
        char name[STORE_NAME_BYTES];
        store_attempt_name(folders[i], attempt, "", folder);
        (void)snprintf(name, sizeof name, "%.360s/%u", folder, index);
        status = store_stat_size(s, name, size, err);
        if (status == PN_OK) {
            *fd = dir_open(s->dir_fd, name, O_RDONLY);
            status = *fd >= 0 ? PN_OK : dir_fail(name, err);
        }
    }
    return status;
}

enum pn_status store_output_read(struct store *s, const struct file_set *attempt, uint32_t index,
                                 uint64_t offset, size_t bytes_max, struct buffer *out,
                                 uint64_t *size, struct pn_err *err)
{
    int fd = -1;
    enum pn_status status = open_output(s, attempt, index, &fd, size, err);
    if (status != PN_OK) {
        return status;
    }
    const uint64_t left = offset < *size ? *size - offset : 0;
    const size_t want = left < bytes_max ? (size_t)left : bytes_max;
    uint8_t *at = NULL;
    if (want > out->max - out->len) {
        status = pn_fail(err, PN_E_TOO_BIG, "output: %zu bytes, no room for them", want);
    } else if ((at = buffer_room(out, want)) == NULL) {
        status = pn_fail(err, PN_E_NO_MEMORY, "output: out of memory");
    } else {
        status = dir_pread(fd, at, want, offset, "output", err);
    }
    if (status == PN_OK) {
        buffer_used(out, want);
    }
    (void)close(fd);
    return status;
}
