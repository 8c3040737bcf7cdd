/* The command's pure parts: settings, endpoints, events, and what people read. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tests/unit/alloc.h"
#include "tools/endpoint.h"
#include "tools/human.h"
#include "tools/progress.h"
#include "tools/settings.h"
#include "tools/sse.h"

static enum pn_status parse(const char *text, struct settings *out, struct pn_err *err)
{
    size_t len = strlen(text);
    uint8_t *copy = unit_exact(text, len);
    enum pn_status status = settings_parse((struct pn_bytes){copy, len}, out, err);
    free(copy);
    return status;
}

static void settings_are_read(void **state)
{
    static const char TEXT[] = "# mine\n\n data = /srv/preon \r\ntracker=a,b:7\nlog-level =\n";
    struct settings s;
    struct pn_err err;
    (void)state;
    assert_int_equal(parse(TEXT, &s, &err), PN_OK);
    assert_string_equal(settings_value(&s, "data"), "/srv/preon");
    assert_string_equal(settings_value(&s, "tracker"), "a,b:7");
    assert_string_equal(settings_value(&s, "log-level"), "");
    assert_null(settings_value(&s, "port"));
    settings_fini(&s);
    for (size_t len = 0; len < sizeof TEXT; len++) { /* no prefix is read beyond its end */
        char cut[sizeof TEXT] = "";
        memcpy(cut, TEXT, len);
        if (parse(cut, &s, &err) == PN_OK) {
            settings_fini(&s);
        }
    }
    enum pn_status status = PN_E_NO_MEMORY;
    for (alloc_fail_at(1); status == PN_E_NO_MEMORY; alloc_fail_next()) {
        status = settings_parse(pn_bytes_str(TEXT), &s, NULL);
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    settings_fini(&s);
}

static void bad_settings_have_their_sentence(void **state)
{
    static const struct {
        const char *text;
        const char *sentence;
    } CASES[] = {
        {"data", "line 1: 'data' is not 'name = value'"},
        {"\ntrakcer = a\n", "line 2: unknown setting 'trakcer'; did you mean 'tracker'?"},
        {"port = 1\nport = 2\n", "line 2: 'port' is set twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct settings s;
        struct pn_err err = {PN_OK, ""};
        assert_int_not_equal(parse(CASES[i].text, &s, &err), PN_OK);
        assert_string_equal(err.text, CASES[i].sentence);
    }
    char variable[SETTINGS_VARIABLE_BYTES];
    settings_variable("log-level", variable);
    assert_string_equal(variable, "PREON_LOG_LEVEL");
}

static void check_endpoint(const char *text, const char *host, uint16_t port)
{
    struct endpoint e;
    struct pn_err err;
    enum pn_status status = endpoint_parse(text, 7600, &e, &err);
    if (host == NULL) {
        assert_int_equal(status, PN_E_MALFORMED);
        return;
    }
    assert_int_equal(status, PN_OK);
    assert_string_equal(e.host, host);
    assert_int_equal(e.port, port);
}

static void trackers_are_written_in_many_ways(void **state)
{
    (void)state;
    check_endpoint("tracker.example.org", "tracker.example.org", 7600);
    check_endpoint("tracker.example.org:80", "tracker.example.org", 80);
    check_endpoint("192.0.2.1:7601", "192.0.2.1", 7601);
    check_endpoint("::1", "::1", 7600);
    check_endpoint("[2001:db8::1]", "2001:db8::1", 7600);
    check_endpoint("[2001:db8::1]:9", "2001:db8::1", 9);
    static const char *const BAD[] = {"",        ":",   ":80",   "a:",    "a:0",
                                      "a:65536", "a b", "[::1",  "[]",    "[::1]x",
                                      "a/b",     "-a",  "a:80x", "a:b:c", "[a b]:1"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        check_endpoint(BAD[i], NULL, 0);
    }
}

static void numbers_are_for_people(void **state)
{
    char out[HUMAN_BYTES];
    (void)state;
    assert_string_equal(human_count(0, out), "0");
    assert_string_equal(human_count(812, out), "812");
    assert_string_equal(human_count(999.6, out), "1.00 k");
    assert_string_equal(human_count(61234567, out), "61.2 M");
    assert_string_equal(human_count(612345678, out), "612 M");
    assert_string_equal(human_many(0, "slice", out), "0 slices");
    assert_string_equal(human_many(1, "slice", out), "1 slice");
    assert_string_equal(human_many(16777216, "slice", out), "16777216 slices");
    assert_string_equal(human_duration(0, out), "0 ms");
    assert_string_equal(human_duration(999, out), "999 ms");
    assert_string_equal(human_duration(1000, out), "1.0 s");
    assert_string_equal(human_duration(9940, out), "9.9 s");
    assert_string_equal(human_duration(17200, out), "17 s");
    assert_string_equal(human_duration(200000, out), "3 min 20 s");
    assert_string_equal(human_duration(7500000, out), "2 h 5 min");
    assert_string_equal(human_duration((uint64_t)99 * 3600 * 1000, out), "4 d 3 h");
    assert_string_equal(human_duration(UINT64_MAX, out), "213503982334 d 14 h");
    assert_string_equal(human_rate(0, "hashes", out), "");
    assert_string_equal(human_rate(5e6, "hashes", out), "5.00 M hashes/s");
    assert_string_equal(human_bar(0.5, 4, out), "[##..]");
    assert_string_equal(human_bar(7, 4, out), "[####]");
    assert_int_equal(strlen(human_bar(-1, 1000, out)), HUMAN_BYTES - 1);
}

static void a_status_becomes_a_line(void **state)
{
    char out[PROGRESS_BYTES];
    (void)state;
    json_t *job = json_loads(
        "{\"slices\":{\"total\":256,\"final\":107,\"failed\":1},\"slots\":32,\"liars\":1,"
        "\"progress\":{\"unit\":\"hashes\",\"done\":25,\"total\":100,\"rate_per_s\":61200000,"
        "\"expected_ms\":17000,\"likely_ms\":48000}}",
        0, NULL);
    assert_string_equal(progress_line(job, out),
                        "[###.........]  25 %  107/256 slices (1 failed)  61.2 M hashes/s  "
                        "17 s left (95 %: 48 s)  1 liar  32 slots");
    json_decref(job);
    job = json_loads("{\"waiting\":{\"cause\":\"no idle peer\",\"remedy\":\"start `preon peer`\","
                     "\"for_ms\":12000}}",
                     0, NULL);
    assert_string_equal(progress_line(job, out),
                        "waiting: no idle peer for 12 s; start `preon peer`");
    json_decref(job);
    assert_string_equal(progress_waiting(NULL, out), "");
    (void)progress_line(NULL, out); /* whatever is missing is 0 */
}

/* A terminal that is too narrow shows fewer parts, not half of one. */
static void a_line_is_cut_between_its_parts(void **state)
{
    static const char line[] = "[##..]  25 %  1/2 slices  32 slots";
    (void)state;
    assert_int_equal(progress_fitting(line, sizeof line - 1), sizeof line - 1);
    assert_int_equal(progress_fitting(line, sizeof line - 2), strlen("[##..]  25 %  1/2 slices"));
    assert_int_equal(progress_fitting(line, strlen("[##..]  25 %")), strlen("[##..]  25 %"));
    assert_int_equal(progress_fitting(line, 8), strlen("[##..]"));
    assert_int_equal(progress_fitting(line, 3), 3); /* nothing fits whole */
    assert_int_equal(progress_fitting("", 0), 0);
}

/* Events come in pieces of any length. */
static void events_are_put_together(void **state)
{
    static const char STREAM[] = ": hello\n\nevent: status\ndata: {\"a\":1}\n\ndata:x\ndata: y\n\n"
                                 "event: half\ndata: z\n";
    (void)state;
    for (size_t step = 1; step < sizeof STREAM; step++) {
        struct sse s;
        struct buffer data;
        char name[SSE_NAME_BYTES];
        char seen[256] = "";
        sse_init(&s);
        buffer_init(&data, SSE_EVENT_BYTES_MAX);
        for (size_t at = 0; at < sizeof STREAM - 1; at += step) {
            size_t len = sizeof STREAM - 1 - at < step ? sizeof STREAM - 1 - at : step;
            uint8_t *copy = unit_exact(STREAM + at, len);
            assert_int_equal(sse_add(&s, (struct pn_bytes){copy, len}), PN_OK);
            free(copy);
            while (sse_next(&s, name, &data)) {
                size_t used = strlen(seen);
                (void)snprintf(seen + used, sizeof seen - used, "%s=%.*s;", name, (int)data.len,
                               data.len > 0 ? (const char *)data.ptr : "");
            }
        }
        assert_string_equal(seen, "message=;status={\"a\":1};message=x\ny;");
        buffer_fini(&data);
        sse_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(bad_settings_have_their_sentence),
        cmocka_unit_test(trackers_are_written_in_many_ways),
        cmocka_unit_test(numbers_are_for_people),
        cmocka_unit_test(a_status_becomes_a_line),
        cmocka_unit_test(a_line_is_cut_between_its_parts),
        cmocka_unit_test(events_are_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
