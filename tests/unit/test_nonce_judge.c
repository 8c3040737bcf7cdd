/* The report of a slice: its bytes, and what a master thinks of true and forged ones. */
#include "tests/unit/unit.h"

#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_program.h"
#include "jobs/nonce/nonce_report.h"
#include "jobs/nonce/nonce_search.h"

static const char *const none[] = {"--difficulty=40", "--start=999000", "--count=20000"};
static const char *const first[] = {"--difficulty=13", "--start=0", "--count=20000"};
static const char *const all[] = {"--difficulty=5", "--start=0", "--count=20000", "--all"};

static struct nonce_report *report; /* of the slice searched last */
static uint8_t bytes[NONCE_REPORT_BYTES_MAX];
static size_t len;

static void search(const struct job_slice *s)
{
    struct nonce_puzzle p;
    assert_int_equal(nonce_args_parse(s->argv, s->argc, &p, NULL), PN_OK);
    assert_int_equal(nonce_search(&p, nonce_range_part(p.range, s->index, s->count),
                                  nonce_kernel_first(), NULL, report),
                     PN_OK);
    len = nonce_report_write(report, bytes);
}

static struct job_verdict judge(const struct job_slice *s, uint64_t seed)
{
    struct job_verdict v;
    struct random audit;
    random_seed(&audit, seed);
    uint8_t *exact = unit_exact(bytes, len);
    assert_int_equal(nonce_program.judge(s, (struct pn_bytes){exact, len}, &audit, NULL, &v, NULL),
                     PN_OK);
    free(exact);
    return v;
}

static void true_reports_pass(void **state)
{
    (void)state;
    const struct job_slice slices[] = {
        {none, 3, 0, 1},  {none, 3, 6, 7}, {none, 3, 19999, 20000}, {first, 3, 0, 1},
        {first, 3, 3, 9}, {all, 4, 0, 1},  {all, 4, 2, 3},
    };
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
        search(&slices[i]);
        struct job_verdict v = judge(&slices[i], i);
        assert_int_equal(v.judgement, JOB_JUDGED_TRUE);
        assert_int_equal(v.answer_count, report->hit_total);
        assert_int_equal(v.answer, slices[i].argv == first && report->hit_total > 0);
        assert_int_equal(nonce_program.check(&slices[i], NULL), PN_OK);
    }
    const struct job_slice found = {first, 3, 0, 1};
    search(&found);
    assert_string_equal(judge(&found, 1).line,
                        "nonce 294: 13 zero bits, hash "
                        "0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9");
    struct buffer text;
    buffer_init(&text, 4096);
    assert_int_equal(nonce_program.describe(&found, (struct pn_bytes){bytes, len}, &text, NULL),
                     PN_OK);
    assert_int_equal(buffer_append(&text, (struct pn_bytes){(const uint8_t *)"", 1}), PN_OK);
    assert_string_equal((const char *)text.ptr,
                        "nonce 294\n"
                        "hash 0004d1186f3ee857ebb35f726b2358b3a58e82090ceaf36759be1459c30575b9\n"
                        "zero_bits 13\n"
                        "check printf 'COMSM0010cloud294' | openssl dgst -sha256 -binary | "
                        "sha256sum\n");
    buffer_fini(&text);
}

/* A slice ends with the window of its lowest hit, and says what it searched until there. */
static void a_hit_ends_the_slice_at_its_window(void **state)
{
    (void)state;
    const struct job_slice s = {first, 3, 0, 1};
    search(&s);
    assert_int_equal(report->hit_total, 1);
    assert_true(report->hits[0] == 294);
    assert_int_equal(report->searched_count, 294 * 1024 / 20000 + 1);
    struct job_verdict v = judge(&s, 1);
    assert_true(v.unit_count == (double)nonce_report_window(report, 15).last + 1);
}

/* Every strict prefix and one byte too many are malformed. */
static void cut_reports_are_malformed(void **state)
{
    (void)state;
    const struct job_slice s = {first, 3, 0, 1};
    search(&s);
    size_t whole = len;
    for (len = 0; len <= whole + 1; len++) {
        bytes[whole] = 0;
        enum job_judgement want = len == whole ? JOB_JUDGED_TRUE : JOB_JUDGED_MALFORMED;
        assert_int_equal(judge(&s, 1).judgement, want);
    }
}

static enum job_judgement forged(const struct job_slice *s)
{
    len = nonce_report_write(report, bytes);
    return judge(s, 3).judgement;
}

static void forged_reports_are_found_out(void **state)
{
    (void)state;
    const struct job_slice empty = {none, 3, 0, 1};
    search(&empty);
    report->windows[700].word++;
    assert_int_equal(forged(&empty), JOB_JUDGED_LIE);
    search(&empty);
    report->windows[3].nonce = nonce_report_window(report, 4).first;
    assert_int_equal(forged(&empty), JOB_JUDGED_MALFORMED);
    search(&empty);
    report->hits[report->hit_count++] = 999005;
    report->hit_total = 1;
    assert_int_equal(forged(&empty), JOB_JUDGED_MALFORMED); /* not ended at its window */
    report->searched_count = nonce_report_window_of(report, 999005) + 1;
    assert_int_equal(forged(&empty), JOB_JUDGED_LIE); /* no hit */

    const struct job_slice some = {first, 3, 0, 1};
    search(&some);
    uint32_t searched = report->searched_count;
    report->hit_total = report->hit_count = 0;
    assert_int_equal(forged(&some), JOB_JUDGED_MALFORMED);
    for (uint32_t i = searched; i < report->window_count; i++) { /* kept back, and gone on */
        struct nonce_puzzle p;
        assert_int_equal(nonce_args_parse(first, 3, &p, NULL), PN_OK);
        assert_int_equal(nonce_search_window(&p, nonce_report_window(report, i), NULL, NULL,
                                             &report->windows[i]),
                         PN_OK);
    }
    report->searched_count = report->window_count;
    assert_int_equal(forged(&some), JOB_JUDGED_LIE);

    const struct job_slice many = {all, 4, 0, 1};
    search(&many);
    memmove(report->hits, report->hits + 1, (report->hit_count - 1) * sizeof report->hits[0]);
    report->hit_count--;
    report->hit_total--;
    (void)forged(&many); /* may be no window's lowest; but the next lists one that is no hit */
    report->hits[0]++;
    assert_int_not_equal(forged(&many), JOB_JUDGED_TRUE);

    const struct job_slice other = {none, 3, 0, 2};
    search(&empty);
    assert_int_equal(forged(&other), JOB_JUDGED_MALFORMED);
}

/* A wrong sum is seen only when its window is drawn: three of 1024 each time. */
static void skipped_windows_are_found_by_chance(void **state)
{
    (void)state;
    const struct job_slice s = {none, 3, 0, 1};
    enum { FORGED = 256, DRAWS = 400 };
    search(&s);
    for (uint32_t i = 0; i < FORGED; i++) {
        report->windows[i * 4].sum++;
    }
    len = nonce_report_write(report, bytes);
    int lies = 0;
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        lies += judge(&s, seed).judgement == JOB_JUDGED_LIE;
    }
    /* 1 - (3/4)^3 = 57.8 % of 400: 231, standard deviation 10 */
    assert_in_range(lies, 190, 272);
}

/* A peer that ends does not wait for an audit; what was audited before is only told again. */
static void an_audit_can_be_stopped_or_left_out(void **state)
{
    (void)state;
    const struct job_slice s = {none, 3, 0, 1};
    struct job_verdict v;
    struct random audit;
    atomic_bool stop = true;
    search(&s);
    const struct pn_bytes output = {bytes, len};
    random_seed(&audit, 1);
    assert_int_equal(nonce_program.judge(&s, output, &audit, &stop, &v, NULL), PN_E_CLOSED);
    assert_int_equal(nonce_program.judge(&s, output, NULL, &stop, &v, NULL), PN_OK);
    assert_true(v.judgement == JOB_JUDGED_TRUE && v.unit_audited_count == 0);
    stop = false;
    assert_int_equal(nonce_program.judge(&s, output, &audit, &stop, &v, NULL), PN_OK);
    assert_true(v.unit_audited_count > 0.99 * nonce_program.audit_units(&s));
    assert_true(v.unit_audited_count < 1.01 * nonce_program.audit_units(&s));
}

static void the_sum_is_over_every_nonce(void **state)
{
    (void)state;
    struct nonce_puzzle p;
    assert_int_equal(nonce_args_parse(none, 3, &p, NULL), PN_OK);
    struct nonce_window w;
    const struct nonce_range range = {999990, 1000009}; /* six digits and seven */
    assert_int_equal(nonce_search_window(&p, range, nonce_kernel_first(), NULL, &w), PN_OK);
    uint32_t sum = 0;
    uint32_t low = UINT32_MAX;
    uint64_t at = 0;
    for (uint64_t nonce = range.first; nonce <= range.last; nonce++) {
        uint32_t word = nonce_puzzle_word(&p, nonce, NULL);
        sum += word;
        if (word < low) {
            low = word;
            at = nonce;
        }
    }
    assert_true(w.sum == sum && w.word == low && w.nonce == at);
}

static void a_draft_makes_the_same_puzzle(void **state)
{
    (void)state;
    static const struct args_spec spec = {
        .usage = "try", .groups = &nonce_args_group, .group_count = 1};
    static const char *const lines[][4] = {
        {"--difficulty=30", "--block=--odd words", "--lowest", "--suffix=z"},
        {"--block-hex=00ff", "--zeros=4", "--unit=hex", "--append=le64"},
        {"--nbits=1d00ffff", "--bit-order=lsb", "--hash=sha256", "--end=99"},
        {"--block-file=f", "--all", "--difficulty=50", "--start=18446744073709551615"},
    };
    uint8_t file[700];
    memset(file, 'f', sizeof file);
    const struct pn_bytes contents = {file, sizeof file};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct args a;
        struct nonce_puzzle p;
        struct nonce_puzzle again;
        struct job_draft draft;
        struct pn_err err;
        assert_int_equal(args_parse(&spec, lines[i], 4, &a, NULL), PN_OK);
        assert_int_equal(nonce_args_puzzle(&a, &contents, &p, &err), PN_OK);
        assert_int_equal(nonce_draft(&a, &p, &draft, &err), PN_OK);
        assert_string_equal(draft.words[0], "nonce@1");
        assert_int_equal(nonce_args_parse((const char *const *)draft.words + 1,
                                          draft.word_count - 1, &again, &err),
                         PN_OK);
        assert_memory_equal(&p, &again, sizeof p);
        job_draft_fini(&draft);
        args_fini(&a);
    }
}

static void slices_of_ten_seconds(void **state)
{
    (void)state;
    struct nonce_puzzle p;
    static const char *const whole[] = {"--difficulty=40", "--count=4294967296"};
    assert_int_equal(nonce_args_parse(whole, 2, &p, NULL), PN_OK);
    assert_int_equal(nonce_draft_slices(&p, 25e6, 2), 18);    /* 172 s of work */
    assert_int_equal(nonce_draft_slices(&p, 25e6, 16), 64);   /* four a slot */
    assert_int_equal(nonce_draft_slices(&p, 25e6, 200), 172); /* none below a second */
    assert_int_equal(nonce_draft_slices(&p, 1e12, 4), 1);
    assert_int_equal(nonce_draft_slices(&p, 1, 4), JOB_SLICES_MAX);
    assert_int_equal(nonce_args_parse(all, 4, &p, NULL), PN_OK);
    uint32_t n = nonce_draft_slices(&p, 25e6, 2);
    assert_int_equal(nonce_args_check_slices(&p, n, NULL), PN_OK);
}

/* A slice gets the time that a slow volunteer needs; one that needs over a month is no slice. */
static void limits_follow_from_the_slices(void **state)
{
    (void)state;
    static const char *const words[] = {"--difficulty=40"}; /* 15.2e12 nonces */
    struct job_slice s = {.argv = words, .argc = 1, .count = 1000};
    struct limits l = LIMITS_DEFAULT;
    assert_int_equal(job_program_limits(&nonce_program, &s, &l, NULL), PN_OK);
    assert_in_range(l.time_s, 15190, 15191);
    assert_int_equal(l.cpu_s, l.time_s);
    assert_int_equal(l.memory_bytes, LIMITS_DEFAULT.memory_bytes);
    s.count = 100000;
    l = LIMITS_DEFAULT;
    assert_int_equal(job_program_limits(&nonce_program, &s, &l, NULL), PN_OK);
    assert_int_equal(l.time_s, LIMITS_DEFAULT.time_s);
    s.count = 5;
    struct pn_err err;
    assert_int_equal(job_program_limits(&nonce_program, &s, &l, &err), PN_E_RANGE);
    assert_string_equal(err.text, "5 slices: each may take 35.2 days on a slow processor, at most "
                                  "31; take more slices");
    assert_int_equal(l.time_s, LIMITS_DEFAULT.time_s);

    static const char *const deep[] = {"--iterations=65535", "--width=4096", "--height=4096"};
    s = (struct job_slice){.argv = deep, .argc = 3, .count = 4};
    assert_int_equal(job_program_limits(job_program_find("mandelbrot@1"), &s, &l, NULL), PN_OK);
    assert_in_range(l.time_s, 5497, 5498);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(true_reports_pass),
        cmocka_unit_test(a_hit_ends_the_slice_at_its_window),
        cmocka_unit_test(cut_reports_are_malformed),
        cmocka_unit_test(forged_reports_are_found_out),
        cmocka_unit_test(skipped_windows_are_found_by_chance),
        cmocka_unit_test(an_audit_can_be_stopped_or_left_out),
        cmocka_unit_test(the_sum_is_over_every_nonce),
        cmocka_unit_test(a_draft_makes_the_same_puzzle),
        cmocka_unit_test(slices_of_ten_seconds),
        cmocka_unit_test(limits_follow_from_the_slices),
    };
    report = malloc(sizeof *report);
    int failures = report == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
    free(report);
    return failures;
}
