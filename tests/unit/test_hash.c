/* The hashes that name things. Values: common/README.md, computed there by another program. */
#include "tests/unit/unit.h"

#include "common/hash.h"

static void expect(const struct digest *d, const char *hex)
{
    char text[DIGEST_HEX_BYTES];
    digest_hex(d, text);
    assert_string_equal(text, hex);
}

/* The bytes that the published roots are of. */
static uint8_t *pattern(size_t len)
{
    uint8_t *bytes = malloc(len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(i * i + (i >> 8));
    }
    return bytes;
}

static const char *const EMPTY_ROOT =
    "da2db9d96bd75fd9d7ee4ee03b761228ed601e1a05693e029d891b1089386515";
static const char *const ABC_ROOT =
    "9951a6ec9a61b71d68c76361c7648f1d1c70800e4658f9682051bb6616caf746";

static void sha256_is_sha256(void **state)
{
    (void)state;
    struct digest d;
    hash_sha256(pn_bytes_str("abc"), &d);
    expect(&d, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_sha256((struct pn_bytes){NULL, 0}, &d);
    expect(&d, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void leaves_are_tagged(void **state)
{
    (void)state;
    uint8_t tag[HASH_TAG_BYTES];
    hash_tag("block", tag);
    assert_memory_equal(tag, "\0preon1 block\0\0\0", HASH_TAG_BYTES);
    struct digest d;
    hash_leaf((struct pn_bytes){NULL, 0}, &d);
    expect(&d, "d79c480cd42a0539563392043b531e16d0bec62c11f3a41389518afb209a1a3c");
    hash_leaf(pn_bytes_str("abc"), &d);
    expect(&d, "d2052cf226eb6c814fb00f15920d5129b2332cba1129b94660350e3d796e9fa6");
}

static void block_sizes_follow_the_size(void **state)
{
    (void)state;
    const uint64_t mib = 1024 * 1024;
    static const uint64_t KIB = 1024;
    assert_int_equal(block_bytes_for(0), 256 * KIB);
    assert_int_equal(block_bytes_for(1024 * mib), 256 * KIB);
    assert_int_equal(block_bytes_for(1024 * mib + 1), 512 * KIB);
    assert_int_equal(block_bytes_for(2048 * mib), 512 * KIB);
    assert_int_equal(block_bytes_for(2048 * mib + 1), 1024 * KIB);
    assert_int_equal(block_bytes_for(8192 * mib + 1), 4096 * KIB);
    assert_int_equal(block_bytes_for(FILE_BYTES_MAX), BLOCK_BYTES_MAX);
    assert_int_equal(block_count_for(0), 0);
    assert_int_equal(block_count_for(1), 1);
    assert_int_equal(block_count_for(256 * KIB), 1);
    assert_int_equal(block_count_for(256 * KIB + 1), 2);
    assert_int_equal(block_count_for(1024 * mib), 4096);
    assert_int_equal(block_count_for(1024 * mib + 1), 2049);
    assert_int_equal(block_count_for(FILE_BYTES_MAX), 1 << 18);
    assert_int_equal(block_length(256 * KIB + 1, 0), 256 * KIB);
    assert_int_equal(block_length(256 * KIB + 1, 1), 1);
    assert_int_equal(block_length(512 * KIB, 1), 256 * KIB);
    assert_int_equal(block_length(FILE_BYTES_MAX, (1 << 18) - 1), BLOCK_BYTES_MAX);
}

/* Streams the file in pieces of `step` bytes. */
static void expect_root(const uint8_t *bytes, size_t len, size_t step, const char *hex)
{
    struct hash_stream *s = hash_stream_new(len);
    struct digest root;
    const struct digest *leaves;
    assert_non_null(s);
    for (size_t at = 0; at < len; at += step) {
        assert_false(hash_stream_final(s, &root, &leaves));
        size_t piece = len - at < step ? len - at : step;
        assert_true(hash_stream_update(s, (struct pn_bytes){bytes + at, piece}));
    }
    assert_false(hash_stream_update(s, pn_bytes_str("x")));
    assert_true(hash_stream_final(s, &root, &leaves));
    expect(&root, hex);
    hash_root(len, leaves, &root);
    expect(&root, hex);
    for (uint32_t i = 0; i < block_count_for(len); i++) {
        struct digest leaf;
        hash_leaf((struct pn_bytes){bytes + (size_t)i * BLOCK_BYTES_MIN, block_length(len, i)},
                  &leaf);
        assert_true(digest_equal(&leaf, &leaves[i]));
    }
    hash_stream_free(s);
}

static void roots_do_not_depend_on_pieces(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *root;
    } CASES[] = {
        {262144, "9a953ee7411043f8f401f71d9dd818bc68ec0841cf3e76ca9de8826d0d74eee9"},
        {262145, "9a24c327084404cc2799d07ce081edb62a9f3375d585f0d0fc665de920b1d692"},
        {600000, "42ed46a9ebc6d1ac4a5140bf2866454f6d553f69dcd4a3627694a14e1dd2df1f"},
    };
    static const size_t STEPS[] = {4093, 65536, 262144, 262145, 600000};
    uint8_t *bytes = pattern(600000);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        for (size_t j = 0; j < sizeof STEPS / sizeof STEPS[0]; j++) {
            expect_root(bytes, CASES[i].len, STEPS[j], CASES[i].root);
        }
    }
    free(bytes);
    expect_root((const uint8_t *)"abc", 3, 1, ABC_ROOT);
    expect_root(NULL, 0, 1, EMPTY_ROOT);
}

static void a_large_file_has_larger_blocks(void **state)
{
    (void)state;
    const uint64_t size = ((uint64_t)1 << 30) + 1;
    const uint32_t count = block_count_for(size);
    struct digest *leaves = calloc(count, sizeof *leaves);
    assert_non_null(leaves);
    for (uint32_t i = 0; i < count; i++) {
        hash_leaf(pn_bytes_str("abc"), &leaves[i]);
    }
    struct digest root;
    hash_root(size, leaves, &root);
    expect(&root, "86b114ca0b0a77887832736ef359d1966b6df4ce8d9f753d6cea37a2c3852540");
    free(leaves);
}

static void outputs_cover_how_it_ended(void **state)
{
    (void)state;
    struct digest d;
    hash_outputs(OUTCOME_EXITED, 0, NULL, 0, &d);
    expect(&d, "ac22bd97f699738d863030a595bbccaf9e73ffba2772766e22281cf413b75dae");
    hash_outputs(OUTCOME_EXITED, 1, NULL, 0, &d);
    expect(&d, "9757f8b860d37013eb24a1def8da2f08e2b86f10c5b24df5826745883714e8fb");
    hash_outputs(OUTCOME_SIGNALLED, 9, NULL, 0, &d);
    expect(&d, "3e656572970da5efc947604e4331b788451031578787e691f8431afab4fa4a66");

    struct output two[] = {{.name = "a/b", .size = 0}, {.name = "out.txt", .size = 3}};
    assert_true(digest_parse(EMPTY_ROOT, strlen(EMPTY_ROOT), &two[0].root));
    assert_true(digest_parse(ABC_ROOT, strlen(ABC_ROOT), &two[1].root));
    hash_outputs(OUTCOME_EXITED, 0, two, 2, &d);
    expect(&d, "33b241f8bf1047632db26f311b2ec102f7f93f46240a3624f1803272f879bf12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_sha256),
        cmocka_unit_test(leaves_are_tagged),
        cmocka_unit_test(block_sizes_follow_the_size),
        cmocka_unit_test(roots_do_not_depend_on_pieces),
        cmocka_unit_test(a_large_file_has_larger_blocks),
        cmocka_unit_test(outputs_cover_how_it_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
