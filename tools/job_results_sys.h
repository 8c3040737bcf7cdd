/*
 * job_results_sys -- what a job's slices left, written to the user's disk and checked on the way.
 */
#ifndef PREON_TOOLS_JOB_RESULTS_SYS_H
#define PREON_TOOLS_JOB_RESULTS_SYS_H

#include "tools/home_sys.h"

/* How it is told what was written: */
enum results_tale {
    RESULTS_FOR_PEOPLE,  /* a picture's path on stdout, a number of files on stderr */
    RESULTS_BESIDE_JSON, /* both on stderr: stdout holds an object already */
    RESULTS_AS_JSON,     /* {"schema", "id", "into", "files", "picture"?} on stdout */
};

/*
 * Writes the outputs of all final slices to into/SLICE/NAME, or a picture to into/NAME.png. Files
 * appear whole or not at all. EXIT_CODE_VERIFICATION: bytes are not what their hash says.
 * Complains itself.
 */
enum exit_code results_write(struct home *h, const char *job_id, const char *into, bool raw,
                             enum results_tale tale);

/* Whether --into, where it is given, is a folder or can become one. Changes nothing. */
enum pn_status results_check_into(const struct context *c, struct pn_err *err);

/* Names the first few slices that failed, on stderr, and how to see what they printed. */
void results_tell_failed(struct home *h, const char *job_id);

#endif
