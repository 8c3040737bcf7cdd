/*
 * The SHA256_* calls and not EVP: they work on the stack, so that naming a block cannot fail for
 * want of memory, and they run the same assembly. OpenSSL 3 has them under this level of its API.
 */
#define OPENSSL_API_COMPAT 10101

#include "common/hash.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "common/reader.h"
#include "common/writer.h"

void hash_tag(const char *word, uint8_t out[HASH_TAG_BYTES])
{
    struct writer w = writer_of(out, HASH_TAG_BYTES);
    memset(out, 0, HASH_TAG_BYTES);
    writer_copy(&w, "\0preon1 ", 8);
    writer_bytes(&w, pn_bytes_str(word));
    assert(!w.full);
}

static void begin(SHA256_CTX *sha, const char *word)
{
    uint8_t tag[HASH_TAG_BYTES];
    hash_tag(word, tag);
    (void)SHA256_Init(sha);
    (void)SHA256_Update(sha, tag, sizeof tag);
}

static void add(SHA256_CTX *sha, struct pn_bytes bytes)
{
    (void)SHA256_Update(sha, bytes.ptr, bytes.len);
}

static void end(SHA256_CTX *sha, struct digest *out) { (void)SHA256_Final(out->b, sha); }

void hash_sha256(struct pn_bytes bytes, struct digest *out)
{
    SHA256_CTX sha;
    (void)SHA256_Init(&sha);
    add(&sha, bytes);
    end(&sha, out);
}

uint32_t block_bytes_for(uint64_t size)
{
    assert(size <= FILE_BYTES_MAX);
    uint32_t bytes = BLOCK_BYTES_MIN;
    while (bytes < BLOCK_BYTES_MAX && size > (uint64_t)BLOCK_COUNT_SOFT * bytes) {
        bytes *= 2;
    }
    return bytes;
}

uint32_t block_count_for(uint64_t size)
{
    uint64_t bytes = block_bytes_for(size);
    return (uint32_t)((size + bytes - 1) / bytes);
}

uint32_t block_length(uint64_t size, uint32_t index)
{
    uint64_t bytes = block_bytes_for(size);
    uint64_t before = index * bytes;
    assert(before < size);
    return (uint32_t)(size - before < bytes ? size - before : bytes);
}

void hash_leaf(struct pn_bytes block, struct digest *out)
{
    SHA256_CTX sha;
    begin(&sha, "block");
    add(&sha, block);
    end(&sha, out);
}

static uint8_t log2_of(uint32_t power)
{
    uint8_t log = 0;
    while (power >> log > 1) {
        log++;
    }
    return log;
}

void hash_root(uint64_t size, const struct digest *leaves, struct digest *out)
{
    uint8_t head[9];
    struct writer w = writer_of(head, sizeof head);
    writer_u64(&w, size);
    writer_u8(&w, log2_of(block_bytes_for(size)));
    SHA256_CTX sha;
    begin(&sha, "file");
    add(&sha, writer_done(&w));
    for (uint32_t i = 0; i < block_count_for(size); i++) {
        add(&sha, digest_bytes(&leaves[i]));
    }
    end(&sha, out);
}

void hash_outputs(enum outcome_class class, int32_t code, const struct output *outputs,
                  uint32_t count, struct digest *out)
{
    uint8_t head[9];
    struct writer w = writer_of(head, sizeof head);
    writer_u8(&w, (uint8_t) class);
    writer_u32(&w, (uint32_t)code);
    writer_u32(&w, count);
    SHA256_CTX sha;
    begin(&sha, "outs");
    add(&sha, writer_done(&w));
    for (uint32_t i = 0; i < count; i++) {
        struct pn_bytes name = pn_bytes_str(outputs[i].name);
        assert(name.len <= UINT16_MAX);
        assert(i == 0 || strcmp(outputs[i - 1].name, outputs[i].name) < 0);
        uint8_t part[8];
        w = writer_of(part, sizeof part);
        writer_u16(&w, (uint16_t)name.len);
        add(&sha, writer_done(&w));
        add(&sha, name);
        w = writer_of(part, sizeof part);
        writer_u64(&w, outputs[i].size);
        add(&sha, writer_done(&w));
        add(&sha, digest_bytes(&outputs[i].root));
    }
    end(&sha, out);
}

struct hash_stream {
    uint64_t size;
    uint64_t taken;
    uint32_t leaf_count; /* whole blocks so far */
    uint32_t block_left; /* bytes missing of the block in `sha` */
    SHA256_CTX sha;
    struct digest leaves[]; /* block_count_for(size) */
};

static void begin_block(struct hash_stream *s)
{
    if (s->taken < s->size) {
        s->block_left = block_length(s->size, s->leaf_count);
        begin(&s->sha, "block");
    }
}

struct hash_stream *hash_stream_new(uint64_t size)
{
    struct hash_stream *s = malloc(sizeof *s + block_count_for(size) * sizeof s->leaves[0]);
    if (s == NULL) {
        return NULL;
    }
    s->size = size;
    s->taken = 0;
    s->leaf_count = 0;
    s->block_left = 0;
    begin_block(s);
    return s;
}

void hash_stream_free(struct hash_stream *s) { free(s); }

bool hash_stream_update(struct hash_stream *s, struct pn_bytes bytes)
{
    if (bytes.len > s->size - s->taken) {
        return false;
    }
    struct reader r = reader_of(bytes);
    while (r.left > 0) {
        size_t len = r.left < s->block_left ? r.left : s->block_left;
        add(&s->sha, reader_bytes(&r, len));
        s->taken += len;
        s->block_left -= (uint32_t)len;
        if (s->block_left == 0) {
            end(&s->sha, &s->leaves[s->leaf_count]);
            s->leaf_count++;
            begin_block(s);
        }
    }
    return true;
}

bool hash_stream_final(struct hash_stream *s, struct digest *root, const struct digest **leaves)
{
    if (s->taken < s->size) {
        return false;
    }
    hash_root(s->size, s->leaves, root);
    *leaves = s->leaves;
    return true;
}
