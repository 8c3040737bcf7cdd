#include "peer/store/content.h"

#include <assert.h>
#include <stdlib.h>

enum pn_status content_init(struct content *c, const struct digest *root, uint64_t size)
{
    *c = (struct content){.root = *root, .size = size};
    if (size > FILE_BYTES_MAX) {
        return PN_E_TOO_BIG;
    }
    c->block_count = block_count_for(size);
    return bitset_init(&c->had, c->block_count > 0 ? c->block_count : 1) ? PN_OK : PN_E_NO_MEMORY;
}

void content_fini(struct content *c)
{
    free(c->leaves);
    bitset_fini(&c->had);
    *c = (struct content){0};
}

bool content_has_leaves(const struct content *c)
{
    return c->block_count <= 1 || c->leaves != NULL;
}

enum pn_status content_set_leaves(struct content *c, const struct digest *leaves)
{
    if (c->leaves != NULL) {
        return PN_OK; /* those that are there had the right root */
    }
    struct digest root;
    hash_root(c->size, leaves, &root);
    if (!digest_equal(&root, &c->root)) {
        return PN_E_MISMATCH;
    }
    if (c->block_count <= 1) {
        return PN_OK;
    }
    size_t bytes = c->block_count * sizeof *leaves;
    struct digest *copy = malloc(bytes);
    if (copy == NULL) {
        return PN_E_NO_MEMORY;
    }
    memcpy(copy, leaves, bytes);
    c->leaves = copy;
    return PN_OK;
}

bool content_is_block(const struct content *c, uint32_t index, struct pn_bytes bytes)
{
    assert(index < c->block_count && content_has_leaves(c));
    if (bytes.len != block_length(c->size, index)) {
        return false;
    }
    struct digest leaf;
    hash_leaf(bytes, &leaf);
    if (c->leaves != NULL) {
        return digest_equal(&leaf, &c->leaves[index]);
    }
    struct digest root;
    hash_root(c->size, &leaf, &root);
    return digest_equal(&root, &c->root);
}

bool content_whole(const struct content *c) { return c->had.member_count == c->block_count; }

uint8_t content_record_byte(const struct content *c, size_t at)
{
    uint8_t byte = 0;
    for (uint32_t bit = 0; bit < 8; bit++) {
        size_t i = at * 8 + bit;
        if (i < c->block_count && bitset_has(&c->had, i)) {
            byte |= (uint8_t)(1u << bit);
        }
    }
    return byte;
}

bool content_read_record(struct content *c, struct pn_bytes record)
{
    uint32_t spare = c->block_count % 8;
    if (record.len != content_record_bytes(c) || record.len == 0 ||
        (spare != 0 && record.ptr[record.len - 1] >> spare != 0)) {
        return false;
    }
    for (uint32_t i = 0; i < c->block_count; i++) {
        if ((record.ptr[i / 8] >> (i % 8) & 1) != 0) {
            bitset_add(&c->had, i);
        }
    }
    return true;
}
