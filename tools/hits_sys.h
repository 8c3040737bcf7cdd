/*
 * hits_sys -- what a nonce search found, hashed again before anybody is told.
 */
#ifndef PREON_TOOLS_HITS_SYS_H
#define PREON_TOOLS_HITS_SYS_H

#include "tools/home_sys.h"

/* Whether what the job leaves are hits of a search, rather than files. */
bool hits_are_results(const json_t *job);

/*
 * Tells every hit that the final slices of a search for all list. Where out is NULL they are
 * printed, or "none"; on stderr how many there are and how to check the first. Else out, an object,
 * gets "hits"[]{nonce, hash, zero_bits}, "hits_total" and "slices_searched".
 * EXIT_CODE_NONE: every slice of the job was searched, and there is none; a job that still runs, or
 * failed, cannot say so. Complains itself.
 */
enum exit_code hits_tell(struct home *h, const char *job_id, json_t *out);

/*
 * Recomputes the answer of a search from the job's manifest; check gets a shell line by which a
 * person can. EXIT_CODE_VERIFICATION: it is false. Complains itself.
 */
enum exit_code hits_check_answer(struct home *h, const json_t *job, struct buffer *check);

#endif
