/*
 * guests -- how many links others may have dialled to us: in all, and from one network.
 *
 * Whoever comes in costs a descriptor and memory, and has proven nothing but a key of a moment. So
 * they never take all the room that there is, which our own dials need as well, and none of their
 * networks (IPv4 /24, IPv6 /48) takes all of theirs. On a lan many peers share a network, and often
 * a machine: loopback and private addresses count towards the total only.
 *
 * A core.
 */
#ifndef PREON_PEER_RENDEZVOUS_GUESTS_H
#define PREON_PEER_RENDEZVOUS_GUESTS_H

#include "common/addr.h"
#include "common/table.h"

enum { GUESTS_NET_MAX = 1024 };

struct guests {
    struct table nets; /* network -> how many; public addresses only */
    uint32_t count;
    uint32_t count_max;
};

void guests_init(struct guests *g, uint32_t count_max, uint64_t seed);
void guests_fini(struct guests *g);

/* Each success is undone by one guests_leave. PN_E_FULL, PN_E_BUSY (its network), PN_E_NO_MEMORY.
 */
enum pn_status guests_enter(struct guests *g, const struct addr *from, struct pn_err *err);
void guests_leave(struct guests *g, const struct addr *from);

#endif
