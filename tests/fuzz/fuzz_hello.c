/* Any bytes: no HELLO, or one whose texts are plain and which is written back as it came. */
#include <assert.h>
#include <stdlib.h>

#include "common/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(const char *text, size_t max)
{
    size_t len = strlen(text);
    assert(len <= max);
    for (size_t i = 0; i < len; i++) {
        assert(text[i] > ' ' && text[i] <= '~');
    }
}

static void check(const struct hello *h, struct pn_bytes in)
{
    assert(h->version > 0 && h->tier <= 2 && h->program_count <= HELLO_PROGRAMS_MAX);
    check_text(h->machine_class, HELLO_CLASS_MAX);
    for (size_t i = 0; i < h->program_count; i++) {
        check_text(h->programs[i], HELLO_PROGRAM_BYTES_MAX);
    }
    enum { TIER_AT = 11 };
    uint8_t out[HELLO_BYTES_MAX];
    struct writer w = writer_of(out, sizeof out);
    hello_write(h, &w);
    assert(!w.full && w.len <= in.len); /* a later version may have said more */
    out[TIER_AT] = in.ptr[TIER_AT];     /* an unknown one is read as none */
    assert(memcmp(out, in.ptr, w.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len + (len == 0));
    if (exact == NULL) {
        return 0;
    }
    memcpy(exact, bytes, len);
    struct hello h;
    struct pn_err err;
    if (hello_parse((struct pn_bytes){exact, len}, &h, &err) == PN_OK) {
        check(&h, (struct pn_bytes){exact, len});
    }
    free(exact);
    return 0;
}
