/* The jobs of a store: a folder each with its manifest, its owner's signature and its grant. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/store/dir_sys.h"
#include "peer/store/inside.h"

static void job_name(const struct digest *job, const char *file, char name[STORE_NAME_BYTES])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(job, hex);
    (void)snprintf(name, STORE_NAME_BYTES, "jobs/%s%s", hex, file);
}

static const char BORROWED[] =
    "/borrowed"; /* beside the papers of a job that is not ours to keep */

static enum pn_status write_grant(struct store *s, const char *name, const struct grant *grant,
                                  bool durable, struct pn_err *err)
{
    uint8_t bytes[GRANT_BYTES_MAX];
    struct pn_bytes encoded = grant_write(grant, bytes, sizeof bytes);
    return dir_write_file(s->dir_fd, name, encoded, durable, err);
}

/* What is to be kept of a job, and whether through a loss of power too. */
struct papers {
    struct pn_bytes manifest;
    const struct signature *owner;
    const struct grant *grant; /* NULL: none */
    bool durable;
};

static enum pn_status sync_if(struct store *s, const struct papers *p, const char *name,
                              struct pn_err *err)
{
    return p->durable ? dir_sync(s->dir_fd, name, err) : PN_OK;
}

/* A job appears whole: written in tmp/, synced, renamed. What lay there was found damaged. */
static enum pn_status write_job(struct store *s, const struct digest *job, const struct papers *p,
                                struct pn_err *err)
{
    char tmp[STORE_NAME_BYTES];
    char file[STORE_NAME_BYTES];
    char to[STORE_NAME_BYTES];
    store_tmp_name(s, tmp);
    job_name(job, "", to);
    enum pn_status status = mkdirat(s->dir_fd, tmp, 0700) == 0 ? PN_OK : dir_fail(tmp, err);
    if (status == PN_OK) {
        store_name_add(tmp, "/manifest", file);
        status = dir_write_file(s->dir_fd, file, p->manifest, p->durable, err);
    }
    if (status == PN_OK) {
        store_name_add(tmp, "/owner", file);
        status = dir_write_file(s->dir_fd, file, (struct pn_bytes){p->owner->b, SIGNATURE_BYTES},
                                p->durable, err);
    }
    if (status == PN_OK && !p->durable) {
        store_name_add(tmp, BORROWED, file);
        status = dir_write_file(s->dir_fd, file, (struct pn_bytes){NULL, 0}, false, err);
    }
    if (status == PN_OK && p->grant != NULL) {
        store_name_add(tmp, "/grant", file);
        status = write_grant(s, file, p->grant, p->durable, err);
    }
    status = status == PN_OK ? sync_if(s, p, tmp, err) : status;
    if (status == PN_OK && dir_has(s->dir_fd, to)) {
        status = dir_remove(s->dir_fd, to, err);
    }
    status = status == PN_OK ? dir_rename(s->dir_fd, tmp, to, err) : status;
    status = status == PN_OK ? sync_if(s, p, "jobs", err) : status;
    if (status != PN_OK) {
        (void)dir_remove(s->dir_fd, tmp, NULL);
    }
    return status;
}

static enum pn_status replace_grant(struct store *s, const struct digest *job,
                                    const struct papers *p, struct pn_err *err)
{
    char tmp[STORE_NAME_BYTES];
    char name[STORE_NAME_BYTES];
    store_tmp_name(s, tmp);
    job_name(job, "/grant", name);
    enum pn_status status = write_grant(s, tmp, p->grant, p->durable, err);
    status = status == PN_OK ? dir_rename(s->dir_fd, tmp, name, err) : status;
    job_name(job, "", name);
    return status == PN_OK ? sync_if(s, p, name, err) : status;
}

/* A job that was only remembered, and now must outlast a loss of power. */
static enum pn_status settle(struct store *s, const struct digest *job, struct pn_err *err)
{
    static const char *const parts[] = {"/manifest", "/owner", ""};
    char name[STORE_NAME_BYTES];
    job_name(job, BORROWED, name);
    enum pn_status status = dir_remove(s->dir_fd, name, err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == PN_OK; i++) {
        job_name(job, parts[i], name);
        status = dir_sync(s->dir_fd, name, err);
    }
    return status == PN_OK ? dir_sync(s->dir_fd, "jobs", err) : status;
}

struct emptied {
    struct store *store;
    char folder[STORE_NAME_BYTES];
};

/* A run's folder stays when its last attempt is delivered. */
static void remove_empty(void *arg, const char *run)
{
    const struct emptied *e = arg;
    char name[STORE_NAME_BYTES + NAME_MAX];
    (void)snprintf(name, sizeof name, "%s/%s", e->folder, run);
    (void)unlinkat(e->store->dir_fd, name, AT_REMOVEDIR); /* not, while something is in it */
}

bool store_job_stale(struct store *s, const struct digest *job, int64_t now_s)
{
    struct stat st;
    char hex[DIGEST_HEX_BYTES];
    char name[STORE_NAME_BYTES];
    job_name(job, BORROWED, name);
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        st.st_mtim.tv_sec + STORE_BORROWED_S > now_s) {
        return false;
    }
    digest_hex(job, hex);
    struct emptied e = {.store = s};
    (void)snprintf(e.folder, sizeof e.folder, "outbox/%s", hex);
    (void)dir_each(s->dir_fd, e.folder, remove_empty, &e, NULL);
    return unlinkat(s->dir_fd, e.folder, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static enum pn_status put(struct store *s, const struct papers *p, struct digest *job,
                          struct pn_err *err)
{
    struct manifest m;
    enum pn_status status = manifest_parse(p->manifest, &m, err);
    if (status != PN_OK) {
        return status;
    }
    manifest_id(p->manifest, job);
    if (store_has_job(s, job)) {
        status = p->grant != NULL ? replace_grant(s, job, p, err) : PN_OK;
        status = status == PN_OK && p->durable ? settle(s, job, err) : status;
        goto out;
    }
    status = write_job(s, job, p, err);
    if (status == PN_OK) {
        store_lock(s);
        status = catalogue_add_job(&s->catalogue, job, &m);
        store_unlock(s);
        if (status != PN_OK) {
            (void)pn_fail(err, status, "job: %s", pn_status_text(status));
        }
    }
out:
    manifest_fini(&m);
    return status;
}

enum pn_status store_job_put(struct store *s, struct pn_bytes manifest,
                             const struct signature *owner, const struct grant *grant,
                             struct digest *job, struct pn_err *err)
{
    const struct papers p = {manifest, owner, grant, true};
    return put(s, &p, job, err);
}

enum pn_status store_job_remember(struct store *s, struct pn_bytes manifest,
                                  const struct signature *owner, const struct grant *grant,
                                  struct digest *job, struct pn_err *err)
{
    const struct papers p = {manifest, owner, grant, false};
    return put(s, &p, job, err);
}

static enum pn_status read_owner(struct store *s, const struct digest *job, struct signature *out,
                                 struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    struct buffer b;
    buffer_init(&b, SIGNATURE_BYTES);
    job_name(job, "/owner", name);
    enum pn_status status = dir_read_file(s->dir_fd, name, &b, err);
    if (status == PN_OK && b.len != SIGNATURE_BYTES) {
        status = pn_fail(err, PN_E_MALFORMED, "%s: %zu bytes", name, b.len);
    }
    if (status == PN_OK) {
        memcpy(out->b, b.ptr, SIGNATURE_BYTES);
    }
    buffer_fini(&b);
    return status;
}

static enum pn_status read_grant(struct store *s, const struct digest *job, struct store_job *out,
                                 struct pn_err *err)
{
    char name[STORE_NAME_BYTES];
    struct buffer b;
    buffer_init(&b, GRANT_BYTES_MAX);
    job_name(job, "/grant", name);
    enum pn_status status = dir_read_file(s->dir_fd, name, &b, err);
    if (status == PN_OK) {
        status = grant_parse(buffer_bytes(&b), &out->grant, err);
        out->granted = status == PN_OK;
    }
    buffer_fini(&b);
    return status == PN_E_NOT_FOUND ? PN_OK : status;
}

enum pn_status store_job_read(struct store *s, const struct digest *job, struct store_job *out,
                              struct pn_err *err)
{
    struct store_job j = {.granted = false};
    char name[STORE_NAME_BYTES];
    buffer_init(&j.manifest, MANIFEST_BYTES_MAX);
    job_name(job, "/manifest", name);
    enum pn_status status = dir_read_file(s->dir_fd, name, &j.manifest, err);
    if (status == PN_OK) {
        struct digest actual;
        manifest_id(buffer_bytes(&j.manifest), &actual);
        if (!digest_equal(job, &actual)) {
            status = pn_fail(err, PN_E_MISMATCH, "%s: has changed on the disk", name);
        }
    }
    status = status == PN_OK ? read_owner(s, job, &j.owner, err) : status;
    status = status == PN_OK ? read_grant(s, job, &j, err) : status;
    if (status != PN_OK) {
        buffer_fini(&j.manifest);
        return status;
    }
    *out = j;
    return PN_OK;
}

void store_job_fini(struct store_job *j) { buffer_fini(&j->manifest); }

static void take_id(void *arg, const struct digest *job)
{
    struct digest **at = arg;
    *(*at)++ = *job;
}

enum pn_status store_jobs(struct store *s, struct digest **jobs, size_t *count)
{
    store_lock(s);
    *count = s->catalogue.jobs.count;
    *jobs = malloc((*count > 0 ? *count : 1) * sizeof **jobs);
    if (*jobs != NULL) {
        struct digest *at = *jobs;
        catalogue_jobs(&s->catalogue, take_id, &at);
    }
    store_unlock(s);
    return *jobs != NULL ? PN_OK : PN_E_NO_MEMORY;
}

bool store_has_job(struct store *s, const struct digest *job)
{
    store_lock(s);
    bool has = catalogue_has_job(&s->catalogue, job);
    store_unlock(s);
    return has;
}

static void remove_content(void *arg, const struct digest *root)
{
    static const char *const suffixes[] = {"", ".part", ".had", ".leaves"};
    struct store *s = arg;
    char name[STORE_NAME_BYTES];
    char path[STORE_NAME_BYTES];
    store_content_name(root, name);
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        store_name_add(name, suffixes[i], path);
        (void)dir_remove(s->dir_fd, path, NULL);
    }
}

enum pn_status store_job_remove(struct store *s, const struct digest *job, struct pn_err *err)
{
    static const char *const folders[] = {"outputs", "outbox"};
    char hex[DIGEST_HEX_BYTES];
    char name[STORE_NAME_BYTES];
    char tmp[STORE_NAME_BYTES];
    digest_hex(job, hex);
    job_name(job, "", name);
    store_tmp_name(s, tmp);
    enum pn_status status = dir_rename(s->dir_fd, name, tmp, err); /* gone in one step */
    if (status != PN_OK) {
        return status;
    }
    store_lock(s);
    (void)catalogue_remove_job(&s->catalogue, job, remove_content, s);
    store_unlock(s);
    status = dir_remove(s->dir_fd, tmp, err);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", folders[i], hex);
        enum pn_status removed = dir_remove(s->dir_fd, name, err);
        status = status == PN_OK ? removed : status;
    }
    return status == PN_OK ? dir_sync(s->dir_fd, "jobs", err) : status;
}
