/*
 * A kept vote: round trip, every strict prefix and one byte too many in blocks of exactly that
 * size, random changes, and the bounds.
 */
#include "tests/unit/unit.h"

#include "common/random.h"
#include "peer/worker/kept.h"

static struct buffer bytes;

static struct kept a_kept(void)
{
    struct kept k = {.master_id = {{7, 8}}, .master = addr_v4(192, 0, 2, 1, 4000)};
    k.vote = (struct work_vote){.what = {.job = {{1}}, .run = {{2}}, .slice = 3, .attempt = 4},
                                .wall_ms = 5,
                                .output_count = 1,
                                .stdout_tail = pn_bytes_str("said"),
                                .stderr_tail = pn_bytes_str("")};
    k.vote.outputs[0] = (struct work_output){.index = 0, .size = 1000000, .root = {{9}}};
    return k;
}

static int set_up(void **state)
{
    (void)state;
    const struct kept k = a_kept();
    buffer_init(&bytes, KEPT_BYTES_MAX);
    return kept_write(&k, &bytes) == PN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_fini(&bytes);
    return 0;
}

static enum pn_status parse_exact(const uint8_t *in, size_t len, struct buffer *again)
{
    struct kept k;
    uint8_t *copy = unit_exact(in, len);
    enum pn_status status = kept_parse((struct pn_bytes){copy, len}, &k, NULL);
    if (status == PN_OK && again != NULL) {
        again->len = 0;
        assert_int_equal(kept_write(&k, again), PN_OK);
    }
    free(copy);
    return status;
}

static void round_trip_and_every_other_length(void **state)
{
    (void)state;
    struct buffer again;
    buffer_init(&again, KEPT_BYTES_MAX);
    assert_int_equal(parse_exact(bytes.ptr, bytes.len, &again), PN_OK);
    assert_true(pn_bytes_equal(buffer_bytes(&again), buffer_bytes(&bytes)));
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_not_equal(parse_exact(bytes.ptr, len, NULL), PN_OK);
    }
    assert_int_equal(buffer_append(&bytes, pn_bytes_str("x")), PN_OK);
    assert_int_not_equal(parse_exact(bytes.ptr, bytes.len, NULL), PN_OK);
    buffer_fini(&again);
}

/* Whatever is accepted after a change is written back as it came. */
static void random_changes(void **state)
{
    (void)state;
    struct random random;
    struct buffer again;
    random_seed(&random, 3);
    buffer_init(&again, KEPT_BYTES_MAX);
    for (int i = 0; i < 20000; i++) {
        bytes.len = 0;
        const struct kept k = a_kept();
        assert_int_equal(kept_write(&k, &bytes), PN_OK);
        for (uint64_t n = random_below(&random, 3) + 1; n > 0; n--) {
            bytes.ptr[random_below(&random, bytes.len)] = (uint8_t)random_u64(&random);
        }
        if (parse_exact(bytes.ptr, bytes.len, &again) == PN_OK) {
            assert_true(pn_bytes_equal(buffer_bytes(&again), buffer_bytes(&bytes)));
        }
    }
    buffer_fini(&again);
}

static enum pn_status status_of(const struct kept *k)
{
    bytes.len = 0;
    assert_int_equal(kept_write(k, &bytes), PN_OK);
    return parse_exact(bytes.ptr, bytes.len, NULL);
}

static void bounds(void **state)
{
    (void)state;
    struct kept k = a_kept();
    k.master.port = 0;
    assert_int_equal(status_of(&k), PN_E_MALFORMED);
    k = a_kept();
    k.master.ip[4] = 1; /* beyond an IPv4 address */
    assert_int_equal(status_of(&k), PN_E_MALFORMED);
    k.master.family = ADDR_V6;
    assert_int_equal(status_of(&k), PN_OK);
    k = a_kept();
    k.vote.outputs[0].size = 1;
    k.vote.has_bytes = true;
    k.vote.bytes = pn_bytes_str("a");
    assert_int_equal(status_of(&k), PN_E_MALFORMED);
    k = a_kept();
    assert_int_equal(status_of(&k), PN_OK);
    bytes.ptr[0] = KEPT_VERSION + 1;
    assert_int_equal(parse_exact(bytes.ptr, bytes.len, NULL), PN_E_UNSUPPORTED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(round_trip_and_every_other_length),
        TEST(random_changes),
        TEST(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
