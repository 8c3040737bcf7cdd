#include "peer/store/store_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/store/attempt_name.h"
#include "peer/store/dir_sys.h"
#include "peer/store/inside.h"

enum { FORMAT_VERSION = 1, FORMAT_BYTES_MAX = 64 };

static const char *const folders[] = {"jobs", "files", "outbox", "outputs", "tmp"};

const char *store_path(const struct store *s) { return s->path; }

int store_dir_fd(const struct store *s) { return s->dir_fd; }

/* --- names --- */

void store_tmp_name(struct store *s, char name[STORE_NAME_BYTES])
{
    store_lock(s);
    uint64_t serial = s->tmp_serial++;
    store_unlock(s);
    (void)snprintf(name, STORE_NAME_BYTES, "tmp/%" PRIu64, serial);
}

void store_content_name(const struct digest *root, char name[STORE_NAME_BYTES])
{
    char hex[DIGEST_HEX_BYTES];
    digest_hex(root, hex);
    (void)snprintf(name, STORE_NAME_BYTES, "files/%s", hex);
}

void store_run_name(const char *folder, const struct file_set *attempt, char name[STORE_NAME_BYTES])
{
    char job[DIGEST_HEX_BYTES];
    char run[RUN_HEX_BYTES];
    digest_hex(&attempt->job, job);
    hex_write(run_bytes(&attempt->run), run);
    (void)snprintf(name, STORE_NAME_BYTES, "%s/%s/%s", folder, job, run);
}

void store_attempt_name(const char *folder, const struct file_set *attempt, const char *suffix,
                        char name[STORE_NAME_BYTES])
{
    char run[STORE_NAME_BYTES];
    char last[ATTEMPT_NAME_BYTES];
    store_run_name(folder, attempt, run);
    (void)snprintf(name, STORE_NAME_BYTES, "%.320s/%s%s", run,
                   attempt_name_write(attempt->slice, attempt->attempt, last), suffix);
}

enum pn_status store_stat_size(const struct store *s, const char *name, uint64_t *size,
                               struct pn_err *err)
{
    struct stat st;
    if (fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return dir_fail(name, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return pn_fail(err, PN_E_MISMATCH, "%s: not a regular file", name);
    }
    *size = (uint64_t)st.st_size;
    return PN_OK;
}

/* --- opening --- */

/* Makes the folder itself and what leads to it. */
static enum pn_status open_folder(struct store *s, struct pn_err *err)
{
    char path[STORE_PATH_MAX];
    size_t len = strlen(s->path);
    memcpy(path, s->path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return dir_fail(path, err);
        }
        path[i] = i < len ? '/' : '\0';
    }
    s->dir_fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        return dir_fail(s->path, err);
    }
    /* Whoever made it, its name must last as what it holds does. The folder above may be one that
     * we may not read: then it is not ours to have made it in. */
    (void)dir_sync(s->dir_fd, "..", NULL);
    return PN_OK;
}

/* The kernel drops the lock when the process ends, however it ends. */
static enum pn_status take_lock(struct store *s, struct pn_err *err)
{
    s->lock_fd = dir_open(s->dir_fd, "lock", O_RDWR | O_CREAT);
    if (s->lock_fd < 0) {
        return dir_fail("lock", err);
    }
    char pid[32] = {0};
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = errno == EWOULDBLOCK ? pread(s->lock_fd, pid, sizeof pid - 1, 0) : -1;
        if (n < 0) {
            return dir_fail("lock", err);
        }
        return pn_fail(err, PN_E_BUSY, "in use by another peer (process %.*s)",
                       (int)strspn(pid, "0123456789"), pid);
    }
    int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) != 0) {
        return dir_fail("lock", err);
    }
    return dir_pwrite(s->lock_fd, (struct pn_bytes){(uint8_t *)pid, (size_t)len}, 0, "lock", err);
}

static enum pn_status check_format(struct store *s, struct pn_err *err)
{
    char text[FORMAT_BYTES_MAX + 1] = {0};
    struct buffer b;
    buffer_init(&b, FORMAT_BYTES_MAX);
    enum pn_status status = dir_read_file(s->dir_fd, "format", &b, err);
    if (status == PN_OK && b.len > 0) {
        memcpy(text, b.ptr, b.len);
    }
    buffer_fini(&b);
    if (status == PN_E_NOT_FOUND || (status == PN_OK && text[0] == '\0')) {
        int len = snprintf(text, sizeof text, "preon data %d\n", FORMAT_VERSION);
        struct pn_bytes bytes = {(uint8_t *)text, (size_t)len};
        return dir_write_file(s->dir_fd, "format", bytes, true, err);
    }
    if (status != PN_OK) {
        return status;
    }
    unsigned long version = 0;
    if (strncmp(text, "preon data ", 11) == 0) {
        version = strtoul(text + 11, NULL, 10);
    }
    if (version > FORMAT_VERSION) {
        return pn_fail(err, PN_E_UNSUPPORTED,
                       "written by a newer version of preon (format %lu, this one knows %d)",
                       version, FORMAT_VERSION);
    }
    return version == FORMAT_VERSION
               ? PN_OK
               : pn_fail(err, PN_E_MALFORMED, "format: not a data folder of preon");
}

static enum pn_status make_folders(struct store *s, struct pn_err *err)
{
    enum pn_status status = dir_remove(s->dir_fd, "tmp", err);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0] && status == PN_OK; i++) {
        status = dir_make(s->dir_fd, folders[i], err);
    }
    s->unclean = dir_has(s->dir_fd, "running");
    /*
     * What was killed may have renamed and made folders without having synced them: they are found
     * in place now, and whoever finds them so promises them.
     */
    if (status == PN_OK && s->unclean && syncfs(s->dir_fd) != 0) {
        return dir_fail(".", err);
    }
    if (status == PN_OK && !s->unclean) {
        status = dir_write_file(s->dir_fd, "running", (struct pn_bytes){NULL, 0}, true, err);
    }
    return status == PN_OK ? dir_sync(s->dir_fd, ".", err) : status;
}

/* --- finding what is there --- */

/* A damaged job is said so and left alone: its outputs may still be of use to its owner. */
static void found_job(void *arg, const char *name)
{
    struct store *s = arg;
    struct digest id;
    struct store_job job;
    struct manifest m;
    struct pn_err err;
    if (!digest_parse(name, strlen(name), &id)) {
        return;
    }
    if (store_job_stale(s, &id, (int64_t)(clock_wall_ms() / 1000))) {
        char path[STORE_NAME_BYTES];
        (void)snprintf(path, sizeof path, "jobs/%.128s", name);
        (void)dir_remove(s->dir_fd, path, NULL);
        return;
    }
    enum pn_status status = store_job_read(s, &id, &job, &err);
    if (status == PN_OK) {
        status = manifest_parse(buffer_bytes(&job.manifest), &m, &err);
        store_job_fini(&job);
    }
    if (status == PN_OK) {
        status = catalogue_add_job(&s->catalogue, &id, &m);
        manifest_fini(&m);
        if (status != PN_OK) {
            (void)pn_fail(&err, status, "%s", pn_status_text(status));
        }
    }
    if (status != PN_OK) {
        log_write(LOG_WARN, "store", "job %.12s is left out: %s", name, err.text);
    }
}

/* files/: "<root>" is whole; "<root>.part", ".had" and ".leaves" are looked at when it is opened.
 */
static void found_file(void *arg, const char *name)
{
    struct store *s = arg;
    struct digest root;
    char path[STORE_NAME_BYTES];
    size_t len = strcspn(name, ".");
    (void)snprintf(path, sizeof path, "files/%.128s", name);
    if (!digest_parse(name, len, &root) || !catalogue_named(&s->catalogue, &root)) {
        (void)dir_remove(s->dir_fd, path, NULL); /* no job needs it; it may come again */
        return;
    }
    if (name[len] == '\0') {
        (void)catalogue_set_here(&s->catalogue, &root, !s->unclean);
    }
}

/* outputs/ and outbox/ of a job whose removal a crash cut short: its folder in jobs/ went first. */
static void found_results(struct store *s, const char *folder, const char *job_hex)
{
    struct digest job;
    char name[STORE_NAME_BYTES];
    (void)snprintf(name, sizeof name, "jobs/%.128s", job_hex);
    if (!digest_parse(job_hex, strlen(job_hex), &job) || dir_has(s->dir_fd, name)) {
        return;
    }
    (void)snprintf(name, sizeof name, "%.16s/%.128s", folder, job_hex);
    (void)dir_remove(s->dir_fd, name, NULL);
}

static void found_outputs(void *arg, const char *name) { found_results(arg, "outputs", name); }
static void found_outbox(void *arg, const char *name) { found_results(arg, "outbox", name); }

enum pn_status store_open(const char *data_dir, struct store **out, struct pn_err *err)
{
    size_t len = strlen(data_dir);
    if (len == 0 || len >= STORE_PATH_MAX) {
        return pn_fail(err, PN_E_RANGE, "data folder: a path of %zu bytes", len);
    }
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "data folder %s: out of memory", data_dir);
    }
    memcpy(s->path, data_dir, len + 1);
    s->dir_fd = -1;
    s->lock_fd = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->syncing, NULL);
    catalogue_init(&s->catalogue, random_fresh_seed());
    table_init(&s->files, DIGEST_BYTES, STORE_OPEN_FILES_MAX, random_fresh_seed());

    enum pn_status status = open_folder(s, err);
    status = status == PN_OK ? take_lock(s, err) : status;
    status = status == PN_OK ? check_format(s, err) : status;
    status = status == PN_OK ? make_folders(s, err) : status;
    status = status == PN_OK ? dir_each(s->dir_fd, "jobs", found_job, s, err) : status;
    status = status == PN_OK ? dir_each(s->dir_fd, "files", found_file, s, err) : status;
    status = status == PN_OK ? dir_each(s->dir_fd, "outputs", found_outputs, s, err) : status;
    status = status == PN_OK ? dir_each(s->dir_fd, "outbox", found_outbox, s, err) : status;
    if (status != PN_OK) {
        pn_err_wrap(err, "data folder %s", data_dir);
        if (s->lock_fd >= 0) {
            (void)close(s->lock_fd); /* so that store_close does not call this a clean stop */
            s->lock_fd = -1;
        }
        store_close(s);
        return status;
    }
    *out = s;
    return PN_OK;
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    /* Only what has reached the disk may be believed at the next start. */
    if (s->lock_fd >= 0 && syncfs(s->dir_fd) == 0 && !s->sync_failed) {
        (void)unlinkat(s->dir_fd, "running", 0);
        (void)close(s->lock_fd);
    }
    if (s->dir_fd >= 0) {
        (void)close(s->dir_fd);
    }
    catalogue_fini(&s->catalogue);
    table_fini(&s->files);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->syncing);
    free(s);
}
