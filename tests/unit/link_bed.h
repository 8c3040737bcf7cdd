/*
 * link_bed -- two ends of real links on loopback, on one loop, and all that they see. For tests.
 */
#ifndef PREON_TESTS_LINK_BED_H
#define PREON_TESTS_LINK_BED_H

#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/clock_sys.h"
#include "common/link_uv.h"

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

enum { POUR_BYTES = 200 * 1024 * 1024 };

/* As much as there is room for; on_drain goes on. */
static inline void pour(struct end *e)
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

static inline void on_up(struct link *l, void *arg, const struct digest *peer,
                         const struct hello *hello)
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

static inline enum pn_status on_frame(struct link *l, void *arg, const struct frame *f,
                                      struct pn_err *err)
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

static inline void on_drain(struct link *l, void *arg)
{
    struct end *e = arg;
    e->drain_count++;
    if (e->close_on_drain) {
        link_close(l);
        return;
    }
    pour(e);
}

static inline void on_closed(struct link *l, void *arg, enum pn_status why, const char *reason)
{
    struct end *e = arg;
    assert_ptr_equal(l, e->link);
    e->link = NULL;
    e->closed_count++;
    e->why = why;
    (void)snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static const struct link_callbacks CALLBACKS = {on_up, on_frame, on_drain, on_closed};

static inline void on_connection(uv_stream_t *listener, int status)
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

static inline struct key_pair *key_of(uint8_t number)
{
    const uint8_t seed[SECRET_SEED_BYTES] = {number};
    struct key_pair *k = key_pair_new(seed);
    assert_non_null(k);
    return k;
}

static inline void open_bed(struct bed *b)
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
static inline void close_bed(struct bed *b)
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

static inline void dial_as(struct bed *b, struct link_context *c, const struct digest *expected)
{
    struct end *e = &b->ends[DIALLER];
    struct pn_err err;
    assert_int_equal(link_dial(c, &b->loop, &b->addr, expected, 11, &CALLBACKS, e, &e->link, &err),
                     PN_OK);
    assert_true(link_outbound(e->link));
}

static inline void dial(struct bed *b) { dial_as(b, b->contexts[DIALLER], NULL); }

static inline void on_expired(uv_timer_t *timer) { *(bool *)timer->data = true; }

typedef bool condition(const struct bed *b);

/* Runs the loop until the condition holds; a test that waits 20 s in vain has failed. */
static inline void run_until(struct bed *b, condition *holds)
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

static inline bool both_up(const struct bed *b)
{
    return b->ends[DIALLER].up_count == 1 && b->ends[LISTENER].up_count == 1;
}

static inline bool both_closed(const struct bed *b)
{
    return b->ends[DIALLER].closed_count == 1 && b->ends[LISTENER].closed_count == 1;
}

static inline bool dialler_closed(const struct bed *b)
{
    return b->ends[DIALLER].closed_count == 1;
}
static inline bool listener_closed(const struct bed *b)
{
    return b->ends[LISTENER].closed_count == 1;
}

static inline void open_pair(struct bed *b)
{
    open_bed(b);
    dial(b);
    run_until(b, both_up);
}

static inline void send_frame(struct end *e, enum session_lane lane, uint8_t type,
                              size_t body_bytes)
{
    static const uint8_t BODY[FRAME_BODY_MAX];
    const struct frame f = {.type = type, .body = {BODY, body_bytes}};
    assert_int_equal(link_send(e->link, lane, &f), PN_OK);
}

#endif
