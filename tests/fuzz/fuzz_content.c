/*
 * What the store keeps beside a file: which blocks were had, and their leaves. Four bytes of size,
 * one that bends the root, then the record, then the leaves.
 */
#include "common/reader.h"
#include "peer/store/content.h"
#include "tests/fuzz/fuzz.h"

enum { SCALE = 256 }; /* sizes up to 2^40 */

static void check_record(struct content *c, struct pn_bytes record)
{
    if (!content_read_record(c, record)) {
        assert(c->had.member_count == 0);
        return;
    }
    for (size_t i = 0; i < record.len; i++) {
        assert(content_record_byte(c, i) == record.ptr[i]);
    }
    assert(content_whole(c) == (c->had.member_count == c->block_count));
}

static void check_leaves(struct content *c, struct pn_bytes leaves, struct pn_bytes block)
{
    if (leaves.len != c->block_count * sizeof(struct digest)) {
        return; /* as the store does */
    }
    enum pn_status status = content_set_leaves(c, (const struct digest *)leaves.ptr);
    assert(status == PN_OK || status == PN_E_MISMATCH);
    if (status == PN_OK) {
        assert(content_has_leaves(c));
        status = content_set_leaves(c, (const struct digest *)leaves.ptr);
        assert(status == PN_OK);
    }
    for (uint32_t i = 0; content_has_leaves(c) && i < c->block_count && i < 4; i++) {
        (void)content_is_block(c, i, block);
        struct pn_bytes zero = {calloc(block_length(c->size, i), 1), block_length(c->size, i)};
        assert(zero.ptr != NULL);
        (void)content_is_block(c, i, zero);
        fuzz_free(zero);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = reader_of((struct pn_bytes){data, size});
    uint64_t bytes = (uint64_t)reader_u32(&r) * SCALE;
    uint8_t bend = reader_u8(&r);
    bytes = bend % 8 == 7 ? FILE_BYTES_MAX + 1 : bytes;
    struct content c;
    struct digest root = {{0}};
    struct pn_bytes rest = fuzz_exact(r.at, r.left);
    uint32_t blocks = bytes > FILE_BYTES_MAX ? 0 : block_count_for(bytes);
    size_t record_len = (blocks + 7u) / 8u;
    record_len = bend % 4 == 3 ? rest.len : record_len; /* of another length than it should be */
    record_len = record_len < rest.len ? record_len : rest.len;
    struct pn_bytes record = fuzz_exact(rest.ptr, record_len);
    struct pn_bytes leaves = fuzz_exact(rest.ptr + record_len, rest.len - record_len);
    if (bend % 2 == 0 && leaves.len == blocks * sizeof(struct digest)) {
        hash_root(bytes, (const struct digest *)leaves.ptr, &root);
    }
    enum pn_status status = content_init(&c, &root, bytes);
    assert(status == (bytes > FILE_BYTES_MAX ? PN_E_TOO_BIG : PN_OK));
    if (status == PN_OK) {
        check_record(&c, record);
        check_leaves(&c, leaves, record);
    }
    content_fini(&c);
    fuzz_free(record);
    fuzz_free(leaves);
    fuzz_free(rest);
    return 0;
}
