#include "common/addr.h"

#include <arpa/inet.h> /* inet_pton and inet_ntop: pure functions */
#include <stdio.h>

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct addr){.ip = {a, b, c, d}, .port = port, .family = ADDR_V4};
}

static bool starts_with(const uint8_t ip[16], const uint8_t *prefix, size_t prefix_bytes)
{
    return memcmp(ip, prefix, prefix_bytes) == 0;
}

struct addr addr_v6(const uint8_t ip[16], uint16_t port)
{
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (starts_with(ip, MAPPED, sizeof MAPPED)) {
        return addr_v4(ip[12], ip[13], ip[14], ip[15], port);
    }
    struct addr a = {.port = port, .family = ADDR_V6};
    memcpy(a.ip, ip, sizeof a.ip);
    return a;
}

bool addr_parse_port(struct pn_bytes text, uint16_t *out)
{
    if (text.len == 0 || text.len > 5 || text.ptr[0] == '0') {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    if (value > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

bool addr_parse_ip(struct pn_bytes text, struct addr *out)
{
    char copy[ADDR_IP_TEXT_BYTES];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    uint8_t ip[16];
    if (inet_pton(AF_INET, copy, ip) == 1) {
        *out = addr_v4(ip[0], ip[1], ip[2], ip[3], 0);
        return true;
    }
    if (inet_pton(AF_INET6, copy, ip) == 1) {
        *out = addr_v6(ip, 0);
        return true;
    }
    return false;
}

/* Splits "host:port" and "[host]:port" in place; false when there is no port. */
static bool split(struct pn_bytes text, struct pn_bytes *host, struct pn_bytes *port)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return false;
    }
    *host = (struct pn_bytes){text.ptr, colon - 1};
    *port = (struct pn_bytes){text.ptr + colon, text.len - colon};
    if (host->len >= 2 && host->ptr[0] == '[' && host->ptr[host->len - 1] == ']') {
        *host = (struct pn_bytes){host->ptr + 1, host->len - 2};
        return memchr(host->ptr, ':', host->len) != NULL;
    }
    return memchr(host->ptr, ':', host->len) == NULL;
}

enum pn_status addr_parse(struct pn_bytes text, uint16_t port_default, struct addr *out,
                          struct pn_err *err)
{
    struct pn_bytes host;
    struct pn_bytes port;
    struct addr a;
    if (port_default != 0 && addr_parse_ip(text, &a)) {
        a.port = port_default;
        *out = a;
        return PN_OK;
    }
    if (split(text, &host, &port) && addr_parse_ip(host, &a) && addr_parse_port(port, &a.port)) {
        *out = a;
        return PN_OK;
    }
    return pn_fail(err, PN_E_MALFORMED, "\"%.*s\" is not an address like %s",
                   (int)(text.len < 64 ? text.len : 64), (const char *)text.ptr,
                   "192.0.2.1:4000 or [2001:db8::1]:4000");
}

const char *addr_ip_text(const struct addr *a, char text[ADDR_IP_TEXT_BYTES])
{
    int family = a->family == ADDR_V6 ? AF_INET6 : AF_INET;
    if (a->family == ADDR_NONE || inet_ntop(family, a->ip, text, ADDR_IP_TEXT_BYTES) == NULL) {
        (void)snprintf(text, ADDR_IP_TEXT_BYTES, "none");
    }
    return text;
}

const char *addr_text(const struct addr *a, char text[ADDR_TEXT_BYTES])
{
    char ip[ADDR_IP_TEXT_BYTES];
    (void)addr_ip_text(a, ip);
    if (a->family == ADDR_NONE) {
        (void)snprintf(text, ADDR_TEXT_BYTES, "%s", ip);
    } else if (a->family == ADDR_V6) {
        (void)snprintf(text, ADDR_TEXT_BYTES, "[%s]:%u", ip, (unsigned)a->port);
    } else {
        (void)snprintf(text, ADDR_TEXT_BYTES, "%s:%u", ip, (unsigned)a->port);
    }
    return text;
}

bool addr_ip_equal(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return addr_ip_equal(a, b) && a->port == b->port;
}

/* One row per network that is not public; the first that matches decides. */
struct net {
    uint8_t family;
    uint8_t bits;
    uint8_t ip[12];
    enum addr_class class;
};

static const struct net NETS[] = {
    {ADDR_V4, 8, {0}, ADDR_RESERVED},
    {ADDR_V4, 8, {10}, ADDR_PRIVATE},
    {ADDR_V4, 10, {100, 64}, ADDR_CARRIER},
    {ADDR_V4, 8, {127}, ADDR_LOOPBACK},
    {ADDR_V4, 16, {169, 254}, ADDR_LINK_LOCAL},
    {ADDR_V4, 12, {172, 16}, ADDR_PRIVATE},
    {ADDR_V4, 16, {192, 168}, ADDR_PRIVATE},
    {ADDR_V4, 4, {224}, ADDR_MULTICAST},
    {ADDR_V4, 4, {240}, ADDR_RESERVED},
    {ADDR_V6, 96, {0}, ADDR_RESERVED}, /* ::, and IPv4 wrapped the oldest way; ::1 comes first */
    {ADDR_V6, 32, {0x00, 0x64, 0xff, 0x9b}, ADDR_RESERVED}, /* NAT64 */
    {ADDR_V6, 32, {0x20, 0x01, 0x00, 0x00}, ADDR_RESERVED}, /* Teredo */
    {ADDR_V6, 16, {0x20, 0x02}, ADDR_RESERVED},             /* 6to4 */
    {ADDR_V6, 7, {0xfc}, ADDR_PRIVATE},
    {ADDR_V6, 10, {0xfe, 0x80}, ADDR_LINK_LOCAL},
    {ADDR_V6, 8, {0xff}, ADDR_MULTICAST},
};

static bool is_in_net(const struct addr *a, const struct net *net)
{
    size_t whole = net->bits / 8;
    if (a->family != net->family || memcmp(a->ip, net->ip, whole) != 0) {
        return false;
    }
    unsigned rest = net->bits % 8;
    return rest == 0 || ((a->ip[whole] ^ net->ip[whole]) >> (8 - rest)) == 0;
}

enum addr_class addr_class(const struct addr *a)
{
    static const uint8_t LOOPBACK[16] = {[15] = 1};
    if (a->family == ADDR_NONE) {
        return ADDR_RESERVED;
    }
    if (a->family == ADDR_V6 && starts_with(a->ip, LOOPBACK, sizeof LOOPBACK)) {
        return ADDR_LOOPBACK;
    }
    for (size_t i = 0; i < sizeof NETS / sizeof NETS[0]; i++) {
        if (is_in_net(a, &NETS[i])) {
            return NETS[i].class;
        }
    }
    return ADDR_PUBLIC;
}

const char *addr_class_text(enum addr_class class)
{
    switch (class) {
    case ADDR_PUBLIC:
        return "public";
    case ADDR_LOOPBACK:
        return "loopback";
    case ADDR_PRIVATE:
        return "private";
    case ADDR_LINK_LOCAL:
        return "link-local";
    case ADDR_CARRIER:
        return "carrier-grade NAT";
    case ADDR_MULTICAST:
        return "multicast";
    case ADDR_RESERVED:
        return "reserved";
    }
    return "unknown";
}

bool addr_is_lan(const struct addr *a)
{
    enum addr_class class = addr_class(a);
    return class == ADDR_LOOPBACK || class == ADDR_PRIVATE || class == ADDR_LINK_LOCAL ||
           class == ADDR_CARRIER;
}

/* The family above the first `bytes` bytes of the address: families never meet. */
static uint64_t net_of(const struct addr *a, size_t v4_bytes, size_t v6_bytes)
{
    size_t bytes = a->family == ADDR_V6 ? v6_bytes : v4_bytes;
    uint64_t net = a->family;
    for (size_t i = 0; i < 7; i++) {
        net = net << 8 | (i < bytes ? a->ip[i] : 0);
    }
    return net;
}

uint64_t addr_net(const struct addr *a) { return net_of(a, 3, 6); }

uint64_t addr_wide_net(const struct addr *a) { return net_of(a, 2, 4); }

bool addr_may_dial(const struct addr *a, bool lan)
{
    return a->port >= ADDR_DIAL_PORT_MIN &&
           (addr_class(a) == ADDR_PUBLIC || (lan && addr_is_lan(a)));
}
