/*
 * proofs -- which claimed addresses answered when they were dialled back; each asked at most once
 * in ten minutes.
 */
#ifndef PREON_TRACKER_PROOFS_H
#define PREON_TRACKER_PROOFS_H

#include "common/addr.h"
#include "tracker/fifo.h"

enum {
    PROOFS_KEPT_MS = 600000,  /* an answer, good or bad, counts for so long */
    PROOFS_COUNT_MAX = 65536, /* remembered at once: the rate of dial-backs is bounded by this */
    PROOFS_UNDER_WAY_MAX = 64,
    PROOFS_HOST_MAX = 4, /* ports of one address within PROOFS_KEPT_MS */
};

enum proof {
    PROOF_WANTED,    /* nobody knows */
    PROOF_UNDER_WAY, /* being dialled */
    PROOF_REACHED,
    PROOF_UNREACHED,
};

struct proofs {
    struct pool pool;
    struct fifo by_age;
    struct pool_index by_addr;
    uint32_t under_way_count;
    uint64_t seed;
};

void proofs_init(struct proofs *p, uint64_t seed);
void proofs_fini(struct proofs *p);

enum proof proofs_ask(const struct proofs *p, const struct addr *addr, uint64_t now_ms);

/* Notes that addr is dialled now. False when the budget does not allow it: then do not dial. */
bool proofs_start(struct proofs *p, const struct addr *addr, uint64_t now_ms);

/* What became of it. */
void proofs_end(struct proofs *p, const struct addr *addr, bool reached);

void proofs_tick(struct proofs *p, uint64_t now_ms);
uint64_t proofs_deadline_ms(const struct proofs *p);
size_t proofs_bytes(const struct proofs *p);

#endif
