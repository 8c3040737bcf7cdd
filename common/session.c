#include "common/session.h"

#include <assert.h>
#include <stdlib.h>

#include "common/frame_queue.h"
#include "common/reader.h"

static const uint64_t NEVER_MS = UINT64_MAX;

struct session {
    struct session_events events;
    struct session_times times;
    struct frame_queue lanes[2]; /* by enum session_lane */
    enum session_lane output_lane;
    struct buffer partial; /* the front of a frame that is not whole yet */
    bool started;
    bool hello_heard;
    bool paused;
    uint64_t hello_due_ms;
    uint64_t frame_due_ms; /* NEVER_MS between frames */
    uint64_t heard_ms;
    uint64_t said_ms;
    uint64_t pinged_ms;
    uint32_t ping_request;
};

struct session *session_new(const struct hello *ours, const struct session_events *events)
{
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->events = *events;
    s->times = (struct session_times){SESSION_HELLO_MS, SESSION_FRAME_MS, SESSION_KEEPALIVE_MS,
                                      SESSION_DEAD_MS};
    s->frame_due_ms = NEVER_MS;
    frame_queue_init(&s->lanes[SESSION_CONTROL], SESSION_CONTROL_QUEUE_MAX);
    frame_queue_init(&s->lanes[SESSION_DATA], SESSION_DATA_QUEUE_MAX);
    buffer_init(&s->partial, FRAME_HEADER_BYTES + FRAME_BODY_MAX);

    /* First into the queue, so first on the wire, whatever is sent before session_start. */
    uint8_t body[HELLO_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    hello_write(ours, &w);
    assert(!w.full);
    const struct frame hello = {
        .type = FRAME_HELLO, .flags = FRAME_CRITICAL, .body = writer_done(&w)};
    if (session_send(s, SESSION_CONTROL, &hello) != PN_OK) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(struct session *s)
{
    if (s == NULL) {
        return;
    }
    frame_queue_fini(&s->lanes[SESSION_CONTROL]);
    frame_queue_fini(&s->lanes[SESSION_DATA]);
    buffer_fini(&s->partial);
    free(s);
}

void session_set_times(struct session *s, const struct session_times *times)
{
    assert(!s->started);
    s->times = *times;
}

void session_start(struct session *s, uint64_t now_ms)
{
    assert(!s->started);
    s->started = true;
    s->hello_due_ms = now_ms + s->times.hello_ms;
    s->heard_ms = now_ms;
    s->said_ms = now_ms;
    s->pinged_ms = now_ms;
}

static enum pn_status take_hello(struct session *s, const struct frame *f, struct pn_err *err)
{
    if (f->type != FRAME_HELLO) {
        return pn_fail(err, PN_E_MALFORMED, "frame type %u before HELLO", f->type);
    }
    struct hello hello;
    enum pn_status status = hello_parse(f->body, &hello, err);
    if (status != PN_OK) {
        return status;
    }
    s->hello_heard = true;
    return s->events.on_hello(s->events.arg, &hello, err);
}

static enum pn_status take_ping(struct session *s, const struct frame *f, struct pn_err *err)
{
    if ((f->flags & FRAME_ANSWER) != 0) {
        return PN_OK; /* that it was heard is all we wanted */
    }
    if (s->lanes[SESSION_CONTROL].bytes >= SESSION_PING_QUEUE_MAX) {
        return PN_OK; /* who does not take what we say needs no answer to know that we live */
    }
    const struct frame answer = {.type = FRAME_PING, .flags = FRAME_ANSWER, .request = f->request};
    enum pn_status status = session_send(s, SESSION_CONTROL, &answer);
    if (status != PN_OK) {
        return pn_fail(err, status, "answers are not taken: %s", pn_status_text(status));
    }
    return PN_OK;
}

static enum pn_status take_frame(struct session *s, const struct frame *f, struct pn_err *err)
{
    if (!s->hello_heard) {
        return take_hello(s, f, err);
    }
    if (f->type == FRAME_HELLO) {
        return pn_fail(err, PN_E_MALFORMED, "a second HELLO");
    }
    if (f->type == FRAME_PING) {
        return take_ping(s, f, err);
    }
    if (frame_type_known(f->type)) {
        return s->events.on_frame(s->events.arg, f, err);
    }
    if ((f->flags & FRAME_CRITICAL) != 0) {
        return pn_fail(err, PN_E_UNSUPPORTED, "critical frame of unknown type %u", f->type);
    }
    return PN_OK; /* of a later version, which said that we may do without it */
}

/* Moves bytes from r to s->partial until that has `need` of them, or r is empty. */
static enum pn_status keep_partial(struct session *s, uint64_t now_ms, struct reader *r,
                                   size_t need, struct pn_err *err)
{
    size_t missing = need - s->partial.len;
    /* Room for all of it at once: need is below the limit that frame_parse has checked. */
    uint8_t *at = buffer_room(&s->partial, missing);
    if (at == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "no memory for a frame of %zu bytes", need);
    }
    if (s->partial.len == 0) {
        s->frame_due_ms = now_ms + s->times.frame_ms;
    }
    size_t len = missing < r->left ? missing : r->left;
    reader_copy(r, at, len);
    buffer_used(&s->partial, len);
    return PN_OK;
}

enum pn_status session_input(struct session *s, uint64_t now_ms, struct pn_bytes bytes,
                             struct pn_err *err)
{
    assert(s->started);
    if (bytes.len > 0) {
        s->heard_ms = now_ms;
    }
    struct reader r = reader_of(bytes);
    for (;;) {
        bool is_kept = s->partial.len > 0;
        struct pn_bytes view =
            is_kept ? buffer_bytes(&s->partial) : (struct pn_bytes){r.at, r.left};
        size_t body_max = s->hello_heard ? FRAME_BODY_MAX : FRAME_HELLO_BODY_MAX;
        struct frame f;
        size_t used;
        size_t need;
        enum pn_status status = frame_parse(view, body_max, &f, &used, &need, err);
        if (status == PN_OK && used == 0) {
            if (r.left == 0) {
                return PN_OK;
            }
            status = keep_partial(s, now_ms, &r, need, err);
        } else if (status == PN_OK) {
            status = take_frame(s, &f, err);
            if (is_kept) {
                buffer_fini(&s->partial); /* an idle link holds no memory for frames */
                s->frame_due_ms = NEVER_MS;
            } else {
                (void)reader_bytes(&r, used);
            }
        }
        if (status != PN_OK) {
            return status;
        }
    }
}

enum pn_status session_send(struct session *s, enum session_lane lane, const struct frame *f)
{
    return frame_queue_push(&s->lanes[lane], f);
}

size_t session_queued(const struct session *s, enum session_lane lane)
{
    return s->lanes[lane].bytes;
}

struct pn_bytes session_output(struct session *s, size_t max)
{
    const struct frame_queue *control = &s->lanes[SESSION_CONTROL];
    const struct frame_queue *data = &s->lanes[SESSION_DATA];
    if (!s->started) {
        return (struct pn_bytes){NULL, 0};
    }
    if (control->bytes == 0) {
        s->output_lane = SESSION_DATA;
        return frame_queue_peek(data, max);
    }
    if (frame_queue_mid_frame(data)) {
        /* Only to the end of the frame that has been begun: there control goes ahead. */
        s->output_lane = SESSION_DATA;
        return frame_queue_peek(data, data->frame_left < max ? data->frame_left : max);
    }
    s->output_lane = SESSION_CONTROL;
    return frame_queue_peek(control, max);
}

void session_sent(struct session *s, uint64_t now_ms, size_t len)
{
    frame_queue_take(&s->lanes[s->output_lane], len);
    if (len > 0) {
        s->said_ms = now_ms;
    }
}

void session_pause(struct session *s, uint64_t now_ms, bool paused)
{
    if (s->started && s->paused && !paused) {
        /* What the other side has to do, it gets its whole time for again. */
        s->heard_ms = now_ms;
        s->hello_due_ms = now_ms + s->times.hello_ms;
        if (s->frame_due_ms != NEVER_MS) {
            s->frame_due_ms = now_ms + s->times.frame_ms;
        }
    }
    s->paused = paused;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* A link is kept alive against silence either way: mappings on the path may need both. */
static uint64_t ping_due_ms(const struct session *s)
{
    uint64_t silent_ms = s->paused ? s->said_ms : earlier(s->heard_ms, s->said_ms);
    uint64_t since_ms = silent_ms > s->pinged_ms ? silent_ms : s->pinged_ms;
    return since_ms + s->times.keepalive_ms;
}

enum pn_status session_tick(struct session *s, uint64_t now_ms, struct pn_err *err)
{
    if (!s->started) {
        return PN_OK;
    }
    if (!s->paused && !s->hello_heard && now_ms >= s->hello_due_ms) {
        return pn_fail(err, PN_E_TIMEOUT, "no HELLO within %u ms", s->times.hello_ms);
    }
    if (!s->paused && now_ms >= s->frame_due_ms) {
        return pn_fail(err, PN_E_TIMEOUT, "a frame not whole within %u ms", s->times.frame_ms);
    }
    if (!s->paused && now_ms >= s->heard_ms + s->times.dead_ms) {
        return pn_fail(err, PN_E_TIMEOUT, "nothing heard for %u ms", s->times.dead_ms);
    }
    if (s->hello_heard && now_ms >= ping_due_ms(s)) {
        const struct frame ping = {.type = FRAME_PING, .request = ++s->ping_request};
        enum pn_status status = session_send(s, SESSION_CONTROL, &ping);
        if (status != PN_OK) {
            return pn_fail(err, status, "no room for a PING: %s", pn_status_text(status));
        }
        s->pinged_ms = now_ms;
    }
    return PN_OK;
}

uint64_t session_deadline_ms(const struct session *s)
{
    if (!s->started) {
        return NEVER_MS;
    }
    uint64_t due_ms = s->hello_heard ? ping_due_ms(s) : NEVER_MS;
    if (!s->paused) {
        due_ms = earlier(due_ms, s->frame_due_ms);
        due_ms = earlier(due_ms, s->heard_ms + s->times.dead_ms);
        due_ms = earlier(due_ms, s->hello_heard ? NEVER_MS : s->hello_due_ms);
    }
    return due_ms;
}
