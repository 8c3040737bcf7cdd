/*
 * addr_sys -- addresses as the kernel wants them.
 */
#ifndef PREON_COMMON_ADDR_SYS_H
#define PREON_COMMON_ADDR_SYS_H

#include <sys/socket.h>

#include "common/addr.h"

/* PN_E_UNSUPPORTED for a family other than IPv4 and IPv6. */
enum pn_status addr_from_sockaddr(const struct sockaddr *from, struct addr *out);

/* Returns the length of what was written; a->family is not ADDR_NONE. */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

#endif
