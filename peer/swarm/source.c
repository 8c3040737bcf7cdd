#include "peer/swarm/source.h"

#include <assert.h>
#include <string.h>

enum { SILENT_MS = 2000 }; /* after which nothing can be said of a source's rate */

void source_init(struct source *s, uint32_t id)
{
    *s = (struct source){.id = id, .round_trip_ms = UINT32_MAX};
}

void source_fini(struct source *s) { bitset_fini(&s->has); }

uint64_t source_window(const struct source *s, uint32_t block_bytes)
{
    uint64_t least = 2 * (uint64_t)block_bytes;
    uint64_t window = 0;
    if (s->round_trip_ms != UINT32_MAX) {
        uint32_t trip = s->round_trip_ms > 0 ? s->round_trip_ms : 1;
        window = (uint64_t)(4 * s->rate * trip);
    }
    least = least > SOURCE_WINDOW_MIN ? least : SOURCE_WINDOW_MIN;
    window = window < SOURCE_WINDOW_MAX ? window : SOURCE_WINDOW_MAX;
    return window > least ? window : least;
}

void source_asked(struct source *s, const struct request *r)
{
    assert(s->request_count < SOURCE_REQUESTS_MAX);
    if (s->owed == 0) {
        s->heard_ms = r->asked_ms;
        s->rate_from_ms = r->asked_ms;
        s->rate_bytes = 0;
    }
    s->requests[s->request_count++] = *r;
    s->owed += r->bytes;
}

struct request *source_request(struct source *s, uint32_t tag)
{
    for (uint32_t i = 0; i < s->request_count; i++) {
        if (s->requests[i].tag == tag) {
            return &s->requests[i];
        }
    }
    return NULL;
}

void source_bytes(struct source *s, struct request *r, uint32_t bytes, uint64_t now_ms)
{
    if (r->got == 0 && now_ms - r->asked_ms < s->round_trip_ms) {
        s->round_trip_ms = (uint32_t)(now_ms - r->asked_ms);
    }
    /* Encoded bytes may be fewer than the block's, and a liar may send more. */
    uint32_t counted = bytes < r->bytes - r->got ? bytes : r->bytes - r->got;
    r->got += counted;
    s->owed -= counted;
    s->heard_ms = now_ms;
    s->nap_count = 0;
    s->rate_bytes += bytes;
    if (now_ms - s->rate_from_ms >= SOURCE_RATE_MS) {
        double rate = (double)s->rate_bytes / (double)(now_ms - s->rate_from_ms);
        s->rate = s->rate > 0 ? 0.6 * s->rate + 0.4 * rate : rate;
        s->rate_from_ms = now_ms;
        s->rate_bytes = 0;
    }
}

void source_done(struct source *s, struct request *r)
{
    s->owed -= r->bytes - r->got;
    size_t at = (size_t)(r - s->requests);
    s->request_count--;
    memmove(r, r + 1, (s->request_count - at) * sizeof *r);
}

uint64_t source_eta_ms(const struct source *s, const struct request *r, uint64_t now_ms)
{
    if (now_ms - s->heard_ms >= SILENT_MS) {
        return UINT64_MAX;
    }
    if (s->rate <= 0) {
        return SILENT_MS;
    }
    uint64_t before = 0;
    for (const struct request *q = s->requests; q <= r; q++) {
        before += q->bytes - q->got;
    }
    return (uint64_t)((double)before / s->rate);
}

void source_sleep(struct source *s, uint64_t until_ms)
{
    s->asleep_until_ms = until_ms;
    s->nap_count++;
}
