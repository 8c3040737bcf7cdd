/* The client on real sockets, against a tracker that is up to no good. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "peer/rendezvous/tracker_client_uv.h"

#define JOB_TEXT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { PATIENCE_MS = 20 * 1000, FLOOD_BYTES_MAX = 256 * 1024 * 1024 };

static uint64_t hires;

static bool on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    (void)arg;
    (void)master;
    (void)job;
    hires++;
    return false;
}

static void on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count)
{
    (void)arg;
    (void)job;
    (void)peers;
    (void)count;
}

static int listen_here(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int bytes = 4096; /* what it does not read piles up here soon */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* Each HIRE is answered. A tracker that hires and never reads must not fill our memory. */
static void who_does_not_read_is_left(void **state)
{
    static char flood[64 * 1024];
    static const char line[] = "HIRE 4294967295 192.0.2.1 4000 " JOB_TEXT "\n";
    static const char hello[] = "HELLO preon/1 198.51.100.7 1800 45\n";
    const struct trackers_callbacks callbacks = {.on_hire = on_hire, .on_peers = on_peers};
    struct peer_tracker said = {.name = "the bad one", .host = "127.0.0.1"};
    struct trackers *all = NULL;
    struct tracker_why why = {.cause = ""};
    uv_loop_t loop;
    (void)state;
    hires = 0;
    int listener = listen_here(&said.port);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(trackers_open(&loop, &said, 1, 0, &callbacks, NULL, &all, NULL), PN_OK);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, hello, sizeof hello - 1, 0), sizeof hello - 1);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);

    const size_t whole = sizeof flood / (sizeof line - 1) * (sizeof line - 1);
    for (size_t i = 0; i < whole; i++) {
        flood[i] = line[i % (sizeof line - 1)];
    }
    const uint64_t until_ms = clock_now_ms() + PATIENCE_MS;
    size_t at = 0;
    size_t sent = 0;
    while (strstr(why.cause, "does not read") == NULL) {
        assert_true(clock_now_ms() < until_ms);
        assert_true(sent < FLOOD_BYTES_MAX);
        ssize_t n = send(fd, flood + at, whole - at, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        at = (at + (n > 0 ? (size_t)n : 0)) % whole;
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        trackers_why(all, 0, NULL, &why);
    }
    assert_true(hires > 1000);
    trackers_close(all);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(listener), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_read_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
