/*
 * human -- numbers as people read them.
 */
#ifndef PREON_TOOLS_HUMAN_H
#define PREON_TOOLS_HUMAN_H

#include <stddef.h>
#include <stdint.h>

enum { HUMAN_BYTES = 48 };

/* "812", "61.2 k", "1.07 G": three digits and a power of a thousand. Returns out, as all here. */
const char *human_count(double n, char out[HUMAN_BYTES]);

/* "1 slice", "12 slices": a whole number of what the word names one of. */
const char *human_many(double n, const char *one, char out[HUMAN_BYTES]);

/* "0.4 s", "17 s", "3 min 20 s", "2 h 5 min", "4 d 3 h". */
const char *human_duration(uint64_t ms, char out[HUMAN_BYTES]);

/* "61.2 M hashes/s"; "" when the rate is not known (0). */
const char *human_rate(double per_s, const char *unit, char out[HUMAN_BYTES]);

/* "[####....]": width places between the brackets; share is 0 .. 1. */
const char *human_bar(double share, size_t width, char out[HUMAN_BYTES]);

#endif
