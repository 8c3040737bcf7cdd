/*
 * mandelbrot_sys -- the picture, as a PNG file written row by row from the slices' outputs.
 *
 * Memory is one row, whatever the picture's size. Black is what never left; the other counts go
 * through a cyclic palette.
 */
#ifndef PREON_JOBS_MANDELBROT_SYS_H
#define PREON_JOBS_MANDELBROT_SYS_H

#include <stdio.h>

#include "jobs/mandelbrot/mandelbrot_view.h"

struct mandelbrot_png;

/* Begins a picture of the view in file, which stays the caller's. Freed by mandelbrot_png_free. */
enum pn_status mandelbrot_png_new(const struct mandelbrot_view *v, FILE *file,
                                  struct mandelbrot_png **out, struct pn_err *err);

/*
 * Takes the next bytes of the slices' outputs, in order of the slices, in pieces of any length.
 * Fails with PN_E_TOO_BIG (more than the picture has) or PN_E_SYSTEM.
 */
enum pn_status mandelbrot_png_add(struct mandelbrot_png *png, struct pn_bytes counts,
                                  struct pn_err *err);

/* Ends the picture; PN_E_MALFORMED when rows are missing. */
enum pn_status mandelbrot_png_end(struct mandelbrot_png *png, struct pn_err *err);

void mandelbrot_png_free(struct mandelbrot_png *png); /* NULL is fine */

#endif
