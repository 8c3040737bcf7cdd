/*
 * ports_uv -- all links of a peer as ports: dialled, accepted, and the one through memory that
 * joins a peer's own worker to its own master.
 */
#ifndef PREON_PEER_RENDEZVOUS_PORTS_UV_H
#define PREON_PEER_RENDEZVOUS_PORTS_UV_H

#include "common/hello.h"
#include "common/link_uv.h"
#include "peer/rendezvous/dialling.h"
#include "peer/wire/port.h"

enum {
    PORTS_MAX = 16384,
    PORTS_KEPT = 1024,       /* of these, for dials of our own: guests.h has the others */
    PORTS_UNUSED_MS = 60000, /* then who came in and has said nothing but HELLO is sent away */
};

struct ports;

/* All on the loop's thread, none from within a call of this header. */
struct ports_hooks {
    /* The link may be used. tag is that of ports_dial, 0 for accepted ones. */
    void (*on_up)(void *arg, struct port *p, const struct hello *hello, uint64_t tag);
    /* A status other than PN_OK closes the port. */
    enum pn_status (*on_frame)(void *arg, struct port *p, const struct frame *f,
                               struct pn_err *err);
    void (*on_drain)(void *arg, struct port *p);
    /* The port is gone after this call. was_up: on_up had been called. */
    void (*on_down)(void *arg, struct port *p, bool was_up, uint64_t tag, const char *reason);
    /* May loopback and private addresses be dialled when others name them? */
    bool (*on_lan)(void *arg);
    void *arg;
};

/* The context outlives it. NULL: memory is short. */
struct ports *ports_new(uv_loop_t *loop, struct link_context *context,
                        const struct ports_hooks *hooks);

/* Instead of PORTS_UNUSED_MS, for tests. */
void ports_set_unused_ms(struct ports *p, uint32_t unused_ms);

/* Closes everything; on_closed when nothing of it is left. No other callback comes any more. */
void ports_close(struct ports *p, void (*on_closed)(void *arg), void *arg);

/*
 * *bound gets the address with its real port. token: what links that are accepted there say in our
 * HELLO: by it trackers that dial back know that the listener is ours.
 */
enum pn_status ports_listen(struct ports *p, const struct addr *at, uint64_t token,
                            struct addr *bound, struct pn_err *err);

/*
 * Dials if dialling.h allows it now; on_up or on_down follows with this tag. expected NULL: whoever
 * answers. PN_E_DENIED: never; PN_E_BUSY: not now; err says why.
 */
enum pn_status ports_dial(struct ports *p, const struct addr *to, const struct digest *expected,
                          enum dialling_for why, uint64_t tag, struct pn_err *err);

/* What ports_dial would find. */
enum dialling_verdict ports_may_dial(const struct ports *p, const struct addr *to,
                                     enum dialling_for why);

/*
 * The two ends of the memory link, up at once, alive until ports_close: what is sent at one end
 * comes out at the other from the loop, in order.
 */
enum pn_status ports_own(struct ports *p, struct port **worker_end, struct port **master_end);

/* Stops and resumes reading on all links: too much disk work is pending. */
void ports_pause(struct ports *p, bool paused);

struct port *ports_find(const struct ports *p, uint32_t id); /* NULL: gone */

/* The first port that is up and leads to that peer, NULL when there is none. */
struct port *ports_to(const struct ports *p, const struct digest *peer);

/*
 * A port that is up and was dialled at this address under a tag that has none of these bits, NULL
 * when there is none.
 */
struct port *ports_dialled(const struct ports *p, const struct addr *to, uint64_t tag_without);

uint32_t ports_count(const struct ports *p);

/* Closes a port for a reason that is logged at debug level; NULL is fine. */
void port_close(struct port *p, const char *reason);

#endif
