/* The control socket itself: real HTTP over a real socket, the peer behind it is a few lines. */
#include "tests/unit/control_bed.h"

static void simple_questions_are_answered(struct fake *f)
{
    check(f, "GET", "/v1/peer", "", "200", "\"slots\":3");
    check(f, "GET", "/v1/jobs", "", "200", "\"jobs\":[{");
    check(f, "GET", JOB, "", "200", "\"state\":\"running\"");
    check(f, "POST", JOB "/start", "{\"workers\":7}", "200", "{\"schema\":1}");
    assert_int_equal(f->status.slot_count, 7);
    check(f, "POST", JOB "/cancel", "", "200", "{\"schema\":1}");
    check(f, "POST", JOB "/resume", "", "200", "{\"schema\":1}");
    check(f, "DELETE", JOB, "", "200", "{\"schema\":1}");
    check(f, "GET", JOB "/manifest", "", "200", "\r\n\r\npreon job 1\n");
    check(f, "GET", JOB "/slices?from=298", "", "200", "\"slice\":299");
    check(f, "GET", JOB "/results?from=4&count=5", "", "200", "\"size\":700000");
    check(f, "GET", JOB "/slices/6/log", "", "200", "hello\\n");
}

static void answers_come_at_once_or_later(void **state)
{
    struct fake *f = *state;
    simple_questions_are_answered(f);
    f->late = true;
    simple_questions_are_answered(f);
}

static void bad_questions_get_their_sentence(void **state)
{
    struct fake *f = *state;
    check(f, "GET", "/v1/nothing", "", "404", "unknown");
    check(f, "PUT", "/v1/peer", "x", "405", "not for this path");
    check(f, "GET", "/v1/jobs/12", "", "400", "must be 64");
    check(f, "GET", "/v1/jobs/ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "",
          "404", "no such job");
    check(f, "POST", "/v1/jobs", "{", "400", "not JSON");
    check(f, "POST", "/v1/jobs", "{\"manifest\":\"x\"}", "400", "\"field\":\"manifest\"");
    check(f, "POST", JOB "/start", "{\"workers\":-7}", "400", "\"field\":\"workers\"");
    check(f, "GET", JOB "/slices?count=0", "", "400", "\"field\":\"count\"");
    check(f, "GET", JOB "/slices?count=257", "", "400", "allowed are 1 to 256");
    check(f, "GET", JOB "/slices?from=-1", "", "400", "\"field\":\"from\"");
    check(f, "PUT", JOB "/files/2", "abc", "404", "no such file");
    f->fail = PN_E_FULL;
    check(f, "POST", JOB "/cancel", "", "507", "the disk is full");
    f->late = true;
    f->fail = PN_E_DENIED;
    check(f, "POST", JOB "/cancel", "", "403", "the disk is full");
    check(f, "POST", "/v1/peer/shutdown", "", "403", "SIGTERM");

    const char *const head = "POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 3145729\r\n\r\n";
    char *reply = exchange(f, pn_bytes_str(head), NULL);
    assert_non_null(strstr(reply, " 413 "));
    free(reply);
}

/* A put of len bytes; the reply is the caller's to free. */
static char *put(struct fake *f, size_t len, uint8_t *bytes)
{
    char head[256];
    struct buffer question;
    int head_len = snprintf(head, sizeof head,
                            "PUT " JOB "/files/0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            len);
    buffer_init(&question, REPLY_BYTES_MAX);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    assert_int_equal(
        buffer_append(&question, (struct pn_bytes){(const uint8_t *)head, (size_t)head_len}),
        PN_OK);
    assert_int_equal(buffer_append(&question, (struct pn_bytes){bytes, len}), PN_OK);
    char *reply = exchange(f, buffer_bytes(&question), NULL);
    buffer_fini(&question);
    return reply;
}

static void a_file_arrives_whole(void **state)
{
    struct fake *f = *state;
    static const size_t LENGTHS[] = {0, 1, CONTROL_PUT_BYTES_MAX, CONTROL_PUT_BYTES_MAX + 1,
                                     1000000};
    uint8_t *bytes = malloc(1000000);
    for (int late = 0; late < 2; late++) {
        f->late = late == 1;
        for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
            char *reply = put(f, LENGTHS[i], bytes);
            assert_non_null(strstr(reply, "{\"schema\":1,\"have\":false}"));
            free(reply);
            assert_int_equal(f->put.len, LENGTHS[i]);
            assert_true(LENGTHS[i] == 0 || memcmp(f->put.ptr, bytes, LENGTHS[i]) == 0);
            assert_int_equal(f->puts_open, 0);
        }
    }
    assert_int_equal(f->put_finishes, 10);
    assert_int_equal(f->put_aborts, 0);
    free(bytes);
}

static void a_put_that_fails_is_aborted_once(void **state)
{
    struct fake *f = *state;
    uint8_t *bytes = malloc(1000000);
    for (int late = 0; late < 2; late++) {
        f->late = late == 1;
        f->fail = PN_E_FULL; /* of the first write */
        f->put_writes = 0;
        char *reply = put(f, 1000000, bytes);
        assert_non_null(strstr(reply, " 507 "));
        assert_non_null(strstr(reply, "the disk is full"));
        free(reply);
        assert_int_equal(f->put_writes, 1);
        assert_int_equal(f->put_aborts, late + 1);
        assert_int_equal(f->puts_open, 0);
    }
    assert_int_equal(f->put_finishes, 0);
    free(bytes);
}

static void what_is_here_need_not_be_sent(void **state)
{
    struct fake *f = *state;
    /* The client waits for "100 Continue" and hears that there is no need to send. */
    static const char HEAD[] = "PUT " JOB "/files/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n"
                               "Expect: 100-continue\r\n\r\n";
    char *reply = exchange(f, pn_bytes_str(HEAD), NULL);
    assert_null(strstr(reply, "100 Continue"));
    assert_non_null(strstr(reply, "\"have\":true"));
    free(reply);

    /* Who sends it all the same is heard out, and may go on on the same connection. */
    static const char TWICE[] =
        "PUT " JOB "/files/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        "12345"
        "GET /v1/peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    reply = exchange(f, pn_bytes_str(TWICE), NULL);
    assert_non_null(strstr(reply, "\"have\":true"));
    assert_non_null(strstr(reply, "\"slots\":3"));
    free(reply);
    assert_int_equal(f->put_finishes + f->put_aborts + f->put_writes, 0);
}

/* Runs the loop until everything that is due has happened. */
static void settle(struct fake *f)
{
    for (int i = 0; i < 50; i++) {
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

static void a_client_may_leave_in_the_middle(void **state)
{
    struct fake *f = *state;
    static char head[400000] = "PUT " JOB "/files/0 HTTP/1.1\r\nHost: a\r\n"
                               "Content-Length: 1000000\r\n\r\n";
    struct buffer in;
    buffer_init(&in, REPLY_BYTES_MAX);
    f->late = true;
    int fd = client_open(f);
    struct pn_bytes rest = {(const uint8_t *)head, sizeof head};
    while (rest.len > 0) {
        assert_true(client_turn(f, fd, &rest, &in));
    }
    /* Gone while a write is unanswered or between two: aborted, and a late answer is harmless. */
    (void)close(fd);
    settle(f);
    assert_int_equal(f->put_aborts, 1);
    assert_null(f->owed.call);

    fd = client_open(f);
    rest = pn_bytes_str("POST " JOB "/cancel HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)uv_idle_stop(&f->owed.idle);
    while (f->owed.call == NULL) {
        (void)client_turn(f, fd, &rest, &in);
    }
    (void)close(fd);
    settle(f);
    buffer_fini(&in);
}

static void stopping_ends_what_is_going_on(void **state)
{
    struct fake *f = *state;
    struct buffer in;
    buffer_init(&in, REPLY_BYTES_MAX);
    int follower = client_open(f);
    struct pn_bytes rest = pn_bytes_str("GET " JOB "/events HTTP/1.1\r\nHost: a\r\n\r\n");
    while (in.len == 0) {
        assert_true(client_turn(f, follower, &rest, &in));
    }
    int waiting = client_open(f);
    rest = pn_bytes_str("POST " JOB "/cancel HTTP/1.1\r\nHost: a\r\n\r\n");
    f->late = true;
    while (f->owed.call == NULL) {
        (void)send(waiting, rest.ptr, rest.len, MSG_NOSIGNAL);
        rest.len = 0;
        (void)uv_run(&f->loop, UV_RUN_ONCE);
        (void)uv_idle_stop(&f->owed.idle); /* never answered before the stop */
    }
    stop(f);
    answer_now(f); /* nothing happens */
    (void)close(follower);
    (void)close(waiting);
    buffer_fini(&in);
}

/* Undoes the chunked coding in place; returns the length. */
static size_t unchunk(char *body)
{
    size_t len = 0;
    for (char *at = body;;) {
        char *end;
        unsigned long chunk = strtoul(at, &end, 16);
        assert_memory_equal(end, "\r\n", 2);
        if (chunk == 0) {
            return len;
        }
        memmove(body + len, end + 2, chunk);
        len += chunk;
        at = end + 2 + chunk + 2;
    }
}

static void an_output_streams_out(void **state)
{
    struct fake *f = *state;
    for (size_t i = 0; i < OUTPUT_BYTES; i++) {
        output_bytes[i] = (uint8_t)(i * 7 + i / 253);
    }
    for (int late = 0; late < 2; late++) {
        f->late = late == 1;
        char *reply = ask(f, "GET", JOB "/slices/1/outputs/0", "");
        char *body = strstr(reply, "\r\n\r\n") + 4;
        assert_int_equal(unchunk(body), OUTPUT_BYTES);
        assert_memory_equal(body, output_bytes, OUTPUT_BYTES);
        free(reply);
    }
    f->fail = PN_E_NOT_FOUND;
    check(f, "GET", JOB "/slices/1/outputs/0", "", "404", "error");
}

static void a_follower_hears_of_changes_and_of_the_end(void **state)
{
    struct fake *f = *state;
    struct buffer in;
    buffer_init(&in, REPLY_BYTES_MAX);
    int fd = client_open(f);
    struct pn_bytes rest =
        pn_bytes_str("GET " JOB "/events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    uint64_t start = uv_hrtime();
    bool changed = false;
    while (client_turn(f, fd, &rest, &in)) {
        (void)buffer_append(&in, (struct pn_bytes){(const uint8_t *)"", 1});
        in.len--;
        if (!changed && strstr((char *)in.ptr, "\"final\":0,") != NULL) {
            changed = true;
            f->status.slices_final = 5;
            control_job_changed(f->control, &f->status.id);
        } else if (strstr((char *)in.ptr, "\"final\":5,") != NULL) {
            f->status.state = JOB_DONE;
            control_job_changed(f->control, &f->status.id);
        }
        assert_true(uv_hrtime() - start < (uint64_t)DEADLINE_MS * 1000000);
    }
    (void)buffer_append(&in, (struct pn_bytes){(const uint8_t *)"", 1});
    /* Sooner than the events that come without a change. */
    assert_true(uv_hrtime() - start < (uint64_t)900 * 1000000);
    assert_non_null(strstr((char *)in.ptr, "text/event-stream"));
    assert_non_null(strstr((char *)in.ptr, "event: status\ndata: {"));
    assert_non_null(strstr((char *)in.ptr, "\"state\":\"done\""));
    assert_non_null(strstr((char *)in.ptr, "\n\n\r\n0\r\n\r\n"));
    (void)close(fd);
    buffer_fini(&in);
}

static void shutting_down_is_an_order(void **state)
{
    struct fake *f = *state;
    check(f, "POST", "/v1/peer/shutdown", "", "200", "{\"schema\":1}");
    assert_true(f->shut_down);
}

static void the_socket_is_its_users_only(void **state)
{
    struct fake *f = *state;
    struct stat st;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/control.sock", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

/* Another user, who got to the socket all the same: what the kernel says of him counts. */
static struct {
    bool lies;
    bool fails;
    uid_t uid;
} credentials;

/* In the place of the C library's. */
int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int result = (int)syscall(SYS_getsockopt, fd, level, name, value, len);
    if (credentials.lies && level == SOL_SOCKET && name == SO_PEERCRED) {
        ((struct ucred *)value)->uid = credentials.uid;
        return credentials.fails ? -1 : result;
    }
    return result;
}

static void only_its_user_and_root_get_through(void **state)
{
    struct fake *f = *state;
    credentials.lies = true;
    credentials.uid = geteuid() + 1;
    check(f, "GET", "/v1/peer", "", "403",
          "{\"schema\":1,\"error\":\"this peer belongs to another user\",\"status\":\"denied\"}\n");
    check(f, "POST", "/v1/peer/shutdown", "", "403", "another user");
    assert_false(f->shut_down);
    credentials.uid = 0;
    check(f, "GET", "/v1/peer", "", "200", "\"slots\":3");
    credentials.uid = geteuid();
    check(f, "GET", "/v1/peer", "", "200", "\"slots\":3");
    credentials.fails = true;
    check(f, "GET", "/v1/peer", "", "403", "another user");
    credentials.lies = credentials.fails = false;
}

static void too_many_clients_do_no_harm(void **state)
{
    struct fake *f = *state;
    int fds[CONTROL_CONNECTIONS_MAX];
    const size_t count = sizeof fds / sizeof fds[0];
    for (size_t i = 0; i < count; i++) {
        fds[i] = client_open(f);
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    check(f, "GET", "/v1/peer", "", "503",
          "{\"schema\":1,\"error\":\"too many commands ask this peer at a "
          "time\",\"status\":\"busy\"}\n");
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    settle(f);
    check(f, "GET", "/v1/peer", "", "200", "\"slots\":3");
}

/* Followers stay for hours: they leave room for orders, and the one too many hears why. */
static void followers_leave_room_for_orders(void **state)
{
    static const char FOLLOW[] = "GET " JOB "/events HTTP/1.1\r\nHost: preon\r\n\r\n";
    struct fake *f = *state;
    int fds[CONTROL_FOLLOWERS_MAX];
    const size_t count = sizeof fds / sizeof fds[0];
    for (size_t i = 0; i < count; i++) {
        fds[i] = client_open(f);
        assert_int_equal(send(fds[i], FOLLOW, sizeof FOLLOW - 1, MSG_NOSIGNAL), sizeof FOLLOW - 1);
        (void)uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    settle(f);
    check(f, "GET", JOB "/events", "", "503", "448 commands follow jobs here already");
    check(f, "POST", JOB "/cancel", "", "200", "{\"schema\":1}");
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
    settle(f);
}

int main(void)
{
    log_set_level(LOG_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_at_once_or_later),
        TEST(bad_questions_get_their_sentence),
        TEST(a_file_arrives_whole),
        TEST(a_put_that_fails_is_aborted_once),
        TEST(what_is_here_need_not_be_sent),
        TEST(a_client_may_leave_in_the_middle),
        TEST(stopping_ends_what_is_going_on),
        TEST(an_output_streams_out),
        TEST(a_follower_hears_of_changes_and_of_the_end),
        TEST(shutting_down_is_an_order),
        TEST(the_socket_is_its_users_only),
        TEST(only_its_user_and_root_get_through),
        TEST(too_many_clients_do_no_harm),
        TEST(followers_leave_room_for_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
