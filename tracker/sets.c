#include "tracker/sets.h"

#include "common/table.h"
#include "tracker/draw.h"

#include <assert.h>
#include <stdlib.h>

/* 32 bytes. The address's host is kept once for all its entries, in hosts. */
struct entry {
    uint32_t host;
    uint32_t set;
    uint32_t place; /* in the set's members: the verified ones come first */
    uint32_t expires_s;
    uint32_t wheel_prev; /* WHEEL_HEAD | second: the first of that second */
    uint32_t wheel_next;
    uint16_t port;
};

static const uint32_t WHEEL_HEAD = 0x80000000u;

enum { FEW = 2 };

struct set {
    struct trackline_job job;
    uint32_t count;
    uint32_t verified_count;
    uint32_t cap; /* FEW: the members are inside; 0: the record is free */
    union {
        uint32_t few[FEW];
        uint32_t *many; /* owned */
    } members;
};

static struct entry *entry_at(const struct sets *s, uint32_t entry)
{
    return pool_at(&s->entries, entry);
}

static struct set *set_at(const struct sets *s, uint32_t set) { return pool_at(&s->sets, set); }

static uint32_t *members_of(struct set *set)
{
    return set->cap == FEW ? set->members.few : set->members.many;
}

enum pn_status sets_init(struct sets *s, struct hosts *hosts, uint32_t entry_count_max,
                         uint64_t seed, uint64_t now_ms)
{
    assert(entry_count_max < WHEEL_HEAD);
    *s = (struct sets){.hosts = hosts, .seed = seed, .done_s = now_ms / 1000};
    pool_init(&s->entries, sizeof(struct entry), entry_count_max);
    pool_init(&s->sets, sizeof(struct set), entry_count_max);
    pool_index_init(&s->entries_by_key);
    pool_index_init(&s->sets_by_job);
    for (size_t i = 0; i < SETS_WHEEL_S; i++) {
        s->wheel[i] = POOL_NONE;
    }
    return bitset_init(&s->occupied, SETS_WHEEL_S) ? PN_OK : PN_E_NO_MEMORY;
}

void sets_fini(struct sets *s)
{
    for (uint32_t i = 0; i < s->sets.touched; i++) {
        struct set *set = set_at(s, i);
        if (set->cap > FEW) {
            free(set->members.many);
        }
    }
    pool_fini(&s->entries);
    pool_fini(&s->sets);
    pool_index_fini(&s->entries_by_key);
    pool_index_fini(&s->sets_by_job);
    bitset_fini(&s->occupied);
}

/* An entry's place on the wheel is the second at which it was due when it was linked: one that is
 * renewed stays there, and moves on when that second comes. */
static void wheel_link(struct sets *s, uint32_t number)
{
    struct entry *entry = entry_at(s, number);
    uint32_t second = entry->expires_s % SETS_WHEEL_S;
    entry->wheel_prev = WHEEL_HEAD | second;
    entry->wheel_next = s->wheel[second];
    if (entry->wheel_next != POOL_NONE) {
        entry_at(s, entry->wheel_next)->wheel_prev = number;
    }
    s->wheel[second] = number;
    bitset_add(&s->occupied, second);
}

static void wheel_unlink(struct sets *s, uint32_t number)
{
    const struct entry *entry = entry_at(s, number);
    if (entry->wheel_next != POOL_NONE) {
        entry_at(s, entry->wheel_next)->wheel_prev = entry->wheel_prev;
    }
    if ((entry->wheel_prev & WHEEL_HEAD) == 0) {
        entry_at(s, entry->wheel_prev)->wheel_next = entry->wheel_next;
        return;
    }
    uint32_t second = entry->wheel_prev & ~WHEEL_HEAD;
    s->wheel[second] = entry->wheel_next;
    if (entry->wheel_next == POOL_NONE) {
        bitset_remove(&s->occupied, second);
    }
}

static uint32_t job_hash(const struct sets *s, const struct trackline_job *job)
{
    return (uint32_t)table_hash(s->seed + (uint64_t)job->kind, job->id.b, sizeof job->id.b);
}

static uint32_t entry_hash(const struct sets *s, uint32_t set, uint32_t host, uint16_t port)
{
    const uint32_t key[3] = {set, host, port};
    return (uint32_t)table_hash(s->seed, key, sizeof key);
}

static uint32_t set_find(const struct sets *s, const struct trackline_job *job)
{
    size_t place;
    uint32_t hash = job_hash(s, job);
    uint32_t found = pool_index_first(&s->sets_by_job, hash, &place);
    while (found != POOL_NONE && !trackline_job_equal(&set_at(s, found)->job, job)) {
        found = pool_index_next(&s->sets_by_job, hash, &place);
    }
    return found;
}

static uint32_t entry_find(const struct sets *s, uint32_t set, uint32_t host, uint16_t port)
{
    size_t place;
    uint32_t hash = entry_hash(s, set, host, port);
    uint32_t found = pool_index_first(&s->entries_by_key, hash, &place);
    while (found != POOL_NONE) {
        const struct entry *entry = entry_at(s, found);
        if (entry->set == set && entry->host == host && entry->port == port) {
            break;
        }
        found = pool_index_next(&s->entries_by_key, hash, &place);
    }
    return found;
}

static enum pn_status set_add(struct sets *s, const struct trackline_job *job, uint32_t *number)
{
    enum pn_status status = pool_take(&s->sets, number);
    if (status != PN_OK) {
        return status;
    }
    status = pool_index_put(&s->sets_by_job, job_hash(s, job), *number);
    if (status != PN_OK) {
        pool_give(&s->sets, *number);
        return status;
    }
    set_at(s, *number)->job = *job;
    set_at(s, *number)->cap = FEW;
    return PN_OK;
}

static void set_drop_empty(struct sets *s, uint32_t number)
{
    struct set *set = set_at(s, number);
    if (set->count > 0) {
        return;
    }
    if (set->cap > FEW) {
        s->member_bytes -= set->cap * sizeof(uint32_t);
        free(set->members.many);
    }
    set->cap = 0;
    pool_index_remove(&s->sets_by_job, job_hash(s, &set->job), number);
    pool_give(&s->sets, number);
}

/* Grows by a third: a set's slack is memory times every set. */
static enum pn_status members_reserve(struct sets *s, struct set *set)
{
    if (set->count < set->cap) {
        return PN_OK;
    }
    uint32_t cap = set->cap + set->cap / 3 + FEW;
    uint32_t *many = realloc(set->cap == FEW ? NULL : set->members.many, cap * sizeof *many);
    if (many == NULL) {
        return PN_E_NO_MEMORY;
    }
    if (set->cap == FEW) {
        memcpy(many, set->members.few, sizeof set->members.few);
    } else {
        s->member_bytes -= set->cap * sizeof *many;
    }
    s->member_bytes += cap * sizeof *many;
    set->members.many = many;
    set->cap = cap;
    return PN_OK;
}

/* Gives memory back when three quarters are unused; that it may fail is no harm. */
static void members_shrink(struct sets *s, struct set *set)
{
    if (set->cap <= 8 * FEW || set->count > set->cap / 4) {
        return;
    }
    uint32_t cap = set->cap / 2;
    uint32_t *many = realloc(set->members.many, cap * sizeof *many);
    if (many != NULL) {
        s->member_bytes -= (set->cap - cap) * sizeof *many;
        set->members.many = many;
        set->cap = cap;
    }
}

static enum pn_status entry_add(struct sets *s, uint32_t set_number, uint32_t host, uint16_t port,
                                uint32_t *number)
{
    struct set *set = set_at(s, set_number);
    enum pn_status status = members_reserve(s, set);
    if (status != PN_OK) {
        return status;
    }
    status = pool_take(&s->entries, number);
    if (status != PN_OK) {
        return status;
    }
    status = pool_index_put(&s->entries_by_key, entry_hash(s, set_number, host, port), *number);
    if (status != PN_OK) {
        pool_give(&s->entries, *number);
        return status;
    }
    *entry_at(s, *number) =
        (struct entry){.host = host, .set = set_number, .place = set->count, .port = port};
    members_of(set)[set->count++] = *number;
    return PN_OK;
}

static void members_swap(const struct sets *s, struct set *set, uint32_t a, uint32_t b)
{
    uint32_t *members = members_of(set);
    uint32_t number = members[a];
    members[a] = members[b];
    members[b] = number;
    entry_at(s, members[a])->place = a;
    entry_at(s, members[b])->place = b;
}

/* Moves the entry across the border between the verified and the others. */
static void entry_verify(const struct sets *s, uint32_t number, bool verified)
{
    const struct entry *entry = entry_at(s, number);
    struct set *set = set_at(s, entry->set);
    if (verified == (entry->place < set->verified_count)) {
        return;
    }
    set->verified_count -= !verified;
    members_swap(s, set, entry->place, set->verified_count);
    set->verified_count += verified;
}

static void entry_remove(struct sets *s, uint32_t number)
{
    entry_verify(s, number, false);
    const struct entry entry = *entry_at(s, number);
    struct set *set = set_at(s, entry.set);
    uint32_t *members = members_of(set);
    uint32_t moved = members[--set->count];
    members[entry.place] = moved;
    entry_at(s, moved)->place = entry.place;
    members_shrink(s, set);
    wheel_unlink(s, number);
    pool_index_remove(&s->entries_by_key, entry_hash(s, entry.set, entry.host, entry.port), number);
    pool_give(&s->entries, number);
    set_drop_empty(s, entry.set);
    hosts_release(s->hosts, entry.host, HOSTS_ENTRY);
}

static uint32_t expiry_s(uint64_t now_ms, uint32_t ttl_s)
{
    return (uint32_t)((now_ms + 999) / 1000 + ttl_s);
}

enum pn_status sets_add(struct sets *s, const struct trackline_job *job, const struct addr *addr,
                        uint32_t ttl_s, uint64_t now_ms, struct pn_err *err)
{
    uint32_t set = set_find(s, job);
    uint32_t host = hosts_find(s->hosts, addr);
    if (set != POOL_NONE && host != POOL_NONE) {
        uint32_t known = entry_find(s, set, host, addr->port);
        if (known != POOL_NONE) {
            struct entry *entry = entry_at(s, known);
            bool sooner = expiry_s(now_ms, ttl_s) < entry->expires_s;
            entry->expires_s = expiry_s(now_ms, ttl_s);
            if (sooner) { /* later ones move when their old second comes */
                wheel_unlink(s, known);
                wheel_link(s, known);
            }
            return PN_OK;
        }
    }
    enum pn_status status = hosts_use(s->hosts, addr, HOSTS_ENTRY, &host, err);
    if (status != PN_OK) {
        return status;
    }
    status = set == POOL_NONE ? set_add(s, job, &set) : PN_OK;
    uint32_t number = POOL_NONE;
    if (status == PN_OK) {
        status = entry_add(s, set, host, addr->port, &number);
        if (status != PN_OK) {
            set_drop_empty(s, set);
        }
    }
    if (status != PN_OK) {
        hosts_release(s->hosts, host, HOSTS_ENTRY);
        return pn_fail(err, status, "the tracker is full");
    }
    entry_at(s, number)->expires_s = expiry_s(now_ms, ttl_s);
    wheel_link(s, number);
    return PN_OK;
}

static uint32_t find(const struct sets *s, const struct trackline_job *job, const struct addr *addr)
{
    uint32_t set = set_find(s, job);
    uint32_t host = set == POOL_NONE ? POOL_NONE : hosts_find(s->hosts, addr);
    return host == POOL_NONE ? POOL_NONE : entry_find(s, set, host, addr->port);
}

void sets_remove(struct sets *s, const struct trackline_job *job, const struct addr *addr)
{
    uint32_t number = find(s, job, addr);
    if (number != POOL_NONE) {
        entry_remove(s, number);
    }
}

void sets_verify(struct sets *s, const struct trackline_job *job, const struct addr *addr,
                 bool verified)
{
    uint32_t number = find(s, job, addr);
    if (number != POOL_NONE) {
        entry_verify(s, number, verified);
    }
}

void sets_tick(struct sets *s, uint64_t now_ms)
{
    const uint64_t now_s = now_ms / 1000;
    uint32_t budget = SETS_EXPIRED_MAX;
    /* After a long pause one turn of the wheel sees every entry. */
    if (now_s > s->done_s + SETS_WHEEL_S) {
        s->done_s = now_s - SETS_WHEEL_S;
    }
    for (; s->done_s < now_s; s->done_s++) {
        size_t second = (size_t)((s->done_s + 1) % SETS_WHEEL_S);
        uint32_t number = s->wheel[second];
        while (number != POOL_NONE) {
            const struct entry *entry = entry_at(s, number);
            uint32_t next = entry->wheel_next;
            if (entry->expires_s <= now_s) {
                if (budget-- == 0) {
                    return; /* done_s has not moved: sets_deadline_ms is now */
                }
                entry_remove(s, number);
            } else if (entry->expires_s % SETS_WHEEL_S != second) {
                wheel_unlink(s, number);
                wheel_link(s, number);
            }
            number = next;
        }
    }
}

uint64_t sets_deadline_ms(const struct sets *s)
{
    uint64_t from = (s->done_s + 1) % SETS_WHEEL_S;
    uint64_t second = bitset_next(&s->occupied, from);
    if (second == BITSET_NONE) {
        second = bitset_next(&s->occupied, 0);
    }
    if (second == BITSET_NONE) {
        return UINT64_MAX;
    }
    return (s->done_s + 1 + (second + SETS_WHEEL_S - from) % SETS_WHEEL_S) * 1000;
}

/* A sample in the making: those whose network has its share already wait in `held`. */
struct picking {
    struct sets_sample *out;
    uint32_t count_max;
    uint32_t net_share;
    uint32_t net_count;
    uint64_t nets[SETS_SAMPLE_MAX];
    uint32_t from_net[SETS_SAMPLE_MAX];
    uint32_t held_count;
    uint32_t held[SETS_SAMPLE_MAX];
};

/* Whether one more from this network is within its share; counts it when so. */
static bool take_share(struct picking *p, uint64_t net)
{
    uint32_t i = 0;
    while (i < p->net_count && p->nets[i] != net) {
        i++;
    }
    if (i == p->net_count) {
        p->nets[i] = net;
        p->from_net[i] = 0;
        p->net_count++;
    }
    if (p->from_net[i] == p->net_share) {
        return false;
    }
    p->from_net[i]++;
    return true;
}

static void give(const struct sets *s, uint32_t number, struct sets_sample *out)
{
    const struct entry *entry = entry_at(s, number);
    struct addr *addr = &out->addrs[out->count++];
    *addr = hosts_addr(s->hosts, entry->host);
    addr->port = entry->port;
}

static bool may_see(const struct sets *s, const struct entry *entry, const struct sets_asker *asker,
                    uint32_t asker_host)
{
    bool self = entry->host == asker_host && entry->port == asker->addr.port;
    return !self && !(asker->public_only && hosts_is_lan(s->hosts, entry->host));
}

static void pick(const struct sets *s, uint32_t number, struct picking *p)
{
    const struct entry *entry = entry_at(s, number);
    if (hosts_is_lan(s->hosts, entry->host) ||
        take_share(p, hosts_wide_net(s->hosts, entry->host))) {
        give(s, number, p->out);
    } else if (p->held_count < p->count_max) {
        p->held[p->held_count++] = number;
    }
}

static void shuffle(struct random *random, struct sets_sample *sample)
{
    for (uint32_t i = sample->count; i > 1; i--) {
        uint32_t other = (uint32_t)random_below(random, i);
        struct addr swapped = sample->addrs[i - 1];
        sample->addrs[i - 1] = sample->addrs[other];
        sample->addrs[other] = swapped;
    }
}

void sets_sample(const struct sets *s, const struct trackline_job *job, uint32_t count_max,
                 const struct sets_asker *asker, struct random *random, struct sets_sample *out)
{
    assert(count_max <= SETS_SAMPLE_MAX);
    out->known = 0;
    out->count = 0;
    uint32_t set_number = set_find(s, job);
    if (set_number == POOL_NONE) {
        return;
    }
    struct set *set = set_at(s, set_number);
    out->known = set->count;
    uint32_t asker_host =
        asker->addr.family == ADDR_NONE ? POOL_NONE : hosts_find(s->hosts, &asker->addr);
    struct picking picking = {.out = out, .count_max = count_max};
    picking.net_share = count_max / SETS_WIDE_NET_DIVISOR;
    picking.net_share += picking.net_share == 0;
    struct draw draw;
    draw_init(&draw, random, asker->verified_only ? set->verified_count : set->count);
    uint32_t place;
    uint32_t draws = count_max * SETS_DRAWS_PER_ANSWER;
    while (out->count < count_max && draws-- > 0 && draw_next(&draw, &place)) {
        uint32_t number = members_of(set)[place];
        if (may_see(s, entry_at(s, number), asker, asker_host)) {
            pick(s, number, &picking);
        }
    }
    for (uint32_t i = 0; i < picking.held_count && out->count < count_max; i++) {
        give(s, picking.held[i], out);
    }
    shuffle(random, out); /* the held ones came last */
}

size_t sets_bytes(const struct sets *s)
{
    return pool_bytes(&s->entries) + pool_bytes(&s->sets) + pool_index_bytes(&s->entries_by_key) +
           pool_index_bytes(&s->sets_by_job) + s->member_bytes;
}
