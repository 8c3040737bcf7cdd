#include "tests/sim/sim_disk.h"

#include <stdlib.h>

static void free_record(struct record *r)
{
    if (r->kind == RECORD_OUTPUT) {
        free((void *)r->output.bytes.ptr);
    }
}

static void free_batch(struct sim_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        free_record(&b->records[i]);
    }
    free(b->records);
}

void sim_disk_fini(struct sim_disk *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free_batch(&d->batches[i]);
    }
    free(d->batches);
    *d = (struct sim_disk){0};
}

bool sim_disk_add(struct sim_disk *d, uint64_t seq, const struct record *records, size_t count)
{
    if (d->count == d->cap) {
        size_t cap = d->cap == 0 ? 64 : d->cap * 2;
        struct sim_batch *batches = realloc(d->batches, cap * sizeof *batches);
        if (batches == NULL) {
            return false;
        }
        d->batches = batches;
        d->cap = cap;
    }
    struct sim_batch *b = &d->batches[d->count];
    *b = (struct sim_batch){seq, malloc(count * sizeof *records), count};
    if (b->records == NULL) {
        return false;
    }
    memcpy(b->records, records, count * sizeof *records);
    for (size_t i = 0; i < count; i++) {
        struct record *r = &b->records[i];
        if (r->kind == RECORD_VOTE) { /* tails are for people: nothing here reads them */
            r->vote.stdout_tail = r->vote.stderr_tail = (struct pn_bytes){NULL, 0};
        } else if (r->kind == RECORD_OUTPUT && r->output.bytes.len > 0) {
            uint8_t *copy = malloc(r->output.bytes.len);
            if (copy != NULL) {
                memcpy(copy, r->output.bytes.ptr, r->output.bytes.len);
            }
            r->output.bytes.ptr = copy;
        }
    }
    d->count++;
    return true;
}

void sim_disk_crash(struct sim_disk *d, size_t torn)
{
    size_t left = d->durable + (torn < d->syncing ? torn : d->syncing);
    while (d->count > left) {
        free_batch(&d->batches[--d->count]);
    }
    d->durable = left;
    d->syncing = 0;
    d->failing = false;
    d->failed = false;
}

/* The last record of a kind that `is` accepts: a row written again replaces the earlier one. */
static const struct record *find(const struct sim_disk *d, enum record_kind kind, uint64_t slice,
                                 uint64_t attempt, bool all)
{
    for (size_t i = all ? d->count : d->durable; i-- > 0;) {
        for (size_t k = d->batches[i].count; k-- > 0;) {
            const struct record *r = &d->batches[i].records[k];
            bool same = r->kind == kind;
            switch (kind) {
            case RECORD_VOTE:
                same = same && r->vote.slice == slice && r->vote.attempt == attempt;
                break;
            case RECORD_OUTPUT:
                same = same && r->output.slice == slice && r->output.attempt == attempt;
                break;
            case RECORD_FINAL:
                same = same && r->final.slice == slice;
                break;
            case RECORD_LIE:
            case RECORD_JOB_STATE:
                break;
            }
            if (same) {
                return r;
            }
        }
    }
    return NULL;
}

const struct record_final *sim_disk_final(const struct sim_disk *d, uint64_t slice, bool all)
{
    const struct record *r = find(d, RECORD_FINAL, slice, 0, all);
    return r != NULL ? &r->final : NULL;
}

const struct record_vote *sim_disk_vote(const struct sim_disk *d, uint64_t slice, uint64_t attempt,
                                        bool all)
{
    const struct record *r = find(d, RECORD_VOTE, slice, attempt, all);
    return r != NULL ? &r->vote : NULL;
}

bool sim_disk_voted(const struct sim_disk *d, uint64_t slice, const struct digest *worker,
                    const struct digest *outputs)
{
    for (size_t i = 0; i < d->count; i++) {
        for (size_t k = 0; k < d->batches[i].count; k++) {
            const struct record *r = &d->batches[i].records[k];
            if (r->kind == RECORD_VOTE && r->vote.slice == slice &&
                digest_equal(&r->vote.worker, worker) && digest_equal(&r->vote.outputs, outputs)) {
                return true;
            }
        }
    }
    return false;
}

const struct record_output *sim_disk_output(const struct sim_disk *d, uint64_t slice,
                                            uint64_t attempt, bool all)
{
    const struct record *r = find(d, RECORD_OUTPUT, slice, attempt, all);
    return r != NULL ? &r->output : NULL;
}

/* --- reading after a restart ------------------------------------------------------------------ */

struct sorted {
    uint64_t slice;
    uint64_t attempt;
    const struct record *record;
};

static int by_key(const void *a, const void *b)
{
    const struct sorted *x = a;
    const struct sorted *y = b;
    if (x->slice != y->slice) {
        return x->slice < y->slice ? -1 : 1;
    }
    return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

static struct sorted key_of(const struct record *r)
{
    switch (r->kind) {
    case RECORD_VOTE:
        return (struct sorted){r->vote.slice, r->vote.attempt, r};
    case RECORD_OUTPUT:
        return (struct sorted){r->output.slice, r->output.attempt, r};
    case RECORD_FINAL:
        return (struct sorted){r->final.slice, 0, r};
    case RECORD_LIE:
    case RECORD_JOB_STATE:
        break;
    }
    return (struct sorted){0, 0, r};
}

static enum pn_status load_kind(const struct sim_disk *d, enum record_kind kind, bool all,
                                struct sorted *scratch, sim_disk_on_record *on_record, void *arg)
{
    size_t count = 0;
    for (size_t i = 0; i < (all ? d->count : d->durable); i++) {
        for (size_t k = 0; k < d->batches[i].count; k++) {
            const struct record *r = &d->batches[i].records[k];
            struct sorted key = key_of(r);
            bool open = kind != RECORD_VOTE && kind != RECORD_OUTPUT;
            if (r->kind != kind || !(open || sim_disk_final(d, key.slice, all) == NULL)) {
                continue;
            }
            if (kind == RECORD_VOTE && sim_disk_vote(d, key.slice, key.attempt, all) != &r->vote) {
                continue; /* written again since */
            }
            scratch[count++] = key;
        }
    }
    if (kind != RECORD_JOB_STATE && kind != RECORD_LIE) {
        qsort(scratch, count, sizeof *scratch, by_key);
    }
    size_t first = kind == RECORD_JOB_STATE && count > 0 ? count - 1 : 0; /* a row of the job */
    enum pn_status status = PN_OK;
    for (size_t i = first; i < count && status == PN_OK; i++) {
        status = on_record(arg, scratch[i].record);
    }
    return status;
}

enum pn_status sim_disk_load(const struct sim_disk *d, bool all, sim_disk_on_record *on_record,
                             void *arg)
{
    static const enum record_kind order[] = {RECORD_LIE, RECORD_FINAL, RECORD_VOTE, RECORD_OUTPUT,
                                             RECORD_JOB_STATE};
    size_t total = 1;
    for (size_t i = 0; i < d->count; i++) {
        total += d->batches[i].count;
    }
    struct sorted *scratch = malloc(total * sizeof *scratch);
    if (scratch == NULL) {
        return PN_E_NO_MEMORY;
    }
    enum pn_status status = PN_OK;
    for (size_t i = 0; i < sizeof order / sizeof order[0] && status == PN_OK; i++) {
        status = load_kind(d, order[i], all, scratch, on_record, arg);
    }
    free(scratch);
    return status;
}
