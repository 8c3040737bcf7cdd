#include "peer/desk_inside.h"

#include <stdlib.h>

enum read_kind { READ_MANIFEST, READ_RESULTS, READ_LOG, READ_OUTPUT };

enum { LOGS_MAX = TALLY_BALLOTS_MAX };

struct read_work {
    uv_work_t work;
    struct desk *of;
    struct control_call *call;
    enum read_kind kind;
    struct digest job;
    struct run run;
    uint64_t slice;
    uint32_t max; /* results, or bytes */
    uint32_t index;
    uint64_t offset;
    enum pn_status status;
    struct pn_err err;
    struct buffer bytes; /* output; tails of logs */
    struct slice_result *results;
    uint32_t result_count;
    bool more;
    struct slice_output *outputs; /* of all results, JOB_OUTPUTS_MAX each */
    struct slice_log logs[LOGS_MAX];
    size_t tail_at[LOGS_MAX]; /* of stdout in bytes; stderr follows */
    uint32_t log_count;
    uint64_t accepted_attempt;
};

static enum pn_status read_manifest(struct read_work *w)
{
    struct store_job job;
    enum pn_status status = store_job_read(w->of->config.store, &w->job, &job, &w->err);
    if (status == PN_OK) {
        status = buffer_append(&w->bytes, buffer_bytes(&job.manifest));
        store_job_fini(&job);
    }
    return status;
}

static enum pn_status on_final_slice(void *arg, const struct ledger_slice *s)
{
    struct read_work *w = arg;
    if (!s->is_final) {
        return PN_OK;
    }
    if (w->result_count == w->max) {
        w->more = true;
        return PN_OK;
    }
    w->results[w->result_count++] = (struct slice_result){
        .slice = s->slice,
        .attempt = s->final.attempt,
        .class = s->final.class,
        .code = s->final.code,
        .basis = s->final.basis,
        .answer = s->final.answer,
    };
    return PN_OK;
}

struct detail {
    struct slice_result *result;
    struct slice_output *outputs;
};

static enum pn_status on_detail(void *arg, const struct record *r)
{
    struct detail *d = arg;
    if (r->kind == RECORD_VOTE && r->vote.attempt == d->result->attempt) {
        d->result->worker = r->vote.worker;
    } else if (r->kind == RECORD_OUTPUT && r->output.attempt == d->result->attempt &&
               d->result->output_count < JOB_OUTPUTS_MAX) {
        d->outputs[d->result->output_count++] =
            (struct slice_output){r->output.index, r->output.size, r->output.root};
    }
    return PN_OK;
}

static enum pn_status read_results(struct read_work *w)
{
    struct ledger_reader *reader = leads_reader(w->of->config.leads);
    w->results = calloc(w->max, sizeof *w->results);
    w->outputs = calloc((size_t)w->max * JOB_OUTPUTS_MAX, sizeof *w->outputs);
    if (w->results == NULL || w->outputs == NULL) {
        return pn_fail(&w->err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status = PN_OK;
    uint64_t from = w->slice;
    /* Touched slices that are not final make a page shorter: go on until it is full. */
    for (uint32_t page = w->max + 1; status == PN_OK && !w->more && w->result_count < w->max;) {
        uint32_t before = w->result_count;
        status =
            ledger_list_slices(reader, &w->job, &w->run, from, page, on_final_slice, w, &w->err);
        if (w->result_count == before) {
            break;
        }
        from = w->results[w->result_count - 1].slice + 1;
    }
    for (uint32_t i = 0; status == PN_OK && i < w->result_count; i++) {
        struct detail d = {&w->results[i], w->outputs + (size_t)i * JOB_OUTPUTS_MAX};
        status = ledger_read_slice(reader, &w->job, &w->run, w->results[i].slice, on_detail, &d,
                                   &w->err);
        w->results[i].outputs = d.outputs;
    }
    return status;
}

static enum pn_status on_log_record(void *arg, const struct record *r)
{
    struct read_work *w = arg;
    if (r->kind == RECORD_FINAL) {
        w->accepted_attempt = r->final.attempt;
    }
    if (r->kind != RECORD_VOTE || w->log_count == LOGS_MAX) {
        return PN_OK;
    }
    const struct record_vote *v = &r->vote;
    struct slice_log *log = &w->logs[w->log_count];
    *log = (struct slice_log){.attempt = v->attempt,
                              .worker = v->worker,
                              .class = v->class,
                              .code = v->code,
                              .wall_ms = v->wall_ms};
    log->stdout_tail.len = v->stdout_tail.len;
    log->stderr_tail.len = v->stderr_tail.len;
    w->tail_at[w->log_count++] = w->bytes.len;
    enum pn_status status = buffer_append(&w->bytes, v->stdout_tail);
    return status == PN_OK ? buffer_append(&w->bytes, v->stderr_tail) : status;
}

static enum pn_status read_log(struct read_work *w)
{
    enum pn_status status = ledger_read_slice(leads_reader(w->of->config.leads), &w->job, &w->run,
                                              w->slice, on_log_record, w, &w->err);
    for (uint32_t i = 0; i < w->log_count; i++) { /* the buffer moves no more */
        w->logs[i].stdout_tail.ptr = w->bytes.ptr + w->tail_at[i];
        w->logs[i].stderr_tail.ptr = w->bytes.ptr + w->tail_at[i] + w->logs[i].stdout_tail.len;
        if (w->logs[i].attempt == w->accepted_attempt && i > 0) {
            struct slice_log first = w->logs[i];
            size_t at = w->tail_at[i];
            w->logs[i] = w->logs[0];
            w->tail_at[i] = w->tail_at[0];
            w->logs[0] = first;
            w->tail_at[0] = at;
        }
    }
    return status;
}

static enum pn_status read_output(struct read_work *w)
{
    struct record_output o;
    enum pn_status status = ledger_read_output(leads_reader(w->of->config.leads), &w->job, &w->run,
                                               w->slice, w->index, &o, &w->bytes, &w->err);
    if (status == PN_OK && o.in_file) {
        const struct file_set set = {SET_OF_ATTEMPT, w->job, w->run, w->slice, o.attempt};
        uint64_t size;
        return store_output_read(w->of->config.store, &set, w->index, w->offset, w->max, &w->bytes,
                                 &size, &w->err);
    }
    if (status == PN_OK) {
        size_t skip = w->offset < w->bytes.len ? (size_t)w->offset : w->bytes.len;
        buffer_consume(&w->bytes, skip);
        w->bytes.len = w->bytes.len < w->max ? w->bytes.len : w->max;
    }
    return status;
}

static void read_work(uv_work_t *req)
{
    struct read_work *w = req->data;
    switch (w->kind) {
    case READ_MANIFEST:
        w->status = read_manifest(w);
        break;
    case READ_RESULTS:
        w->status = read_results(w);
        break;
    case READ_LOG:
        w->status = read_log(w);
        break;
    case READ_OUTPUT:
        w->status = read_output(w);
        break;
    }
}

static void after_read_work(uv_work_t *req, int uv_status)
{
    struct read_work *w = req->data;
    struct desk *d = w->of;
    (void)uv_status;
    if (w->status != PN_OK) {
        control_answer(w->call, w->status, &w->err);
    } else if (w->kind == READ_RESULTS) {
        control_answer_results(w->call, w->results, w->result_count, w->more);
    } else if (w->kind == READ_LOG) {
        control_answer_logs(w->call, w->logs, w->log_count);
    } else {
        control_answer_bytes(w->call, buffer_bytes(&w->bytes));
    }
    buffer_fini(&w->bytes);
    free(w->results);
    free(w->outputs);
    free(w);
    desk_unpin(d);
}

static struct read_work *read_new(struct desk *d, enum read_kind kind, const struct digest *job,
                                  struct control_call *call)
{
    struct run run;
    if (leads_manifest(d->config.leads, job, &run) == NULL) {
        const struct pn_err err = {PN_E_NOT_FOUND, "no such job is led here"};
        control_answer(call, PN_E_NOT_FOUND, &err);
        return NULL;
    }
    struct read_work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        control_answer(call, PN_E_NO_MEMORY, NULL);
        return NULL;
    }
    w->work.data = w;
    w->of = d;
    w->call = call;
    w->kind = kind;
    w->job = *job;
    w->run = run;
    buffer_init(&w->bytes, (size_t)2 * MANIFEST_BYTES_MAX);
    desk_pin(d);
    return w;
}

static void read_start(struct read_work *w)
{
    (void)uv_queue_work(w->of->config.loop, &w->work, read_work, after_read_work);
}

void desk_manifest(void *arg, const struct digest *job, struct control_call *call)
{
    struct read_work *w = read_new(arg, READ_MANIFEST, job, call);
    if (w != NULL) {
        read_start(w);
    }
}

void desk_results(void *arg, const struct digest *job, uint64_t from, uint32_t max,
                  struct control_call *call)
{
    struct read_work *w = read_new(arg, READ_RESULTS, job, call);
    if (w != NULL) {
        w->slice = from;
        w->max = max;
        read_start(w);
    }
}

void desk_log(void *arg, const struct digest *job, uint64_t slice, struct control_call *call)
{
    struct read_work *w = read_new(arg, READ_LOG, job, call);
    if (w != NULL) {
        w->slice = slice;
        read_start(w);
    }
}

void desk_output_read(void *arg, const struct digest *job, uint64_t slice, uint32_t index,
                      uint64_t offset, uint32_t bytes_max, struct control_call *call)
{
    struct read_work *w = read_new(arg, READ_OUTPUT, job, call);
    if (w != NULL) {
        w->slice = slice;
        w->index = index;
        w->offset = offset;
        w->max = bytes_max;
        read_start(w);
    }
}
