#include "peer/master/roster.h"

#include <stdlib.h>

void roster_init(struct roster *r, uint64_t seed)
{
    *r = (struct roster){0};
    table_init(&r->by_peer, DIGEST_BYTES, ROSTER_MAX, seed);
    table_init(&r->by_link, sizeof(uint32_t), ROSTER_MAX, seed + 1);
    r->last = &r->first;
}

void roster_fini(struct roster *r)
{
    while (r->first != NULL) {
        struct worker_entry *w = r->first;
        r->first = w->next;
        free(w);
    }
    table_fini(&r->by_peer);
    table_fini(&r->by_link);
    free(r->by_index);
}

static bool index_room(struct roster *r)
{
    if (r->count < r->cap) {
        return true;
    }
    uint32_t cap = r->cap == 0 ? 16 : r->cap * 2;
    struct worker_entry **by_index = realloc(r->by_index, cap * sizeof(struct worker_entry *));
    if (by_index == NULL) {
        return false;
    }
    r->by_index = by_index;
    r->cap = cap;
    return true;
}

struct worker_entry *roster_know(struct roster *r, const struct digest *peer, uint32_t prefix,
                                 bool own)
{
    struct worker_entry *w = table_get(&r->by_peer, peer->b);
    if (w != NULL) {
        w->plan.prefix = prefix;
        return w;
    }
    w = index_room(r) ? calloc(1, sizeof *w) : NULL;
    if (w == NULL || table_put(&r->by_peer, peer->b, w) != PN_OK) {
        free(w);
        return NULL;
    }
    w->own = own;
    r->own = own ? w : r->own;
    w->plan.own = own;
    w->plan.index = r->count;
    w->plan.peer = *peer;
    w->plan.prefix = prefix;
    r->by_index[r->count++] = w;
    *r->last = w;
    r->last = &w->next;
    return w;
}

void roster_disconnect(struct roster *r, struct worker_entry *w)
{
    if (w->link != 0) {
        (void)table_remove(&r->by_link, &w->link);
        roster_set_slots(r, w, 0);
        w->places = 0;
        w->link = 0;
        w->enlisted = false;
        *(w->here_prev != NULL ? &w->here_prev->here_next : &r->here) = w->here_next;
        *(w->here_next != NULL ? &w->here_next->here_prev : &r->here_last) = w->here_prev;
        r->online_count--;
    }
}

enum pn_status roster_connect(struct roster *r, struct worker_entry *w, uint32_t link)
{
    if (w->link == link) {
        return PN_OK;
    }
    roster_disconnect(r, w);
    enum pn_status status = table_put(&r->by_link, &link, w);
    if (status == PN_OK) {
        w->link = link;
        w->here_next = NULL;
        w->here_prev = r->here_last;
        *(r->here_last != NULL ? &r->here_last->here_next : &r->here) = w;
        r->here_last = w;
        r->online_count++;
    }
    return status;
}

void roster_set_slots(struct roster *r, struct worker_entry *w, uint16_t slots)
{
    r->slot_count = r->slot_count - w->slots + slots;
    w->slots = slots;
}

struct worker_entry *roster_by_link(const struct roster *r, uint32_t link)
{
    return table_get(&r->by_link, &link);
}
