/*
 * control_bed -- a control socket with a peer of a few lines behind it, and a client on the same
 * thread. For tests.
 */
#ifndef PREON_TESTS_CONTROL_BED_H
#define PREON_TESTS_CONTROL_BED_H

#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/log_sys.h"
#include "peer/control/control.h"

#define ID "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define JOB "/v1/jobs/" ID

enum {
    DEADLINE_MS = 10000,
    REPLY_BYTES_MAX = 8 * 1024 * 1024,
    OUTPUT_BYTES = 700 * 1000, /* of the one output: several reads, the last one short */
};

/* A peer whose every answer comes a turn of the loop later when `late`. */
struct fake {
    uv_loop_t loop;
    struct control *control;
    char dir[64];
    bool late;
    bool stopped;
    enum pn_status fail; /* of the next answer by call */

    struct {
        uv_idle_t idle; /* the late answer */
        struct control_call *call;
        struct pn_bytes bytes;
        bool with_bytes;
    } owed;

    struct buffer put;
    int puts_open;
    int put_writes;
    int put_finishes;
    int put_aborts;
    bool shut_down;
    struct job_status status;
};

static inline void answer_now(struct fake *f)
{
    struct control_call *call = f->owed.call;
    struct pn_err err;
    f->owed.call = NULL;
    if (f->fail != PN_OK) {
        (void)pn_fail(&err, f->fail, "the disk is full");
        control_answer(call, f->fail, &err);
        f->fail = PN_OK;
    } else if (f->owed.with_bytes) {
        control_answer_bytes(call, f->owed.bytes);
    } else {
        control_answer(call, PN_OK, NULL);
    }
}

static inline void on_idle(uv_idle_t *idle)
{
    struct fake *f = idle->data;
    (void)uv_idle_stop(idle);
    answer_now(f);
}

static inline void answer(struct fake *f, struct control_call *call, bool with_bytes,
                          struct pn_bytes bytes)
{
    assert_null(f->owed.call);
    f->owed.call = call;
    f->owed.with_bytes = with_bytes;
    f->owed.bytes = bytes;
    if (f->late) {
        (void)uv_idle_start(&f->owed.idle, on_idle);
    } else {
        answer_now(f);
    }
}

static const struct pn_bytes NOTHING = {NULL, 0};

static inline void op_peer_status(void *arg, struct peer_status *out)
{
    (void)arg;
    out->slot_count = 3;
}

static inline enum pn_status op_shutdown(void *arg, struct pn_err *err)
{
    struct fake *f = arg;
    if (f->late) {
        return pn_fail(err, PN_E_DENIED, "this peer ends by SIGTERM");
    }
    f->shut_down = true;
    return PN_OK;
}

static inline void op_jobs(void *arg, void (*each)(void *each_arg, const struct job_status *status),
                           void *each_arg)
{
    struct fake *f = arg;
    each(each_arg, &f->status);
    each(each_arg, &f->status);
}

static inline enum pn_status op_job_status(void *arg, const struct digest *job,
                                           struct job_status *out, struct pn_err *err)
{
    struct fake *f = arg;
    if (!digest_equal(job, &f->status.id)) {
        return pn_fail(err, PN_E_NOT_FOUND, "no such job");
    }
    *out = f->status;
    return PN_OK;
}

static inline void op_create(void *arg, const struct control_create *what,
                             struct control_call *call)
{
    (void)what;
    answer(arg, call, false, NOTHING);
}

static inline void op_start(void *arg, const struct digest *job, const struct control_start *how,
                            struct control_call *call)
{
    struct fake *f = arg;
    (void)job;
    f->status.slot_count = how->workers_max;
    answer(f, call, false, NOTHING);
}

static inline void op_simple(void *arg, const struct digest *job, struct control_call *call)
{
    (void)job;
    answer(arg, call, false, NOTHING);
}

static inline void op_manifest(void *arg, const struct digest *job, struct control_call *call)
{
    (void)job;
    answer(arg, call, true, pn_bytes_str("preon job 1\n"));
}

static inline enum pn_status op_put_begin(void *arg, const struct digest *job, uint32_t file,
                                          void **put, struct pn_err *err)
{
    struct fake *f = arg;
    (void)job;
    if (file == 1) {
        return pn_fail(err, PN_E_EXISTS, "it is here");
    }
    if (file == 2) {
        return pn_fail(err, PN_E_NOT_FOUND, "no such file in the manifest");
    }
    f->put.len = 0;
    f->puts_open++;
    *put = &f->put;
    return PN_OK;
}

static inline void op_put_write(void *arg, void *put, struct pn_bytes bytes,
                                struct control_call *call)
{
    struct fake *f = arg;
    assert_ptr_equal(put, &f->put);
    assert_true(bytes.len > 0 && bytes.len <= CONTROL_PUT_BYTES_MAX);
    assert_int_equal(buffer_append(&f->put, bytes), PN_OK);
    f->put_writes++;
    answer(f, call, false, NOTHING);
}

static inline void op_put_finish(void *arg, void *put, struct pn_bytes bytes,
                                 struct control_call *call)
{
    struct fake *f = arg;
    (void)put;
    assert_true(bytes.len <= CONTROL_PUT_BYTES_MAX);
    assert_int_equal(buffer_append(&f->put, bytes), PN_OK);
    f->puts_open--;
    f->put_finishes++;
    answer(f, call, false, NOTHING);
}

static inline void op_put_abort(void *arg, void *put)
{
    struct fake *f = arg;
    (void)put;
    f->puts_open--;
    f->put_aborts++;
}

static inline enum pn_status op_slices(void *arg, const struct digest *job, uint64_t from,
                                       struct slice_status *out, uint32_t max, uint32_t *count,
                                       struct pn_err *err)
{
    (void)arg;
    (void)job;
    (void)err;
    *count = 0;
    for (uint64_t i = from; i < 300 && *count < max; i++) {
        out[(*count)++] = (struct slice_status){.slice = i};
    }
    return PN_OK;
}

static inline void op_results(void *arg, const struct digest *job, uint64_t from, uint32_t max,
                              struct control_call *call)
{
    const struct slice_output output = {.index = 0, .size = OUTPUT_BYTES};
    const struct slice_result result = {.slice = from, .output_count = 1, .outputs = &output};
    (void)arg;
    (void)job;
    assert_int_equal(max, 5);
    control_answer_results(call, &result, 1, false);
}

static inline void op_log(void *arg, const struct digest *job, uint64_t slice,
                          struct control_call *call)
{
    const struct slice_log log = {.attempt = slice, .stdout_tail = pn_bytes_str("hello\n")};
    (void)arg;
    (void)job;
    control_answer_logs(call, &log, 1);
}

static uint8_t output_bytes[OUTPUT_BYTES];

static inline void op_output_read(void *arg, const struct digest *job, uint64_t slice,
                                  uint32_t index, uint64_t offset, uint32_t bytes_max,
                                  struct control_call *call)
{
    (void)job;
    (void)slice;
    (void)index;
    assert_true(offset <= OUTPUT_BYTES);
    size_t len = OUTPUT_BYTES - offset < bytes_max ? OUTPUT_BYTES - (size_t)offset : bytes_max;
    answer(arg, call, true, (struct pn_bytes){output_bytes + offset, len});
}

static const struct control_ops OPS = {
    .peer_status = op_peer_status,
    .shutdown = op_shutdown,
    .jobs = op_jobs,
    .job_status = op_job_status,
    .create = op_create,
    .start = op_start,
    .cancel = op_simple,
    .resume = op_simple,
    .remove = op_simple,
    .manifest = op_manifest,
    .put_begin = op_put_begin,
    .put_write = op_put_write,
    .put_finish = op_put_finish,
    .put_abort = op_put_abort,
    .slices = op_slices,
    .results = op_results,
    .log = op_log,
    .output_read = op_output_read,
};

static inline int setup(void **state)
{
    struct fake *f = calloc(1, sizeof *f);
    struct pn_err err;
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/preon-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_idle_init(&f->loop, &f->owed.idle), 0);
    f->owed.idle.data = f;
    buffer_init(&f->put, REPLY_BYTES_MAX);
    assert_true(digest_parse(ID, 64, &f->status.id));
    f->status.state = JOB_RUNNING;
    f->status.started_wall_ms = 1;
    assert_int_equal(control_start(&f->loop, f->dir, &OPS, f, &f->control, &err), PN_OK);
    *state = f;
    return 0;
}

static inline void on_stopped(void *arg) { ((struct fake *)arg)->stopped = true; }

static inline void stop(struct fake *f)
{
    control_stop(f->control, on_stopped, f);
    while (!f->stopped) {
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    }
    f->control = NULL;
}

static inline int teardown(void **state)
{
    struct fake *f = *state;
    if (f->control != NULL) {
        stop(f);
    }
    assert_int_equal(f->puts_open, 0);
    uv_close((uv_handle_t *)&f->owed.idle, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    buffer_fini(&f->put);
    assert_int_equal(rmdir(f->dir), 0); /* the socket is gone */
    free(f);
    return 0;
}

/* --- a client on the same thread --- */

static inline int client_open(const struct fake *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", f->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends as much as goes, receives what is there; false when the peer has closed. */
static inline bool client_turn(struct fake *f, int fd, struct pn_bytes *out, struct buffer *in)
{
    if (out->len > 0) {
        ssize_t n = send(fd, out->ptr, out->len, MSG_NOSIGNAL);
        if (n > 0) {
            *out = (struct pn_bytes){out->ptr + n, out->len - (size_t)n};
        }
    }
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    uint8_t *room = buffer_room(in, 65536);
    assert_non_null(room);
    ssize_t n = recv(fd, room, 65536, 0);
    if (n > 0) {
        buffer_used(in, (size_t)n);
    }
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* One whole exchange; the reply is terminated by a NUL and freed by the caller. */
static inline char *exchange(struct fake *f, struct pn_bytes question, size_t *len)
{
    struct buffer in;
    int fd = client_open(f);
    buffer_init(&in, REPLY_BYTES_MAX);
    uint64_t start = uv_hrtime();
    while (client_turn(f, fd, &question, &in)) {
        assert_true(uv_hrtime() - start < (uint64_t)DEADLINE_MS * 1000000);
    }
    (void)close(fd);
    assert_int_equal(buffer_append(&in, (struct pn_bytes){(const uint8_t *)"", 1}), PN_OK);
    if (len != NULL) {
        *len = in.len - 1;
    }
    return (char *)in.ptr;
}

static inline char *ask(struct fake *f, const char *method, const char *path, const char *body)
{
    char question[8192];
    (void)snprintf(question, sizeof question,
                   "%s %s HTTP/1.1\r\nHost: preon\r\nConnection: close\r\nContent-Length: "
                   "%zu\r\n\r\n%s",
                   method, path, strlen(body), body);
    return exchange(f, pn_bytes_str(question), NULL);
}

static inline void check(struct fake *f, const char *method, const char *path, const char *body,
                         const char *status, const char *contains)
{
    char *reply = ask(f, method, path, body);
    if (strncmp(reply + 9, status, 3) != 0 || strstr(reply, contains) == NULL) {
        fail_msg("%s %s: wanted %s with '%s', got: %s", method, path, status, contains, reply);
    }
    free(reply);
}

#endif
