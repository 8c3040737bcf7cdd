/*
 * content -- one file as its hashes see it: which blocks are here, and whether bytes are a block.
 *
 * A core: no disk. The root names the content; the list of leaves is believed once its root is
 * right. A file of one block needs no list: its one leaf follows from the root.
 */
#ifndef PREON_PEER_STORE_CONTENT_H
#define PREON_PEER_STORE_CONTENT_H

#include "common/bitset.h"
#include "common/hash.h"
#include "common/status.h"

struct content {
    struct digest root;
    uint64_t size;
    uint32_t block_count;
    struct digest *leaves; /* NULL until known; never changes afterwards; owned */
    struct bitset had;     /* block_count bits, at least one */
};

/* Nothing is here yet. PN_E_TOO_BIG over FILE_BYTES_MAX, PN_E_NO_MEMORY. */
enum pn_status content_init(struct content *c, const struct digest *root, uint64_t size);
void content_fini(struct content *c);

/* Copies block_count leaves (none for a file of one). PN_E_MISMATCH: they have another root. */
enum pn_status content_set_leaves(struct content *c, const struct digest *leaves);
bool content_has_leaves(const struct content *c); /* true for files of at most one block */

/* Are these the bytes of the block? Needs leaves (content_has_leaves); index < block_count. */
bool content_is_block(const struct content *c, uint32_t index, struct pn_bytes bytes);

bool content_whole(const struct content *c);

/* The set of blocks as it is kept in a file: a bit each, lowest first; spare bits are 0. */
static inline size_t content_record_bytes(const struct content *c)
{
    return (c->block_count + 7u) / 8u;
}

/* Byte `at` of that record (at < content_record_bytes). */
uint8_t content_record_byte(const struct content *c, size_t at);

/* Marks what a record says; false (and nothing marked) when its length or spare bits are wrong. */
bool content_read_record(struct content *c, struct pn_bytes record);

#endif
