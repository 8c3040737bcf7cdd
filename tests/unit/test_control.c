/* The control socket's pure parts: paths, bodies, answers. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/control/control_json.h"
#include "peer/control/control_route.h"

#define HEX32 "00112233445566778899aabbccddeeff"
#define HEX64 HEX32 HEX32

static void every_path_is_found_by_its_method(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *path;
        enum route_kind kind;
    } CASES[] = {
        {"GET", "/v1/peer", ROUTE_PEER},
        {"POST", "/v1/peer/shutdown", ROUTE_SHUTDOWN},
        {"GET", "/v1/jobs", ROUTE_JOBS},
        {"POST", "/v1/jobs", ROUTE_CREATE},
        {"GET", "/v1/jobs/" HEX64, ROUTE_JOB},
        {"DELETE", "/v1/jobs/" HEX64, ROUTE_REMOVE},
        {"GET", "/v1/jobs/" HEX64 "/manifest", ROUTE_MANIFEST},
        {"GET", "/v1/jobs/" HEX64 "/events", ROUTE_EVENTS},
        {"PUT", "/v1/jobs/" HEX64 "/files/7", ROUTE_PUT},
        {"POST", "/v1/jobs/" HEX64 "/start", ROUTE_START},
        {"POST", "/v1/jobs/" HEX64 "/cancel", ROUTE_CANCEL},
        {"POST", "/v1/jobs/" HEX64 "/resume", ROUTE_RESUME},
        {"GET", "/v1/jobs/" HEX64 "/slices", ROUTE_SLICES},
        {"GET", "/v1/jobs/" HEX64 "/results", ROUTE_RESULTS},
        {"GET", "/v1/jobs/" HEX64 "/slices/16777215/log", ROUTE_LOG},
        {"GET", "/v1/jobs/" HEX64 "/slices/5/outputs/7", ROUTE_OUTPUT},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct route route;
        assert_int_equal(route_find(CASES[i].method, CASES[i].path, &route, NULL), PN_OK);
        assert_int_equal(route.kind, CASES[i].kind);
        assert_int_equal(route_find("TRACE", CASES[i].path, &route, NULL), PN_E_UNSUPPORTED);
        /* Every strict prefix is a path of its own or none, never read beyond its end. */
        for (size_t len = 0; len < strlen(CASES[i].path); len++) {
            char *cut = (char *)unit_exact(CASES[i].path, len + 1);
            cut[len] = '\0';
            (void)route_find("GET", cut, &route, NULL);
            free(cut);
        }
    }
    struct route route;
    assert_int_equal(route_find("GET", "/v1/jobs/" HEX64 "/slices/5/outputs/7", &route, NULL),
                     PN_OK);
    assert_int_equal(route.job.b[1], 0x11);
    assert_int_equal(route.slice, 5);
    assert_int_equal(route.index, 7);
}

static void other_paths_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum pn_status status;
    } CASES[] = {
        {"", PN_E_NOT_FOUND},
        {"/", PN_E_NOT_FOUND},
        {"/v1", PN_E_NOT_FOUND},
        {"/v1/jobs/", PN_E_MALFORMED},
        {"/v1/peer/", PN_E_NOT_FOUND},
        {"/v2/peer", PN_E_NOT_FOUND},
        {"/v1/jobs/../peer", PN_E_NOT_FOUND},
        {"/v1/jobs/" HEX32, PN_E_MALFORMED},
        {"/v1/jobs/" HEX64 "/slices/16777216/log", PN_E_MALFORMED},
        {"/v1/jobs/" HEX64 "/slices/01/log", PN_E_MALFORMED},
        {"/v1/jobs/" HEX64 "/slices/-1/log", PN_E_MALFORMED},
        {"/v1/jobs/" HEX64 "/slices/1/outputs/8192", PN_E_MALFORMED},
        {"/v1/jobs/" HEX64 "/slices/1/log/", PN_E_NOT_FOUND},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct route route;
        assert_int_equal(route_find("GET", CASES[i].path, &route, NULL), CASES[i].status);
    }
}

/* A right question, and what its signatures are made with. */
struct question {
    struct key_pair *owner;
    struct digest job;
    struct signature signature;
    struct grant grant;
    char manifest[512];
};

static void question_init(struct question *q)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {7};
    struct public_key key;
    char hex[2 * PUBLIC_KEY_BYTES + 1];
    memset(q, 0, sizeof *q);
    q->owner = key_pair_new(seed);
    assert_non_null(q->owner);
    key_pair_public(q->owner, &key);
    hex_write((struct pn_bytes){key.b, sizeof key.b}, hex);
    (void)snprintf(q->manifest, sizeof q->manifest,
                   "preon job 1\n[job]\nname = a\nslices = 1\nowner = %s\nsalt = " HEX32
                   "\n[exec]\narg = program:nonce@1\n",
                   hex);
    manifest_id(pn_bytes_str(q->manifest), &q->job);
    assert_int_equal(claim_owner_sign(q->owner, &q->job, &q->signature), PN_OK);
    q->grant.job = q->job;
    q->grant.serial = 1;
    q->grant.peer_count = 1;
    assert_int_equal(grant_sign(&q->grant, q->owner), PN_OK);
}

/* The body; freed by the caller. */
static char *question_body(const struct question *q)
{
    uint8_t grant[GRANT_BYTES_MAX];
    char grant_hex[2 * GRANT_BYTES_MAX + 1];
    char signature_hex[2 * SIGNATURE_BYTES + 1];
    hex_write(grant_write(&q->grant, grant, sizeof grant), grant_hex);
    hex_write((struct pn_bytes){q->signature.b, SIGNATURE_BYTES}, signature_hex);
    json_t *json = json_pack("{s:s, s:s, s:s}", "manifest", q->manifest, "owner_signature",
                             signature_hex, "grant", grant_hex);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static enum pn_status parse(const char *text, size_t len, const char **field, struct pn_err *err)
{
    struct control_create_body body;
    uint8_t *copy = unit_exact(text, len);
    enum pn_status status =
        control_create_body_parse((struct pn_bytes){copy, len}, &body, field, err);
    if (status == PN_OK) {
        assert_string_equal(body.parsed.name, "a");
        control_create_body_fini(&body);
    }
    free(copy);
    return status;
}

static void check_refused(const struct question *q, enum pn_status wanted, const char *wanted_field)
{
    struct pn_err err;
    const char *field;
    char *text = question_body(q);
    assert_int_equal(parse(text, strlen(text), &field, &err), wanted);
    assert_string_equal(field, wanted_field);
    free(text);
}

static void a_job_is_taken_only_with_its_owners_word(void **state)
{
    (void)state;
    struct question q;
    struct pn_err err;
    const char *field;
    question_init(&q);
    char *text = question_body(&q);
    assert_int_equal(parse(text, strlen(text), &field, &err), PN_OK);
    for (size_t len = 0; len < strlen(text); len++) {
        assert_int_equal(parse(text, len, &field, &err), PN_E_MALFORMED);
    }
    free(text);

    struct question bad = q;
    bad.signature.b[3] ^= 1;
    check_refused(&bad, PN_E_MISMATCH, "owner_signature");
    bad = q;
    bad.grant.signature.b[3] ^= 1;
    check_refused(&bad, PN_E_MISMATCH, "grant");
    bad = q;
    bad.grant.job.b[0] ^= 1;
    assert_int_equal(grant_sign(&bad.grant, q.owner), PN_OK);
    check_refused(&bad, PN_E_MISMATCH, "grant");
    bad = q;
    bad.manifest[30] = '\0';
    check_refused(&bad, PN_E_MALFORMED, "manifest");
    bad = q;
    bad.manifest[strlen(bad.manifest) - 2] = '2'; /* nonce@2: canonical, but not what was signed */
    check_refused(&bad, PN_E_MISMATCH, "owner_signature");

    assert_int_equal(parse("[]", 2, &field, &err), PN_E_MALFORMED);
    assert_int_equal(parse("{\"manifest\":1}", 14, &field, &err), PN_E_MALFORMED);
    assert_string_equal(field, "manifest");
    key_pair_free(q.owner);
}

static void start_has_one_bounded_number(void **state)
{
    (void)state;
    uint32_t workers = 9;
    const char *field;
    struct pn_err err;
    assert_int_equal(control_start_body_parse(pn_bytes_str(""), &workers, &field, &err), PN_OK);
    assert_int_equal(workers, 0);
    assert_int_equal(
        control_start_body_parse(pn_bytes_str("{\"workers\": 5}"), &workers, &field, &err), PN_OK);
    assert_int_equal(workers, 5);
    assert_int_equal(
        control_start_body_parse(pn_bytes_str("{\"workers\": -1}"), &workers, &field, &err),
        PN_E_RANGE);
    assert_string_equal(field, "workers");
    assert_int_equal(
        control_start_body_parse(pn_bytes_str("{\"workers\": \"x\"}"), &workers, &field, &err),
        PN_E_RANGE);
    assert_int_equal(control_start_body_parse(pn_bytes_str("{"), &workers, &field, &err),
                     PN_E_MALFORMED);
}

static void check_json(json_t *json, const char *wanted)
{
    assert_non_null(json);
    char *text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, wanted);
    free(text);
    json_decref(json);
}

static void what_programs_print_becomes_text(void **state)
{
    (void)state;
    struct slice_log log = {.attempt = 3, .class = OUTCOME_EXITED, .code = 2, .wall_ms = 9};
    static const uint8_t BYTES[] = {'a', 0, 0xff, 0xc3, 0xa9, 0xc3};
    log.stdout_tail = (struct pn_bytes){BYTES, sizeof BYTES};
    log.stderr_tail = pn_bytes_str("plain\n");
    json_t *json = control_json_logs(&log, 1);
    const json_t *attempt = json_array_get(json_object_get(json, "attempts"), 0);
    assert_string_equal(json_string_value(json_object_get(attempt, "stdout")),
                        "a\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd");
    assert_string_equal(json_string_value(json_object_get(attempt, "stderr")), "plain\n");
    assert_string_equal(json_string_value(json_object_get(attempt, "class")), "exited");
    json_decref(json);
}

static void every_state_has_its_name(void **state)
{
    (void)state;
    struct job_status s = {.state = JOB_RUNNING};
    assert_string_equal(job_state_name(&s), "created");
    s.started_wall_ms = 1;
    assert_string_equal(job_state_name(&s), "running");
    s.waiting.waits = true;
    assert_string_equal(job_state_name(&s), "waiting");
    assert_false(job_state_ended(&s));
    static const char *const NAMES[] = {"done",      "found",     "none",   "failed",
                                        "cancelled", "timed-out", "stopped"};
    for (int i = JOB_DONE; i <= JOB_STOPPED; i++) {
        s.state = (enum job_state)i;
        assert_string_equal(job_state_name(&s), NAMES[i - JOB_DONE]);
        assert_true(job_state_ended(&s));
    }
}

static void an_answer_shows_what_matters(void **state)
{
    (void)state;
    struct pn_err err;
    (void)pn_fail(&err, PN_E_RANGE, "slices = 0: allowed are 1 to 9");
    check_json(control_json_error(&err, "slices"),
               "{\"schema\":1,\"error\":\"slices = 0: allowed are 1 to 9\","
               "\"status\":\"out of range\",\"field\":\"slices\"}");
    const struct slice_status slice = {4, SLICE_RUNNING, 2, 1};
    check_json(control_json_slices(&slice, 1, 5),
               "{\"schema\":1,\"slices\":[{\"slice\":4,\"state\":\"running\",\"attempts\":2,"
               "\"votes\":1}],\"next\":5}");
    const struct slice_output output = {.index = 1, .size = 7};
    const struct slice_result result = {
        .slice = 4, .basis = BASIS_OWN_RUN, .output_count = 1, .outputs = &output};
    json_t *json = control_json_results(&result, 1, true);
    assert_int_equal(json_integer_value(json_object_get(json, "next")), 5);
    const json_t *first = json_array_get(json_object_get(json, "results"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "basis")), "own run");
    json_decref(json);

    struct job_status *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->state = JOB_FOUND;
    s->answer.found = true;
    s->answer.field_count = 1;
    memcpy(s->answer.fields[0].key, "nonce", 6);
    memcpy(s->answer.fields[0].value, "42", 3);
    s->liars_shown = s->liar_count = 1;
    json = control_json_job(s);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(json_object_get(json, "answer"), "fields"), "nonce")),
                        "42");
    assert_int_equal(json_array_size(json_object_get(json, "liars_shown")), 1);
    json_decref(json);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_is_found_by_its_method),
        cmocka_unit_test(other_paths_are_refused),
        cmocka_unit_test(a_job_is_taken_only_with_its_owners_word),
        cmocka_unit_test(start_has_one_bounded_number),
        cmocka_unit_test(what_programs_print_becomes_text),
        cmocka_unit_test(every_state_has_its_name),
        cmocka_unit_test(an_answer_shows_what_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
