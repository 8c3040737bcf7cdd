/* The signed statements. Values: common/README.md, signed there by another program. */
#include "tests/unit/unit.h"

#include "common/claim.h"
#include "common/hash.h"

static const char OWNER_SEED[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
static const char WORKER_SEED[] =
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";

struct party {
    struct key_pair *key;
    struct public_key public;
    struct digest id;
};

static void open_party(struct party *p, const char *seed_hex)
{
    uint8_t seed[SECRET_SEED_BYTES];
    assert_true(hex_parse(seed_hex, strlen(seed_hex), seed, sizeof seed));
    p->key = key_pair_new(seed);
    assert_non_null(p->key);
    key_pair_public(p->key, &p->public);
    public_key_peer_id(&p->public, &p->id);
}

static void expect(const struct signature *s, const char *hex)
{
    char text[2 * SIGNATURE_BYTES + 1];
    hex_write((struct pn_bytes){s->b, sizeof s->b}, text);
    assert_string_equal(text, hex);
}

static void fill(struct digest *job, struct run *run)
{
    hash_sha256(pn_bytes_str("abc"), job);
    for (size_t i = 0; i < RUN_BYTES; i++) {
        run->b[i] = (uint8_t)i;
    }
}

static void an_owner_signs_a_job(void **state)
{
    (void)state;
    struct party owner;
    struct party worker;
    struct digest job;
    struct run run;
    struct signature s;
    open_party(&owner, OWNER_SEED);
    open_party(&worker, WORKER_SEED);
    fill(&job, &run);
    assert_int_equal(claim_owner_sign(owner.key, &job, &s), PN_OK);
    expect(&s, "9d7336dba54c243fdfe960b5a545f6113022f3785cd6b9fe7af7fd04e9ac1270"
               "91d63ea76f43093efbd8848aa644c53bf616d058372ba3ebb4694274822f3505");
    assert_true(claim_owner_check(&owner.public, &job, &s));
    assert_false(claim_owner_check(&worker.public, &job, &s));
    job.b[31] ^= 1;
    assert_false(claim_owner_check(&owner.public, &job, &s));
    key_pair_free(owner.key);
    key_pair_free(worker.key);
}

static void fill_grant(struct grant *g, const struct party *owner, const struct party *worker)
{
    *g = (struct grant){.serial = 7, .expires_wall_ms = 1800000000000, .peer_count = 2};
    fill(&g->job, &g->run);
    g->peers[0] = worker->id;
    g->peers[1] = owner->id;
    assert_int_equal(grant_sign(g, owner->key), PN_OK);
}

static void a_grant_ranks_peers(void **state)
{
    (void)state;
    struct party owner;
    struct party worker;
    struct grant g;
    open_party(&owner, OWNER_SEED);
    open_party(&worker, WORKER_SEED);
    fill_grant(&g, &owner, &worker);
    expect(&g.signature, "6bf103f0a0434d6da572a12d01592829a669ea323f3189af8cb718b10a3c3187"
                         "9be61b78ff48296bfd185f1e8d5121db3ae9e4b4b10217dcdf29309a06683505");
    assert_true(grant_check(&g, &owner.public));
    assert_false(grant_check(&g, &worker.public));
    assert_int_equal(grant_rank(&g, &worker.id), 0);
    assert_int_equal(grant_rank(&g, &owner.id), 1);
    assert_int_equal(grant_rank(&g, &g.job), -1);
    g.serial++;
    assert_false(grant_check(&g, &owner.public));
    key_pair_free(owner.key);
    key_pair_free(worker.key);
}

static enum pn_status parse(const uint8_t *in, size_t len, struct grant *out)
{
    uint8_t *copy = unit_exact(in, len);
    struct pn_err err;
    enum pn_status status = grant_parse((struct pn_bytes){copy, len}, out, &err);
    free(copy);
    return status;
}

static void a_grant_has_one_encoding(void **state)
{
    (void)state;
    struct party owner;
    struct party worker;
    struct grant g;
    struct grant back = {.serial = 99};
    open_party(&owner, OWNER_SEED);
    open_party(&worker, WORKER_SEED);
    fill_grant(&g, &owner, &worker);
    uint8_t bytes[GRANT_BYTES_MAX + 1];
    const size_t len = 189;
    assert_null(grant_write(&g, bytes, len - 1).ptr);
    assert_int_equal(grant_write(&g, bytes, sizeof bytes).len, len);
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(parse(bytes, cut, &back), PN_E_MALFORMED);
    }
    assert_int_equal(parse(bytes, len + 1, &back), PN_E_MALFORMED);
    assert_int_equal(back.serial, 99); /* written only on PN_OK */
    assert_int_equal(parse(bytes, len, &back), PN_OK);
    assert_true(grant_check(&back, &owner.public));

    const size_t count_at = DIGEST_BYTES + RUN_BYTES + 4 + 8;
    uint8_t bad[sizeof bytes];
    memcpy(bad, bytes, sizeof bad);
    bad[count_at] = GRANT_PEERS_MAX + 1;
    assert_int_equal(parse(bad, len, &back), PN_E_TOO_BIG);
    bad[count_at] = 0;
    assert_int_equal(parse(bad, len - 2 * DIGEST_BYTES, &back), PN_E_MALFORMED);
    memcpy(bad, bytes, sizeof bad);
    memcpy(bad + count_at + 1 + DIGEST_BYTES, worker.id.b, DIGEST_BYTES);
    assert_int_equal(parse(bad, len, &back), PN_E_MALFORMED);
    key_pair_free(owner.key);
    key_pair_free(worker.key);
}

static void the_largest_grant_fits_its_bound(void **state)
{
    (void)state;
    struct grant g = {.peer_count = GRANT_PEERS_MAX};
    for (uint8_t i = 0; i < GRANT_PEERS_MAX; i++) {
        g.peers[i].b[0] = i;
    }
    uint8_t bytes[GRANT_BYTES_MAX];
    struct grant back;
    assert_int_equal(grant_write(&g, bytes, sizeof bytes).len, GRANT_BYTES_MAX);
    assert_int_equal(parse(bytes, sizeof bytes, &back), PN_OK);
    assert_int_equal(grant_rank(&back, &g.peers[GRANT_PEERS_MAX - 1]), GRANT_PEERS_MAX - 1);
}

static void a_vote_covers_everything_about_a_slice(void **state)
{
    (void)state;
    struct party worker;
    struct vote_claim v = {.slice = 5, .attempt = 0x0102030405060708};
    struct signature s;
    static const char OUTPUTS[] =
        "33b241f8bf1047632db26f311b2ec102f7f93f46240a3624f1803272f879bf12";
    open_party(&worker, WORKER_SEED);
    fill(&v.job, &v.run);
    assert_true(digest_parse(OUTPUTS, strlen(OUTPUTS), &v.outputs));
    assert_int_equal(claim_vote_sign(worker.key, &v, &s), PN_OK);
    expect(&s, "65416ea4145634b8eca8030cf9b160addd219558dad954985ce156781ddf51fd"
               "2f8d3e04fd7b96a25d8d83f161c557c852b3d15fa23e5a9c95c9ecf9ec4ff000");
    assert_true(claim_vote_check(&worker.public, &v, &s));

    struct vote_claim other[5] = {v, v, v, v, v};
    other[0].job.b[0] ^= 1;
    other[1].run.b[15] ^= 1;
    other[2].slice ^= 1;
    other[3].attempt ^= (uint64_t)1 << 63;
    other[4].outputs.b[31] ^= 0x80;
    for (size_t i = 0; i < 5; i++) {
        assert_false(claim_vote_check(&worker.public, &other[i], &s));
    }
    key_pair_free(worker.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_signs_a_job),
        cmocka_unit_test(a_grant_ranks_peers),
        cmocka_unit_test(a_grant_has_one_encoding),
        cmocka_unit_test(the_largest_grant_fits_its_bound),
        cmocka_unit_test(a_vote_covers_everything_about_a_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
