/*
 * mandelbrot_program -- mandelbrot@1 as masters and commands know it: judging and drafting.
 */
#ifndef PREON_JOBS_MANDELBROT_PROGRAM_H
#define PREON_JOBS_MANDELBROT_PROGRAM_H

#include "jobs/mandelbrot/mandelbrot_view.h"
#include "jobs/program.h"

extern const struct job_program mandelbrot_program;

enum { MANDELBROT_AUDITS = 64 }; /* pixels recomputed of each slice, at most one in a hundred */

/*
 * The manifest words of the view that parsed options ask for, and how many slices suit it; its
 * results are believed by quorum.
 * Free *out with job_draft_fini, also on failure.
 */
enum pn_status mandelbrot_draft(const struct args *a, const struct mandelbrot_view *v,
                                struct job_draft *out, struct pn_err *err);

#endif
