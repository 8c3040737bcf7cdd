#include "peer/control/control_request_sys.h"

#include "peer/control/control_json.h"

/* The whole content is here already: the client, which waits for "100 Continue", sends nothing. */
static enum MHD_Result answer_have(struct request *r, bool have)
{
    json_t *json = control_json_new();
    if (json_object_set_new(json, "have", json_boolean(have)) != 0) {
        json_decref(json);
        json = NULL;
    }
    return answer_json(r, MHD_HTTP_OK, json);
}

enum MHD_Result put_start(struct request *r)
{
    struct pn_err err;
    const struct control *c = r->control;
    enum pn_status status = c->ops->put_begin(c->arg, &r->route.job, r->route.index, &r->put, &err);
    if (status == PN_OK) {
        return MHD_YES;
    }
    r->put = NULL;
    if (status != PN_E_EXISTS) {
        return answer_error(r, &err, NULL);
    }
    const char *expect =
        MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT);
    r->have = expect == NULL; /* the body is on its way: an answer now would end the connection */
    return r->have ? MHD_YES : answer_have(r, true);
}

/* Gives the put up; what the client still sends is thrown away, then it hears why. */
static void fail(struct request *r, const struct pn_err *err)
{
    r->put_failed = *err;
    if (r->put != NULL) {
        r->control->ops->put_abort(r->control->arg, r->put);
        r->put = NULL;
    }
}

/* Takes the answer of a write or of the finish in. */
static void settle(struct request *r)
{
    struct control_call *call = r->call;
    if (call == NULL) {
        return;
    }
    if (call->status != PN_OK) {
        fail(r, &call->err);
    }
    if (call->bytes.ptr != NULL) { /* the memory, for the next piece */
        buffer_fini(&r->body);
        r->body = call->bytes;
        r->body.len = 0;
        buffer_init(&call->bytes, 0);
    }
    call_drop(r);
}

/*
 * Asks the op to write what has gathered, and to finish with it if these are the last bytes. The
 * call owns them: they must stay even when the client goes away. False: suspended until the answer.
 */
static bool write_gathered(struct request *r, bool finish)
{
    struct pn_err err;
    const struct control *c = r->control;
    void *put = r->put;
    if (call_new(r) == NULL) {
        (void)pn_fail(&err, PN_E_NO_MEMORY, "out of memory");
        fail(r, &err);
        r->body.len = 0;
        return true;
    }
    r->call->bytes = r->body;
    buffer_init(&r->body, CONTROL_BODY_BYTES_MAX);
    if (finish) {
        r->put = NULL; /* no abort after finish, whenever it is answered */
        c->ops->put_finish(c->arg, put, buffer_bytes(&r->call->bytes), r->call);
    } else {
        c->ops->put_write(c->arg, put, buffer_bytes(&r->call->bytes), r->call);
    }
    if (!call_wait(r)) {
        return false;
    }
    settle(r);
    return true;
}

enum MHD_Result put_body(struct request *r, const char *data, size_t *data_len)
{
    settle(r);
    while (*data_len > 0) {
        if (r->put == NULL) { /* failed: drain */
            *data_len = 0;
            return MHD_YES;
        }
        size_t room = CONTROL_PUT_BYTES_MAX - r->body.len;
        size_t take = *data_len < room ? *data_len : room;
        struct pn_err err;
        enum pn_status status =
            buffer_append(&r->body, (struct pn_bytes){(const uint8_t *)data, take});
        if (status != PN_OK) {
            (void)pn_fail(&err, status, "out of memory");
            fail(r, &err);
            continue;
        }
        data += take;
        *data_len -= take;
        if (r->body.len == CONTROL_PUT_BYTES_MAX && !write_gathered(r, false)) {
            return MHD_YES; /* comes again with the rest of the data */
        }
    }
    return MHD_YES;
}

enum MHD_Result put_end(struct request *r)
{
    settle(r);
    if (r->put != NULL && !write_gathered(r, true)) {
        return MHD_YES;
    }
    return r->put_failed.status == PN_OK ? answer_have(r, r->have)
                                         : answer_error(r, &r->put_failed, NULL);
}
