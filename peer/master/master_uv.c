#include "peer/master/master_uv.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/master/master_shell.h"
#include "peer/worker/consent.h"

struct lead *leads_find(const struct leads *l, const struct digest *job)
{
    return table_get(&l->by_job, job->b);
}

/* --- life ------------------------------------------------------------------------------------- */

/* A job of the store whose grant names us: we lead it, or may begin to. */
static void take_job(struct leads *l, const struct digest *job)
{
    struct store_job papers;
    struct pn_err err;
    if (store_job_read(l->config.store, job, &papers, &err) != PN_OK) {
        log_write(LOG_WARN, "master", "a job in the store: %s", err.text);
        return;
    }
    if (papers.granted && grant_rank(&papers.grant, &l->config.peer_id) >= 0 &&
        leads_find(l, job) == NULL &&
        lead_new(l, job, buffer_bytes(&papers.manifest), &papers.owner, &papers.grant, &err) ==
            NULL) {
        log_write(LOG_WARN, "master", "a job in the store: %s", err.text);
    }
    store_job_fini(&papers);
}

static enum pn_status on_ledger_job(void *arg, const struct ledger_job_row *row)
{
    struct leads *l = arg;
    struct lead *d = leads_find(l, &row->job.job);
    if (d != NULL && run_equal(&d->run, &row->job.run)) {
        d->in_ledger = true;
        d->state = row->state.state;
        d->created_wall_ms = row->job.created_wall_ms;
        d->started_wall_ms = row->job.created_wall_ms;
        d->slots_max = row->job.slots_max;
    }
    return PN_OK;
}

enum pn_status leads_new(const struct leads_config *config, struct leads **out, struct pn_err *err)
{
    struct leads *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    l->config = *config;
    table_init(&l->by_job, DIGEST_BYTES, LEADS_MAX, random_fresh_seed());
    enum pn_status status = leads_ledger_open(l, err);
    struct digest *jobs = NULL;
    size_t count = 0;
    if (status == PN_OK) {
        status = store_jobs(config->store, &jobs, &count);
    }
    for (size_t i = 0; status == PN_OK && i < count; i++) {
        take_job(l, &jobs[i]);
    }
    free(jobs);
    if (status == PN_OK) {
        status = ledger_list_jobs(l->reader, on_ledger_job, l, err);
    }
    if (status == PN_OK && leads_crew_open(l) != PN_OK) {
        status = pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    if (status != PN_OK) {
        ledger_reader_close(l->reader);
        ledger_close(l->ledger);
        while (l->first != NULL) {
            lead_forget(l->first);
        }
        table_fini(&l->by_job);
        free(l);
        return status;
    }
    *out = l;
    return PN_OK;
}

static void free_if_done(struct leads *l)
{
    if (!l->freeing || l->pins > 0) {
        return;
    }
    void (*on_freed)(void *arg) = l->on_freed;
    void *arg = l->on_freed_arg;
    while (l->first != NULL) {
        lead_forget(l->first);
    }
    table_fini(&l->by_job);
    leads_crew_fini(l);
    ledger_reader_close(l->reader);
    free(l);
    on_freed(arg);
}

void leads_pin(struct leads *l) { l->pins++; }

void leads_unpin(struct leads *l)
{
    l->pins--;
    free_if_done(l);
}

void leads_free(struct leads *l, void (*on_freed)(void *arg), void *arg)
{
    l->on_freed = on_freed;
    l->on_freed_arg = arg;
    l->ends = true;
    ledger_close(l->ledger); /* commits what is queued */
    l->ledger = NULL;
    leads_pin(l);
    for (struct lead *d = l->first, *next; d != NULL; d = next) {
        next = d->next;
        lead_forget(d);
    }
    leads_crew_close(l);
    leads_mend_close(l);
    l->freeing = true;
    leads_unpin(l);
}

void leads_resume_all(struct leads *l)
{
    for (struct lead *d = l->first; d != NULL; d = d->next) {
        struct pn_err err;
        if (d->in_ledger && d->core == NULL && lead_begin(d, false, &err) != PN_OK) {
            log_write(LOG_ERROR, "master", "a job could not go on: %s", err.text);
        }
    }
}

void leads_stop_all(struct leads *l)
{
    for (struct lead *d = l->first; d != NULL; d = d->next) {
        struct master_event ev = {.kind = MASTER_STOP, .reason = "stopped with its peer"};
        if (d->ordered) {
            (void)lead_event(d, &ev, NULL);
        }
    }
}

bool leads_described(const struct leads *l) { return l->describing == 0; }

bool leads_quiet(const struct leads *l)
{
    for (const struct lead *d = l->first; d != NULL; d = d->next) {
        if (d->core != NULL && d->state == JOB_RUNNING && d->seq > d->committed_seq &&
            d->stalled_ms == 0) {
            return false;
        }
    }
    return true;
}

/* --- orders of the user ----------------------------------------------------------------------- */

struct job_work {
    uv_work_t work;
    struct leads *of;
    bool remove;
    struct digest job;
    struct buffer text;
    struct signature owner;
    struct grant grant;
    enum pn_status status;
    struct pn_err err;
    leads_on_done *on_done;
    void *arg;
};

static void job_work(uv_work_t *req)
{
    struct job_work *w = req->data;
    struct store *store = w->of->config.store;
    struct digest job;
    w->status = w->remove ? store_job_remove(store, &w->job, &w->err)
                          : store_job_put(store, buffer_bytes(&w->text), &w->owner, &w->grant, &job,
                                          &w->err);
}

static void after_job_work(uv_work_t *req, int uv_status)
{
    struct job_work *w = req->data;
    struct leads *l = w->of;
    (void)uv_status;
    if (w->status == PN_OK && !w->remove && leads_find(l, &w->job) == NULL) {
        struct lead *d =
            lead_new(l, &w->job, buffer_bytes(&w->text), &w->owner, &w->grant, &w->err);
        if (d == NULL) {
            w->status = w->err.status;
        } else {
            d->created_wall_ms = clock_wall_ms();
        }
    }
    w->on_done(w->arg, w->status, w->status == PN_OK ? NULL : &w->err);
    buffer_fini(&w->text);
    free(w);
    leads_unpin(l);
}

static struct job_work *job_work_new(struct leads *l, const struct digest *job,
                                     leads_on_done *on_done, void *arg)
{
    struct job_work *w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->work.data = w;
        w->of = l;
        w->job = *job;
        w->on_done = on_done;
        w->arg = arg;
        buffer_init(&w->text, MANIFEST_BYTES_MAX);
    }
    return w;
}

enum pn_status leads_create(struct leads *l, struct pn_bytes text, const struct manifest *m,
                            const struct digest *job, const struct signature *owner,
                            const struct grant *grant, leads_on_done *on_done, void *arg,
                            struct pn_err *err)
{
    if (leads_find(l, job) != NULL) {
        return pn_fail(err, PN_E_EXISTS, "the job is here already");
    }
    if (grant_rank(grant, &l->config.peer_id) < 0) {
        return pn_fail(err, PN_E_DENIED, "the grant does not name this peer");
    }
    if (grant->expires_wall_ms != 0 && grant->expires_wall_ms <= clock_wall_ms()) {
        return pn_fail(err, PN_E_DENIED, "the grant has expired"); /* nobody would work for it */
    }
    if (m->dep_count > 0) {
        return pn_fail(err, PN_E_UNSUPPORTED,
                       "[deps]: datasets cannot be fetched by this version; ship them as files");
    }
    if (m->kind == MANIFEST_JOB && m->program_kind == PROGRAM_OWN) {
        const struct job_program *program = job_program_find(m->args[0]);
        const struct job_slice slice = {(const char *const *)m->args + 1, m->arg_count - 1, 0,
                                        m->slice_count};
        if (program == NULL) {
            return pn_fail(err, PN_E_UNSUPPORTED, "program:%s is not known here", m->args[0]);
        }
        enum pn_status status = program->check(&slice, err);
        if (status != PN_OK) {
            return status;
        }
    } else if (m->verify == VERIFY_PROOF) {
        return pn_fail(err, PN_E_RANGE, "mode = proof: only own programs prove their outputs");
    }
    struct job_work *w = job_work_new(l, job, on_done, arg);
    if (w == NULL || buffer_append(&w->text, text) != PN_OK) {
        free(w);
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    w->owner = *owner;
    w->grant = *grant;
    leads_pin(l);
    (void)uv_queue_work(l->config.loop, &w->work, job_work, after_job_work);
    return PN_OK;
}

static struct lead *find_or_fail(const struct leads *l, const struct digest *job,
                                 struct pn_err *err)
{
    struct lead *d = leads_find(l, job);
    if (d == NULL) {
        (void)pn_fail(err, PN_E_NOT_FOUND, "no such job is led here");
    }
    return d;
}

enum pn_status leads_start(struct leads *l, const struct digest *job, uint32_t slots_max,
                           struct pn_err *err)
{
    struct lead *d = find_or_fail(l, job, err);
    if (d == NULL) {
        return PN_E_NOT_FOUND;
    }
    if (d->in_ledger) {
        return pn_fail(err, PN_E_EXISTS, "the job has been started already");
    }
    d->ordered = true;
    if (d->manifest.kind != MANIFEST_JOB) {
        return pn_fail(err, PN_E_UNSUPPORTED, "a dataset has nothing to run");
    }
    for (uint32_t i = 0; i < d->manifest.file_count; i++) {
        if (!store_has_file(l->config.store, &d->manifest.files[i].root)) {
            return pn_fail(err, PN_E_BUSY, "file '%s' of the job is not here yet",
                           d->manifest.files[i].name);
        }
    }
    const struct ledger_job row = {.job = *job,
                                   .run = d->run,
                                   .name = d->manifest.name,
                                   .slice_count = d->manifest.slice_count,
                                   .slots_max = slots_max,
                                   .grant = {d->grant_bytes, d->grant_len},
                                   .created_wall_ms = clock_wall_ms()};
    struct pn_err why;
    enum pn_status status = leads_ledger_usable(l, &why);
    if (status == PN_OK) {
        status = leads_ledger_said(l, ledger_add_job(l->ledger, &row, &why), &why);
    }
    if (status != PN_OK) {
        *err = why;
        return status;
    }
    d->in_ledger = true;
    d->slots_max = slots_max;
    return lead_begin(d, false, err);
}

enum pn_status leads_remove(struct leads *l, const struct digest *job, leads_on_done *on_done,
                            void *arg, struct pn_err *err)
{
    struct lead *d = find_or_fail(l, job, err);
    if (d == NULL) {
        return PN_E_NOT_FOUND;
    }
    if (d->core != NULL && d->state == JOB_RUNNING) {
        return pn_fail(err, PN_E_BUSY, "the job runs; `preon job cancel` it first");
    }
    struct job_work *w = job_work_new(l, job, on_done, arg);
    if (w == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    if (d->in_ledger) {
        struct pn_err why;
        enum pn_status status = leads_ledger_usable(l, &why);
        if (status == PN_OK) {
            status = leads_ledger_said(l, ledger_remove_job(l->ledger, job, &d->run, &why), &why);
        }
        if (status != PN_OK && status != PN_E_NOT_FOUND) {
            *err = why;
            free(w);
            return status;
        }
    }
    lead_forget(d);
    w->remove = true;
    leads_pin(l);
    (void)uv_queue_work(l->config.loop, &w->work, job_work, after_job_work);
    return PN_OK;
}

/* --- frames ----------------------------------------------------------------------------------- */

/* What the master's core counts identities by; own and private networks are exempt. */
static uint32_t prefix_of(const struct port *p)
{
    if (p->own || addr_class(&p->remote) != ADDR_PUBLIC) {
        return 0;
    }
    uint64_t net = addr_net(&p->remote);
    uint32_t folded = (uint32_t)(net ^ net >> 32);
    return folded != 0 ? folded : 1;
}

static enum pn_status refuse(struct port *p, const struct frame *f, const char *text)
{
    uint8_t body[DATA_BODY_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    const struct data_error e = {.code = DATA_E_NOT_FOUND, .text = pn_bytes_str(text)};
    data_error_write(&e, &w);
    const struct frame answer = {FRAME_ERROR, FRAME_ANSWER, f->request, writer_done(&w)};
    return p->send(p, SESSION_CONTROL, &answer);
}

/*
 * The run has no core that could answer, but will have one: it waits for the sandbox after a
 * start, for the ledger, or for `job resume`. Who comes now keeps what it holds and comes again.
 */
static bool stands_still(const struct lead *d, const struct frame *f)
{
    bool asks_in = f->type == FRAME_JOIN || f->type == FRAME_ENLIST;
    bool goes_on = d->state == JOB_RUNNING || d->state == JOB_STOPPED;
    return d->in_ledger && goes_on && (d->core == NULL || (d->stalled_ms != 0 && asks_in));
}

/* Somebody stopped it, perhaps for days: that costs no other run the link that it works over. */
static bool link_serves_another(const struct leads *l, const struct lead *stopped,
                                const struct port *p)
{
    for (const struct lead *d = l->first; d != NULL; d = d->next) {
        if (d != stopped && d->core != NULL && master_has_worker(d->core, p->id)) {
            return stopped->state == JOB_STOPPED;
        }
    }
    return false;
}

/* For people who ask why it waits: what a worker of the run has said, not just anybody. */
static void keep_given_up(struct lead *d, const struct frame *f)
{
    struct work_give_up g;
    if (work_parse_give_up(f->body, &g, NULL) == PN_OK && g.reason != WORK_LEAVING) {
        memcpy(d->given_up, g.text, sizeof d->given_up);
    }
}

enum pn_status leads_frame(struct leads *l, struct port *p, const struct frame *f,
                           struct pn_err *err)
{
    struct digest job;
    if (f->body.len < DIGEST_BYTES) {
        return pn_fail(err, PN_E_MALFORMED, "frame %u is too short to name a job", f->type);
    }
    memcpy(job.b, f->body.ptr, DIGEST_BYTES);
    struct lead *d = leads_find(l, &job);
    if (d != NULL && !p->own && f->request != 0 && stands_still(d, f) &&
        !link_serves_another(l, d, p)) {
        return pn_fail(err, PN_E_BUSY, "its run stands still");
    }
    if (d == NULL || d->core == NULL) {
        return f->request != 0 ? refuse(p, f, "no such job is led here") : PN_OK;
    }
    bool enlisted = master_has_worker(d->core, p->id);
    if (p->own && !enlisted &&
        (f->type == FRAME_VOTE || f->type == FRAME_STARTED || f->type == FRAME_PROGRESS ||
         f->type == FRAME_GIVE_UP)) {
        return PN_OK; /* for an earlier core: our own worker enlists again, and says what it has */
    }
    struct master_event ev = {.kind = MASTER_FRAME,
                              .link = p->id,
                              .peer = p->peer,
                              .prefix = prefix_of(p),
                              .own = p->own,
                              .frame = f};
    enum pn_status status = lead_event(d, &ev, err);
    if (f->type == FRAME_GIVE_UP && status == PN_OK && enlisted) {
        keep_given_up(d, f);
    }
    if (f->type == FRAME_ENLIST && status == PN_OK && !p->own) {
        leads_crew_enlisted(l, p, &job);
    }
    return status;
}

void leads_port_down(struct leads *l, struct port *p)
{
    leads_crew_gone(l, p);
    for (struct lead *d = l->first, *next; d != NULL; d = next) {
        next = d->next;
        if (d->core != NULL && master_has_worker(d->core, p->id)) {
            struct master_event ev = {.kind = MASTER_LINK_DOWN, .link = p->id};
            (void)lead_event(d, &ev, NULL);
        }
    }
}

/* --- questions -------------------------------------------------------------------------------- */

bool leads_knows_job(const struct leads *l, const struct digest *job)
{
    return leads_find(l, job) != NULL;
}

bool leads_output_final(const struct leads *l, const struct file_set *set)
{
    const struct lead *d = leads_find(l, &set->job);
    return d != NULL && d->core != NULL && run_equal(&d->run, &set->run) &&
           master_slice_final(d->core, set->slice);
}

/* By insertion: the list is in order already but for what was read from the store at the start. */
static void sort_newest_first(struct leads *l)
{
    struct lead *sorted = NULL;
    while (l->first != NULL) {
        struct lead *d = l->first;
        l->first = d->next;
        struct lead **link = &sorted;
        while (*link != NULL && (*link)->created_wall_ms >= d->created_wall_ms) {
            link = &(*link)->next;
        }
        d->next = *link;
        *link = d;
    }
    l->first = sorted;
}

/* Where its workers are, which only their links know; in the order in which lead_status shows them.
 */
static void fill_addresses(const struct lead *d, struct job_status *s)
{
    const struct worker_entry *w = d->core != NULL ? master_workers(d->core) : NULL;
    for (uint32_t i = 0; w != NULL && i < s->workers_shown; w = w->next) {
        const struct port *p = ports_find(d->of->config.ports, w->link);
        if (w->link != 0 && p != NULL && !p->own) {
            s->workers[i].remote = p->remote;
        }
        i += w->link != 0;
    }
}

void leads_each(struct leads *l, void (*each)(void *arg, const struct job_status *s), void *arg)
{
    static struct job_status status; /* large; the loop's thread only */
    sort_newest_first(l);
    for (const struct lead *d = l->first; d != NULL; d = d->next) {
        lead_status(d, clock_now_ms(), clock_wall_ms(), &status);
        fill_addresses(d, &status);
        each(arg, &status);
    }
}

enum pn_status leads_status(struct leads *l, const struct digest *job, struct job_status *out,
                            struct pn_err *err)
{
    const struct lead *d = find_or_fail(l, job, err);
    if (d == NULL) {
        return PN_E_NOT_FOUND;
    }
    lead_status(d, clock_now_ms(), clock_wall_ms(), out);
    fill_addresses(d, out);
    return PN_OK;
}

struct slice_page {
    uint64_t from;
    struct slice_status *list;
    uint32_t count;
};

static enum pn_status on_slice_row(void *arg, const struct ledger_slice *row)
{
    const struct slice_page *page = arg;
    if (row->slice - page->from < page->count) {
        struct slice_status *s = &page->list[row->slice - page->from];
        s->state = row->is_final ? SLICE_FINAL : SLICE_OPEN;
        s->vote_count = row->vote_count;
    }
    return PN_OK;
}

enum pn_status leads_slices(struct leads *l, const struct digest *job, uint64_t from,
                            struct slice_status *out, uint32_t max, uint32_t *count,
                            struct pn_err *err)
{
    const struct lead *d = find_or_fail(l, job, err);
    if (d == NULL) {
        return PN_E_NOT_FOUND;
    }
    *count = 0;
    for (uint64_t i = from; i < d->manifest.slice_count && *count < max; i++) {
        struct slice_status *s = &out[(*count)++];
        *s = (struct slice_status){.slice = i, .state = SLICE_OPEN};
        if (d->core == NULL) {
            continue; /* the run is over, or has not begun: the ledger knows */
        }
        const struct open_slice *o = master_open_slice(d->core, i);
        if (master_slice_final(d->core, i)) {
            s->state = SLICE_FINAL;
        } else if (o != NULL) {
            s->state = o->provisional || o->final_queued ? SLICE_PROVISIONAL
                       : o->live > 0                     ? SLICE_RUNNING
                                                         : SLICE_OPEN;
            s->vote_count = o->tally.count;
            s->attempt_count = o->live;
        }
    }
    struct slice_page page = {from, out, *count};
    if (d->core != NULL || !d->in_ledger || *count == 0) {
        return PN_OK;
    }
    return ledger_list_slices(l->reader, job, &d->run, from, *count, on_slice_row, &page, err);
}

struct ledger_reader *leads_reader(const struct leads *l) { return l->reader; }

const struct manifest *leads_manifest(const struct leads *l, const struct digest *job,
                                      struct run *run)
{
    const struct lead *d = leads_find(l, job);
    if (d == NULL) {
        return NULL;
    }
    *run = d->run;
    return &d->manifest;
}

uint32_t leads_running(const struct leads *l) { return l->running_count; }

void leads_set_waiting(struct leads *l, const struct waiting *w) { l->waiting = *w; }
