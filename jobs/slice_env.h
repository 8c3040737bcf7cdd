/*
 * slice_env -- what a job program is told by its environment, and how it answers; shared by the
 * static programs of this folder, which run one slice on one thread.
 */
#ifndef PREON_JOBS_SLICE_ENV_H
#define PREON_JOBS_SLICE_ENV_H

#include "common/bytes.h"
#include "common/status.h"

struct slice_env {
    uint64_t index;  /* PREON_SLICE, 0 when absent */
    uint64_t count;  /* PREON_SLICES, 1 when absent */
    const char *out; /* PREON_OUT, the folder for outputs; NULL when started by hand */
};

/* Reads the environment; fails with PN_E_MALFORMED or PN_E_RANGE, naming the variable. */
enum pn_status slice_env_read(struct slice_env *out, struct pn_err *err);

/* SIGTERM and SIGINT end the program at once: no output is better than half of one. */
void slice_env_end_on_signals(void);

/* Writes the file `name` in the output folder, whole or not at all. */
enum pn_status slice_env_write(const struct slice_env *env, const char *name, struct pn_bytes bytes,
                               struct pn_err *err);

/* Once a second the line "progress <done> <total>" on stdout; cheap to call often. */
void slice_env_progress(double done, double total);

#endif
