/*
 * turns -- which of the slices that wait for memory is started next. Nothing acts here: the shell
 * asks, starts, and tells.
 *
 * The oldest goes first, as soon as there is room for it. Until then younger ones may pass, but
 * only as many as fit in beside it: once what ran before it became the oldest has ended, it runs.
 */
#ifndef PREON_PEER_WORKER_TURNS_H
#define PREON_PEER_WORKER_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

enum { TURNS_NOBODY = INT32_MAX };

enum turn_state { TURN_FREE, TURN_WAITS, TURN_RUNS };

struct turn {
    enum turn_state state;
    bool passed; /* runs, and the oldest that waits came before it */
    uint64_t serial;
    uint64_t weight;
};

struct turns {
    struct turn *places; /* owned */
    uint32_t place_count;
    uint64_t budget; /* of the weights of all that run, or of one that runs alone; 0: no matter */
    uint64_t last_serial;
};

/* PN_E_NO_MEMORY: *t holds nothing, turns_fini is allowed. */
enum pn_status turns_init(struct turns *t, uint32_t place_count, uint64_t budget);
void turns_fini(struct turns *t);

/* The free place has a slice, and waits behind all others. */
void turns_wait(struct turns *t, uint32_t place, uint64_t weight);

/* Whose turn it is, of those that wait; TURNS_NOBODY. */
uint32_t turns_next(const struct turns *t);

/* The place that waited runs. */
void turns_start(struct turns *t, uint32_t place);

/* The place waits or runs no more. */
void turns_end(struct turns *t, uint32_t place);

#endif
