#include "tracker/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_CAP_MIN = 16, INDEX_CAP_MIN = 16 };

void pool_init(struct pool *p, size_t record_bytes, uint32_t count_max)
{
    assert(record_bytes >= sizeof(uint32_t) && count_max < POOL_NONE);
    *p =
        (struct pool){.record_bytes = record_bytes, .count_max = count_max, .free_head = POOL_NONE};
}

void pool_fini(struct pool *p)
{
    free(p->records);
    pool_init(p, p->record_bytes, p->count_max);
}

static enum pn_status pool_grow(struct pool *p)
{
    uint32_t cap = p->cap < POOL_CAP_MIN ? POOL_CAP_MIN : p->cap;
    /* What is above the old size is not touched, so that doubling costs address space only. */
    cap = p->cap == 0 ? cap : (cap > p->count_max / 2 ? p->count_max : cap * 2);
    uint8_t *records = realloc(p->records, (size_t)cap * p->record_bytes);
    if (records == NULL) {
        return PN_E_NO_MEMORY;
    }
    p->records = records;
    p->cap = cap;
    return PN_OK;
}

enum pn_status pool_take(struct pool *p, uint32_t *number)
{
    if (p->count == p->count_max) {
        return PN_E_FULL;
    }
    if (p->free_head == POOL_NONE && p->touched == p->cap && pool_grow(p) != PN_OK) {
        return PN_E_NO_MEMORY;
    }
    if (p->free_head != POOL_NONE) {
        *number = p->free_head;
        memcpy(&p->free_head, pool_at(p, *number), sizeof p->free_head);
    } else {
        *number = p->touched++;
    }
    p->count++;
    memset(pool_at(p, *number), 0, p->record_bytes);
    return PN_OK;
}

void pool_give(struct pool *p, uint32_t number)
{
    assert(p->count > 0 && number < p->touched);
    memcpy(pool_at(p, number), &p->free_head, sizeof p->free_head);
    p->free_head = number;
    p->count--;
}

size_t pool_bytes(const struct pool *p) { return (size_t)p->touched * p->record_bytes; }

void pool_index_init(struct pool_index *ix) { *ix = (struct pool_index){0}; }

void pool_index_fini(struct pool_index *ix)
{
    free(ix->slots);
    pool_index_init(ix);
}

static uint32_t slot_hash(uint64_t slot) { return (uint32_t)(slot >> 32); }

/* Where a hash belongs: its share of the table, whatever the table's size. */
static size_t home_of(const struct pool_index *ix, uint32_t hash)
{
    return (size_t)((uint64_t)hash * ix->cap >> 32);
}

static size_t after(const struct pool_index *ix, size_t at)
{
    return at + 1 == ix->cap ? 0 : at + 1;
}

/* Steps from one place forward to another, round the end. */
static size_t distance(const struct pool_index *ix, size_t from, size_t to)
{
    return to >= from ? to - from : to + ix->cap - from;
}

/* Looks from *place on; leaves *place behind what was found. */
uint32_t pool_index_next(const struct pool_index *ix, uint32_t hash, size_t *place)
{
    if (ix->cap == 0) {
        return POOL_NONE;
    }
    for (size_t at = *place;; at = after(ix, at)) {
        uint64_t slot = ix->slots[at];
        if (slot == 0) {
            return POOL_NONE;
        }
        if (slot_hash(slot) == hash) {
            *place = after(ix, at);
            return (uint32_t)slot - 1;
        }
    }
}

uint32_t pool_index_first(const struct pool_index *ix, uint32_t hash, size_t *place)
{
    *place = home_of(ix, hash);
    return pool_index_next(ix, hash, place);
}

static void insert(struct pool_index *ix, uint64_t slot)
{
    size_t at = home_of(ix, slot_hash(slot));
    while (ix->slots[at] != 0) {
        at = after(ix, at);
    }
    ix->slots[at] = slot;
}

/* By a quarter: doubling would leave half of a large table empty. */
static enum pn_status index_grow(struct pool_index *ix)
{
    struct pool_index bigger = {.cap = ix->cap == 0 ? INDEX_CAP_MIN : ix->cap + ix->cap / 4,
                                .count = ix->count};
    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (bigger.slots == NULL) {
        return PN_E_NO_MEMORY;
    }
    for (size_t i = 0; i < ix->cap; i++) {
        if (ix->slots[i] != 0) {
            insert(&bigger, ix->slots[i]);
        }
    }
    free(ix->slots);
    *ix = bigger;
    return PN_OK;
}

enum pn_status pool_index_put(struct pool_index *ix, uint32_t hash, uint32_t number)
{
    /* at most five sixths full, so that walks stay within a few cache lines */
    if ((ix->count + 1) * 6 > ix->cap * 5 && index_grow(ix) != PN_OK) {
        return PN_E_NO_MEMORY;
    }
    insert(ix, (uint64_t)hash << 32 | (number + 1));
    ix->count++;
    return PN_OK;
}

void pool_index_remove(struct pool_index *ix, uint32_t hash, uint32_t number)
{
    const uint64_t wanted = (uint64_t)hash << 32 | (number + 1);
    size_t hole = home_of(ix, hash);
    while (ix->slots[hole] != wanted) {
        assert(ix->slots[hole] != 0);
        hole = after(ix, hole);
    }
    /* Shift back whatever may move without ending up before its home. */
    for (size_t at = after(ix, hole); ix->slots[at] != 0; at = after(ix, at)) {
        size_t home = home_of(ix, slot_hash(ix->slots[at]));
        if (distance(ix, home, at) >= distance(ix, hole, at)) {
            ix->slots[hole] = ix->slots[at];
            hole = at;
        }
    }
    ix->slots[hole] = 0;
    ix->count--;
}

size_t pool_index_bytes(const struct pool_index *ix) { return ix->cap * sizeof *ix->slots; }
