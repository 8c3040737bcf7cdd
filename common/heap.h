/*
 * heap -- what is due next: an intrusive binary heap of moments in time.
 *
 * The owner embeds a heap_node in its object and finds the object again by offset. A node is in at
 * most one heap; heap_remove and heap_move take O(log n).
 */
#ifndef PREON_COMMON_HEAP_H
#define PREON_COMMON_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct heap_node {
    uint64_t due; /* the key; changed only by heap_move */
    size_t place; /* index + 1 while in a heap, 0 outside */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t cap;
};

/* An all-zero heap is empty and valid. */
void heap_fini(struct heap *h); /* frees the array, not the nodes' owners */

/* The node must be outside any heap. PN_E_NO_MEMORY leaves all as it was. */
enum pn_status heap_add(struct heap *h, struct heap_node *node, uint64_t due);

void heap_remove(struct heap *h, struct heap_node *node);             /* no-op outside */
void heap_move(struct heap *h, struct heap_node *node, uint64_t due); /* must be inside */

/* The earliest node, NULL when empty. */
static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->count > 0 ? h->nodes[0] : NULL;
}

/* The object that embeds a node. */
#define heap_owner(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
