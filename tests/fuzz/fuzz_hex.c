/* Any text as hexadecimal digits: refused, or bytes that are written as the same digits. */
#include "common/digest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { BYTES_MAX = 256 };
    const struct pn_bytes in = fuzz_exact(data, size);
    const char *text = (const char *)in.ptr;
    uint8_t bytes[BYTES_MAX];
    char again[2 * BYTES_MAX + 1];
    struct digest digest;
    size_t len = size / 2 < BYTES_MAX ? size / 2 : BYTES_MAX;
    if (hex_parse(text, size, bytes, len)) {
        hex_write((struct pn_bytes){bytes, len}, again);
        assert(size == 2 * len && memcmp(again, text, size) == 0);
    }
    if (digest_parse(text, size, &digest)) {
        assert(size == (size_t)2 * DIGEST_BYTES && memcmp(digest.b, bytes, DIGEST_BYTES) == 0);
    }
    fuzz_free(in);
    return 0;
}
