/*
 * claim -- the three signed statements: whose job it is, who may lead it, how a slice ended.
 *
 *     owner   by the owner key over "preon-owner-1\0" ‖ job
 *     grant   by the owner key over "preon-grant-1\0" ‖ job ‖ run ‖ u32 serial ‖ u64 expiry ‖
 *             u8 count ‖ ranked peer IDs
 *     vote    by the worker's peer key over T("vote") ‖ job ‖ run ‖ u64 slice ‖ u64 attempt ‖ O
 *
 * All are Ed25519; integers are little-endian. The _check functions are false, too, when memory is
 * short: nothing is proven then.
 */
#ifndef PREON_COMMON_CLAIM_H
#define PREON_COMMON_CLAIM_H

#include "common/key.h"
#include "common/run.h"

enum {
    GRANT_PEERS_MAX = 16,
    GRANT_BYTES_MIN = DIGEST_BYTES + RUN_BYTES + 4 + 8 + 1 + DIGEST_BYTES + SIGNATURE_BYTES,
    GRANT_BYTES_MAX = GRANT_BYTES_MIN + (GRANT_PEERS_MAX - 1) * DIGEST_BYTES,
};

enum pn_status claim_owner_sign(const struct key_pair *owner, const struct digest *job,
                                struct signature *out);
bool claim_owner_check(const struct public_key *owner, const struct digest *job,
                       const struct signature *s);

/* "These peers, in this order, may lead this run of my job." The highest serial counts. */
struct grant {
    struct digest job;
    struct run run;
    uint32_t serial;
    uint64_t expires_wall_ms; /* since 1970; 0 means never */
    uint8_t peer_count;       /* 1 .. GRANT_PEERS_MAX */
    struct digest peers[GRANT_PEERS_MAX];
    struct signature signature;
};

/* Fills g->signature; everything else is there. */
enum pn_status grant_sign(struct grant *g, const struct key_pair *owner);
bool grant_check(const struct grant *g, const struct public_key *owner);

/* The place of a peer in the ranking, 0 for the first; -1 when the grant does not name it. */
int grant_rank(const struct grant *g, const struct digest *peer);

/* The fields in the order above, then the signature. {NULL, 0} when cap is too small. */
struct pn_bytes grant_write(const struct grant *g, uint8_t *out, size_t cap);

/*
 * Says nothing about the signature: that takes the owner's key.
 * Fails with PN_E_MALFORMED (length, no peer, one peer twice) or PN_E_TOO_BIG (too many peers).
 */
enum pn_status grant_parse(struct pn_bytes in, struct grant *out, struct pn_err *err);

struct vote_claim {
    struct digest job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
    struct digest outputs; /* hash_outputs */
};

enum pn_status claim_vote_sign(const struct key_pair *worker, const struct vote_claim *v,
                               struct signature *out);
bool claim_vote_check(const struct public_key *worker, const struct vote_claim *v,
                      const struct signature *s);

#endif
