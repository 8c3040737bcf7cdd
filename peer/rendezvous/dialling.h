/*
 * dialling -- may an address that somebody named be dialled now? One budget for a whole peer.
 *
 * Trackers name masters and sources, busy sources name others: strangers' words all. Whoever lies
 * must not turn this peer, or a hundred thousand of them, against somebody's host. So:
 *
 *   - never a port below 1024, nor multicast and the like; loopback, private, link-local and
 *     carrier addresses only where `lan` allows them;
 *   - a public address that has not shown itself to be a peer's: once a minute, twice as long after
 *     each try without a valid HELLO, up to a day; four a minute in its /24 (IPv6: /48), 30 in all,
 *     of which sources of blocks take at most 20, so that there is always room for work. One that
 *     was a peer's within a day is left alone for eight minutes at most: it may only be full;
 *   - a public address and port whose last HELLO was valid: 120 at once, then two a second. A
 *     master with many short jobs is dialled often, and is made for it;
 *   - on a lan many peers share a machine and all share a network: there each address and port is
 *     counted for itself. After a try without a valid HELLO it is left alone for a second, twice as
 *     long each time, up to a minute; unproven ones together are tried 600 times at once, then ten
 *     times a second; one whose last HELLO was valid as often as one likes;
 *   - a master that we work for already and have lost is no stranger's word, and has its own
 *     back-off (worker.h): it is always dialled.
 *
 * A core: time comes with the call, and what became of a dial is told.
 */
#ifndef PREON_PEER_RENDEZVOUS_DIALLING_H
#define PREON_PEER_RENDEZVOUS_DIALLING_H

#include <stdint.h>

#include "common/addr.h"

enum {
    DIALLING_MINUTE_MS = 60 * 1000,
    DIALLING_DAY_MS = 24 * 60 * 60 * 1000,
    DIALLING_FULL_MS = 8 * 60 * 1000,
    DIALLING_NET_MAX = 4,     /* a minute */
    DIALLING_ALL_MAX = 30,    /* a minute */
    DIALLING_BLOCKS_MAX = 20, /* of these */
    DIALLING_PROVEN_MS = 500,
    DIALLING_PROVEN_BURST = 120,
    DIALLING_LAN_FIRST_MS = 1000,
    DIALLING_LAN_MS = 100,
    DIALLING_LAN_BURST = 600,
    DIALLING_KNOWN_MAX = 4096, /* addresses remembered: who was dialled longest ago is forgotten */
};

enum dialling_for {
    DIALLING_WORK,   /* a master that hires us */
    DIALLING_SEARCH, /* a place where a lost master may be: whoever else is there fails its key */
    DIALLING_BLOCKS, /* somebody who may have files of a job */
    DIALLING_AGAIN,  /* a master that we work for and have lost */
};

enum dialling_verdict {
    DIALLING_NOW,
    DIALLING_SOON,  /* it is being dialled for the first time: what becomes of that decides */
    DIALLING_LATER, /* the budget is used up */
    DIALLING_NEVER, /* not an address to dial */
};

struct dialling;

/* NULL: memory is short. */
struct dialling *dialling_new(uint64_t seed);
void dialling_free(struct dialling *d); /* NULL is fine */

/* lan: addresses for which addr_is_lan holds may be dialled. Changes nothing. */
enum dialling_verdict dialling_ask(const struct dialling *d, const struct addr *to,
                                   enum dialling_for why, bool lan, uint64_t now_ms);

/* The same; DIALLING_NOW counts as a dial, of which dialling_end is to be told. */
enum dialling_verdict dialling_begin(struct dialling *d, const struct addr *to,
                                     enum dialling_for why, bool lan, uint64_t now_ms);

/* valid: the other side's HELLO came. Else the dial has failed, however far it got. */
void dialling_end(struct dialling *d, const struct addr *to, enum dialling_for why, bool valid,
                  uint64_t now_ms);

#endif
