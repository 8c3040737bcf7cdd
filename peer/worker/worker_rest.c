#include "peer/worker/worker_internal.h"

/* Its own place, or the one of who has been free again for the longest. */
static struct rested *place_for(struct worker *w, const struct digest *master)
{
    struct rested *oldest = &w->rested[0];
    for (int i = 0; i < WORKER_RESTED_MAX; i++) {
        struct rested *r = &w->rested[i];
        if (r->count > 0 && digest_equal(&r->master, master)) {
            return r;
        }
        oldest = r->until_ms < oldest->until_ms ? r : oldest;
    }
    *oldest = (struct rested){.master = *master};
    return oldest;
}

void rest_begin(struct worker *w, const struct digest *master)
{
    struct rested *r = place_for(w, master);
    if (w->now_ms > r->until_ms + WORKER_REST_MAX_MS) {
        r->count = 0;
    }
    uint64_t rest_ms = (uint64_t)WORKER_REST_MIN_MS << (r->count < 16 ? r->count : 16);
    r->until_ms = w->now_ms + (rest_ms < WORKER_REST_MAX_MS ? rest_ms : WORKER_REST_MAX_MS);
    r->count++;
}

bool rest_of(const struct worker *w, const struct digest *master)
{
    for (int i = 0; i < WORKER_RESTED_MAX; i++) {
        const struct rested *r = &w->rested[i];
        if (r->count > 0 && w->now_ms < r->until_ms && digest_equal(&r->master, master)) {
            return true;
        }
    }
    return false;
}

bool rest_due(const struct worker *w, uint32_t link)
{
    const struct tie *t = w->first;
    while (t != NULL && (t->link != link || t->phase == TIE_ENLISTED || t->reserved)) {
        t = t->next;
    }
    return t != NULL;
}
