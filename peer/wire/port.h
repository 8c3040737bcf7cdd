/*
 * port -- one end of a link as the rooms of a peer see it: somewhere to send frames.
 *
 * Behind it is a TLS link, or memory when a peer's own worker serves its own master. The peer shell
 * makes ports and routes frames; rooms only send.
 */
#ifndef PREON_PEER_WIRE_PORT_H
#define PREON_PEER_WIRE_PORT_H

#include "common/addr.h"
#include "common/digest.h"
#include "common/session.h"

struct port {
    uint32_t id;        /* unique within the process, never used again */
    struct digest peer; /* the proven identity at the other end */
    bool own;           /* the other end is this very process */
    struct addr remote; /* of the socket; undefined when own */

    /*
     * Queues a copy of the frame. PN_E_FULL in the data lane: wait for room; in the control lane
     * the link is closed. Never calls back into the caller.
     */
    enum pn_status (*send)(struct port *p, enum session_lane lane, const struct frame *f);

    /* Bytes that the data lane takes now. */
    size_t (*data_room)(const struct port *p);

    /* Closes the link for a reason that is logged. The rooms hear of it from the shell, later. */
    void (*close)(struct port *p, const char *reason);
};

#endif
