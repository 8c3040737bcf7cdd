/*
 * session -- the life of one link above its (encrypted) byte stream: HELLO first, then frames,
 * deadlines and keepalive. A core: bytes and time in, frames and decisions out.
 *
 * The shell (link_uv), the simulator and tests drive it:
 *   session_start      once the stream is up; from then on session_output has our HELLO
 *   session_input      bytes arrived; calls on_hello once and on_frame for each whole frame
 *   session_send       queues one frame
 *   session_tick       at session_deadline_ms
 *   session_output     what is to be sent, control before data; session_sent takes it off
 */
#ifndef PREON_COMMON_SESSION_H
#define PREON_COMMON_SESSION_H

#include "common/frame.h"
#include "common/hello.h"

enum {
    SESSION_HELLO_MS = 10 * 1000,       /* absolute, from session_start */
    SESSION_FRAME_MS = 60 * 1000,       /* absolute, from a frame's first byte to its last */
    SESSION_KEEPALIVE_MS = 45 * 1000,   /* silence, either way, after which we PING */
    SESSION_DEAD_MS = 150 * 1000,       /* silence of the other side after which the link is closed;
                                           a shell closes what has not taken a write for as long */
    SESSION_PING_QUEUE_MAX = 64 * 1024, /* over it in the control lane no PING is answered */
    SESSION_CONTROL_QUEUE_MAX = 4 * 1024 * 1024,
    SESSION_DATA_QUEUE_MAX = 8 * 1024 * 1024,
};

/* The four times above; tests make them shorter. */
struct session_times {
    uint32_t hello_ms;
    uint32_t frame_ms;
    uint32_t keepalive_ms;
    uint32_t dead_ms;
};

/* Which queue a frame leaves by: control overtakes data, a frame is never cut by another. */
enum session_lane { SESSION_CONTROL, SESSION_DATA };

struct session; /* heap; session_new / session_free */

struct session_events {
    /*
     * Both may call session_send; neither may free the session. What they are given is borrowed for
     * the call. A status other than PN_OK ends the session: nothing that came behind is looked at.
     */
    enum pn_status (*on_hello)(void *arg, const struct hello *hello, struct pn_err *err);
    enum pn_status (*on_frame)(void *arg, const struct frame *frame, struct pn_err *err);
    void *arg;
};

/* NULL when memory is short. events is copied. */
struct session *session_new(const struct hello *ours, const struct session_events *events);
void session_free(struct session *s); /* NULL is fine */

/* Before session_start. */
void session_set_times(struct session *s, const struct session_times *times);

void session_start(struct session *s, uint64_t now_ms);

/*
 * Any status but PN_OK: close the link, err says why. PING, and types that this version does not
 * know, are handled inside; every other frame goes to on_frame, ERROR and BYE too. Frames are
 * passed on from `bytes` itself where they are whole.
 */
enum pn_status session_input(struct session *s, uint64_t now_ms, struct pn_bytes bytes,
                             struct pn_err *err);

/*
 * PN_E_FULL when the lane's queue is at its maximum: for control frames that ends the link.
 * PN_E_NO_MEMORY. Either leaves the queue as it was.
 */
enum pn_status session_send(struct session *s, enum session_lane lane, const struct frame *f);

/* Bytes queued in a lane and not yet handed out. */
size_t session_queued(const struct session *s, enum session_lane lane);

/*
 * The next bytes for the stream (borrowed until the next call on s), at most max; empty if none.
 * session_sent tells how many of them the stream took.
 */
struct pn_bytes session_output(struct session *s, size_t max);
void session_sent(struct session *s, uint64_t now_ms, size_t len);

/* While we ourselves do not read, the other side's silence is not its fault. */
void session_pause(struct session *s, uint64_t now_ms, bool paused);

/* PN_E_TIMEOUT when a deadline has passed; else there may be a PING to send. */
enum pn_status session_tick(struct session *s, uint64_t now_ms, struct pn_err *err);
uint64_t session_deadline_ms(const struct session *s); /* UINT64_MAX if never */

#endif
