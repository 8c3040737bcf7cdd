/*
 * tracker_wants -- what a peer states to a tracker, and which of it the tracker must still be told.
 */
#ifndef PREON_PEER_RENDEZVOUS_TRACKER_WANTS_H
#define PREON_PEER_RENDEZVOUS_TRACKER_WANTS_H

#include "common/trackline.h"

enum {
    TRACKER_WANTS_JOBS_MAX = 1024,
    TRACKER_WANTS_DEMANDS_MAX = 256,
    TRACKER_WANTS_QUERIES_MAX = 64,
    TRACKER_WANTS_WORDS_BYTES = 127, /* abilities, needs */
};

/* An array of equal items that grows up to its maximum; each item begins with its job. */
struct tracker_list {
    void *items; /* owned */
    size_t item_bytes;
    uint32_t count;
    uint32_t cap;
    uint32_t max;
};

struct tracker_words {
    uint16_t len;
    char text[TRACKER_WANTS_WORDS_BYTES];
};

struct tracker_wants {
    struct tracker_list served;
    struct tracker_list demands;
    struct tracker_list queries; /* in the order in which they are asked */
    struct tracker_words abilities;
    uint16_t idle_slots;
    bool idle_untold;
};

void tracker_wants_init(struct tracker_wants *w);
void tracker_wants_fini(struct tracker_wants *w);

/* As tracker_client_… of the same name. PN_E_FULL, PN_E_RANGE, PN_E_NO_MEMORY change nothing. */
enum pn_status tracker_wants_serve(struct tracker_wants *w, const struct digest *job,
                                   uint16_t port);
enum pn_status tracker_wants_idle(struct tracker_wants *w, uint16_t slots,
                                  struct pn_bytes abilities);
enum pn_status tracker_wants_demand(struct tracker_wants *w, const struct digest *job,
                                    uint16_t port, uint16_t slots, struct pn_bytes needs,
                                    uint64_t now_ms);
enum pn_status tracker_wants_query(struct tracker_wants *w, const struct digest *job);

/* The next request that the tracker must be told, counted as told now. False when it knows all. */
bool tracker_wants_next(struct tracker_wants *w, struct trackline *line);

/* What has to be told again: all but the queries that were asked; or the demands only. */
void tracker_wants_retell(struct tracker_wants *w);
void tracker_wants_retell_demands(struct tracker_wants *w);

/* Queries without an answer must be asked again. */
void tracker_wants_reask(struct tracker_wants *w);

/* The first query that was asked leaves the list: its answer is there. */
struct digest tracker_wants_answered(struct tracker_wants *w);

/* Since when the job has wanted slots without getting more of them; false when it wants none. */
bool tracker_wants_waiting(const struct tracker_wants *w, const struct digest *job,
                           uint64_t *since_ms);

#endif
