/* Any bytes: no grant, or one within its limits that is written back as it came. */
#include <assert.h>
#include <stdlib.h>

#include "common/claim.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The first run signs and checks one of each claim: what no bytes of a stranger's reach. */
static void claims_hold(void)
{
    static bool done;
    if (done) {
        return;
    }
    done = true;
    const uint8_t seed[SECRET_SEED_BYTES] = {1};
    struct key_pair *key = key_pair_new(seed);
    struct public_key public;
    struct grant g = {.peer_count = 1};
    struct vote_claim v = {.slice = 1};
    struct signature s;
    assert(key != NULL);
    key_pair_public(key, &public);
    assert(grant_sign(&g, key) == PN_OK && grant_check(&g, &public));
    assert(claim_owner_sign(key, &g.job, &s) == PN_OK && claim_owner_check(&public, &g.job, &s));
    assert(claim_vote_sign(key, &v, &s) == PN_OK && claim_vote_check(&public, &v, &s));
    assert(!claim_owner_check(&public, &g.job, &s));
    key_pair_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    claims_hold();
    uint8_t *exact = malloc(len + (len == 0));
    if (exact == NULL) {
        return 0;
    }
    memcpy(exact, bytes, len);
    const struct pn_bytes in = {exact, len};
    struct grant g;
    struct pn_err err;
    if (grant_parse(in, &g, &err) == PN_OK) {
        uint8_t out[GRANT_BYTES_MAX];
        assert(g.peer_count >= 1 && g.peer_count <= GRANT_PEERS_MAX);
        assert(pn_bytes_equal(grant_write(&g, out, sizeof out), in));
        assert(grant_write(&g, out, len - 1).ptr == NULL);
        for (int i = 0; i < g.peer_count; i++) {
            assert(grant_rank(&g, &g.peers[i]) == i); /* nobody twice */
        }
    }
    free(exact);
    return 0;
}
