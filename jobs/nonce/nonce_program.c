#include "jobs/nonce/nonce_program.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_report.h"
#include "jobs/nonce/nonce_search.h"
#include "jobs/nonce/nonce_verify.h"

enum { CHECK_BYTES_MAX = 1000 }; /* what an answer's field holds; commands make longer ones */

/* The puzzle and that the slice exists. */
static enum pn_status puzzle_of(const struct job_slice *slice, struct nonce_puzzle *p,
                                struct pn_err *err)
{
    enum pn_status status = nonce_args_parse(slice->argv, slice->argc, p, err);
    if (status == PN_OK) {
        status = nonce_args_check_slices(p, slice->count, err);
    }
    if (status == PN_OK && slice->index >= slice->count) {
        status =
            pn_fail(err, PN_E_RANGE, "slice %" PRIu64 " of %" PRIu64, slice->index, slice->count);
    }
    return status;
}

static enum pn_status check(const struct job_slice *slice, struct pn_err *err)
{
    struct nonce_puzzle p;
    struct job_slice first = *slice;
    first.index = 0;
    return puzzle_of(&first, &p, err);
}

/* --- Judging --------------------------------------------------------------------------------- */

/* What the checks pass along. */
struct trial {
    const struct nonce_puzzle *puzzle;
    const struct nonce_report *report;
    struct job_verdict *verdict;
    const atomic_bool *stop; /* NULL: never */
};

static bool stopped(const struct trial *t)
{
    return t->stop != NULL && atomic_load_explicit(t->stop, memory_order_relaxed);
}

static bool on_progress(void *arg, double done)
{
    (void)done;
    return !stopped(arg);
}

__attribute__((format(printf, 3, 4))) static bool condemn(struct trial *t, enum job_judgement why,
                                                          const char *format, ...)
{
    va_list args;
    t->verdict->judgement = why;
    va_start(args, format);
    (void)vsnprintf(t->verdict->line, sizeof t->verdict->line, format, args);
    va_end(args);
    return false;
}

/* A slice is searched to its end, or to the end of the window that holds its lowest hit. */
static bool right_length(struct trial *t, struct nonce_range slice)
{
    const struct nonce_report *r = t->report;
    if (r->range.first != slice.first || r->range.last != slice.last) {
        return condemn(t, JOB_JUDGED_MALFORMED, "the report is of another slice");
    }
    bool early = t->puzzle->goal != NONCE_ALL && r->hit_count > 0;
    if (early && r->hit_total != 1) {
        return condemn(t, JOB_JUDGED_MALFORMED, "%" PRIu64 " hits where one is wanted",
                       r->hit_total);
    }
    uint32_t must = early ? nonce_report_window_of(r, r->hits[0]) + 1 : r->window_count;
    if (r->searched_count != must) {
        return condemn(t, JOB_JUDGED_MALFORMED, "%u windows reported, must be %u",
                       r->searched_count, must);
    }
    return true;
}

static bool hits_are_hits(struct trial *t)
{
    for (uint32_t i = 0; i < t->report->hit_count; i++) {
        bool hit;
        uint64_t nonce = t->report->hits[i];
        uint32_t word = nonce_puzzle_word(t->puzzle, nonce, &hit);
        if (!hit) {
            return condemn(t, JOB_JUDGED_LIE, "nonce %" PRIu64 " is no hit", nonce);
        }
        if (word < t->report->windows[nonce_report_window_of(t->report, nonce)].word) {
            return condemn(t, JOB_JUDGED_LIE, "the window of hit %" PRIu64 " does not know it",
                           nonce);
        }
    }
    return true;
}

/* True when the report's list has this hit, or cannot have it because the list is full. */
static bool listed(const struct trial *t, uint64_t nonce)
{
    const struct nonce_report *r = t->report;
    if (t->puzzle->goal != NONCE_ALL) {
        return r->hit_count > 0 && r->hits[0] <= nonce; /* only the lowest is named */
    }
    uint32_t low = 0;
    uint32_t high = r->hit_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (r->hits[middle] < nonce) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < r->hit_count ? r->hits[low] == nonce : r->hit_total > r->hit_count;
}

/* Each window's lowest word is re-hashed; a hit among them must be listed. */
static bool words_are_true(struct trial *t)
{
    for (uint32_t i = 0; i < t->report->searched_count; i++) {
        bool hit;
        const struct nonce_window *w = &t->report->windows[i];
        if (nonce_puzzle_word(t->puzzle, w->nonce, &hit) != w->word) {
            return condemn(t, JOB_JUDGED_LIE, "window %u: nonce %" PRIu64 " has another word", i,
                           w->nonce);
        }
        if (hit && !listed(t, w->nonce)) {
            return condemn(t, JOB_JUDGED_LIE, "window %u: hit %" PRIu64 " is kept back", i,
                           w->nonce);
        }
    }
    return true;
}

/*
 * True when searching the window again gives what is claimed. The fast kernel may acquit; only the
 * plain code, that every kernel is compared with, may convict.
 */
static enum pn_status search_again(struct trial *t, uint32_t index, bool *same)
{
    const struct nonce_watch watch = {on_progress, t};
    const struct nonce_window *claim = &t->report->windows[index];
    struct nonce_range range = nonce_report_window(t->report, index);
    const struct nonce_kernel *const kernels[] = {nonce_kernel_first(), NULL};
    enum pn_status status = PN_OK;
    *same = false;
    for (size_t i = 0; i < 2 && status == PN_OK && !*same; i++) {
        struct nonce_window truth;
        status = nonce_search_window(t->puzzle, range, kernels[i], &watch, &truth);
        status = status == PN_OK && stopped(t) ? PN_E_CLOSED : status;
        *same = status == PN_OK && truth.word == claim->word && truth.nonce == claim->nonce &&
                truth.sum == claim->sum;
    }
    t->verdict->unit_audited_count += (double)nonce_range_count(range);
    return status;
}

/* Draws windows, without putting back, and searches them again. */
static enum pn_status audit_windows(struct trial *t, struct random *audit)
{
    const struct nonce_report *r = t->report;
    uint32_t drawn[NONCE_AUDITS];
    uint32_t count = r->searched_count < NONCE_AUDITS ? r->searched_count : NONCE_AUDITS;
    for (uint32_t i = 0; i < count; i++) {
        bool again;
        do {
            drawn[i] = (uint32_t)random_below(audit, r->searched_count);
            again = false;
            for (uint32_t j = 0; j < i; j++) {
                again |= drawn[j] == drawn[i];
            }
        } while (again);
        bool same;
        enum pn_status status = search_again(t, drawn[i], &same);
        if (status != PN_OK) {
            return status;
        }
        if (!same) {
            (void)condemn(t, JOB_JUDGED_LIE, "window %u was not searched as claimed", drawn[i]);
            return PN_OK;
        }
    }
    return PN_OK;
}

/* "nonce 1074435534: 21 zero bits, hash 0000608a…" */
static void describe_hit(const struct nonce_puzzle *p, uint64_t nonce, char *line, size_t len)
{
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    nonce_puzzle_digest(p, nonce, digest);
    nonce_puzzle_key(p, digest, key);
    hex_write((struct pn_bytes){digest, sizeof digest}, hex);
    (void)snprintf(line, len, "nonce %" PRIu64 ": %u zero bits, hash %s", nonce,
                   nonce_puzzle_zero_bits(key), hex);
}

static void acquit(struct trial *t)
{
    const struct nonce_report *r = t->report;
    struct job_verdict *v = t->verdict;
    struct nonce_range end = nonce_report_window(r, r->searched_count - 1);
    v->answer = r->hit_count > 0 && t->puzzle->goal != NONCE_ALL;
    v->answer_count = r->hit_total;
    v->unit_count = (double)(end.last - r->range.first) + 1;
    if (r->hit_count > 0) {
        describe_hit(t->puzzle, r->hits[0], v->line, sizeof v->line);
    } else {
        (void)snprintf(v->line, sizeof v->line, "no hit from %" PRIu64 " to %" PRIu64,
                       r->range.first, r->range.last);
    }
}

static enum pn_status judge(const struct job_slice *slice, struct pn_bytes output,
                            struct random *audit, const atomic_bool *stop, struct job_verdict *out,
                            struct pn_err *err)
{
    struct nonce_puzzle p;
    enum pn_status status = puzzle_of(slice, &p, err);
    if (status != PN_OK) {
        return status;
    }
    struct nonce_report *report = malloc(sizeof *report);
    if (report == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "nonce report: out of memory");
    }
    struct job_verdict verdict = {.judgement = JOB_JUDGED_MALFORMED};
    struct trial t = {&p, report, &verdict, stop};
    struct pn_err why;
    if (nonce_report_parse(output, report, &why) != PN_OK) {
        (void)condemn(&t, JOB_JUDGED_MALFORMED, "%s", why.text);
    } else if (right_length(&t, nonce_range_part(p.range, slice->index, slice->count)) &&
               hits_are_hits(&t) && words_are_true(&t)) {
        verdict.judgement = JOB_JUDGED_TRUE;
        status = audit != NULL ? audit_windows(&t, audit) : PN_OK;
    }
    if (status == PN_OK && verdict.judgement == JOB_JUDGED_TRUE) {
        acquit(&t);
    }
    free(report);
    if (status != PN_OK) {
        return pn_fail(err, status, "nonce audit: %s", pn_status_text(status));
    }
    *out = verdict;
    return PN_OK;
}

/* --- Showing --------------------------------------------------------------------------------- */

/* "check ", the shell line, and the end of the line; nothing when it is too long for an answer. */
static enum pn_status describe_check(const struct job_slice *slice, uint64_t nonce,
                                     struct buffer *out, struct pn_err *err)
{
    const size_t len = out->len;
    enum pn_status status = buffer_printf(out, "check ");
    if (status == PN_OK) {
        status = nonce_verify_words(slice->argv, slice->argc, nonce, out, err);
    }
    if (status == PN_OK && out->len - len > CHECK_BYTES_MAX) {
        out->len = len;
        return PN_OK;
    }
    return status == PN_OK ? buffer_printf(out, "\n") : status;
}

static enum pn_status describe_report(const struct job_slice *slice, const struct nonce_puzzle *p,
                                      const struct nonce_report *r, struct buffer *out,
                                      struct pn_err *err)
{
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    nonce_puzzle_digest(p, r->hits[0], digest);
    nonce_puzzle_key(p, digest, key);
    hex_write((struct pn_bytes){digest, sizeof digest}, hex);
    enum pn_status status = buffer_printf(out, "nonce %" PRIu64 "\nhash %s\nzero_bits %u\n",
                                          r->hits[0], hex, nonce_puzzle_zero_bits(key));
    if (status == PN_OK) {
        status = describe_check(slice, r->hits[0], out, err);
    }
    if (status == PN_OK && p->goal == NONCE_ALL) {
        status = buffer_printf(out, "hits");
        for (uint32_t i = 0; i < r->hit_count && status == PN_OK; i++) {
            status = buffer_printf(out, " %" PRIu64, r->hits[i]);
        }
        if (status == PN_OK) {
            status = buffer_printf(out, "%s\n", r->hit_total > r->hit_count ? " ..." : "");
        }
    }
    return status;
}

static enum pn_status describe(const struct job_slice *slice, struct pn_bytes output,
                               struct buffer *out, struct pn_err *err)
{
    struct nonce_puzzle p;
    enum pn_status status = puzzle_of(slice, &p, err);
    if (status != PN_OK) {
        return status;
    }
    struct nonce_report *report = malloc(sizeof *report);
    if (report == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "nonce report: out of memory");
    }
    status = nonce_report_parse(output, report, err);
    if (status == PN_OK && report->hit_count > 0) {
        status = describe_report(slice, &p, report, out, err);
    }
    free(report);
    return status;
}

static double slice_units(const struct job_slice *slice)
{
    struct nonce_puzzle p;
    if (puzzle_of(slice, &p, NULL) != PN_OK) {
        return 0;
    }
    return (double)nonce_range_count(nonce_range_part(p.range, slice->index, slice->count));
}

static double audit_units(const struct job_slice *slice)
{
    struct nonce_puzzle p;
    if (puzzle_of(slice, &p, NULL) != PN_OK) {
        return 0;
    }
    const struct nonce_range range = nonce_range_part(p.range, slice->index, slice->count);
    const uint32_t windows = nonce_report_windows(range);
    const uint32_t drawn = windows < NONCE_AUDITS ? windows : NONCE_AUDITS;
    return (double)nonce_range_count(range) * drawn / windows;
}

/* As if a slot hashed a million a second: a small, old board with the portable kernel. */
static double slice_seconds(const struct job_slice *slice) { return slice_units(slice) / 1e6; }

static enum pn_status expect(const struct job_slice *slice, struct job_expectation *out,
                             struct pn_err *err)
{
    struct nonce_puzzle p;
    enum pn_status status = puzzle_of(slice, &p, err);
    if (status == PN_OK) {
        *out = (struct job_expectation){
            .unit = "hashes",
            .unit_count = (double)nonce_range_count(p.range),
            .chance = p.goal == NONCE_ALL ? 0 : nonce_puzzle_chance(&p),
        };
    }
    return status;
}

const struct job_program nonce_program = {
    .name = "nonce",
    .version = 1,
    .output = "nonce.bin",
    .output_bytes_max = NONCE_REPORT_BYTES_MAX,
    .check = check,
    .judge = judge,
    .describe = describe,
    .slice_units = slice_units,
    .audit_units = audit_units,
    .slice_seconds = slice_seconds,
    .expect = expect,
};
