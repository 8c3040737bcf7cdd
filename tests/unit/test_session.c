/* Sessions in virtual time: what is handed on, what is answered, and when a link ends. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/session.h"
#include "tests/unit/alloc.h"

static const struct hello OURS = {.version = 1, .slots = 3, .machine_class = "test"};

/* One session and a trace of everything that it does. */
struct bed {
    struct session *s;
    char trace[2048];
    enum pn_status refuse; /* what on_frame returns */
    struct pn_err err;
};

__attribute__((format(printf, 2, 3))) static void note(struct bed *b, const char *format, ...)
{
    size_t len = strlen(b->trace);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(b->trace + len, sizeof b->trace - len, format, args);
    va_end(args);
}

static enum pn_status on_hello(void *arg, const struct hello *hello, struct pn_err *err)
{
    (void)err;
    note(arg, "hello %u\n", hello->slots);
    return PN_OK;
}

static enum pn_status on_frame(void *arg, const struct frame *f, struct pn_err *err)
{
    struct bed *b = arg;
    note(b, "frame %u:%u %zu\n", f->type, f->request, f->body.len);
    return b->refuse == PN_OK ? PN_OK : pn_fail(err, b->refuse, "refused by the test");
}

static void open_bed(struct bed *b)
{
    *b = (struct bed){0};
    const struct session_events events = {on_hello, on_frame, b};
    b->s = session_new(&OURS, &events);
    assert_non_null(b->s);
}

static void feed(struct bed *b, uint64_t now_ms, struct pn_bytes bytes)
{
    uint8_t *copy = unit_exact(bytes.ptr, bytes.len);
    enum pn_status status =
        session_input(b->s, now_ms, (struct pn_bytes){copy, bytes.len}, &b->err);
    if (status != PN_OK) {
        assert_int_equal(b->err.status, status);
        note(b, "%s: %s\n", pn_status_text(status), b->err.text);
    }
    free(copy);
}

static struct pn_bytes encode(struct buffer *out, uint8_t type, uint8_t flags, uint32_t request,
                              struct pn_bytes body)
{
    const struct frame f = {.type = type, .flags = flags, .request = request, .body = body};
    assert_int_equal(frame_write(&f, out), PN_OK);
    return buffer_bytes(out);
}

static void feed_frame(struct bed *b, uint64_t now_ms, uint8_t type, uint8_t flags,
                       uint32_t request, size_t body_bytes)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    uint8_t *body = calloc(1, body_bytes + 1);
    feed(b, now_ms, encode(&out, type, flags, request, (struct pn_bytes){body, body_bytes}));
    free(body);
    buffer_fini(&out);
}

static struct pn_bytes their_hello(struct buffer *out)
{
    struct hello theirs = OURS;
    theirs.slots = 9;
    uint8_t body[HELLO_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    hello_write(&theirs, &w);
    return encode(out, FRAME_HELLO, FRAME_CRITICAL, 0, writer_done(&w));
}

static void feed_hello(struct bed *b, uint64_t now_ms)
{
    struct buffer out;
    buffer_init(&out, 4096);
    feed(b, now_ms, their_hello(&out));
    buffer_fini(&out);
}

/* Notes the frames that the session has to send, taking `step` bytes at a time. */
static void drain(struct bed *b, uint64_t now_ms, size_t step)
{
    struct buffer all;
    buffer_init(&all, 64 << 20);
    for (;;) {
        struct pn_bytes out = session_output(b->s, step);
        if (out.len == 0) {
            break;
        }
        assert_true(out.len <= step);
        assert_int_equal(buffer_append(&all, out), PN_OK);
        session_sent(b->s, now_ms, out.len);
    }
    struct pn_bytes left = buffer_bytes(&all);
    while (left.len > 0) {
        struct frame f;
        size_t used;
        size_t need;
        assert_int_equal(frame_parse(left, FRAME_BODY_MAX, &f, &used, &need, NULL), PN_OK);
        assert_true(used > 0);
        note(b, "send %u:%u%s %zu\n", f.type, f.request,
             (f.flags & FRAME_ANSWER) != 0 ? " answer" : "", f.body.len);
        left = (struct pn_bytes){left.ptr + used, left.len - used};
    }
    buffer_fini(&all);
}

static void tick(struct bed *b, uint64_t now_ms)
{
    enum pn_status status = session_tick(b->s, now_ms, &b->err);
    if (status != PN_OK) {
        note(b, "%s: %s\n", pn_status_text(status), b->err.text);
    }
}

/* Compares the trace and starts a new one. */
static void expect(struct bed *b, const char *trace)
{
    assert_string_equal(b->trace, trace);
    b->trace[0] = '\0';
}

static void close_bed(struct bed *b) { session_free(b->s); }

/* A session in the middle of its life, at 0 ms, everything sent. */
static void open_ready_bed(struct bed *b)
{
    open_bed(b);
    session_start(b->s, 0);
    feed_hello(b, 0);
    drain(b, 0, 4096);
    expect(b, "hello 9\nsend 1:0 35\n");
}

static void hello_comes_first_both_ways(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    const struct frame vote = {.type = FRAME_VOTE, .request = 5};
    assert_int_equal(session_send(b.s, SESSION_CONTROL, &vote), PN_OK);
    assert_int_equal(session_output(b.s, 100).len, 0); /* not started */
    session_start(b.s, 1000);
    drain(&b, 1000, 7);
    feed_hello(&b, 1001);
    feed_frame(&b, 1002, FRAME_VOTE, 0, 6, 2);
    feed_hello(&b, 1003);
    expect(&b, "send 1:0 35\nsend 21:5 0\nhello 9\nframe 21:6 2\nmalformed: a second HELLO\n");
    close_bed(&b);
}

static void nothing_else_may_come_before_hello(void **state)
{
    (void)state;
    static const uint8_t TYPES[] = {FRAME_PING, FRAME_VOTE, 200};
    for (size_t i = 0; i < sizeof TYPES; i++) {
        struct bed b;
        open_bed(&b);
        session_start(b.s, 0);
        feed_frame(&b, 0, TYPES[i], 0, 1, 0);
        char want[64];
        (void)snprintf(want, sizeof want, "malformed: frame type %u before HELLO\n", TYPES[i]);
        expect(&b, want);
        close_bed(&b);
    }
}

static void a_large_hello_is_refused_by_its_header(void **state)
{
    (void)state;
    static const uint8_t HEADER[FRAME_HEADER_BYTES] = {1, 8, 0, 0, FRAME_HELLO, FRAME_CRITICAL};
    struct bed b;
    open_bed(&b);
    session_start(b.s, 0);
    feed(&b, 0, (struct pn_bytes){HEADER, sizeof HEADER});
    expect(&b, "too big: frame type 1: body of 2049 bytes, at most 2048\n");
    close_bed(&b);
}

static void a_missing_hello_ends_the_session(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    assert_true(session_deadline_ms(b.s) == UINT64_MAX);
    session_start(b.s, 500);
    assert_int_equal(session_deadline_ms(b.s), 500 + SESSION_HELLO_MS);
    static const uint8_t FIRST_BYTE = 35;
    feed(&b, 9000, (struct pn_bytes){&FIRST_BYTE, 1}); /* renews nothing */
    assert_int_equal(session_deadline_ms(b.s), 500 + SESSION_HELLO_MS);
    tick(&b, 500 + SESSION_HELLO_MS - 1);
    tick(&b, 500 + SESSION_HELLO_MS);
    expect(&b, "timed out: no HELLO within 10000 ms\n");
    close_bed(&b);
}

static void a_slow_frame_ends_the_session(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    struct buffer out;
    buffer_init(&out, 4096);
    struct pn_bytes frame = encode(&out, FRAME_VOTE, 0, 1, pn_bytes_str("0123456789"));
    for (size_t i = 0; i < 20; i++) {
        feed(&b, 1000 + 3000 * i, (struct pn_bytes){frame.ptr + i, 1}); /* a byte renews nothing */
    }
    tick(&b, 1000 + SESSION_FRAME_MS - 1);
    drain(&b, 60000, 4096);
    expect(&b, "send 2:1 0\n");
    tick(&b, 1000 + SESSION_FRAME_MS);
    expect(&b, "timed out: a frame not whole within 60000 ms\n");
    buffer_fini(&out);
    close_bed(&b);
}

/* A frame that arrives whole in time sets no trap for the next one. */
static void the_next_frame_has_its_own_time(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    struct buffer out;
    buffer_init(&out, 4096);
    struct pn_bytes frame = encode(&out, FRAME_VOTE, 0, 1, pn_bytes_str("0123456789"));
    feed(&b, 1000, (struct pn_bytes){frame.ptr, 15});
    feed(&b, 30000, (struct pn_bytes){frame.ptr + 15, frame.len - 15});
    feed(&b, 31000, (struct pn_bytes){frame.ptr, 3});
    tick(&b, 1000 + SESSION_FRAME_MS);
    tick(&b, 31000 + SESSION_FRAME_MS);
    drain(&b, 31000 + SESSION_FRAME_MS, 4096);
    expect(&b, "frame 21:1 10\ntimed out: a frame not whole within 60000 ms\nsend 2:1 0\n");
    buffer_fini(&out);
    close_bed(&b);
}

static void silence_is_pinged_then_ends(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(session_deadline_ms(b.s), i * SESSION_KEEPALIVE_MS);
        tick(&b, i * SESSION_KEEPALIVE_MS - 1);
        tick(&b, i * SESSION_KEEPALIVE_MS);
        drain(&b, i * SESSION_KEEPALIVE_MS, 4096);
    }
    assert_int_equal(session_deadline_ms(b.s), SESSION_DEAD_MS);
    tick(&b, SESSION_DEAD_MS);
    expect(&b, "send 2:1 0\nsend 2:2 0\nsend 2:3 0\ntimed out: nothing heard for 150000 ms\n");
    close_bed(&b);
}

static void an_answered_ping_keeps_the_session(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    uint64_t now_ms = 0;
    for (unsigned i = 1; i <= 100; i++) {
        now_ms = session_deadline_ms(b.s);
        tick(&b, now_ms);
        drain(&b, now_ms, 4096);
        feed_frame(&b, now_ms + 20, FRAME_PING, FRAME_ANSWER, i, 0);
        char want[32];
        (void)snprintf(want, sizeof want, "send 2:%u 0\n", i);
        expect(&b, want);
    }
    assert_true(now_ms >= 99u * SESSION_KEEPALIVE_MS);
    close_bed(&b);
}

static void a_ping_is_answered_with_its_number(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    feed_frame(&b, 10, FRAME_PING, 0, 77, 0);
    drain(&b, 10, 4096);
    expect(&b, "send 2:77 answer 0\n");
    close_bed(&b);
}

/* Hearing them is not enough: what we say keeps the way open for us. */
static void our_own_silence_is_broken_too(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    for (uint64_t now_ms = 0; now_ms <= SESSION_KEEPALIVE_MS; now_ms += 1000) {
        feed_frame(&b, now_ms, 200, 0, 0, 1);
    }
    tick(&b, SESSION_KEEPALIVE_MS);
    drain(&b, SESSION_KEEPALIVE_MS, 4096);
    expect(&b, "send 2:1 0\n");
    close_bed(&b);
}

/* A flood of PINGs whose answers nobody takes costs no memory, and ends nothing by itself. */
static void pings_whose_answers_are_not_taken_get_none(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    for (uint32_t i = 0; i < 100000; i++) {
        feed_frame(&b, 10, FRAME_PING, 0, i, 0);
    }
    expect(&b, "");
    size_t queued = session_queued(b.s, SESSION_CONTROL);
    assert_true(queued >= SESSION_PING_QUEUE_MAX);
    assert_true(queued < SESSION_PING_QUEUE_MAX + FRAME_HEADER_BYTES);
    while (session_queued(b.s, SESSION_CONTROL) > 0) {
        session_sent(b.s, 10, session_output(b.s, 4096).len);
    }
    feed_frame(&b, 10, FRAME_PING, 0, 7, 0);
    drain(&b, 10, 4096);
    expect(&b, "send 2:7 answer 0\n");
    close_bed(&b);
}

/* While we read nothing, their silence counts for nothing; afterwards it does again. */
static void a_pause_stops_their_clocks(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    static const uint8_t PART[3] = {0};
    feed(&b, 0, (struct pn_bytes){PART, sizeof PART});
    session_pause(b.s, 0, true);
    for (uint64_t now_ms = 0; now_ms < 1000000; now_ms += SESSION_KEEPALIVE_MS / 3) {
        tick(&b, now_ms);
        session_sent(b.s, now_ms, session_output(b.s, 4096).len);
        expect(&b, "");
    }
    session_pause(b.s, 1000000, false);
    tick(&b, 1000000 + SESSION_FRAME_MS - 1);
    expect(&b, "");
    tick(&b, 1000000 + SESSION_FRAME_MS);
    expect(&b, "timed out: a frame not whole within 60000 ms\n");
    close_bed(&b);
}

static void unknown_frames_are_skipped_unless_critical(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    feed_frame(&b, 0, 200, 0, 1, 1000);
    feed_frame(&b, 0, 0, FRAME_ANSWER, 1, 0);
    feed_frame(&b, 0, FRAME_HAVE, 0, 2, 4);
    feed_frame(&b, 0, 200, FRAME_CRITICAL, 3, 4);
    expect(&b, "frame 35:2 4\nnot supported: critical frame of unknown type 200\n");
    close_bed(&b);
}

static void an_oversize_frame_is_refused_by_its_header(void **state)
{
    (void)state;
    static const uint8_t HEADER[FRAME_HEADER_BYTES] = {1, 2, 1, 0, FRAME_BLOCK};
    struct bed b;
    open_ready_bed(&b);
    feed_frame(&b, 0, FRAME_BLOCK, 0, 1, FRAME_BODY_MAX);
    feed(&b, 0, (struct pn_bytes){HEADER, sizeof HEADER});
    expect(&b, "frame 34:1 66048\ntoo big: frame type 34: body of 66049 bytes, at most 66048\n");
    close_bed(&b);
}

static void a_refusal_ends_the_input(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    b.refuse = PN_E_DENIED;
    struct buffer out;
    buffer_init(&out, 4096);
    (void)encode(&out, FRAME_VOTE, 0, 1, pn_bytes_str("a"));
    feed(&b, 0, encode(&out, FRAME_VOTE, 0, 2, pn_bytes_str("b")));
    expect(&b, "frame 21:1 1\ndenied: refused by the test\n");
    buffer_fini(&out);
    close_bed(&b);
}

/* The same bytes cut anywhere, in two pieces and in single bytes, mean the same. */
static void every_cut_means_the_same(void **state)
{
    (void)state;
    static const char WANT[] = "hello 9\nframe 21:1 3\nframe 34:2 300\nframe 35:3 0\n";
    static const uint8_t BODY[300] = {1};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    (void)their_hello(&out);
    (void)encode(&out, FRAME_VOTE, 0, 1, pn_bytes_str("abc"));
    (void)encode(&out, 201, 0, 0, pn_bytes_str("later"));
    (void)encode(&out, FRAME_BLOCK, 0, 2, (struct pn_bytes){BODY, sizeof BODY});
    struct pn_bytes all = encode(&out, FRAME_HAVE, 0, 3, (struct pn_bytes){NULL, 0});
    for (size_t cut = 0; cut <= all.len; cut++) {
        struct bed b;
        open_bed(&b);
        session_start(b.s, 0);
        feed(&b, 0, (struct pn_bytes){all.ptr, cut});
        feed(&b, 0, (struct pn_bytes){all.ptr + cut, all.len - cut});
        expect(&b, WANT);
        close_bed(&b);
    }
    struct bed b;
    open_bed(&b);
    session_start(b.s, 0);
    for (size_t i = 0; i < all.len; i++) {
        feed(&b, 0, (struct pn_bytes){all.ptr + i, 1});
    }
    expect(&b, WANT);
    close_bed(&b);
    buffer_fini(&out);
}

static void send_many(struct bed *b, enum session_lane lane, uint8_t type, uint32_t first,
                      uint32_t count, size_t body_bytes)
{
    uint8_t *body = calloc(1, body_bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct frame f = {.type = type, .request = first + i, .body = {body, body_bytes}};
        assert_int_equal(session_send(b->s, lane, &f), PN_OK);
    }
    free(body);
}

static void control_overtakes_data_between_frames(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    send_many(&b, SESSION_DATA, FRAME_BLOCK, 1, 2, 5000);
    /* In the middle of the first block... */
    struct pn_bytes out = session_output(b.s, 1000);
    assert_int_equal(out.len, 1000);
    session_sent(b.s, 0, out.len);
    send_many(&b, SESSION_CONTROL, FRAME_ASSIGN, 10, 3, 8);
    /* ...only its rest may go ahead. */
    out = session_output(b.s, 100000);
    assert_int_equal(out.len, FRAME_HEADER_BYTES + 5000 - 1000);
    session_sent(b.s, 0, out.len);
    drain(&b, 0, 64 * 1024);
    expect(&b, "send 18:10 8\nsend 18:11 8\nsend 18:12 8\nsend 34:2 5000\n");
    assert_int_equal(session_queued(b.s, SESSION_CONTROL) + session_queued(b.s, SESSION_DATA), 0);
    close_bed(&b);
}

/* Whatever the stream takes at a time, frames stay whole. */
static void frames_stay_whole_at_every_step(void **state)
{
    (void)state;
    static const size_t STEPS[] = {1, 2, 11, 12, 13, 1023, 4096, 65536};
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        struct bed b;
        open_ready_bed(&b);
        send_many(&b, SESSION_DATA, FRAME_BLOCK, 1, 2, 3000);
        send_many(&b, SESSION_DATA, FRAME_BLOCK, 3, 2, 10);
        send_many(&b, SESSION_CONTROL, FRAME_ASSIGN, 10, 2, 100);
        drain(&b, 0, STEPS[i]);
        expect(&b, "send 18:10 100\nsend 18:11 100\nsend 34:1 3000\nsend 34:2 3000\n"
                   "send 34:3 10\nsend 34:4 10\n");
        close_bed(&b);
    }
}

static void lanes_are_bounded(void **state)
{
    (void)state;
    struct bed b;
    open_ready_bed(&b);
    static uint8_t body[FRAME_BODY_MAX];
    const struct frame block = {.type = FRAME_BLOCK, .body = {body, sizeof body}};
    size_t fit = 0;
    while (session_send(b.s, SESSION_DATA, &block) == PN_OK) {
        fit++;
    }
    assert_int_equal(fit, SESSION_DATA_QUEUE_MAX / (FRAME_HEADER_BYTES + FRAME_BODY_MAX));
    assert_int_equal(session_send(b.s, SESSION_DATA, &block), PN_E_FULL);
    assert_int_equal(session_queued(b.s, SESSION_DATA),
                     fit * (FRAME_HEADER_BYTES + FRAME_BODY_MAX));
    const struct frame assign = {.type = FRAME_ASSIGN};
    assert_int_equal(session_send(b.s, SESSION_CONTROL, &assign), PN_OK);
    close_bed(&b);
}

static void times_can_be_set(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    session_set_times(b.s, &(struct session_times){20, 30, 40, 50});
    session_start(b.s, 100);
    assert_int_equal(session_deadline_ms(b.s), 120);
    feed_hello(&b, 110);
    assert_int_equal(session_deadline_ms(b.s), 140); /* our silence since 100 */
    tick(&b, 160);
    expect(&b, "hello 9\ntimed out: nothing heard for 50 ms\n");
    close_bed(&b);
}

/* Whatever allocation fails, it is said, and a queue is as before. */
static void memory_may_be_short(void **state)
{
    (void)state;
    struct bed b;
    const struct session_events events = {on_hello, on_frame, &b};
    struct session *s = NULL;
    for (alloc_fail_at(1); (s = session_new(&OURS, &events)) == NULL; alloc_fail_next()) {
    }
    assert_int_equal(alloc_turn, 3); /* the session and its HELLO, then none */
    alloc_fail_never();
    session_free(s);

    open_ready_bed(&b);
    static const uint8_t BODY[3000];
    static const uint8_t PART[FRAME_HEADER_BYTES] = {3, 0, 0, 0, FRAME_VOTE};
    const struct frame f = {.type = FRAME_VOTE, .body = {BODY, sizeof BODY}};
    alloc_fail_at(1);
    assert_int_equal(session_send(b.s, SESSION_DATA, &f), PN_E_NO_MEMORY);
    assert_int_equal(session_queued(b.s, SESSION_DATA), 0);
    alloc_fail_at(1);
    assert_int_equal(session_input(b.s, 0, (struct pn_bytes){PART, sizeof PART}, &b.err),
                     PN_E_NO_MEMORY);
    alloc_fail_never();
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_comes_first_both_ways),
        cmocka_unit_test(nothing_else_may_come_before_hello),
        cmocka_unit_test(a_large_hello_is_refused_by_its_header),
        cmocka_unit_test(a_missing_hello_ends_the_session),
        cmocka_unit_test(a_slow_frame_ends_the_session),
        cmocka_unit_test(the_next_frame_has_its_own_time),
        cmocka_unit_test(silence_is_pinged_then_ends),
        cmocka_unit_test(an_answered_ping_keeps_the_session),
        cmocka_unit_test(a_ping_is_answered_with_its_number),
        cmocka_unit_test(our_own_silence_is_broken_too),
        cmocka_unit_test(pings_whose_answers_are_not_taken_get_none),
        cmocka_unit_test(a_pause_stops_their_clocks),
        cmocka_unit_test(unknown_frames_are_skipped_unless_critical),
        cmocka_unit_test(an_oversize_frame_is_refused_by_its_header),
        cmocka_unit_test(a_refusal_ends_the_input),
        cmocka_unit_test(every_cut_means_the_same),
        cmocka_unit_test(control_overtakes_data_between_frames),
        cmocka_unit_test(frames_stay_whole_at_every_step),
        cmocka_unit_test(lanes_are_bounded),
        cmocka_unit_test(times_can_be_set),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
