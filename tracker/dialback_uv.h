/*
 * dialback_uv -- asks at an address that a peer claims: is a Preon peer there, and which token does
 * its listener say?
 *
 * TCP, TLS and HELLO as any peer does them, under a key that lives as long as the process, and with
 * HELLO_TRACKER as our role; the link is closed as soon as the other side's HELLO is there. A port
 * that hangs costs one socket until the deadline.
 */
#ifndef PREON_TRACKER_DIALBACK_UV_H
#define PREON_TRACKER_DIALBACK_UV_H

#include <uv.h>

#include "common/addr.h"
#include "common/status.h"

enum {
    DIALBACK_CONNECT_MS = 3000, /* TCP and TLS */
    DIALBACK_HELLO_MS = 3000,   /* and then its HELLO */
};

struct dialback;

/* token: what the listener said; 0: nobody answered as a peer does. Comes from the loop. */
typedef void dialback_on_done(void *arg, const struct addr *addr, uint64_t token);

/* calls_max: asked at a time, at most. PN_E_NO_MEMORY. */
enum pn_status dialback_open(uv_loop_t *loop, uint32_t calls_max, dialback_on_done *on_done,
                             void *arg, struct dialback **out, struct pn_err *err);

/* Dials; on_done follows, never from within this call. Fewer than calls_max are under way. */
void dialback_dial(struct dialback *d, const struct addr *addr);

/* Ends what is under way; no callback comes any more. NULL is fine. */
void dialback_close(struct dialback *d);

/* After the loop has closed all handles. NULL is fine. */
void dialback_free(struct dialback *d);

#endif
