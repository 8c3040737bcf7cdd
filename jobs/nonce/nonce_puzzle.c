#include "jobs/nonce/nonce_puzzle.h"

#include <assert.h>
#include <math.h>

void nonce_puzzle_set_block(struct nonce_puzzle *p, struct pn_bytes block)
{
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, block);
    memcpy(p->midstate, s.h, sizeof p->midstate);
    p->tail_len = (uint32_t)(block.len % SHA256_BLOCK_BYTES);
    p->midstate_bytes = block.len - p->tail_len;
    memset(p->tail, 0, sizeof p->tail);
    memcpy(p->tail, s.block, p->tail_len);
}

void nonce_puzzle_set_zeros(struct nonce_puzzle *p, uint32_t bits)
{
    assert(bits <= 8 * NONCE_KEY_BYTES);
    memset(p->target, 0xff, sizeof p->target);
    memset(p->target, 0, bits / 8);
    if (bits % 8 != 0) {
        p->target[bits / 8] = (uint8_t)(0xff >> (bits % 8));
    }
}

uint64_t nonce_puzzle_nonce_max(enum nonce_append append)
{
    return append == NONCE_BE32 || append == NONCE_LE32 ? UINT32_MAX : UINT64_MAX;
}

static size_t encode_text(uint64_t nonce, unsigned base, uint8_t out[NONCE_TEXT_BYTES_MAX])
{
    uint8_t reversed[NONCE_TEXT_BYTES_MAX];
    size_t len = 0;
    do {
        reversed[len++] = (uint8_t) "0123456789abcdef"[nonce % base];
        nonce /= base;
    } while (nonce > 0);
    for (size_t i = 0; i < len; i++) {
        out[i] = reversed[len - 1 - i];
    }
    return len;
}

static size_t encode_binary(uint64_t nonce, size_t len, bool big_endian,
                            uint8_t out[NONCE_TEXT_BYTES_MAX])
{
    for (size_t i = 0; i < len; i++) {
        out[big_endian ? len - 1 - i : i] = (uint8_t)(nonce >> (8 * i));
    }
    return len;
}

size_t nonce_puzzle_encode(enum nonce_append append, uint64_t nonce,
                           uint8_t out[NONCE_TEXT_BYTES_MAX])
{
    switch (append) {
    case NONCE_DECIMAL:
        return encode_text(nonce, 10, out);
    case NONCE_HEX:
        return encode_text(nonce, 16, out);
    case NONCE_BE32:
    case NONCE_LE32:
        return encode_binary(nonce, 4, append == NONCE_BE32, out);
    case NONCE_BE64:
    case NONCE_LE64:
        break;
    }
    return encode_binary(nonce, 8, append == NONCE_BE64, out);
}

void nonce_puzzle_digest(const struct nonce_puzzle *p, uint64_t nonce,
                         uint8_t digest[SHA256_DIGEST_BYTES])
{
    struct sha256 s;
    uint8_t text[NONCE_TEXT_BYTES_MAX];
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    size_t len = nonce_puzzle_encode(p->append, nonce, text);
    sha256_resume(&s, p->midstate, p->midstate_bytes);
    sha256_update(&s, (struct pn_bytes){p->tail, p->tail_len});
    sha256_update(&s, (struct pn_bytes){text, len});
    sha256_update(&s, (struct pn_bytes){p->suffix, p->suffix_len});
    sha256_final(&s, digest);
    switch (p->hash) {
    case NONCE_SHA256:
        return;
    case NONCE_SHA256D:
        sha256_of((struct pn_bytes){digest, SHA256_DIGEST_BYTES}, digest);
        return;
    case NONCE_SHA256HEX:
        hex_write((struct pn_bytes){digest, SHA256_DIGEST_BYTES}, hex);
        sha256_of((struct pn_bytes){(const uint8_t *)hex, 2 * (size_t)SHA256_DIGEST_BYTES}, digest);
        return;
    }
}

static uint8_t bits_reversed(uint8_t b)
{
    b = (uint8_t)((b & 0x0f) << 4 | b >> 4);
    b = (uint8_t)((b & 0x33) << 2 | (b >> 2 & 0x33));
    return (uint8_t)((b & 0x55) << 1 | (b >> 1 & 0x55));
}

void nonce_puzzle_key(const struct nonce_puzzle *p, const uint8_t digest[SHA256_DIGEST_BYTES],
                      uint8_t key[NONCE_KEY_BYTES])
{
    for (int i = 0; i < NONCE_KEY_BYTES; i++) {
        switch (p->order) {
        case NONCE_MSB:
            key[i] = digest[i];
            break;
        case NONCE_LSB:
            key[i] = bits_reversed(digest[i]);
            break;
        case NONCE_REVERSED:
            key[i] = digest[NONCE_KEY_BYTES - 1 - i];
            break;
        }
    }
}

uint32_t nonce_puzzle_word(const struct nonce_puzzle *p, uint64_t nonce, bool *hit)
{
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    nonce_puzzle_digest(p, nonce, digest);
    nonce_puzzle_key(p, digest, key);
    if (hit != NULL) {
        *hit = memcmp(key, p->target, sizeof key) <= 0;
    }
    return (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
}

uint32_t nonce_puzzle_zero_bits(const uint8_t key[NONCE_KEY_BYTES])
{
    uint32_t bits = 0;
    while (bits < 8 * NONCE_KEY_BYTES && (key[bits / 8] >> (7 - bits % 8) & 1) == 0) {
        bits++;
    }
    return bits;
}

double nonce_puzzle_chance(const struct nonce_puzzle *p)
{
    double chance = ldexp(1.0, -256); /* the target itself is a hit too */
    for (int i = 0; i < NONCE_KEY_BYTES; i++) {
        chance += ldexp((double)p->target[i], -8 * (i + 1));
    }
    return chance;
}

/* --- For people ------------------------------------------------------------------------------ */

/*
 * printf's argument for these bytes, quoted for the shell; octal where it is not plain text, and
 * where it would begin an option.
 */
static enum pn_status quoted(struct pn_bytes in, bool at_start, struct buffer *out)
{
    enum pn_status status = PN_OK;
    for (size_t i = 0; i < in.len && status == PN_OK; i++) {
        uint8_t c = in.ptr[i];
        bool plain = c >= ' ' && c < 0x7f && c != '\\' && c != '\'' && c != '%' &&
                     !(at_start && i == 0 && c == '-');
        status =
            plain ? buffer_append(out, (struct pn_bytes){&c, 1}) : buffer_printf(out, "\\%03o", c);
    }
    return status;
}

/* A file's name as one word of the shell. */
static enum pn_status quoted_name(const char *name, struct buffer *out)
{
    enum pn_status status = buffer_printf(out, "'");
    for (; *name != '\0' && status == PN_OK; name++) {
        status = *name == '\'' ? buffer_printf(out, "'\\''") : buffer_printf(out, "%c", *name);
    }
    return status == PN_OK ? buffer_printf(out, "'") : status;
}

enum pn_status nonce_puzzle_shell_line(const struct nonce_puzzle *p, struct pn_bytes block,
                                       const char *block_file, uint64_t nonce, struct buffer *out)
{
    static const char *const second[] = {
        [NONCE_SHA256D] = " | openssl dgst -sha256 -binary | sha256sum",
        [NONCE_SHA256] = " | sha256sum",
        [NONCE_SHA256HEX] = " | sha256sum | cut -c1-64 | tr -d '\\n' | sha256sum",
    };
    uint8_t text[NONCE_TEXT_BYTES_MAX];
    const bool has_file = block_file != NULL;
    const bool by_variable = has_file && block_file[0] == '\0';
    size_t len = nonce_puzzle_encode(p->append, nonce, text);
    enum pn_status status = has_file ? buffer_printf(out, "(cat -- ") : PN_OK;
    if (status == PN_OK && has_file) {
        status = by_variable ? buffer_printf(out, "\"$BLOCK\"") : quoted_name(block_file, out);
    }
    if (status == PN_OK) {
        status = buffer_printf(out, has_file ? "; printf '" : "printf '");
    }
    if (status == PN_OK && !has_file) {
        status = quoted(block, true, out);
    }
    if (status == PN_OK) {
        status = quoted((struct pn_bytes){text, len}, has_file || block.len == 0, out);
    }
    if (status == PN_OK) {
        status = quoted((struct pn_bytes){p->suffix, p->suffix_len}, false, out);
    }
    return status == PN_OK ? buffer_printf(out, "%s%s", has_file ? "')" : "'", second[p->hash])
                           : status;
}
