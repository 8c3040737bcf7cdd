/* Command lines taken apart, refused in one clear line, and the help from the same table. */
#include "tests/unit/unit.h"

#include "common/args.h"

static const struct args_option puzzle_options[] = {
    {"difficulty", 'd', ARGS_U64, 1, 256, "N", "leading zero bits", "30"},
    {"block", '\0', ARGS_TEXT, 0, 0, "TEXT", "what is hashed", NULL},
    {"lowest", '\0', ARGS_FLAG, 0, 0, NULL, "the lowest nonce", NULL},
};
static const struct args_option job_options[] = {
    {"file", 'f', ARGS_LIST, 0, 0, "PATH", "a file of the job", NULL},
    {"memory", '\0', ARGS_BYTES, 65536, 1u << 30, "SIZE", "memory of a slice", "64M"},
    {"timeout", '\0', ARGS_DURATION, 1000, 0, "TIME", "stop after this time", NULL},
};
static const struct args_option hidden_options[] = {
    {"machinery", '\0', ARGS_FLAG, 0, 0, NULL, "not for people", NULL},
};
static const struct args_group groups[] = {
    {"Puzzle", puzzle_options, 3}, {NULL, hidden_options, 1}, {"Job", job_options, 3}};
static const struct args_spec spec = {
    .usage = "preon job try [options] NAME",
    .summary = "Tries.",
    .groups = groups,
    .group_count = 3,
    .positional = "a name",
    .positional_min = 1,
    .positional_max = 2,
};

enum { WORDS_MAX = 16 };

/* Splits line at blanks and parses it; the words live until the next call. */
static enum pn_status parse(const char *line, struct args *out, struct pn_err *err)
{
    static char text[512];
    static const char *words[WORDS_MAX];
    size_t count = 0;
    assert_true(strlen(line) < sizeof text);
    memcpy(text, line, strlen(line) + 1);
    for (char *at = text; *at != '\0';) {
        assert_true(count < WORDS_MAX);
        words[count++] = at;
        at += strcspn(at, " ");
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    return args_parse(&spec, words, count, out, err);
}

static void every_form_of_an_option(void **state)
{
    (void)state;
    static const char *const lines[] = {"--difficulty 7 n", "--difficulty=7 n", "-d 7 n", "n -d7"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct args a;
        assert_int_equal(parse(lines[i], &a, NULL), PN_OK);
        assert_int_equal(args_u64(&a, "difficulty"), 7);
        assert_true(args_given(&a, "difficulty"));
        assert_int_equal(a.positional_count, 1);
        assert_string_equal(a.positionals[0], "n");
        args_fini(&a);
    }
}

static void what_is_not_given_has_its_default(void **state)
{
    (void)state;
    struct args a;
    assert_int_equal(parse("n", &a, NULL), PN_OK);
    assert_int_equal(args_u64(&a, "difficulty"), 30);
    assert_int_equal(args_u64(&a, "memory"), 64u << 20);
    assert_null(args_text(&a, "block"));
    assert_null(args_text(&a, "timeout"));
    assert_false(args_given(&a, "lowest"));
    assert_null(args_list(&a, "file", 0));

    /* Settings come between the table and the command line. */
    struct pn_err err;
    assert_int_equal(args_default(&a, "timeout", "2h", "preon.conf:3", &err), PN_OK);
    assert_int_equal(args_u64(&a, "timeout"), 7200000);
    assert_false(args_given(&a, "timeout"));
    assert_int_equal(args_default(&a, "difficulty", "0", "PREON_DIFFICULTY", &err), PN_E_RANGE);
    assert_string_equal(err.text, "PREON_DIFFICULTY: 0 is out of range; allowed are 1 to 256");
    args_fini(&a);

    assert_int_equal(parse("n -d 9", &a, NULL), PN_OK);
    assert_int_equal(args_default(&a, "difficulty", "0", "PREON_DIFFICULTY", &err), PN_OK);
    assert_int_equal(args_u64(&a, "difficulty"), 9);
    args_fini(&a);
}

static void lists_and_dashes(void **state)
{
    (void)state;
    struct args a;
    assert_int_equal(parse("-f a --file=b - -f c --lowest -- -d", &a, NULL), PN_OK);
    assert_string_equal(args_list(&a, "file", 0), "a");
    assert_string_equal(args_list(&a, "file", 1), "b");
    assert_string_equal(args_list(&a, "file", 2), "c");
    assert_null(args_list(&a, "file", 3));
    assert_true(args_given(&a, "lowest"));
    assert_int_equal(a.positional_count, 2);
    assert_string_equal(a.positionals[0], "-");
    assert_string_equal(a.positionals[1], "-d");
    assert_int_equal(a.dashes, 1);
    args_fini(&a);
}

static void what_is_hidden_is_taken(void **state)
{
    (void)state;
    struct args a;
    assert_int_equal(parse("--machinery n", &a, NULL), PN_OK);
    assert_true(args_given(&a, "machinery"));
    assert_true(args_known(&a, "machinery"));
    assert_true(args_known(&a, "block"));
    assert_false(args_known(&a, "nonsense"));
    args_fini(&a);
}

static void help_ends_the_parsing(void **state)
{
    (void)state;
    struct args a;
    assert_int_equal(parse("--lowest --help --nonsense", &a, NULL), PN_OK);
    assert_true(a.help);
    args_fini(&a);
    assert_int_equal(parse("-h", &a, NULL), PN_OK);
    assert_true(a.help);
    args_fini(&a);
}

static void each_mistake_has_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum pn_status status;
        const char *text;
    } cases[] = {
        {"--dificulty 3 n", PN_E_NOT_FOUND,
         "unknown option --dificulty; the nearest one is --difficulty"},
        {"--diff=3 n", PN_E_NOT_FOUND, "unknown option --diff; the nearest one is --difficulty"},
        {"--bolck x n", PN_E_NOT_FOUND, "unknown option --bolck; the nearest one is --block"},
        {"--machinry n", PN_E_NOT_FOUND, "unknown option --machinry; see --help"},
        {"--zzz n", PN_E_NOT_FOUND, "unknown option --zzz; see --help"},
        {"-x n", PN_E_NOT_FOUND, "unknown option -x; see --help"},
        {"-d 3 --difficulty 4 n", PN_E_EXISTS, "--difficulty is given twice"},
        {"--lowest --lowest n", PN_E_EXISTS, "--lowest is given twice"},
        {"--lowest=yes n", PN_E_MALFORMED, "--lowest takes no value"},
        {"n --difficulty", PN_E_MALFORMED,
         "--difficulty: the value is missing; allowed are 1 to 256"},
        {"n --block --lowest", PN_E_MALFORMED,
         "--block: the value is missing; it takes TEXT (one with dashes is written "
         "--name=--value)"},
        {"-d 0 n", PN_E_RANGE, "--difficulty: 0 is out of range; allowed are 1 to 256"},
        {"-d 257 n", PN_E_RANGE, "--difficulty: 257 is out of range; allowed are 1 to 256"},
        {"-d 18446744073709551616 n", PN_E_RANGE,
         "--difficulty: 18446744073709551616 is out of range; allowed are 1 to 256"},
        {"-d x n", PN_E_MALFORMED,
         "--difficulty: \"x\" is not a whole number; allowed are 1 to 256"},
        {"-d -1 n", PN_E_MALFORMED,
         "--difficulty: \"-1\" is not a whole number; allowed are 1 to 256"},
        {"--memory 1k n", PN_E_RANGE, "--memory: 1k is out of range; allowed are 64k to 1G"},
        {"--memory 1q n", PN_E_MALFORMED,
         "--memory: \"1q\" is not bytes like 4096, 64k, 10M or 2G; allowed are 64k to 1G"},
        {"--timeout 10ms n", PN_E_RANGE,
         "--timeout: 10ms is out of range; allowed are 1s and more"},
        {"--timeout= n", PN_E_MALFORMED,
         "--timeout: \"\" is not a time like 90s, 5m, 2h or 1d; allowed are 1s and more"},
        {"--lowest", PN_E_MALFORMED, "a name is missing; usage: preon job try [options] NAME"},
        {"a b c\n", PN_E_MALFORMED, "unexpected \"c?\"; usage: preon job try [options] NAME"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct args a;
        struct pn_err err = {0};
        assert_int_equal(parse(cases[i].line, &a, &err), cases[i].status);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void numbers_up_to_the_last(void **state)
{
    (void)state;
    uint64_t n = 0;
    assert_int_equal(args_number(ARGS_U64, "18446744073709551615", &n, NULL), PN_OK);
    assert_true(n == UINT64_MAX);
    assert_int_equal(args_number(ARGS_U64, "18446744073709551616", &n, NULL), PN_E_RANGE);
    assert_int_equal(args_number(ARGS_BYTES, "16777215T", &n, NULL), PN_OK);
    assert_true(n == UINT64_MAX - (1ull << 40) + 1);
    assert_int_equal(args_number(ARGS_BYTES, "16777216T", &n, NULL), PN_E_RANGE);
    assert_int_equal(args_number(ARGS_DURATION, "3", &n, NULL), PN_OK);
    assert_int_equal(n, 3000);
    assert_int_equal(args_number(ARGS_U64, "1k", &n, NULL), PN_E_MALFORMED);
    assert_int_equal(args_number(ARGS_U64, "", &n, NULL), PN_E_MALFORMED);
}

static void the_nearest_verb(void **state)
{
    (void)state;
    static const char *const verbs[] = {"create", "cancel", "status", "results"};
    assert_string_equal(args_nearest("craete", verbs, 4), "create");
    assert_string_equal(args_nearest("result", verbs, 4), "results");
    assert_null(args_nearest("frobnicate", verbs, 4));
    assert_null(args_nearest("x", verbs, 0));
}

static void the_help_shows_every_row(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    assert_int_equal(args_help(&spec, &out), PN_OK);
    assert_int_equal(buffer_append(&out, (struct pn_bytes){(const uint8_t *)"", 1}), PN_OK);
    assert_string_equal((const char *)out.ptr,
                        "usage: preon job try [options] NAME\n"
                        "\n"
                        "Tries.\n"
                        "\n"
                        "Puzzle:\n"
                        "  -d, --difficulty N        leading zero bits (default 30)\n"
                        "      --block TEXT          what is hashed\n"
                        "      --lowest              the lowest nonce\n"
                        "\n"
                        "Job:\n"
                        "  -f, --file PATH           a file of the job\n"
                        "      --memory SIZE         memory of a slice (default 64M)\n"
                        "      --timeout TIME        stop after this time\n"
                        "  -h, --help                this text\n");
    buffer_fini(&out);
    buffer_init(&out, 20);
    assert_int_equal(args_help(&spec, &out), PN_E_FULL);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_option),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(lists_and_dashes),
        cmocka_unit_test(what_is_hidden_is_taken),
        cmocka_unit_test(help_ends_the_parsing),
        cmocka_unit_test(each_mistake_has_its_sentence),
        cmocka_unit_test(numbers_up_to_the_last),
        cmocka_unit_test(the_nearest_verb),
        cmocka_unit_test(the_help_shows_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
