/* Ed25519 as RFC 8032 has it, and what a peer is called. Values: common/README.md. */
#include "tests/unit/unit.h"

#include "common/key.h"

/* RFC 8032, 7.1, tests 1 (our owner) and 2 (our worker). */
static const struct {
    const char *seed;
    const char *public;
    const char *peer_id;
    const char *message;
    const char *signature;
} KEYS[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
     "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     "deb2ded39dc26fce0e6085b6fc34bf6b5941913bbfe2ea614113cff9e004c170", "r", /* 0x72 */
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
};

static struct key_pair *key_of(size_t i)
{
    uint8_t seed[SECRET_SEED_BYTES];
    assert_true(hex_parse(KEYS[i].seed, strlen(KEYS[i].seed), seed, sizeof seed));
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
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        struct key_pair *k = key_of(i);
        struct public_key public;
        struct digest id;
        uint8_t seed[SECRET_SEED_BYTES];
        struct signature s;
        key_pair_public(k, &public);
        expect(public.b, sizeof public.b, KEYS[i].public);
        public_key_peer_id(&public, &id);
        expect(id.b, sizeof id.b, KEYS[i].peer_id);
        key_pair_seed(k, seed);
        expect(seed, sizeof seed, KEYS[i].seed);
        assert_int_equal(key_sign(k, pn_bytes_str(KEYS[i].message), &s), PN_OK);
        expect(s.b, sizeof s.b, KEYS[i].signature);
        assert_true(key_verify(&public, pn_bytes_str(KEYS[i].message), &s));
        key_pair_free(k);
    }
}

static void any_changed_bit_is_noticed(void **state)
{
    (void)state;
    struct key_pair *k = key_of(0);
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
        cmocka_unit_test(any_changed_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
