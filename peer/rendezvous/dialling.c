#include "peer/rendezvous/dialling.h"

#include <stdlib.h>

#include "common/table.h"

/* So many at once, then one each interval: the time until which the past is paid for. */
struct meter {
    uint64_t paid_ms;
};

/* What is known of a public address, or of an address and port of the lan. */
struct place {
    struct addr key;
    uint16_t proven_port; /* its last HELLO was valid; 0: none */
    uint16_t trying_port; /* being dialled without having been proven; 0: none */
    uint64_t valid_ms;    /* of the last valid HELLO from any port of it; 0: none */
    uint32_t failures;    /* in a row; several dials that fail together are one */
    bool begun;           /* since the last failure */
    uint64_t free_ms;     /* from then on it may be tried, unless proven */
    uint64_t touched_ms;
    struct meter proven;
};

/* A try of a public address that was not proven. */
struct recent {
    uint64_t at_ms;
    uint64_t net;
};

struct dialling {
    struct table places;
    struct recent recent[DIALLING_ALL_MAX]; /* a ring */
    uint32_t recent_next;
    uint32_t recent_count;
    struct meter lan;
};

struct dialling *dialling_new(uint64_t seed)
{
    struct dialling *d = calloc(1, sizeof *d);
    if (d != NULL) {
        table_init(&d->places, sizeof(struct addr), DIALLING_KNOWN_MAX, seed);
    }
    return d;
}

void dialling_free(struct dialling *d)
{
    if (d == NULL) {
        return;
    }
    size_t at = 0;
    for (struct place *p; (p = table_next(&d->places, &at)) != NULL;) {
        free(p);
    }
    table_fini(&d->places);
    free(d);
}

static bool meter_has(const struct meter *m, uint64_t now_ms, uint64_t each_ms, uint64_t burst)
{
    return m->paid_ms < now_ms + each_ms * burst;
}

static void meter_take(struct meter *m, uint64_t now_ms, uint64_t each_ms)
{
    m->paid_ms = (m->paid_ms > now_ms ? m->paid_ms : now_ms) + each_ms;
}

static struct addr key_of(const struct addr *to)
{
    struct addr key = *to;
    key.port = addr_is_lan(to) ? to->port : 0;
    return key;
}

static struct place *find(const struct dialling *d, const struct addr *to)
{
    const struct addr key = key_of(to);
    return table_get(&d->places, &key);
}

/* A peer that is full hangs up before its HELLO, and has room again when somebody leaves. */
static uint64_t pause_max_ms(const struct place *p, bool lan, uint64_t now_ms)
{
    if (lan) {
        return DIALLING_MINUTE_MS;
    }
    bool lately = p->valid_ms != 0 && now_ms - p->valid_ms < DIALLING_DAY_MS;
    return lately ? DIALLING_FULL_MS : DIALLING_DAY_MS;
}

static uint64_t pause_ms(const struct place *p, bool lan, uint64_t now_ms)
{
    uint64_t first_ms = lan ? DIALLING_LAN_FIRST_MS : DIALLING_MINUTE_MS;
    uint64_t most_ms = pause_max_ms(p, lan, now_ms);
    uint32_t doublings = p->failures > 1 ? p->failures - 1 : 0;
    return doublings < 20 && first_ms << doublings < most_ms ? first_ms << doublings : most_ms;
}

/* Is there room in the last minute's tries of public addresses? */
static bool has_room(const struct dialling *d, const struct addr *to, enum dialling_for why,
                     uint64_t now_ms)
{
    uint32_t of_net = 0;
    uint32_t all = 0;
    for (uint32_t i = 0; i < d->recent_count; i++) {
        if (d->recent[i].at_ms + DIALLING_MINUTE_MS > now_ms) {
            all++;
            of_net += d->recent[i].net == addr_net(to);
        }
    }
    return of_net < DIALLING_NET_MAX &&
           all < (why == DIALLING_BLOCKS ? DIALLING_BLOCKS_MAX : DIALLING_ALL_MAX);
}

static bool is_proven(const struct place *p, const struct addr *to)
{
    return p != NULL && p->proven_port == to->port;
}

static enum dialling_verdict ask_public(const struct dialling *d, const struct place *p,
                                        const struct addr *to, enum dialling_for why,
                                        uint64_t now_ms)
{
    bool now;
    if (is_proven(p, to)) {
        now = meter_has(&p->proven, now_ms, DIALLING_PROVEN_MS, DIALLING_PROVEN_BURST);
    } else if (p != NULL && p->trying_port == to->port) {
        return DIALLING_SOON;
    } else {
        now = (p == NULL || p->free_ms <= now_ms) && has_room(d, to, why, now_ms);
    }
    return now ? DIALLING_NOW : DIALLING_LATER;
}

static enum dialling_verdict ask_lan(const struct dialling *d, const struct place *p,
                                     const struct addr *to, uint64_t now_ms)
{
    bool now =
        is_proven(p, to) || ((p == NULL || p->free_ms <= now_ms) &&
                             meter_has(&d->lan, now_ms, DIALLING_LAN_MS, DIALLING_LAN_BURST));
    return now ? DIALLING_NOW : DIALLING_LATER;
}

enum dialling_verdict dialling_ask(const struct dialling *d, const struct addr *to,
                                   enum dialling_for why, bool lan, uint64_t now_ms)
{
    if (why == DIALLING_AGAIN) {
        return DIALLING_NOW;
    }
    if (!addr_may_dial(to, lan)) {
        return DIALLING_NEVER;
    }
    const struct place *p = find(d, to);
    return addr_is_lan(to) ? ask_lan(d, p, to, now_ms) : ask_public(d, p, to, why, now_ms);
}

/* Looks at all: seldom, because only unknown addresses come here, and few of them a minute. */
static void forget_oldest(struct dialling *d)
{
    struct place *oldest = NULL;
    size_t at = 0;
    for (struct place *p; (p = table_next(&d->places, &at)) != NULL;) {
        oldest = oldest == NULL || p->touched_ms < oldest->touched_ms ? p : oldest;
    }
    if (oldest != NULL) {
        (void)table_remove(&d->places, &oldest->key);
        free(oldest);
    }
}

static struct place *find_or_add(struct dialling *d, const struct addr *to)
{
    struct place *p = find(d, to);
    if (p != NULL) {
        return p;
    }
    if (d->places.count == DIALLING_KNOWN_MAX) {
        forget_oldest(d);
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->key = key_of(to);
    if (table_put(&d->places, &p->key, p) != PN_OK) {
        free(p);
        return NULL;
    }
    return p;
}

static void count_public(struct dialling *d, struct place *p, const struct addr *to,
                         uint64_t now_ms)
{
    p->trying_port = to->port;
    p->free_ms = now_ms + DIALLING_MINUTE_MS;
    d->recent[d->recent_next] = (struct recent){now_ms, addr_net(to)};
    d->recent_next = (d->recent_next + 1) % DIALLING_ALL_MAX;
    d->recent_count += d->recent_count < DIALLING_ALL_MAX;
}

enum dialling_verdict dialling_begin(struct dialling *d, const struct addr *to,
                                     enum dialling_for why, bool lan, uint64_t now_ms)
{
    enum dialling_verdict verdict = dialling_ask(d, to, why, lan, now_ms);
    if (verdict != DIALLING_NOW || why == DIALLING_AGAIN) {
        return verdict;
    }
    struct place *p = find_or_add(d, to);
    if (p == NULL) {
        return DIALLING_LATER; /* what cannot be counted is not done */
    }
    p->touched_ms = now_ms;
    p->begun = true;
    if (addr_is_lan(to)) {
        if (!is_proven(p, to)) {
            meter_take(&d->lan, now_ms, DIALLING_LAN_MS);
        }
    } else if (is_proven(p, to)) {
        meter_take(&p->proven, now_ms, DIALLING_PROVEN_MS);
    } else {
        count_public(d, p, to, now_ms);
    }
    return DIALLING_NOW;
}

void dialling_end(struct dialling *d, const struct addr *to, enum dialling_for why, bool valid,
                  uint64_t now_ms)
{
    struct place *p = find(d, to);
    if (p == NULL || (why == DIALLING_AGAIN && !valid)) {
        return; /* forgotten meanwhile, or not of this budget */
    }
    if (why != DIALLING_AGAIN && p->trying_port == to->port) {
        p->trying_port = 0;
    }
    if (valid) {
        p->proven_port = to->port;
        p->valid_ms = now_ms;
        p->failures = 0;
        return;
    }
    if (is_proven(p, to)) {
        if (why == DIALLING_SEARCH) {
            return; /* a peer still, but not the one */
        }
        p->proven_port = 0;
    }
    if (!p->begun) {
        return;
    }
    p->begun = false;
    p->failures += p->failures < UINT32_MAX;
    uint64_t free_ms = now_ms + pause_ms(p, addr_is_lan(to), now_ms);
    p->free_ms = free_ms > p->free_ms ? free_ms : p->free_ms;
}
