/*
 * tracker_client -- the peer's side of one tracker: says what we serve, offer and want, and says it
 * again whenever the connection or the tracker was lost.
 *
 * The owner states what is so (jobs served, idle slots, demands); the client keeps the tracker in
 * step with it over one persistent connection. Nothing waits for an answer: what the tracker says
 * comes by callback. tracker/README.md is the protocol. This is the core: tracker_client_uv dials.
 */
#ifndef PREON_PEER_RENDEZVOUS_TRACKER_CLIENT_H
#define PREON_PEER_RENDEZVOUS_TRACKER_CLIENT_H

#include "common/random.h"
#include "common/trackline.h"

enum {
    TRACKER_CLIENT_PEERS_MAX = 100,    /* in one answer */
    TRACKER_CLIENT_TTL_S = 300,        /* asked for; renewed after a third of what is granted */
    TRACKER_CLIENT_ANSWER_MS = 15000,  /* connect, HELLO, PONG: each within */
    TRACKER_CLIENT_RESTATE_MS = 15000, /* unmet demand is stated again: how many are idle now? */
    TRACKER_CLIENT_BACKOFF_MS = 1000,  /* doubles with each failure, full jitter … */
    TRACKER_CLIENT_BACKOFF_MAX_MS = 25000, /* … so that work goes on 30 s after a tracker is back */
    TRACKER_CLIENT_WHY_BYTES = 256,
};

/* What keeps a demand, or the connection, waiting. An empty cause: nothing does. */
struct tracker_why {
    char cause[TRACKER_CLIENT_WHY_BYTES];  /* "no idle peer at tracker 127.0.0.1:7600" */
    char remedy[TRACKER_CLIENT_WHY_BYTES]; /* "start `preon peer`"; may be empty */
    uint64_t for_ms;                       /* how long it has been like this */
    bool strange;                          /* something answers there, but not as a tracker does */
};

/* None of these may call the client, but on_hire and on_peers may state things anew. */
struct tracker_client_ops {
    /* Open a connection; tell tracker_client_connected or _lost. */
    void (*dial)(void *arg);
    /* Close it (or stop dialling) without telling. */
    void (*hang_up)(void *arg);
    void (*send)(void *arg, struct pn_bytes bytes);
    /* A master wants us: true answers TAKE (dial it: the tracker hires at a pace), false PASS. */
    bool (*on_hire)(void *arg, const struct addr *master, const struct digest *job);
    /* Peers serving a job; known is how many the tracker has. Borrowed for the call. */
    void (*on_peers)(void *arg, const struct digest *job, const struct addr *peers, size_t count,
                     uint32_t known);
    /* Our address as the tracker sees it (no port). May be NULL. */
    void (*on_address)(void *arg, const struct addr *ours);
};

enum tracker_client_state {
    TRACKER_CLIENT_PAUSING, /* until the next try */
    TRACKER_CLIENT_DIALLING,
    TRACKER_CLIENT_GREETING, /* HELLO is sent */
    TRACKER_CLIENT_READY,
};

struct tracker_client;

/*
 * name is for messages ("127.0.0.1:7600"), copied. proof: the token that our listener puts into its
 * HELLO when the tracker dials back; 0 when we do not listen. NULL when memory is short.
 */
struct tracker_client *tracker_client_new(const char *name, uint64_t proof,
                                          const struct tracker_client_ops *ops, void *arg,
                                          uint64_t seed);
void tracker_client_free(struct tracker_client *c); /* NULL is fine; calls nobody */

/* Begins to dial. Before, statements are only remembered. */
void tracker_client_start(struct tracker_client *c, uint64_t now_ms);

/* --- what the owner states; limits are in tracker_wants.h. PN_E_FULL (too many), PN_E_RANGE (bad
 * words) and PN_E_NO_MEMORY leave all as it was --- */

/* We serve the job's blocks on this port. Port 0: no more. */
enum pn_status tracker_client_serve(struct tracker_client *c, const struct digest *job,
                                    uint16_t port);

/* We have so many free slots, with these abilities ("tier=full nonce@1"). 0: not idle. */
enum pn_status tracker_client_idle(struct tracker_client *c, uint16_t slots,
                                   struct pn_bytes abilities);

/*
 * The job wants so many more slots of peers with all these abilities, who dial us at this port.
 * State it whenever the number changes; 0: none.
 */
enum pn_status tracker_client_demand(struct tracker_client *c, const struct digest *job,
                                     uint16_t port, uint16_t slots, struct pn_bytes needs,
                                     uint64_t now_ms);

/* Asks for peers of the job, now or when the tracker is back. on_peers answers, once. */
enum pn_status tracker_client_query(struct tracker_client *c, const struct digest *job);

/* --- what the shell tells --- */

void tracker_client_connected(struct tracker_client *c, uint64_t now_ms);
void tracker_client_received(struct tracker_client *c, struct pn_bytes bytes, uint64_t now_ms);

/* The dial failed or the connection ended; reason in words ("connection refused"). */
void tracker_client_lost(struct tracker_client *c, const char *reason, uint64_t now_ms);

/* Call when tracker_client_deadline_ms has passed. */
void tracker_client_tick(struct tracker_client *c, uint64_t now_ms);
uint64_t tracker_client_deadline_ms(const struct tracker_client *c);

/* --- what people are told --- */

enum tracker_client_state tracker_client_state(const struct tracker_client *c);

/*
 * Why the demand for this job is not met, as far as this tracker knows. job may be NULL: about the
 * connection only, and for_ms also tells how long there has been one.
 */
void tracker_client_why(const struct tracker_client *c, const struct digest *job, uint64_t now_ms,
                        struct tracker_why *out);

#endif
