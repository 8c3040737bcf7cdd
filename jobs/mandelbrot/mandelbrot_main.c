/*
 * mandelbrot_main -- program:mandelbrot@1: computes one slice, some rows of the picture.
 *
 * By hand (without PREON_OUT) the counts go to stdout.
 */
#include <stdio.h>
#include <stdlib.h>

#include "jobs/mandelbrot/mandelbrot_view.h"
#include "jobs/slice_env.h"

enum { EXIT_USAGE = 2 };

static const struct args_spec spec = {
    .usage = "mandelbrot@1 [options]",
    .summary =
        "Computes rows of a picture of the Mandelbrot set: raw 16-bit little-endian counts,\n"
        "to the folder PREON_OUT, or to stdout. PREON_SLICE and PREON_SLICES choose the rows.",
    .groups = &mandelbrot_args_group,
    .group_count = 1,
    .positional = "a word",
};

/* told: progress goes to stdout, where by hand the counts do. */
static void compute(const struct mandelbrot_view *v, struct mandelbrot_rows rows, bool told,
                    uint8_t *out)
{
    double total = (double)rows.count * v->width;
    double done = 0;
    for (uint32_t row = rows.first; row < rows.first + rows.count; row++) {
        for (uint32_t column = 0; column < v->width; column++) {
            uint16_t count = mandelbrot_view_count(v, column, row);
            *out++ = (uint8_t)count;
            *out++ = (uint8_t)(count >> 8);
        }
        done += v->width;
        if (told) {
            slice_env_progress(done, total);
        }
    }
}

static enum pn_status run(const struct args *a, struct pn_err *err)
{
    struct slice_env env;
    struct mandelbrot_view view;
    enum pn_status status = mandelbrot_view_of(a, &view, err);
    if (status == PN_OK) {
        status = slice_env_read(&env, err);
    }
    if (status == PN_OK) {
        status = mandelbrot_view_check_slices(&view, env.count, err);
    }
    if (status != PN_OK) {
        return status;
    }
    struct mandelbrot_rows rows = mandelbrot_view_rows(&view, env.index, env.count);
    size_t len = (size_t)rows.count * view.width * MANDELBROT_PIXEL_BYTES;
    uint8_t *bytes = malloc(len);
    if (bytes == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "%zu bytes of counts: out of memory", len);
    }
    compute(&view, rows, env.out != NULL, bytes);
    if (env.out != NULL) {
        status = slice_env_write(&env, "mandelbrot.raw", (struct pn_bytes){bytes, len}, err);
    } else if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0) {
        status = pn_fail(err, PN_E_SYSTEM, "stdout: write failed");
    }
    free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct args a;
    struct pn_err err;
    slice_env_end_on_signals();
    enum pn_status status =
        args_parse(&spec, (const char *const *)argv + 1, argc > 0 ? (size_t)argc - 1 : 0, &a, &err);
    if (status == PN_OK && a.help) {
        struct buffer text;
        buffer_init(&text, 8192);
        status = args_help(&spec, &text);
        (void)fwrite(text.ptr, 1, text.len, stdout);
        buffer_fini(&text);
        args_fini(&a);
        return status == PN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (status == PN_OK) {
        status = run(&a, &err);
        args_fini(&a);
    }
    if (status != PN_OK) {
        (void)fprintf(stderr, "mandelbrot: %s\n", err.text);
    }
    return status == PN_OK                                     ? EXIT_SUCCESS
           : status == PN_E_SYSTEM || status == PN_E_NO_MEMORY ? EXIT_FAILURE
                                                               : EXIT_USAGE;
}
