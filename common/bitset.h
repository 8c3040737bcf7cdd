/*
 * bitset -- a set of small integers in which the next member is found in O(log n).
 *
 * Each level holds one bit per 64-bit word of the level below ("this word is not 0"). A million
 * slices take 128 KiB; ten million 1.3 MB.
 */
#ifndef PREON_COMMON_BITSET_H
#define PREON_COMMON_BITSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BITSET_LEVELS_MAX = 6 }; /* 64^6 bits: more than memory holds */

struct bitset {
    uint64_t bit_count;
    uint64_t member_count;
    uint64_t *words; /* all levels, lowest first; owned, freed by bitset_fini */
    uint64_t *level[BITSET_LEVELS_MAX];
    int level_count;
};

#define BITSET_NONE UINT64_MAX

/* Empty, for members 0 .. bit_count-1 (bit_count >= 1). False when memory is short. */
bool bitset_init(struct bitset *b, uint64_t bit_count);
void bitset_fini(struct bitset *b);

/* Makes every integer below bit_count a member. */
void bitset_fill(struct bitset *b);

void bitset_add(struct bitset *b, uint64_t i);
void bitset_remove(struct bitset *b, uint64_t i);
bool bitset_has(const struct bitset *b, uint64_t i);

/* The lowest member >= from, or BITSET_NONE. from may be bit_count or more. */
uint64_t bitset_next(const struct bitset *b, uint64_t from);

#endif
