/*
 * nonce_puzzle -- what is searched: a block, how a nonce is put behind it, how that is hashed, and
 * which digests are hits.
 *
 * message = block, nonce, suffix. Of the digest a *key* is made, a number of 256 bits: the digest's
 * bytes as they are (msb), each with its bits reversed (lsb), or the bytes in reverse order
 * (reversed, for block headers). A nonce is a hit when key <= target; D leading zero bits are the
 * target 2^(256-D) - 1. The key's top 32 bits are its *word*, which the windows of a slice report.
 */
#ifndef PREON_JOBS_NONCE_PUZZLE_H
#define PREON_JOBS_NONCE_PUZZLE_H

#include "common/buffer.h"
#include "common/hex.h"
#include "jobs/nonce/nonce_range.h"
#include "jobs/nonce/sha256.h"

enum nonce_append {
    NONCE_DECIMAL, /* as text, no leading zeros */
    NONCE_HEX,     /* as text, lower case, no leading zeros */
    NONCE_BE32,    /* four bytes, big-endian */
    NONCE_LE32,
    NONCE_BE64,
    NONCE_LE64,
};

enum nonce_hash {
    NONCE_SHA256D,   /* SHA-256 of the SHA-256 */
    NONCE_SHA256,    /* once */
    NONCE_SHA256HEX, /* SHA-256 of the first digest's 64 hexadecimal digits */
};

enum nonce_order { NONCE_MSB, NONCE_LSB, NONCE_REVERSED };

enum nonce_goal {
    NONCE_FIRST,  /* any hit answers the job */
    NONCE_LOWEST, /* the lowest hit of the range answers the job */
    NONCE_ALL,    /* every hit is wanted */
};

enum { NONCE_SUFFIX_BYTES_MAX = 1024, NONCE_TEXT_BYTES_MAX = 20, NONCE_KEY_BYTES = 32 };

struct nonce_puzzle {
    uint32_t midstate[SHA256_WORDS]; /* of the block's whole 64-byte pieces */
    uint64_t midstate_bytes;         /* how many bytes those are */
    uint8_t tail[SHA256_BLOCK_BYTES];
    uint32_t tail_len; /* the block's bytes behind the midstate, 0 .. 63 */
    uint32_t suffix_len;
    uint8_t suffix[NONCE_SUFFIX_BYTES_MAX];
    enum nonce_append append;
    enum nonce_hash hash;
    enum nonce_order order;
    enum nonce_goal goal;
    uint8_t target[NONCE_KEY_BYTES]; /* big-endian */
    struct nonce_range range;        /* of the whole job */
};

/* Sets midstate and tail from a block of any length. */
void nonce_puzzle_set_block(struct nonce_puzzle *p, struct pn_bytes block);

/* Target of `bits` leading zero bits (0 .. 256). */
void nonce_puzzle_set_zeros(struct nonce_puzzle *p, uint32_t bits);

/* The greatest nonce that the encoding can hold. */
uint64_t nonce_puzzle_nonce_max(enum nonce_append append);

/* The bytes that stand for the nonce in the message; returns how many. */
size_t nonce_puzzle_encode(enum nonce_append append, uint64_t nonce,
                           uint8_t out[NONCE_TEXT_BYTES_MAX]);

void nonce_puzzle_digest(const struct nonce_puzzle *p, uint64_t nonce,
                         uint8_t digest[SHA256_DIGEST_BYTES]);

void nonce_puzzle_key(const struct nonce_puzzle *p, const uint8_t digest[SHA256_DIGEST_BYTES],
                      uint8_t key[NONCE_KEY_BYTES]);

/* Hashes one nonce: its key's word, and whether it is a hit (NULL: not asked). */
uint32_t nonce_puzzle_word(const struct nonce_puzzle *p, uint64_t nonce, bool *hit);

/* Leading zero bits of a key, 0 .. 256. */
uint32_t nonce_puzzle_zero_bits(const uint8_t key[NONCE_KEY_BYTES]);

/* The probability that one nonce is a hit. */
double nonce_puzzle_chance(const struct nonce_puzzle *p);

/*
 * A shell line that recomputes the digest of a nonce with printf, cat, openssl and sha256sum.
 * block is what stands before the nonce, or block_file the name of the file that holds it; where
 * only a midstate is known, "" stands for a file that the user is to name in $BLOCK.
 */
enum pn_status nonce_puzzle_shell_line(const struct nonce_puzzle *p, struct pn_bytes block,
                                       const char *block_file, uint64_t nonce, struct buffer *out);

#endif
