/*
 * switchboard -- joins the callers to the registry: bytes in, bytes out, deadlines.
 *
 * The whole tracker but for its sockets. server_uv drives it with libuv, the simulator with an
 * in-memory network.
 */
#ifndef PREON_TRACKER_SWITCHBOARD_H
#define PREON_TRACKER_SWITCHBOARD_H

#include "tracker/registry.h"

/*
 * What the switchboard asks of whoever owns the connections. None of these may call the
 * switchboard: what goes wrong while sending is told afterwards, by switchboard_closed.
 */
struct switchboard_ops {
    /* Bytes to send; valid for the call. Several sends may follow each other: batch them. False:
     * the client does not take its answers; its requests should wait. */
    bool (*send)(void *arg, uint32_t link, struct pn_bytes bytes);
    /* Nothing more will be sent: end our side once all is out. switchboard_closed is due when the
     * client has closed as well, or at once when it is quiet: then nothing more is expected from
     * it. (Closing before its last byte has come would reset the connection and lose our answer.)
     */
    void (*finish)(void *arg, uint32_t link, bool quiet);
    /* Close at once. switchboard_closed must not be called for this link any more. */
    void (*drop)(void *arg, uint32_t link);
    /*
     * Dial this address back and tell switchboard_dialled what became of it, later. NULL: nobody is
     * dialled, and entries are listed as they are informed.
     */
    void (*dial)(void *arg, const struct addr *addr);
};

struct switchboard;

/* NULL when memory is short. ops is copied; arg is passed to each. */
struct switchboard *switchboard_new(const struct registry_config *config,
                                    const struct switchboard_ops *ops, void *arg, uint64_t now_ms);

/* Open links are forgotten, not dropped. NULL is fine. */
void switchboard_free(struct switchboard *s);

/*
 * A client has connected. On PN_OK *link names it until it is dropped or closed. PN_E_BUSY,
 * PN_E_FULL, PN_E_NO_MEMORY: err tells why; close the socket.
 */
enum pn_status switchboard_connected(struct switchboard *s, const struct addr *addr,
                                     uint64_t now_ms, uint32_t *link, struct pn_err *err);

/*
 * Bytes from the client. Returns how many were used: fewer than there are when send said that they
 * should wait; give the rest again when the client has taken its answers. The link may be finished
 * when this returns.
 */
size_t switchboard_received(struct switchboard *s, uint32_t link, struct pn_bytes bytes,
                            uint64_t now_ms);

/* The client will send nothing more, but may still read: calls finish. */
void switchboard_ended(struct switchboard *s, uint32_t link, uint64_t now_ms);

/* The connection is gone. */
void switchboard_closed(struct switchboard *s, uint32_t link, uint64_t now_ms);

/* token: in the HELLO of whoever answered at addr; 0: nobody did. */
void switchboard_dialled(struct switchboard *s, const struct addr *addr, uint64_t token,
                         uint64_t now_ms);

/* Call when switchboard_deadline_ms has passed. */
void switchboard_tick(struct switchboard *s, uint64_t now_ms);
uint64_t switchboard_deadline_ms(const struct switchboard *s);

struct registry_stats switchboard_stats(const struct switchboard *s);

#endif
