/* Addresses: texts there and back, texts that are none, networks, classes, the rule for dialling.
 */
#include "tests/unit/unit.h"

#include "common/addr.h"

static struct addr parsed(const char *text)
{
    struct addr a = {0};
    struct pn_err err;
    assert_int_equal(addr_parse(pn_bytes_str(text), 0, &a, &err), PN_OK);
    return a;
}

static struct addr ip(const char *text)
{
    struct addr a = {0};
    assert_true(addr_parse_ip(pn_bytes_str(text), &a));
    return a;
}

static void texts_go_there_and_back(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "192.0.2.1:4000",
        "255.255.255.255:65535",
        "0.0.0.0:1",
        "[2001:db8::1]:4000",
        "[::]:1",
        "[::1]:7600",
        "[fe80::1]:80",
        "[1:2:3:4:5:6:7:8]:9",
        "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct addr a = parsed(TEXTS[i]);
        char text[ADDR_TEXT_BYTES];
        assert_string_equal(addr_text(&a, text), TEXTS[i]);
    }
    char text[ADDR_TEXT_BYTES];
    struct addr none = {0};
    assert_string_equal(addr_text(&none, text), "none");
    struct addr mapped = parsed("[::ffff:10.0.0.1]:4000");
    assert_string_equal(addr_text(&mapped, text), "10.0.0.1:4000");
    struct addr plain = parsed("10.0.0.1:4000");
    assert_true(addr_equal(&mapped, &plain));
    assert_memory_equal(&mapped, &plain, sizeof plain);
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "",
        ":",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        ":4000",
        "192.0.2:4000",
        "192.0.2.256:40",
        "192.0.2.1:65536",
        "192.0.2.1:+4000",
        "192.0.2.1:04000",
        "192.0.2.1: 4000",
        " 192.0.2.1:4000",
        "192.0.2.1:4000 ",
        "::1:4000x",
        "2001:db8::1:4000",
        "[192.0.2.1]:4000",
        "[2001:db8::1]",
        "[2001:db8::1]4000",
        "[::1]:",
        "[:::1]:4000",
        "[]:4000",
        "localhost:4000",
        "192.0.2.1:4000:4000",
        "192.0.2.1:99999",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999]:40",
        "192.0.2.1:123456789012345678901",
    };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        struct addr a;
        struct pn_err err;
        assert_int_equal(addr_parse(pn_bytes_str(TEXTS[i]), 0, &a, &err), PN_E_MALFORMED);
    }
    /* every strict prefix that ends before the port's last digit */
    static const char WHOLE[] = "[2001:db8::1]:7";
    for (size_t len = 0; len < sizeof WHOLE - 1; len++) {
        uint8_t *exact = unit_exact(WHOLE, len);
        struct addr a;
        assert_int_equal(addr_parse((struct pn_bytes){exact, len}, 0, &a, NULL), PN_E_MALFORMED);
        free(exact);
    }
    struct addr a;
    assert_false(addr_parse_ip((struct pn_bytes){(const uint8_t *)"1.2.3.4\0x", 9}, &a));
}

static void a_missing_port_may_have_a_default(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"192.0.2.1", "192.0.2.1:7600"},
        {"192.0.2.1:80", "192.0.2.1:80"},
        {"::1", "[::1]:7600"},
        {"[::1]:80", "[::1]:80"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct addr a;
        char text[ADDR_TEXT_BYTES];
        assert_int_equal(addr_parse(pn_bytes_str(CASES[i][0]), 7600, &a, NULL), PN_OK);
        assert_string_equal(addr_text(&a, text), CASES[i][1]);
    }
}

static void networks_tell_neighbours_from_strangers(void **state)
{
    (void)state;
    struct addr a = ip("192.0.2.1");
    struct addr same_24 = ip("192.0.2.254");
    struct addr same_16 = ip("192.0.3.1");
    struct addr other = ip("192.1.2.1");
    assert_true(addr_net(&a) == addr_net(&same_24));
    assert_true(addr_net(&a) != addr_net(&same_16));
    assert_true(addr_wide_net(&a) == addr_wide_net(&same_16));
    assert_true(addr_wide_net(&a) != addr_wide_net(&other));
    struct addr six = ip("2001:db8:1:2::1");
    struct addr same_48 = ip("2001:db8:1:ffff::9");
    struct addr same_32 = ip("2001:db8:2::1");
    struct addr other_six = ip("2001:db9::1");
    assert_true(addr_net(&six) == addr_net(&same_48));
    assert_true(addr_net(&six) != addr_net(&same_32));
    assert_true(addr_wide_net(&six) == addr_wide_net(&same_32));
    assert_true(addr_wide_net(&six) != addr_wide_net(&other_six));
    struct addr as_four = ip("32.1.13.184"); /* the first bytes of 2001:db8 */
    assert_true(addr_wide_net(&as_four) != addr_wide_net(&six));
    assert_false(addr_ip_equal(&as_four, &six));
}

struct class_case {
    const char *text;
    enum addr_class class;
};

static void classes_have_their_borders(void **state)
{
    (void)state;
    static const struct class_case CASES[] = {
        {"0.255.255.255", ADDR_RESERVED},
        {"1.0.0.0", ADDR_PUBLIC},
        {"9.255.255.255", ADDR_PUBLIC},
        {"10.0.0.0", ADDR_PRIVATE},
        {"10.255.255.255", ADDR_PRIVATE},
        {"11.0.0.0", ADDR_PUBLIC},
        {"100.63.255.255", ADDR_PUBLIC},
        {"100.64.0.0", ADDR_CARRIER},
        {"100.127.255.255", ADDR_CARRIER},
        {"100.128.0.0", ADDR_PUBLIC},
        {"127.0.0.1", ADDR_LOOPBACK},
        {"128.0.0.0", ADDR_PUBLIC},
        {"169.253.0.1", ADDR_PUBLIC},
        {"169.254.0.1", ADDR_LINK_LOCAL},
        {"172.15.255.255", ADDR_PUBLIC},
        {"172.16.0.0", ADDR_PRIVATE},
        {"172.31.255.255", ADDR_PRIVATE},
        {"172.32.0.0", ADDR_PUBLIC},
        {"192.167.0.1", ADDR_PUBLIC},
        {"192.168.0.1", ADDR_PRIVATE},
        {"223.255.255.255", ADDR_PUBLIC},
        {"224.0.0.1", ADDR_MULTICAST},
        {"239.255.255.255", ADDR_MULTICAST},
        {"240.0.0.0", ADDR_RESERVED},
        {"255.255.255.255", ADDR_RESERVED},
        {"::", ADDR_RESERVED},
        {"::1", ADDR_LOOPBACK},
        {"::2", ADDR_RESERVED},
        {"::10.0.0.1", ADDR_RESERVED},
        {"::ffff:127.0.0.1", ADDR_LOOPBACK},
        {"64:ff9b::7f00:1", ADDR_RESERVED},
        {"2002:7f00:1::", ADDR_RESERVED},
        {"2001:0:1::", ADDR_RESERVED},
        {"2001:db8::1", ADDR_PUBLIC},
        {"fbff::1", ADDR_PUBLIC},
        {"fc00::1", ADDR_PRIVATE},
        {"fdff::1", ADDR_PRIVATE},
        {"fe7f::1", ADDR_PUBLIC},
        {"fe80::1", ADDR_LINK_LOCAL},
        {"febf::1", ADDR_LINK_LOCAL},
        {"fec0::1", ADDR_PUBLIC},
        {"ff02::1", ADDR_MULTICAST},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct addr a = ip(CASES[i].text);
        assert_string_equal(addr_class_text(addr_class(&a)), addr_class_text(CASES[i].class));
        a.port = 4000;
        bool lan = CASES[i].class == ADDR_LOOPBACK || CASES[i].class == ADDR_PRIVATE ||
                   CASES[i].class == ADDR_LINK_LOCAL || CASES[i].class == ADDR_CARRIER;
        assert_int_equal(addr_is_lan(&a), lan);
        assert_int_equal(addr_may_dial(&a, false), CASES[i].class == ADDR_PUBLIC);
        assert_int_equal(addr_may_dial(&a, true), CASES[i].class == ADDR_PUBLIC || lan);
    }
    struct addr low = parsed("192.0.2.1:1023");
    struct addr high = parsed("192.0.2.1:1024");
    assert_false(addr_may_dial(&low, true));
    assert_true(addr_may_dial(&high, false));
    struct addr none = {.port = 4000};
    assert_false(addr_may_dial(&none, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_go_there_and_back),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_missing_port_may_have_a_default),
        cmocka_unit_test(networks_tell_neighbours_from_strangers),
        cmocka_unit_test(classes_have_their_borders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
