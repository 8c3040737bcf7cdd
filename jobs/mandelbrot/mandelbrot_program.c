#include "jobs/mandelbrot/mandelbrot_program.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/reader.h"

static enum pn_status view_of(const struct job_slice *slice, struct mandelbrot_view *v,
                              struct pn_err *err)
{
    enum pn_status status = mandelbrot_view_parse(slice->argv, slice->argc, v, err);
    if (status == PN_OK) {
        status = mandelbrot_view_check_slices(v, slice->count, err);
    }
    if (status == PN_OK && slice->index >= slice->count) {
        status =
            pn_fail(err, PN_E_RANGE, "slice %" PRIu64 " of %" PRIu64, slice->index, slice->count);
    }
    return status;
}

static enum pn_status check(const struct job_slice *slice, struct pn_err *err)
{
    struct mandelbrot_view v;
    struct job_slice first = *slice;
    first.index = 0;
    return view_of(&first, &v, err);
}

static uint16_t count_at(struct pn_bytes output, uint64_t pixel)
{
    struct reader r = reader_of(
        (struct pn_bytes){output.ptr + pixel * MANDELBROT_PIXEL_BYTES, MANDELBROT_PIXEL_BYTES});
    return reader_u16(&r);
}

static uint64_t draws_of(uint64_t pixels)
{
    return pixels / 100 < MANDELBROT_AUDITS ? pixels / 100 + 1 : MANDELBROT_AUDITS;
}

/* Recomputes pixels drawn at random; false when one is wrong. */
static bool audited(const struct mandelbrot_view *v, struct mandelbrot_rows rows,
                    struct pn_bytes output, struct random *audit, struct job_verdict *out)
{
    uint64_t pixels = (uint64_t)rows.count * v->width;
    uint64_t draws = audit != NULL ? draws_of(pixels) : 0;
    for (uint64_t i = 0; i < draws; i++) {
        uint64_t pixel = random_below(audit, pixels);
        uint32_t column = (uint32_t)(pixel % v->width);
        uint32_t row = rows.first + (uint32_t)(pixel / v->width);
        out->unit_audited_count++;
        if (mandelbrot_view_count(v, column, row) != count_at(output, pixel)) {
            out->judgement = JOB_JUDGED_LIE;
            (void)snprintf(out->line, sizeof out->line, "pixel %u, %u has another count", column,
                           row);
            return false;
        }
    }
    return true;
}

static enum pn_status judge(const struct job_slice *slice, struct pn_bytes output,
                            struct random *audit, const atomic_bool *stop, struct job_verdict *out,
                            struct pn_err *err)
{
    struct mandelbrot_view v;
    (void)stop; /* its few pixels are soon computed */
    enum pn_status status = view_of(slice, &v, err);
    if (status != PN_OK) {
        return status;
    }
    struct mandelbrot_rows rows = mandelbrot_view_rows(&v, slice->index, slice->count);
    uint64_t pixels = (uint64_t)rows.count * v.width;
    struct job_verdict verdict = {.judgement = JOB_JUDGED_TRUE, .unit_count = (double)pixels};
    if (output.len != pixels * MANDELBROT_PIXEL_BYTES) {
        verdict.judgement = JOB_JUDGED_MALFORMED;
        (void)snprintf(verdict.line, sizeof verdict.line, "%zu bytes, must be %" PRIu64, output.len,
                       pixels * MANDELBROT_PIXEL_BYTES);
    }
    for (uint64_t i = 0; i < pixels && verdict.judgement == JOB_JUDGED_TRUE; i++) {
        if (count_at(output, i) > v.iterations) {
            verdict.judgement = JOB_JUDGED_MALFORMED;
            (void)snprintf(verdict.line, sizeof verdict.line, "pixel %" PRIu64 " counts over %u", i,
                           v.iterations);
        }
    }
    if (verdict.judgement == JOB_JUDGED_TRUE && audited(&v, rows, output, audit, &verdict)) {
        (void)snprintf(verdict.line, sizeof verdict.line, "rows %u to %u", rows.first,
                       rows.first + rows.count - 1);
    }
    *out = verdict;
    return PN_OK;
}

/* A picture is shown, not described. */
static enum pn_status describe(const struct job_slice *slice, struct pn_bytes output,
                               struct buffer *out, struct pn_err *err)
{
    struct mandelbrot_view v;
    (void)output;
    (void)out;
    return view_of(slice, &v, err);
}

static double slice_units(const struct job_slice *slice)
{
    struct mandelbrot_view v;
    if (view_of(slice, &v, NULL) != PN_OK) {
        return 0;
    }
    return (double)mandelbrot_view_rows(&v, slice->index, slice->count).count * v.width;
}

static double audit_units(const struct job_slice *slice)
{
    return (double)draws_of((uint64_t)slice_units(slice));
}

/* As if every pixel took all its steps, of 40 cycles of 2 GHz: they wait for one another. */
static double slice_seconds(const struct job_slice *slice)
{
    struct mandelbrot_view v;
    return view_of(slice, &v, NULL) == PN_OK ? slice_units(slice) * v.iterations * 20e-9 : 0;
}

static enum pn_status expect(const struct job_slice *slice, struct job_expectation *out,
                             struct pn_err *err)
{
    struct mandelbrot_view v;
    enum pn_status status = view_of(slice, &v, err);
    if (status == PN_OK) {
        *out = (struct job_expectation){.unit = "pixels", .unit_count = (double)v.width * v.height};
    }
    return status;
}

enum pn_status mandelbrot_draft(const struct args *a, const struct mandelbrot_view *v,
                                struct job_draft *out, struct pn_err *err)
{
    static const char *const names[] = {"width", "height", "iterations", "x", "y", "zoom"};
    enum { SLICES = 64 };
    job_draft_init(out);
    (void)snprintf(out->name, sizeof out->name, "mandelbrot-%ux%u", v->width, v->height);
    out->output = mandelbrot_program.output;
    /* The same bytes everywhere; a sample would let a patch of false pixels pass. */
    out->verify = VERIFY_QUORUM;
    out->slice_count = v->height < SLICES ? v->height : SLICES;
    while (mandelbrot_view_check_slices(v, out->slice_count, NULL) != PN_OK) {
        out->slice_count *= 2; /* the tallest picture fits in 256 */
    }
    enum pn_status status = job_draft_word(out, "mandelbrot@1");
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == PN_OK; i++) {
        status = job_draft_word(out, "--%s=%s", names[i], args_text(a, names[i]));
    }
    return status == PN_OK ? PN_OK
                           : pn_fail(err, status, "words of the job: %s", pn_status_text(status));
}

const struct job_program mandelbrot_program = {
    .name = "mandelbrot",
    .version = 1,
    .output = "mandelbrot.raw",
    .output_bytes_max = MANDELBROT_SLICE_BYTES_MAX,
    .check = check,
    .judge = judge,
    .describe = describe,
    .slice_units = slice_units,
    .audit_units = audit_units,
    .slice_seconds = slice_seconds,
    .expect = expect,
};
