/* Ed25519 as RFC 8032 has it, and what a peer is called. Values: common/README.md. */
#include "tests/unit/unit.h"

#include "common/key.h"

static const char SEED[] = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
static const char PUBLIC[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
static const char PEER_ID[] = "deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170";
static const char SIGNED_72[] = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static struct key_pair *test_key(void)
{
    uint8_t seed[SECRET_SEED_BYTES];
    assert_true(hex_parse(SEED, strlen(SEED), seed, sizeof seed));
    struct key_pair *k = key_pair_new(seed);
    assert_non_null(k);
    return k;
}

static void expect(const void *bytes, size_t len, const char *hex)
{
    char text[2 * SIGNATURE_BYTES + 1];
    hex_write((struct pn_bytes){bytes, len}, text);
    assert_string_equal(text, hex);
}

static void keys_are_those_of_the_rfc(void **state)
{
    (void)state;
    struct key_pair *k = test_key();
    struct public_key public;
    uint8_t seed[SECRET_SEED_BYTES];
    struct signature s;
    key_pair_public(k, &public);
    expect(public.b, sizeof public.b, PUBLIC);
    key_pair_seed(k, seed);
    expect(seed, sizeof seed, SEED);
    assert_int_equal(key_sign(k, pn_bytes_str("r"), &s), PN_OK); /* 0x72 */
    expect(s.b, sizeof s.b, SIGNED_72);
    key_pair_free(k);
}

static void a_peer_is_named_by_its_key(void **state)
{
    (void)state;
    struct public_key public;
    struct digest id;
    assert_true(hex_parse(PUBLIC, strlen(PUBLIC), public.b, sizeof public.b));
    public_key_peer_id(&public, &id);
    expect(id.b, sizeof id.b, PEER_ID);
}

static void any_changed_bit_is_noticed(void **state)
{
    (void)state;
    struct key_pair *k = test_key();
    struct public_key public;
    struct signature s;
    uint8_t message[] = "a slice ended";
    const struct pn_bytes all = {message, sizeof message};
    key_pair_public(k, &public);
    assert_int_equal(key_sign(k, all, &s), PN_OK);
    assert_true(key_verify(&public, all, &s));
    assert_false(key_verify(&public, (struct pn_bytes){message, sizeof message - 1}, &s));
    for (size_t bit = 0; bit < 8 * sizeof s.b; bit += 7) {
        s.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(key_verify(&public, all, &s));
        s.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    public.b[3] ^= 1;
    assert_false(key_verify(&public, all, &s));
    public.b[3] ^= 1;
    message[2] ^= 1;
    assert_false(key_verify(&public, all, &s));
    key_pair_free(k);
    key_pair_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_rfc),
        cmocka_unit_test(a_peer_is_named_by_its_key),
        cmocka_unit_test(any_changed_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
