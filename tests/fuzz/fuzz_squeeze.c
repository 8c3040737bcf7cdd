/* A block as it came compressed: undone to exactly its length or refused; what we squeeze returns.
 */
#include "peer/swarm/squeeze.h"
#include "tests/fuzz/fuzz.h"

static void undo(struct pn_bytes in, size_t len)
{
    uint8_t *out = malloc(len + (len == 0)); /* exact: one byte too many would be seen */
    assert(out != NULL);
    (void)squeeze_undo(in, out, len);
    free(out);
}

static void round_trip(struct pn_bytes block)
{
    uint8_t *packed = malloc(block.len + (block.len == 0));
    uint8_t *out = malloc(block.len + (block.len == 0));
    assert(packed != NULL && out != NULL);
    size_t len = squeeze_block(block, packed);
    assert(len == 0 || len < block.len);
    if (len > 0) {
        struct pn_bytes exact = fuzz_exact(packed, len);
        bool undone = squeeze_undo(exact, out, block.len);
        assert(undone && memcmp(out, block.ptr, block.len) == 0);
        assert(!squeeze_undo((struct pn_bytes){exact.ptr, len - 1}, out, block.len));
        assert(!squeeze_undo(exact, out, block.len - 1));
        fuzz_free(exact);
    }
    free(packed);
    free(out);
}

/* The first two bytes say how long the block should be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct pn_bytes in = fuzz_exact(data + 2, size - 2);
    undo(in, (size_t)(data[0] | data[1] << 8));
    round_trip(in);
    fuzz_free(in);
    return 0;
}
