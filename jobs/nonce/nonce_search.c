#include "jobs/nonce/nonce_search.h"

#include <assert.h>
#include <stdlib.h>

#include "jobs/nonce/nonce_layout.h"

enum {
    CHUNK = 2048,                   /* words between two folds: they stay in the first cache */
    HITS_ROOM = 2 * NONCE_HITS_MAX, /* before the higher half is thrown away */
};

struct search {
    const struct nonce_puzzle *puzzle;
    const struct nonce_kernel *kernel; /* NULL: plainly */
    const struct nonce_watch *watch;
    struct nonce_range range;
    struct nonce_window *windows;
    uint32_t window_count;
    bool wants_hits;
    bool wants_one; /* the lowest only; then the search ends with its window */
    uint32_t top;   /* the target's word: hits have one that is not higher */
    uint64_t last;  /* last nonce to search, lower as soon as a hit is known */
    double done;    /* nonces */
    bool given_up;
    double told; /* of these, what the watch knows */
    uint64_t hit_total;
    uint32_t hit_count;
    uint64_t hits[HITS_ROOM];
    struct nonce_block second;
    struct nonce_run run;
    struct nonce_layout layout;
    uint32_t words[CHUNK];
    uint32_t values[NONCE_VALUES_MAX + NONCE_BATCH];
};

static int compare_nonces(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint32_t window_of(const struct search *s, uint64_t nonce)
{
    return (uint32_t)nonce_range_part_of(s->range, s->window_count, nonce);
}

static void add_hit(struct search *s, uint64_t nonce)
{
    if (s->wants_one) {
        if (s->hit_count == 0 || nonce < s->hits[0]) {
            s->hits[0] = nonce;
            s->hit_count = 1;
            s->hit_total = 1;
            s->last = nonce_range_part(s->range, window_of(s, nonce), s->window_count).last;
        }
        return;
    }
    s->hit_total++;
    s->hits[s->hit_count++] = nonce;
    if (s->hit_count == HITS_ROOM) {
        qsort(s->hits, s->hit_count, sizeof s->hits[0], compare_nonces);
        s->hit_count = NONCE_HITS_MAX;
    }
}

/* Takes words[0 .. count-1] of the nonces first, first + stride ..., all of one window. */
static void take_words(struct search *s, struct nonce_window *w, const uint32_t *words,
                       size_t count, uint64_t first, uint64_t stride)
{
    uint32_t min = words[0];
    uint32_t sum = words[0];
    if (s->kernel != NULL) {
        s->kernel->fold(words, count, &min, &sum);
    } else {
        assert(count == 1);
    }
    w->sum += sum;
    if (min <= w->word) {
        size_t i = 0;
        while (words[i] != min) {
            i++;
        }
        uint64_t nonce = first + i * stride;
        if (min < w->word || nonce < w->nonce) {
            w->word = min;
            w->nonce = nonce;
        }
    }
    for (size_t i = 0; s->wants_hits && min <= s->top && i < count; i++) {
        bool hit = false;
        if (words[i] <= s->top) {
            (void)nonce_puzzle_word(s->puzzle, first + i * stride, &hit);
        }
        if (hit) {
            add_hit(s, first + i * stride);
        }
    }
}

/* The same for nonces of any windows. */
static void take(struct search *s, size_t count, uint64_t first, uint64_t stride)
{
    const uint32_t *words = s->words;
    s->done += (double)count;
    while (count > 0) {
        uint32_t index = window_of(s, first);
        uint64_t end = nonce_range_part(s->range, index, s->window_count).last;
        uint64_t room = (end - first) / stride; /* behind the first */
        size_t n = room >= count ? count : (size_t)room + 1;
        take_words(s, &s->windows[index], words, n, first, stride);
        words += n;
        count -= n;
        first += n * stride; /* may wrap behind the last nonce; then count is 0 */
    }
    if (s->watch != NULL && s->done >= s->told + CHUNK) {
        s->told = s->done;
        s->given_up = !s->watch->on_progress(s->watch->arg, s->done);
    }
}

/* A run's values from .. to; the run's nonces are base + value * stride. */
static void search_run(struct search *s, uint64_t base, uint32_t from, uint32_t to)
{
    uint64_t stride = s->layout.stride;
    for (uint32_t value = from; value <= to; value += CHUNK) {
        uint64_t first = base + value * stride;
        if (first > s->last || s->given_up) {
            return; /* a hit was found meanwhile */
        }
        size_t count = to - value < CHUNK ? to - value + 1 : CHUNK;
        size_t batches = (count + NONCE_BATCH - 1) / NONCE_BATCH;
        s->kernel->words(&s->run, s->values + value, batches * NONCE_BATCH, s->words);
        take(s, count, first, stride);
    }
}

/* Nonces of one digit count: blocks of size * stride, in each a run per lower part. */
static void search_layout(struct search *s, uint64_t first, uint64_t last)
{
    struct nonce_layout *l = &s->layout;
    nonce_layout_init(l, s->puzzle, first);
    nonce_layout_values(l, 0, l->size + NONCE_BATCH, s->values);
    const uint64_t block = l->size * l->stride;
    for (uint64_t base = first - first % block; base <= s->last && !s->given_up; base += block) {
        uint64_t top = last - base; /* highest of the block that is searched, from its base */
        uint64_t bottom = base < first ? first - base : 0;
        for (uint64_t lower = 0; lower < l->stride && lower <= top; lower++) {
            uint64_t from = bottom > lower ? (bottom - lower + l->stride - 1) / l->stride : 0;
            uint64_t to = (top - lower) / l->stride;
            to = to < l->size ? to : l->size - 1;
            if (from <= to) {
                nonce_layout_set(l, base + lower, &s->run);
                search_run(s, base + lower, (uint32_t)from, (uint32_t)to);
            }
        }
        if (last - base < block) {
            return; /* also where base + block would wrap */
        }
    }
}

static void search_plainly(struct search *s)
{
    for (uint64_t nonce = s->range.first;; nonce++) {
        s->words[0] = nonce_puzzle_word(s->puzzle, nonce, NULL);
        take(s, 1, nonce, 1);
        if (nonce >= s->last || s->given_up) {
            return;
        }
    }
}

static void search_all(struct search *s)
{
    if (s->kernel == NULL) {
        search_plainly(s);
        return;
    }
    nonce_kernel_second(&s->second);
    s->run.second = s->puzzle->hash == NONCE_SHA256D ? &s->second : NULL;
    s->run.order = s->puzzle->order;
    uint64_t first = s->range.first;
    while (first <= s->last && !s->given_up) {
        uint64_t last = nonce_layout_last(s->puzzle, first);
        last = last < s->range.last ? last : s->range.last;
        search_layout(s, first, last);
        if (last == s->range.last) {
            return;
        }
        first = last + 1;
    }
}

/* Allocates a search of the range, with its windows empty; NULL when memory is short. */
static struct search *search_new(const struct nonce_puzzle *p, struct nonce_range range,
                                 const struct nonce_kernel *kernel, struct nonce_window *windows,
                                 uint32_t window_count)
{
    struct search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->puzzle = p;
    s->kernel = p->hash == NONCE_SHA256HEX ? NULL : kernel;
    s->range = range;
    s->last = range.last;
    s->windows = windows;
    s->window_count = window_count;
    s->top = (uint32_t)p->target[0] << 24 | (uint32_t)p->target[1] << 16 |
             (uint32_t)p->target[2] << 8 | p->target[3];
    for (uint32_t i = 0; i < window_count; i++) {
        windows[i] = (struct nonce_window){.word = UINT32_MAX, .nonce = UINT64_MAX};
    }
    return s;
}

enum pn_status nonce_search(const struct nonce_puzzle *p, struct nonce_range slice,
                            const struct nonce_kernel *kernel, const struct nonce_watch *watch,
                            struct nonce_report *out)
{
    nonce_report_init(out, slice);
    struct search *s = search_new(p, slice, kernel, out->windows, out->window_count);
    if (s == NULL) {
        return PN_E_NO_MEMORY;
    }
    s->watch = watch;
    s->wants_hits = true;
    s->wants_one = p->goal != NONCE_ALL;
    search_all(s);
    qsort(s->hits, s->hit_count, sizeof s->hits[0], compare_nonces);
    out->hit_total = s->hit_total;
    out->hit_count = s->hit_count < NONCE_HITS_MAX ? s->hit_count : NONCE_HITS_MAX;
    memcpy(out->hits, s->hits, out->hit_count * sizeof s->hits[0]);
    out->searched_count = window_of(s, s->last) + 1;
    free(s);
    return PN_OK;
}

enum pn_status nonce_search_window(const struct nonce_puzzle *p, struct nonce_range range,
                                   const struct nonce_kernel *kernel,
                                   const struct nonce_watch *watch, struct nonce_window *out)
{
    struct search *s = search_new(p, range, kernel, out, 1);
    if (s == NULL) {
        return PN_E_NO_MEMORY;
    }
    s->watch = watch;
    search_all(s);
    free(s);
    return PN_OK;
}
