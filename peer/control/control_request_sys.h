/*
 * control_request_sys -- one HTTP request, from its first line to the last byte of its answer.
 * For control*_sys.c and control_uv.c only; control.h is the interface.
 *
 * libmicrohttpd calls the handler again and again: once with the head, then with pieces of the
 * body, then once more, and from then on each time the request is resumed, until the handler
 * queues an answer. While an op has not answered, the connection is suspended: nothing is read
 * from the client, which is all the back-pressure there is.
 */
#ifndef PREON_PEER_CONTROL_CONTROL_REQUEST_SYS_H
#define PREON_PEER_CONTROL_CONTROL_REQUEST_SYS_H

#include <jansson.h>
#include <microhttpd.h>

#include "common/buffer.h"
#include "peer/control/control.h"
#include "peer/control/control_route.h"

/*
 * What an op answers. It outlives the request when the client goes away first: then request is
 * NULL and the answer is dropped.
 */
struct control_call {
    struct request *request;
    bool inside;   /* the op has not returned yet: an answer now needs no resume */
    bool answered; /* the fields below hold */
    enum pn_status status;
    struct pn_err err;
    struct buffer bytes; /* of control_answer_bytes */
    json_t *json;        /* of results and logs; owned */
};

struct request {
    struct control *control;
    struct MHD_Connection *connection;
    struct route route;
    struct control_call *call; /* the question that is out, NULL when none */
    struct buffer body;        /* of a JSON question, or what a put has not written yet */
    bool suspended;
    bool whole; /* the body has arrived */

    /* ROUTE_PUT */
    void *put;                /* the op's; NULL when there is none (any more) */
    bool have;                /* the content is here already: the body is thrown away */
    struct pn_err put_failed; /* status PN_OK: it has not */

    /* ROUTE_OUTPUT: the chunk being sent is call->bytes */
    uint64_t offset; /* of the next output_read */
    size_t sent;     /* bytes of the chunk */

    /* ROUTE_EVENTS */
    struct buffer event; /* text not sent yet */
    bool follows;
    bool dirty; /* something has changed since the last event */
    bool last;  /* the job has ended: nothing comes after event */
    uint64_t event_at_ms;

    struct request *next; /* in control's list of all */
    struct request *prev;
};

/* What the parts of the server share. */
struct control {
    const struct control_ops *ops;
    void *arg;
    struct MHD_Daemon *daemon;
    struct request *requests;
    bool stopping;
    struct control_shell *shell; /* control_uv.c: sockets and timers */
};

/* libmicrohttpd's callbacks; cls is the struct control. */
enum MHD_Result request_handle(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *upload_data,
                               size_t *upload_data_size, void **con_cls);
void request_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                       enum MHD_RequestTerminationCode code);

/* A call for the next op; NULL when memory is short. */
struct control_call *call_new(struct request *r);

/*
 * To be called when the op has returned. True: answered already. False: the connection is now
 * suspended, and the handler comes again when it is.
 */
bool call_wait(struct request *r);

/* Frees the call that was out (answered or not). */
void call_drop(struct request *r);

/* Lets a suspended request go on. */
void request_wake(struct request *r);

/* Answers: each takes json (NULL: out of memory). */
enum MHD_Result answer_json(struct request *r, unsigned http_status, json_t *json);
enum MHD_Result answer_error(struct request *r, const struct pn_err *err, const char *field);
enum MHD_Result answer_ok(struct request *r);

/* control_put_sys.c */
enum MHD_Result put_start(struct request *r);
enum MHD_Result put_body(struct request *r, const char *data, size_t *data_len);
enum MHD_Result put_end(struct request *r);

/* control_stream_sys.c */
enum MHD_Result stream_output(struct request *r);
enum MHD_Result stream_events(struct request *r);
/* Makes and sends events that are due; called ten times a second while anybody follows. */
void stream_tick(struct control *c, uint64_t now_ms);
bool stream_followed(const struct control *c);

/* control_uv.c: starts the ticks; sees to it that a request that was woken goes on. */
void control_followed(struct control *c);
void control_woken(struct control *c);

#endif
