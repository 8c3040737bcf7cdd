/* Links with strangers at the port, nobody at the other end, and no memory. */
#include "tests/unit/link_bed.h"

#include <openssl/crypto.h>

#include "tests/unit/alloc.h"

/* A plain TCP client that says `text`, or nothing. */
struct stranger {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t writing;
    const char *text;
    int closed_count;
};

static void on_stranger_closed(uv_handle_t *h)
{
    struct stranger *s = h->data;
    s->closed_count++;
}

static void on_stranger_allocate(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    static char bytes[4096];
    (void)h;
    (void)suggested;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_stranger_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    (void)buf;
    if (len < 0 && !uv_is_closing((uv_handle_t *)stream)) {
        uv_close((uv_handle_t *)stream, on_stranger_closed);
    }
}

static void on_stranger_connected(uv_connect_t *request, int status)
{
    struct stranger *s = request->data;
    assert_int_equal(status, 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&s->tcp, on_stranger_allocate, on_stranger_read),
                     0);
    if (s->text != NULL) {
        char *text = (char *)(uintptr_t)s->text; /* libuv only reads it */
        uv_buf_t buf = uv_buf_init(text, (unsigned)strlen(text));
        assert_int_equal(uv_write(&s->writing, (uv_stream_t *)&s->tcp, &buf, 1, NULL), 0);
    }
}

static void visit(struct bed *b, struct stranger *s, const char *text)
{
    struct sockaddr_in name;
    *s = (struct stranger){.text = text};
    s->tcp.data = s;
    s->connecting.data = s;
    assert_int_equal(uv_ip4_addr("127.0.0.1", b->addr.port, &name), 0);
    assert_int_equal(uv_tcp_init(&b->loop, &s->tcp), 0);
    assert_int_equal(uv_tcp_connect(&s->connecting, &s->tcp, (const struct sockaddr *)&name,
                                    on_stranger_connected),
                     0);
}

static void plain_http_is_refused(void **state)
{
    (void)state;
    struct bed b;
    struct stranger s;
    open_bed(&b);
    visit(&b, &s, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    run_until(&b, listener_closed);
    assert_int_equal(b.ends[LISTENER].why, PN_E_MALFORMED);
    assert_string_equal(b.ends[LISTENER].reason, "TLS: http request");
    close_bed(&b);
    assert_int_equal(s.closed_count, 1);
}

static void a_silent_client_is_closed_at_its_deadline(void **state)
{
    (void)state;
    struct bed b;
    struct stranger s;
    open_bed(&b);
    link_context_set_times(b.contexts[LISTENER], &SHORT);
    uint64_t start_ms = clock_now_ms();
    visit(&b, &s, NULL);
    run_until(&b, listener_closed);
    assert_int_equal(b.ends[LISTENER].why, PN_E_TIMEOUT);
    assert_string_equal(b.ends[LISTENER].reason, "the handshake was not done within 300 ms");
    assert_true(clock_now_ms() - start_ms >= SHORT.connect_ms);
    close_bed(&b);
    assert_int_equal(s.closed_count, 1);
}

static void a_silent_server_is_left_at_the_deadline(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    uv_tcp_t quiet; /* a socket that listens and never accepts */
    struct sockaddr_in name;
    int len = sizeof name;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &name), 0);
    assert_int_equal(uv_tcp_init(&b.loop, &quiet), 0);
    assert_int_equal(uv_tcp_bind(&quiet, (const struct sockaddr *)&name, 0), 0);
    uv_os_fd_t fd;
    assert_int_equal(uv_fileno((uv_handle_t *)&quiet, &fd), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(uv_tcp_getsockname(&quiet, (struct sockaddr *)&name, &len), 0);
    b.addr.port = ntohs(name.sin_port);
    link_context_set_times(b.contexts[DIALLER], &SHORT);
    dial(&b);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_TIMEOUT);
    uv_close((uv_handle_t *)&quiet, NULL);
    close_bed(&b);
}

static void a_closed_port_refuses(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    uv_close((uv_handle_t *)&b.listener, NULL);
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    dial(&b);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_CLOSED);
    assert_string_equal(b.ends[DIALLER].reason, "connect: connection refused");
    close_bed(&b);
}

/* OpenSSL's allocations and libuv's are counted with ours. */
static void *ssl_malloc(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return len == 0 ? NULL : malloc(len);
}

static void *ssl_realloc(void *old, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    if (len == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, len);
}

static void ssl_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

static bool up_or_closed(const struct bed *b)
{
    return both_up(b) || (b->ends[DIALLER].closed_count == 1 &&
                          (b->ends[LISTENER].closed_count == 1 || b->accept_count == 0));
}

/* OpenSSL looks its algorithms up at first use, for the whole process; if memory is short in that
 * moment it can remember an algorithm as "unsupported" for good. So one pair comes up before. */
static void let_openssl_look_everything_up(void)
{
    struct bed b;
    open_bed(&b);
    dial(&b);
    run_until(&b, both_up);
    close_bed(&b);
}

/* Each allocation in the life of a pair fails once: both ends close or come up, and live on. */
static void memory_may_be_short_anywhere(void **state)
{
    (void)state;
    let_openssl_look_everything_up();
    int failures = 0;
    bool whole = false;
    for (unsigned long n = 1; !whole; n += n < 30 ? 1 : 17) {
        struct bed b;
        struct pn_err err;
        struct end *e = &b.ends[DIALLER];
        open_bed(&b);
        b.memory_is_short = true;
        link_context_set_times(b.contexts[DIALLER], &SHORT);
        link_context_set_times(b.contexts[LISTENER], &SHORT);
        alloc_fail_at(n);
        if (link_dial(b.contexts[DIALLER], &b.loop, &b.addr, NULL, 11, &CALLBACKS, e, &e->link,
                      &err) == PN_OK) {
            run_until(&b, up_or_closed);
        }
        /* A link that had all its memory may still be late on a busy machine: then once more. */
        whole = alloc_left > 0 && both_up(&b);
        alloc_fail_never();
        failures += !both_up(&b);
        assert_true(n < 5000);
        close_bed(&b);
    }
    assert_true(failures > 30);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1 ||
        uv_replace_allocator(malloc, realloc, calloc, free) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_http_is_refused),
        cmocka_unit_test(a_silent_client_is_closed_at_its_deadline),
        cmocka_unit_test(a_silent_server_is_left_at_the_deadline),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(memory_may_be_short_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
