/*
 * job_watch_sys -- following a job to its end, and saying what came of it.
 */
#ifndef PREON_TOOLS_JOB_WATCH_SYS_H
#define PREON_TOOLS_JOB_WATCH_SYS_H

#include "tools/home_sys.h"

struct watch {
    const char *job_id;  /* whole */
    uint64_t timeout_ms; /* 0: none */
    bool silent;         /* no progress, and of waiting only what lasts */
    const char *into;    /* folder for the results at the end, or NULL */
};

/*
 * Shows progress on stderr (on a terminal only, the reasons of waiting elsewhere too), then the
 * result on stdout. Ctrl-C leaves a peer's job alone, and stops that of a child.
 */
enum exit_code watch_job(struct context *c, struct home *h, const struct watch *w);

/*
 * Says what came of a job that has ended (or how it stands), and what that is as an exit code.
 * Under --json the hits of a search for all are put into job. EXIT_CODE_VERIFICATION: the answer is
 * false, and is not printed.
 */
enum exit_code watch_result(struct context *c, struct home *h, json_t *job);

#endif
