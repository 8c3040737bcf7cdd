/*
 * hosts -- the addresses that a tracker knows, each once, and how much each one and its network
 * use.
 *
 * Everything that a stranger can make the tracker keep (connections, entries, demands) is counted
 * here, by address and by network (IPv4 /24, IPv6 /48), before it is kept.
 */
#ifndef PREON_TRACKER_HOSTS_H
#define PREON_TRACKER_HOSTS_H

#include "common/addr.h"
#include "tracker/pool.h"

enum hosts_use { HOSTS_CONNECTION, HOSTS_ENTRY, HOSTS_DEMAND, HOSTS_USES };

struct hosts_limits {
    uint16_t host_max[HOSTS_USES]; /* by address */
    uint32_t net_max[HOSTS_USES];  /* by network */
    bool lan_too; /* count loopback and private addresses like the others; else only the total */
};

struct hosts {
    struct pool hosts;
    struct pool nets;
    struct pool_index hosts_by_ip;
    struct pool_index nets_by_key;
    struct hosts_limits limits;
    uint64_t seed;
};

/* seed: from the owner's generator. Allocates nothing yet. */
void hosts_init(struct hosts *h, const struct hosts_limits *limits, uint32_t host_count_max,
                uint64_t seed);
void hosts_fini(struct hosts *h);

/*
 * Counts one more use by this address and returns the host's number in *host; each success is
 * undone by one hosts_release. Fails with PN_E_BUSY (a budget is used up; err says whose),
 * PN_E_FULL, PN_E_NO_MEMORY.
 */
enum pn_status hosts_use(struct hosts *h, const struct addr *a, enum hosts_use use, uint32_t *host,
                         struct pn_err *err);
void hosts_release(struct hosts *h, uint32_t host, enum hosts_use use);

/* The host's number, POOL_NONE when it uses nothing. */
uint32_t hosts_find(const struct hosts *h, const struct addr *a);

/* The address, with port 0. */
struct addr hosts_addr(const struct hosts *h, uint32_t host);

/* Whether the address is a lan one, and its IPv4 /16 or IPv6 /32. Cheap. */
bool hosts_is_lan(const struct hosts *h, uint32_t host);
uint64_t hosts_wide_net(const struct hosts *h, uint32_t host);

size_t hosts_bytes(const struct hosts *h);

#endif
