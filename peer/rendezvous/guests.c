#include "peer/rendezvous/guests.h"

#include <assert.h>
#include <stdlib.h>

struct net {
    uint64_t key;
    uint32_t count; /* never 0 */
};

void guests_init(struct guests *g, uint32_t count_max, uint64_t seed)
{
    *g = (struct guests){.count_max = count_max};
    table_init(&g->nets, sizeof(uint64_t), count_max, seed);
}

void guests_fini(struct guests *g)
{
    size_t place = 0;
    for (struct net *n; (n = table_next(&g->nets, &place)) != NULL;) {
        free(n);
    }
    table_fini(&g->nets);
}

static enum pn_status net_enter(struct guests *g, uint64_t key, struct pn_err *err)
{
    struct net *n = table_get(&g->nets, &key);
    if (n != NULL) {
        if (n->count >= GUESTS_NET_MAX) {
            return pn_fail(err, PN_E_BUSY, "%d links from its network already", GUESTS_NET_MAX);
        }
        n->count++;
        return PN_OK;
    }
    n = malloc(sizeof *n);
    if (n == NULL || table_put(&g->nets, &key, n) != PN_OK) {
        free(n);
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    *n = (struct net){key, 1};
    return PN_OK;
}

enum pn_status guests_enter(struct guests *g, const struct addr *from, struct pn_err *err)
{
    if (g->count >= g->count_max) {
        return pn_fail(err, PN_E_FULL, "%u links from others already", g->count);
    }
    enum pn_status status = addr_is_lan(from) ? PN_OK : net_enter(g, addr_net(from), err);
    g->count += status == PN_OK;
    return status;
}

void guests_leave(struct guests *g, const struct addr *from)
{
    assert(g->count > 0);
    g->count--;
    if (addr_is_lan(from)) {
        return;
    }
    uint64_t key = addr_net(from);
    struct net *n = table_get(&g->nets, &key);
    assert(n != NULL);
    if (--n->count == 0) {
        (void)table_remove(&g->nets, &key);
        free(n);
    }
}
