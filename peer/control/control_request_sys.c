#include "peer/control/control_request_sys.h"

#include <assert.h>
#include <stdlib.h>

#include "peer/control/control_json.h"

static const char OUT_OF_MEMORY[] =
    "{\"schema\": 1, \"error\": \"out of memory\", \"status\": \"out of memory\"}\n";

/* Answered without allocating anything of ours. */
static enum MHD_Result answer_no_memory(struct request *r)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof OUT_OF_MEMORY - 1, (void *)(uintptr_t)OUT_OF_MEMORY, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result =
        MHD_queue_response(r->connection, MHD_HTTP_INSUFFICIENT_STORAGE, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result answer_json(struct request *r, unsigned http_status, json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) {
        return answer_no_memory(r);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result result = MHD_queue_response(r->connection, http_status, response);
    MHD_destroy_response(response);
    return result;
}

/* control.h, struct control_ops, has this table in words. */
static unsigned http_status_of(enum pn_status status)
{
    switch (status) {
    case PN_OK:
        return MHD_HTTP_OK;
    case PN_E_NOT_FOUND:
        return MHD_HTTP_NOT_FOUND;
    case PN_E_EXISTS:
    case PN_E_BUSY:
        return MHD_HTTP_CONFLICT;
    case PN_E_DENIED:
        return MHD_HTTP_FORBIDDEN;
    case PN_E_TIMEOUT:
        return MHD_HTTP_GATEWAY_TIMEOUT;
    case PN_E_FULL:
    case PN_E_NO_MEMORY:
        return MHD_HTTP_INSUFFICIENT_STORAGE;
    case PN_E_CLOSED:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    case PN_E_SYSTEM:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    case PN_E_MALFORMED:
    case PN_E_TOO_BIG:
    case PN_E_RANGE:
    case PN_E_MISMATCH:
    case PN_E_UNSUPPORTED:
        break;
    }
    return MHD_HTTP_BAD_REQUEST;
}

enum MHD_Result answer_error(struct request *r, const struct pn_err *err, const char *field)
{
    return answer_json(r, http_status_of(err->status), control_json_error(err, field));
}

enum MHD_Result answer_ok(struct request *r)
{
    return answer_json(r, MHD_HTTP_OK, control_json_new());
}

/* --- calls --- */

static void call_free(struct control_call *call)
{
    buffer_fini(&call->bytes);
    json_decref(call->json);
    free(call);
}

struct control_call *call_new(struct request *r)
{
    assert(r->call == NULL);
    struct control_call *call = calloc(1, sizeof *call);
    if (call != NULL) {
        call->request = r;
        call->inside = true;
        buffer_init(&call->bytes, MANIFEST_BYTES_MAX);
        r->call = call;
    }
    return call;
}

bool call_wait(struct request *r)
{
    r->call->inside = false;
    if (!r->call->answered) {
        r->suspended = true;
        MHD_suspend_connection(r->connection);
        return false;
    }
    return true;
}

void call_drop(struct request *r)
{
    struct control_call *call = r->call;
    r->call = NULL;
    if (call == NULL) {
        return;
    }
    if (call->answered) {
        call_free(call);
    } else {
        call->request = NULL; /* the op still owes an answer: freed by it */
    }
}

void request_wake(struct request *r)
{
    if (r->suspended) {
        r->suspended = false;
        MHD_resume_connection(r->connection);
        control_woken(r->control);
    }
}

static void answered(struct control_call *call, enum pn_status status, const struct pn_err *err)
{
    assert(!call->answered);
    call->answered = true;
    call->status = status;
    if (err != NULL) {
        call->err = *err;
    } else if (status != PN_OK) {
        (void)pn_fail(&call->err, status, "%s", pn_status_text(status));
    }
    call->err.status = status;
    if (call->request == NULL) {
        call_free(call);
    } else if (!call->inside) {
        request_wake(call->request);
    }
}

void control_answer(struct control_call *call, enum pn_status status, const struct pn_err *err)
{
    answered(call, status, err);
}

void control_answer_bytes(struct control_call *call, struct pn_bytes bytes)
{
    answered(call, buffer_append(&call->bytes, bytes), NULL);
}

void control_answer_results(struct control_call *call, const struct slice_result *results,
                            uint32_t count, bool more)
{
    call->json = control_json_results(results, count, more);
    answered(call, call->json == NULL ? PN_E_NO_MEMORY : PN_OK, NULL);
}

void control_answer_logs(struct control_call *call, const struct slice_log *logs, uint32_t count)
{
    call->json = control_json_logs(logs, count);
    answered(call, call->json == NULL ? PN_E_NO_MEMORY : PN_OK, NULL);
}

/* --- questions --- */

struct each_job {
    json_t *list;
    bool failed;
};

static void add_job(void *arg, const struct job_status *status)
{
    struct each_job *e = arg;
    e->failed |= json_array_append_new(e->list, control_json_job(status)) != 0;
}

static enum MHD_Result answer_jobs(struct request *r)
{
    struct each_job e = {json_array(), false};
    json_t *json = control_json_new();
    r->control->ops->jobs(r->control->arg, add_job, &e);
    if (json_object_set_new(json, "jobs", e.list) != 0 || e.failed) {
        json_decref(json);
        json = NULL;
    }
    return answer_json(r, MHD_HTTP_OK, json);
}

static enum MHD_Result answer_peer(struct request *r)
{
    struct peer_status *status = calloc(1, sizeof *status);
    if (status == NULL) {
        return answer_no_memory(r);
    }
    r->control->ops->peer_status(r->control->arg, status);
    json_t *json = control_json_peer(status);
    free(status);
    return answer_json(r, MHD_HTTP_OK, json);
}

static enum MHD_Result answer_job(struct request *r)
{
    struct job_status *status = calloc(1, sizeof *status);
    struct pn_err err;
    if (status == NULL) {
        return answer_no_memory(r);
    }
    enum MHD_Result result =
        r->control->ops->job_status(r->control->arg, &r->route.job, status, &err) == PN_OK
            ? answer_json(r, MHD_HTTP_OK, control_json_job(status))
            : answer_error(r, &err, NULL);
    free(status);
    return result;
}

static enum MHD_Result answer_shutdown(struct request *r)
{
    struct pn_err err;
    return r->control->ops->shutdown(r->control->arg, &err) == PN_OK ? answer_ok(r)
                                                                     : answer_error(r, &err, NULL);
}

/* A number of the query, or initial when it is not given. */
static enum pn_status query_number(struct request *r, const char *name, uint64_t initial,
                                   uint64_t min, uint64_t max, uint64_t *out, struct pn_err *err)
{
    const char *text = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
    *out = initial;
    if (text == NULL) {
        return PN_OK;
    }
    if (!route_number(text, strlen(text), max, out) || *out < min) {
        return pn_fail(err, PN_E_RANGE, "%s = %.32s: allowed are %llu to %llu", name, text,
                       (unsigned long long)min, (unsigned long long)max);
    }
    return PN_OK;
}

struct page {
    uint64_t from;
    uint64_t count;
};

static enum pn_status query_page(struct request *r, struct page *out, const char **field,
                                 struct pn_err *err)
{
    *field = "from";
    enum pn_status status = query_number(r, "from", 0, 0, JOB_SLICES_MAX, &out->from, err);
    if (status == PN_OK) {
        *field = "count";
        status = query_number(r, "count", CONTROL_PAGE_MAX, 1, CONTROL_PAGE_MAX, &out->count, err);
    }
    return status;
}

static enum MHD_Result answer_slices(struct request *r)
{
    struct slice_status slices[CONTROL_PAGE_MAX];
    struct page page;
    struct pn_err err;
    const char *field = NULL;
    uint32_t count = 0;
    enum pn_status status = query_page(r, &page, &field, &err);
    if (status == PN_OK) {
        field = NULL;
        status = r->control->ops->slices(r->control->arg, &r->route.job, page.from, slices,
                                         (uint32_t)page.count, &count, &err);
    }
    if (status != PN_OK) {
        return answer_error(r, &err, field);
    }
    uint64_t next = count > 0 ? slices[count - 1].slice + 1 : 0;
    return answer_json(r, MHD_HTTP_OK, control_json_slices(slices, count, next));
}

/* The op of a create; the body is parsed again for each request only once, here. */
static enum pn_status ask_create(struct request *r, const char **field, struct pn_err *err)
{
    struct control_create_body body;
    enum pn_status status = control_create_body_parse(buffer_bytes(&r->body), &body, field, err);
    if (status != PN_OK) {
        return status;
    }
    const struct control_create what = {
        .job = body.job,
        .manifest_text = body.manifest,
        .manifest = &body.parsed,
        .owner = &body.owner,
        .grant = &body.grant,
    };
    r->control->ops->create(r->control->arg, &what, r->call);
    control_create_body_fini(&body);
    return PN_OK;
}

static enum pn_status ask_start(struct request *r, const char **field, struct pn_err *err)
{
    struct control_start how;
    enum pn_status status =
        control_start_body_parse(buffer_bytes(&r->body), &how.workers_max, field, err);
    if (status == PN_OK) {
        r->control->ops->start(r->control->arg, &r->route.job, &how, r->call);
    }
    return status;
}

static enum pn_status ask_results(struct request *r, const char **field, struct pn_err *err)
{
    struct page page;
    enum pn_status status = query_page(r, &page, field, err);
    if (status == PN_OK) {
        r->control->ops->results(r->control->arg, &r->route.job, page.from, (uint32_t)page.count,
                                 r->call);
    }
    return status;
}

/* Asks the op of a question that is answered by a call. Anything but PN_OK: it was not asked. */
static enum pn_status ask(struct request *r, const char **field, struct pn_err *err)
{
    const struct control_ops *ops = r->control->ops;
    void *arg = r->control->arg;
    const struct digest *job = &r->route.job;
    switch (r->route.kind) {
    case ROUTE_CREATE:
        return ask_create(r, field, err);
    case ROUTE_START:
        return ask_start(r, field, err);
    case ROUTE_RESULTS:
        return ask_results(r, field, err);
    case ROUTE_CANCEL:
        ops->cancel(arg, job, r->call);
        return PN_OK;
    case ROUTE_RESUME:
        ops->resume(arg, job, r->call);
        return PN_OK;
    case ROUTE_REMOVE:
        ops->remove(arg, job, r->call);
        return PN_OK;
    case ROUTE_MANIFEST:
        ops->manifest(arg, job, r->call);
        return PN_OK;
    case ROUTE_LOG:
        ops->log(arg, job, r->route.slice, r->call);
        return PN_OK;
    case ROUTE_OUTPUT:
        ops->output_read(arg, job, r->route.slice, r->route.index, 0, CONTROL_READ_BYTES_MAX,
                         r->call);
        return PN_OK;
    case ROUTE_PEER:
    case ROUTE_SHUTDOWN:
    case ROUTE_JOBS:
    case ROUTE_JOB:
    case ROUTE_EVENTS:
    case ROUTE_PUT:
    case ROUTE_SLICES:
        break;
    }
    assert(!"a question without a call");
    return PN_E_SYSTEM;
}

static enum MHD_Result answer_manifest(struct request *r)
{
    const struct buffer *bytes = &r->call->bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        bytes->len, bytes->len == 0 ? (void *)(uintptr_t) "" : bytes->ptr, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return answer_no_memory(r);
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  "text/plain; charset=utf-8");
    enum MHD_Result result = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* The call of this request has been answered. */
static enum MHD_Result pass_on(struct request *r)
{
    struct control_call *call = r->call;
    enum MHD_Result result;
    if (call->status != PN_OK) {
        result = answer_error(r, &call->err, NULL);
    } else if (r->route.kind == ROUTE_OUTPUT) {
        return stream_output(r); /* keeps the call: its bytes are the first chunk */
    } else if (r->route.kind == ROUTE_MANIFEST) {
        result = answer_manifest(r);
    } else if (call->json != NULL) {
        json_t *json = call->json;
        call->json = NULL;
        result = answer_json(r, MHD_HTTP_OK, json);
    } else {
        result = answer_ok(r);
    }
    call_drop(r);
    return result;
}

/* The whole question is here: ask it, or pass its answer on. */
static enum MHD_Result question(struct request *r)
{
    switch (r->route.kind) {
    case ROUTE_PEER:
        return answer_peer(r);
    case ROUTE_SHUTDOWN:
        return answer_shutdown(r);
    case ROUTE_JOBS:
        return answer_jobs(r);
    case ROUTE_JOB:
        return answer_job(r);
    case ROUTE_SLICES:
        return answer_slices(r);
    case ROUTE_EVENTS:
        return stream_events(r);
    case ROUTE_PUT:
        return put_end(r);
    case ROUTE_CREATE:
    case ROUTE_START:
    case ROUTE_CANCEL:
    case ROUTE_RESUME:
    case ROUTE_REMOVE:
    case ROUTE_MANIFEST:
    case ROUTE_RESULTS:
    case ROUTE_LOG:
    case ROUTE_OUTPUT:
        break;
    }
    if (r->call == NULL) {
        struct pn_err err;
        const char *field = NULL;
        if (call_new(r) == NULL) {
            return answer_no_memory(r);
        }
        if (ask(r, &field, &err) != PN_OK) {
            r->call->answered = true; /* by us: no op has it */
            call_drop(r);
            return answer_error(r, &err, field);
        }
        buffer_fini(&r->body);
        if (!call_wait(r)) {
            return MHD_YES;
        }
    }
    return pass_on(r);
}

/* --- what libmicrohttpd calls --- */

static enum MHD_Result refuse(struct request *r, unsigned http_status, const struct pn_err *err)
{
    return answer_json(r, http_status, control_json_error(err, NULL));
}

/* The head of a request: what is wrong already is answered before the body is read. */
static enum MHD_Result begin(struct request *r, const char *url, const char *method)
{
    struct pn_err err;
    enum pn_status status = route_find(method, url, &r->route, &err);
    if (status != PN_OK) {
        return refuse(
            r, status == PN_E_UNSUPPORTED ? MHD_HTTP_METHOD_NOT_ALLOWED : http_status_of(status),
            &err);
    }
    if (r->route.kind == ROUTE_PUT) {
        return put_start(r);
    }
    const char *length =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t bytes = 0;
    if (length != NULL && (!route_number(length, strlen(length), UINT64_MAX, &bytes) ||
                           bytes > CONTROL_BODY_BYTES_MAX)) {
        (void)pn_fail(&err, PN_E_TOO_BIG, "body: %.20s bytes, at most %d", length,
                      CONTROL_BODY_BYTES_MAX);
        return refuse(r, MHD_HTTP_CONTENT_TOO_LARGE, &err);
    }
    return MHD_YES;
}

static void link_in(struct control *c, struct request *r)
{
    r->next = c->requests;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    c->requests = r;
}

static void link_out(struct control *c, struct request *r)
{
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        c->requests = r->next;
    }
}

enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **con_cls)
{
    struct control *c = cls;
    struct request *r = *con_cls;
    (void)version;
    if (c->stopping) {
        return MHD_NO;
    }
    if (r == NULL) {
        r = calloc(1, sizeof *r);
        if (r == NULL) {
            return MHD_NO;
        }
        r->control = c;
        r->connection = connection;
        buffer_init(&r->body, CONTROL_BODY_BYTES_MAX);
        link_in(c, r);
        *con_cls = r;
        return begin(r, url, method);
    }
    if (*upload_data_size > 0) {
        if (r->route.kind == ROUTE_PUT) {
            return put_body(r, upload_data, upload_data_size);
        }
        const struct pn_bytes piece = {(const uint8_t *)upload_data, *upload_data_size};
        *upload_data_size = 0;
        /* Too long in spite of what its head said, or no memory: the client sees a closed line. */
        return buffer_append(&r->body, piece) == PN_OK ? MHD_YES : MHD_NO;
    }
    r->whole = true;
    return question(r);
}

void request_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                       enum MHD_RequestTerminationCode code)
{
    struct control *c = cls;
    struct request *r = *con_cls;
    (void)connection;
    (void)code;
    if (r == NULL) {
        return;
    }
    *con_cls = NULL;
    if (r->put != NULL) {
        c->ops->put_abort(c->arg, r->put);
    }
    call_drop(r);
    link_out(c, r);
    buffer_fini(&r->body);
    buffer_fini(&r->event);
    free(r);
}
