#include "common/heap.h"

#include <assert.h>
#include <stdlib.h>

void heap_fini(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
    struct heap_node *node = h->nodes[i];
    while (i > 0 && h->nodes[(i - 1) / 2]->due > node->due) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
}

static void sift_down(struct heap *h, size_t i)
{
    struct heap_node *node = h->nodes[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->count && h->nodes[child + 1]->due < h->nodes[child]->due) {
            child++;
        }
        if (child >= h->count || h->nodes[child]->due >= node->due) {
            break;
        }
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

enum pn_status heap_add(struct heap *h, struct heap_node *node, uint64_t due)
{
    assert(node->place == 0);
    if (h->count == h->cap) {
        size_t cap = h->cap == 0 ? 16 : h->cap * 2;
        struct heap_node **nodes = realloc(h->nodes, cap * sizeof(struct heap_node *));
        if (nodes == NULL) {
            return PN_E_NO_MEMORY;
        }
        h->nodes = nodes;
        h->cap = cap;
    }
    node->due = due;
    h->nodes[h->count] = node;
    sift_up(h, h->count++);
    return PN_OK;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (node->place == 0) {
        return;
    }
    size_t i = node->place - 1;
    assert(i < h->count && h->nodes[i] == node);
    node->place = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last != node) {
        put(h, i, last);
        sift_up(h, i);
        sift_down(h, last->place - 1);
    }
}

void heap_move(struct heap *h, struct heap_node *node, uint64_t due)
{
    assert(node->place > 0);
    node->due = due;
    sift_up(h, node->place - 1);
    sift_down(h, node->place - 1);
}
