#include <stdlib.h>

#include "peer/master/master_internal.h"

static void answer_now(struct master *m, const struct worker_entry *w, uint32_t request,
                       enum work_disposition d)
{
    size_t at;
    struct buffer *frames = master_frame_begin(m, &at);
    master_frame_end(m, w->link, at, work_write_vote_answer(request, d, frames));
}

/* WORK_KEEP is a promise that the vote is durable: it waits for the batch with that number. */
static void answer_when_durable(struct master *m, const struct worker_entry *w, uint32_t request,
                                uint64_t seq)
{
#ifdef PREON_DEFECT_ACK_EARLY
    seq = 0;
#endif
    if (seq <= m->committed_seq) {
        answer_now(m, w, request, WORK_KEEP);
        return;
    }
    if (!master_grow((void **)&m->acks, m->ack_count, &m->ack_cap, sizeof *m->acks)) {
        master_close_link(m, w->link, "out of memory for an answer");
        return;
    }
    m->acks[m->ack_count++] = (struct master_ack){seq, w->link, request};
}

/* The hash that was voted on is that of the outcome and the outputs that are listed beside it. */
static enum pn_status check_outputs(const struct master *m, const struct work_vote *v,
                                    struct pn_err *err)
{
    struct output outputs[JOB_OUTPUTS_MAX];
    uint64_t total = 0;
    if (v->output_count > 0 && !(v->class == OUTCOME_EXITED && v->code == 0)) {
        return pn_fail(err, PN_E_MALFORMED, "vote: outputs of a slice that failed");
    }
    if (v->class == OUTCOME_EXITED && v->code == 0 && v->output_count < m->config.output_count) {
        return pn_fail(err, PN_E_MALFORMED, "vote: %u outputs of %u", v->output_count,
                       m->config.output_count);
    }
    for (uint8_t i = 0; i < v->output_count; i++) {
        const struct work_output *o = &v->outputs[i];
        if (o->index >= m->config.output_count) {
            return pn_fail(err, PN_E_RANGE, "vote: output %u of %u", o->index,
                           m->config.output_count);
        }
        outputs[i] = (struct output){m->config.output_names[o->index], o->size, o->root};
        total += o->size;
    }
    if (total > m->config.output_bytes_max) {
        return pn_fail(err, PN_E_TOO_BIG, "vote: outputs over the job's limit");
    }
    struct digest hash;
    hash_outputs(v->class, v->code, outputs, v->output_count, &hash);
    if (!digest_equal(&hash, &v->outputs_hash)) {
        return pn_fail(err, PN_E_MISMATCH, "vote: the hash is not that of the outputs");
    }
    /* Bytes that ride along are what they claim to be. */
    const uint8_t *at = v->bytes.ptr;
    for (uint8_t i = 0; v->has_bytes && i < v->output_count; i++) {
        size_t size = (size_t)v->outputs[i].size; /* the sum is at most WORK_INLINE_BYTES_MAX */
        struct digest leaf;
        struct digest root;
        hash_leaf((struct pn_bytes){at, size}, &leaf);
        hash_root(size, &leaf, &root);
        if (!digest_equal(&root, &v->outputs[i].root)) {
            return pn_fail(err, PN_E_MISMATCH, "vote: an output's bytes do not match its root");
        }
        at = size > 0 ? at + size : at;
    }
    return PN_OK;
}

static enum pn_status check_origin(const struct master *m, const struct worker_entry *w,
                                   const struct work_vote *v, struct pn_err *err)
{
    if (v->what.slice >= m->config.slice_count) {
        return pn_fail(err, PN_E_RANGE, "vote: slice %llu of %u", (unsigned long long)v->what.slice,
                       m->config.slice_count);
    }
    bool ours = master_is_ours(m, &v->what.job, &v->what.run);
    bool issued = plan_issued(&m->plan, &w->plan, v->what.slice, v->what.attempt);
#ifdef PREON_DEFECT_OLD_RUN
    issued = issued || !ours;
    ours = true;
#endif
#ifdef PREON_DEFECT_OLD_ATTEMPT
    issued = true;
#endif
    if (!ours) {
        return pn_fail(err, PN_E_MISMATCH, "vote: of another run");
    }
    if (!issued) {
        return pn_fail(err, PN_E_DENIED, "vote: an attempt that was never given to this peer");
    }
    return PN_OK;
}

static enum pn_status check_signature(const struct master *m, const struct worker_entry *w,
                                      const struct work_vote *v, struct pn_err *err)
{
    const struct vote_claim claim = {v->what.job, v->what.run, v->what.slice, v->what.attempt,
                                     v->outputs_hash};
    bool good = m->config.check_vote != NULL ? m->config.check_vote(&w->key, &claim, &v->signature)
                                             : claim_vote_check(&w->key, &claim, &v->signature);
    return good ? PN_OK : pn_fail(err, PN_E_MISMATCH, "vote: wrong signature");
}

static void record_outputs(struct master *m, const struct work_vote *v)
{
    const uint8_t *at = v->bytes.ptr;
    for (uint8_t i = 0; v->has_bytes && i < v->output_count; i++) {
        const struct work_output *o = &v->outputs[i];
        struct record *r = master_record(m, RECORD_OUTPUT);
        if (r == NULL) {
            return;
        }
        r->output = (struct record_output){
            .slice = v->what.slice,
            .attempt = v->what.attempt,
            .index = o->index,
            .size = o->size,
            .root = o->root,
            .bytes = {at, (size_t)o->size},
        };
        at = o->size > 0 ? at + o->size : at;
    }
}

static void record_vote(struct master *m, const struct worker_entry *w, const struct work_vote *v,
                        uint32_t wall_ms)
{
    struct record *r = master_record(m, RECORD_VOTE);
    if (r == NULL) {
        return;
    }
    r->vote = (struct record_vote){
        .slice = v->what.slice,
        .attempt = v->what.attempt,
        .worker = w->plan.peer,
        .worker_key = w->key,
        .own = w->own,
        .class = v->class,
        .code = v->code,
        .outputs = v->outputs_hash,
        .signature = v->signature,
        .wall_ms = wall_ms,
        .cpu_ms = v->cpu_ms,
#ifndef PREON_DEFECT_PREFIX_FORGOTTEN
        .prefix = w->plan.prefix,
#endif
        .stdout_tail = v->stdout_tail,
        .stderr_tail = v->stderr_tail,
        .at_wall_ms = m->now_wall_ms,
    };
    record_outputs(m, v);
}

static bool copy_files(struct ballot *b, const struct work_vote *v)
{
    b->copy = v->has_bytes || v->output_count == 0 ? COPY_HERE : COPY_AT_WORKER;
    if (b->copy == COPY_HERE) {
        return true;
    }
    b->files = malloc(v->output_count * sizeof *b->files);
    if (b->files == NULL) {
        return false;
    }
    memcpy(b->files, v->outputs, v->output_count * sizeof *b->files);
    b->file_count = v->output_count;
    return true;
}

/*
 * The same vote again: the answer was lost, or the link over which its outputs were to come, or
 * the master had forgotten where they are, or asked for them to be made once more.
 */
static void on_vote_again(struct master *m, struct worker_entry *w, uint32_t request,
                          struct open_slice *s, struct ballot *b, const struct work_vote *v)
{
    if (b->attempt != v->what.attempt || !digest_equal(&b->outputs, &v->outputs_hash)) {
        answer_now(m, w, request, WORK_DROP); /* an identity has one vote, and it has given it */
        return;
    }
    if (b->copy == COPY_HERE || b->copy == COPY_PULLING || s->final_queued) {
        answer_when_durable(m, w, request, m->seq);
        return;
    }
    free(b->files);
    b->files = NULL;
    b->file_count = 0;
    if (!copy_files(b, v)) {
        b->copy = COPY_LOST;
    }
    record_outputs(m, v);
    answer_when_durable(m, w, request, v->has_bytes ? master_step_seq(m) : m->seq);
    master_decide(m, s);
}

static struct ballot *earlier_ballot(const struct open_slice *s, const struct worker_entry *w,
                                     uint64_t attempt)
{
    for (uint8_t i = 0; i < s->tally.count; i++) {
        struct ballot *b = &s->tally.ballots[i];
        bool same_voter = b->worker == w->plan.index;
#ifdef PREON_DEFECT_IDENTITY_TWICE
        same_voter = same_voter && b->attempt == attempt;
#endif
        if (same_voter || b->attempt == attempt) {
            return b;
        }
    }
    return NULL;
}

static enum pn_status weigh(struct master *m, struct worker_entry *w, uint32_t request,
                            struct open_slice *s, const struct work_vote *v, uint32_t wall_ms,
                            struct pn_err *err)
{
    struct ballot *earlier = earlier_ballot(s, w, v->what.attempt);
    bool stored = false;
    /* A claim that nobody can back any more gives way to what the same worker found instead. */
    if (earlier != NULL && earlier->attempt == v->what.attempt && earlier->copy == COPY_LOST &&
        !digest_equal(&earlier->outputs, &v->outputs_hash) && !s->provisional && !s->final_queued) {
        stored = earlier->stored; /* under the same name as what comes now */
        tally_remove(&s->tally, earlier);
        earlier = NULL;
    }
    if (earlier != NULL) {
        on_vote_again(m, w, request, s, earlier, v);
        return PN_OK;
    }
    if (s->final_queued) {
        answer_now(m, w, request, WORK_DROP); /* its final record is on its way */
        return PN_OK;
    }
    struct ballot b = {
        .attempt = v->what.attempt,
        .worker = w->plan.index,
        .prefix = w->plan.prefix,
        .outputs = v->outputs_hash,
        .class = v->class,
        .code = v->code,
        .own = w->own,
        .stored = stored,
    };
    enum pn_status status = copy_files(&b, v) ? tally_add_take(&s->tally, &b) : PN_E_NO_MEMORY;
    if (status != PN_OK) {
        free(b.files);
    }
    if (status == PN_E_NO_MEMORY) {
        return pn_fail(err, status, "vote: out of memory");
    }
    if (status == PN_E_FULL) { /* so many were heard and no group is large enough */
        answer_now(m, w, request, WORK_DROP);
        master_no_more_voters(m, s);
        return PN_OK;
    }
    w->gave_up_in_row = 0;
    w->doubted = false;
    record_vote(m, w, v, wall_ms);
    answer_when_durable(m, w, request, master_step_seq(m));
    master_decide(m, s);
    return PN_OK;
}

/*
 * A machine without the program says nothing of the slice, be it our own: somebody else may have
 * it. Only where nobody could run it, and ours was asked to at last, that is how it ends.
 */
static bool says_of_the_machine(const struct work_vote *v, const struct worker_entry *w,
                                const struct open_slice *s)
{
    bool at_last = w->own && s != NULL && s->own_wanted && s->tally.count == 0;
    return outcome_machine_fault((struct outcome){(uint8_t)v->class, v->code}) && !at_last;
}

enum pn_status master_on_vote(struct master *m, struct worker_entry *w, uint32_t request,
                              const struct work_vote *v, struct pn_err *err)
{
    enum pn_status status = check_origin(m, w, v, err);
    if (status != PN_OK) {
        return status;
    }
    bool over = m->ending != 0 || m->stats.state != JOB_RUNNING || w->liar;
    if (!w->liar && (m->ending == JOB_STOPPED || m->stats.state == JOB_STOPPED)) {
        return PN_OK; /* it keeps the vote, and sends it again when the run goes on */
    }
    if (over || bitset_has(&m->plan.closed, v->what.slice)) {
        answer_now(m, w, request,
                   WORK_DROP); /* before what costs: it may be said again and again */
        return PN_OK;
    }
    status = check_signature(m, w, v, err);
    if (status == PN_OK) {
        status = check_outputs(m, v, err);
    }
    if (status != PN_OK) {
        return status;
    }
    struct attempt *a = plan_find(&m->plan, &w->plan, v->what.slice, v->what.attempt);
    if (says_of_the_machine(v, w, plan_slice(&m->plan, v->what.slice))) {
        answer_now(m, w, request, WORK_DROP);
        if (a != NULL) {
            master_gave_up(m, w, a);
        }
        return PN_OK;
    }
    struct open_slice *s = plan_open(&m->plan, v->what.slice);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "vote: out of memory");
    }
    uint32_t wall_ms = plan_believed_ms(&m->plan, a, v->wall_ms, m->now_ms);
    if (a != NULL) {
        plan_voted(&m->plan, a, wall_ms);
    }
    status = weigh(m, w, request, s, v, wall_ms, err);
    plan_need(&m->plan, s, s->need, s->own_wanted);
    return status;
}
