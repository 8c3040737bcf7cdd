/* Any text as an address: refused, or one that is read again from what is written of it. */
#include "common/addr.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];
    struct addr again;
    const char *written = addr_text(a, text);
    assert(a->family == ADDR_V4 || a->family == ADDR_V6);
    assert(strlen(written) < ADDR_TEXT_BYTES);
    enum pn_status status = addr_parse(pn_bytes_str(written), 0, &again, NULL);
    assert(status == PN_OK && addr_equal(a, &again));
    assert(addr_class(a) == addr_class(&again) && addr_net(a) == addr_net(&again));
    assert(addr_class_text(addr_class(a))[0] != '\0' && addr_wide_net(a) != 0);
    assert(!addr_may_dial(a, false) || addr_may_dial(a, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pn_bytes in = fuzz_exact(data, size);
    struct addr a;
    struct pn_err err;
    uint16_t port;
    if (addr_parse(in, 7600, &a, &err) == PN_OK) {
        assert(a.port != 0);
        check(&a);
    }
    if (addr_parse(in, 0, &a, &err) == PN_OK) {
        check(&a);
    }
    if (addr_parse_ip(in, &a)) {
        a.port = 1;
        check(&a);
    }
    assert(!addr_parse_port(in, &port) || (port != 0 && in.ptr[0] != '0'));
    fuzz_free(in);
    return 0;
}
