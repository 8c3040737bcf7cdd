/*
 * traits -- the words that a peer says of itself or a master asks for, as keyed hashes.
 *
 * They mean nothing to a tracker. A collision costs a HIRE that is answered PASS.
 */
#ifndef PREON_TRACKER_TRAITS_H
#define PREON_TRACKER_TRAITS_H

#include "common/trackline.h"

struct traits {
    uint32_t word[TRACKLINE_WORDS_MAX]; /* 0 ends the list */
};

/* words: as in a trackline. The same seed for all that are compared. */
struct traits traits_of(uint64_t seed, struct pn_bytes words);

/* Whether each of the needs is among the abilities. */
bool traits_have_all(const struct traits *abilities, const struct traits *needs);

#endif
