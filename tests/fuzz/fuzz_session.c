/*
 * A hostile other side: its bytes, and how they are cut and timed, come from the input. Whatever
 * they are, HELLO comes first and once, bounds hold, and the same bytes in one piece mean the same.
 *
 * Input: 8 bytes of cuts, then the stream. With an odd first byte our HELLO's bytes go in front, so
 * that most inputs get past it.
 */
#include "common/session.h"
#include "tests/fuzz/fuzz.h"

static const struct hello OURS = {.version = 1, .machine_class = "fuzz"};

enum { FLOOD_REQUEST = 0x7fff0000 }; /* its answers fill the queue */
enum { CUTS = 8, TIME_STEP_MS = 7000, TIME_LEAP_MS = 40000 };

struct seen {
    struct session *s;
    uint32_t hello_count;
    uint32_t frame_count;
    uint64_t trace; /* of what came, in order */
    bool flooded;   /* a queue was filled: what fails then depends on what went out meanwhile */
};

static void mix(struct seen *seen, uint64_t value) { seen->trace = seen->trace * 1099511 + value; }

static enum pn_status on_hello(void *arg, const struct hello *hello, struct pn_err *err)
{
    struct seen *seen = arg;
    (void)err;
    seen->hello_count++;
    assert(seen->hello_count == 1 && seen->frame_count == 0);
    mix(seen, hello->slots);
    return PN_OK;
}

/* Answers of half the size each time one does not fit any more: then nothing does. */
static void fill_lane(struct seen *seen, enum session_lane lane)
{
    static const uint8_t MUCH[FRAME_BODY_MAX];
    struct frame answer = {.type = FRAME_VOTE, .flags = FRAME_ANSWER, .body = {MUCH, sizeof MUCH}};
    enum pn_status status = PN_OK;
    while (status == PN_OK || answer.body.len > 0) {
        answer.body.len = status == PN_OK ? answer.body.len : answer.body.len / 2;
        status = session_send(seen->s, lane, &answer);
    }
    seen->flooded = true;
}

static enum pn_status on_frame(void *arg, const struct frame *f, struct pn_err *err)
{
    struct seen *seen = arg;
    (void)err;
    assert(seen->hello_count == 1 && f->body.len <= FRAME_BODY_MAX);
    assert(frame_type_known(f->type) && f->type != FRAME_HELLO && f->type != FRAME_PING);
    seen->frame_count++;
    mix(seen, f->type);
    mix(seen, f->request);
    for (size_t i = 0; i < f->body.len; i++) {
        mix(seen, f->body.ptr[i]);
    }
    /* An answer in either lane: it must not disturb what is being read. */
    enum session_lane lane = f->request % 2 == 0 ? SESSION_CONTROL : SESSION_DATA;
    const struct frame answer = {.type = f->type, .flags = FRAME_ANSWER, .body = f->body};
    size_t queued = session_queued(seen->s, lane);
    if (session_send(seen->s, lane, &answer) == PN_OK) {
        assert(session_queued(seen->s, lane) == queued + frame_bytes(&answer));
    } else {
        seen->flooded = true;
    }
    if (f->request == FLOOD_REQUEST) {
        fill_lane(seen, lane);
    }
    return PN_OK;
}

static const struct session_times BRIEF = {20000, 15000, 9000, 30000};

static bool open_session(struct seen *seen, bool brief)
{
    *seen = (struct seen){0};
    const struct session_events events = {on_hello, on_frame, seen};
    seen->s = session_new(&OURS, &events);
    if (seen->s == NULL) {
        return false;
    }
    if (brief) {
        session_set_times(seen->s, &BRIEF);
    }
    assert(session_output(seen->s, SIZE_MAX).len == 0);
    assert(session_deadline_ms(seen->s) == UINT64_MAX);
    assert(session_tick(seen->s, 0, NULL) == PN_OK);
    session_start(seen->s, 0);
    return true;
}

/* All that went out, in order. */
static uint8_t sent[SESSION_CONTROL_QUEUE_MAX + SESSION_DATA_QUEUE_MAX];
static size_t sent_len;

/* One piece; false when there is nothing. */
static bool drip(struct session *s, uint64_t now_ms, size_t step)
{
    struct pn_bytes out = session_output(s, step);
    assert(out.len <= step);
    if (out.len == 0 || out.len > sizeof sent - sent_len) {
        return false;
    }
    memcpy(sent + sent_len, out.ptr, out.len);
    sent_len += out.len;
    session_sent(s, now_ms, out.len);
    return true;
}

/* The rest: what goes out is frames, whole ones, however they were asked for. */
static void drain(struct session *s, uint64_t now_ms)
{
    while (drip(s, now_ms, 65536)) {
    }
    for (size_t at = 0; at < sent_len;) {
        struct frame f;
        size_t used;
        size_t need;
        const struct pn_bytes left = {sent + at, sent_len - at};
        enum pn_status status = frame_parse(left, FRAME_BODY_MAX, &f, &used, &need, NULL);
        assert(status == PN_OK && used > 0);
        at += used;
    }
}

static enum pn_status feed(struct seen *seen, uint64_t now_ms, const uint8_t *bytes, size_t len)
{
    struct pn_bytes exact = fuzz_exact(bytes, len);
    struct pn_err err;
    enum pn_status status = session_input(seen->s, now_ms, exact, &err);
    fuzz_free(exact);
    return status;
}

/* In one piece, at one moment. */
static uint64_t whole(const uint8_t *bytes, size_t len)
{
    struct seen seen;
    if (!open_session(&seen, false)) {
        return 0;
    }
    (void)feed(&seen, 0, bytes, len);
    session_free(seen.s);
    return seen.trace;
}

static void in_pieces(const uint8_t *cuts, const uint8_t *bytes, size_t len)
{
    struct seen seen;
    struct pn_err err;
    if (!open_session(&seen, cuts[0] % 8 >= 4)) {
        return;
    }
    enum pn_status status = PN_OK;
    uint64_t now_ms = 0;
    size_t at = 0;
    sent_len = 0;
    for (size_t i = 0; at < len && status == PN_OK; i++) {
        uint8_t cut = cuts[i % CUTS];
        size_t piece = len - at < cut / 4u + 1u ? len - at : cut / 4u + 1u;
        status = feed(&seen, now_ms, bytes + at, piece);
        at += piece;
        if (cut % 4 == 1 && status == PN_OK) {
            (void)drip(seen.s, now_ms, (size_t)cut * 4 + 1);
        } else if (cut % 4 == 2) {
            session_pause(seen.s, now_ms, i % 3 == 0);
        } else if (cut % 4 == 3) {
            now_ms += cut == UINT8_MAX ? TIME_LEAP_MS : TIME_STEP_MS;
            if (now_ms >= session_deadline_ms(seen.s) && status == PN_OK) {
                status = session_tick(seen.s, now_ms, &err);
                assert(status == PN_OK || status == PN_E_TIMEOUT ||
                       (status == PN_E_FULL && seen.flooded));
            }
        }
    }
    if (status == PN_OK) {
        drain(seen.s, now_ms);
        assert(seen.flooded || seen.trace == whole(bytes, len));
    }
    session_free(seen.s);
    session_free(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < CUTS) {
        return 0;
    }
    uint8_t body[HELLO_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    hello_write(&OURS, &w);
    const struct frame hello = {
        .type = FRAME_HELLO, .flags = FRAME_CRITICAL, .body = writer_done(&w)};
    struct buffer stream;
    buffer_init(&stream, 1 << 20);
    if ((bytes[0] & 1) == 0 || frame_write(&hello, &stream) == PN_OK) {
        if (buffer_append(&stream, (struct pn_bytes){bytes + CUTS, len - CUTS}) == PN_OK &&
            stream.len > 0) {
            in_pieces(bytes, stream.ptr, stream.len);
        }
    }
    buffer_fini(&stream);
    return 0;
}
