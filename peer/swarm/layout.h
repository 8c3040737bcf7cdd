/*
 * layout -- the blocks of a set numbered through: file after file, an empty file has none.
 *
 * Follows from the files' sizes alone, so that all who know the sizes count alike.
 */
#ifndef PREON_PEER_SWARM_LAYOUT_H
#define PREON_PEER_SWARM_LAYOUT_H

#include "common/hash.h"
#include "common/status.h"

enum { LAYOUT_BLOCKS_MAX = 4 * 1024 * 1024 };

struct layout {
    uint32_t file_count;
    uint32_t block_count;
    uint64_t byte_count;
    uint64_t *sizes; /* owned, as first is */
    uint32_t *first; /* file_count + 1 of them: the number of each file's first block */
};

/* PN_E_TOO_BIG: a file over FILE_BYTES_MAX, or too many blocks. PN_E_NO_MEMORY. */
enum pn_status layout_init(struct layout *l, const uint64_t *sizes, uint32_t file_count);
void layout_fini(struct layout *l);

/* The file that holds the block (< block_count), and its number within that file. */
uint32_t layout_file(const struct layout *l, uint32_t block, uint32_t *index);

static inline uint32_t layout_file_blocks(const struct layout *l, uint32_t file)
{
    return l->first[file + 1] - l->first[file];
}

/* The bytes of one block. */
uint32_t layout_block_length(const struct layout *l, uint32_t block);

#endif
