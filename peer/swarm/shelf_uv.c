/* Shelves: sets of files as this peer holds them, opened in the thread pool, kept for a while. */
#include <stdlib.h>

#include "common/clock_sys.h"
#include "peer/swarm/transfer_inside.h"

/* --- opening, in the pool --- */

/* The command's own file and other programs first, then the rest. */
static uint8_t need_of(const struct manifest *m, const struct manifest_file *f)
{
    bool command =
        m->program_kind == PROGRAM_FILE && m->arg_count > 0 && strcmp(m->args[0], f->name) == 0;
    return command || f->executable ? 0 : 1;
}

static enum pn_status files_of_manifest(struct shelf *s, struct pn_err *err)
{
    struct store_job job;
    struct manifest m;
    enum pn_status status = store_job_read(s->work.t->store, &s->set.job, &job, err);
    if (status != PN_OK) {
        return status;
    }
    status = manifest_parse(buffer_bytes(&job.manifest), &m, err);
    store_job_fini(&job);
    if (status != PN_OK) {
        return status;
    }
    s->file_count = m.file_count;
    s->files = calloc((size_t)m.file_count + 1, sizeof *s->files);
    if (s->files == NULL) {
        status = pn_fail(err, PN_E_NO_MEMORY, "job files: out of memory");
    }
    for (uint32_t i = 0; i < m.file_count && status == PN_OK; i++) {
        s->files[i] = (struct shelf_file){.root = m.files[i].root,
                                          .size = m.files[i].size,
                                          .need = need_of(&m, &m.files[i]),
                                          .present = true};
    }
    manifest_fini(&m);
    return status;
}

/* An attempt that is served: whatever outputs of it are here. */
static enum pn_status files_of_attempt(struct shelf *s, struct pn_err *err)
{
    uint32_t found = 0;
    s->file_count = JOB_OUTPUTS_MAX;
    s->files = calloc(JOB_OUTPUTS_MAX, sizeof *s->files);
    if (s->files == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "outputs: out of memory");
    }
    for (uint32_t i = 0; i < JOB_OUTPUTS_MAX; i++) {
        struct shelf_file *f = &s->files[i];
        if (store_output_open(s->work.t->store, &s->set, i, NULL, 0, false, &f->file, NULL) ==
            PN_OK) {
            f->size = store_file_size(f->file);
            f->root = *store_file_root(f->file);
            f->present = true;
            found++;
        }
    }
    return found > 0 ? PN_OK : pn_fail(err, PN_E_NOT_FOUND, "no outputs of this attempt are here");
}

static enum pn_status open_one(struct shelf *s, uint32_t i, struct pn_err *err)
{
    struct store *store = s->work.t->store;
    struct shelf_file *f = &s->files[i];
    enum pn_status status = PN_OK;
    if (f->file != NULL || !f->present) {
        return PN_OK;
    }
    if (s->set.kind == SET_OF_JOB) {
        status = store_file_open(store, &f->root, f->size, s->create, &f->file, err);
    } else {
        status = store_output_open(store, &s->set, i, &f->root, f->size, s->create, &f->file, err);
    }
    return status == PN_E_NOT_FOUND && !s->create ? PN_OK : status;
}

static void note_blocks(struct shelf *s, uint32_t i)
{
    struct shelf_file *f = &s->files[i];
    uint32_t blocks = layout_file_blocks(&s->layout, i);
    for (uint32_t b = 0; b < blocks && f->file != NULL; b++) {
        if (store_file_has_block(f->file, b)) {
            bitset_add(&s->had, s->layout.first[i] + b);
        }
    }
}

static enum pn_status measure(struct shelf *s, struct pn_err *err)
{
    uint64_t *sizes = calloc((size_t)s->file_count + 1, sizeof *sizes);
    if (sizes == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "files: out of memory");
    }
    for (uint32_t i = 0; i < s->file_count; i++) {
        sizes[i] = s->files[i].size;
    }
    enum pn_status status = layout_init(&s->layout, sizes, s->file_count);
    free(sizes);
    uint32_t blocks = s->layout.block_count;
    if (status == PN_OK &&
        (!bitset_init(&s->had, blocks > 0 ? blocks : 1) || !spread_init(&s->spread, blocks))) {
        status = PN_E_NO_MEMORY;
    }
    return status == PN_OK ? PN_OK : pn_fail(err, status, "files: %s", pn_status_text(status));
}

static void open_run(struct work *w)
{
    struct shelf *s = (struct shelf *)w;
    enum pn_status status = PN_OK;
    if (s->files == NULL) {
        status = s->set.kind == SET_OF_JOB ? files_of_manifest(s, &w->err)
                                           : files_of_attempt(s, &w->err);
    }
    status = status == PN_OK ? measure(s, &w->err) : status;
    for (uint32_t i = 0; i < s->file_count && status == PN_OK; i++) {
        status = open_one(s, i, &w->err);
        if (status == PN_OK) {
            note_blocks(s, i);
        }
    }
    w->status = status;
}

/* --- on the loop --- */

static void shelf_free(struct shelf *s)
{
    for (uint32_t i = 0; i < s->file_count && s->files != NULL; i++) {
        store_file_close(s->files[i].file);
    }
    free(s->files);
    layout_fini(&s->layout);
    bitset_fini(&s->had);
    spread_fini(&s->spread);
    free(s);
}

static void unlink_shelf(struct shelf *s)
{
    for (struct shelf **at = &s->work.t->shelves; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            return;
        }
    }
}

/* Whoever waited for it goes on; what it was opened for may be gone by now. */
static void open_done(struct work *w)
{
    struct shelf *s = (struct shelf *)w;
    struct transfer *t = w->t;
    s->opened_ms = clock_now_ms();
    s->state = w->status == PN_OK ? SHELF_READY : SHELF_FAILED;
    s->stale = s->stale || s->state == SHELF_FAILED;
    s->user_count++; /* ours, while the others are told */
    for (struct fetch *f = t->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (f->shelf == s && !f->over) {
            fetch_shelf_ready(f);
        }
    }
    for (struct partner *p = t->partners; p != NULL; p = p->next) {
        for (uint32_t i = 0; i < p->listen_count && s->state == SHELF_READY; i++) {
            if (file_set_equal(&p->listens[i], &s->set)) {
                serve_tell_state(p, s, 0);
            }
        }
        serve_go_on(p);
    }
    shelf_put(s, false);
    transfer_arm(t);
}

/* Files that their owner puts in, or that were repaired, show only when one looks again. */
static bool is_outdated(const struct shelf *s)
{
    return s->state == SHELF_READY && !s->create && !shelf_whole(s) &&
           clock_now_ms() - s->opened_ms >= SHELF_LOOK_AGAIN_MS;
}

static struct shelf *find(struct transfer *t, const struct file_set *set)
{
    for (struct shelf *s = t->shelves; s != NULL; s = s->next) {
        if (!s->stale && file_set_equal(&s->set, set)) {
            return s;
        }
    }
    return NULL;
}

static bool give_outputs(struct shelf *s, const struct transfer_output *outputs, uint32_t count)
{
    s->file_count = JOB_OUTPUTS_MAX;
    s->files = calloc(JOB_OUTPUTS_MAX, sizeof *s->files);
    for (uint32_t i = 0; i < count && s->files != NULL; i++) {
        s->files[outputs[i].index] =
            (struct shelf_file){.root = outputs[i].root, .size = outputs[i].size, .present = true};
    }
    return s->files != NULL;
}

struct shelf *shelf_get(struct transfer *t, const struct file_set *set, bool create,
                        const struct transfer_output *outputs, uint32_t count)
{
    struct shelf *s = find(t, set);
    if (s != NULL && (s->create || !create) && !is_outdated(s)) {
        s->user_count++;
        return s;
    }
    if (s != NULL) { /* those who use it go on, others get the new one */
        s->user_count++;
        shelf_put(s, true);
    }
    s = calloc(1, sizeof *s);
    if (s == NULL || (outputs != NULL && !give_outputs(s, outputs, count))) {
        free(s);
        return NULL;
    }
    s->set = *set;
    s->create = create;
    s->user_count = 1;
    s->next = t->shelves;
    t->shelves = s;
    s->work.run = open_run;
    s->work.done = open_done;
    work_start(t, &s->work);
    return s;
}

void shelf_put(struct shelf *s, bool stale)
{
    s->stale = s->stale || stale;
    s->idle_since_ms = clock_now_ms();
    if (--s->user_count == 0 && s->stale && s->state != SHELF_OPENING) {
        unlink_shelf(s);
        shelf_free(s);
    }
}

void shelf_expire(struct transfer *t, uint64_t now_ms)
{
    for (struct shelf *s = t->shelves, *next; s != NULL; s = next) {
        next = s->next;
        if (s->user_count == 0 && s->state != SHELF_OPENING &&
            (t->closing || now_ms - s->idle_since_ms >= SHELF_IDLE_MS)) {
            unlink_shelf(s);
            shelf_free(s);
        }
    }
}

bool shelf_whole(const struct shelf *s) { return s->had.member_count == s->layout.block_count; }

struct store_file *shelf_file(struct shelf *s, uint32_t file) { return s->files[file].file; }
