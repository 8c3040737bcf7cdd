/*
 * pool -- records of one size, named by small numbers; and the hash index that finds them.
 *
 * A tracker keeps a million records: numbers are half as big as pointers, and records move when the
 * pool grows. So a pointer from pool_at is valid until the next pool_take of the same pool.
 */
#ifndef PREON_TRACKER_POOL_H
#define PREON_TRACKER_POOL_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_NONE UINT32_MAX

struct pool {
    uint8_t *records; /* owned; freed by pool_fini */
    size_t record_bytes;
    uint32_t count;     /* records in use */
    uint32_t count_max; /* never more */
    uint32_t touched;   /* records ever used: what lies above was never written */
    uint32_t cap;
    uint32_t free_head; /* a list through the first four bytes of free records */
};

/* record_bytes >= 4; count_max < POOL_NONE. Allocates nothing yet. */
void pool_init(struct pool *p, size_t record_bytes, uint32_t count_max);
void pool_fini(struct pool *p);

/* A zeroed record. PN_E_FULL at count_max, PN_E_NO_MEMORY; the pool is then as it was. */
enum pn_status pool_take(struct pool *p, uint32_t *number);

/* Gives a record back; its number may be taken again at once. */
void pool_give(struct pool *p, uint32_t number);

static inline void *pool_at(const struct pool *p, uint32_t number)
{
    return p->records + (size_t)number * p->record_bytes;
}

/* Bytes of memory that are really in use. */
size_t pool_bytes(const struct pool *p);

/*
 * An open-addressing table from 32-bit hashes to record numbers. The records hold the keys: whoever
 * looks walks the numbers under a hash and compares.
 */
struct pool_index {
    uint64_t *slots; /* hash << 32 | number + 1, 0 is free; owned, freed by pool_index_fini */
    size_t cap;
    size_t count;
};

void pool_index_init(struct pool_index *ix);
void pool_index_fini(struct pool_index *ix);

/* The first number under hash, or POOL_NONE; *place is then where to go on. */
uint32_t pool_index_first(const struct pool_index *ix, uint32_t hash, size_t *place);
uint32_t pool_index_next(const struct pool_index *ix, uint32_t hash, size_t *place);

/* PN_E_NO_MEMORY: nothing is changed. */
enum pn_status pool_index_put(struct pool_index *ix, uint32_t hash, uint32_t number);

/* The pair must be there. */
void pool_index_remove(struct pool_index *ix, uint32_t hash, uint32_t number);

size_t pool_index_bytes(const struct pool_index *ix);

#endif
