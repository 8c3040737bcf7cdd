#include "peer/worker/turns.h"

#include <assert.h>
#include <stdlib.h>

enum pn_status turns_init(struct turns *t, uint32_t place_count, uint64_t budget)
{
    *t = (struct turns){.place_count = place_count, .budget = budget};
    t->places = calloc(place_count, sizeof *t->places);
    return t->places != NULL ? PN_OK : PN_E_NO_MEMORY;
}

void turns_fini(struct turns *t)
{
    free(t->places);
    t->places = NULL;
}

void turns_wait(struct turns *t, uint32_t place, uint64_t weight)
{
    struct turn *p = &t->places[place];
    assert(place < t->place_count && p->state == TURN_FREE);
    *p = (struct turn){.state = TURN_WAITS, .serial = ++t->last_serial, .weight = weight};
}

static const struct turn *oldest(const struct turns *t)
{
    const struct turn *first = NULL;
    for (uint32_t i = 0; i < t->place_count; i++) {
        const struct turn *p = &t->places[i];
        if (p->state == TURN_WAITS && (first == NULL || p->serial < first->serial)) {
            first = p;
        }
    }
    return first;
}

uint32_t turns_next(const struct turns *t)
{
    const struct turn *first = oldest(t);
    const struct turn *best = NULL;
    uint64_t running = 0;
    uint64_t passed = 0;
    if (first == NULL) {
        return TURNS_NOBODY;
    }
    for (uint32_t i = 0; i < t->place_count; i++) {
        const struct turn *p = &t->places[i];
        running += p->state == TURN_RUNS ? p->weight : 0;
        passed += p->state == TURN_RUNS && p->passed ? p->weight : 0;
    }
    for (uint32_t i = 0; i < t->place_count; i++) {
        const struct turn *p = &t->places[i];
        bool fits = t->budget == 0 || running == 0 || running + p->weight <= t->budget;
        bool fair = p == first || passed + p->weight + first->weight <= t->budget;
        if (p->state == TURN_WAITS && fits && fair && (best == NULL || p->serial < best->serial)) {
            best = p;
        }
    }
    return best != NULL ? (uint32_t)(best - t->places) : TURNS_NOBODY;
}

/* Another is the oldest: what runs by now was before it. */
static void forget_passed(struct turns *t)
{
    for (uint32_t i = 0; i < t->place_count; i++) {
        t->places[i].passed = false;
    }
}

void turns_start(struct turns *t, uint32_t place)
{
    struct turn *p = &t->places[place];
    assert(place < t->place_count && p->state == TURN_WAITS);
    bool passes = p != oldest(t);
    if (!passes) {
        forget_passed(t);
    }
    p->state = TURN_RUNS;
    p->passed = passes;
}

void turns_end(struct turns *t, uint32_t place)
{
    struct turn *p = &t->places[place];
    assert(place < t->place_count && p->state != TURN_FREE);
    if (p == oldest(t)) {
        forget_passed(t);
    }
    p->state = TURN_FREE;
}
