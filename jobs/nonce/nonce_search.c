#include "jobs/nonce/nonce_search.h"

enum { NONCES_A_CALL = 1024 }; /* between two looks at the watch */

/* One nonce into its window; true when it is a hit. */
static bool add(const struct nonce_puzzle *p, uint64_t nonce, struct nonce_window *w)
{
    bool hit;
    uint32_t word = nonce_puzzle_word(p, nonce, &hit);
    w->sum += word;
    if (word < w->word || nonce == w->nonce) {
        w->word = word;
        w->nonce = nonce;
    }
    return hit;
}

static void window_init(struct nonce_window *w, struct nonce_range range)
{
    *w = (struct nonce_window){.word = UINT32_MAX, .nonce = range.first};
}

static void add_hit(struct nonce_report *out, uint64_t nonce)
{
    out->hit_total++;
    if (out->hit_count < NONCE_HITS_MAX) {
        out->hits[out->hit_count++] = nonce;
    }
}

void nonce_search(const struct nonce_puzzle *p, struct nonce_range slice,
                  const struct nonce_watch *watch, struct nonce_report *out)
{
    nonce_report_init(out, slice);
    bool one = p->goal != NONCE_ALL;
    while (out->searched_count < out->window_count && !(one && out->hit_count > 0)) {
        struct nonce_range range = nonce_report_window(out, out->searched_count);
        struct nonce_window *w = &out->windows[out->searched_count++];
        window_init(w, range);
        for (uint64_t nonce = range.first;; nonce++) {
            if (add(p, nonce, w) && !(one && out->hit_count > 0)) {
                add_hit(out, nonce);
            }
            if (watch != NULL && nonce % NONCES_A_CALL == 0) {
                watch->on_progress(watch->arg, (double)(nonce - slice.first));
            }
            if (nonce == range.last) {
                break;
            }
        }
    }
}

void nonce_search_window(const struct nonce_puzzle *p, struct nonce_range range,
                         struct nonce_window *out)
{
    window_init(out, range);
    for (uint64_t nonce = range.first;; nonce++) {
        (void)add(p, nonce, out);
        if (nonce == range.last) {
            return;
        }
    }
}
