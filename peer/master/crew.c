#include "peer/master/crew.h"

#include <stdlib.h>

struct shunned {
    struct digest job;
    uint64_t until_ms; /* 0: the place is free */
};

/* In the ring of those with slots to spare while slots > held. */
struct member {
    uint32_t link;
    uint32_t slots;  /* as it said last, less what it took since */
    uint32_t held;   /* of them, by offers that it has not answered */
    uint32_t offers; /* under way, answered or not */
    bool in_ring;
    struct member *next, *prev;
    uint32_t shunned_next;
    struct shunned shunned[CREW_SHUNNED];
};

/* In the ring of open ones while slots > held. */
struct want {
    struct digest job;
    uint32_t slots;
    uint32_t held; /* of them, by offers */
    bool in_ring;
    struct want *next, *prev;
};

struct offer {
    uint32_t request;
    uint32_t slots;
    uint64_t since_ms;
    bool taken; /* the worker is on its way to enlist */
    struct member *member;
    struct want *want;
};

struct crew {
    struct table members;
    struct table wants;
    struct member *idle; /* ring */
    struct want *open;   /* ring */
    uint32_t last_request;
    struct offer offers[CREW_OFFERS_MAX]; /* the oldest first */
    uint32_t offer_count;
    struct crew_hooks hooks;
};

struct crew *crew_new(uint64_t seed, const struct crew_hooks *hooks)
{
    struct crew *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->hooks = *hooks;
        table_init(&c->members, sizeof(uint32_t), CREW_MEMBERS_MAX, seed);
        table_init(&c->wants, DIGEST_BYTES, CREW_JOBS_MAX, seed ^ 0x63726577);
    }
    return c;
}

void crew_free(struct crew *c)
{
    if (c == NULL) {
        return;
    }
    size_t place = 0;
    for (struct member *m; (m = table_next(&c->members, &place)) != NULL;) {
        free(m);
    }
    place = 0;
    for (struct want *w; (w = table_next(&c->wants, &place)) != NULL;) {
        free(w);
    }
    table_fini(&c->members);
    table_fini(&c->wants);
    free(c);
}

/* --- rings ------------------------------------------------------------------------------------ */

static uint32_t spare(const struct member *m)
{
    return m->slots > m->held && m->offers < CREW_LINK_OFFERS_MAX ? m->slots - m->held : 0;
}

static uint32_t missing(const struct want *w)
{
    return w->slots > w->held ? w->slots - w->held : 0;
}

/* Puts the member where its numbers say it belongs; newcomers come last. */
static void place_member(struct crew *c, struct member *m)
{
    bool belongs = spare(m) > 0;
    if (belongs == m->in_ring) {
        return;
    }
    m->in_ring = belongs;
    if (belongs) {
        m->next = c->idle != NULL ? c->idle : m;
        m->prev = c->idle != NULL ? c->idle->prev : m;
        m->next->prev = m->prev->next = m;
        c->idle = m->next;
        return;
    }
    m->next->prev = m->prev;
    m->prev->next = m->next;
    c->idle = c->idle == m ? m->next : c->idle;
    c->idle = c->idle == m ? NULL : c->idle;
}

static void place_want(struct crew *c, struct want *w)
{
    bool belongs = missing(w) > 0;
    if (belongs == w->in_ring) {
        return;
    }
    w->in_ring = belongs;
    if (belongs) {
        w->next = c->open != NULL ? c->open : w;
        w->prev = c->open != NULL ? c->open->prev : w;
        w->next->prev = w->prev->next = w;
        c->open = w->next;
        return;
    }
    w->next->prev = w->prev;
    w->prev->next = w->next;
    c->open = c->open == w ? w->next : c->open;
    c->open = c->open == w ? NULL : c->open;
}

static void set_member(struct crew *c, struct member *m, uint32_t slots, uint32_t held,
                       uint32_t offers)
{
    m->slots = slots;
    m->held = held;
    m->offers = offers;
    place_member(c, m);
}

static void set_want(struct crew *c, struct want *w, uint32_t slots, uint32_t held)
{
    bool changed = held != w->held;
    w->slots = slots;
    w->held = held;
    if (changed) {
        c->hooks.on_held(c->hooks.arg, &w->job);
    }
    place_want(c, w);
    if (slots == 0 && held == 0) {
        (void)table_remove(&c->wants, w->job.b);
        free(w);
    }
}

/* --- offers ----------------------------------------------------------------------------------- */

static void shun(struct member *m, const struct digest *job, uint64_t until_ms)
{
    for (uint32_t i = 0; i < CREW_SHUNNED; i++) {
        if (m->shunned[i].until_ms != 0 && digest_equal(&m->shunned[i].job, job)) {
            m->shunned[i].until_ms = until_ms;
            return;
        }
    }
    m->shunned[m->shunned_next] = (struct shunned){*job, until_ms};
    m->shunned_next = (m->shunned_next + 1) % CREW_SHUNNED;
}

static bool shuns(const struct member *m, const struct digest *job, uint64_t now_ms)
{
    for (uint32_t i = 0; i < CREW_SHUNNED; i++) {
        if (now_ms < m->shunned[i].until_ms && digest_equal(&m->shunned[i].job, job)) {
            return true;
        }
    }
    return false;
}

/* What the offer held is free again. */
static void end_offer(struct crew *c, uint32_t index)
{
    const struct offer o = c->offers[index];
    memmove(&c->offers[index], &c->offers[index + 1],
            (--c->offer_count - index) * sizeof c->offers[0]);
    struct member *m = o.member;
    set_member(c, m, m->slots, m->held - (o.taken ? 0 : o.slots), m->offers - 1);
    set_want(c, o.want, o.want->slots, o.want->held - o.slots);
}

static uint32_t find_offer(const struct crew *c, uint32_t link, const struct digest *job)
{
    uint32_t i = 0;
    while (i < c->offer_count &&
           (c->offers[i].member->link != link || !digest_equal(&c->offers[i].want->job, job))) {
        i++;
    }
    return i;
}

/* --- what is so ------------------------------------------------------------------------------- */

enum pn_status crew_idle(struct crew *c, uint32_t link, uint16_t slots)
{
    struct member *m = table_get(&c->members, &link);
    if (m == NULL) {
        m = calloc(1, sizeof *m);
        if (m == NULL) {
            return PN_E_NO_MEMORY;
        }
        m->link = link;
        enum pn_status status = table_put(&c->members, &link, m);
        if (status != PN_OK) {
            free(m);
            return status;
        }
    }
    set_member(c, m, slots, m->held, m->offers);
    return PN_OK;
}

void crew_gone(struct crew *c, uint32_t link)
{
    struct member *m = table_remove(&c->members, &link);
    if (m == NULL) {
        return;
    }
    for (uint32_t i = c->offer_count; i > 0; i--) {
        if (c->offers[i - 1].member == m) {
            end_offer(c, i - 1);
        }
    }
    set_member(c, m, 0, 0, 0); /* out of the ring */
    free(m);
}

enum pn_status crew_want(struct crew *c, const struct digest *job, uint32_t slots)
{
    struct want *w = table_get(&c->wants, job->b);
    if (w == NULL && slots == 0) {
        return PN_OK;
    }
    if (w == NULL) {
        w = calloc(1, sizeof *w);
        if (w == NULL) {
            return PN_E_NO_MEMORY;
        }
        w->job = *job;
        enum pn_status status = table_put(&c->wants, w->job.b, w);
        if (status != PN_OK) {
            free(w);
            return status;
        }
    }
    set_want(c, w, slots, w->held);
    return PN_OK;
}

void crew_enlisted(struct crew *c, uint32_t link, const struct digest *job)
{
    uint32_t i = find_offer(c, link, job);
    if (i < c->offer_count) {
        end_offer(c, i);
    }
}

void crew_left(struct crew *c, uint32_t link, const struct digest *job, bool for_good,
               uint64_t now_ms)
{
    struct member *m = table_get(&c->members, &link);
    crew_enlisted(c, link, job);
    if (m != NULL) {
        shun(m, job, for_good ? UINT64_MAX : now_ms + CREW_AGAIN_MS);
    }
}

void crew_reply(struct crew *c, uint32_t link, uint32_t request, enum hire_reply reply,
                uint64_t now_ms)
{
    uint32_t i = 0;
    while (i < c->offer_count && (c->offers[i].request != request ||
                                  c->offers[i].member->link != link || c->offers[i].taken)) {
        i++;
    }
    if (i == c->offer_count) {
        return;
    }
    struct offer *o = &c->offers[i];
    struct member *m = o->member;
    switch (reply) {
    case HIRE_TAKE: /* it says anew what is left; until then it has so many less */
        shun(m, &o->want->job, now_ms + CREW_AGAIN_MS);
        o->taken = true;
        set_member(c, m, m->slots > o->slots ? m->slots - o->slots : 0, m->held - o->slots,
                   m->offers);
        return;
    case HIRE_NOT_NOW: /* what it said is out of date: it says so when a slot is free */
        set_member(c, m, 0, m->held, m->offers);
        break;
    case HIRE_NEVER:
        shun(m, &o->want->job, UINT64_MAX);
        break;
    }
    end_offer(c, i);
}

/* --- what to do ------------------------------------------------------------------------------- */

static void make_offer(struct crew *c, struct member *m, struct want *w, uint64_t now_ms,
                       struct crew_offer *out)
{
    uint32_t slots = spare(m) < missing(w) ? spare(m) : missing(w);
    /* The high bit belongs to the transfer room, 0 to one-way frames. */
    c->last_request = c->last_request >= 0x7fffffff ? 1 : c->last_request + 1;
    c->offers[c->offer_count++] = (struct offer){c->last_request, slots, now_ms, false, m, w};
    *out = (struct crew_offer){c->last_request, m->link, w->job};
    set_member(c, m, m->slots, m->held + slots, m->offers + 1);
    set_want(c, w, w->slots, w->held + slots);
}

bool crew_next(struct crew *c, uint64_t now_ms, struct crew_offer *out)
{
    uint32_t tries = CREW_TRIES_MAX;
    const struct want *first_want = c->open;
    while (c->open != NULL && c->idle != NULL && c->offer_count < CREW_OFFERS_MAX) {
        struct want *w = c->open;
        const struct member *first = c->idle;
        do {
            struct member *m = c->idle;
            c->idle = m->next; /* who was looked at is the last next time */
            if (!shuns(m, &w->job, now_ms) && c->hooks.suits(c->hooks.arg, &w->job, m->link)) {
                c->open = w->next;
                make_offer(c, m, w, now_ms, out);
                return true;
            }
        } while (c->idle != first && --tries > 0);
        c->open = w->next;
        if (c->open == first_want || tries == 0) {
            return false; /* the next event goes on from here */
        }
    }
    return false;
}

void crew_tick(struct crew *c, uint64_t now_ms)
{
    while (c->offer_count > 0 && c->offers[0].since_ms + CREW_ANSWER_MS <= now_ms) {
        struct member *m = c->offers[0].member;
        if (!c->offers[0].taken) {
            set_member(c, m, 0, m->held, m->offers); /* until it says something */
        }
        shun(m, &c->offers[0].want->job, now_ms + CREW_AGAIN_MS);
        end_offer(c, 0);
    }
}

uint64_t crew_deadline_ms(const struct crew *c)
{
    return c->offer_count > 0 ? c->offers[0].since_ms + CREW_ANSWER_MS : UINT64_MAX;
}

uint32_t crew_offered(const struct crew *c, const struct digest *job)
{
    const struct want *w = table_get(&c->wants, job->b);
    return w != NULL ? w->held : 0;
}
