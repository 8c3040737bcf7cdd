#include "tools/endpoint.h"

#include <stdio.h>

#include "common/addr.h"

/* Letters, digits, '-' and '.' (RFC 1123), or anything that addr_parse_ip takes. */
static bool is_host(const char *host, size_t len)
{
    struct addr ip;
    if (addr_parse_ip((struct pn_bytes){(const uint8_t *)host, len}, &ip)) {
        return true;
    }
    bool good = len > 0 && len < ENDPOINT_HOST_BYTES && host[0] != '-' && host[0] != '.';
    for (size_t i = 0; good && i < len; i++) {
        const char c = host[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.';
    }
    return good;
}

enum pn_status endpoint_parse(const char *text, uint16_t port_default, struct endpoint *out,
                              struct pn_err *err)
{
    struct endpoint e = {.port = port_default};
    const char *host = text;
    size_t len = strlen(text);
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    bool plain_v6 = !bracketed && colon != NULL && strchr(text, ':') != colon;
    bool good = true;
    if (colon != NULL && !plain_v6 && (!bracketed || (colon > text && colon[-1] == ']'))) {
        good = addr_parse_port(pn_bytes_str(colon + 1), &e.port);
        len = (size_t)(colon - text);
    }
    if (bracketed) {
        good = good && len >= 2 && host[len - 1] == ']';
        host++;
        len = len >= 2 ? len - 2 : 0;
    }
    if (!good || !is_host(host, len)) {
        return pn_fail(err, PN_E_MALFORMED,
                       "tracker '%.80s': must be HOST or HOST:PORT, the port 1 to 65535", text);
    }
    memcpy(e.host, host, len);
    e.host[len] = '\0';
    *out = e;
    return PN_OK;
}
