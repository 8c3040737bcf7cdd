/*
 * sim_tracker -- the tracker in the simulator: its real switchboard, and the real client of every
 * node, joined by streams that are late, stall, break, or are cut in one direction.
 *
 * What a node states and how it answers HIRE is peer/rendezvous/hiring_uv and labour_hire in few
 * lines; lines, sets, matching, back-off and renewal are the cores'. A tracker keeps nothing: a
 * crash is a new switchboard.
 */
#ifndef PREON_TESTS_SIM_TRACKER_H
#define PREON_TESTS_SIM_TRACKER_H

#include "common/heap.h"
#include "peer/rendezvous/tracker_client.h"
#include "tracker/switchboard.h"

enum {
    SIM_WIRES_MAX = 512, /* at the tracker, at a time */
    /* A tracker is back: a new worker has work, for everybody has said all anew by then. */
    SIM_HIRED_MS = 30 * 1000,
    /* All is calm: a connection that is dead is found out, dialled in vain, and dialled again. */
    SIM_KNOWN_MS = 60 * 1000 + 2 * TRACKER_CLIENT_ANSWER_MS + 2 * TRACKER_CLIENT_BACKOFF_MAX_MS,
    SIM_DIALS_MAX = 40, /* of one client in a minute: its pauses grow */
};

/* One TCP connection; end 0 is the client's, end 1 the tracker's. */
struct sim_wire {
    uint32_t id; /* index + 1 */
    uint32_t node;
    uint32_t epoch; /* of the node */
    uint32_t life;  /* of the tracker */
    uint32_t link;  /* the switchboard's name for it */
    bool open[2];
    bool finishing; /* the tracker says no more on it … */
    bool ended;     /* … nor does the client */
    bool cut[2];    /* what this end sends vanishes */
    uint64_t due_us[2];
    uint64_t delay_us;
};

/* The side of a node. */
struct sim_client {
    struct tracker_client *core; /* NULL: the node is down */
    uint32_t wire;               /* 0: none */
    uint32_t dial_serial;        /* a dial that was given up is void */
    uint16_t idle_told;
    uint16_t demand_told;
    bool idle_due; /* to be told even if it is the same */
    bool served;
    bool refresh_due;
    uint64_t minute; /* that dials are counted in */
    uint32_t dials;
};

struct sim_tracker {
    struct switchboard *board; /* NULL: down */
    uint32_t life;
    bool silent; /* its machine is off: nobody refuses a dial */
    uint64_t up_us;
    struct sim_wire **wires;
    size_t wire_count, wire_cap;
    uint32_t wire_of[SIM_WIRES_MAX]; /* by the switchboard's link */
    /* A worker that has just come: work is due for it. */
    uint32_t newcomer; /* node index + 1; 0: nobody */
    uint32_t newcomer_serial;
};

struct sim;
struct sim_node;
struct sim_event;

/* sim_wire.c */
struct sim_wire *sim_wire_at(const struct sim *s, uint32_t id);          /* NULL: none any more */
struct sim_node *sim_wire_node(struct sim *s, const struct sim_wire *w); /* NULL: has another */
void sim_wire_send(struct sim *s, struct sim_wire *w, int from, struct pn_bytes bytes);
void sim_wire_close(struct sim *s, struct sim_wire *w, int end); /* the other end hears of it */
/* The other end, `to`, hears of a close behind all bytes that are under way. */
void sim_wire_notice(struct sim *s, struct sim_wire *w, int to);
void sim_wire_fault(struct sim *s); /* one breaks, stalls, or is cut one way or both */

/* sim_tracker.c */
void sim_tracker_up(struct sim *s);
void sim_tracker_down(struct sim *s, bool silent);
void sim_tracker_fini(struct sim *s);
void sim_tracker_event(struct sim *s, const struct sim_event *e);
/* A client's dial arrives; where no machine is, again after knock_us, and so on. */
void sim_wire_connect(struct sim *s, struct sim_node *n, uint64_t knock_us);

/* sim_client.c */
struct addr sim_address_of(const struct sim *s, const struct sim_node *n);
void sim_client_up(struct sim *s, struct sim_node *n);
void sim_client_down(struct sim *s, struct sim_node *n, bool noticed);
void sim_client_event(struct sim *s, const struct sim_event *e);
/* The node's demand or idle slots may have changed: the tracker hears of it soon. */
void sim_client_refresh(struct sim *s, struct sim_node *n);
/* A worker starts now that the tracker is back, and must be given work soon. */
void sim_newcomer(struct sim *s, struct sim_node *n);
void sim_newcomer_assigned(struct sim *s, const struct sim_node *n);

#endif
