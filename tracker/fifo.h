/*
 * fifo -- records of a pool in the order in which they were last touched.
 *
 * All deadlines of one kind have the same length, so the record that waits longest is due first:
 * a queue does what a heap or a timer each would do, in O(1). The links lie inside the records.
 */
#ifndef PREON_TRACKER_FIFO_H
#define PREON_TRACKER_FIFO_H

#include "tracker/pool.h"

struct fifo_link {
    uint32_t prev;
    uint32_t next;
};

struct fifo {
    const struct pool *pool;
    size_t link_offset; /* of a struct fifo_link in the pool's record */
    uint32_t first;     /* POOL_NONE when empty */
    uint32_t last;
};

void fifo_init(struct fifo *f, const struct pool *pool, size_t link_offset);

/* A record is in at most one queue per link at a time; the caller knows whether it is. */
void fifo_push(struct fifo *f, uint32_t number);
void fifo_remove(struct fifo *f, uint32_t number);

/* The record after number, POOL_NONE at the end. */
uint32_t fifo_next(const struct fifo *f, uint32_t number);

#endif
