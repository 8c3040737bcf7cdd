/* The envelope: judged by its header alone, one encoding, nothing read past its end. */
#include "tests/unit/unit.h"

#include "common/frame.h"

static const struct frame BLOCK = {
    .type = FRAME_BLOCK,
    .flags = FRAME_ANSWER | FRAME_MORE,
    .request = 0x01020304,
    .body = {(const uint8_t *)"block", 5},
};

static const uint8_t BLOCK_BYTES[] = {5, 0, 0, 0,   FRAME_BLOCK, 6,   0,   0,  4,
                                      3, 2, 1, 'b', 'l',         'o', 'c', 'k'};

static enum pn_status parse(const uint8_t *in, size_t len, size_t body_max, size_t *used,
                            size_t *need, struct frame *out)
{
    uint8_t *copy = unit_exact(in, len);
    struct pn_err err;
    enum pn_status status =
        frame_parse((struct pn_bytes){copy, len}, body_max, out, used, need, &err);
    free(copy);
    return status;
}

static void a_frame_has_one_encoding(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 100);
    assert_int_equal(frame_write(&BLOCK, &b), PN_OK);
    assert_int_equal(b.len, sizeof BLOCK_BYTES);
    assert_memory_equal(b.ptr, BLOCK_BYTES, sizeof BLOCK_BYTES);

    struct frame f;
    size_t used;
    size_t need;
    assert_int_equal(frame_parse(buffer_bytes(&b), 5, &f, &used, &need, NULL), PN_OK);
    assert_int_equal(used, b.len);
    assert_int_equal(f.type, BLOCK.type);
    assert_int_equal(f.flags, BLOCK.flags);
    assert_int_equal(f.request, BLOCK.request);
    assert_true(pn_bytes_equal(f.body, BLOCK.body));
    buffer_fini(&b);
}

/* The header first, then as much as it says; what follows the frame is left alone. */
static void a_prefix_says_how_much_it_needs(void **state)
{
    (void)state;
    struct frame f;
    size_t used;
    size_t need;
    for (size_t len = 0; len < sizeof BLOCK_BYTES; len++) {
        assert_int_equal(parse(BLOCK_BYTES, len, 5, &used, &need, &f), PN_OK);
        assert_int_equal(used, 0);
        assert_int_equal(need, len < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : sizeof BLOCK_BYTES);
    }
    uint8_t more[sizeof BLOCK_BYTES + 1] = {0};
    memcpy(more, BLOCK_BYTES, sizeof BLOCK_BYTES);
    assert_int_equal(parse(more, sizeof more, 5, &used, &need, &f), PN_OK);
    assert_int_equal(used, sizeof BLOCK_BYTES);
}

static void the_header_is_judged_before_the_body(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t value;
        enum pn_status status;
    } CASES[] = {
        {0, 6, PN_E_TOO_BIG},   {1, 1, PN_E_TOO_BIG},      {3, 255, PN_E_TOO_BIG},
        {5, 8, PN_E_MALFORMED}, {5, 0x80, PN_E_MALFORMED}, {6, 1, PN_E_MALFORMED},
        {7, 1, PN_E_MALFORMED}, {4, 255, PN_OK},           {0, 4, PN_OK},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint8_t header[FRAME_HEADER_BYTES];
        memcpy(header, BLOCK_BYTES, sizeof header);
        header[CASES[i].at] = CASES[i].value;
        struct frame f;
        size_t used;
        size_t need;
        assert_int_equal(parse(header, sizeof header, 5, &used, &need, &f), CASES[i].status);
        assert_int_equal(used, 0);
    }
}

static void a_full_buffer_stays_as_it_was(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, sizeof BLOCK_BYTES + 3);
    assert_int_equal(frame_write(&BLOCK, &b), PN_OK);
    assert_int_equal(frame_write(&BLOCK, &b), PN_E_FULL);
    assert_int_equal(b.len, sizeof BLOCK_BYTES);
    assert_memory_equal(b.ptr, BLOCK_BYTES, sizeof BLOCK_BYTES);
    buffer_fini(&b);
}

static void types_are_known_or_not(void **state)
{
    (void)state;
    assert_true(frame_type_known(FRAME_HELLO));
    assert_true(frame_type_known(FRAME_HAVE));
    assert_false(frame_type_known(0));
    assert_false(frame_type_known(255));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_one_encoding),
        cmocka_unit_test(a_prefix_says_how_much_it_needs),
        cmocka_unit_test(the_header_is_judged_before_the_body),
        cmocka_unit_test(a_full_buffer_stays_as_it_was),
        cmocka_unit_test(types_are_known_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
