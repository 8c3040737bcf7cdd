/* What link_uv.c and link_context_uv.c share: the two structures. Nobody else includes this. */
#ifndef PREON_COMMON_LINK_INTERNAL_H
#define PREON_COMMON_LINK_INTERNAL_H

#include "common/link_uv.h"
#include "common/tls_sys.h"

enum { LINK_READ_BYTES = 64 * 1024 };

struct link_context {
    struct tls_identity *identity;
    struct hello hello;
    struct link_times times;
    struct link *links;  /* all that are not freed yet */
    struct sweep *sweep; /* there while there are links */
    uv_tcp_t *reserve;   /* to take a connection with when there is no memory for a link */
    uint8_t ciphertext[LINK_READ_BYTES]; /* between libuv's allocation and read callbacks */
    uint8_t plaintext[TLS_RECORD_BYTES];
};

/* One allocation, freed by the close callback of its one handle. */
struct link {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t writing; /* of `flying`: one write at a time */
    struct link_context *context;
    struct link *previous;
    struct link *next;
    struct link_callbacks callbacks;
    void *arg;
    struct addr remote;
    struct tls *tls;
    struct session *session;
    struct buffer flying;  /* ciphertext that libuv has */
    uint64_t due_ms;       /* of the handshake; UINT64_MAX once it is done */
    uint64_t taken_due_ms; /* while is_flying: when the other side must have taken it */
    struct pn_err why;
    bool outbound;
    bool connected;
    bool secured; /* the handshake is done */
    bool up;
    bool paused;
    bool is_reading; /* inside on_read: answers are sent together at its end */
    bool is_flying;
    bool drain_wanted;
    bool closing;
    bool silent; /* its maker was told by a status: no callbacks */
};

/* Into the context's list; its sweep runs from the first link on. PN_E_NO_MEMORY. */
enum pn_status link_context_enter(struct link_context *c, uv_loop_t *loop, struct link *l);

/* Out of the list; the sweep ends with the last link. */
void link_context_leave(struct link_context *c, struct link *l);

/* Whatever of the link is due by now: the sweep's visit. */
void link_tick(struct link *l, uint64_t now_ms);

#endif
