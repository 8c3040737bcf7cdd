/*
 * spread -- which block to give to somebody who asks for "any I lack".
 *
 * The one sent least so far, so that every block leaves a sole source about once before any leaves
 * it twice; the peers pass them on among themselves.
 */
#ifndef PREON_PEER_SWARM_SPREAD_H
#define PREON_PEER_SWARM_SPREAD_H

#include "common/bitset.h"
#include "peer/wire/data.h"

struct spread {
    uint32_t block_count;
    uint16_t *sent; /* how often each block was given out; owned */
};

#define SPREAD_NONE UINT32_MAX

/* False when memory is short. */
bool spread_init(struct spread *s, uint32_t block_count);
void spread_fini(struct spread *s);

/*
 * The block to send for an ask of any (ask->any; its window may exceed the set). had: the blocks
 * that are here, NULL for all. given: those already promised to this asker and not yet sent.
 * SPREAD_NONE when there is nothing to give.
 */
uint32_t spread_pick(const struct spread *s, const struct data_block_ask *ask,
                     const struct bitset *had, const uint32_t *given, size_t given_count);

/* The block is being sent, for whatever reason. */
void spread_count(struct spread *s, uint32_t block);

#endif
