/*
 * source -- one peer that a swarm fetches from: what it has, what it owes us, how fast it is.
 *
 * A core, part of swarm. How much is asked of a source at once follows its rate and round trip
 * (design.md: deep queues at an only source cost the best clients 30 to 60 %).
 */
#ifndef PREON_PEER_SWARM_SOURCE_H
#define PREON_PEER_SWARM_SOURCE_H

#include "common/bitset.h"

enum {
    SOURCE_REQUESTS_MAX = 64,
    SOURCE_WINDOW_MIN = 512 * 1024, /* two small blocks: one on its way, one being read */
    SOURCE_WINDOW_MAX = 16 * 1024 * 1024,
    SOURCE_RATE_MS = 250, /* a rate is measured over at least this long */
};

enum request_kind { REQUEST_LEAVES, REQUEST_BLOCK };

#define REQUEST_ANY UINT32_MAX /* as a block: the source chooses, and has not told yet */

struct request {
    uint32_t tag;
    enum request_kind kind;
    uint32_t file;  /* of leaves */
    uint32_t block; /* or REQUEST_ANY */
    uint32_t bytes; /* expected */
    uint32_t got;
    uint64_t asked_ms;
};

struct source {
    uint32_t id;
    bool has_all;
    bool dry;          /* nothing to ask it for until something changes */
    struct bitset has; /* words == NULL: nothing told yet */
    uint64_t asleep_until_ms;
    uint32_t nap_count;    /* in a row; any byte ends the row */
    uint64_t heard_ms;     /* last byte, or last ask while nothing was owed */
    uint64_t rate_from_ms; /* the measurement that is under way */
    uint64_t rate_bytes;
    double rate;            /* bytes per ms; 0 until measured */
    uint32_t round_trip_ms; /* smallest seen; UINT32_MAX until then */
    uint64_t owed;          /* bytes asked for and not yet here */
    uint32_t request_count;
    struct request requests[SOURCE_REQUESTS_MAX]; /* oldest first */
};

void source_init(struct source *s, uint32_t id);
void source_fini(struct source *s);

/* How many bytes it may owe: 4 x rate x round trip, within bounds and at least two blocks. */
uint64_t source_window(const struct source *s, uint32_t block_bytes);

/* The caller has checked that there is room (request_count < SOURCE_REQUESTS_MAX). */
void source_asked(struct source *s, const struct request *r);

/* NULL when there is none of that tag: it was taken back before. */
struct request *source_request(struct source *s, uint32_t tag);

/* Bytes of a request have arrived. */
void source_bytes(struct source *s, struct request *r, uint32_t bytes, uint64_t now_ms);

/* The request is over, for whatever reason. */
void source_done(struct source *s, struct request *r);

/* How long until the request is answered at the present rate; UINT64_MAX when nothing comes. */
uint64_t source_eta_ms(const struct source *s, const struct request *r, uint64_t now_ms);

/* No requests until then. */
void source_sleep(struct source *s, uint64_t until_ms);

#endif
