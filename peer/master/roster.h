/*
 * roster -- the workers that a master knows in one run: one entry an identity, kept to the end.
 */
#ifndef PREON_PEER_MASTER_ROSTER_H
#define PREON_PEER_MASTER_ROSTER_H

#include "common/key.h"
#include "common/table.h"
#include "peer/master/plan.h"

enum { ROSTER_MAX = 1 << 20 };

struct worker_entry {
    struct plan_worker plan;
    struct public_key key;
    uint32_t link;   /* 0: not connected */
    uint16_t places; /* it has, as it says; 0: it is leaving */
    uint16_t slots;  /* of them, hired: with --workers perhaps fewer, the others must stay free */
    bool enlisted;   /* over the present link */
    bool doubted;    /* unknown, and slow: of hired slots it gets none before it has voted */
    bool liar;       /* proven: gets nothing more in this run */
    bool own;
    uint32_t accepted; /* its votes that agreed with the final outcome */
    uint64_t since_ms; /* when it first enlisted in this life of the master; 0: not yet */
    uint8_t gave_up_in_row;
    uint64_t rest_until_ms;                     /* after giving up it gets nothing for a while */
    struct worker_entry *next;                  /* in the order of arrival */
    struct worker_entry *here_next, *here_prev; /* of those connected, by when */
    bool has_room;                              /* the master's: it is to be looked at, in a list */
    struct worker_entry *room_next;
};

struct roster {
    struct table by_peer;
    struct table by_link;
    struct worker_entry *first;
    struct worker_entry **last;
    struct worker_entry *here, *here_last; /* those that are connected */
    struct worker_entry *own;              /* this master's own worker; NULL: not seen yet */
    struct worker_entry **by_index;        /* ballots name workers by index */
    uint32_t count;
    uint32_t cap;
    uint32_t online_count;
    uint32_t slot_count; /* of those online */
};

void roster_init(struct roster *r, uint64_t seed);
void roster_fini(struct roster *r);

/* The entry of an identity, made when there is none. NULL: full, or memory is short. */
struct worker_entry *roster_know(struct roster *r, const struct digest *peer, uint32_t prefix,
                                 bool own);

/* Joins an entry to a link (an older link of the same identity is let go). */
enum pn_status roster_connect(struct roster *r, struct worker_entry *w, uint32_t link);
void roster_disconnect(struct roster *r, struct worker_entry *w);
void roster_set_slots(struct roster *r, struct worker_entry *w, uint16_t slots);

struct worker_entry *roster_by_link(const struct roster *r, uint32_t link); /* or NULL */

#endif
