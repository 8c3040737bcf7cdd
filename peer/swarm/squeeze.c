#include "peer/swarm/squeeze.h"

#include <zlib.h>

enum {
    SAMPLE_BYTES = 8 * 1024,
    LEVEL = 1, /* the wire is waiting */
};

static size_t deflate_all(struct pn_bytes in, uint8_t *out, size_t cap)
{
    z_stream z = {0};
    (void)deflateInit(&z, LEVEL);           /* when it fails, deflate does */
    z.next_in = (Bytef *)(uintptr_t)in.ptr; /* zlib does not write to it */
    z.avail_in = (uInt)in.len;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    int end = deflate(&z, Z_FINISH);
    size_t len = end == Z_STREAM_END ? cap - z.avail_out : 0;
    (void)deflateEnd(&z);
    return len;
}

size_t squeeze_block(struct pn_bytes block, uint8_t *out)
{
    if (block.len < 64) {
        return 0;
    }
    struct pn_bytes sample = {block.ptr, block.len < SAMPLE_BYTES ? block.len : SAMPLE_BYTES};
    if (deflate_all(sample, out, sample.len - sample.len / 8) == 0) {
        return 0;
    }
    return deflate_all(block, out, block.len - block.len / 16);
}

bool squeeze_undo(struct pn_bytes encoded, uint8_t *out, size_t len)
{
    z_stream z = {0};
    (void)inflateInit(&z); /* when it fails, inflate does */
    z.next_in = (Bytef *)(uintptr_t)encoded.ptr;
    z.avail_in = (uInt)encoded.len;
    z.next_out = out;
    z.avail_out = (uInt)len;
    int end = inflate(&z, Z_FINISH);
    bool exact = end == Z_STREAM_END && z.avail_in == 0 && z.avail_out == 0;
    (void)inflateEnd(&z);
    return exact;
}
