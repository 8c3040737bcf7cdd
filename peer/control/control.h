/*
 * control -- a peer's own socket for the commands of this machine: HTTP/1.1 under /v1 on
 * <data>/control.sock, JSON, server-sent events for followers.
 *
 * It knows neither master nor store: what it is asked for, it asks of struct control_ops, which the
 * peer shell implements. Everything here runs on the loop's thread. Only the user who runs the
 * peer, and root, get through (SO_PEERCRED), and nothing that a client sends names a path.
 *
 *     GET    /v1/peer                              peer_status
 *     POST   /v1/peer/shutdown                     shutdown
 *     GET    /v1/jobs                              jobs
 *     POST   /v1/jobs                              create
 *     GET    /v1/jobs/ID                           job_status
 *     DELETE /v1/jobs/ID                           remove
 *     GET    /v1/jobs/ID/manifest                  manifest
 *     GET    /v1/jobs/ID/events                    job_status, as it changes
 *     PUT    /v1/jobs/ID/files/INDEX               put_begin, put_write …, put_finish
 *     POST   /v1/jobs/ID/start | cancel | resume   start, cancel, resume
 *     GET    /v1/jobs/ID/slices?from=N&count=N     slices
 *     GET    /v1/jobs/ID/results?from=N&count=N    results
 *     GET    /v1/jobs/ID/slices/N/log              log
 *     GET    /v1/jobs/ID/slices/N/outputs/INDEX    output_read …
 *
 * README.md in this folder has the bodies.
 */
#ifndef PREON_PEER_CONTROL_CONTROL_H
#define PREON_PEER_CONTROL_CONTROL_H

#include "common/claim.h"
#include "peer/control/status.h"

struct uv_loop_s;

enum {
    CONTROL_CONNECTIONS_MAX = 512,       /* one more is told so: 503 */
    CONTROL_FOLLOWERS_MAX = 448,         /* of them: the others are for orders and questions */
    CONTROL_PUT_BYTES_MAX = 256 * 1024,  /* of one put_write */
    CONTROL_READ_BYTES_MAX = 256 * 1024, /* of one output_read */
    CONTROL_PAGE_MAX = 256,              /* slices or results in one answer */
};

/*
 * A question that waits for its answer. An op that gets one answers exactly once: before it
 * returns, or later, on the loop's thread. The client may be gone by then, which the op need not
 * know. After control_stop a call may still be answered; nothing happens then.
 */
struct control_call;

/* Any status; err is for statuses other than PN_OK and may be NULL. */
void control_answer(struct control_call *call, enum pn_status status, const struct pn_err *err);

/* PN_OK with bytes, which are copied: manifest, output_read (none: the end of the output). */
void control_answer_bytes(struct control_call *call, struct pn_bytes bytes);

/* PN_OK with results: up to the count asked for, ascending; `more` when others follow. */
void control_answer_results(struct control_call *call, const struct slice_result *results,
                            uint32_t count, bool more);

/* PN_OK with the logs of a slice's attempts, the accepted one first. */
void control_answer_logs(struct control_call *call, const struct slice_log *logs, uint32_t count);

/* A new job: parsed, and its signatures are right. Borrowed for the call of create only. */
struct control_create {
    struct digest job;
    struct pn_bytes manifest_text;
    const struct manifest *manifest;
    const struct signature *owner;
    const struct grant *grant; /* names this job; whether it names this peer is create's to check */
};

struct control_start {
    uint32_t workers_max; /* slots hired at most; 0: as many as there are slices */
};

/*
 * What the peer can do. arg comes first everywhere. Functions with a call answer by it and should
 * not take long before they return; the others answer at once and do not block on the disk.
 *
 * How statuses reach the client: NOT_FOUND 404, EXISTS and BUSY 409, DENIED 403, TIMEOUT 504,
 * FULL and NO_MEMORY 507, CLOSED 503, SYSTEM 500, the rest 400; with the sentence.
 */
struct control_ops {
    void (*peer_status)(void *arg, struct peer_status *out);

    /* PN_E_DENIED when this peer does not end by order of a client. */
    enum pn_status (*shutdown)(void *arg, struct pn_err *err);

    /* Calls each for every job, newest first. */
    void (*jobs)(void *arg, void (*each)(void *each_arg, const struct job_status *status),
                 void *each_arg);
    enum pn_status (*job_status)(void *arg, const struct digest *job, struct job_status *out,
                                 struct pn_err *err);

    /* Keeps the job durably; it does not run before start. PN_E_EXISTS: it is here already. */
    void (*create)(void *arg, const struct control_create *what, struct control_call *call);
    void (*start)(void *arg, const struct digest *job, const struct control_start *how,
                  struct control_call *call);
    void (*cancel)(void *arg, const struct digest *job, struct control_call *call);
    void (*resume)(void *arg, const struct digest *job, struct control_call *call);
    void (*remove)(void *arg, const struct digest *job, struct control_call *call);
    void (*manifest)(void *arg, const struct digest *job, struct control_call *call);

    /*
     * A file of a job that streams in: begin, any number of writes, then finish or abort. *put is
     * the op's own. A write's bytes stay valid until it is answered, and no other comes before.
     * begin fails with PN_E_EXISTS when the content is here already (the client then sends
     * nothing). finish, with the last bytes if there are any more, and abort end the put; abort may
     * come while a write is unanswered, which is then answered nevertheless. start and resume
     * make what was put durable before they answer.
     */
    enum pn_status (*put_begin)(void *arg, const struct digest *job, uint32_t file, void **put,
                                struct pn_err *err);
    void (*put_write)(void *arg, void *put, struct pn_bytes bytes, struct control_call *call);
    void (*put_finish)(void *arg, void *put, struct pn_bytes bytes, struct control_call *call);
    void (*put_abort)(void *arg, void *put);

    /* States of slices from `from` on: at most max of them; *count says how many. */
    enum pn_status (*slices)(void *arg, const struct digest *job, uint64_t from,
                             struct slice_status *out, uint32_t max, uint32_t *count,
                             struct pn_err *err);

    /* Final slices from `from` on, at most max: control_answer_results. */
    void (*results)(void *arg, const struct digest *job, uint64_t from, uint32_t max,
                    struct control_call *call);
    void (*log)(void *arg, const struct digest *job, uint64_t slice, struct control_call *call);

    /* Bytes of a final slice's output from offset on, at most bytes_max: control_answer_bytes. */
    void (*output_read)(void *arg, const struct digest *job, uint64_t slice, uint32_t index,
                        uint64_t offset, uint32_t bytes_max, struct control_call *call);
};

struct control;

/*
 * Binds <data>/control.sock (dir_fd is the data folder, data_dir its name) and serves. A socket
 * file that nobody answers at is replaced; the folder's lock is the caller's business. ops and arg
 * stay valid until on_stopped.
 */
enum pn_status control_start(struct uv_loop_s *loop, const char *data_dir,
                             const struct control_ops *ops, void *arg, struct control **out,
                             struct pn_err *err);

/*
 * Something about the job changed that a follower would want to know at once (a new state, a final
 * slice). Cheap; followers get at most ten events a second. Without it they get one a second.
 */
void control_job_changed(struct control *c, const struct digest *job);

/*
 * Closes all connections, removes the socket, frees c when its handles are closed, then calls
 * on_stopped. Puts that are not finished are aborted before it returns. NULL c: only the call.
 */
void control_stop(struct control *c, void (*on_stopped)(void *arg), void *arg);

#endif
