#include "peer/desk_inside.h"

#include <stdlib.h>

struct put {
    uv_work_t work;
    struct desk *of;
    struct store_put *put;
    struct control_call *call; /* of the step under way; NULL: none */
    struct pn_bytes bytes;
    bool finish;
    bool aborted;
    enum pn_status status;
    struct pn_err err;
};

enum pn_status desk_put_begin(void *arg, const struct digest *job, uint32_t file, void **put,
                              struct pn_err *err)
{
    struct desk *d = arg;
    struct run run;
    const struct manifest *m = leads_manifest(d->config.leads, job, &run);
    if (m == NULL) {
        return pn_fail(err, PN_E_NOT_FOUND, "no such job is led here");
    }
    if (file >= m->file_count) {
        return pn_fail(err, PN_E_RANGE, "file %u: the job has %u", file, m->file_count);
    }
    struct put *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status =
        store_put_begin(d->config.store, m->files[file].size, &m->files[file].root, &p->put, err);
    if (status != PN_OK) {
        free(p);
        return status;
    }
    p->of = d;
    p->work.data = p;
    desk_pin(d);
    *put = p;
    return PN_OK;
}

static void abort_work(uv_work_t *req)
{
    struct put *p = req->data;
    store_put_abort(p->put); /* gigabytes to unlink, maybe */
    p->put = NULL;
}

static void after_abort_work(uv_work_t *req, int uv_status)
{
    struct put *p = req->data;
    struct desk *d = p->of;
    (void)uv_status;
    free(p);
    desk_unpin(d);
}

static void put_free(struct put *p)
{
    if (p->put == NULL) { /* after a finish */
        after_abort_work(&p->work, 0);
    } else {
        (void)uv_queue_work(p->of->config.loop, &p->work, abort_work, after_abort_work);
    }
}

static void put_work(uv_work_t *req)
{
    struct put *p = req->data;
    p->status = PN_OK;
    if (p->bytes.len > 0) {
        p->status = store_put_write(p->put, p->bytes, &p->err);
    }
    if (p->finish && p->status == PN_OK) {
        p->status = store_put_finish(p->put, &p->err);
        p->put = NULL;
    }
}

static void after_put_work(uv_work_t *req, int uv_status)
{
    struct put *p = req->data;
    (void)uv_status;
    struct control_call *call = p->call;
    p->call = NULL;
    bool over = p->finish || p->aborted;
    control_answer(call, p->status, &p->err);
    if (over) {
        put_free(p);
    }
}

static void put_step(struct put *p, struct control_call *call)
{
    p->call = call;
    (void)uv_queue_work(p->of->config.loop, &p->work, put_work, after_put_work);
}

void desk_put_write(void *arg, void *put, struct pn_bytes bytes, struct control_call *call)
{
    (void)arg;
    struct put *p = put;
    p->bytes = bytes;
    put_step(p, call);
}

void desk_put_finish(void *arg, void *put, struct pn_bytes bytes, struct control_call *call)
{
    (void)arg;
    struct put *p = put;
    p->bytes = bytes;
    p->finish = true;
    put_step(p, call);
}

void desk_put_abort(void *arg, void *put)
{
    (void)arg;
    struct put *p = put;
    if (p->call != NULL) {
        p->aborted = true; /* freed when the step under way has ended */
    } else {
        put_free(p);
    }
}
