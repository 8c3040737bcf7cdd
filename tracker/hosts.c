#include "tracker/hosts.h"

#include "common/table.h"

#include <assert.h>
#include <string.h>

struct host {
    uint8_t ip[16];
    uint32_t net;
    uint16_t uses[HOSTS_USES];
    uint8_t family;
    uint8_t lan;
};

/* A network of few hosts costs as much as one of many: 20 bytes. It goes with its last use. */
struct net {
    uint32_t key_high;
    uint32_t key_low;
    uint32_t uses[HOSTS_USES];
};

static const char *const USE_TEXT[HOSTS_USES] = {"connections", "entries", "demands"};

void hosts_init(struct hosts *h, const struct hosts_limits *limits, uint32_t host_count_max,
                uint64_t seed)
{
    *h = (struct hosts){.limits = *limits, .seed = seed};
    pool_init(&h->hosts, sizeof(struct host), host_count_max);
    pool_init(&h->nets, sizeof(struct net), host_count_max);
    pool_index_init(&h->hosts_by_ip);
    pool_index_init(&h->nets_by_key);
}

void hosts_fini(struct hosts *h)
{
    pool_fini(&h->hosts);
    pool_fini(&h->nets);
    pool_index_fini(&h->hosts_by_ip);
    pool_index_fini(&h->nets_by_key);
}

static struct host *host_at(const struct hosts *h, uint32_t host)
{
    return pool_at(&h->hosts, host);
}

static struct net *net_at(const struct hosts *h, uint32_t net) { return pool_at(&h->nets, net); }

static uint64_t key_of(const struct net *net)
{
    return (uint64_t)net->key_high << 32 | net->key_low;
}

static uint32_t ip_hash(const struct hosts *h, const uint8_t ip[16], uint8_t family)
{
    return (uint32_t)table_hash(h->seed + family, ip, 16);
}

static uint32_t net_hash(const struct hosts *h, uint64_t key)
{
    return (uint32_t)table_hash(h->seed, &key, sizeof key);
}

uint32_t hosts_find(const struct hosts *h, const struct addr *a)
{
    size_t place;
    uint32_t hash = ip_hash(h, a->ip, a->family);
    uint32_t found = pool_index_first(&h->hosts_by_ip, hash, &place);
    while (found != POOL_NONE) {
        const struct host *host = host_at(h, found);
        if (host->family == a->family && memcmp(host->ip, a->ip, sizeof host->ip) == 0) {
            break;
        }
        found = pool_index_next(&h->hosts_by_ip, hash, &place);
    }
    return found;
}

static uint32_t net_find(const struct hosts *h, uint64_t key)
{
    size_t place;
    uint32_t hash = net_hash(h, key);
    uint32_t found = pool_index_first(&h->nets_by_key, hash, &place);
    while (found != POOL_NONE && key_of(net_at(h, found)) != key) {
        found = pool_index_next(&h->nets_by_key, hash, &place);
    }
    return found;
}

static enum pn_status net_add(struct hosts *h, uint64_t key, uint32_t *net)
{
    enum pn_status status = pool_take(&h->nets, net);
    if (status != PN_OK) {
        return status;
    }
    net_at(h, *net)->key_high = (uint32_t)(key >> 32);
    net_at(h, *net)->key_low = (uint32_t)key;
    status = pool_index_put(&h->nets_by_key, net_hash(h, key), *net);
    if (status != PN_OK) {
        pool_give(&h->nets, *net);
    }
    return status;
}

/* Networks and hosts vanish together: neither is kept without a use. */
static void net_drop_unused(struct hosts *h, uint32_t number)
{
    const struct net *net = net_at(h, number);
    for (int use = 0; use < HOSTS_USES; use++) {
        if (net->uses[use] > 0) {
            return;
        }
    }
    pool_index_remove(&h->nets_by_key, net_hash(h, key_of(net)), number);
    pool_give(&h->nets, number);
}

static enum pn_status host_add(struct hosts *h, const struct addr *a, uint32_t *host)
{
    uint64_t key = addr_net(a);
    uint32_t net = net_find(h, key);
    enum pn_status status = net == POOL_NONE ? net_add(h, key, &net) : PN_OK;
    if (status != PN_OK) {
        return status;
    }
    status = pool_take(&h->hosts, host);
    if (status == PN_OK) {
        status = pool_index_put(&h->hosts_by_ip, ip_hash(h, a->ip, a->family), *host);
        if (status != PN_OK) {
            pool_give(&h->hosts, *host);
        }
    }
    if (status != PN_OK) {
        net_drop_unused(h, net);
        return status;
    }
    struct host *added = host_at(h, *host);
    memcpy(added->ip, a->ip, sizeof added->ip);
    added->family = a->family;
    added->lan = addr_is_lan(a);
    added->net = net;
    return PN_OK;
}

static void host_drop_unused(struct hosts *h, uint32_t number)
{
    const struct host *host = host_at(h, number);
    for (int use = 0; use < HOSTS_USES; use++) {
        if (host->uses[use] > 0) {
            return;
        }
    }
    uint32_t net = host->net;
    pool_index_remove(&h->hosts_by_ip, ip_hash(h, host->ip, host->family), number);
    pool_give(&h->hosts, number);
    net_drop_unused(h, net);
}

enum pn_status hosts_use(struct hosts *h, const struct addr *a, enum hosts_use use, uint32_t *host,
                         struct pn_err *err)
{
    uint32_t number = hosts_find(h, a);
    if (number == POOL_NONE) {
        enum pn_status status = host_add(h, a, &number);
        if (status != PN_OK) {
            return pn_fail(err, status, "the tracker is full");
        }
    }
    struct host *found = host_at(h, number);
    struct net *net = net_at(h, found->net);
    bool free_of_limits = found->lan != 0 && !h->limits.lan_too;
    enum pn_status status = PN_OK;
    if (found->uses[use] == UINT16_MAX ||
        (!free_of_limits && found->uses[use] >= h->limits.host_max[use])) {
        status = pn_fail(err, PN_E_BUSY, "too many %s from your address", USE_TEXT[use]);
    } else if (!free_of_limits && net->uses[use] >= h->limits.net_max[use]) {
        status = pn_fail(err, PN_E_BUSY, "too many %s from your network", USE_TEXT[use]);
    }
    if (status != PN_OK) {
        host_drop_unused(h, number);
        return status;
    }
    found->uses[use]++;
    net->uses[use]++;
    *host = number;
    return PN_OK;
}

void hosts_release(struct hosts *h, uint32_t host, enum hosts_use use)
{
    struct host *found = host_at(h, host);
    struct net *net = net_at(h, found->net);
    assert(found->uses[use] > 0 && net->uses[use] > 0);
    found->uses[use]--;
    net->uses[use]--;
    host_drop_unused(h, host);
}

struct addr hosts_addr(const struct hosts *h, uint32_t host)
{
    const struct host *found = host_at(h, host);
    struct addr a = {.family = found->family};
    memcpy(a.ip, found->ip, sizeof a.ip);
    return a;
}

bool hosts_is_lan(const struct hosts *h, uint32_t host) { return host_at(h, host)->lan != 0; }

uint64_t hosts_wide_net(const struct hosts *h, uint32_t host)
{
    struct addr a = hosts_addr(h, host);
    return addr_wide_net(&a);
}

size_t hosts_bytes(const struct hosts *h)
{
    return pool_bytes(&h->hosts) + pool_bytes(&h->nets) + pool_index_bytes(&h->hosts_by_ip) +
           pool_index_bytes(&h->nets_by_key);
}
