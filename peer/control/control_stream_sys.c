#include "peer/control/control_request_sys.h"

#include <stdlib.h>

#include "peer/control/control_json.h"

enum {
    STREAM_BLOCK_BYTES = 64 * 1024, /* that libmicrohttpd asks for at once, at most */
    EVENT_BYTES_MAX = 256 * 1024,   /* of one event */
    EVENT_EVERY_MS = 1000,          /* without a change */
};

/* Nothing to send now: the connection sleeps until somebody wakes the request. */
static ssize_t sleep_now(struct request *r)
{
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    return 0;
}

static enum MHD_Result answer_stream(struct request *r, MHD_ContentReaderCallback read,
                                     const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read, r, NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(r->connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* --- an output: one read at a time, the next when its bytes have gone out --- */

static size_t copy_chunk(struct request *r, char *out, size_t out_max)
{
    const struct buffer *chunk = &r->call->bytes;
    size_t len = chunk->len - r->sent;
    len = len < out_max ? len : out_max;
    memcpy(out, chunk->ptr + r->sent, len);
    r->sent += len;
    if (r->sent == chunk->len) {
        r->offset += chunk->len;
        r->sent = 0;
        call_drop(r);
    }
    return len;
}

static ssize_t read_output(void *cls, uint64_t at, char *out, size_t out_max)
{
    struct request *r = cls;
    const struct control *c = r->control;
    (void)at;
    if (c->stopping) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (r->call == NULL) {
        if (call_new(r) == NULL) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        c->ops->output_read(c->arg, &r->route.job, r->route.slice, r->route.index, r->offset,
                            CONTROL_READ_BYTES_MAX, r->call);
        if (!call_wait(r)) {
            return 0;
        }
    }
    if (r->call->status != PN_OK) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return r->call->bytes.len == 0 ? MHD_CONTENT_READER_END_OF_STREAM
                                   : (ssize_t)copy_chunk(r, out, out_max);
}

enum MHD_Result stream_output(struct request *r)
{
    return answer_stream(r, read_output, "application/octet-stream");
}

/* --- a follower: the job's status again and again, the newest only --- */

static void put_event(struct request *r, const char *name, json_t *json)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL || buffer_printf(&r->event, "event: %s\ndata: %s\n\n", name, text) != PN_OK) {
        r->last = true; /* no memory: the follower comes again */
    }
    free(text);
}

static void make_event(struct request *r, uint64_t now_ms)
{
    struct pn_err err;
    struct job_status *status = calloc(1, sizeof *status);
    r->dirty = false;
    r->event_at_ms = now_ms;
    if (status == NULL) {
        r->last = true;
        return;
    }
    if (r->control->ops->job_status(r->control->arg, &r->route.job, status, &err) == PN_OK) {
        r->last = job_state_ended(status);
        put_event(r, "status", control_json_job(status));
    } else {
        r->last = true;
        put_event(r, "error", control_json_error(&err, NULL));
    }
    free(status);
}

static ssize_t read_events(void *cls, uint64_t at, char *out, size_t out_max)
{
    struct request *r = cls;
    (void)at;
    if (r->control->stopping) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (r->event.len == 0) {
        return r->last ? MHD_CONTENT_READER_END_OF_STREAM : sleep_now(r);
    }
    size_t len = r->event.len < out_max ? r->event.len : out_max;
    memcpy(out, r->event.ptr, len);
    buffer_consume(&r->event, len);
    return (ssize_t)len;
}

static uint32_t follower_count(const struct control *c)
{
    uint32_t count = 0;
    for (const struct request *r = c->requests; r != NULL; r = r->next) {
        count += r->follows;
    }
    return count;
}

enum MHD_Result stream_events(struct request *r)
{
    struct pn_err err;
    if (follower_count(r->control) >= CONTROL_FOLLOWERS_MAX) {
        (void)pn_fail(&err, PN_E_BUSY, "%d commands follow jobs here already",
                      CONTROL_FOLLOWERS_MAX);
        return answer_json(r, MHD_HTTP_SERVICE_UNAVAILABLE, control_json_error(&err, NULL));
    }
    struct job_status *status = calloc(1, sizeof *status);
    if (status == NULL) {
        return MHD_NO;
    }
    enum pn_status found =
        r->control->ops->job_status(r->control->arg, &r->route.job, status, &err);
    free(status);
    if (found != PN_OK) {
        return answer_error(r, &err, NULL);
    }
    buffer_init(&r->event, EVENT_BYTES_MAX);
    r->follows = true;
    r->dirty = true;
    control_followed(r->control);
    return answer_stream(r, read_events, "text/event-stream");
}

void stream_tick(struct control *c, uint64_t now_ms)
{
    for (struct request *r = c->requests; r != NULL; r = r->next) {
        bool due = r->dirty || now_ms - r->event_at_ms >= EVENT_EVERY_MS;
        if (r->follows && !r->last && r->event.len == 0 && due) {
            make_event(r, now_ms);
            request_wake(r);
        }
    }
}

bool stream_followed(const struct control *c) { return follower_count(c) > 0; }

void control_job_changed(struct control *c, const struct digest *job)
{
    for (struct request *r = c->requests; r != NULL; r = r->next) {
        if (r->follows && digest_equal(&r->route.job, job)) {
            r->dirty = true;
        }
    }
}
