#include "peer/swarm/layout.h"

#include <assert.h>
#include <stdlib.h>

enum pn_status layout_init(struct layout *l, const uint64_t *sizes, uint32_t file_count)
{
    *l = (struct layout){.file_count = file_count};
    l->sizes = calloc((size_t)file_count + 1, sizeof *l->sizes);
    l->first = calloc((size_t)file_count + 1, sizeof *l->first);
    if (l->sizes == NULL || l->first == NULL) {
        layout_fini(l);
        return PN_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < file_count; i++) {
        uint32_t blocks = sizes[i] <= FILE_BYTES_MAX ? block_count_for(sizes[i]) : UINT32_MAX;
        if (blocks > LAYOUT_BLOCKS_MAX - l->block_count) {
            layout_fini(l);
            return PN_E_TOO_BIG;
        }
        l->sizes[i] = sizes[i];
        l->block_count += blocks;
        l->byte_count += sizes[i];
        l->first[i + 1] = l->block_count;
    }
    return PN_OK;
}

void layout_fini(struct layout *l)
{
    free(l->sizes);
    free(l->first);
    *l = (struct layout){0};
}

uint32_t layout_file(const struct layout *l, uint32_t block, uint32_t *index)
{
    assert(block < l->block_count);
    uint32_t low = 0; /* the last file whose first block is at most `block` is in [low, high) */
    uint32_t high = l->file_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (l->first[middle] <= block) {
            low = middle;
        } else {
            high = middle;
        }
    }
    *index = block - l->first[low];
    return low;
}

uint32_t layout_block_length(const struct layout *l, uint32_t block)
{
    uint32_t index;
    uint32_t file = layout_file(l, block, &index);
    return block_length(l->sizes[file], index);
}
