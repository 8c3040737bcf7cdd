/* HELLO: one encoding, room for later versions, no text that could forge a line. */
#include "tests/unit/unit.h"

#include "common/hello.h"

static const struct hello PEER = {
    .version = HELLO_VERSION,
    .features = 0x0102030405060708,
    .roles = HELLO_WORKER | HELLO_MASTER,
    .tier = 2,
    .slots = 16,
    .port = 4200,
    .token = 0x1112131415161718,
    .rate_khs = 28600,
    .machine_class = "x86_64-avx512",
    .program_count = 2,
    .programs = {"nonce@1", "mandelbrot@1"},
};

/* Offsets of fields that the tests change. */
enum { AT_VERSION = 0, AT_TIER = 11, AT_CLASS = 30, AT_PROGRAM_COUNT = 43, PEER_BYTES = 67 };

static enum pn_status parse(const uint8_t *in, size_t len, struct hello *out)
{
    uint8_t *copy = unit_exact(in, len);
    struct pn_err err;
    enum pn_status status = hello_parse((struct pn_bytes){copy, len}, out, &err);
    free(copy);
    return status;
}

static void write_peer(uint8_t out[PEER_BYTES])
{
    struct writer w = writer_of(out, PEER_BYTES);
    hello_write(&PEER, &w);
    assert_int_equal(writer_done(&w).len, PEER_BYTES);
}

static void what_is_said_is_heard(void **state)
{
    (void)state;
    uint8_t bytes[PEER_BYTES];
    struct hello h;
    write_peer(bytes);
    assert_int_equal(parse(bytes, sizeof bytes, &h), PN_OK);
    assert_int_equal(h.version, PEER.version);
    assert_true(h.features == PEER.features && h.token == PEER.token);
    assert_int_equal(h.roles, PEER.roles);
    assert_int_equal(h.tier, PEER.tier);
    assert_int_equal(h.slots, PEER.slots);
    assert_int_equal(h.port, PEER.port);
    assert_int_equal(h.rate_khs, PEER.rate_khs);
    assert_string_equal(h.machine_class, PEER.machine_class);
    assert_int_equal(h.program_count, PEER.program_count);
    assert_string_equal(h.programs[0], PEER.programs[0]);
    assert_string_equal(h.programs[1], PEER.programs[1]);
}

static void every_strict_prefix_is_malformed(void **state)
{
    (void)state;
    uint8_t bytes[PEER_BYTES];
    struct hello h;
    write_peer(bytes);
    for (size_t len = 0; len < sizeof bytes; len++) {
        assert_int_equal(parse(bytes, len, &h), PN_E_MALFORMED);
    }
}

static void later_versions_may_say_more(void **state)
{
    (void)state;
    uint8_t bytes[PEER_BYTES + 3] = {0};
    struct hello h;
    write_peer(bytes);
    bytes[AT_VERSION] = 9;
    bytes[AT_TIER] = 3;
    assert_int_equal(parse(bytes, sizeof bytes, &h), PN_OK);
    assert_int_equal(h.version, 9);
    assert_int_equal(h.tier, 0);
}

static void bad_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        enum pn_status status;
    } CASES[] = {
        {AT_VERSION, 0, PN_E_MALFORMED},
        {AT_CLASS, '\n', PN_E_MALFORMED},
        {AT_CLASS, '\0', PN_E_MALFORMED},
        {AT_CLASS, ' ', PN_E_MALFORMED},
        {AT_CLASS, 0x7f, PN_E_MALFORMED},
        {AT_CLASS - 1, 1, PN_E_MALFORMED}, /* the class's length, high byte */
        {AT_PROGRAM_COUNT, HELLO_PROGRAMS_MAX + 1, PN_E_TOO_BIG},
        {AT_PROGRAM_COUNT, 3, PN_E_MALFORMED},
        {AT_PROGRAM_COUNT + 1, HELLO_PROGRAM_BYTES_MAX + 1, PN_E_MALFORMED},
        {AT_PROGRAM_COUNT + 1, 0, PN_E_MALFORMED},
        {AT_PROGRAM_COUNT + 3, 0x1b, PN_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint8_t bytes[PEER_BYTES];
        struct hello h = {.slots = 77};
        write_peer(bytes);
        bytes[CASES[i].at] = CASES[i].value;
        assert_int_equal(parse(bytes, sizeof bytes, &h), CASES[i].status);
        assert_int_equal(h.slots, 77); /* out is written only on PN_OK */
    }
}

static void the_largest_fits_its_bound(void **state)
{
    (void)state;
    struct hello h = {.version = 1, .program_count = HELLO_PROGRAMS_MAX};
    memset(h.machine_class, 'c', HELLO_CLASS_MAX);
    for (size_t i = 0; i < HELLO_PROGRAMS_MAX; i++) {
        memset(h.programs[i], 'p', HELLO_PROGRAM_BYTES_MAX);
    }
    uint8_t bytes[HELLO_BYTES_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    hello_write(&h, &w);
    assert_int_equal(writer_done(&w).len, HELLO_BYTES_MAX);
    struct hello back;
    assert_int_equal(parse(bytes, sizeof bytes, &back), PN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_heard),
        cmocka_unit_test(every_strict_prefix_is_malformed),
        cmocka_unit_test(later_versions_may_say_more),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(the_largest_fits_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
