/*
 * watch -- what the invariants remember of a master, over all its lives.
 */
#ifndef PREON_TESTS_SIM_WATCH_H
#define PREON_TESTS_SIM_WATCH_H

#include "tests/sim/sim.h"

enum {
    ASKED_MAX = 4096,
    ACTIONS_MAX = 10000,
    REPLAYED_EVERY = 64, /* events: more would cost more than all else */
};

struct issued {
    uint64_t slice;
    uint64_t attempt;
    uint32_t node;
};

struct asked {
    uint32_t link;
    uint32_t request;
    uint64_t slice;
    uint64_t attempt;
};

struct sim_watch {
    struct issued *issued; /* every ASSIGN, over all lives of the master */
    size_t issued_count, issued_cap;
    struct asked asked[ASKED_MAX]; /* VOTE requests, the latest ones */
    size_t asked_count;
    struct record_final *told; /* by slice; attempt and basis 0: not told final yet */
    bool *is_told;
    bool *was_told;         /* when its present life began */
    uint64_t *seen_on_disk; /* by slice: the sum of the attempts that were there */
    uint64_t finals_seen;   /* of its present life */
    bool ending;            /* of its present life: decided */
    uint64_t records;       /* written, over all lives */
    uint64_t runs;          /* by workers */
};

#define REQUIRE(fact, ...)                                                                         \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            sim_fail(s, __VA_ARGS__);                                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define LLU(x) ((unsigned long long)(x))

#endif
