/* The log: one line per event, none above the level, nothing that a terminal would obey. */
#include "tests/unit/unit.h"

#include <regex.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log_sys.h"

static int kept_stderr;
static FILE *heard;

static int open_log(void **state)
{
    (void)state;
    heard = tmpfile();
    kept_stderr = dup(STDERR_FILENO);
    assert_non_null(heard);
    assert_true(dup2(fileno(heard), STDERR_FILENO) >= 0);
    return 0;
}

static int close_log(void **state)
{
    (void)state;
    (void)dup2(kept_stderr, STDERR_FILENO);
    (void)close(kept_stderr);
    (void)fclose(heard);
    log_set_level(LOG_INFO);
    return 0;
}

/* What was written since the last look. */
static const char *said(void)
{
    static char text[4096];
    ssize_t len = pread(fileno(heard), text, sizeof text - 1, 0);
    assert_true(len >= 0);
    text[len] = '\0';
    assert_int_equal(ftruncate(fileno(heard), 0), 0);
    (void)lseek(fileno(heard), 0, SEEK_SET);
    return text;
}

/* On PN_OK the line is the time, and then exactly this. */
static void assert_line(const char *line, const char *rest)
{
    regex_t time;
    regmatch_t match;
    assert_int_equal(
        regcomp(&time,
                "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z ",
                REG_EXTENDED),
        0);
    assert_int_equal(regexec(&time, line, 1, &match, 0), 0);
    assert_string_equal(line + match.rm_eo, rest);
    regfree(&time);
}

static void a_level_is_written_with_all_that_are_worse(void **state)
{
    static const char *const LINES[] = {"error room: 7 of 8\n", "warn  room: 7 of 8\n",
                                        "info  room: 7 of 8\n", "debug room: 7 of 8\n"};
    (void)state;
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        log_set_level((enum log_level)level);
        for (int of = LOG_ERROR; of <= LOG_DEBUG; of++) {
            log_write((enum log_level)of, "room", "%d of %d", 7, 8);
            if (of <= level) {
                assert_line(said(), LINES[of]);
            } else {
                assert_string_equal(said(), "");
            }
        }
    }
}

static void it_begins_with_info(void **state)
{
    (void)state;
    log_write(LOG_DEBUG, "room", "not this");
    assert_string_equal(said(), "");
    log_write(LOG_INFO, "room", "this");
    assert_line(said(), "info  room: this\n");
}

static void a_strangers_text_forges_no_line(void **state)
{
    (void)state;
    log_write(LOG_WARN, "room", "%s", "a\nb\rc\033[2Jd\177e\302\233f");
    const char *line = said();
    assert_non_null(strchr(line, '\n'));
    assert_string_equal(strchr(line, '\n'), "\n");
    assert_null(strpbrk(line, "\r\033\177\233"));
    assert_non_null(strstr(line, " room: a?b?c?[2Jd?e"));
}

static void a_long_sentence_is_cut_and_still_a_line(void **state)
{
    char text[3000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_write(LOG_ERROR, "room", "%s", text);
    const char *line = said();
    assert_int_equal(strlen(line), 1023);
    assert_string_equal(line + 1021, "x\n");
}

static void levels_have_names(void **state)
{
    static const char *const NAMES[] = {"error", "warn", "info", "debug"};
    static const char *const WRONG[] = {"", "Info", "infos", "verbose"};
    (void)state;
    enum log_level level;
    struct pn_err err;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        assert_int_equal(log_level_parse(NAMES[i], &level, &err), PN_OK);
        assert_int_equal(level, i);
    }
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        assert_int_equal(log_level_parse(WRONG[i], &level, &err), PN_E_RANGE);
        assert_non_null(strstr(err.text, "allowed are error, warn, info, debug"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
    const struct CMUnitTest tests[] = {
        TEST(it_begins_with_info),
        TEST(a_level_is_written_with_all_that_are_worse),
        TEST(a_strangers_text_forges_no_line),
        TEST(a_long_sentence_is_cut_and_still_a_line),
        TEST(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
