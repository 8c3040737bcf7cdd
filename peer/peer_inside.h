/*
 * peer_inside -- what the files of a whole peer share; for nobody else.
 *
 *     peer_uv.c         life: opening, running, leaving, closing
 *     peer_hooks_uv.c   what the rooms ask of each other; where frames and ports go
 *     peer_status_uv.c  what people are told of the peer itself
 */
#ifndef PREON_PEER_PEER_INSIDE_H
#define PREON_PEER_PEER_INSIDE_H

#include "peer/desk_uv.h"
#include "peer/peer.h"
#include "peer/rendezvous/hiring_uv.h"
#include "peer/rendezvous/mates_uv.h"
#include "peer/rendezvous/tracker_client_uv.h"

enum { PEER_HELD_PATH_BYTES = 32 };

struct peer {
    const struct peer_config *config;
    uv_loop_t loop;
    struct store *store;
    struct key_pair *key;
    struct link_context *context;
    struct ports *ports;
    struct port *worker_end;
    struct port *master_end;
    struct addr listening;
    uint64_t proof; /* the token of our listener; 0: there is none */
    struct addr
        reached_from; /* who has dialled it last, and said HELLO; ADDR_NONE: nobody so far */
    uint64_t reached_ms;
    struct sandbox *sandbox;
    struct limits caps;    /* of one slice */
    uint64_t budget_bytes; /* of all: caps.h */
    struct transfer *transfer;
    struct labour *labour;
    struct leads *leads;
    struct desk *desk;
    struct control *control;
    struct trackers *trackers;
    struct mates *mates;
    struct hiring *hiring;
    char launcher[PEER_HELD_PATH_BYTES];
    char program_dir[PEER_HELD_PATH_BYTES];
    bool open; /* for business: everything above is there */
    bool leaving;
    bool disk_pressed;   /* links are not read: blocks wait for the disk, */
    bool ledger_pressed; /* … or votes for the ledger */
    uint64_t leaving_since_ms;
    uint64_t started_ms;
    uint64_t opened_ms;
    uint64_t idle_since_ms; /* to the second: when it was last seen at work, or started */
    uv_signal_t signals[2];
    uv_timer_t refresh;
    uint64_t refreshed_ms;
    uv_timer_t poll;
    enum pn_status status;
    struct pn_err err;
};

/* peer_uv.c: trackers are told what is so now, soon. */
void peer_refresh_soon(struct peer *p);

/* peer_hooks_uv.c: arg is the peer; each is the hook of that name in the room's header. */
bool peer_has_program(const char *name);
bool peer_own_can_run(void *arg, const struct manifest *m);
bool peer_may_read(void *arg, const struct port *port, const struct file_set *set);
void peer_on_pressure(void *arg, bool stop_reading);
void peer_on_ledger_pressure(void *arg, bool stop_reading);
bool peer_on_own_wanted(void *arg, const struct digest *job);
void peer_on_job_change(void *arg, const struct digest *job);
void peer_on_labour_change(void *arg);
bool peer_leads_job(void *arg, const struct digest *job);
void peer_on_up(void *arg, struct port *port, const struct hello *hello, uint64_t tag);
void peer_on_down(void *arg, struct port *port, bool was_up, uint64_t tag, const char *reason);
void peer_on_drain(void *arg, struct port *port);
bool peer_on_lan(void *arg);
enum pn_status peer_on_frame(void *arg, struct port *port, const struct frame *f,
                             struct pn_err *err);
bool peer_on_hire(void *arg, const struct addr *master, const struct digest *job);
void peer_on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count);
void peer_on_named(void *arg, const struct file_set *set, const struct addr *addrs, uint32_t count);
uint32_t peer_others(void *arg, const struct port *port, const struct file_set *set,
                     struct addr addrs[DATA_ERROR_ADDRS_MAX]);
void peer_on_lost(void *arg, const struct digest *job);
void peer_on_files(void *arg, const struct digest *job, bool wanted);

/* peer_status_uv.c */
void peer_tell_status(void *arg, struct peer_status *out);

#endif
