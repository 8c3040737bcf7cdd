#include "common/claim.h"

#include <assert.h>

#include "common/hash.h"
#include "common/reader.h"
#include "common/writer.h"

/* With their terminators: a text that is continued differently cannot pass for one of these. */
static const char OWNER_HEAD[] = "preon-owner-1";
static const char GRANT_HEAD[] = "preon-grant-1";

struct owner_message {
    uint8_t b[sizeof OWNER_HEAD + DIGEST_BYTES];
};

static struct pn_bytes owner_message(const struct digest *job, struct owner_message *out)
{
    struct writer w = writer_of(out->b, sizeof out->b);
    writer_copy(&w, OWNER_HEAD, sizeof OWNER_HEAD);
    writer_bytes(&w, digest_bytes(job));
    return writer_done(&w);
}

enum pn_status claim_owner_sign(const struct key_pair *owner, const struct digest *job,
                                struct signature *out)
{
    struct owner_message message;
    return key_sign(owner, owner_message(job, &message), out);
}

bool claim_owner_check(const struct public_key *owner, const struct digest *job,
                       const struct signature *s)
{
    struct owner_message message;
    return key_verify(owner, owner_message(job, &message), s);
}

/* What is signed, and what travels in front of the signature. */
static void write_fields(const struct grant *g, struct writer *w)
{
    assert(g->peer_count >= 1 && g->peer_count <= GRANT_PEERS_MAX);
    writer_bytes(w, digest_bytes(&g->job));
    writer_bytes(w, run_bytes(&g->run));
    writer_u32(w, g->serial);
    writer_u64(w, g->expires_wall_ms);
    writer_u8(w, g->peer_count);
    for (size_t i = 0; i < g->peer_count; i++) {
        writer_bytes(w, digest_bytes(&g->peers[i]));
    }
}

struct grant_message {
    uint8_t b[sizeof GRANT_HEAD + GRANT_BYTES_MAX];
};

static struct pn_bytes grant_message(const struct grant *g, struct grant_message *out)
{
    struct writer w = writer_of(out->b, sizeof out->b);
    writer_copy(&w, GRANT_HEAD, sizeof GRANT_HEAD);
    write_fields(g, &w);
    return writer_done(&w);
}

enum pn_status grant_sign(struct grant *g, const struct key_pair *owner)
{
    struct grant_message message;
    return key_sign(owner, grant_message(g, &message), &g->signature);
}

bool grant_check(const struct grant *g, const struct public_key *owner)
{
    struct grant_message message;
    return key_verify(owner, grant_message(g, &message), &g->signature);
}

int grant_rank(const struct grant *g, const struct digest *peer)
{
    for (int i = 0; i < g->peer_count; i++) {
        if (digest_equal(&g->peers[i], peer)) {
            return i;
        }
    }
    return -1;
}

struct pn_bytes grant_write(const struct grant *g, uint8_t *out, size_t cap)
{
    struct writer w = writer_of(out, cap);
    write_fields(g, &w);
    writer_copy(&w, g->signature.b, sizeof g->signature.b);
    return writer_done(&w);
}

enum pn_status grant_parse(struct pn_bytes in, struct grant *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct grant g = {0};
    reader_copy(&r, g.job.b, sizeof g.job.b);
    reader_copy(&r, g.run.b, sizeof g.run.b);
    g.serial = reader_u32(&r);
    g.expires_wall_ms = reader_u64(&r);
    uint8_t peer_count = reader_u8(&r);
    if (peer_count > GRANT_PEERS_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "grant: %u peers, at most %d", peer_count,
                       GRANT_PEERS_MAX);
    }
    for (size_t i = 0; i < peer_count && !r.bad; i++) {
        reader_copy(&r, g.peers[i].b, sizeof g.peers[i].b);
        g.peer_count = (uint8_t)i;
        if (!r.bad && grant_rank(&g, &g.peers[i]) >= 0) {
            return pn_fail(err, PN_E_MALFORMED, "grant: peer %zu is named twice", i);
        }
    }
    g.peer_count = peer_count;
    reader_copy(&r, g.signature.b, sizeof g.signature.b);
    if (!reader_finish(&r) || peer_count == 0) {
        return pn_fail(err, PN_E_MALFORMED, "grant: bad length or no peer (%zu bytes)", in.len);
    }
    *out = g;
    return PN_OK;
}

struct vote_message {
    uint8_t b[HASH_TAG_BYTES + DIGEST_BYTES + RUN_BYTES + 8 + 8 + DIGEST_BYTES];
};

static struct pn_bytes vote_message(const struct vote_claim *v, struct vote_message *out)
{
    uint8_t tag[HASH_TAG_BYTES];
    hash_tag("vote", tag);
    struct writer w = writer_of(out->b, sizeof out->b);
    writer_copy(&w, tag, sizeof tag);
    writer_bytes(&w, digest_bytes(&v->job));
    writer_bytes(&w, run_bytes(&v->run));
    writer_u64(&w, v->slice);
    writer_u64(&w, v->attempt);
    writer_bytes(&w, digest_bytes(&v->outputs));
    return writer_done(&w);
}

enum pn_status claim_vote_sign(const struct key_pair *worker, const struct vote_claim *v,
                               struct signature *out)
{
    struct vote_message message;
    return key_sign(worker, vote_message(v, &message), out);
}

bool claim_vote_check(const struct public_key *worker, const struct vote_claim *v,
                      const struct signature *s)
{
    struct vote_message message;
    return key_verify(worker, vote_message(v, &message), s);
}
