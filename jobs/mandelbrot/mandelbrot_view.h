/*
 * mandelbrot_view -- which part of the plane a picture shows, and what each of its pixels counts.
 *
 * Counts are the same on every machine: IEEE doubles, each operation rounded by itself (the folder
 * is compiled with -ffp-contract=off), in one fixed order. Frozen with mandelbrot@1.
 */
#ifndef PREON_JOBS_MANDELBROT_VIEW_H
#define PREON_JOBS_MANDELBROT_VIEW_H

#include "common/args.h"

enum {
    MANDELBROT_SIDE_MAX = 65536,
    MANDELBROT_ITERATIONS_MAX = 65535, /* counts are 16 bits */
    MANDELBROT_SLICE_BYTES_MAX = 64 * 1024 * 1024,
    MANDELBROT_PIXEL_BYTES = 2,
};

struct mandelbrot_view {
    uint32_t width; /* pixels */
    uint32_t height;
    uint32_t iterations;
    double x; /* centre */
    double y;
    double zoom; /* the width shows 4 / zoom of the real axis */
};

/* Rows first .. first + count - 1 of the picture; row 0 is at the top. */
struct mandelbrot_rows {
    uint32_t first;
    uint32_t count;
};

/* The option table, and the view that parsed options ask for. */
extern const struct args_group mandelbrot_args_group;
enum pn_status mandelbrot_view_of(const struct args *a, struct mandelbrot_view *out,
                                  struct pn_err *err);

/* The view of a manifest's words. */
enum pn_status mandelbrot_view_parse(const char *const *argv, size_t argc,
                                     struct mandelbrot_view *out, struct pn_err *err);

/* That the picture can be cut into so many slices of whole rows, none too big. */
enum pn_status mandelbrot_view_check_slices(const struct mandelbrot_view *v, uint64_t slices,
                                            struct pn_err *err);

/* Slice index of count: rows floor(i*H/N) and on, up to floor((i+1)*H/N). */
struct mandelbrot_rows mandelbrot_view_rows(const struct mandelbrot_view *v, uint64_t index,
                                            uint64_t count);

/* Steps until the point of a pixel leaves the circle of radius 2; iterations when it stays. */
uint16_t mandelbrot_view_count(const struct mandelbrot_view *v, uint32_t column, uint32_t row);

#endif
