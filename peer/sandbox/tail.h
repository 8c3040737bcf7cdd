/*
 * tail -- the first and the last part of a stream of any length.
 */
#ifndef PREON_PEER_SANDBOX_TAIL_H
#define PREON_PEER_SANDBOX_TAIL_H

#include "common/bytes.h"

enum {
    TAIL_FIRST_BYTES = 2 * 1024,
    TAIL_LAST_BYTES = 6 * 1024 - 64,
    TAIL_TEXT_BYTES = 8 * 1024, /* both, and the mark between them */
};

/* All zero is an empty one. */
struct tail {
    uint8_t first[TAIL_FIRST_BYTES];
    uint8_t last[TAIL_LAST_BYTES]; /* a ring, oldest byte at last_at once it is full */
    size_t last_at;
    uint64_t total; /* bytes seen */
};

void tail_add(struct tail *t, struct pn_bytes bytes);

/* Everything when it fits, else both parts with "[... N bytes left out ...]" between. */
size_t tail_text(const struct tail *t, uint8_t out[TAIL_TEXT_BYTES]);

#endif
