/* The peer's side of a tracker: what it says when, to good trackers, dead ones and strange ones. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/rendezvous/tracker_client.h"

#define JOB_TEXT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char trace[8192]; /* everything that the client asked for */
static bool takes;
static struct tracker_client *client;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t len = strlen(trace);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(trace + len, sizeof trace - len, format, args);
    va_end(args);
}

static void op_dial(void *arg)
{
    (void)arg;
    note("dial\n");
}

static void op_hang_up(void *arg)
{
    (void)arg;
    note("hang up\n");
}

static void op_send(void *arg, struct pn_bytes bytes)
{
    (void)arg;
    note("> %.*s", (int)bytes.len, (const char *)bytes.ptr);
}

static bool op_on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    (void)arg;
    char text[ADDR_TEXT_BYTES];
    char id[DIGEST_SHORT_BYTES];
    digest_short(job, id);
    note("hire %s %s\n", addr_text(master, text), id);
    if (takes) { /* a worker states its slots anew while it is being hired */
        assert_int_equal(tracker_client_idle(client, 1, pn_bytes_str("nonce@1")), PN_OK);
    }
    return takes;
}

static void op_on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count,
                        uint32_t known)
{
    (void)arg;
    (void)job;
    note("peers %zu of %u", count, known);
    for (size_t i = 0; i < count; i++) {
        char text[ADDR_TEXT_BYTES];
        note(" %s", addr_text(&peers[i], text));
    }
    note("\n");
}

static struct digest job(void)
{
    struct digest d;
    assert_true(digest_parse(JOB_TEXT, 64, &d));
    return d;
}

static int start(void **state)
{
    static const struct tracker_client_ops OPS = {.dial = op_dial,
                                                  .hang_up = op_hang_up,
                                                  .send = op_send,
                                                  .on_hire = op_on_hire,
                                                  .on_peers = op_on_peers};
    (void)state;
    trace[0] = '\0';
    takes = true;
    client = tracker_client_new("192.0.2.9:7600", 77, &OPS, NULL, 1);
    assert_non_null(client);
    tracker_client_start(client, 1000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    tracker_client_free(client);
    return 0;
}

static void traced(const char *wanted)
{
    assert_string_equal(trace, wanted);
    trace[0] = '\0';
}

static void hear(uint64_t now_ms, const char *text)
{
    size_t len = strlen(text);
    uint8_t *exact = unit_exact(text, len);
    tracker_client_received(client, (struct pn_bytes){exact, len}, now_ms);
    free(exact);
}

static void greet(uint64_t now_ms)
{
    tracker_client_connected(client, now_ms);
    hear(now_ms, "HELLO preon/1 198.51.100.7 1800 45\n");
}

static void what_was_stated_before_is_said_first(void **state)
{
    (void)state;
    const struct digest id = job();
    assert_int_equal(tracker_client_serve(client, &id, 4000), PN_OK);
    assert_int_equal(tracker_client_idle(client, 4, pn_bytes_str("nonce@1 full")), PN_OK);
    assert_int_equal(tracker_client_demand(client, &id, 4000, 256, pn_bytes_str("nonce@1"), 1000),
                     PN_OK);
    assert_int_equal(tracker_client_query(client, &id), PN_OK);
    greet(1100);
    traced("dial\n"
           "> HELLO preon/1 proof=77\n"
           "> INFORM 4000 " JOB_TEXT " 300\n"
           "> DEMAND 4000 " JOB_TEXT " 256 nonce@1\n"
           "> IDLE 4 nonce@1 full\n"
           "> QUERY " JOB_TEXT " 100\n");
    hear(1200, "OK 300\nOK 0\nOK 1\nPEER 192.0.2.1 40");
    hear(1201, "00\nPEER 2001:db8::1 4001\nEND 2 17\n");
    traced("peers 2 of 17 192.0.2.1:4000 [2001:db8::1]:4001\n");

    assert_int_equal(tracker_client_serve(client, &id, 0), PN_OK);
    assert_int_equal(tracker_client_idle(client, 0, pn_bytes_str("")), PN_OK);
    assert_int_equal(tracker_client_demand(client, &id, 4000, 0, pn_bytes_str(""), 1300), PN_OK);
    traced("> DELETE 4000 " JOB_TEXT "\n"
           "> IDLE 0\n"
           "> DEMAND 4000 " JOB_TEXT " 0\n");
}

/* TAKE goes before what the worker states while it is being hired. */
static void being_hired(void **state)
{
    (void)state;
    assert_int_equal(tracker_client_idle(client, 2, pn_bytes_str("nonce@1")), PN_OK);
    greet(1100);
    trace[0] = '\0';
    hear(1200, "OK 0\nHIRE 99 192.0.2.1 4000 " JOB_TEXT "\n");
    traced("hire 192.0.2.1:4000 001122334455\n> TAKE 99\n> IDLE 1 nonce@1\n");
    takes = false;
    hear(1300, "OK 0\nHIRE 100 192.0.2.1 4000 " JOB_TEXT "\n");
    traced("hire 192.0.2.1:4000 001122334455\n> PASS 100\n");
}

static void silence_is_noticed(void **state)
{
    (void)state;
    greet(1000);
    trace[0] = '\0';
    tracker_client_tick(client, 45999);
    traced("");
    tracker_client_tick(client, 46000);
    traced("> PING\n");
    hear(46010, "PONG\n");
    tracker_client_tick(client, 46010 + 45000);
    traced("> PING\n");
    tracker_client_tick(client, 46010 + 45000 + 15000);
    traced("hang up\n");
    assert_int_equal(tracker_client_state(client), TRACKER_CLIENT_PAUSING);
}

/* A restarted tracker is told everything, within 30 seconds of its return. */
static void after_a_restart_all_is_said_again(void **state)
{
    (void)state;
    const struct digest id = job();
    assert_int_equal(tracker_client_serve(client, &id, 4000), PN_OK);
    greet(1000);
    uint64_t now_ms = 2000;
    tracker_client_lost(client, "closed the connection", now_ms);
    for (int failures = 0; failures < 20; failures++) {
        uint64_t due_ms = tracker_client_deadline_ms(client);
        assert_true(due_ms >= now_ms && due_ms <= now_ms + 30000);
        if (failures == 0) {
            assert_true(due_ms <= now_ms + 4000); /* the first retry is quick */
        }
        now_ms = due_ms;
        trace[0] = '\0';
        tracker_client_tick(client, now_ms);
        traced("dial\n");
        tracker_client_lost(client, "connection refused", now_ms);
    }
    struct tracker_why why;
    tracker_client_why(client, NULL, 2000 + 12000, &why);
    assert_string_equal(why.cause, "tracker 192.0.2.9:7600: connection refused");
    assert_string_equal(why.remedy, "start `preon tracker` there");
    assert_int_equal(why.for_ms, 12000);
    tracker_client_tick(client, tracker_client_deadline_ms(client));
    greet(now_ms);
    traced("dial\n> HELLO preon/1 proof=77\n> INFORM 4000 " JOB_TEXT " 300\n");
}

/* From dial to dial at most the longest pause, however long a machine that is off gives no answer.
 */
static void a_dial_in_vain_is_part_of_the_pause(void **state)
{
    (void)state;
    uint64_t dialled_ms = 1000;
    for (int failures = 0; failures < 50; failures++) {
        uint64_t vain_ms = tracker_client_deadline_ms(client);
        assert_int_equal(vain_ms, dialled_ms + TRACKER_CLIENT_ANSWER_MS);
        trace[0] = '\0';
        tracker_client_tick(client, vain_ms);
        traced("hang up\n");
        uint64_t due_ms = tracker_client_deadline_ms(client);
        assert_true(due_ms >= vain_ms && due_ms <= dialled_ms + TRACKER_CLIENT_BACKOFF_MAX_MS);
        tracker_client_tick(client, due_ms);
        traced("dial\n");
        dialled_ms = due_ms;
    }
}

static void entries_are_renewed_before_they_expire(void **state)
{
    (void)state;
    const struct digest id = job();
    assert_int_equal(tracker_client_serve(client, &id, 4000), PN_OK);
    tracker_client_connected(client, 1000);
    hear(1000, "HELLO preon/1 198.51.100.7 60 45\n"); /* grants only a minute */
    hear(1000, "OK 60\n");
    uint64_t last_ms = 1000;
    int renewals = 0;
    for (int ticks = 0; ticks < 50; ticks++) {
        trace[0] = '\0';
        uint64_t now_ms = tracker_client_deadline_ms(client);
        tracker_client_tick(client, now_ms);
        if (strstr(trace, "INFORM") != NULL) {
            assert_true(now_ms - last_ms <= 20000);
            last_ms = now_ms;
            renewals++;
            hear(now_ms, "OK 60\n");
        } else if (strstr(trace, "PING") != NULL) {
            hear(now_ms, "PONG\n");
        }
    }
    assert_true(renewals > 10);
}

static void garbage(const char *answer, const char *reason)
{
    void *state = NULL;
    (void)stop(&state);
    (void)start(&state);
    tracker_client_connected(client, 1000);
    hear(1000, answer);
    assert_int_equal(tracker_client_state(client), TRACKER_CLIENT_PAUSING);
    assert_non_null(strstr(trace, "hang up"));
    struct tracker_why why;
    tracker_client_why(client, NULL, 1000, &why);
    if (strstr(why.cause, reason) == NULL) {
        fail_msg("\"%s\": \"%s\" without \"%s\"", answer, why.cause, reason);
    }
}

static void strange_trackers_are_named_and_left(void **state)
{
    (void)state;
    garbage("HTTP/1.1 400 Bad Request\r\n", "answers garbage: unknown word");
    garbage("OK\n", "answers garbage: OK: expected a count");
    garbage("OK 1\n", "answers what was not asked: OK 1");
    garbage("ERROR HELLO: too old\n", "refuses: HELLO: too old");
    garbage("HELLO preon/1 1.2.3.4 300 45\nOK 1\n", "what was not asked: OK 1");
    garbage("HELLO preon/1 1.2.3.4 300 45\nPEER 1.2.3.4 5000\n", "what was not asked: PEER");
    garbage("HELLO preon/1 1.2.3.4 300 45\nPONG\n", "what was not asked: PONG");
    garbage("HELLO preon/1 1.2.3.4 300 45\nHELLO preon/1 1.2.3.4 300 45\n", "not asked");
    char endless[400];
    memset(endless, 'A', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    garbage(endless, "a line without end");
}

static void demand_says_what_it_waits_for(void **state)
{
    (void)state;
    const struct digest id = job();
    struct tracker_why why;
    greet(1000);
    assert_int_equal(tracker_client_demand(client, &id, 4000, 8, pn_bytes_str(""), 1000), PN_OK);
    hear(1000, "OK 0\n");
    tracker_client_why(client, &id, 13000, &why);
    assert_string_equal(why.cause, "no idle peer at tracker 192.0.2.9:7600");
    assert_string_equal(why.remedy, "start `preon peer`");
    assert_int_equal(why.for_ms, 12000);
    tracker_client_why(client, NULL, 15000, &why);
    assert_string_equal(why.cause, "");
    assert_int_equal(why.for_ms, 14000); /* connected since */
    trace[0] = '\0';
    tracker_client_tick(client, 16000); /* asks again how many there are */
    traced("> DEMAND 4000 " JOB_TEXT " 8\n");
    hear(16000, "OK 3\n");
    tracker_client_why(client, &id, 61000, &why);
    assert_non_null(strstr(why.cause, "3 idle peers at tracker 192.0.2.9:7600"));
    tracker_client_tick(client, 31000);
    hear(31000, "BUSY 60 too many demands from your address\n");
    tracker_client_why(client, &id, 31000, &why);
    assert_non_null(strstr(why.cause, "refuses for now: too many demands from your address"));
    assert_int_equal(tracker_client_demand(client, &id, 4000, 0, pn_bytes_str(""), 32000), PN_OK);
    tracker_client_why(client, &id, 32000, &why);
    assert_string_equal(why.cause, "");
}

static void bad_statements_change_nothing(void **state)
{
    (void)state;
    const struct digest id = job();
    greet(1000);
    trace[0] = '\0';
    assert_int_equal(tracker_client_idle(client, 1, pn_bytes_str("Upper")), PN_E_RANGE);
    assert_int_equal(tracker_client_idle(client, 1, pn_bytes_str("a\nPING")), PN_E_RANGE);
    assert_int_equal(tracker_client_demand(client, &id, 1, 1, pn_bytes_str("a  b"), 1000),
                     PN_E_RANGE);
    traced("");
    struct digest other = {0};
    for (uint32_t i = 0; i < 1024; i++) {
        memcpy(other.b, &i, sizeof i);
        assert_int_equal(tracker_client_serve(client, &other, 4000), PN_OK);
    }
    assert_int_equal(tracker_client_serve(client, &id, 4000), PN_E_FULL);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        CASE(what_was_stated_before_is_said_first),
        CASE(being_hired),
        CASE(silence_is_noticed),
        CASE(after_a_restart_all_is_said_again),
        CASE(a_dial_in_vain_is_part_of_the_pause),
        CASE(entries_are_renewed_before_they_expire),
        CASE(strange_trackers_are_named_and_left),
        CASE(demand_says_what_it_waits_for),
        CASE(bad_statements_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
