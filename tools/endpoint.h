/*
 * endpoint -- a tracker as people write it: "tracker.example.org", "192.0.2.1:7600", "[::1]:7600".
 */
#ifndef PREON_TOOLS_ENDPOINT_H
#define PREON_TOOLS_ENDPOINT_H

#include "common/status.h"

#include <stdint.h>

enum { ENDPOINT_HOST_BYTES = 254 };

struct endpoint {
    char host[ENDPOINT_HOST_BYTES]; /* a name or an IP address, without brackets */
    uint16_t port;
};

/* PN_E_MALFORMED names the text and says what is allowed. Names are not looked up. */
enum pn_status endpoint_parse(const char *text, uint16_t port_default, struct endpoint *out,
                              struct pn_err *err);

#endif
