/*
 * lines -- cuts a stream into lines as they become complete.
 */
#ifndef PREON_PEER_SANDBOX_LINES_H
#define PREON_PEER_SANDBOX_LINES_H

#include "common/bytes.h"

enum { LINES_BYTES_MAX = 4 * 1024 };

/* All zero is an empty one. */
struct lines {
    uint8_t part[LINES_BYTES_MAX]; /* the start of a line whose end has not come */
    size_t len;
};

typedef void (*lines_on_line)(void *arg, struct pn_bytes line);

/* Calls on_line for every line that ends in bytes, without its LF, cut to LINES_BYTES_MAX. */
void lines_add(struct lines *l, struct pn_bytes bytes, lines_on_line on_line, void *arg);

#endif
