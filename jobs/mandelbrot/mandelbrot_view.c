#include "jobs/mandelbrot/mandelbrot_view.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Wider intermediates (x87) would give other counts. */
_Static_assert(FLT_EVAL_METHOD == 0, "mandelbrot needs doubles that are rounded at each step");

static const struct args_option options[] = {
    {"width", '\0', ARGS_U64, 1, MANDELBROT_SIDE_MAX, "PIXELS", "width of the picture", "1024"},
    {"height", '\0', ARGS_U64, 1, MANDELBROT_SIDE_MAX, "PIXELS", "height of the picture", "1024"},
    {"iterations", '\0', ARGS_U64, 1, MANDELBROT_ITERATIONS_MAX, "N", "steps before giving up",
     "1024"},
    {"x", '\0', ARGS_TEXT, 0, 0, "REAL", "real part of the centre", "-0.5"},
    {"y", '\0', ARGS_TEXT, 0, 0, "REAL", "imaginary part of the centre", "0"},
    {"zoom", '\0', ARGS_TEXT, 0, 0, "REAL", "the width shows 4/zoom of the real axis", "1"},
};

const struct args_group mandelbrot_args_group = {"Picture", options,
                                                 sizeof options / sizeof options[0]};

/* Plain decimal numbers only: strtod alone would take hexadecimal, inf and nan too. */
static enum pn_status real_option(const struct args *a, const char *name, double min, double max,
                                  double *out, struct pn_err *err)
{
    const char *text = args_text(a, name);
    char *end = NULL;
    double value = 0;
    if (text[0] != '\0' && text[strspn(text, "+-.0123456789eE")] == '\0') {
        value = strtod(text, &end);
    }
    if (end == NULL || *end != '\0' || !(value >= min && value <= max)) {
        return pn_fail(err, PN_E_RANGE, "--%s: \"%.40s\"; allowed are numbers from %g to %g", name,
                       text, min, max);
    }
    *out = value;
    return PN_OK;
}

enum pn_status mandelbrot_view_of(const struct args *a, struct mandelbrot_view *out,
                                  struct pn_err *err)
{
    struct mandelbrot_view v = {
        .width = (uint32_t)args_u64(a, "width"),
        .height = (uint32_t)args_u64(a, "height"),
        .iterations = (uint32_t)args_u64(a, "iterations"),
    };
    enum pn_status status = real_option(a, "x", -4, 4, &v.x, err);
    if (status == PN_OK) {
        status = real_option(a, "y", -4, 4, &v.y, err);
    }
    if (status == PN_OK) {
        status = real_option(a, "zoom", 1e-3, 1e15, &v.zoom, err);
    }
    if (status == PN_OK) {
        *out = v;
    }
    return status;
}

enum pn_status mandelbrot_view_parse(const char *const *argv, size_t argc,
                                     struct mandelbrot_view *out, struct pn_err *err)
{
    static const struct args_spec spec = {
        .usage = "program:mandelbrot@1 [options]",
        .summary = "Computes some rows of a picture of the Mandelbrot set.",
        .groups = &mandelbrot_args_group,
        .group_count = 1,
        .positional = "a word",
    };
    struct args a;
    enum pn_status status = args_parse(&spec, argv, argc, &a, err);
    if (status != PN_OK) {
        return status;
    }
    status = a.help ? pn_fail(err, PN_E_MALFORMED, "--help has no place in a manifest")
                    : mandelbrot_view_of(&a, out, err);
    args_fini(&a);
    return status;
}

enum pn_status mandelbrot_view_check_slices(const struct mandelbrot_view *v, uint64_t slices,
                                            struct pn_err *err)
{
    if (slices == 0 || slices > v->height) {
        return pn_fail(err, PN_E_RANGE, "%" PRIu64 " slices of %u rows; allowed are 1 to %u",
                       slices, v->height, v->height);
    }
    uint64_t row_bytes = (uint64_t)v->width * MANDELBROT_PIXEL_BYTES;
    uint64_t rows = (v->height + slices - 1) / slices;
    if (rows * row_bytes > MANDELBROT_SLICE_BYTES_MAX) {
        return pn_fail(err, PN_E_RANGE,
                       "%" PRIu64 " slices: %" PRIu64 " bytes each, at most %d; take more slices",
                       slices, rows * row_bytes, MANDELBROT_SLICE_BYTES_MAX);
    }
    return PN_OK;
}

struct mandelbrot_rows mandelbrot_view_rows(const struct mandelbrot_view *v, uint64_t index,
                                            uint64_t count)
{
    assert(index < count && count <= v->height);
    uint32_t first = (uint32_t)(index * v->height / count);
    uint32_t end = (uint32_t)((index + 1) * v->height / count);
    return (struct mandelbrot_rows){first, end - first};
}

uint16_t mandelbrot_view_count(const struct mandelbrot_view *v, uint32_t column, uint32_t row)
{
    double step = 4.0 / v->zoom / (double)v->width;
    double re = v->x + ((double)column - ((double)v->width - 1) / 2) * step;
    double im = v->y - ((double)row - ((double)v->height - 1) / 2) * step;
    double a = 0;
    double b = 0;
    double aa = 0;
    double bb = 0;
    uint32_t n = 0;
    while (n < v->iterations && aa + bb <= 4.0) {
        double ab = a * b;
        b = ab + ab + im;
        a = aa - bb + re;
        aa = a * a;
        bb = b * b;
        n++;
    }
    return (uint16_t)n;
}
