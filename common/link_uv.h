/*
 * link_uv -- one TLS 1.3 link between peers on libuv, with both sides' identities proven.
 *
 * libuv works on the socket, tls_sys on memory, and above it runs a session. Control overtakes
 * data: at most 64 KiB of ciphertext are handed to libuv at a time, and TCP_NOTSENT_LOWAT keeps
 * the kernel from hoarding more.
 *
 * Deadlines: 10 s for TCP and TLS, then those of the session. The side that dials has finished its
 * handshake before the other has judged it; only the other's HELLO says that it was accepted.
 *
 * Everything is called from the loop's thread; all links of a context live on one loop. After
 * link_close no callback comes but on_closed. Any callback may close any link.
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

/*
 * Makes the certificate from the key. The context outlives all its links.
 * SIGPIPE is ignored from here on, in the whole process: libuv writes with writev.
 */
enum pn_status link_context_new(const struct key_pair *key, struct link_context **out,
                                struct pn_err *err);
void link_context_free(struct link_context *c); /* NULL is fine */
const struct digest *link_context_peer_id(const struct link_context *c);

/* What links that are made from now on say of us in HELLO (copied; the token is each link's own).
 */
void link_context_set_hello(struct link_context *c, const struct hello *hello);

struct link_times {
    uint32_t connect_ms; /* for TCP and TLS together */
    struct session_times session;
};

/* For links that are made from now on: tests make deadlines shorter. */
void link_context_set_times(struct link_context *c, const struct link_times *times);

/*
 * Dials. expected pins the other side's peer ID; NULL accepts anybody but ourselves.
 * token goes into our HELLO's token field. arg is handed to the callbacks.
 */
enum pn_status link_dial(struct link_context *c, uv_loop_t *loop, const struct addr *to,
                         const struct digest *expected, uint64_t token,
                         const struct link_callbacks *callbacks, void *arg, struct link **out,
                         struct pn_err *err);

/*
 * Takes a connection that a listening handle has ready (in its connection callback). Whatever
 * fails, the connection is off the listener and closed.
 */
enum pn_status link_accept(struct link_context *c, uv_stream_t *listener, uint64_t token,
                           const struct link_callbacks *callbacks, void *arg, struct link **out,
                           struct pn_err *err);

/*
 * Takes a connection off the listener and closes it: else libuv would not listen any more, for ever
 * waiting for somebody to accept this one.
 */
void link_refuse(struct link_context *c, uv_stream_t *listener);

/*
 * Queues a frame; copied. Any time from on_up on.
 * PN_E_FULL: the data lane is at its bound: wait for on_drain. PN_E_NO_MEMORY. PN_E_CLOSED: the
 * link is not up, or not any more. Where a control frame cannot be queued the link closes: the
 * other side takes nothing, and what it was to be told must not be lost in silence.
 */
enum pn_status link_send(struct link *l, enum session_lane lane, const struct frame *f);

/* Room left in the data lane, in bytes; a frame takes FRAME_HEADER_BYTES more than its body. */
size_t link_data_room(const struct link *l);

/*
 * Stops and resumes reading from the socket: while disk or hash work is pending. What has been
 * read already, 64 KiB at most, still comes.
 */
void link_pause(struct link *l, bool paused);

/* Flushes nothing, closes now; idempotent. */
void link_close(struct link *l);

const struct addr *link_remote(const struct link *l);
const struct digest *link_peer(const struct link *l); /* valid from on_up */
bool link_outbound(const struct link *l);

#endif
