#include "jobs/nonce/sha256.h"

const uint32_t sha256_initial[SHA256_WORDS] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

const uint32_t sha256_k[SHA256_ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }

void sha256_compress(uint32_t h[SHA256_WORDS], const uint32_t words[16])
{
    uint32_t w[SHA256_ROUNDS];
    memcpy(w, words, 16 * sizeof w[0]);
    for (int t = 16; t < SHA256_ROUNDS; t++) {
        uint32_t s0 = ror(w[t - 15], 7) ^ ror(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = ror(w[t - 2], 17) ^ ror(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3];
    uint32_t e = h[4], f = h[5], g = h[6], k = h[7];
    for (int t = 0; t < SHA256_ROUNDS; t++) {
        uint32_t t1 =
            k + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + sha256_k[t] + w[t];
        uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        k = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
    h[5] += f;
    h[6] += g;
    h[7] += k;
}

void sha256_words(const uint8_t block[SHA256_BLOCK_BYTES], uint32_t words[16])
{
    for (int i = 0; i < 16; i++) {
        const uint8_t *b = block + (size_t)i * 4;
        words[i] = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    }
}

void sha256_init(struct sha256 *s) { sha256_resume(s, sha256_initial, 0); }

void sha256_resume(struct sha256 *s, const uint32_t h[SHA256_WORDS], uint64_t bytes)
{
    memcpy(s->h, h, sizeof s->h);
    s->bytes = bytes;
}

static void take_block(struct sha256 *s, const uint8_t *block)
{
    uint32_t words[16];
    sha256_words(block, words);
    sha256_compress(s->h, words);
}

void sha256_update(struct sha256 *s, struct pn_bytes in)
{
    size_t waiting = (size_t)(s->bytes % SHA256_BLOCK_BYTES);
    s->bytes += in.len;
    while (in.len > 0) {
        if (waiting == 0 && in.len >= SHA256_BLOCK_BYTES) {
            take_block(s, in.ptr);
            in.ptr += SHA256_BLOCK_BYTES;
            in.len -= SHA256_BLOCK_BYTES;
            continue;
        }
        size_t room = SHA256_BLOCK_BYTES - waiting;
        size_t n = in.len < room ? in.len : room;
        memcpy(s->block + waiting, in.ptr, n);
        in.ptr += n;
        in.len -= n;
        waiting += n;
        if (waiting == SHA256_BLOCK_BYTES) {
            take_block(s, s->block);
            waiting = 0;
        }
    }
}

void sha256_final(struct sha256 *s, uint8_t digest[SHA256_DIGEST_BYTES])
{
    static const uint8_t padding[SHA256_BLOCK_BYTES] = {0x80};
    uint8_t length[8];
    uint64_t bits = s->bytes * 8;
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    size_t used = (size_t)(s->bytes % SHA256_BLOCK_BYTES);
    sha256_update(s, (struct pn_bytes){padding, used < 56 ? 56 - used : 120 - used});
    sha256_update(s, (struct pn_bytes){length, sizeof length});
    for (int i = 0; i < SHA256_DIGEST_BYTES; i++) {
        digest[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
    }
}

void sha256_of(struct pn_bytes in, uint8_t digest[SHA256_DIGEST_BYTES])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_update(&s, in);
    sha256_final(&s, digest);
}
