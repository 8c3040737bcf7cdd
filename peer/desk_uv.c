#include "peer/desk_inside.h"

#include <stdlib.h>

struct desk *desk_new(const struct desk_config *config)
{
    struct desk *d = calloc(1, sizeof *d);
    if (d != NULL) {
        d->config = *config;
    }
    return d;
}

void desk_pin(struct desk *d) { d->pins++; }

void desk_unpin(struct desk *d)
{
    d->pins--;
    if (d->freeing && d->pins == 0) {
        void (*on_freed)(void *arg) = d->on_freed;
        void *arg = d->on_freed_arg;
        free(d);
        on_freed(arg);
    }
}

void desk_free(struct desk *d, void (*on_freed)(void *arg), void *arg)
{
    d->on_freed = on_freed;
    d->on_freed_arg = arg;
    d->freeing = true;
    desk_pin(d);
    desk_unpin(d);
}

/* --- questions that touch no disk ------------------------------------------------------------- */

static void op_peer_status(void *arg, struct peer_status *out)
{
    const struct desk *d = arg;
    d->config.peer_status(d->config.arg, out);
}

static enum pn_status op_shutdown(void *arg, struct pn_err *err)
{
    const struct desk *d = arg;
    return d->config.shutdown(d->config.arg, err);
}

static void op_jobs(void *arg, void (*each)(void *each_arg, const struct job_status *status),
                    void *each_arg)
{
    const struct desk *d = arg;
    leads_each(d->config.leads, each, each_arg);
}

static enum pn_status op_job_status(void *arg, const struct digest *job, struct job_status *out,
                                    struct pn_err *err)
{
    const struct desk *d = arg;
    return leads_status(d->config.leads, job, out, err);
}

static enum pn_status op_slices(void *arg, const struct digest *job, uint64_t from,
                                struct slice_status *out, uint32_t max, uint32_t *count,
                                struct pn_err *err)
{
    const struct desk *d = arg;
    return leads_slices(d->config.leads, job, from, out, max, count, err);
}

/* --- orders ----------------------------------------------------------------------------------- */

struct order {
    uv_work_t work; /* of start and resume, like the next four */
    struct digest job;
    uint32_t workers_max;
    bool resumes;
    struct pn_err err;
    enum pn_status status;
    struct desk *of;
    struct control_call *call;
};

static struct order *order_new(struct desk *d, struct control_call *call)
{
    struct order *o = malloc(sizeof *o);
    if (o == NULL) {
        control_answer(call, PN_E_NO_MEMORY, NULL);
        return NULL;
    }
    *o = (struct order){.of = d, .call = call};
    desk_pin(d);
    return o;
}

static void order_done(void *arg, enum pn_status status, const struct pn_err *err)
{
    struct order *o = arg;
    struct desk *d = o->of;
    control_answer(o->call, status, err);
    free(o);
    desk_unpin(d);
}

static void op_create(void *arg, const struct control_create *what, struct control_call *call)
{
    struct desk *d = arg;
    struct order *o = order_new(d, call);
    struct pn_err err;
    if (o == NULL) {
        return;
    }
    enum pn_status status = leads_create(d->config.leads, what->manifest_text, what->manifest,
                                         &what->job, what->owner, what->grant, order_done, o, &err);
    if (status != PN_OK) {
        order_done(o, status, &err);
    }
}

static void op_remove(void *arg, const struct digest *job, struct control_call *call)
{
    struct desk *d = arg;
    struct order *o = order_new(d, call);
    struct pn_err err;
    if (o == NULL) {
        return;
    }
    enum pn_status status = leads_remove(d->config.leads, job, order_done, o, &err);
    if (status != PN_OK) {
        order_done(o, status, &err);
    }
}

static void sync_work(uv_work_t *req)
{
    struct order *o = req->data;
    o->status = store_sync(o->of->config.store, &o->err);
}

/* The job's files are durable: now it may be promised to run. */
static void after_sync_work(uv_work_t *req, int uv_status)
{
    struct order *o = req->data;
    struct leads *leads = o->of->config.leads;
    (void)uv_status;
    if (o->of->freeing) { /* the leads may be gone */
        order_done(o, PN_E_CLOSED, NULL);
    } else if (o->status != PN_OK) {
        order_done(o, o->status, &o->err);
    } else if (!o->resumes) {
        o->status = leads_start(leads, &o->job, o->workers_max, &o->err);
        order_done(o, o->status, &o->err);
    } else if (leads_resume(leads, &o->job, order_done, o, &o->err) != PN_OK) {
        order_done(o, o->err.status, &o->err);
    }
}

static void sync_first(struct order *o, const struct digest *job)
{
    o->work.data = o;
    o->job = *job;
    (void)uv_queue_work(o->of->config.loop, &o->work, sync_work, after_sync_work);
}

static void op_start(void *arg, const struct digest *job, const struct control_start *how,
                     struct control_call *call)
{
    struct order *o = order_new(arg, call);
    if (o != NULL) {
        o->workers_max = how->workers_max;
        sync_first(o, job);
    }
}

static void op_cancel(void *arg, const struct digest *job, struct control_call *call)
{
    struct desk *d = arg;
    struct order *o = order_new(d, call);
    struct pn_err err;
    if (o == NULL) {
        return;
    }
    enum pn_status status =
        leads_cancel(d->config.leads, job, "cancelled by its owner", order_done, o, &err);
    if (status != PN_OK) {
        order_done(o, status, &err);
    }
}

static void op_resume(void *arg, const struct digest *job, struct control_call *call)
{
    struct order *o = order_new(arg, call);
    if (o != NULL) {
        o->resumes = true;
        sync_first(o, job);
    }
}

const struct control_ops DESK_OPS = {
    .peer_status = op_peer_status,
    .shutdown = op_shutdown,
    .jobs = op_jobs,
    .job_status = op_job_status,
    .create = op_create,
    .start = op_start,
    .cancel = op_cancel,
    .resume = op_resume,
    .remove = op_remove,
    .manifest = desk_manifest,
    .put_begin = desk_put_begin,
    .put_write = desk_put_write,
    .put_finish = desk_put_finish,
    .put_abort = desk_put_abort,
    .slices = op_slices,
    .results = desk_results,
    .log = desk_log,
    .output_read = desk_output_read,
};
