#include "jobs/nonce/nonce_verify.h"

#include <assert.h>
#include <inttypes.h>

enum pn_status nonce_verify(const struct nonce_puzzle *p, uint64_t nonce, struct nonce_proof *out,
                            struct pn_err *err)
{
    uint64_t max = nonce_puzzle_nonce_max(p->append);
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    if (nonce > max) {
        return pn_fail(err, PN_E_RANGE, "--nonce: %" PRIu64 " is over the last nonce, %" PRIu64,
                       nonce, max);
    }
    nonce_puzzle_digest(p, nonce, digest);
    nonce_puzzle_key(p, digest, key);
    hex_write((struct pn_bytes){digest, sizeof digest}, out->digest);
    out->zero_bits = nonce_puzzle_zero_bits(key);
    out->hit = memcmp(key, p->target, sizeof key) <= 0;
    return PN_OK;
}

/* The bytes of hex digits that nonce_args_puzzle has accepted, without the last `drop` ones. */
static enum pn_status bytes_of_hex(const char *text, size_t drop, struct buffer *out)
{
    size_t len = strlen(text) / 2 - drop;
    uint8_t *at = buffer_room(out, len);
    if (at == NULL) {
        return PN_E_NO_MEMORY;
    }
    bool valid = hex_parse(text, 2 * len, at, len);
    assert(valid);
    buffer_used(out, len);
    return PN_OK;
}

enum pn_status nonce_verify_line(const struct args *a, const struct nonce_puzzle *p, uint64_t nonce,
                                 struct buffer *out, struct pn_err *err)
{
    enum { HEADER_NONCE_BYTES = 4 };
    struct buffer block;
    const char *file = args_given(a, "midstate") ? "" : args_text(a, "block-file");
    buffer_init(&block, NONCE_BLOCK_BYTES_MAX);
    enum pn_status status = PN_OK;
    if (file != NULL) {
        block.len = 0; /* the shell reads it */
    } else if (args_given(a, "header")) {
        status = bytes_of_hex(args_text(a, "header"), HEADER_NONCE_BYTES, &block);
    } else if (args_given(a, "block-hex")) {
        status = bytes_of_hex(args_text(a, "block-hex"), 0, &block);
    } else {
        status = buffer_append(&block, pn_bytes_str(args_text(a, "block")));
    }
    if (status == PN_OK) {
        status = nonce_puzzle_shell_line(p, buffer_bytes(&block), file, nonce, out);
    }
    buffer_fini(&block);
    return status == PN_OK ? PN_OK : pn_fail(err, status, "shell line: %s", pn_status_text(status));
}

enum pn_status nonce_verify_words(const char *const *argv, size_t argc, uint64_t nonce,
                                  struct buffer *out, struct pn_err *err)
{
    struct args a;
    struct nonce_puzzle p;
    enum pn_status status = args_parse(&nonce_args_words, argv, argc, &a, err);
    if (status != PN_OK) {
        return status;
    }
    status = nonce_args_puzzle(&a, NULL, &p, err);
    if (status == PN_OK) {
        status = nonce_verify_line(&a, &p, nonce, out, err);
    }
    args_fini(&a);
    return status;
}
