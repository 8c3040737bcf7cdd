#include "common/key.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/writer.h"

struct key_pair {
    EVP_PKEY *pkey;
    struct public_key public_key;
};

struct key_pair *key_pair_new(const uint8_t seed[SECRET_SEED_BYTES])
{
    struct key_pair *k = calloc(1, sizeof *k);
    if (k == NULL) {
        return NULL;
    }
    size_t len = sizeof k->public_key.b;
    k->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SECRET_SEED_BYTES);
    if (k->pkey == NULL || EVP_PKEY_get_raw_public_key(k->pkey, k->public_key.b, &len) != 1) {
        key_pair_free(k);
        return NULL;
    }
    return k;
}

void key_pair_free(struct key_pair *k)
{
    if (k != NULL) {
        EVP_PKEY_free(k->pkey); /* wipes the secret; NULL is fine */
        free(k);
    }
}

void key_pair_seed(const struct key_pair *k, uint8_t seed[SECRET_SEED_BYTES])
{
    size_t len = SECRET_SEED_BYTES;
    int ok = EVP_PKEY_get_raw_private_key(k->pkey, seed, &len);
    assert(ok == 1 && len == SECRET_SEED_BYTES);
    (void)ok;
}

void key_pair_public(const struct key_pair *k, struct public_key *out) { *out = k->public_key; }

void public_key_peer_id(const struct public_key *k, struct digest *out)
{
    /* RFC 8410: SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of the 32 bytes } */
    static const uint8_t SPKI_HEAD[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                        0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    uint8_t spki[sizeof SPKI_HEAD + PUBLIC_KEY_BYTES];
    struct writer w = writer_of(spki, sizeof spki);
    writer_copy(&w, SPKI_HEAD, sizeof SPKI_HEAD);
    writer_copy(&w, k->b, sizeof k->b);
    hash_sha256(writer_done(&w), out);
}

enum pn_status key_sign(const struct key_pair *k, struct pn_bytes message, struct signature *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = sizeof out->b;
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k->pkey) == 1 &&
              EVP_DigestSign(ctx, out->b, &len, message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? PN_OK : PN_E_NO_MEMORY; /* nothing else can be wrong with a key of ours */
}

bool key_verify(const struct public_key *k, struct pn_bytes message, const struct signature *s)
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->b, sizeof k->b);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = pkey != NULL && ctx != NULL &&
              EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, s->b, sizeof s->b, message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}
