/*
 * tls_sys -- TLS 1.3 between two keys, worked in memory: ciphertext in, ciphertext out, no sockets.
 *
 * Both sides show a self-signed Ed25519 certificate; all that counts about it is its key, whose
 * possession the handshake proves. ALPN "preon/1" or nothing. No tickets, no resumption, no dates,
 * no authorities, no older protocol. AES-128-GCM first where the processor has instructions for
 * it, else ChaCha20.
 *
 * After any status but PN_OK the connection is broken: send what tls_output_swap still gives (an
 * alert that tells the other side why), then tls_free.
 */
#ifndef PREON_COMMON_TLS_SYS_H
#define PREON_COMMON_TLS_SYS_H

#include "common/buffer.h"
#include "common/key.h"

enum {
    TLS_RECORD_BYTES = 16 * 1024,      /* of plaintext: what one tls_read yields at most */
    TLS_OUTPUT_BYTES_MAX = 128 * 1024, /* of ciphertext not yet taken: over it the link breaks */
    TLS_OUTPUT_BYTES_SOFT = 48 * 1024, /* write no more above this: a 16 KiB write then makes at
                                          most 64 KiB, with TLS's own additions */
    TLS_CERTIFICATES_BYTES_MAX = 4096, /* what a stranger may show */
};

struct tls_identity; /* our key, its certificate, and the settings: shared by all connections */
struct tls;          /* one connection */

enum tls_side { TLS_CLIENT, TLS_SERVER };

/* The key is copied. */
enum pn_status tls_identity_new(const struct key_pair *key, struct tls_identity **out,
                                struct pn_err *err);
void tls_identity_free(struct tls_identity *identity); /* NULL is fine; outlives connections */
const struct digest *tls_identity_peer_id(const struct tls_identity *identity);

/* expected pins the other side's peer ID (copied); NULL accepts anybody but ourselves. */
enum pn_status tls_new(const struct tls_identity *identity, enum tls_side side,
                       const struct digest *expected, struct tls **out, struct pn_err *err);
void tls_free(struct tls *t); /* NULL is fine */

/*
 * Lends ciphertext that has arrived. It is used up by tls_handshake and then tls_read: once one of
 * them returns PN_OK with nothing done or read, all of it has been taken and may go away.
 */
void tls_input(struct tls *t, struct pn_bytes ciphertext);

/* Goes on with the handshake; *done once it is complete and the other side's key is proven. */
enum pn_status tls_handshake(struct tls *t, bool *done, struct pn_err *err);

/* Plaintext: *len is 0 when more ciphertext is needed. PN_E_CLOSED: the other side said the end. */
enum pn_status tls_read(struct tls *t, uint8_t *out, size_t cap, size_t *len, struct pn_err *err);

/* Encrypts all of the bytes. Only once the handshake is done. */
enum pn_status tls_write(struct tls *t, struct pn_bytes plaintext, struct pn_err *err);

size_t tls_output_bytes(const struct tls *t);

/*
 * Exchanges the ciphertext to send with *b, which is empty but may own memory: so two buffers go
 * back and forth. buffer_fini of it, later, is the caller's.
 */
void tls_output_swap(struct tls *t, struct buffer *b);

/* The other side's peer ID; valid once the handshake is done. */
const struct digest *tls_peer(const struct tls *t);

#endif
