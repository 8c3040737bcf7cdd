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

/* Whether what the job leaves are hits of a search, rather than files. */
bool results_are_hits(const json_t *job);

/*
 * Prints every hit that the slices of a finished search list, hashed again; on stderr how many
 * there are and how to check the first. EXIT_CODE_NONE: there is none. Complains itself.
 */
enum exit_code results_print_hits(struct home *h, const char *job_id);

/*
 * Recomputes the answer of a search from the job's manifest; check gets a shell line by which a
 * person can. Complains itself.
 */
enum exit_code results_check_answer(struct home *h, const json_t *job, struct buffer *check);

#endif
