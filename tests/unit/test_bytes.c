/* Readers, writers, buffers, hex: the bytes that everything else is made of. */
#include "tests/unit/unit.h"

#include "common/buffer.h"
#include "common/digest.h"
#include "common/reader.h"
#include "common/status.h"
#include "common/writer.h"

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof out);
    writer_u8(&w, 0x12);
    writer_u16(&w, 0x3456);
    writer_u32(&w, 0x789abcde);
    writer_u64(&w, 0x0123456789abcdefu);
    writer_bytes16(&w, pn_bytes_str("preon"));
    struct pn_bytes all = writer_done(&w);
    assert_int_equal(all.len, 1 + 2 + 4 + 8 + 2 + 5);
    assert_int_equal(out[1], 0x56); /* little-endian */

    /* The whole parses; every strict prefix is bad and yields no byte beyond its end. */
    for (size_t len = 0; len <= all.len; len++) {
        uint8_t *copy = unit_exact(all.ptr, len);
        struct reader r = reader_of((struct pn_bytes){copy, len});
        uint64_t sum = reader_u8(&r);
        sum += reader_u16(&r);
        sum += reader_u32(&r);
        sum += reader_u64(&r);
        struct pn_bytes text = reader_bytes16(&r, 5);
        assert_int_equal(reader_finish(&r), len == all.len);
        if (len == all.len) {
            assert_true(sum == 0x12 + 0x3456 + 0x789abcdeu + 0x0123456789abcdefu);
            assert_true(pn_bytes_equal(text, pn_bytes_str("preon")));
        } else {
            assert_null(text.ptr);
        }
        free(copy);
    }
}

static void a_length_over_its_maximum_is_bad(void **state)
{
    (void)state;
    const uint8_t in[] = {3, 0, 'a', 'b', 'c'};
    struct reader r = reader_of((struct pn_bytes){in, sizeof in});
    (void)reader_bytes16(&r, 2);
    assert_true(r.bad);
}

static void a_full_writer_writes_nothing_more(void **state)
{
    (void)state;
    uint8_t out[4] = {0};
    struct writer w = writer_of(out, 3);
    writer_u16(&w, 0xffff);
    writer_u16(&w, 0xffff);
    writer_u8(&w, 0xff);
    assert_true(w.full);
    assert_null(writer_done(&w).ptr);
    assert_int_equal(out[2], 0);
}

static void a_buffer_keeps_its_maximum(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, 1000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(buffer_append(&b, pn_bytes_str("0123456789")), PN_OK);
    }
    assert_int_equal(buffer_append(&b, pn_bytes_str("x")), PN_E_FULL);
    assert_int_equal(b.len, 1000);
    buffer_consume(&b, 995);
    assert_int_equal(buffer_printf(&b, "%s", "tail"), PN_OK);
    assert_true(pn_bytes_equal(buffer_bytes(&b), pn_bytes_str("56789tail")));
    buffer_fini(&b);
}

static void hex_has_one_spelling(void **state)
{
    (void)state;
    const uint8_t in[] = {0x00, 0xab, 0xff};
    char text[7];
    uint8_t out[3];
    hex_write((struct pn_bytes){in, sizeof in}, text);
    assert_string_equal(text, "00abff");
    assert_true(hex_parse(text, 6, out, 3));
    assert_memory_equal(in, out, 3);
    assert_false(hex_parse("00ABff", 6, out, 3));
    assert_false(hex_parse("00abf", 5, out, 3));
    assert_false(hex_parse("00abfg", 6, out, 3));
}

static void context_goes_in_front(void **state)
{
    (void)state;
    struct pn_err err;
    assert_int_equal(pn_fail(&err, PN_E_RANGE, "port %d", 0), PN_E_RANGE);
    pn_err_wrap(&err, "peer %s", "192.0.2.1:4000");
    assert_string_equal(err.text, "peer 192.0.2.1:4000: port 0");
    for (int i = 0; i < 100; i++) {
        pn_err_wrap(&err, "context %d", i); /* is cut, never overflows */
    }
    assert_int_equal(pn_fail(NULL, PN_E_FULL, "nobody listens"), PN_E_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_length_over_its_maximum_is_bad),
        cmocka_unit_test(a_full_writer_writes_nothing_more),
        cmocka_unit_test(a_buffer_keeps_its_maximum),
        cmocka_unit_test(hex_has_one_spelling),
        cmocka_unit_test(context_goes_in_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
