/*
 * link_uv -- one TLS 1.3 link between peers on libuv, with both sides' identities proven.
 *
 * TCP, TLS 1.3 with ALPN "preon/1", self-signed Ed25519 certificates on both sides; the only thing
 * about a certificate that counts is its key. No tickets, no resumption, dates ignored,
 * TCP_NODELAY, TCP_NOTSENT_LOWAT; OpenSSL works on memory (BIO), libuv on the socket. Above it runs
 * a session.
 *
 * Everything is called from the loop's thread. After link_close no callback comes but on_closed.
 */
#ifndef PREON_COMMON_LINK_UV_H
#define PREON_COMMON_LINK_UV_H

#include <uv.h>

#include "common/addr.h"
#include "common/key.h"
#include "common/session.h"

struct link;         /* freed by itself after on_closed */
struct link_context; /* keys, TLS settings, our HELLO: shared by all links of a process */

struct link_callbacks {
    /* The other side's HELLO is there and its peer ID is proven: the link may be used. */
    void (*on_up)(struct link *l, void *arg, const struct digest *peer, const struct hello *hello);
    /* A frame; a status other than PN_OK closes the link. */
    enum pn_status (*on_frame)(struct link *l, void *arg, const struct frame *f,
                               struct pn_err *err);
    /* The data lane has drained below half of its bound: more may be sent. May be NULL. */
    void (*on_drain)(struct link *l, void *arg);
    /* Always the last callback, exactly once; why is PN_OK after a link_close of our own. */
    void (*on_closed)(struct link *l, void *arg, enum pn_status why, const char *reason);
};

/* Makes the certificate from the key. The context outlives all its links. */
enum pn_status link_context_new(const struct key_pair *key, struct link_context **out,
                                struct pn_err *err);
void link_context_free(struct link_context *c); /* NULL is fine */
const struct digest *link_context_peer_id(const struct link_context *c);

/* What we say of ourselves in HELLO from now on (copied). */
void link_context_set_hello(struct link_context *c, const struct hello *hello);

/*
 * Dials. expected pins the other side's peer ID; NULL accepts anybody but ourselves.
 * token goes into our HELLO's token field. arg is handed to the callbacks.
 */
enum pn_status link_dial(struct link_context *c, uv_loop_t *loop, const struct addr *to,
                         const struct digest *expected, uint64_t token,
                         const struct link_callbacks *callbacks, void *arg, struct link **out,
                         struct pn_err *err);

/* Takes a connection that a listening handle has ready (in its connection callback). */
enum pn_status link_accept(struct link_context *c, uv_stream_t *listener, uint64_t token,
                           const struct link_callbacks *callbacks, void *arg, struct link **out,
                           struct pn_err *err);

/* Queues a frame; copied. PN_E_FULL: the lane is at its bound (data: wait for on_drain). */
enum pn_status link_send(struct link *l, enum session_lane lane, const struct frame *f);

/* Room left in the data lane, in bytes. */
size_t link_data_room(const struct link *l);

/* Stops and resumes reading from the socket: while disk or hash work is pending. */
void link_pause(struct link *l, bool paused);

/* Flushes nothing, closes now; idempotent. */
void link_close(struct link *l);

const struct addr *link_remote(const struct link *l);
const struct digest *link_peer(const struct link *l); /* valid from on_up */
bool link_outbound(const struct link *l);

#endif
