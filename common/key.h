/*
 * key -- Ed25519: peer keys (who is this machine) and owner keys (whose job is this).
 *
 * Pure computation; files are key_sys.h. Public keys are 32 raw bytes, signatures 64 (RFC 8032).
 */
#ifndef PREON_COMMON_KEY_H
#define PREON_COMMON_KEY_H

#include "common/digest.h"
#include "common/status.h"

enum { PUBLIC_KEY_BYTES = 32, SECRET_SEED_BYTES = 32, SIGNATURE_BYTES = 64 };

struct public_key {
    uint8_t b[PUBLIC_KEY_BYTES];
};

struct signature {
    uint8_t b[SIGNATURE_BYTES];
};

struct key_pair; /* holds an EVP_PKEY; immutable once made, so any thread may sign with it */

/* From 32 secret bytes; the caller wipes its copy. NULL when memory is short. */
struct key_pair *key_pair_new(const uint8_t seed[SECRET_SEED_BYTES]);
void key_pair_free(struct key_pair *k); /* NULL is fine; wipes the secret */

/* The secret, for the file that keeps it. */
void key_pair_seed(const struct key_pair *k, uint8_t seed[SECRET_SEED_BYTES]);
void key_pair_public(const struct key_pair *k, struct public_key *out);

/* peer ID = SHA-256 of the DER SubjectPublicKeyInfo that holds the key (RFC 8410: 44 bytes). */
void public_key_peer_id(const struct public_key *k, struct digest *out);

/* PN_E_NO_MEMORY is the one way to fail. Signing twice gives the same signature. */
enum pn_status key_sign(const struct key_pair *k, struct pn_bytes message, struct signature *out);

/* True when the signature is right. False also when memory is short: nothing is proven then. */
bool key_verify(const struct public_key *k, struct pn_bytes message, const struct signature *s);

#endif
