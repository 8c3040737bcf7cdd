/*
 * job_results_sys -- what a job's slices left, written to the user's disk and checked on the way.
 */
#ifndef PREON_TOOLS_JOB_RESULTS_SYS_H
#define PREON_TOOLS_JOB_RESULTS_SYS_H

#include "tools/home_sys.h"

/*
 * Writes the outputs of all final slices to into/SLICE/NAME, or a picture to into/NAME.png. Files
 * appear whole or not at all. EXIT_CODE_VERIFICATION: bytes are not what their hash says.
 * Complains itself.
 */
enum exit_code results_write(struct home *h, const char *job_id, const char *into, bool raw);

/* Names the first few slices that failed, on stderr, and how to see what they printed. */
void results_tell_failed(struct home *h, const char *job_id);

#endif
