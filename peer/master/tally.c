#include "peer/master/tally.h"

#include <stdlib.h>

void tally_fini(struct tally *t)
{
    for (uint8_t i = 0; i < t->count; i++) {
        free(t->ballots[i].files);
    }
    free(t->ballots);
    *t = (struct tally){0};
}

static bool grow(struct tally *t)
{
    uint8_t cap = t->cap == 0 ? 2 : (uint8_t)(t->cap * 2);
    struct ballot *ballots = realloc(t->ballots, cap * sizeof *ballots);
    if (ballots == NULL) {
        return false;
    }
    t->ballots = ballots;
    t->cap = cap;
    return true;
}

enum pn_status tally_add_take(struct tally *t, const struct ballot *b)
{
#ifndef PREON_DEFECT_IDENTITY_TWICE
    if (tally_has_worker(t, b->worker)) {
        return PN_E_EXISTS;
    }
#endif
    if (t->count == TALLY_BALLOTS_MAX) {
        return PN_E_FULL;
    }
    if (t->count == t->cap && !grow(t)) {
        return PN_E_NO_MEMORY;
    }
    t->ballots[t->count++] = *b;
    return PN_OK;
}

struct ballot *tally_find(const struct tally *t, uint64_t attempt)
{
    for (uint8_t i = 0; i < t->count; i++) {
        if (t->ballots[i].attempt == attempt) {
            return &t->ballots[i];
        }
    }
    return NULL;
}

bool tally_has_worker(const struct tally *t, uint32_t worker)
{
    for (uint8_t i = 0; i < t->count; i++) {
        if (t->ballots[i].worker == worker) {
            return true;
        }
    }
    return false;
}

void tally_remove(struct tally *t, struct ballot *b)
{
    free(b->files); /* NOLINT(clang-analyzer-unix.Malloc): takes the next ballot for this one */
    *b = t->ballots[--t->count];
}

bool tally_strike(struct tally *t, uint32_t worker)
{
    bool found = false;
    for (uint8_t i = 0; i < t->count;) {
        if (t->ballots[i].worker == worker && !t->ballots[i].own) {
            tally_remove(t, &t->ballots[i]);
            found = true;
        } else {
            i++;
        }
    }
    return found;
}

bool ballots_agree(const struct ballot *a, const struct ballot *b)
{
    return a->class == b->class && a->code == b->code && digest_equal(&a->outputs, &b->outputs);
}

/* How many of the ballots that agree with `with` count: one per prefix, exempt ones each. */
static uint8_t group_size(const struct tally *t, const struct ballot *with)
{
    uint8_t size = 0;
    for (uint8_t i = 0; i < t->count; i++) {
        const struct ballot *b = &t->ballots[i];
        bool counts = ballots_agree(b, with);
#ifndef PREON_DEFECT_NETWORK_TWICE
        for (uint8_t j = 0; counts && b->prefix != 0 && j < i; j++) {
            counts = !(ballots_agree(&t->ballots[j], with) && t->ballots[j].prefix == b->prefix);
        }
#endif
        size = (uint8_t)(size + counts);
    }
    return size;
}

/* Of the group that agrees with `with`, the ballot whose outputs are the least work to have. */
static uint8_t nearest_copy(const struct tally *t, const struct ballot *with)
{
    static const int distance[] = {
        [COPY_HERE] = 0, [COPY_PULLING] = 1, [COPY_AT_WORKER] = 2, [COPY_LOST] = 3};
    uint8_t best = (uint8_t)(with - t->ballots);
    for (uint8_t i = 0; i < t->count; i++) {
        if (ballots_agree(&t->ballots[i], with) &&
            distance[t->ballots[i].copy] < distance[t->ballots[best].copy]) {
            best = i;
        }
    }
    return best;
}

static bool is_good(const struct ballot *b) { return b->class == OUTCOME_EXITED && b->code == 0; }

static uint8_t votes_needed(const struct ballot *b, const struct tally_rule *rule)
{
    if (!rule->proof) {
        return rule->quorum;
    }
    return is_good(b) ? 1 : TALLY_FAILURE_QUORUM;
}

void tally_decide(const struct tally *t, const struct tally_rule *rule, struct tally_decision *out)
{
    uint8_t needed = rule->proof ? 1 : rule->quorum;
    *out = (struct tally_decision){.verdict = TALLY_OPEN, .missing = needed};
    bool disputed = false;
    int best = 0; /* a rank: fewest missing first, then what proves itself, then most votes */
    for (uint8_t i = 0; i < t->count; i++) {
        const struct ballot *b = &t->ballots[i];
        if (b->own) {
            out->verdict = TALLY_AGREED;
            out->missing = 0;
            out->index = nearest_copy(t, b);
            out->basis = BASIS_OWN_RUN;
            return;
        }
        disputed = disputed || !ballots_agree(b, &t->ballots[0]);
        uint8_t size = group_size(t, b);
        uint8_t wanted = votes_needed(b, rule);
        uint8_t missing = size < wanted ? (uint8_t)(wanted - size) : 0;
        bool proves = rule->proof && is_good(b);
        int rank = (UINT8_MAX - missing) * 4 * TALLY_BALLOTS_MAX +
                   (proves ? 2 * TALLY_BALLOTS_MAX : 0) + size;
        if (rank > best) {
            best = rank;
            out->missing = missing;
            out->index = i;
            out->basis = proves ? BASIS_PROOF : BASIS_QUORUM;
        }
    }
    /* Where a good outcome proves itself, the judge settles what differs. */
    if (disputed && !rule->proof) {
        out->verdict = TALLY_DISPUTED;
    } else if (best > 0 && out->missing == 0) {
        out->verdict = TALLY_AGREED;
        out->index = nearest_copy(t, &t->ballots[out->index]);
    }
}
