#include "tracker/hiring.h"

#include "common/table.h"
#include "tracker/draw.h"
#include "tracker/shuns.h"
#include "tracker/traits.h"

#include <stdlib.h>

enum idle_state {
    IDLE_AVAILABLE,
    IDLE_OFFERED, /* HIRE is under way */
    IDLE_ENGAGED, /* took an offer and has not yet said what became of it */
    IDLE_SILENT,  /* did not answer: waits for a sign of life */
    IDLE_RESTING, /* not idle: kept for what it shuns */
};

struct idle {
    uint32_t conn;
    uint32_t host;
    uint32_t place;        /* in available, while IDLE_AVAILABLE */
    struct fifo_link link; /* while IDLE_OFFERED or IDLE_ENGAGED */
    uint32_t token;        /* of the offer, like the next three */
    uint32_t demand;
    uint32_t demand_id; /* the record may be another demand's by now */
    uint16_t slots_offered;
    uint16_t slots;
    uint64_t since_ms; /* when it came into its state */
    uint8_t state;
    struct shuns shuns;
    struct traits abilities;
};

struct demand {
    uint32_t conn;
    uint32_t id; /* never 0 while the record is in use */
    uint32_t hirer;
    struct fifo_link turn; /* in its hirer's queue, while open */
    uint32_t conn_next;    /* the connection's list */
    uint32_t offer_count;
    uint32_t slots_offered;
    uint16_t slots; /* still wanted */
    uint16_t port;
    bool open; /* wants more than is offered already */
    uint32_t job_hash;
    struct digest job;
    struct traits needs;
};

/* One address with demands. */
struct hirer {
    uint32_t host;
    uint32_t demand_count;
    uint32_t place;    /* in open, while turns is not empty */
    struct fifo turns; /* its open demands: they take turns */
    uint64_t paid_ms;  /* until then its HIREs are paid for, at HIRING_PACE_MS each */
};

void hiring_init(struct hiring *h, struct hosts *hosts, struct random *random,
                 uint32_t idle_count_max, uint32_t demand_count_max, uint64_t seed)
{
    *h = (struct hiring){.hosts = hosts, .random = random, .retry_at_ms = UINT64_MAX, .seed = seed};
    pool_init(&h->idles, sizeof(struct idle), idle_count_max);
    pool_init(&h->demands, sizeof(struct demand), demand_count_max);
    pool_init(&h->hirers, sizeof(struct hirer), demand_count_max);
    fifo_init(&h->offered, &h->idles, offsetof(struct idle, link));
    fifo_init(&h->engaged, &h->idles, offsetof(struct idle, link));
    pool_index_init(&h->hirers_by_host);
}

void hiring_fini(struct hiring *h)
{
    pool_fini(&h->idles);
    pool_fini(&h->demands);
    pool_fini(&h->hirers);
    pool_index_fini(&h->hirers_by_host);
    free(h->available);
    free(h->open);
    h->available = NULL;
    h->open = NULL;
}

static struct idle *idle_at(const struct hiring *h, uint32_t n) { return pool_at(&h->idles, n); }
static struct demand *demand_at(const struct hiring *h, uint32_t n)
{
    return pool_at(&h->demands, n);
}
static struct hirer *hirer_at(const struct hiring *h, uint32_t n) { return pool_at(&h->hirers, n); }

/* Room for count numbers, so that moving records between lists cannot fail later. */
static enum pn_status reserve(uint32_t **list, uint32_t *cap, uint32_t count)
{
    if (count <= *cap) {
        return PN_OK;
    }
    uint32_t more = count + count / 2;
    uint32_t *grown = realloc(*list, more * sizeof *grown);
    if (grown == NULL) {
        return PN_E_NO_MEMORY;
    }
    *list = grown;
    *cap = more;
    return PN_OK;
}

/* Whether an address is of use to a host: 127.0.0.1 is another machine everywhere else. */
static bool can_dial(const struct hiring *h, uint32_t from, uint32_t to)
{
    if (!hosts_is_lan(h->hosts, to)) {
        return true;
    }
    const struct addr a = hosts_addr(h->hosts, from);
    const struct addr b = hosts_addr(h->hosts, to);
    return addr_is_lan(&a) && (addr_class(&b) != ADDR_LOOPBACK || addr_class(&a) == ADDR_LOOPBACK);
}

static bool fits(const struct hiring *h, const struct demand *demand, const struct idle *idle)
{
    return demand->conn != idle->conn && traits_have_all(&idle->abilities, &demand->needs) &&
           can_dial(h, idle->host, hirer_at(h, demand->hirer)->host);
}

static void make_available(struct hiring *h, uint32_t number)
{
    struct idle *idle = idle_at(h, number);
    idle->state = IDLE_AVAILABLE;
    idle->place = h->available_count;
    h->available[h->available_count++] = number;
}

/* Takes the peer out of whatever list its state means. */
static void leave_state(struct hiring *h, uint32_t number)
{
    struct idle *idle = idle_at(h, number);
    uint32_t moved;
    switch ((enum idle_state)idle->state) {
    case IDLE_AVAILABLE:
        moved = h->available[--h->available_count];
        h->available[idle->place] = moved;
        idle_at(h, moved)->place = idle->place;
        return;
    case IDLE_OFFERED:
        fifo_remove(&h->offered, number);
        return;
    case IDLE_ENGAGED:
        fifo_remove(&h->engaged, number);
        return;
    case IDLE_SILENT:
        return;
    case IDLE_RESTING:
        h->resting_count--;
        return;
    }
}

/* Keeps the lists of open demands in step with what is wanted and offered. */
static void refresh_open(struct hiring *h, uint32_t number)
{
    struct demand *demand = demand_at(h, number);
    bool open = demand->slots > demand->slots_offered && demand->offer_count < HIRING_OFFERS_MAX;
    if (open == demand->open) {
        return;
    }
    struct hirer *hirer = hirer_at(h, demand->hirer);
    demand->open = open;
    if (open) {
        if (hirer->turns.first == POOL_NONE) {
            hirer->place = h->open_count;
            h->open[h->open_count++] = demand->hirer;
        }
        fifo_push(&hirer->turns, number);
        return;
    }
    fifo_remove(&hirer->turns, number);
    if (hirer->turns.first == POOL_NONE) {
        uint32_t moved = h->open[--h->open_count];
        h->open[hirer->place] = moved;
        hirer_at(h, moved)->place = hirer->place;
    }
}

/* Whoever is hired dials at once: a master is not to meet ten thousand handshakes in one second. */
static bool may_hire(const struct hirer *hirer, uint64_t now_ms)
{
    return hirer->paid_ms < now_ms + (uint64_t)HIRING_PACE_MS * HIRING_BURST;
}

static void offer(struct hiring *h, uint32_t demand_number, uint32_t idle_number, uint64_t now_ms,
                  struct says *out)
{
    struct demand *demand = demand_at(h, demand_number);
    struct idle *idle = idle_at(h, idle_number);
    leave_state(h, idle_number);
    idle->state = IDLE_OFFERED;
    idle->since_ms = now_ms;
    idle->token = (uint32_t)random_u64(h->random);
    idle->demand = demand_number;
    idle->demand_id = demand->id;
    idle->slots_offered = idle->slots < HIRING_SLOTS_BELIEVED ? idle->slots : HIRING_SLOTS_BELIEVED;
    fifo_push(&h->offered, idle_number);
    demand->offer_count++;
    demand->slots_offered += idle->slots_offered;
    struct hirer *hirer = hirer_at(h, demand->hirer);
    hirer->paid_ms = (hirer->paid_ms > now_ms ? hirer->paid_ms : now_ms) + HIRING_PACE_MS;
    refresh_open(h, demand_number);

    struct trackline *line = says_add(out, idle->conn, TRACKLINE_ANSWER, TRACKLINE_HIRE);
    line->token = idle->token;
    line->addr = hosts_addr(h->hosts, hirer->host);
    line->addr.port = demand->port;
    line->job = (struct trackline_job){.kind = TRACKLINE_JOB, .id = demand->job};
}

static void retry_later(struct hiring *h, uint64_t at_ms)
{
    h->retry_at_ms = at_ms < h->retry_at_ms ? at_ms : h->retry_at_ms;
}

/* Whether the pair may meet now. If it only may not yet, they are looked at again then. */
static bool fits_now(struct hiring *h, const struct demand *demand, const struct idle *idle,
                     uint64_t now_ms)
{
    uint64_t until_ms = shuns_until_ms(&idle->shuns, demand->job_hash, now_ms);
    if (until_ms != 0) {
        retry_later(h, until_ms);
        return false;
    }
    return fits(h, demand, idle);
}

/* Offers the demand to random available peers until it is covered. */
static void match_demand(struct hiring *h, uint32_t number, uint64_t now_ms, struct says *out)
{
    struct demand *demand = demand_at(h, number);
    uint32_t tries[HIRING_TRIES_MAX]; /* drawn first: an offer changes the list */
    uint32_t try_count = 0;
    uint32_t place;
    bool all = h->available_count <= HIRING_TRIES_MAX;
    struct draw draw;
    draw_init(&draw, h->random, h->available_count);
    while (demand->open && try_count < HIRING_TRIES_MAX && draw_next(&draw, &place)) {
        tries[try_count++] = h->available[place];
    }
    for (uint32_t i = 0; i < try_count && demand->open; i++) {
        if (says_are_full(out)) {
            retry_later(h, now_ms);
            return;
        }
        if (!may_hire(hirer_at(h, demand->hirer), now_ms)) {
            retry_later(h, now_ms + HIRING_RETRY_MS);
            return;
        }
        if (fits_now(h, demand, idle_at(h, tries[i]), now_ms)) {
            offer(h, number, tries[i], now_ms, out);
        }
    }
    if (demand->open && !all) {
        retry_later(h, now_ms + HIRING_RETRY_MS);
    }
}

/* Offers the first fitting demand of random hirers to the peer. */
static void match_idle(struct hiring *h, uint32_t number, uint64_t now_ms, struct says *out)
{
    struct draw draw;
    uint32_t place;
    uint32_t tries = HIRING_TRIES_MAX;
    draw_init(&draw, h->random, h->open_count);
    while (draw_next(&draw, &place)) {
        struct hirer *hirer = hirer_at(h, h->open[place]);
        uint32_t demand = hirer->turns.first;
        if (!may_hire(hirer, now_ms)) {
            retry_later(h, now_ms + HIRING_RETRY_MS);
            continue;
        }
        for (; demand != POOL_NONE; demand = fifo_next(&hirer->turns, demand)) {
            if (tries-- == 0 || says_are_full(out)) {
                retry_later(h, now_ms + HIRING_RETRY_MS);
                return;
            }
            if (fits_now(h, demand_at(h, demand), idle_at(h, number), now_ms)) {
                fifo_remove(&hirer->turns, demand);
                fifo_push(&hirer->turns, demand);
                offer(h, demand, number, now_ms, out);
                return;
            }
        }
    }
}

/* Ends the peer's offer. Returns the demand it was for, POOL_NONE if that is gone. */
static uint32_t end_offer(struct hiring *h, uint32_t number)
{
    struct idle *idle = idle_at(h, number);
    leave_state(h, number);
    idle->state = IDLE_SILENT;
    struct demand *demand = demand_at(h, idle->demand);
    if (demand->id != idle->demand_id) {
        return POOL_NONE;
    }
    demand->offer_count--;
    demand->slots_offered -= idle->slots_offered;
    return idle->demand;
}

enum pn_status hiring_idle(struct hiring *h, uint32_t *number, const struct hiring_idle *said,
                           uint64_t now_ms, struct says *out)
{
    if (*number == POOL_NONE) {
        enum pn_status status = reserve(&h->available, &h->available_cap, h->idles.count + 1);
        if (status == PN_OK) {
            status = pool_take(&h->idles, number);
        }
        if (status != PN_OK) {
            return status;
        }
        idle_at(h, *number)->state = IDLE_SILENT;
    }
    struct idle *idle = idle_at(h, *number);
    idle->conn = said->conn;
    idle->host = said->host;
    idle->slots = said->slots;
    idle->abilities = traits_of(h->seed, said->abilities);
    if (idle->state == IDLE_OFFERED) {
        return PN_OK; /* its answer is on its way */
    }
    if (idle->state != IDLE_AVAILABLE) {
        leave_state(h, *number);
        make_available(h, *number);
    }
    match_idle(h, *number, now_ms, out);
    return PN_OK;
}

static void leave_offer_too(struct hiring *h, uint32_t number)
{
    if (idle_at(h, number)->state == IDLE_OFFERED) {
        uint32_t demand = end_offer(h, number);
        if (demand != POOL_NONE) {
            refresh_open(h, demand);
            retry_later(h, 0); /* for somebody else: at the next tick, which is due */
        }
    } else {
        leave_state(h, number);
    }
}

void hiring_busy(struct hiring *h, uint32_t number)
{
    leave_offer_too(h, number);
    idle_at(h, number)->state = IDLE_RESTING;
    h->resting_count++;
}

void hiring_gone(struct hiring *h, uint32_t number)
{
    leave_offer_too(h, number);
    pool_give(&h->idles, number);
}

bool hiring_is_idle(const struct hiring *h, uint32_t number)
{
    return number != POOL_NONE && idle_at(h, number)->state != IDLE_RESTING;
}

uint32_t hiring_idle_count(const struct hiring *h) { return h->idles.count - h->resting_count; }

static uint32_t host_hash(uint32_t host) { return host * 2654435761u; }

static uint32_t hirer_find(const struct hiring *h, uint32_t host)
{
    size_t place;
    uint32_t found = pool_index_first(&h->hirers_by_host, host_hash(host), &place);
    while (found != POOL_NONE && hirer_at(h, found)->host != host) {
        found = pool_index_next(&h->hirers_by_host, host_hash(host), &place);
    }
    return found;
}

static enum pn_status hirer_join(struct hiring *h, uint32_t host, uint32_t *number)
{
    *number = hirer_find(h, host);
    if (*number == POOL_NONE) {
        enum pn_status status = reserve(&h->open, &h->open_cap, h->hirers.count + 1);
        if (status == PN_OK) {
            status = pool_take(&h->hirers, number);
        }
        if (status == PN_OK) {
            status = pool_index_put(&h->hirers_by_host, host_hash(host), *number);
            if (status != PN_OK) {
                pool_give(&h->hirers, *number);
            }
        }
        if (status != PN_OK) {
            return status;
        }
        struct hirer *hirer = hirer_at(h, *number);
        hirer->host = host;
        fifo_init(&hirer->turns, &h->demands, offsetof(struct demand, turn));
    }
    hirer_at(h, *number)->demand_count++;
    return PN_OK;
}

static void hirer_leave(struct hiring *h, uint32_t number)
{
    struct hirer *hirer = hirer_at(h, number);
    if (--hirer->demand_count == 0) {
        pool_index_remove(&h->hirers_by_host, host_hash(hirer->host), number);
        pool_give(&h->hirers, number);
    }
}

static enum pn_status demand_add(struct hiring *h, uint32_t *head, const struct hiring_demand *said,
                                 uint32_t *number, struct pn_err *err)
{
    uint32_t host;
    enum pn_status status = hosts_use(h->hosts, &said->addr, HOSTS_DEMAND, &host, err);
    if (status != PN_OK) {
        return status;
    }
    uint32_t hirer = POOL_NONE;
    status = pool_take(&h->demands, number);
    if (status == PN_OK) {
        status = hirer_join(h, host, &hirer);
        if (status != PN_OK) {
            pool_give(&h->demands, *number);
        }
    }
    if (status != PN_OK) {
        hosts_release(h->hosts, host, HOSTS_DEMAND);
        return pn_fail(err, status, "the tracker is full");
    }
    h->demand_ids += h->demand_ids == UINT32_MAX ? 2 : 1; /* 0 is nobody's */
    *demand_at(h, *number) = (struct demand){
        .conn = said->conn,
        .id = h->demand_ids,
        .hirer = hirer,
        .conn_next = *head,
        .job_hash = (uint32_t)table_hash(h->seed, said->job.b, sizeof said->job.b),
        .job = said->job,
    };
    *head = *number;
    return PN_OK;
}

static void demand_drop(struct hiring *h, uint32_t number)
{
    struct demand *demand = demand_at(h, number);
    uint32_t host = hirer_at(h, demand->hirer)->host;
    demand->slots = 0;
    refresh_open(h, number);
    hirer_leave(h, demand->hirer);
    demand->id = 0; /* offers under way find nobody */
    pool_give(&h->demands, number);
    hosts_release(h->hosts, host, HOSTS_DEMAND);
}

/* The link that names this connection's demand for the job, or the one at the list's end. */
static uint32_t *demand_link(struct hiring *h, uint32_t *head, const struct digest *job)
{
    uint32_t *link = head;
    while (*link != POOL_NONE && !digest_equal(&demand_at(h, *link)->job, job)) {
        link = &demand_at(h, *link)->conn_next;
    }
    return link;
}

enum pn_status hiring_demand(struct hiring *h, uint32_t *head, const struct hiring_demand *said,
                             uint64_t now_ms, struct says *out, struct pn_err *err)
{
    uint32_t *link = demand_link(h, head, &said->job);
    uint32_t number = *link;
    if (said->slots == 0) {
        if (number != POOL_NONE) {
            *link = demand_at(h, number)->conn_next;
            demand_drop(h, number);
        }
        return PN_OK;
    }
    if (number == POOL_NONE) {
        enum pn_status status = demand_add(h, head, said, &number, err);
        if (status != PN_OK) {
            return status;
        }
    }
    struct demand *demand = demand_at(h, number);
    demand->port = said->addr.port;
    demand->slots = said->slots;
    demand->needs = traits_of(h->seed, said->needs);
    refresh_open(h, number);
    match_demand(h, number, now_ms, out);
    return PN_OK;
}

void hiring_withdraw(struct hiring *h, uint32_t head)
{
    while (head != POOL_NONE) {
        uint32_t next = demand_at(h, head)->conn_next;
        demand_drop(h, head);
        head = next;
    }
}

void hiring_answer(struct hiring *h, uint32_t number, uint32_t token, bool taken, uint64_t now_ms,
                   struct says *out)
{
    struct idle *idle = idle_at(h, number);
    if (idle->state != IDLE_OFFERED || idle->token != token) {
        return; /* late: the offer has ended */
    }
    uint32_t demand_number = end_offer(h, number);
    if (demand_number != POOL_NONE) {
        struct demand *demand = demand_at(h, demand_number);
        uint16_t met = idle->slots_offered < demand->slots ? idle->slots_offered : demand->slots;
        demand->slots = (uint16_t)(demand->slots - (taken ? met : 0));
        if (taken) {
            shuns_offered(&idle->shuns, demand->job_hash, now_ms);
        } else {
            shuns_passed(&idle->shuns, demand->job_hash, now_ms);
        }
        refresh_open(h, demand_number);
    }
    idle->since_ms = now_ms;
    if (taken) {
        idle->state = IDLE_ENGAGED;
        fifo_push(&h->engaged, number);
    } else {
        make_available(h, number);
        match_idle(h, number, now_ms, out);
    }
    if (demand_number != POOL_NONE) {
        match_demand(h, demand_number, now_ms, out);
    }
}

void hiring_alive(struct hiring *h, uint32_t number, uint64_t now_ms, struct says *out)
{
    if (idle_at(h, number)->state == IDLE_SILENT) {
        make_available(h, number);
        match_idle(h, number, now_ms, out);
    }
}

uint32_t hiring_list(struct hiring *h, uint32_t conn, uint32_t host, uint32_t count_max,
                     struct says *out)
{
    struct draw draw;
    uint32_t place;
    uint32_t count = 0;
    uint32_t tries = HIRING_TRIES_MAX;
    draw_init(&draw, h->random, h->open_count);
    while (count < count_max && tries-- > 0 && !says_are_full(out) && draw_next(&draw, &place)) {
        struct hirer *hirer = hirer_at(h, h->open[place]);
        uint32_t number = hirer->turns.first;
        fifo_remove(&hirer->turns, number);
        fifo_push(&hirer->turns, number);
        const struct demand *demand = demand_at(h, number);
        if (demand->conn != conn && can_dial(h, host, hirer->host)) {
            struct trackline *line = says_add(out, conn, TRACKLINE_ANSWER, TRACKLINE_WANT);
            line->addr = hosts_addr(h->hosts, hirer->host);
            line->addr.port = demand->port;
            line->job = (struct trackline_job){.kind = TRACKLINE_JOB, .id = demand->job};
            line->slots = (uint16_t)(demand->slots - demand->slots_offered);
            count++;
        }
    }
    return count;
}

static bool is_due(const struct hiring *h, const struct fifo *queue, uint64_t patience_ms,
                   uint64_t now_ms)
{
    return queue->first != POOL_NONE && idle_at(h, queue->first)->since_ms + patience_ms <= now_ms;
}

enum { RETRIED = 16 }; /* demands that go on looking in one go */

/* Draws open demands: of random hirers the first one, then the second of each, and so on. */
static uint32_t draw_demands(struct hiring *h, uint32_t drawn[RETRIED], bool *all)
{
    uint32_t heads[RETRIED];
    uint32_t head_count = 0;
    uint32_t count = 0;
    uint32_t place;
    struct draw draw;
    draw_init(&draw, h->random, h->open_count);
    while (head_count < RETRIED && draw_next(&draw, &place)) {
        heads[head_count++] = hirer_at(h, h->open[place])->turns.first;
    }
    *all = h->open_count == head_count;
    while (head_count > 0) {
        uint32_t more = 0;
        for (uint32_t i = 0; i < head_count; i++) {
            if (count == RETRIED) {
                *all = false;
                return count;
            }
            drawn[count++] = heads[i];
            uint32_t next = fifo_next(&hirer_at(h, demand_at(h, heads[i])->hirer)->turns, heads[i]);
            if (next != POOL_NONE) {
                heads[more++] = next;
            }
        }
        head_count = more;
    }
    return count;
}

/* Goes on looking where one go was not enough, or a peer is free again. */
static void retry(struct hiring *h, uint64_t now_ms, struct says *out)
{
    uint32_t drawn[RETRIED];
    bool all;
    if (h->available_count == 0) {
        return; /* whoever comes looks for itself */
    }
    uint32_t count = draw_demands(h, drawn, &all);
    if (!all) {
        retry_later(h, now_ms + HIRING_RETRY_MS);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct hirer *hirer = hirer_at(h, demand_at(h, drawn[i])->hirer);
        fifo_remove(&hirer->turns, drawn[i]);
        fifo_push(&hirer->turns, drawn[i]);
        match_demand(h, drawn[i], now_ms, out);
    }
}

void hiring_tick(struct hiring *h, uint64_t now_ms, struct says *out)
{
    while (is_due(h, &h->offered, HIRING_ANSWER_MS, now_ms) && !says_are_full(out)) {
        struct idle *idle = idle_at(h, h->offered.first);
        uint32_t demand = end_offer(h, h->offered.first);
        if (demand != POOL_NONE) {
            shuns_offered(&idle->shuns, demand_at(h, demand)->job_hash, now_ms);
            refresh_open(h, demand);
            match_demand(h, demand, now_ms, out);
        }
    }
    while (is_due(h, &h->engaged, HIRING_ENGAGED_MS, now_ms) && !says_are_full(out)) {
        uint32_t number = h->engaged.first;
        leave_state(h, number);
        make_available(h, number);
        match_idle(h, number, now_ms, out);
    }
    if (h->retry_at_ms <= now_ms) {
        h->retry_at_ms = UINT64_MAX;
        retry(h, now_ms, out);
    }
}

uint64_t hiring_deadline_ms(const struct hiring *h)
{
    uint64_t deadline = h->retry_at_ms;
    if (h->offered.first != POOL_NONE) {
        uint64_t due = idle_at(h, h->offered.first)->since_ms + HIRING_ANSWER_MS;
        deadline = due < deadline ? due : deadline;
    }
    if (h->engaged.first != POOL_NONE) {
        uint64_t due = idle_at(h, h->engaged.first)->since_ms + HIRING_ENGAGED_MS;
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}

size_t hiring_bytes(const struct hiring *h)
{
    return pool_bytes(&h->idles) + pool_bytes(&h->demands) + pool_bytes(&h->hirers) +
           (h->available_cap + h->open_cap) * sizeof(uint32_t) +
           pool_index_bytes(&h->hirers_by_host);
}
