#include "peer/swarm/spread.h"

#include <stdlib.h>

bool spread_init(struct spread *s, uint32_t block_count)
{
    s->block_count = block_count;
    s->sent = calloc(block_count > 0 ? block_count : 1, sizeof *s->sent);
    return s->sent != NULL;
}

void spread_fini(struct spread *s)
{
    free(s->sent);
    *s = (struct spread){0};
}

static bool is_given(uint32_t block, const uint32_t *given, size_t given_count)
{
    for (size_t i = 0; i < given_count; i++) {
        if (given[i] == block) {
            return true;
        }
    }
    return false;
}

uint32_t spread_pick(const struct spread *s, const struct data_block_ask *ask,
                     const struct bitset *had, const uint32_t *given, size_t given_count)
{
    uint32_t best = SPREAD_NONE;
    for (uint32_t i = 0; i < ask->count; i++) {
        uint32_t block = ask->first + i; /* cannot wrap: data_block_ask_parse */
        if (block >= s->block_count) {
            break;
        }
        if (data_block_ask_wants(ask, i) &&
            (best == SPREAD_NONE || s->sent[block] < s->sent[best]) &&
            (had == NULL || bitset_has(had, block)) && !is_given(block, given, given_count)) {
            best = block;
            if (s->sent[block] == 0) {
                break;
            }
        }
    }
    return best;
}

void spread_count(struct spread *s, uint32_t block)
{
    if (s->sent[block] < UINT16_MAX) {
        s->sent[block]++;
    }
}
