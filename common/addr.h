/*
 * addr -- an IP address with a port: its text, its networks, and whether it may be dialled.
 *
 * IPv4-mapped IPv6 addresses (::ffff:192.0.2.1) are always turned into IPv4, so that one host has
 * one spelling and the rules for IPv4 cannot be evaded.
 */
#ifndef PREON_COMMON_ADDR_H
#define PREON_COMMON_ADDR_H

#include <stdbool.h>

#include "common/bytes.h"
#include "common/status.h"

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
    uint8_t ip[16];  /* network byte order; IPv4 uses the first four, the others are 0 */
    uint16_t port;   /* host byte order; 0 where only the host is meant */
    uint8_t family;  /* enum addr_family; ADDR_NONE in a zeroed struct */
    uint8_t padding; /* 0, so that whole structs may be compared and hashed */
};

enum addr_class {
    ADDR_PUBLIC,
    ADDR_LOOPBACK,   /* 127/8, ::1 */
    ADDR_PRIVATE,    /* 10/8, 172.16/12, 192.168/16, fc00::/7 */
    ADDR_LINK_LOCAL, /* 169.254/16, fe80::/10 */
    ADDR_CARRIER,    /* 100.64/10: behind a provider's NAT */
    ADDR_MULTICAST,  /* 224/4, ff00::/8 */
    ADDR_RESERVED,   /* 0/8, 240/4, ::, and IPv6 that wraps IPv4 (6to4, Teredo, NAT64) */
};

enum {
    ADDR_TEXT_BYTES = 54,      /* "[" + 45 + "]:65535" and the terminator */
    ADDR_IP_TEXT_BYTES = 46,   /* as INET6_ADDRSTRLEN */
    ADDR_DIAL_PORT_MIN = 1024, /* below are other people's services */
};

struct addr addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);

/* 16 bytes in network order; mapped addresses become IPv4. */
struct addr addr_v6(const uint8_t ip[16], uint16_t port);

/*
 * Parses "192.0.2.1:4000" or "[2001:db8::1]:4000". Where port_default is not 0 the port may be
 * missing ("192.0.2.1", "2001:db8::1"). Names are not looked up.
 * Fails with PN_E_MALFORMED; out is written only on PN_OK.
 */
enum pn_status addr_parse(struct pn_bytes text, uint16_t port_default, struct addr *out,
                          struct pn_err *err);

/* The address alone, without brackets; out->port is 0. False when it is none. */
bool addr_parse_ip(struct pn_bytes text, struct addr *out);

/* Decimal, 1 to 65535, no sign, no leading zero. */
bool addr_parse_port(struct pn_bytes text, uint16_t *out);

/* What addr_parse reads; "none" for ADDR_NONE. Returns text. */
const char *addr_text(const struct addr *a, char text[ADDR_TEXT_BYTES]);
const char *addr_ip_text(const struct addr *a, char text[ADDR_IP_TEXT_BYTES]);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_ip_equal(const struct addr *a, const struct addr *b);

enum addr_class addr_class(const struct addr *a);
const char *addr_class_text(enum addr_class class);

/* Loopback, private, link-local or carrier-grade: an address that `--lan` is about. */
bool addr_is_lan(const struct addr *a);

/*
 * The networks that limits and quorums count by, as numbers that are equal exactly for addresses of
 * one network: addr_net is IPv4 /24 and IPv6 /48, addr_wide_net is IPv4 /16 and IPv6 /32.
 */
uint64_t addr_net(const struct addr *a);
uint64_t addr_wide_net(const struct addr *a);

/*
 * Whether an address that a stranger named may be dialled: port >= 1024 and public, or, where lan
 * is set, one for which addr_is_lan holds. Never multicast or reserved.
 */
bool addr_may_dial(const struct addr *a, bool lan);

#endif
