#include "common/addr_sys.h"

#include <assert.h>
#include <netinet/in.h>

/* Copied, not cast: the caller's storage has the type that it likes. */
enum pn_status addr_from_sockaddr(const struct sockaddr *from, struct addr *out)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof in);
        *out = (struct addr){.port = ntohs(in.sin_port), .family = ADDR_V4};
        memcpy(out->ip, &in.sin_addr, 4);
        return PN_OK;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof in6);
        *out = addr_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port));
        return PN_OK;
    }
    return PN_E_UNSUPPORTED;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    assert(a->family == ADDR_V4 || a->family == ADDR_V6);
    memset(out, 0, sizeof *out);
    if (a->family == ADDR_V4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return (socklen_t)sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
    memcpy(&in6.sin6_addr, a->ip, sizeof a->ip);
    memcpy(out, &in6, sizeof in6);
    return (socklen_t)sizeof in6;
}
