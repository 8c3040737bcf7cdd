/* Mandelbrot slices: counts, rows, options, and what a master thinks of them. */
#include "tests/unit/unit.h"

#include "jobs/mandelbrot/mandelbrot_program.h"

static const char *const words[] = {"--width=96", "--height=50", "--iterations=300"};

static void counts_are_known(void **state)
{
    (void)state;
    struct mandelbrot_view v;
    static const char *const unit[] = {"--width=5", "--height=5", "--iterations=1000", "--x=0"};
    assert_int_equal(mandelbrot_view_parse(unit, 4, &v, NULL), PN_OK);
    /* Pixels are 0.8 apart: from -1.6+1.6i to 1.6-1.6i. Counted by hand and with Python. */
    assert_int_equal(mandelbrot_view_count(&v, 2, 2), 1000); /* 0 never leaves */
    assert_int_equal(mandelbrot_view_count(&v, 0, 0), 1);    /* already outside */
    assert_int_equal(mandelbrot_view_count(&v, 3, 2), 3);    /* 0.8 */
    assert_int_equal(mandelbrot_view_count(&v, 1, 2), 1000); /* -0.8 */
    assert_int_equal(mandelbrot_view_count(&v, 2, 1), 18);   /* 0.8i */
}

static void rows_are_cut_without_gap(void **state)
{
    (void)state;
    struct mandelbrot_view v;
    assert_int_equal(mandelbrot_view_parse(words, 3, &v, NULL), PN_OK);
    for (uint64_t count = 1; count <= v.height; count++) {
        uint32_t next = 0;
        for (uint64_t i = 0; i < count; i++) {
            struct mandelbrot_rows rows = mandelbrot_view_rows(&v, i, count);
            assert_int_equal(rows.first, next);
            assert_true(rows.count > 0);
            next += rows.count;
        }
        assert_int_equal(next, v.height);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        const char *text;
    } cases[] = {
        {"--width=0", "--width: 0 is out of range; allowed are 1 to 65536"},
        {"--iterations=65536", "--iterations: 65536 is out of range; allowed are 1 to 65535"},
        {"--x=nan", "--x: \"nan\"; allowed are numbers from -4 to 4"},
        {"--x=0x1", "--x: \"0x1\"; allowed are numbers from -4 to 4"},
        {"--y=5", "--y: \"5\"; allowed are numbers from -4 to 4"},
        {"--y=", "--y: \"\"; allowed are numbers from -4 to 4"},
        {"--zoom=0", "--zoom: \"0\"; allowed are numbers from 0.001 to 1e+15"},
        {"--zoom=1-", "--zoom: \"1-\"; allowed are numbers from 0.001 to 1e+15"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mandelbrot_view v;
        struct pn_err err = {0};
        assert_int_not_equal(mandelbrot_view_parse(&cases[i].word, 1, &v, &err), PN_OK);
        assert_string_equal(err.text, cases[i].text);
    }
    struct pn_err err;
    struct job_slice s = {words, 3, 0, 51};
    assert_int_equal(mandelbrot_program.check(&s, &err), PN_E_RANGE);
    assert_string_equal(err.text, "51 slices of 50 rows; allowed are 1 to 50");
    static const char *const huge[] = {"--width=65536", "--height=65536"};
    s = (struct job_slice){huge, 2, 0, 127};
    assert_int_equal(mandelbrot_program.check(&s, NULL), PN_E_RANGE);
    s.count = 128;
    assert_int_equal(mandelbrot_program.check(&s, NULL), PN_OK);
}

static uint8_t *computed(const struct job_slice *s, size_t *len)
{
    struct mandelbrot_view v;
    assert_int_equal(mandelbrot_view_parse(s->argv, s->argc, &v, NULL), PN_OK);
    struct mandelbrot_rows rows = mandelbrot_view_rows(&v, s->index, s->count);
    *len = (size_t)rows.count * v.width * MANDELBROT_PIXEL_BYTES;
    uint8_t *out = malloc(*len);
    assert_non_null(out);
    for (uint32_t i = 0; i < rows.count * v.width; i++) {
        uint16_t count = mandelbrot_view_count(&v, i % v.width, rows.first + i / v.width);
        out[2 * i] = (uint8_t)count;
        out[2 * i + 1] = (uint8_t)(count >> 8);
    }
    return out;
}

static enum job_judgement judged(const struct job_slice *s, const uint8_t *out, size_t len,
                                 uint64_t seed)
{
    struct job_verdict v;
    struct random audit;
    random_seed(&audit, seed);
    assert_int_equal(
        mandelbrot_program.judge(s, (struct pn_bytes){out, len}, &audit, NULL, &v, NULL), PN_OK);
    return v.judgement;
}

static void true_rows_pass_and_false_ones_do_not(void **state)
{
    (void)state;
    const struct job_slice s = {words, 3, 2, 5};
    size_t len;
    uint8_t *out = computed(&s, &len);
    assert_int_equal(judged(&s, out, len, 1), JOB_JUDGED_TRUE);
    assert_int_equal(judged(&s, out, len - 1, 1), JOB_JUDGED_MALFORMED);
    out[5] = 0x7f;
    assert_int_equal(judged(&s, out, len, 1), JOB_JUDGED_MALFORMED);
    out[5] = 0;
    int lies = 0;
    for (size_t i = 0; i < len / 2; i++) { /* half of the rows never computed */
        out[i] = 0;
    }
    for (uint64_t seed = 0; seed < 100; seed++) {
        lies += judged(&s, out, len, seed) == JOB_JUDGED_LIE;
    }
    assert_in_range(lies, 97, 100); /* ten draws all miss in one case of 1024 */
    free(out);
}

static void a_draft_makes_the_same_view(void **state)
{
    (void)state;
    static const struct args_spec spec = {
        .usage = "try", .groups = &mandelbrot_args_group, .group_count = 1};
    static const char *const line[] = {"--width=4096", "--height=4096", "--zoom=1e3", "--x=-1.25"};
    struct args a;
    struct mandelbrot_view v;
    struct mandelbrot_view again;
    struct job_draft draft;
    assert_int_equal(args_parse(&spec, line, 4, &a, NULL), PN_OK);
    assert_int_equal(mandelbrot_view_of(&a, &v, NULL), PN_OK);
    assert_int_equal(mandelbrot_draft(&a, &v, &draft, NULL), PN_OK);
    assert_string_equal(draft.words[0], "mandelbrot@1");
    assert_int_equal(draft.slice_count, 64);
    assert_int_equal(draft.verify, VERIFY_QUORUM);
    assert_int_equal(mandelbrot_view_parse((const char *const *)draft.words + 1,
                                           draft.word_count - 1, &again, NULL),
                     PN_OK);
    assert_memory_equal(&v, &again, sizeof v);
    job_draft_fini(&draft);
    args_fini(&a);
}

static void programs_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(job_program_find("mandelbrot@1"), &mandelbrot_program);
    assert_non_null(job_program_find("nonce@1"));
    assert_null(job_program_find("nonce@2"));
    assert_null(job_program_find("nonce"));
    assert_null(job_program_find(""));
    assert_null(job_program_at(2));
}

static void progress_lines(void **state)
{
    (void)state;
    uint64_t done = 0;
    uint64_t total = 0;
    assert_true(job_progress_parse(pn_bytes_str("progress 5 18446744073709551615"), &done, &total));
    assert_true(done == 5 && total == UINT64_MAX);
    /* What nonce@1 prints of all 2^64 nonces in one slice, and what a liar might. */
    assert_true(job_progress_parse(pn_bytes_str("progress 5 18446744073709551616"), &done, &total));
    assert_true(done == 5 && total == UINT64_MAX);
    assert_true(job_progress_parse(
        pn_bytes_str("progress 99999999999999999999 99999999999999999999"), &done, &total));
    assert_true(done == UINT64_MAX && total == UINT64_MAX);
    assert_true(job_progress_parse(pn_bytes_str("progress 0 18446744073709551609"), &done, &total));
    assert_true(total == 18446744073709551609u);
    static const char *const others[] = {"",
                                         "progress",
                                         "progress ",
                                         "progress 1",
                                         "progress 1 ",
                                         "progress 2 1",
                                         "progress x",
                                         "progress 1 2 ",
                                         "progress -1 2",
                                         "Progress 1 2",
                                         "progress 1 222222222222222222222"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint8_t *exact = unit_exact(others[i], strlen(others[i]));
        assert_false(
            job_progress_parse((struct pn_bytes){exact, strlen(others[i])}, &done, &total));
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_known),
        cmocka_unit_test(rows_are_cut_without_gap),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(true_rows_pass_and_false_ones_do_not),
        cmocka_unit_test(a_draft_makes_the_same_view),
        cmocka_unit_test(programs_are_found_by_name),
        cmocka_unit_test(progress_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
