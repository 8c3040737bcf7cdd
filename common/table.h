/*
 * table -- a bounded hash table from keys of one fixed size to pointers.
 *
 * Open addressing with linear probing and backward-shift deletion; the hash is keyed by a secret
 * seed (SipHash-1-3), so that strangers cannot choose keys that collide.
 */
#ifndef PREON_COMMON_TABLE_H
#define PREON_COMMON_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/status.h"

struct table {
    size_t key_bytes;
    size_t count;
    size_t count_max;
    size_t cap;    /* a power of two, or 0 */
    uint8_t *keys; /* cap * key_bytes */
    void **values; /* NULL marks a free place */
    uint64_t seed;
};

/* Allocates nothing yet. seed: from the owner's generator. */
void table_init(struct table *t, size_t key_bytes, size_t count_max, uint64_t seed);

/* Frees the table's own memory, not what the values point to. */
void table_fini(struct table *t);

/* NULL when there is none. */
void *table_get(const struct table *t, const void *key);

/* Adds or replaces; value is not NULL. PN_E_FULL at count_max, PN_E_NO_MEMORY; then unchanged. */
enum pn_status table_put(struct table *t, const void *key, void *value);

/* Removes and returns the value, NULL when there is none. */
void *table_remove(struct table *t, const void *key);

/*
 * Walks all entries in an order without meaning: start with *place = 0; NULL at the end. Adding or
 * removing while walking is not allowed.
 */
void *table_next(const struct table *t, size_t *place);

/* SipHash-1-3 of len bytes under (seed, ~seed); for hash tables only. */
uint64_t table_hash(uint64_t seed, const void *key, size_t len);

#endif
