#include "peer/master/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "common/writer.h"

enum {
    ATTEMPT_HASH_BITS = 40,
    STRAGGLERS_LOOKED_AT = 256,
    MEAN_WEIGHT = 8, /* a new measurement counts an eighth */
};

static bool is_closed(const struct plan *p, uint64_t slice)
{
    return bitset_has(&p->closed, slice);
}

enum pn_status plan_init(struct plan *p, const struct plan_config *config)
{
    *p = (struct plan){.config = *config, .limit = config->slice_count};
    random_seed(&p->random, config->seed);
    table_init(&p->open, sizeof(uint64_t), (size_t)PLAN_OPEN_MAX * 2, random_u64(&p->random));
    if (!bitset_init(&p->ready, config->slice_count) ||
        !bitset_init(&p->own, config->slice_count) ||
        !bitset_init(&p->closed, config->slice_count)) {
        plan_fini(p);
        return PN_E_NO_MEMORY;
    }
    bitset_fill(&p->ready);
    return PN_OK;
}

static void free_slice(struct open_slice *s)
{
    tally_fini(&s->tally);
    free(s);
}

void plan_fini(struct plan *p)
{
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&p->open, &place)) != NULL;) {
        while (s->attempts != NULL) {
            struct attempt *a = s->attempts;
            s->attempts = a->next_of_slice;
            free(a);
        }
        free_slice(s);
    }
    table_fini(&p->open);
    bitset_fini(&p->ready);
    bitset_fini(&p->own);
    bitset_fini(&p->closed);
    heap_fini(&p->leases);
    heap_fini(&p->retries);
}

struct open_slice *plan_slice(const struct plan *p, uint64_t slice)
{
    return table_get(&p->open, &slice);
}

struct open_slice *plan_open(struct plan *p, uint64_t slice)
{
    assert(!is_closed(p, slice));
    struct open_slice *s = plan_slice(p, slice);
    if (s != NULL) {
        return s;
    }
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->slice = slice;
    s->need = p->config.copies;
    if (table_put(&p->open, &slice, s) != PN_OK) {
        free(s);
        return NULL;
    }
    p->touched = slice >= p->touched ? slice + 1 : p->touched;
    return s;
}

/* --- the line of those given out, by when --- */

static void leave_line(struct plan *p, struct open_slice *s)
{
    if (!s->given) {
        return;
    }
    s->given = false;
    *(s->line_prev != NULL ? &s->line_prev->line_next : &p->line_first) = s->line_next;
    *(s->line_next != NULL ? &s->line_next->line_prev : &p->line_last) = s->line_prev;
}

static void join_line(struct plan *p, struct open_slice *s)
{
    if (s->given) {
        return;
    }
    s->given = true;
    if (p->line_last != NULL && p->line_last->given_ms > s->given_ms) {
        s->given_ms = p->line_last->given_ms; /* it comes back, and the line is in order */
    }
    s->line_next = NULL;
    s->line_prev = p->line_last;
    *(p->line_last != NULL ? &p->line_last->line_next : &p->line_first) = s;
    p->line_last = s;
}

/* Makes the bitsets say what the slice's counts say. */
static void refresh(struct plan *p, struct open_slice *s)
{
    bool over = s->provisional || s->final_queued || s->slice >= p->limit;
    bool ready = !over && !s->own_wanted && s->live < s->need && s->retry.place == 0;
    bool own_running = false;
    for (const struct attempt *a = s->attempts; a != NULL; a = a->next_of_slice) {
        own_running = own_running || a->by->own;
    }
    /* What waits for nobody in particular would only hide those behind it. */
    if (!over && !s->own_wanted && s->live > 0 && s->live >= s->need) {
        join_line(p, s);
    } else {
        leave_line(p, s);
    }
    if (ready && !bitset_has(&p->ready, s->slice)) {
        bitset_add(&p->ready, s->slice);
        p->round++;
    } else if (!ready) {
        bitset_remove(&p->ready, s->slice);
    }
    if (!over && s->own_wanted && !own_running && s->retry.place == 0) {
        bitset_add(&p->own, s->slice);
    } else {
        bitset_remove(&p->own, s->slice);
    }
}

/* As refresh, and workers who have looked at the slice before look again. */
void plan_reconsider(struct plan *p, struct open_slice *s)
{
    refresh(p, s);
    p->round += bitset_has(&p->ready, s->slice);
}

static bool is_excluded(const struct open_slice *s, const struct plan_worker *w)
{
    for (uint8_t i = 0; i < s->excluded_count; i++) {
        if (s->excluded[i] == w->index) {
            return true;
        }
    }
    return false;
}

/*
 * An identity works on a slice once, a network has one vote, and who could not run it is not asked
 * again. Where only the bytes are wanted, votes do not matter: but for those who have the bytes.
 */
bool plan_suits(const struct open_slice *s, const struct plan_worker *w)
{
    for (const struct attempt *a = s->attempts; a != NULL; a = a->next_of_slice) {
        bool neighbour = w->prefix != 0 && a->by->prefix == w->prefix && !a->late;
        if (a->by == w || (neighbour && !s->bytes_wanted)) {
            return false; /* late or not: it may still be at it */
        }
    }
    if (is_excluded(s, w)) {
        return false;
    }
    for (uint8_t i = 0; i < s->tally.count; i++) {
        const struct ballot *b = &s->tally.ballots[i];
        bool same = b->worker == w->index;
        bool neighbour = b->prefix != 0 && b->prefix == w->prefix;
#ifdef PREON_DEFECT_NETWORK_TWICE
        neighbour = false;
#endif
        if (s->bytes_wanted ? same && b->copy != COPY_LOST : same || neighbour) {
#ifdef PREON_DEFECT_IDENTITY_TWICE
            continue;
#endif
            return false;
        }
    }
    return true;
}

/*
 * The number: counter in the high 24 bits, hash in the low 40. Guessing one costs 2^39 votes on
 * average, each of which closes the guesser's link.
 */
static uint64_t attempt_number(const struct plan *p, const struct plan_worker *w, uint64_t slice,
                               uint32_t counter)
{
    static const char tag[HASH_TAG_BYTES] = "\0preon1 attempt";
    uint8_t bytes[HASH_TAG_BYTES + PLAN_SECRET_BYTES + RUN_BYTES + DIGEST_BYTES + 8 + 4];
    struct writer out = writer_of(bytes, sizeof bytes);
    writer_copy(&out, tag, sizeof tag);
    writer_copy(&out, p->config.secret, PLAN_SECRET_BYTES);
    writer_copy(&out, p->config.run.b, RUN_BYTES);
    writer_copy(&out, w->peer.b, DIGEST_BYTES);
    writer_u64(&out, slice);
    writer_u32(&out, counter & 0xffffff);

    struct digest d;
    hash_sha256(writer_done(&out), &d);
    uint64_t hash = 0;
    for (int i = 0; i < ATTEMPT_HASH_BITS / 8; i++) {
        hash = hash << 8 | d.b[i];
    }
    return (uint64_t)(counter & 0xffffff) << ATTEMPT_HASH_BITS | hash;
}

bool plan_issued(const struct plan *p, const struct plan_worker *w, uint64_t slice,
                 uint64_t attempt)
{
    return slice < p->config.slice_count &&
           attempt == attempt_number(p, w, slice, (uint32_t)(attempt >> ATTEMPT_HASH_BITS));
}

/* How long a slice runs at most, and a minute for all around it. */
static uint64_t longest_ms(const struct plan *p)
{
    return ((uint64_t)p->config.time_limit_s + 60) * 1000;
}

uint64_t plan_lease_ms(const struct plan *p, const struct plan_worker *w)
{
    uint64_t most = longest_ms(p);
    uint64_t mean = w->mean_ms > 0 ? w->mean_ms : p->mean_ms;
    if (mean == 0) {
        return most < PLAN_LEASE_UNKNOWN_MAX_MS ? most : PLAN_LEASE_UNKNOWN_MAX_MS;
    }
    /* Ten times what it usually takes, queue of the worker included. */
    uint64_t lease = 10 * mean + PLAN_LEASE_MIN_MS;
    return lease < most ? lease : most;
}

static struct attempt *begin(struct plan *p, struct open_slice *s, struct plan_worker *w,
                             uint64_t number, uint64_t now_ms)
{
    struct attempt *a = calloc(1, sizeof *a);
    if (a == NULL || heap_add(&p->leases, &a->lease, now_ms + plan_lease_ms(p, w)) != PN_OK) {
        free(a);
        return NULL;
    }
    a->id = number;
    a->of = s;
    a->by = w;
    a->assigned_ms = now_ms;
    a->next_of_slice = s->attempts;
    s->attempts = a;
    s->live++;
    leave_line(p, s); /* to its end */
    s->given_ms = now_ms;
    a->next_of_worker = w->attempts;
    a->link_of_worker = &w->attempts;
    if (w->attempts != NULL) {
        w->attempts->link_of_worker = &a->next_of_worker;
    }
    w->attempts = a;
    w->outstanding++;
    refresh(p, s);
    return a;
}

/* A worker that has voted runs a slice again only for lost outputs: then under the same number. */
static uint64_t number_for(struct plan *p, const struct open_slice *s, const struct plan_worker *w)
{
    for (uint8_t i = 0; s->bytes_wanted && i < s->tally.count; i++) {
        if (s->tally.ballots[i].worker == w->index) {
            return s->tally.ballots[i].attempt;
        }
    }
    return attempt_number(p, w, s->slice, p->attempt_count++);
}

static struct attempt *begin_new(struct plan *p, uint64_t slice, struct plan_worker *w,
                                 uint64_t now_ms)
{
    struct open_slice *s = plan_open(p, slice);
    return s == NULL ? NULL : begin(p, s, w, number_for(p, s, w), now_ms);
}

struct attempt *plan_take(struct plan *p, struct plan_worker *w, uint64_t now_ms)
{
    if (w->round != p->round) {
        w->round = p->round;
        w->cursor = 0;
    }
    for (;;) {
        uint64_t slice = bitset_next(&p->ready, w->cursor);
        if (slice == BITSET_NONE || slice >= p->limit) {
            return NULL;
        }
        const struct open_slice *s = plan_slice(p, slice);
        if (slice >= p->touched && p->open.count >= PLAN_OPEN_MAX) {
            return NULL; /* enough is open: the lower ones first */
        }
        w->cursor = slice + 1;
        if (s == NULL || plan_suits(s, w)) {
            return begin_new(p, slice, w, now_ms);
        }
    }
}

struct attempt *plan_take_own(struct plan *p, struct plan_worker *w, uint64_t now_ms)
{
    uint64_t slice = bitset_next(&p->own, 0);
    if (slice == BITSET_NONE || slice >= p->limit) {
        return NULL;
    }
    return begin_new(p, slice, w, now_ms);
}

static uint64_t patience_ms(const struct plan *p)
{
    uint64_t patience = 3 * p->mean_ms;
    return patience > PLAN_STRAGGLER_MIN_MS ? patience : PLAN_STRAGGLER_MIN_MS;
}

static bool given_before(const struct open_slice *s, uint64_t patience, uint64_t now_ms)
{
    return s != NULL && now_ms - s->given_ms >= patience;
}

/* Those who have it take too long; and where it was given to more than it needs, nobody is proven.
 */
static bool is_stuck(const struct plan *p, const struct open_slice *s, uint64_t patience,
                     uint64_t now_ms)
{
    bool settled = s->provisional || s->final_queued || s->own_wanted;
    if (settled || s->live == 0 || s->live < s->need || s->slice >= p->limit) {
        return false; /* or it is ready, for whoever comes */
    }
    uint32_t doubles = (uint32_t)s->live - s->need;
#ifdef PREON_DEFECT_HELPED_ONCE
    if (doubles > 0) {
        return false;
    }
#endif
    uint32_t proven = 0;
    for (const struct attempt *a = s->attempts; a != NULL; a = a->next_of_slice) {
        proven += !a->late && (a->by->proven || a->by->own);
    }
    return doubles < PLAN_STRAGGLER_DOUBLES_MAX && (doubles == 0 || proven < s->need) &&
           now_ms - s->given_ms >= patience << doubles;
}

struct attempt *plan_take_straggler(struct plan *p, struct plan_worker *w, uint64_t now_ms)
{
    uint64_t patience = patience_ms(p);
    const struct open_slice *s = p->line_first;
    for (int i = 0; i < STRAGGLERS_LOOKED_AT && given_before(s, patience, now_ms); i++) {
        if (is_stuck(p, s, patience, now_ms) && plan_suits(s, w)) {
            p->doubled_ms = now_ms;
            return begin_new(p, s->slice, w, now_ms);
        }
        s = s->line_next;
    }
    return NULL;
}

uint32_t plan_stuck_count(const struct plan *p, uint64_t now_ms)
{
    uint64_t patience = patience_ms(p);
    uint32_t most = PLAN_STUCK_LOOKED_AT;
    if (p->mean_ms == 0) {
        patience = PLAN_UNMEASURED_MS;
        most = now_ms - p->doubled_ms >= patience ? PLAN_UNMEASURED_HELPERS : 0;
    }
    uint32_t count = 0;
#ifdef PREON_DEFECT_STUCK_UNSAID
    enum { LOOKED_AT = 0 };
#else
    enum { LOOKED_AT = PLAN_STUCK_LOOKED_AT };
#endif
    const struct open_slice *s = p->line_first;
    for (int i = 0; i < LOOKED_AT && given_before(s, patience, now_ms); i++) {
        count += is_stuck(p, s, patience, now_ms);
        s = s->line_next;
    }
    return count < most ? count : most;
}

struct attempt *plan_find(const struct plan *p, const struct plan_worker *w, uint64_t slice,
                          uint64_t attempt)
{
    const struct open_slice *s = plan_slice(p, slice);
    struct attempt *a = s != NULL ? s->attempts : NULL;
    while (a != NULL && (a->id != attempt || a->by != w)) {
        a = a->next_of_slice;
    }
    return a;
}

struct attempt *plan_adopt(struct plan *p, struct plan_worker *w, uint64_t slice, uint64_t attempt,
                           uint64_t now_ms)
{
    struct open_slice *s = plan_open(p, slice);
    struct attempt *a = s == NULL ? NULL : begin(p, s, w, attempt, now_ms);
    if (a != NULL) {
        a->adopted = true;
    }
#ifdef PREON_DEFECT_LEASE_NOT_REARMED
    if (a != NULL) {
        heap_remove(&p->leases, &a->lease);
    }
#endif
    return a;
}

void plan_alive(struct plan *p, struct attempt *a, uint64_t now_ms, uint64_t remaining_ms)
{
    if (a->started_ms == 0) {
        a->started_ms = now_ms;
    }
    uint64_t end_ms = a->started_ms + longest_ms(p);
    if (now_ms >= end_ms) {
        return; /* the job's own limit would have ended it: it only says that it is alive */
    }
    if (a->late) {
        if (heap_add(&p->leases, &a->lease, now_ms) != PN_OK) {
            return; /* stays late, and may still vote */
        }
        a->late = false; /* it lives after all: nobody else need begin now */
        a->of->live++;
        a->by->outstanding++;
        a->by->late_count--;
    }
    uint64_t lease = plan_lease_ms(p, a->by);
    uint64_t due_ms = now_ms + (lease > 2 * remaining_ms ? lease : 2 * remaining_ms);
    heap_move(&p->leases, &a->lease, due_ms < end_ms ? due_ms : end_ms);
    refresh(p, a->of);
}

static void lapse(struct plan *p, struct attempt *a)
{
    heap_remove(&p->leases, &a->lease);
    if (!a->late) {
        a->late = true;
        a->of->live--;
        a->by->outstanding--;
        a->by->late_count++;
    }
}

static void forget(struct plan *p, struct attempt *a)
{
    lapse(p, a);
    a->by->late_count--;
    struct attempt **link = &a->of->attempts;
    while (*link != a) {
        link = &(*link)->next_of_slice;
    }
    *link = a->next_of_slice;
    *a->link_of_worker = a->next_of_worker;
    if (a->next_of_worker != NULL) {
        a->next_of_worker->link_of_worker = a->link_of_worker;
    }
    free(a);
}

static uint64_t mean_with(uint64_t mean, uint64_t value)
{
    if (value == 0) {
        value = 1; /* 0 stands for "not measured" */
    }
    return mean == 0 ? value : (mean * (MEAN_WEIGHT - 1) + value + MEAN_WEIGHT / 2) / MEAN_WEIGHT;
}

void plan_ended(struct plan *p, struct attempt *a)
{
    struct open_slice *s = a->of;
    forget(p, a);
    plan_reconsider(p, s);
}

static uint64_t lower(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* One vote that said "for days" would have made every lease the longest, and no slice late. */
uint32_t plan_believed_ms(const struct plan *p, const struct attempt *a, uint32_t said_ms,
                          uint64_t now_ms)
{
    uint64_t most = (uint64_t)p->config.time_limit_s * 1000;
    if (a != NULL && !a->adopted) {
        most = lower(most, now_ms - a->assigned_ms);
    }
    return (uint32_t)lower(most, said_ms);
}

void plan_voted(struct plan *p, struct attempt *a, uint32_t wall_ms)
{
    a->by->mean_ms = mean_with(a->by->mean_ms, wall_ms);
    p->mean_ms = mean_with(p->mean_ms, wall_ms);
    forget(p, a);
}

void plan_back_off(struct plan *p, struct open_slice *s, uint64_t now_ms)
{
    if (s->give_ups < UINT8_MAX) {
        s->give_ups++;
    }
    uint64_t wait = PLAN_RETRY_MIN_MS +
                    random_backoff(&p->random, PLAN_RETRY_MIN_MS, s->give_ups, PLAN_RETRY_MAX_MS);
    if (s->retry.place == 0) {
        (void)heap_add(&p->retries, &s->retry, now_ms + wait); /* no memory: again at once */
    }
    refresh(p, s);
}

void plan_gave_up(struct plan *p, struct attempt *a, uint64_t now_ms)
{
    struct open_slice *s = a->of;
    if (s->excluded_count < PLAN_EXCLUDED_MAX && !is_excluded(s, a->by)) {
        s->excluded[s->excluded_count++] = a->by->index;
    }
    forget(p, a);
    plan_back_off(p, s, now_ms);
}

void plan_worker_lost(struct plan *p, struct plan_worker *w)
{
    for (struct attempt *a = w->attempts; a != NULL; a = a->next_of_worker) {
        lapse(p, a);
        plan_reconsider(p, a->of);
    }
}

bool plan_silent(const struct plan_worker *w, uint64_t patience_ms, uint64_t now_ms)
{
    for (const struct attempt *a = w->attempts; !w->proven && a != NULL; a = a->next_of_worker) {
        if (!a->late && now_ms - a->assigned_ms >= patience_ms) {
            return true;
        }
    }
    return false;
}

uint64_t plan_patience_ms(const struct plan *p) { return p->mean_ms > 0 ? patience_ms(p) : 0; }

void plan_need(struct plan *p, struct open_slice *s, uint8_t votes, bool own)
{
    if (own && !s->own_wanted) {
        s->give_ups = 0; /* others': the own run has tries of its own */
    }
    s->need = votes;
    s->own_wanted = own;
    refresh(p, s);
}

void plan_set_limit(struct plan *p, uint64_t limit)
{
    uint64_t slice = limit;
    while (slice < p->limit && (slice = bitset_next(&p->ready, slice)) != BITSET_NONE) {
        bitset_remove(&p->ready, slice);
    }
    for (slice = limit; (slice = bitset_next(&p->own, slice)) != BITSET_NONE;) {
        bitset_remove(&p->own, slice);
    }
    p->limit = limit < p->limit ? limit : p->limit;
}

void plan_close(struct plan *p, uint64_t slice)
{
    struct open_slice *s = table_remove(&p->open, &slice);
    if (s != NULL) {
        assert(s->attempts == NULL);
        leave_line(p, s);
        heap_remove(&p->retries, &s->retry);
        free_slice(s);
    }
    bitset_remove(&p->ready, slice);
    bitset_remove(&p->own, slice);
    bitset_add(&p->closed, slice);
}

void plan_tick(struct plan *p, uint64_t now_ms)
{
    for (struct heap_node *n; (n = heap_first(&p->leases)) != NULL && n->due <= now_ms;) {
#ifdef PREON_DEFECT_LEASE_DROPPED
        heap_remove(&p->leases, n);
#else
        struct attempt *a = heap_owner(n, struct attempt, lease);
        lapse(p, a);
        plan_reconsider(p, a->of);
#endif
    }
    for (struct heap_node *n; (n = heap_first(&p->retries)) != NULL && n->due <= now_ms;) {
        heap_remove(&p->retries, n);
        refresh(p, heap_owner(n, struct open_slice, retry));
    }
}

uint64_t plan_deadline_ms(const struct plan *p)
{
    const struct heap_node *lease = heap_first(&p->leases);
    const struct heap_node *retry = heap_first(&p->retries);
    uint64_t due = lease != NULL ? lease->due : UINT64_MAX;
    return retry != NULL && retry->due < due ? retry->due : due;
}
