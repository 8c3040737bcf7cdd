#include "peer/sandbox/slice_run_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer/sandbox/collect_sys.h"

enum {
    READ_BYTES = 64 * 1024,
    STREAM_BYTES_MAX = 64 * 1024 * 1024, /* drained up to here, then it is a flood */
};

static uint8_t read_room[READ_BYTES]; /* used up within each callback, so one serves all */

static void on_stream_closed(uv_handle_t *h)
{
    struct slice_run_stream *stream = h->data;
    struct slice_run *run = stream->run;
    if (--run->handles_open == 0) {
        free(run);
    }
}

static void close_stream(struct slice_run_stream *stream)
{
    if (!uv_is_closing((uv_handle_t *)&stream->pipe)) {
        uv_close((uv_handle_t *)&stream->pipe, on_stream_closed);
    }
}

static void let_go(struct slice_run *run)
{
    run->owner.sandbox = NULL;
    parcel_free(run->parcel);
    run->parcel = NULL;
    close_stream(&run->out);
    close_stream(&run->err);
}

/* Over: the launcher has said so, and both streams have come to their ends. */
static void tell_if_over(struct slice_run *run)
{
    if (run->owner.sandbox != NULL && run->has_report && !run->out.open && !run->err.open) {
        run->owner.on_over(run->owner.sandbox, run);
    }
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)h;
    (void)suggested;
    *buf = uv_buf_init((char *)read_room, sizeof read_room);
}

static void on_line(void *arg, struct pn_bytes line)
{
    struct slice_run *run = arg;
    if (run->owner.sandbox != NULL) { /* the line before may have closed everything */
        run->on_line(run->arg, line);
    }
}

static void on_read(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buf)
{
    struct slice_run_stream *stream = pipe->data;
    struct slice_run *run = stream->run;
    if (run->owner.sandbox == NULL || n == 0) {
        return;
    }
    if (n < 0) { /* UV_EOF: the last writer is gone */
        stream->open = false;
        (void)uv_read_stop(pipe);
        tell_if_over(run);
        return;
    }
    struct pn_bytes bytes = {(const uint8_t *)buf->base, (size_t)n};
    tail_add(&stream->tail, bytes);
    if (stream->tail.total > STREAM_BYTES_MAX && !run->flooded) {
        run->flooded = true; /* and not one byte more: it blocks until it is gone */
        (void)uv_read_stop((uv_stream_t *)&run->out.pipe);
        (void)uv_read_stop((uv_stream_t *)&run->err.pipe);
        run->owner.on_flood(run->owner.sandbox, run);
    }
    if (stream == &run->out && run->on_line != NULL) {
        lines_add(&run->lines, bytes, on_line, run);
    }
}

static enum pn_status open_stream(uv_loop_t *loop, struct slice_run *run,
                                  struct slice_run_stream *stream, int *write_fd,
                                  struct pn_err *err)
{
    uv_file pair[2];
    int rc = uv_pipe_init(loop, &stream->pipe, 0);
    stream->run = run;
    stream->pipe.data = stream;
    if (rc == 0) {
        run->handles_open++;
        rc = uv_pipe(pair, UV_NONBLOCK_PIPE, 0); /* the slice's end blocks, as programs expect */
    }
    if (rc != 0) {
        return pn_fail(err, PN_E_SYSTEM, "pipe: %s", uv_strerror(rc));
    }
    *write_fd = pair[1];
    rc = uv_pipe_open(&stream->pipe, pair[0]);
    if (rc != 0) {
        (void)close(pair[0]);
        return pn_fail(err, PN_E_SYSTEM, "pipe: %s", uv_strerror(rc));
    }
    stream->open = true;
    rc = uv_read_start((uv_stream_t *)&stream->pipe, on_alloc, on_read);
    return rc == 0 ? PN_OK : pn_fail(err, PN_E_SYSTEM, "pipe: %s", uv_strerror(rc));
}

enum pn_status slice_run_open(uv_loop_t *loop, const struct slice_run_owner *owner,
                              sandbox_on_line line, sandbox_on_end end, void *arg, int write_fds[2],
                              struct slice_run **out, struct pn_err *err)
{
    struct slice_run *run = calloc(1, sizeof *run);
    write_fds[0] = -1;
    write_fds[1] = -1;
    if (run == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "run: out of memory");
    }
    run->owner = *owner;
    run->on_line = line;
    run->on_end = end;
    run->arg = arg;
    run->folder_fd = -1;
    enum pn_status status = open_stream(loop, run, &run->out, &write_fds[0], err);
    if (status == PN_OK) {
        status = open_stream(loop, run, &run->err, &write_fds[1], err);
    }
    if (status == PN_OK) {
        *out = run;
        return PN_OK;
    }
    for (int i = 0; i < 2; i++) {
        if (write_fds[i] >= 0) {
            (void)close(write_fds[i]);
            write_fds[i] = -1;
        }
    }
    run->owner.sandbox = NULL;
    if (run->handles_open == 0) {
        free(run);
        return status;
    }
    close_stream(&run->out);
    if (run->handles_open > 1) {
        close_stream(&run->err);
    }
    return status;
}

void slice_run_report(struct slice_run *run, const struct report *r, int folder_fd)
{
    if (run->has_report) {
        collect_discard(folder_fd);
        return;
    }
    run->has_report = true;
    run->report = *r;
    parcel_free(run->parcel); /* nobody will write into its streams: they come to their ends */
    run->parcel = NULL;
    if (run->flooded) { /* what is left in the pipes is of no interest */
        run->out.open = false;
        run->err.open = false;
    }
    if (folder_fd >= 0) {
        run->folder_fd = folder_fd;
    }
    tell_if_over(run);
}

void slice_run_finish(struct slice_run *run)
{
    uint8_t out[TAIL_TEXT_BYTES];
    uint8_t err[TAIL_TEXT_BYTES];
    char how[OUTCOME_TEXT_BYTES];
    const struct report *r = &run->report;
    struct sandbox_result result = {
        .outcome = r->ended.outcome,
        .wall_ms = r->ended.wall_ms,
        .cpu_ms = r->ended.cpu_ms,
        .setup_us = r->ended.setup_us,
        .peak_bytes = r->ended.peak_bytes,
        .stdout_tail = {out, tail_text(&run->out.tail, out)},
        .stderr_tail = {err, tail_text(&run->err.tail, err)},
        .folder_fd = run->folder_fd,
    };
    if (run->flooded) {
        result.outcome = (struct outcome){OUTCOME_OUTPUT, OUTCOME_OUTPUT_FLOOD};
    }
    (void)outcome_text(result.outcome, how, sizeof how);
    if (result.outcome.class == OUTCOME_NO_START && r->ended.text[0] != '\0') {
        (void)snprintf(result.text, sizeof result.text, "%s (%s)", how, r->ended.text);
    } else {
        (void)snprintf(result.text, sizeof result.text, "%s", how);
    }
    run->folder_fd = -1; /* the callee's */
    let_go(run);
    run->on_end(run->arg, &result);
}

void slice_run_close(struct slice_run *run)
{
    collect_discard(run->folder_fd);
    run->folder_fd = -1;
    let_go(run);
}
