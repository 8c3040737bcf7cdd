/*
 * slice_run_uv -- one slice as the daemon sees it: two pipes that it reads, and a report that
 * comes.
 *
 * Private to sandbox_uv.c, which owns the launcher and the list of runs.
 */
#ifndef PREON_PEER_SANDBOX_SLICE_RUN_UV_H
#define PREON_PEER_SANDBOX_SLICE_RUN_UV_H

#include "peer/sandbox/lines.h"
#include "peer/sandbox/parcel_sys.h"
#include "peer/sandbox/report.h"
#include "peer/sandbox/sandbox_uv.h"
#include "peer/sandbox/tail.h"

struct slice_run;

/* What a run tells its owner. */
struct slice_run_owner {
    struct sandbox *sandbox;
    void (*on_over)(struct sandbox *s, struct slice_run *run); /* call slice_run_finish now */
    void (*on_flood)(struct sandbox *s, struct slice_run *run);
};

struct slice_run_stream {
    uv_pipe_t pipe;
    struct slice_run *run;
    struct tail tail;
    bool open; /* no end of file yet */
};

struct slice_run {
    struct slice_run *next; /* the owner's list */
    uint32_t id;
    struct parcel *parcel;        /* its order, which did not fit the socket yet; NULL: sent */
    bool kill_wanted;             /* the owner's: nor did the order to end it */
    uint64_t weight;              /* the owner's: of its budget */
    bool killed;                  /* the owner's: it was ordered to end */
    struct slice_run_owner owner; /* sandbox is NULL after slice_run_close */
    sandbox_on_line on_line;
    sandbox_on_end on_end;
    void *arg;
    struct slice_run_stream out;
    struct slice_run_stream err;
    struct lines lines;
    int handles_open;
    bool flooded;
    bool has_report;
    struct report report;
    int folder_fd; /* -1: none */
};

/*
 * Makes a run and its pipes; write_fds are for the launcher, and the caller closes them after
 * sending. The run is freed by the loop some time after slice_run_finish or slice_run_close.
 */
enum pn_status slice_run_open(uv_loop_t *loop, const struct slice_run_owner *owner,
                              sandbox_on_line on_line, sandbox_on_end on_end, void *arg,
                              int write_fds[2], struct slice_run **out, struct pn_err *err);

/* The launcher says that it is over, and hands its work folder on (-1: none; the run's now). */
void slice_run_report(struct slice_run *run, const struct report *r, int folder_fd);

/* Lets go of the run and calls on_end; the owner has taken it off its list. */
void slice_run_finish(struct slice_run *run);

/* Lets go of the run without a word. */
void slice_run_close(struct slice_run *run);

#endif
