#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "peer/worker/worker_shell.h"

struct errand *errand_new(struct labour *l, const struct digest *job)
{
    struct errand *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    e->of = l;
    e->job = *job;
    e->program_fd = -1;
    e->vetted.errand = e;
    e->fetched.errand = e;
    buffer_init(&e->text, MANIFEST_BYTES_MAX);
    manifest_init(&e->manifest, MANIFEST_JOB);
    e->next = l->errands;
    l->errands = e;
    return e;
}

struct errand *errand_find(const struct labour *l, const struct digest *job)
{
    struct errand *e = l->errands;
    while (e != NULL && (e->gone || !digest_equal(&e->job, job))) {
        e = e->next;
    }
    return e;
}

static void close_files(struct errand *e)
{
    for (uint32_t i = 0; i < e->file_count && e->tree == NULL; i++) {
        (void)close(e->files[i].fd);
    }
    store_tree_remove(e->tree);
    e->tree = NULL;
    free(e->files);
    e->files = NULL;
    e->file_count = 0;
    if (e->program_fd >= 0) {
        (void)close(e->program_fd);
    }
    e->program_fd = -1;
}

static void free_if_done(struct errand *e)
{
    if (!e->gone || e->pins > 0) {
        return;
    }
    struct errand **link = &e->of->errands;
    while (*link != e) {
        link = &(*link)->next;
    }
    *link = e->next;
    close_files(e);
    buffer_fini(&e->text);
    manifest_fini(&e->manifest);
    free(e);
}

void errand_pin(struct errand *e)
{
    e->pins++;
    labour_pin(e->of);
}

void errand_unpin(struct errand *e)
{
    struct labour *l = e->of;
    e->pins--;
    free_if_done(e);
    labour_unpin(l);
}

void errand_leave(struct errand *e)
{
    if (e->gone) {
        return;
    }
    e->gone = true;
    if (e->shared) {
        e->of->config.on_files(e->of->config.arg, &e->job, false);
    }
    if (e->fetch != NULL) {
        transfer_cancel(e->fetch);
        e->fetch = NULL;
        errand_unpin(e);
        return;
    }
    free_if_done(e);
}

/* --- papers ----------------------------------------------------------------------------------- */

static void tell(struct errand *e, enum worker_event_kind kind, enum pn_status status,
                 enum work_reason reason, const char *text)
{
    if (e->gone) {
        return;
    }
    const struct worker_event ev = {
        .kind = kind, .job = e->job, .status = status, .reason = reason};
    labour_event(e->of, kind == WORKER_VETTED ? &e->vetted : &e->fetched, &ev, text);
}

/* PN_E_DENIED: against our wishes, which is nobody's fault. */
static void refuse(struct errand *e, enum pn_status status, const struct pn_err *err)
{
    char job[DIGEST_SHORT_BYTES];
    digest_short(&e->job, job);
    log_write(LOG_INFO, "worker", "job %s refused: %s", job, err->text);
    tell(e, WORKER_VETTED, status, WORK_REFUSED, err->text);
}

struct paper_work {
    uv_work_t work;
    struct errand *errand;
    bool read; /* from the store; else keep it there */
    enum pn_status status;
    struct pn_err err;
    struct store_job stored;
};

static void judge_text(struct errand *e, struct pn_bytes text, const struct grant *known);
static void fetch_manifest(struct errand *e);

static void paper_work(uv_work_t *req)
{
    struct paper_work *w = req->data;
    struct errand *e = w->errand;
    struct store *store = e->of->config.store;
    if (w->read) {
        w->status = store_job_read(store, &e->job, &w->stored, &w->err);
    } else {
        struct digest job;
        /* A grant that took another's place must not be forgotten. */
        bool first = e->grant.serial <= 1;
        w->status = (first ? store_job_remember : store_job_put)(
            store, buffer_bytes(&e->text), &e->owner_signature, &e->grant, &job, &w->err);
    }
}

static void after_paper_work(uv_work_t *req, int uv_status)
{
    struct paper_work *w = req->data;
    struct errand *e = w->errand;
    (void)uv_status;
    if (w->status != PN_OK && w->read) { /* damaged by a loss of power: its master has it */
        fetch_manifest(e);
    } else if (w->status != PN_OK) {
        refuse(e, PN_E_DENIED, &w->err);
    } else if (w->read) {
        judge_text(e, buffer_bytes(&w->stored.manifest),
                   w->stored.granted ? &w->stored.grant : NULL);
    } else {
        tell(e, WORKER_VETTED, PN_OK, 0, NULL);
    }
    if (w->read && w->status == PN_OK) {
        store_job_fini(&w->stored);
    }
    free(w);
    errand_unpin(e);
}

static void start_paper_work(struct errand *e, bool read)
{
    struct paper_work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        const struct pn_err err = {PN_E_NO_MEMORY, "out of memory"};
        refuse(e, PN_E_DENIED, &err);
        return;
    }
    w->work.data = w;
    w->errand = e;
    w->read = read;
    errand_pin(e);
    (void)uv_queue_work(e->of->config.loop, &w->work, paper_work, after_paper_work);
}

/*
 * The manifest is here: is it well-formed, are its papers in order, is it welcome? known: the grant
 * that lies beside it in the store, NULL when there is none. A newer one takes its place, so that
 * an older one does not count after a restart either.
 */
static void judge_text(struct errand *e, struct pn_bytes text, const struct grant *known)
{
    if (e->gone) {
        return;
    }
    const struct labour_config *c = &e->of->config;
    struct pn_err err = {0};
    enum pn_status status = PN_OK;
    if (!e->parsed) {
        status = manifest_parse(text, &e->manifest, &err);
        e->parsed = status == PN_OK;
    }
    if (status == PN_OK) {
        status = papers_check(&e->manifest, &e->job, &e->run, &e->owner_signature,
                              (struct pn_bytes){e->grant_bytes, e->grant_len}, &e->master_id,
                              clock_wall_ms(), &e->grant, &err);
    }
    bool newer = true;
    if (status != PN_OK) {
        refuse(e, PN_E_MISMATCH, &err);
        return;
    }
    if (known != NULL && !e->own) {
        status = papers_check_serial(known, &e->grant, &newer, &err);
    }
    if (status == PN_OK && !e->own) {
        status = consent_check(&c->wishes, &e->manifest, &err);
    }
    if (status == PN_OK && e->manifest.dep_count > 0) {
        status = pn_fail(&err, PN_E_UNSUPPORTED, "its datasets cannot be fetched by this version");
    }
    if (status != PN_OK) {
        refuse(e, PN_E_DENIED, &err);
    } else if (e->own || (!newer && store_has_job(c->store, &e->job))) {
        tell(e, WORKER_VETTED, PN_OK, 0, NULL);
    } else {
        e->text.len = 0;
        if (buffer_append(&e->text, text) == PN_OK) {
            start_paper_work(e, false);
        } else {
            (void)pn_fail(&err, PN_E_NO_MEMORY, "out of memory");
            refuse(e, PN_E_DENIED, &err);
        }
    }
}

static void on_manifest(void *arg, enum pn_status status, struct pn_bytes text,
                        const struct pn_err *err)
{
    struct errand *e = arg;
    e->fetch = NULL;
    if (status == PN_OK) {
        judge_text(e, text, NULL);
    } else {
        bool passing = status == PN_E_CLOSED || status == PN_E_NO_MEMORY;
        refuse(e, passing ? status : PN_E_MISMATCH, err);
    }
    errand_unpin(e);
}

static void fetch_manifest(struct errand *e)
{
    const struct labour_config *c = &e->of->config;
    if (e->gone) {
        return;
    }
    struct pn_err err;
    struct port *p = ports_find(c->ports, e->port);
    if (p == NULL || transfer_fetch_manifest(c->transfer, p, &e->job, on_manifest, e, &e->fetch,
                                             &err) != PN_OK) {
        if (p == NULL) {
            (void)pn_fail(&err, PN_E_CLOSED, "its master is gone");
        }
        refuse(e, PN_E_CLOSED, &err);
        return;
    }
    errand_pin(e);
}

void errand_vet(struct errand *e, const struct worker_action *x)
{
    const struct labour_config *c = &e->of->config;
    e->run = x->run;
    e->owner_signature = x->welcome.owner_signature;
    e->grant_len = x->welcome.grant.len;
    memcpy(e->grant_bytes, x->welcome.grant.ptr, e->grant_len);
    if (store_has_job(c->store, &e->job)) {
        start_paper_work(e, true);
        return;
    }
    fetch_manifest(e);
}

/* --- files ------------------------------------------------------------------------------------ */

struct open_work {
    uv_work_t work;
    struct errand *errand;
    struct sandbox_file *files;
    uint32_t file_count;
    struct store_tree *tree;
    int program_fd;
    enum pn_status status;
    struct pn_err err;
};

static void open_files(uv_work_t *req)
{
    struct open_work *w = req->data;
    struct errand *e = w->errand;
    const struct labour_config *c = &e->of->config;
    const struct manifest *m = &e->manifest;
    w->status = PN_OK;
    if (m->program_kind == PROGRAM_OWN) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", c->program_dir, m->args[0]);
        w->program_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (w->program_fd < 0) {
            w->status = pn_fail(&w->err, PN_E_SYSTEM, "%s: %s", path, strerror(errno));
        }
    }
    if (m->file_count > SANDBOX_FILES_MAX && w->status == PN_OK) {
        w->status = store_tree_make(c->store, m, &w->tree, &w->err);
        if (w->status == PN_OK) {
            w->files[w->file_count++] =
                (struct sandbox_file){.name = "", .fd = store_tree_fd(w->tree), .folder = true};
        }
        return;
    }
    for (uint32_t i = 0; i < m->file_count && w->status == PN_OK; i++) {
        int fd = -1;
        w->status = store_file_fd(c->store, &m->files[i].root, &fd, &w->err);
        if (w->status == PN_OK) {
            w->files[w->file_count++] = (struct sandbox_file){
                .name = m->files[i].name, .fd = fd, .executable = m->files[i].executable};
        }
    }
}

static void after_open_files(uv_work_t *req, int uv_status)
{
    struct open_work *w = req->data;
    struct errand *e = w->errand;
    (void)uv_status;
    close_files(e); /* of an attempt that got only some of them open */
    e->tree = w->tree;
    e->files = w->files;
    e->file_count = w->file_count;
    e->program_fd = w->program_fd;
    tell(e, WORKER_FILES, w->status, WORK_NO_FILES, w->status == PN_OK ? NULL : w->err.text);
    free(w);
    errand_unpin(e);
}

static void files_failed(struct errand *e, const char *text)
{
    tell(e, WORKER_FILES, PN_E_SYSTEM, WORK_NO_FILES, text);
}

static void on_files_fetched(void *arg, enum pn_status status, const struct pn_err *err)
{
    struct errand *e = arg;
    e->fetch = NULL;
    struct open_work *w = status == PN_OK ? calloc(1, sizeof *w) : NULL;
    if (w != NULL) {
        w->files = calloc(e->manifest.file_count + 1, sizeof *w->files);
    }
    if (w == NULL || w->files == NULL) {
        free(w);
        files_failed(e, status != PN_OK ? err->text : "out of memory");
        errand_unpin(e);
        return;
    }
    w->work.data = w;
    w->errand = e;
    w->program_fd = -1;
    errand_pin(e);
    (void)uv_queue_work(e->of->config.loop, &w->work, open_files, after_open_files);
    errand_unpin(e);
}

void errand_fetch(struct errand *e)
{
    const struct labour_config *c = &e->of->config;
    struct pn_err err;
    struct port *p = ports_find(c->ports, e->port);
    if (p != NULL && !p->own) {
        (void)transfer_add_source(c->transfer, &e->job, p);
    }
    if (transfer_fetch_files(c->transfer, &e->job, on_files_fetched, e, &e->fetch, &err) != PN_OK) {
        files_failed(e, err.text);
        return;
    }
    errand_pin(e);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < e->manifest.file_count; i++) {
        bytes += e->manifest.files[i].size;
    }
    if (bytes >= ERRAND_SHARE_BYTES && !e->own) {
        e->shared = true;
        c->on_files(c->arg, &e->job, true);
    }
}
