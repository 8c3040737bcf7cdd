/* Any words as a command line, one a line: refused in one sentence, or values within the table. */
#include "common/args.h"
#include "tests/fuzz/fuzz.h"

static const struct args_option OPTIONS[] = {
    {"flag", 'f', ARGS_FLAG, 0, 0, NULL, "a flag", NULL},
    {"text", 't', ARGS_TEXT, 0, 0, "TEXT", "a text", "none"},
    {"number", 'n', ARGS_U64, 1, 256, "N", "a number", "7"},
    {"whole", '\0', ARGS_U64, 0, 0, "N", "any number", NULL},
    {"memory", 'm', ARGS_BYTES, 1024, 0, "BYTES", "a size", NULL},
    {"time", '\0', ARGS_DURATION, 1, 86400000, "TIME", "a duration", NULL},
    {"file", '\0', ARGS_LIST, 0, 0, "FILE", "again and again", NULL},
};
/* Two tables, as commands have that share some. */
enum { OPTION_COUNT = sizeof OPTIONS / sizeof OPTIONS[0], FIRST_COUNT = 3 };
static const struct args_group GROUPS[] = {
    {"Of the test", OPTIONS, FIRST_COUNT},
    {"Of others", OPTIONS + FIRST_COUNT, OPTION_COUNT - FIRST_COUNT},
};
static const struct args_spec SPEC = {
    .usage = "fuzz [options] WORD...",
    .summary = "Takes words apart.",
    .groups = GROUPS,
    .group_count = 2,
    .positional = "word",
    .positional_min = 1,
    .positional_max = 4,
};

static void check(const struct args *a)
{
    struct buffer help;
    buffer_init(&help, 1 << 16);
    assert(a->help || (a->positional_count >= 1 && a->positional_count <= 4));
    assert(a->help || (args_u64(a, "number") >= 1 && args_u64(a, "number") <= 256));
    assert(!args_given(a, "memory") || a->help || args_u64(a, "memory") >= 1024);
    assert(args_text(a, "text") != NULL && args_value(a, "flag") != NULL);
    size_t count = 0;
    while (args_list(a, "file", count) != NULL) {
        count++;
    }
    assert(count == a->item_count);
    enum pn_status status = args_help(&SPEC, &help);
    assert(status == PN_OK && help.len > 0);
    buffer_fini(&help);
}

static void nearest_is_one_of_them(const char *word)
{
    static const char *const NAMES[] = {"create", "cancel", "follow", "status", "wait"};
    const char *near = args_nearest(word, NAMES, sizeof NAMES / sizeof NAMES[0]);
    bool found = near == NULL;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        found = found || near == NAMES[i];
    }
    assert(found);
}

/* What the environment and the settings file say comes behind the words. */
static void with_defaults(struct args *a, const char *text)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct pn_err err = {0};
        if (OPTIONS[i].kind == ARGS_FLAG || OPTIONS[i].kind == ARGS_LIST) {
            continue; /* these have no default */
        }
        bool given = args_given(a, OPTIONS[i].name);
        if (args_default(a, OPTIONS[i].name, text, "setting", &err) != PN_OK) {
            assert(err.text[0] != '\0' && !given);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_words w;
    struct args a;
    struct pn_err err = {0};
    fuzz_words_init(&w, (struct pn_bytes){data, size});
    if (args_parse(&SPEC, (const char *const *)w.words, w.count, &a, &err) == PN_OK) {
        check(&a);
        if (w.count > 0) {
            with_defaults(&a, w.words[0]);
            nearest_is_one_of_them(w.words[0]);
        }
        args_fini(&a);
    } else {
        assert(err.text[0] != '\0');
    }
    fuzz_words_fini(&w);
    return 0;
}
