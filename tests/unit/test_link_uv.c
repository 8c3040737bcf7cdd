/* Real links on loopback, both ends on one loop: identity, deadlines, order, amount, endings. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include <openssl/crypto.h>

#include "common/clock_sys.h"
#include "common/link_uv.h"
#include "tests/unit/alloc.h"

enum { SIDES = 2, DIALLER = 0, LISTENER = 1 };

static const struct link_times SHORT = {300, {300, 300, 100000, 100000}};

/* One end and what it has seen. */
struct end {
    struct bed *bed;
    struct link *link; /* NULL before it is made and after on_closed */
    int up_count;
    int frame_count;
    int drain_count;
    int closed_count;
    uint64_t bytes;
    uint32_t sum;          /* over the bytes of FRAME_BLOCK */
    uint32_t assign_after; /* frames that came before the first FRAME_ASSIGN */
    struct digest peer;
    struct hello hello;
    enum pn_status why;
    char reason[PN_ERR_TEXT_BYTES];
    /* What to do in callbacks. */
    bool close_on_up;
    bool close_on_frame;
    bool refuse_frames;
    bool close_on_drain;
    uint64_t to_send; /* bytes of blocks, kept flowing by on_drain */
    uint32_t sent_sum;
};

struct bed {
    uv_loop_t loop;
    uv_tcp_t listener;
    struct addr addr;
    struct key_pair *keys[SIDES];
    struct link_context *contexts[SIDES];
    struct end ends[SIDES];
    int accept_count;
    bool memory_is_short;
};

static void pour(struct end *e);

static void on_up(struct link *l, void *arg, const struct digest *peer, const struct hello *hello)
{
    struct end *e = arg;
    e->up_count++;
    e->peer = *peer;
    e->hello = *hello;
    assert_true(digest_equal(link_peer(l), peer));
    if (e->close_on_up) {
        link_close(l);
        link_close(l);
        assert_int_equal(link_send(l, SESSION_CONTROL, &(struct frame){.type = FRAME_BYE}),
                         PN_E_CLOSED);
    }
}

static enum pn_status on_frame(struct link *l, void *arg, const struct frame *f, struct pn_err *err)
{
    struct end *e = arg;
    if (f->type == FRAME_ASSIGN && e->assign_after == 0) {
        e->assign_after = (uint32_t)e->frame_count;
    }
    e->frame_count++;
    e->bytes += f->body.len;
    for (size_t i = 0; i < f->body.len; i += 61) {
        e->sum = e->sum * 31 + f->body.ptr[i];
    }
    if (e->close_on_frame) {
        link_close(l);
    }
    return e->refuse_frames ? pn_fail(err, PN_E_RANGE, "refused by the test") : PN_OK;
}

static void on_drain(struct link *l, void *arg)
{
    struct end *e = arg;
    e->drain_count++;
    if (e->close_on_drain) {
        link_close(l);
        return;
    }
    pour(e);
}

static void on_closed(struct link *l, void *arg, enum pn_status why, const char *reason)
{
    struct end *e = arg;
    assert_ptr_equal(l, e->link);
    e->link = NULL;
    e->closed_count++;
    e->why = why;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static const struct link_callbacks CALLBACKS = {on_up, on_frame, on_drain, on_closed};

static void on_connection(uv_stream_t *listener, int status)
{
    struct bed *b = listener->data;
    struct end *e = &b->ends[LISTENER];
    struct pn_err err;
    assert_int_equal(status, 0);
    b->accept_count++;
    enum pn_status made =
        link_accept(b->contexts[LISTENER], listener, 22, &CALLBACKS, e, &e->link, &err);
    if (made == PN_E_NO_MEMORY && b->memory_is_short) {
        e->closed_count++; /* as good as */
        return;
    }
    assert_int_equal(made, PN_OK);
    assert_false(link_outbound(e->link));
    assert_int_equal(addr_class(link_remote(e->link)), ADDR_LOOPBACK);
}

static struct key_pair *key_of(uint8_t number)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {number};
    struct key_pair *k = key_pair_new(seed);
    assert_non_null(k);
    return k;
}

static void open_bed(struct bed *b)
{
    struct pn_err err;
    memset(b, 0, sizeof *b);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    for (int i = 0; i < SIDES; i++) {
        b->keys[i] = key_of((uint8_t)(i + 1));
        assert_int_equal(link_context_new(b->keys[i], &b->contexts[i], &err), PN_OK);
        const struct hello hello = {
            .version = 1, .slots = (uint16_t)(100 + i), .machine_class = "test"};
        link_context_set_hello(b->contexts[i], &hello);
        b->ends[i].bed = b;
    }
    struct sockaddr_in name;
    int len = sizeof name;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &name), 0);
    assert_int_equal(uv_tcp_init(&b->loop, &b->listener), 0);
    assert_int_equal(uv_tcp_bind(&b->listener, (const struct sockaddr *)&name, 0), 0);
    b->listener.data = b;
    assert_int_equal(uv_listen((uv_stream_t *)&b->listener, 128, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&b->listener, (struct sockaddr *)&name, &len), 0);
    b->addr = addr_v4(127, 0, 0, 1, ntohs(name.sin_port));
}

/* Everything ends by itself, or the loop would not. */
static void close_bed(struct bed *b)
{
    for (int i = 0; i < SIDES; i++) {
        if (b->ends[i].link != NULL) {
            link_close(b->ends[i].link);
        }
    }
    if (!uv_is_closing((uv_handle_t *)&b->listener)) {
        uv_close((uv_handle_t *)&b->listener, NULL);
    }
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    for (int i = 0; i < SIDES; i++) {
        link_context_free(b->contexts[i]);
        key_pair_free(b->keys[i]);
    }
}

static void dial_as(struct bed *b, struct link_context *c, const struct digest *expected)
{
    struct end *e = &b->ends[DIALLER];
    struct pn_err err;
    assert_int_equal(link_dial(c, &b->loop, &b->addr, expected, 11, &CALLBACKS, e, &e->link, &err),
                     PN_OK);
    assert_true(link_outbound(e->link));
}

static void dial(struct bed *b) { dial_as(b, b->contexts[DIALLER], NULL); }

static void on_expired(uv_timer_t *timer) { *(bool *)timer->data = true; }

typedef bool condition(const struct bed *b);

/* Runs the loop until the condition holds; a test that waits 20 s in vain has failed. */
static void run_until(struct bed *b, condition *holds)
{
    uv_timer_t timer;
    bool expired = false;
    assert_int_equal(uv_timer_init(&b->loop, &timer), 0);
    timer.data = &expired;
    (void)uv_timer_start(&timer, on_expired, 20000, 0);
    while (!holds(b) && !expired) {
        (void)uv_run(&b->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_false(expired);
}

static bool both_up(const struct bed *b)
{
    return b->ends[DIALLER].up_count == 1 && b->ends[LISTENER].up_count == 1;
}

static bool both_closed(const struct bed *b)
{
    return b->ends[DIALLER].closed_count == 1 && b->ends[LISTENER].closed_count == 1;
}

static bool dialler_closed(const struct bed *b) { return b->ends[DIALLER].closed_count == 1; }
static bool listener_closed(const struct bed *b) { return b->ends[LISTENER].closed_count == 1; }

static void open_pair(struct bed *b)
{
    open_bed(b);
    dial(b);
    run_until(b, both_up);
}

static void send_frame(struct end *e, enum session_lane lane, uint8_t type, size_t body_bytes)
{
    static const uint8_t BODY[FRAME_BODY_MAX];
    const struct frame f = {.type = type, .body = {BODY, body_bytes}};
    assert_int_equal(link_send(e->link, lane, &f), PN_OK);
}

/* --- who is there --- */

static void each_proves_its_identity(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    for (int i = 0; i < SIDES; i++) {
        assert_true(digest_equal(&b.ends[i].peer, link_context_peer_id(b.contexts[SIDES - 1 - i])));
        assert_int_equal(b.ends[i].hello.slots, 100 + SIDES - 1 - i);
    }
    assert_true(b.ends[LISTENER].hello.token == 11 && b.ends[DIALLER].hello.token == 22);
    assert_true(addr_equal(link_remote(b.ends[DIALLER].link), &b.addr));
    close_bed(&b);
}

static void the_pinned_peer_is_accepted(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[DIALLER], link_context_peer_id(b.contexts[LISTENER]));
    run_until(&b, both_up);
    close_bed(&b);
}

static void another_than_the_pinned_peer_is_refused(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[DIALLER], link_context_peer_id(b.contexts[DIALLER]));
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_MISMATCH);
    assert_non_null(strstr(b.ends[DIALLER].reason, "the other side is peer "));
    assert_int_equal(b.ends[LISTENER].why, PN_E_DENIED); /* by the alert */
    assert_int_equal(b.ends[DIALLER].up_count + b.ends[LISTENER].up_count, 0);
    close_bed(&b);
}

static void we_do_not_talk_to_ourselves(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[LISTENER], NULL);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_DENIED);
    assert_non_null(strstr(b.ends[DIALLER].reason, "ourselves"));
    assert_int_equal(b.ends[DIALLER].up_count + b.ends[LISTENER].up_count, 0);
    close_bed(&b);
}

/* --- strangers at the port --- */

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

/* --- what passes --- */

static bool assign_arrived(const struct bed *b) { return b->ends[LISTENER].assign_after > 0; }

static void control_overtakes_queued_data(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    struct end *e = &b.ends[DIALLER];
    uint32_t queued = 0;
    while (link_data_room(e->link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        send_frame(e, SESSION_DATA, FRAME_BLOCK, FRAME_BODY_MAX);
        queued++;
    }
    assert_true(queued * FRAME_BODY_MAX > SESSION_DATA_QUEUE_MAX / 10 * 9);
    send_frame(e, SESSION_CONTROL, FRAME_ASSIGN, 10);
    run_until(&b, assign_arrived);
    /* Before it went what libuv had (64 KiB), and the rest of the block that had been begun. */
    assert_true(b.ends[LISTENER].assign_after <= 2);
    close_bed(&b);
}

enum { POUR_BYTES = 200 * 1024 * 1024 };

/* As much as there is room for; on_drain goes on. */
static void pour(struct end *e)
{
    static uint8_t body[FRAME_BODY_MAX];
    while (e->to_send > 0) {
        size_t len = 60000 + (e->to_send % 6000);
        len = e->to_send < len ? (size_t)e->to_send : len;
        if (link_data_room(e->link) < FRAME_HEADER_BYTES + len) {
            break;
        }
        for (size_t i = 0; i < len; i += 61) {
            body[i] = (uint8_t)(e->to_send * 7 + i);
            e->sent_sum = e->sent_sum * 31 + body[i];
        }
        const struct frame f = {.type = FRAME_BLOCK, .body = {body, len}};
        assert_int_equal(link_send(e->link, SESSION_DATA, &f), PN_OK);
        e->to_send -= len;
    }
}

static bool all_poured(const struct bed *b) { return b->ends[LISTENER].bytes == POUR_BYTES; }

static void much_passes_in_little_memory(void **state)
{
    (void)state;
    struct bed b;
    struct rusage before;
    struct rusage after;
    open_pair(&b);
    (void)getrusage(RUSAGE_SELF, &before);
    b.ends[DIALLER].to_send = POUR_BYTES;
    pour(&b.ends[DIALLER]);
    run_until(&b, all_poured);
    (void)getrusage(RUSAGE_SELF, &after);
    assert_int_equal(b.ends[LISTENER].sum, b.ends[DIALLER].sent_sum);
    assert_true(b.ends[DIALLER].drain_count >= POUR_BYTES / SESSION_DATA_QUEUE_MAX);
    /* KiB: the queue, twice; ASan's quarantine (256 MiB) is the rest where it runs. */
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(after.ru_maxrss - before.ru_maxrss < 2 * SESSION_DATA_QUEUE_MAX / 1024);
#endif
    close_bed(&b);
}

static bool some_arrived(const struct bed *b) { return b->ends[LISTENER].bytes > 0; }

static void a_paused_link_takes_nothing(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    link_pause(b.ends[LISTENER].link, true);
    send_frame(&b.ends[DIALLER], SESSION_DATA, FRAME_BLOCK, 1000);
    uint64_t end_ms = clock_now_ms() + 50;
    while (clock_now_ms() < end_ms) {
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(b.ends[LISTENER].frame_count, 0);
    link_pause(b.ends[LISTENER].link, false);
    run_until(&b, some_arrived);
    close_bed(&b);
}

static void a_full_data_lane_says_so(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    static const uint8_t BODY[FRAME_BODY_MAX];
    const struct frame f = {.type = FRAME_BLOCK, .body = {BODY, sizeof BODY}};
    while (link_data_room(b.ends[DIALLER].link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        assert_int_equal(link_send(b.ends[DIALLER].link, SESSION_DATA, &f), PN_OK);
    }
    assert_int_equal(link_send(b.ends[DIALLER].link, SESSION_DATA, &f), PN_E_FULL);
    assert_int_equal(b.ends[DIALLER].closed_count, 0);
    close_bed(&b);
}

/* --- endings --- */

static void closing_in_on_up(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        struct bed b;
        open_bed(&b);
        b.ends[i].close_on_up = true;
        dial(&b);
        run_until(&b, both_closed);
        assert_int_equal(b.ends[i].why, PN_OK);
        assert_int_equal(b.ends[SIDES - 1 - i].why, PN_E_CLOSED);
        close_bed(&b);
    }
}

static void closing_in_on_frame(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[LISTENER].close_on_frame = true;
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 1);
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 2);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[LISTENER].frame_count, 1);
    assert_int_equal(b.ends[LISTENER].why, PN_OK);
    assert_int_equal(b.ends[DIALLER].why, PN_E_CLOSED);
    close_bed(&b);
}

static void closing_in_on_drain(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[DIALLER].close_on_drain = true;
    b.ends[DIALLER].to_send = POUR_BYTES;
    pour(&b.ends[DIALLER]);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].drain_count, 1);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    close_bed(&b);
}

static void closing_right_after_dialling(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial(&b);
    link_close(b.ends[DIALLER].link);
    link_close(b.ends[DIALLER].link);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].up_count, 0);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    close_bed(&b);
}

static void a_refused_frame_closes_with_its_reason(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[LISTENER].refuse_frames = true;
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 1);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[LISTENER].why, PN_E_RANGE);
    assert_string_equal(b.ends[LISTENER].reason, "refused by the test");
    close_bed(&b);
}

static void finishing_delivers_what_is_queued(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    for (int i = 0; i < 100; i++) {
        send_frame(&b.ends[DIALLER], SESSION_DATA, FRAME_BLOCK, 50000);
    }
    send_frame(&b.ends[LISTENER], SESSION_DATA, FRAME_BLOCK, 50000); /* nobody listens to it */
    link_finish(b.ends[DIALLER].link);
    link_finish(b.ends[DIALLER].link);
    assert_int_equal(
        link_send(b.ends[DIALLER].link, SESSION_CONTROL, &(struct frame){.type = FRAME_BYE}),
        PN_E_CLOSED);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[LISTENER].frame_count, 100);
    assert_int_equal(b.ends[LISTENER].why, PN_E_CLOSED);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    assert_int_equal(b.ends[DIALLER].frame_count, 0);
    close_bed(&b);
}

static void a_finishing_link_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    link_context_set_times(b.contexts[DIALLER],
                           &(struct link_times){500, {5000, 5000, 100000, 100000}});
    dial(&b);
    run_until(&b, both_up);
    link_pause(b.ends[LISTENER].link, true); /* it takes nothing, and sees no end either */
    b.ends[DIALLER].to_send = 6 * 1024 * 1024;
    pour(&b.ends[DIALLER]);
    link_finish(b.ends[DIALLER].link);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    close_bed(&b);
}

/* The other side has gone; what we write raises SIGPIPE where nobody has seen to it. */
static void writing_to_the_gone_closes(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    link_pause(b.ends[DIALLER].link, true);
    link_close(b.ends[LISTENER].link);
    run_until(&b, listener_closed);
    while (b.ends[DIALLER].link != NULL &&
           link_data_room(b.ends[DIALLER].link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        send_frame(&b.ends[DIALLER], SESSION_DATA, FRAME_BLOCK, FRAME_BODY_MAX);
    }
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_CLOSED);
    close_bed(&b);
}

static void many_links_come_and_go(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    for (int i = 0; i < 500; i++) {
        for (int side = 0; side < SIDES; side++) {
            b.ends[side] = (struct end){.bed = &b};
        }
        dial(&b);
        run_until(&b, both_up);
        link_close(b.ends[i % SIDES].link);
        run_until(&b, both_closed);
    }
    assert_int_equal(b.accept_count, 500);
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

/* Each allocation in the life of a pair fails once: both ends close or come up, and live on. */
static void memory_may_be_short_anywhere(void **state)
{
    (void)state;
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
        whole = alloc_left > 0;
        alloc_fail_never();
        failures += !both_up(&b);
        assert_true(!whole || both_up(&b));
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
        cmocka_unit_test(each_proves_its_identity),
        cmocka_unit_test(the_pinned_peer_is_accepted),
        cmocka_unit_test(another_than_the_pinned_peer_is_refused),
        cmocka_unit_test(we_do_not_talk_to_ourselves),
        cmocka_unit_test(plain_http_is_refused),
        cmocka_unit_test(a_silent_client_is_closed_at_its_deadline),
        cmocka_unit_test(a_silent_server_is_left_at_the_deadline),
        cmocka_unit_test(a_closed_port_refuses),
        cmocka_unit_test(control_overtakes_queued_data),
        cmocka_unit_test(much_passes_in_little_memory),
        cmocka_unit_test(a_paused_link_takes_nothing),
        cmocka_unit_test(a_full_data_lane_says_so),
        cmocka_unit_test(closing_in_on_up),
        cmocka_unit_test(closing_in_on_frame),
        cmocka_unit_test(closing_in_on_drain),
        cmocka_unit_test(closing_right_after_dialling),
        cmocka_unit_test(a_refused_frame_closes_with_its_reason),
        cmocka_unit_test(finishing_delivers_what_is_queued),
        cmocka_unit_test(a_finishing_link_does_not_wait_for_ever),
        cmocka_unit_test(writing_to_the_gone_closes),
        cmocka_unit_test(many_links_come_and_go),
        cmocka_unit_test(memory_may_be_short_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
