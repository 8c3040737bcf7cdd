/*
 * nonce_program -- nonce@1 as masters and commands know it: judging, describing, drafting.
 */
#ifndef PREON_JOBS_NONCE_PROGRAM_H
#define PREON_JOBS_NONCE_PROGRAM_H

#include "common/args.h"
#include "jobs/nonce/nonce_puzzle.h"
#include "jobs/program.h"

extern const struct job_program nonce_program;

enum { NONCE_AUDITS = 3 }; /* windows recomputed of each slice */

/*
 * The manifest words of the puzzle that parsed options pose; a holds nonce_args_group and p is
 * what nonce_args_puzzle made of it. Sets name, words, output, verify and stop; slice_count is the
 * caller's, and so are the limits that follow from it (job_program_limits).
 * Free *out with job_draft_fini, also on failure.
 */
enum pn_status nonce_draft(const struct args *a, const struct nonce_puzzle *p,
                           struct job_draft *out, struct pn_err *err);

/*
 * How many slices to cut the puzzle into, so that one takes about ten seconds at slowest_rate
 * (hashes a second of the slowest slot) and that `slots` slots share the work evenly, where slices
 * of a second or more allow it. As check wants it.
 */
uint32_t nonce_draft_slices(const struct nonce_puzzle *p, double slowest_rate, uint32_t slots);

#endif
