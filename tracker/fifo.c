#include "tracker/fifo.h"

static struct fifo_link *link_at(const struct fifo *f, uint32_t number)
{
    return (struct fifo_link *)((uint8_t *)pool_at(f->pool, number) + f->link_offset);
}

void fifo_init(struct fifo *f, const struct pool *pool, size_t link_offset)
{
    *f = (struct fifo){
        .pool = pool, .link_offset = link_offset, .first = POOL_NONE, .last = POOL_NONE};
}

void fifo_push(struct fifo *f, uint32_t number)
{
    *link_at(f, number) = (struct fifo_link){.prev = f->last, .next = POOL_NONE};
    if (f->last == POOL_NONE) {
        f->first = number;
    } else {
        link_at(f, f->last)->next = number;
    }
    f->last = number;
}

void fifo_remove(struct fifo *f, uint32_t number)
{
    const struct fifo_link link = *link_at(f, number);
    if (link.prev == POOL_NONE) {
        f->first = link.next;
    } else {
        link_at(f, link.prev)->next = link.next;
    }
    if (link.next == POOL_NONE) {
        f->last = link.prev;
    } else {
        link_at(f, link.next)->prev = link.prev;
    }
}

uint32_t fifo_next(const struct fifo *f, uint32_t number) { return link_at(f, number)->next; }
