#include "common/bitset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t words_for(uint64_t bits) { return (bits + 63) / 64; }

bool bitset_init(struct bitset *b, uint64_t bit_count)
{
    assert(bit_count > 0);
    *b = (struct bitset){.bit_count = bit_count};

    uint64_t total = 0;
    uint64_t sizes[BITSET_LEVELS_MAX];
    for (uint64_t bits = bit_count; b->level_count < BITSET_LEVELS_MAX; bits = words_for(bits)) {
        sizes[b->level_count] = words_for(bits);
        total += sizes[b->level_count++];
        if (words_for(bits) == 1) {
            break;
        }
    }
    assert(total > 0);
    b->words = calloc(total, sizeof *b->words);
    if (b->words == NULL) {
        return false;
    }
    uint64_t *at = b->words;
    for (int i = 0; i < b->level_count; i++) {
        b->level[i] = at;
        at += sizes[i];
    }
    return true;
}

void bitset_fini(struct bitset *b)
{
    free(b->words);
    *b = (struct bitset){0};
}

void bitset_fill(struct bitset *b)
{
    uint64_t bits = b->bit_count;
    for (int i = 0; i < b->level_count; i++) {
        uint64_t words = words_for(bits);
        memset(b->level[i], 0xff, words * sizeof(uint64_t));
        if (bits % 64 != 0) {
            b->level[i][words - 1] = ((uint64_t)1 << (bits % 64)) - 1;
        }
        bits = words;
    }
    b->member_count = b->bit_count;
}

bool bitset_has(const struct bitset *b, uint64_t i)
{
    assert(i < b->bit_count);
    return (b->level[0][i / 64] >> (i % 64) & 1) != 0;
}

void bitset_add(struct bitset *b, uint64_t i)
{
    if (bitset_has(b, i)) {
        return;
    }
    b->member_count++;
    for (int level = 0; level < b->level_count; level++) {
        b->level[level][i / 64] |= (uint64_t)1 << (i % 64);
        i /= 64;
    }
}

void bitset_remove(struct bitset *b, uint64_t i)
{
    if (!bitset_has(b, i)) {
        return;
    }
    b->member_count--;
    for (int level = 0; level < b->level_count; level++) {
        b->level[level][i / 64] &= ~((uint64_t)1 << (i % 64));
        if (b->level[level][i / 64] != 0) {
            return; /* the summary above stays true */
        }
        i /= 64;
    }
}

uint64_t bitset_next(const struct bitset *b, uint64_t from)
{
    uint64_t bits = b->bit_count;
    for (int level = 0; level < b->level_count; level++) {
        if (from >= bits) {
            return BITSET_NONE;
        }
        uint64_t word = b->level[level][from / 64] >> (from % 64);
        if (word != 0) {
            from += (uint64_t)__builtin_ctzll(word);
            while (level > 0) { /* down again, to the first bit of each word */
                level--;
                from = from * 64 + (uint64_t)__builtin_ctzll(b->level[level][from]);
            }
            return from;
        }
        from = from / 64 + 1;
        bits = words_for(bits);
    }
    return BITSET_NONE;
}
