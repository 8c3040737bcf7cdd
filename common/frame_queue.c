#include "common/frame_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "common/reader.h"

enum { RUN_BYTES_MIN = 2048 };

/* A frame never crosses runs, so its header is always in one piece. */
struct frame_run {
    struct frame_run *next;
    size_t taken;
    size_t len;
    size_t cap;
    uint8_t bytes[];
};

void frame_queue_init(struct frame_queue *q, size_t bytes_max)
{
    *q = (struct frame_queue){.bytes_max = bytes_max};
}

void frame_queue_fini(struct frame_queue *q)
{
    while (q->first != NULL) {
        struct frame_run *next = q->first->next;
        free(q->first);
        q->first = next;
    }
    frame_queue_init(q, q->bytes_max);
}

/* The run that takes len more bytes: the last one, or a new one behind it. NULL without memory. */
static struct frame_run *run_with_room(struct frame_queue *q, size_t len)
{
    if (q->last != NULL && len <= q->last->cap - q->last->len) {
        return q->last;
    }
    size_t cap = len > RUN_BYTES_MIN ? len : RUN_BYTES_MIN;
    struct frame_run *run = malloc(sizeof *run + cap);
    if (run == NULL) {
        return NULL;
    }
    run->next = NULL;
    run->taken = 0;
    run->len = 0;
    run->cap = cap;
    if (q->last == NULL) {
        q->first = run;
    } else {
        q->last->next = run;
    }
    q->last = run;
    return run;
}

enum pn_status frame_queue_push(struct frame_queue *q, const struct frame *f)
{
    size_t len = frame_bytes(f);
    if (len > q->bytes_max - q->bytes) {
        return PN_E_FULL;
    }
    struct frame_run *run = run_with_room(q, len);
    if (run == NULL) {
        return PN_E_NO_MEMORY;
    }
    struct writer w = writer_of(run->bytes + run->len, len);
    frame_encode(f, &w);
    assert(writer_done(&w).len == len);
    run->len += len;
    q->bytes += len;
    return PN_OK;
}

struct pn_bytes frame_queue_peek(const struct frame_queue *q, size_t max)
{
    if (q->first == NULL) {
        return (struct pn_bytes){NULL, 0};
    }
    size_t len = q->first->len - q->first->taken;
    return (struct pn_bytes){q->first->bytes + q->first->taken, len < max ? len : max};
}

/* Walks over the frames that begin within the next len bytes. */
static size_t left_after(const struct frame_queue *q, size_t len)
{
    size_t left = q->frame_left;
    struct pn_bytes run = frame_queue_peek(q, SIZE_MAX);
    size_t at = 0;
    while (len - at > left) {
        at += left;
        struct reader r = reader_of((struct pn_bytes){run.ptr + at, run.len - at});
        left = FRAME_HEADER_BYTES + reader_u32(&r);
    }
    return left - (len - at);
}

void frame_queue_take(struct frame_queue *q, size_t len)
{
    if (len == 0) {
        return;
    }
    struct frame_run *run = q->first;
    assert(run != NULL && len <= run->len - run->taken);
    q->frame_left = left_after(q, len);
    run->taken += len;
    q->bytes -= len;
    if (run->taken == run->len) {
        q->first = run->next;
        if (q->first == NULL) {
            q->last = NULL;
        }
        free(run);
    }
}
