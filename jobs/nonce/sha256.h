/*
 * sha256 -- SHA-256 in portable C, with its inner state in the open.
 *
 * The job programs are static and need no library; nonce search needs midstates, which libraries
 * hide. Everything fast is compared with this, and this with OpenSSL and with published values.
 */
#ifndef PREON_JOBS_NONCE_SHA256_H
#define PREON_JOBS_NONCE_SHA256_H

#include "common/bytes.h"

enum { SHA256_BLOCK_BYTES = 64, SHA256_DIGEST_BYTES = 32, SHA256_WORDS = 8, SHA256_ROUNDS = 64 };

extern const uint32_t sha256_initial[SHA256_WORDS];
extern const uint32_t sha256_k[SHA256_ROUNDS];

struct sha256 {
    uint32_t h[SHA256_WORDS];
    uint64_t bytes; /* hashed so far; bytes % 64 of them wait in block */
    uint8_t block[SHA256_BLOCK_BYTES];
};

/* Takes one block into the state. The words are the block's bytes read big-endian. */
void sha256_compress(uint32_t h[SHA256_WORDS], const uint32_t words[16]);

/* The sixteen message words of a block. */
void sha256_words(const uint8_t block[SHA256_BLOCK_BYTES], uint32_t words[16]);

void sha256_init(struct sha256 *s);
/* Goes on from a midstate after `bytes` bytes, a multiple of 64. */
void sha256_resume(struct sha256 *s, const uint32_t h[SHA256_WORDS], uint64_t bytes);
void sha256_update(struct sha256 *s, struct pn_bytes in);
void sha256_final(struct sha256 *s, uint8_t digest[SHA256_DIGEST_BYTES]);

/* All at once. */
void sha256_of(struct pn_bytes in, uint8_t digest[SHA256_DIGEST_BYTES]);

#endif
