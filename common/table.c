#include "common/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_MIN = 16 };

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with 1 and 3 rounds. */
uint64_t table_hash(uint64_t seed, const void *key, size_t len)
{
    uint64_t v[4] = {0x736f6d6570736575u ^ seed, 0x646f72616e646f6du ^ ~seed,
                     0x6c7967656e657261u ^ seed, 0x7465646279746573u ^ ~seed};
    const uint8_t *at = key;
    uint64_t last = (uint64_t)len << 56;
    for (; len >= 8; at += 8, len -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < len; i++) {
        last |= (uint64_t)at[i] << (8 * i);
    }
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void table_init(struct table *t, size_t key_bytes, size_t count_max, uint64_t seed)
{
    *t = (struct table){.key_bytes = key_bytes, .count_max = count_max, .seed = seed};
}

void table_fini(struct table *t)
{
    free(t->keys);
    free(t->values);
    table_init(t, t->key_bytes, t->count_max, t->seed);
}

static uint8_t *key_at(const struct table *t, size_t place)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the analyzer overlooks that grow() sets keys */
    return t->keys + place * t->key_bytes;
}

static size_t home_of(const struct table *t, const void *key)
{
    return (size_t)table_hash(t->seed, key, t->key_bytes) & (t->cap - 1);
}

/* Where the key is, or the free place where it would go. cap > count, so the walk ends. */
static size_t find(const struct table *t, const void *key)
{
    size_t place = home_of(t, key);
    while (t->values[place] != NULL && memcmp(key_at(t, place), key, t->key_bytes) != 0) {
        place = (place + 1) & (t->cap - 1);
    }
    return place;
}

static enum pn_status grow(struct table *t)
{
    struct table bigger = *t;
    bigger.cap = t->cap == 0 ? CAP_MIN : t->cap * 2;
    bigger.keys = malloc(bigger.cap * t->key_bytes);
    bigger.values = calloc(bigger.cap, sizeof *bigger.values);
    if (bigger.keys == NULL || bigger.values == NULL) {
        free(bigger.keys);
        free(bigger.values);
        return PN_E_NO_MEMORY;
    }
    for (size_t i = 0; i < t->cap; i++) {
        if (t->values[i] != NULL) {
            size_t place = find(&bigger, key_at(t, i));
            memcpy(key_at(&bigger, place), key_at(t, i), t->key_bytes);
            bigger.values[place] = t->values[i];
        }
    }
    free(t->keys);
    free(t->values);
    *t = bigger;
    return PN_OK;
}

void *table_get(const struct table *t, const void *key)
{
    return t->count == 0 ? NULL : t->values[find(t, key)];
}

enum pn_status table_put(struct table *t, const void *key, void *value)
{
    assert(value != NULL);
    if (t->cap > 0) {
        size_t place = find(t, key);
        if (t->values[place] != NULL) {
            t->values[place] = value;
            return PN_OK;
        }
    }
    if (t->count >= t->count_max) {
        return PN_E_FULL;
    }
    if (t->count >= t->cap / 4 * 3) { /* also when cap is 0 */
        enum pn_status status = grow(t);
        if (status != PN_OK) {
            return status;
        }
    }
    size_t place = find(t, key);
    memcpy(key_at(t, place), key, t->key_bytes);
    t->values[place] = value;
    t->count++;
    return PN_OK;
}

void *table_remove(struct table *t, const void *key)
{
    if (t->count == 0) {
        return NULL;
    }
    size_t hole = find(t, key);
    void *value = t->values[hole];
    if (value == NULL) {
        return NULL;
    }
    /* Backward shift: an entry may fill the hole if its home is not between hole and itself. */
    for (size_t i = (hole + 1) & (t->cap - 1); t->values[i] != NULL; i = (i + 1) & (t->cap - 1)) {
        size_t home = home_of(t, key_at(t, i));
        if (((i - home) & (t->cap - 1)) >= ((i - hole) & (t->cap - 1))) {
            memcpy(key_at(t, hole), key_at(t, i), t->key_bytes);
            t->values[hole] = t->values[i];
            hole = i;
        }
    }
    t->values[hole] = NULL;
    t->count--;
    return value;
}

void *table_next(const struct table *t, size_t *place)
{
    while (*place < t->cap) {
        void *value = t->values[(*place)++];
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
