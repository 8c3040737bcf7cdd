#include "tracker/proofs.h"

#include "common/table.h"

struct proof_of {
    struct fifo_link link;
    struct addr addr;
    uint64_t since_ms;
    enum proof state;
};

void proofs_init(struct proofs *p, uint64_t seed)
{
    *p = (struct proofs){.seed = seed};
    pool_init(&p->pool, sizeof(struct proof_of), PROOFS_COUNT_MAX);
    fifo_init(&p->by_age, &p->pool, offsetof(struct proof_of, link));
    pool_index_init(&p->by_addr);
}

void proofs_fini(struct proofs *p)
{
    pool_fini(&p->pool);
    pool_index_fini(&p->by_addr);
}

static struct proof_of *proof_at(const struct proofs *p, uint32_t n)
{
    return pool_at(&p->pool, n);
}

/* By address without port: its ports share a budget, and are few. */
static uint32_t hash_of(const struct proofs *p, const struct addr *addr)
{
    return (uint32_t)table_hash(p->seed + addr->family, addr->ip, sizeof addr->ip);
}

/* *ports: how many of this address's ports are known, whether found or not. */
static uint32_t find(const struct proofs *p, const struct addr *addr, uint32_t *ports)
{
    size_t place;
    uint32_t found = POOL_NONE;
    uint32_t number = pool_index_first(&p->by_addr, hash_of(p, addr), &place);
    *ports = 0;
    while (number != POOL_NONE) {
        if (addr_ip_equal(&proof_at(p, number)->addr, addr)) {
            *ports += 1;
            found = addr_equal(&proof_at(p, number)->addr, addr) ? number : found;
        }
        number = pool_index_next(&p->by_addr, hash_of(p, addr), &place);
    }
    return found;
}

enum proof proofs_ask(const struct proofs *p, const struct addr *addr, uint64_t now_ms)
{
    uint32_t ports;
    uint32_t number = find(p, addr, &ports);
    if (number == POOL_NONE || proof_at(p, number)->since_ms + PROOFS_KEPT_MS <= now_ms) {
        return PROOF_WANTED;
    }
    return proof_at(p, number)->state;
}

bool proofs_start(struct proofs *p, const struct addr *addr, uint64_t now_ms)
{
    uint32_t ports;
    uint32_t number;
    proofs_tick(p, now_ms);
    if (find(p, addr, &ports) != POOL_NONE || ports >= PROOFS_HOST_MAX ||
        p->under_way_count >= PROOFS_UNDER_WAY_MAX || pool_take(&p->pool, &number) != PN_OK) {
        return false;
    }
    if (pool_index_put(&p->by_addr, hash_of(p, addr), number) != PN_OK) {
        pool_give(&p->pool, number);
        return false;
    }
    struct proof_of *proof = proof_at(p, number);
    proof->addr = *addr;
    proof->since_ms = now_ms;
    proof->state = PROOF_UNDER_WAY;
    fifo_push(&p->by_age, number);
    p->under_way_count++;
    return true;
}

void proofs_end(struct proofs *p, const struct addr *addr, bool reached)
{
    uint32_t ports;
    uint32_t number = find(p, addr, &ports);
    if (number != POOL_NONE && proof_at(p, number)->state == PROOF_UNDER_WAY) {
        proof_at(p, number)->state = reached ? PROOF_REACHED : PROOF_UNREACHED;
        p->under_way_count--;
    }
}

void proofs_tick(struct proofs *p, uint64_t now_ms)
{
    while (p->by_age.first != POOL_NONE) {
        uint32_t number = p->by_age.first;
        const struct proof_of *proof = proof_at(p, number);
        if (proof->since_ms + PROOFS_KEPT_MS > now_ms) {
            return;
        }
        p->under_way_count -= proof->state == PROOF_UNDER_WAY;
        fifo_remove(&p->by_age, number);
        pool_index_remove(&p->by_addr, hash_of(p, &proof->addr), number);
        pool_give(&p->pool, number);
    }
}

uint64_t proofs_deadline_ms(const struct proofs *p)
{
    return p->by_age.first == POOL_NONE ? UINT64_MAX
                                        : proof_at(p, p->by_age.first)->since_ms + PROOFS_KEPT_MS;
}

size_t proofs_bytes(const struct proofs *p)
{
    return pool_bytes(&p->pool) + pool_index_bytes(&p->by_addr);
}
