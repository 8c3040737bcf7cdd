/*
 * A mandelbrot slice's rows from a stranger, and the words they answer: judged without trouble;
 * what is judged true has the right length and no count over the limit.
 */
#include "jobs/mandelbrot/mandelbrot_program.h"
#include "tests/fuzz/fuzz_slice.h"

static void check_verdict(const struct mandelbrot_view *view, const struct job_slice *slice,
                          struct pn_bytes output, const struct job_verdict *v)
{
    struct mandelbrot_rows rows = mandelbrot_view_rows(view, slice->index, slice->count);
    assert(memchr(v->line, '\0', sizeof v->line) != NULL && v->line[0] != '\0');
    if (v->judgement == JOB_JUDGED_TRUE) {
        assert(output.len == (size_t)rows.count * view->width * MANDELBROT_PIXEL_BYTES);
        assert(v->unit_audited_count >= 1 && v->unit_audited_count <= v->unit_count);
    }
}

static void one_slice(const struct job_slice *slice, struct pn_bytes output)
{
    struct mandelbrot_view view;
    struct job_expectation e;
    struct job_verdict v;
    struct random audit;
    struct pn_err err = {0};
    random_seed(&audit, 1);
    bool parsed = mandelbrot_view_parse(slice->argv, slice->argc, &view, &err) == PN_OK;
    assert(parsed || err.text[0] != '\0');
    enum pn_status status = mandelbrot_program.judge(slice, output, &audit, NULL, &v, &err);
    assert((status == PN_OK) == (mandelbrot_program.describe(slice, output, NULL, NULL) == PN_OK));
    assert((status == PN_OK) == (mandelbrot_program.slice_units(slice) > 0));
    assert((status == PN_OK) == (mandelbrot_program.expect(slice, &e, NULL) == PN_OK));
    assert(status != PN_OK || mandelbrot_program.check(slice, NULL) == PN_OK);
    if (status == PN_OK) {
        check_verdict(&view, slice, output, &v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_slice s;
    if (fuzz_slice_init(&s, data, size)) {
        one_slice(&s.slice, s.output);
        fuzz_slice_fini(&s);
    }
    return 0;
}
