#include "tracker/proofs.h"

#include "common/table.h"

enum state { QUEUED, UNDER_WAY, ANSWERED };

struct proof_of {
    struct fifo_link age;  /* unless UNDER_WAY */
    struct fifo_link turn; /* while QUEUED */
    struct addr addr;
    uint64_t since_ms;
    uint64_t token;   /* what was answered; 0: nobody, or not yet */
    uint32_t waiting; /* a list of waiting jobs, until ANSWERED */
    uint8_t state;
};

/* A job's entry that waits for the answer of its address. */
struct waiting {
    uint32_t next;
    uint64_t token; /* as claimed */
    struct digest job;
};

void proofs_init(struct proofs *p, uint32_t under_way_max, uint64_t seed)
{
    *p = (struct proofs){.seed = seed,
                         .under_way_max = under_way_max < PROOFS_UNDER_WAY_MAX
                                              ? under_way_max
                                              : PROOFS_UNDER_WAY_MAX};
    pool_init(&p->pool, sizeof(struct proof_of), PROOFS_COUNT_MAX);
    pool_init(&p->waiting, sizeof(struct waiting), PROOFS_WAITING_MAX);
    fifo_init(&p->by_age, &p->pool, offsetof(struct proof_of, age));
    fifo_init(&p->queue, &p->pool, offsetof(struct proof_of, turn));
    pool_index_init(&p->by_addr);
    pool_index_init(&p->by_net);
}

void proofs_fini(struct proofs *p)
{
    pool_fini(&p->pool);
    pool_fini(&p->waiting);
    pool_index_fini(&p->by_addr);
    pool_index_fini(&p->by_net);
}

static struct proof_of *proof_at(const struct proofs *p, uint32_t n)
{
    return pool_at(&p->pool, n);
}

static struct waiting *waiting_at(const struct proofs *p, uint32_t n)
{
    return pool_at(&p->waiting, n);
}

static uint32_t addr_hash(const struct proofs *p, const struct addr *addr)
{
    return (uint32_t)table_hash(p->seed, addr, sizeof *addr);
}

static uint32_t net_hash(const struct proofs *p, const struct addr *addr)
{
    uint64_t net = addr_net(addr);
    return (uint32_t)table_hash(p->seed, &net, sizeof net);
}

static uint32_t find(const struct proofs *p, const struct addr *addr)
{
    size_t place;
    uint32_t number = pool_index_first(&p->by_addr, addr_hash(p, addr), &place);
    while (number != POOL_NONE && !addr_equal(&proof_at(p, number)->addr, addr)) {
        number = pool_index_next(&p->by_addr, addr_hash(p, addr), &place);
    }
    return number;
}

/* Nobody makes us a port scanner, nor has a network more of our dials than others. */
static bool is_within_budget(const struct proofs *p, const struct addr *addr)
{
    size_t place;
    uint32_t of_host = 0;
    uint32_t of_net = 0;
    if (addr_is_lan(addr)) {
        return true; /* many peers may share a machine, and nobody else can claim its ports */
    }
    uint32_t number = pool_index_first(&p->by_net, net_hash(p, addr), &place);
    for (; number != POOL_NONE; number = pool_index_next(&p->by_net, net_hash(p, addr), &place)) {
        of_net++;
        of_host += addr_ip_equal(&proof_at(p, number)->addr, addr);
    }
    return of_host < PROOFS_HOST_MAX && of_net < PROOFS_NET_MAX;
}

static uint32_t add(struct proofs *p, const struct addr *addr, uint64_t now_ms)
{
    uint32_t number;
    bool lan = addr_is_lan(addr);
    if (!is_within_budget(p, addr) || pool_take(&p->pool, &number) != PN_OK) {
        return POOL_NONE;
    }
    enum pn_status status = pool_index_put(&p->by_addr, addr_hash(p, addr), number);
    if (status == PN_OK && !lan) {
        status = pool_index_put(&p->by_net, net_hash(p, addr), number);
        if (status != PN_OK) {
            pool_index_remove(&p->by_addr, addr_hash(p, addr), number);
        }
    }
    if (status != PN_OK) {
        pool_give(&p->pool, number);
        return POOL_NONE;
    }
    struct proof_of *proof = proof_at(p, number);
    proof->addr = *addr;
    proof->since_ms = now_ms;
    proof->state = QUEUED;
    proof->waiting = POOL_NONE;
    fifo_push(&p->by_age, number);
    fifo_push(&p->queue, number);
    return number;
}

static void wait_for(struct proofs *p, struct proof_of *proof, const struct digest *job,
                     uint64_t token)
{
    uint32_t count = 0;
    uint32_t number = proof->waiting;
    while (number != POOL_NONE && !digest_equal(&waiting_at(p, number)->job, job)) {
        number = waiting_at(p, number)->next;
        count++;
    }
    if (number == POOL_NONE) {
        if (count >= PROOFS_JOBS_MAX || pool_take(&p->waiting, &number) != PN_OK) {
            return; /* its entry is told when it is informed again */
        }
        waiting_at(p, number)->job = *job;
        waiting_at(p, number)->next = proof->waiting;
        proof->waiting = number;
    }
    waiting_at(p, number)->token = token;
}

enum proof proofs_claim(struct proofs *p, const struct addr *addr, const struct digest *job,
                        uint64_t token, uint64_t now_ms)
{
    proofs_tick(p, now_ms);
    if (token == 0 || !addr_may_dial(addr, true)) {
        return PROOF_UNREACHED;
    }
    uint32_t number = find(p, addr);
    number = number == POOL_NONE ? add(p, addr, now_ms) : number;
    if (number == POOL_NONE) {
        return PROOF_UNASKED;
    }
    struct proof_of *proof = proof_at(p, number);
    if (proof->state == ANSWERED) {
        return proof->token == token ? PROOF_REACHED : PROOF_UNREACHED;
    }
    wait_for(p, proof, job, token);
    return PROOF_PENDING;
}

bool proofs_next(struct proofs *p, struct addr *addr)
{
    uint32_t number = p->queue.first;
    if (number == POOL_NONE || p->under_way_count >= p->under_way_max) {
        return false;
    }
    struct proof_of *proof = proof_at(p, number);
    fifo_remove(&p->queue, number);
    fifo_remove(&p->by_age, number);
    proof->state = UNDER_WAY;
    p->under_way_count++;
    *addr = proof->addr;
    return true;
}

/* Takes the first of those who wait. */
static bool take_waiting(struct proofs *p, struct proof_of *proof, struct waiting *out)
{
    uint32_t number = proof->waiting;
    if (number == POOL_NONE) {
        return false;
    }
    *out = *waiting_at(p, number);
    proof->waiting = out->next;
    pool_give(&p->waiting, number);
    return true;
}

void proofs_end(struct proofs *p, const struct addr *addr, uint64_t token, uint64_t now_ms,
                void (*settle)(void *arg, const struct digest *job, bool reached), void *arg)
{
    uint32_t number = find(p, addr);
    if (number == POOL_NONE || proof_at(p, number)->state != UNDER_WAY) {
        return;
    }
    struct proof_of *proof = proof_at(p, number);
    struct waiting w;
    proof->state = ANSWERED;
    proof->since_ms = now_ms;
    proof->token = token;
    fifo_push(&p->by_age, number);
    p->under_way_count--;
    while (take_waiting(p, proof, &w)) {
        settle(arg, &w.job, token != 0 && w.token == token);
    }
}

static void drop(struct proofs *p, uint32_t number)
{
    struct proof_of *proof = proof_at(p, number);
    struct waiting w;
    while (take_waiting(p, proof, &w)) {
    }
    if (proof->state == QUEUED) {
        fifo_remove(&p->queue, number);
    }
    fifo_remove(&p->by_age, number);
    pool_index_remove(&p->by_addr, addr_hash(p, &proof->addr), number);
    if (!addr_is_lan(&proof->addr)) {
        pool_index_remove(&p->by_net, net_hash(p, &proof->addr), number);
    }
    pool_give(&p->pool, number);
}

void proofs_tick(struct proofs *p, uint64_t now_ms)
{
    while (proofs_deadline_ms(p) <= now_ms) {
        drop(p, p->by_age.first);
    }
}

uint64_t proofs_deadline_ms(const struct proofs *p)
{
    return p->by_age.first == POOL_NONE ? UINT64_MAX
                                        : proof_at(p, p->by_age.first)->since_ms + PROOFS_KEPT_MS;
}

size_t proofs_bytes(const struct proofs *p)
{
    return pool_bytes(&p->pool) + pool_bytes(&p->waiting) + pool_index_bytes(&p->by_addr) +
           pool_index_bytes(&p->by_net);
}
