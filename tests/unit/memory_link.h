/*
 * memory_link -- links between peers in one process: what is sent at one end waits in the other's
 * inbox until the test hands it over. For tests of what lies above ports.
 */
#ifndef PREON_TESTS_MEMORY_LINK_H
#define PREON_TESTS_MEMORY_LINK_H

#include "tests/unit/unit.h"

#include "peer/wire/port.h"

enum { LANE_BYTES = 128 * 1024 }; /* small, so that lanes fill up */

struct queued {
    struct queued *next;
    enum session_lane lane;
    struct frame frame;
    uint8_t body[];
};

/* One end of a link; what is sent here arrives at the other. */
struct end {
    struct port port;
    struct end *other;
    uint32_t owner;
    struct queued *inbox;
    struct queued **inbox_tail;
    size_t data_bytes; /* on their way to the other */
    bool full, closed;
};

static struct end *ends[32];
static uint32_t end_count;

static inline enum pn_status end_send(struct port *port, enum session_lane lane,
                                      const struct frame *f)
{
    struct end *e = (struct end *)port;
    if (e->closed || e->other->closed) {
        return PN_E_CLOSED;
    }
    if (lane == SESSION_DATA && e->data_bytes + f->body.len > LANE_BYTES) {
        e->full = true;
        return PN_E_FULL;
    }
    struct queued *q = malloc(sizeof *q + f->body.len);
    assert_non_null(q);
    *q = (struct queued){.lane = lane, .frame = *f};
    if (f->body.len > 0) {
        memcpy(q->body, f->body.ptr, f->body.len);
    }
    q->frame.body.ptr = q->body;
    e->data_bytes += lane == SESSION_DATA ? f->body.len : 0;
    *e->other->inbox_tail = q;
    e->other->inbox_tail = &q->next;
    return PN_OK;
}

static inline size_t end_room(const struct port *port)
{
    const struct end *e = (const struct end *)port;
    return LANE_BYTES - e->data_bytes;
}

static inline void end_close(struct port *port, const char *reason)
{
    (void)reason;
    ((struct end *)port)->closed = true;
}

static inline struct end *end_new(uint32_t owner, uint32_t far)
{
    struct end *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->owner = owner;
    e->inbox_tail = &e->inbox;
    e->port = (struct port){.id = end_count + 1,
                            .peer = {{(uint8_t)(far + 1)}},
                            .send = end_send,
                            .data_room = end_room,
                            .close = end_close};
    ends[end_count++] = e;
    return e;
}

/* Returns a's end. */
static inline struct end *join(uint32_t a, uint32_t b)
{
    struct end *x = end_new(a, b);
    struct end *y = end_new(b, a);
    x->other = y;
    y->other = x;
    return x;
}

static inline void empty_inbox(struct end *e)
{
    while (e->inbox != NULL) {
        struct queued *q = e->inbox;
        e->inbox = q->next;
        free(q);
    }
    e->inbox_tail = &e->inbox;
}

#endif
