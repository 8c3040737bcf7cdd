/*
 * parcel_sys -- an order on its way to the launcher: its bytes, and the descriptors that travel
 * with it, which are the parcel's own.
 */
#ifndef PREON_PEER_SANDBOX_PARCEL_SYS_H
#define PREON_PEER_SANDBOX_PARCEL_SYS_H

#include "peer/sandbox/order.h"

struct parcel {
    int fds[ORDER_FDS_MAX];
    uint32_t count;
    struct pn_bytes packet;
};

/* Adds a descriptor, the parcel's now; a copy of it. */
void parcel_add_take(struct parcel *p, int fd);
enum pn_status parcel_add(struct parcel *p, int fd, struct pn_err *err);

/* Closes its descriptors. */
void parcel_fini(struct parcel *p);

/* PN_E_BUSY: there is no room in the socket now, nothing was sent. */
enum pn_status parcel_send(const struct parcel *p, int socket, struct pn_err *err);

/* Moves it, with a copy of its bytes, to where it may wait. NULL: no memory, p is as it was. */
struct parcel *parcel_keep_take(struct parcel *p);
void parcel_free(struct parcel *kept); /* NULL is fine */

#endif
