/*
 * registry -- what a tracker knows and decides: who serves which job, who is idle, who hires.
 *
 * One step takes one event and says which lines go to whom. Time comes with the event, randomness
 * from a seeded generator inside; no sockets, so that the simulator runs this very code.
 * tracker/README.md tells what each line means and what may be kept for whom.
 */
#ifndef PREON_TRACKER_REGISTRY_H
#define PREON_TRACKER_REGISTRY_H

#include "tracker/hosts.h"
#include "tracker/says.h"

struct registry_config {
    uint32_t connection_count_max;
    uint32_t entry_count_max;  /* persistent clients' */
    uint32_t legacy_count_max; /* one-shot clients' */
    uint32_t demand_count_max;
    uint32_t dial_count_max; /* dial-backs at a time, PROOFS_UNDER_WAY_MAX at most */
    uint32_t ttl_s_max;      /* a longer wish is cut to this */
    uint32_t legacy_ttl_s;   /* the original's clients state none */
    uint32_t keepalive_s;    /* told to clients */
    bool list_unverified;    /* dial nobody back, list what is informed */
    struct hosts_limits limits;
    uint64_t seed;
};

/* A million entries, 100,000 connections, an ordinary host's budgets. The seed is 0. */
struct registry_config registry_config_default(void);

enum registry_event_kind {
    REGISTRY_CONNECT,    /* addr: who; then out->conn, unless out->refused */
    REGISTRY_FINISH,     /* conn: its idle state and its demands end; its entries live on */
    REGISTRY_DISCONNECT, /* conn: as above, and it does not count for its address any more */
    REGISTRY_LINE,       /* conn, manner (one-shot or request), line */
    REGISTRY_DIALLED,    /* addr, token: what became of out->dial */
    REGISTRY_TICK,       /* registry_deadline_ms has passed */
};

struct registry_event {
    enum registry_event_kind kind;
    uint64_t now_ms;
    uint32_t conn;
    struct addr addr;
    enum trackline_manner manner;
    const struct trackline *line;
    uint64_t token; /* in the HELLO of whoever answered at addr; 0: nobody did */
};

struct registry_actions {
    bool refused;  /* CONNECT: out->says.err tells why */
    uint32_t conn; /* CONNECT */
    bool dial_back;
    struct addr dial; /* when dial_back: who listens there? Then tell by REGISTRY_DIALLED */
    struct says says;
};

struct registry_stats {
    uint32_t connections;
    uint32_t entries;
    uint32_t legacy_entries;
    uint32_t idle_peers;
    uint32_t demands;
    size_t bytes; /* in use by all of them */
};

struct registry;

/* now_ms: where the clock stands. NULL when memory is short. */
struct registry *registry_new(const struct registry_config *config, uint64_t now_ms);
void registry_free(struct registry *r); /* NULL is fine */

/* Applies one event; overwrites *out with what is to be done now. */
void registry_step(struct registry *r, const struct registry_event *ev,
                   struct registry_actions *out);

/* Where the connection comes from, without a port. */
struct addr registry_addr(const struct registry *r, uint32_t conn);

/* When REGISTRY_TICK is due, UINT64_MAX if never. */
uint64_t registry_deadline_ms(const struct registry *r);

struct registry_stats registry_stats(const struct registry *r);

#endif
