#include "common/utf8.h"

#include "tests/unit/unit.h"

static void expect(const char *in, bool lines, const char *out)
{
    char text[64];
    assert_true(strlen(in) < sizeof text);
    memcpy(text, in, strlen(in) + 1);
    utf8_tame(text, lines);
    assert_string_equal(text, out);
}

static void test_what_a_terminal_obeys_is_gone(void **state)
{
    (void)state;
    expect("", false, "");
    expect("plain ~", false, "plain ~");
    expect("\x1b[31mred\x1b]0;x\x07", false, "?[31mred?]0;x?");
    expect("a\r\nb\tc\x7f", false, "a??b?c?");
    expect("a\r\nb\tc\x7f", true, "a?\nb\tc?");
    expect("csi \xc2\x9b"
           "31m, nel \xc2\x85, first \xc2\x80, last \xc2\x9f",
           true, "csi ??31m, nel ??, first ??, last ??");
    expect("\xc2\xa0 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d", true,
           "\xc2\xa0 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9d");
    /* What moves or hides its neighbours; the ends of each range, and their neighbours. */
    expect("gnp\xe2\x80\xaetxt \xe2\x81\xa6 \xd8\x9c \xef\xbb\xbf \xe2\x80\x8b", false,
           "gnp???txt ??? ?? ??? ???");
    expect("\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xa8\xe2\x81\xa0\xe2\x81\xaf", true, "???????????????");
    expect("\xe2\x80\x8c\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xb0\xd8\x9b", true,
           "\xe2\x80\x8c\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xb0\xd8\x9b");
    /* What is no UTF-8: alone, overlong, a surrogate, past the last, cut. */
    expect("\x9b"
           "31m",
           true, "?31m");
    expect("\xc0\x9b \xe0\x82\x9b \xed\xa0\x80 \xf4\x90\x80\x80", true, "?? ??? ??? ????");
    expect("\xe2\x82", true, "??");
    expect("\xc2", true, "?");
}

static void test_valid(void **state)
{
    (void)state;
    assert_true(utf8_valid(pn_bytes_str("")));
    assert_true(utf8_valid(pn_bytes_str("\xf4\x8f\xbf\xbf")));
    assert_false(utf8_valid(pn_bytes_str("a\xff")));
    assert_false(utf8_valid((struct pn_bytes){(const uint8_t *)"a", 2}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_terminal_obeys_is_gone),
        cmocka_unit_test(test_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
