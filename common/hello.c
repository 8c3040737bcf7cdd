#include "common/hello.h"

#include <assert.h>

#include "common/reader.h"

enum { HELLO_TIER_MAX = 2 };

/* Texts are shown to people and compared: visible ASCII only. */
static bool text_is_plain(struct pn_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~') {
            return false;
        }
    }
    return true;
}

/* Copies to out, which holds max bytes and a terminator. */
static bool read_text(struct reader *r, size_t max, char *out)
{
    struct pn_bytes text = reader_bytes16(r, max);
    if (text.len > 0) {
        memcpy(out, text.ptr, text.len);
    }
    out[text.len] = '\0';
    return text_is_plain(text);
}

enum pn_status hello_parse(struct pn_bytes in, struct hello *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct hello h = {.version = reader_u16(&r)};
    h.features = reader_u64(&r);
    h.roles = reader_u8(&r);
    h.tier = reader_u8(&r);
    h.slots = reader_u16(&r);
    h.port = reader_u16(&r);
    h.token = reader_u64(&r);
    h.rate_khs = reader_u32(&r);
    bool plain = read_text(&r, HELLO_CLASS_MAX, h.machine_class);
    h.program_count = reader_u8(&r);
    if (r.bad || h.version == 0) {
        return pn_fail(err, PN_E_MALFORMED, "hello: bad length or version (%zu bytes)", in.len);
    }
    if (h.program_count > HELLO_PROGRAMS_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "hello: %u programs, at most %d", h.program_count,
                       HELLO_PROGRAMS_MAX);
    }
    for (size_t i = 0; i < h.program_count; i++) {
        plain = read_text(&r, HELLO_PROGRAM_BYTES_MAX, h.programs[i]) && plain;
        plain = h.programs[i][0] != '\0' && plain;
    }
    if (r.bad || !plain) {
        return pn_fail(err, PN_E_MALFORMED, "hello: bad text (%zu bytes)", in.len);
    }
    /* A tier of a later version is not one that we may rely on. */
    if (h.tier > HELLO_TIER_MAX) {
        h.tier = 0;
    }
    *out = h;
    return PN_OK;
}

void hello_write(const struct hello *h, struct writer *w)
{
    assert(h->program_count <= HELLO_PROGRAMS_MAX);
    writer_u16(w, h->version);
    writer_u64(w, h->features);
    writer_u8(w, h->roles);
    writer_u8(w, h->tier);
    writer_u16(w, h->slots);
    writer_u16(w, h->port);
    writer_u64(w, h->token);
    writer_u32(w, h->rate_khs);
    writer_bytes16(w, pn_bytes_str(h->machine_class));
    writer_u8(w, h->program_count);
    for (size_t i = 0; i < h->program_count; i++) {
        writer_bytes16(w, pn_bytes_str(h->programs[i]));
    }
}
