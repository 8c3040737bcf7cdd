/*
 * squeeze -- zlib for blocks: tried on a sample, undone to exactly the length that is expected.
 */
#ifndef PREON_PEER_SWARM_SQUEEZE_H
#define PREON_PEER_SWARM_SQUEEZE_H

#include "common/bytes.h"

/*
 * Compresses block into out (block.len bytes of room). 0 when it is not worth it: a sample of the
 * first bytes hardly shrinks, or the whole does not. Random bytes cost the sample only.
 */
size_t squeeze_block(struct pn_bytes block, uint8_t *out);

/* False unless the encoded bytes, all of them, yield exactly len bytes. Never writes more. */
bool squeeze_undo(struct pn_bytes encoded, uint8_t *out, size_t len);

#endif
