/*
 * hash -- SHA-256 and the tagged hashes that name blocks, files and outputs.
 *
 * T(x) is 16 bytes, "\0preon1 " followed by x and zeros, so that no hash of one kind can pass for
 * one of another, nor for the hash of a plain file. Integers are little-endian.
 *
 *     leaf    = SHA256(T("block") ‖ bytes of the block)
 *     root    = SHA256(T("file") ‖ u64 size ‖ u8 log2(block bytes) ‖ leaf_0 … leaf_n-1)
 *     outputs = SHA256(T("outs") ‖ u8 class ‖ i32 code ‖ u32 count ‖ outputs by their names' bytes)
 *     output  = u16 length ‖ name ‖ u64 size ‖ root
 *
 * Test values: common/README.md. Everything here is pure computation and cannot fail; SHA-256 is
 * OpenSSL's.
 */
#ifndef PREON_COMMON_HASH_H
#define PREON_COMMON_HASH_H

#include "common/digest.h"
#include "common/outcome.h"

enum {
    HASH_TAG_BYTES = 16,
    BLOCK_BYTES_MIN = 256 * 1024,
    BLOCK_BYTES_MAX = 4 * 1024 * 1024,
    BLOCK_COUNT_SOFT = 4096, /* blocks double while a file has more than this many */
};

/* Files up to 2^40 bytes: at most 2^18 blocks of 4 MiB, a leaf list of 8 MiB. */
#define FILE_BYTES_MAX ((uint64_t)1 << 40)

/* T(word); word has at most 8 characters. */
void hash_tag(const char *word, uint8_t out[HASH_TAG_BYTES]);

/* Plain SHA-256: job IDs and peer IDs. */
void hash_sha256(struct pn_bytes bytes, struct digest *out);

/* The block size of a file: a function of its size alone. size <= FILE_BYTES_MAX. */
uint32_t block_bytes_for(uint64_t size);

/* ⌈size / block size⌉; 0 for an empty file. */
uint32_t block_count_for(uint64_t size);

/* The length of block `index` (< block_count_for(size)): the block size, or less for the last. */
uint32_t block_length(uint64_t size, uint32_t index);

void hash_leaf(struct pn_bytes block, struct digest *out);

/* leaves: block_count_for(size) of them. */
void hash_root(uint64_t size, const struct digest *leaves, struct digest *out);

/* One output file of an attempt. */
struct output {
    const char *name; /* borrowed; a manifest's output name */
    uint64_t size;
    struct digest root;
};

/*
 * The hash that is voted on. Outputs are in ascending order of their names' bytes, as the manifest
 * keeps them, and there are none unless the slice exited with 0. Class and code: outcome.h.
 */
void hash_outputs(enum outcome_class class, int32_t code, const struct output *outputs,
                  uint32_t count, struct digest *out);

/*
 * Incremental root of a file that streams by: new, update with any pieces, final, free.
 * Owns its list of leaves.
 */
struct hash_stream;
struct hash_stream *hash_stream_new(uint64_t size); /* <= FILE_BYTES_MAX; NULL: memory is short */
void hash_stream_free(struct hash_stream *s);       /* NULL is fine */

/* False when these bytes would make more than `size`; nothing is then taken of them. */
bool hash_stream_update(struct hash_stream *s, struct pn_bytes bytes);

/*
 * False while fewer than `size` bytes were given. *leaves points to block_count_for(size) digests
 * owned by s.
 */
bool hash_stream_final(struct hash_stream *s, struct digest *root, const struct digest **leaves);

#endif
