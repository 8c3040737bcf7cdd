/*
 * says -- the lines that a step of the registry wants said, and to whom.
 */
#ifndef PREON_TRACKER_SAYS_H
#define PREON_TRACKER_SAYS_H

#include "common/trackline.h"

#include <assert.h>

enum { SAYS_MAX = 256 };

struct say {
    uint32_t conn;
    enum trackline_manner manner; /* TRACKLINE_ONE_SHOT_ANSWER or TRACKLINE_ANSWER */
    struct trackline line;
};

struct says {
    size_t count;
    struct pn_err err; /* where a line's text lives */
    struct say say[SAYS_MAX];
};

static inline bool says_are_full(const struct says *s) { return s->count == SAYS_MAX; }

/* The next line, zeroed but for its kind, to be filled in; the list is not full. */
static inline struct trackline *says_add(struct says *s, uint32_t conn,
                                         enum trackline_manner manner, enum trackline_kind kind)
{
    assert(s->count < SAYS_MAX);
    struct say *say = &s->say[s->count++];
    say->conn = conn;
    say->manner = manner;
    say->line = (struct trackline){.kind = kind};
    return &say->line;
}

#endif
