/*
 * frame_queue -- encoded frames on their way out: a bounded first-in first-out of bytes that knows
 * where a frame ends.
 *
 * Small frames share an allocation, a large one has its own, and an empty queue holds no memory.
 */
#ifndef PREON_COMMON_FRAME_QUEUE_H
#define PREON_COMMON_FRAME_QUEUE_H

#include "common/frame.h"

struct frame_run; /* frames that lie side by side */

struct frame_queue {
    struct frame_run *first; /* owned, as are those that follow it */
    struct frame_run *last;
    size_t bytes; /* queued and not yet taken */
    size_t bytes_max;
    size_t frame_left; /* bytes still to come of the frame that has been begun */
};

/* Allocates nothing yet. */
void frame_queue_init(struct frame_queue *q, size_t bytes_max);
void frame_queue_fini(struct frame_queue *q);

/* Copies the frame. PN_E_FULL or PN_E_NO_MEMORY leave the queue as it was. */
enum pn_status frame_queue_push(struct frame_queue *q, const struct frame *f);

/* The next bytes, at most max; borrowed until the next call on q; empty when there are none. */
struct pn_bytes frame_queue_peek(const struct frame_queue *q, size_t max);

/* Drops len bytes, at most as many as frame_queue_peek gave. */
void frame_queue_take(struct frame_queue *q, size_t len);

/* True when the bytes taken so far end inside a frame. */
static inline bool frame_queue_mid_frame(const struct frame_queue *q) { return q->frame_left > 0; }

#endif
