#include "jobs/nonce/nonce_range.h"

#include <assert.h>

struct nonce_range nonce_range_part(struct nonce_range r, uint64_t index, uint64_t parts)
{
    nonce_count count = nonce_range_count(r);
    assert(index < parts && parts <= NONCE_PARTS_MAX && parts <= count);
    uint64_t from = (uint64_t)(count * index / parts);
    uint64_t to = (uint64_t)(count * (index + 1) / parts - 1);
    return (struct nonce_range){r.first + from, r.first + to};
}

uint64_t nonce_range_part_of(struct nonce_range r, uint64_t parts, uint64_t nonce)
{
    assert(nonce_range_has(r, nonce));
    /* The greatest i with floor(i*L/n) <= k, that is the greatest i with i*L < (k+1)*n. */
    nonce_count k = nonce - r.first;
    return (uint64_t)(((k + 1) * parts - 1) / nonce_range_count(r));
}
