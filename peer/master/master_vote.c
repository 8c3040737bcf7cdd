#include <stdlib.h>

#include "peer/master/master_internal.h"

/* --- taking a vote ---------------------------------------------------------------------------- */

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
#ifndef PREON_DEFECT_OLD_VOTE
    if (!master_is_ours(m, &v->what.job, &v->what.run)) {
        return pn_fail(err, PN_E_MISMATCH, "vote: of another run");
    }
    if (!plan_issued(&m->plan, &w->plan, v->what.slice, v->what.attempt)) {
        return pn_fail(err, PN_E_DENIED, "vote: an attempt that was never given to this peer");
    }
#endif
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

static void record_vote(struct master *m, const struct worker_entry *w, const struct work_vote *v)
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
        .wall_ms = v->wall_ms,
        .cpu_ms = v->cpu_ms,
        .prefix = w->plan.prefix,
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
                            struct open_slice *s, const struct work_vote *v, struct pn_err *err)
{
    struct ballot *earlier = earlier_ballot(s, w, v->what.attempt);
    /* A claim that nobody can back any more gives way to what the same worker found instead. */
    if (earlier != NULL && earlier->attempt == v->what.attempt && earlier->copy == COPY_LOST &&
        !digest_equal(&earlier->outputs, &v->outputs_hash) && !s->provisional && !s->final_queued) {
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
    record_vote(m, w, v);
    answer_when_durable(m, w, request, master_step_seq(m));
    master_decide(m, s);
    return PN_OK;
}

enum pn_status master_on_vote(struct master *m, struct worker_entry *w, uint32_t request,
                              const struct work_vote *v, struct pn_err *err)
{
    enum pn_status status = check_origin(m, w, v, err);
    if (status == PN_OK) {
        status = check_outputs(m, v, err);
    }
    if (status != PN_OK) {
        return status;
    }
    bool over = m->ending != 0 || m->stats.state != JOB_RUNNING || w->liar;
    if (!w->liar && (m->ending == JOB_STOPPED || m->stats.state == JOB_STOPPED)) {
        return PN_OK; /* it keeps the vote, and sends it again when the run goes on */
    }
    if (over || bitset_has(&m->plan.closed, v->what.slice)) {
        answer_now(m, w, request, WORK_DROP);
        return PN_OK;
    }
    struct attempt *a = plan_find(&m->plan, &w->plan, v->what.slice, v->what.attempt);
    if (outcome_machine_fault((struct outcome){(uint8_t)v->class, v->code}) && !w->own) {
        answer_now(m, w, request, WORK_DROP); /* says something of the machine, not of the slice */
        if (a != NULL) {
            master_gave_up(m, w, a);
        }
        return PN_OK;
    }
    struct open_slice *s = plan_open(&m->plan, v->what.slice);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "vote: out of memory");
    }
    if (a != NULL) {
        plan_voted(&m->plan, a, v->wall_ms);
    }
    status = weigh(m, w, request, s, v, err);
    plan_need(&m->plan, s, s->need, s->own_wanted);
    return status;
}

/* --- deciding --------------------------------------------------------------------------------- */

static void seal(struct master *m, struct open_slice *s, const struct ballot *b,
                 enum record_basis basis, bool answer)
{
    struct record *r = master_record(m, RECORD_FINAL);
    if (r == NULL || !master_grow((void **)&m->sealings, m->sealing_count, &m->sealing_cap,
                                  sizeof *m->sealings)) {
        master_break(m, "out of memory");
        return;
    }
    r->final = (struct record_final){
        .slice = s->slice,
        .class = OUTCOME_NO_START,
        .basis = basis,
        .answer = answer,
        .serial = m->config.serial,
        .term = m->config.term,
        .at_wall_ms = m->now_wall_ms,
    };
    if (b != NULL) {
        r->final.attempt = b->attempt;
        r->final.outputs = b->outputs;
        r->final.class = b->class;
        r->final.code = b->code;
    }
    s->final_queued = true;
    m->sealings[m->sealing_count++] = (struct master_sealing){
        .seq = master_step_seq(m),
        .slice = s->slice,
        .attempt = b != NULL ? b->attempt : 0,
        .good = b != NULL && b->class == OUTCOME_EXITED && b->code == 0,
        .answer = answer,
    };
    plan_need(&m->plan, s, 0, false);
}

/* Other workers do not help: the master's own run does, or nothing. */
void master_no_more_voters(struct master *m, struct open_slice *s)
{
    if (m->config.own_can_run) {
        plan_need(&m->plan, s, s->need > 0 ? s->need : 1, true);
    } else {
        master_give_up_slice(m, s);
    }
}

void master_give_up_slice(struct master *m, struct open_slice *s)
{
    if (!s->final_queued) {
        seal(m, s, NULL, BASIS_GIVEN_UP, false);
    }
}

static void convict(struct master *m, uint32_t worker, const struct open_slice *s, uint64_t attempt,
                    const char *reason)
{
    struct worker_entry *w = m->roster.by_index[worker];
    if (w->liar || w->own) {
        return;
    }
    struct record *r = master_record(m, RECORD_LIE);
    if (r == NULL || !master_grow((void **)&m->lies, m->lie_count, &m->lie_cap, sizeof *m->lies)) {
        master_break(m, "out of memory");
        return;
    }
    r->lie = (struct record_lie){.worker = w->plan.peer,
                                 .slice = s->slice,
                                 .attempt = attempt,
                                 .at_wall_ms = m->now_wall_ms};
    memcpy(r->lie.reason, reason, strnlen(reason, sizeof r->lie.reason - 1));
    struct master_pending_lie *lie = &m->lies[m->lie_count++];
    *lie = (struct master_pending_lie){
        .seq = master_step_seq(m), .peer = w->plan.peer, .slice = s->slice};
    memcpy(lie->reason, r->lie.reason, sizeof lie->reason);
    w->liar = true;
    master_tell_ended(m, w);
    plan_worker_lost(&m->plan, &w->plan); /* what it has in hand goes to others at once */
}

/* A different outcome is a lie only where the machine has no say in it. */
static bool comparable(const struct ballot *b) { return b->class == OUTCOME_EXITED; }

static void seal_agreed(struct master *m, struct open_slice *s, uint8_t index,
                        enum record_basis basis, bool answer)
{
    seal(m, s, &s->tally.ballots[index], basis, answer);
    if (basis != BASIS_OWN_RUN) {
        return;
    }
    const struct ballot *truth = &s->tally.ballots[index];
    bool lies = false;
    for (uint8_t i = 0; i < s->tally.count; i++) {
        const struct ballot *b = &s->tally.ballots[i];
        if (!b->own && !ballots_agree(b, truth) && comparable(b) && comparable(truth)) {
            convict(m, b->worker, s, b->attempt, "its outcome differs from the master's own run");
            lies = true;
        }
    }
    for (struct worker_entry *w = m->roster.first; lies && w != NULL; w = w->next) {
        if (w->liar) {
            master_strike(m, w);
        }
    }
}

/* Of the ballots that agree with ballots[index], one whose outputs can be had; -1: none. */
static int source_of(const struct master *m, const struct tally *t, uint8_t index)
{
    int found = -1;
    for (uint8_t i = 0; i < t->count; i++) {
        const struct ballot *b = &t->ballots[i];
        if (!ballots_agree(b, &t->ballots[index])) {
            continue;
        }
        if (b->copy == COPY_HERE || b->copy == COPY_PULLING) {
            return i;
        }
        if (b->copy == COPY_AT_WORKER && m->roster.by_index[b->worker]->link != 0) {
            found = i;
        }
    }
    return found;
}

/* Votes agree: have a copy of the outputs, have it judged, make it final. */
static void settle(struct master *m, struct open_slice *s, const struct tally_decision *d)
{
    int source = source_of(m, &s->tally, d->index);
    if (source < 0) {
        s->bytes_wanted = true; /* nobody has them any more: another run */
        plan_need(&m->plan, s, 1, false);
        plan_reconsider(&m->plan, s);
        return;
    }
    struct ballot *b = &s->tally.ballots[source];
    s->provisional = true;
    plan_need(&m->plan, s, 0, false);
    if (b->copy == COPY_AT_WORKER) {
        struct master_action *x = master_act(m, MASTER_DO_PULL);
        if (x != NULL) {
            x->link = m->roster.by_index[b->worker]->link;
            x->slice = s->slice;
            x->attempt = b->attempt;
            x->files = b->files;
            x->file_count = b->file_count;
            b->copy = COPY_PULLING;
        }
    } else if (b->copy == COPY_HERE) {
        bool good = b->class == OUTCOME_EXITED && b->code == 0;
        if (m->config.judged && good) {
            struct master_action *x = master_act(m, MASTER_DO_JUDGE);
            if (x != NULL) {
                x->slice = s->slice;
                x->attempt = b->attempt;
            }
        } else {
            seal_agreed(m, s, (uint8_t)source, d->basis, false);
        }
    }
}

/* Votes that agree; where the master cannot run the slice itself, a quorum settles disputes too. */
static bool agreed(const struct master *m, const struct open_slice *s, struct tally_decision *d)
{
    tally_decide(&s->tally, &m->config.rule, d);
    return d->verdict == TALLY_AGREED ||
           (d->verdict == TALLY_DISPUTED && !m->config.own_can_run && d->missing == 0);
}

void master_decide(struct master *m, struct open_slice *s)
{
    if (s->provisional || s->final_queued || m->broken) {
        return;
    }
    struct tally_decision d;
    s->bytes_wanted = false;
    if (agreed(m, s, &d)) {
        settle(m, s, &d);
        return;
    }
    bool disputed = d.verdict == TALLY_DISPUTED && m->config.own_can_run;
    plan_need(&m->plan, s, d.missing > 0 ? d.missing : 1, disputed);
}

/* --- what comes back from the shell ----------------------------------------------------------- */

/* The slice and ballot that an event of the shell is about; false when decided meanwhile. */
static bool locate(const struct master *m, const struct master_event *ev, struct open_slice **s,
                   struct ballot **b)
{
    *s = plan_slice(&m->plan, ev->slice);
    *b = *s != NULL ? tally_find(&(*s)->tally, ev->attempt) : NULL;
    return *b != NULL && !(*s)->final_queued && m->ending == 0;
}

void master_on_pulled(struct master *m, const struct master_event *ev)
{
    struct open_slice *s;
    struct ballot *b;
    /* Also of before a resume: then nobody knows here what was pulled, and it is had once more. */
    if (!locate(m, ev, &s, &b) || b->copy != COPY_PULLING) {
        if (ev->status == PN_OK && (b == NULL || b->copy != COPY_HERE)) {
            master_let_go_copy(m, ev->slice, ev->attempt);
        }
        return;
    }
    s->provisional = false;
    if (ev->status != PN_OK) {
        b->copy = COPY_LOST;
        if (m->roster.by_index[b->worker]->link != 0) { /* it is there and has not got them */
            plan_back_off(&m->plan, s, m->now_ms);
        }
        master_decide(m, s);
        if (s->bytes_wanted && s->give_ups >= PLAN_GIVE_UPS_MAX) {
            master_no_more_voters(m, s);
        }
        return;
    }
    b->copy = COPY_HERE;
    for (uint8_t i = 0; i < b->file_count; i++) {
        struct record *r = master_record(m, RECORD_OUTPUT);
        if (r == NULL) {
            return;
        }
        r->output = (struct record_output){
            .slice = s->slice,
            .attempt = b->attempt,
            .index = b->files[i].index,
            .size = b->files[i].size,
            .root = b->files[i].root,
            .in_file = true,
        };
    }
    master_decide(m, s);
}

void master_on_judged(struct master *m, const struct master_event *ev)
{
    struct open_slice *s;
    struct ballot *b;
    if (!locate(m, ev, &s, &b) || b->copy != COPY_HERE) {
        return;
    }
    s->provisional = false;
    struct tally_decision d;
    if (ev->truthful) {
        /* Votes may have been struck since: then it is judged again when enough agree. */
        if (agreed(m, s, &d) && ballots_agree(b, &s->tally.ballots[d.index])) {
            seal_agreed(m, s, (uint8_t)(b - s->tally.ballots), d.basis, ev->answer);
        } else {
            master_decide(m, s);
        }
    } else if (b->own) {
        master_give_up_slice(m, s); /* our own run: a defect of the program, not a lie */
    } else {
        uint32_t worker = b->worker;
        convict(m, worker, s, b->attempt,
                ev->reason != NULL ? ev->reason : "the job's own check of its output failed");
        master_strike(m, m->roster.by_index[worker]);
        master_decide(m, s); /* its ballot is gone: who is next? */
    }
}

void master_strike(struct master *m, struct worker_entry *w)
{
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&m->plan.open, &place)) != NULL;) {
        if (!s->final_queued && tally_strike(&s->tally, w->plan.index)) {
            s->provisional = false;
            master_decide(m, s);
            plan_reconsider(&m->plan, s);
        }
    }
}

/* --- final and durable ------------------------------------------------------------------------ */

void master_let_go_copy(struct master *m, uint64_t slice, uint64_t attempt)
{
    struct master_action *x = master_act(m, MASTER_DO_RELEASE);
    if (x != NULL) {
        x->slice = slice;
        x->attempt = attempt;
    }
}

static void call_off(struct master *m, struct open_slice *s)
{
    while (s->attempts != NULL) {
        struct attempt *a = s->attempts;
        const struct worker_entry *w = m->roster.by_index[a->by->index];
        if (w->link != 0) {
            master_send_attempt(m, w->link, FRAME_CANCEL, s->slice, a->id, 0);
        }
        plan_ended(&m->plan, a);
    }
}

static void let_go(struct master *m, struct open_slice *s, uint64_t kept_attempt)
{
    const struct ballot *kept = tally_find(&s->tally, kept_attempt);
    for (uint8_t i = 0; i < s->tally.count; i++) {
        const struct ballot *b = &s->tally.ballots[i];
        struct worker_entry *w = m->roster.by_index[b->worker];
        if (kept != NULL && ballots_agree(b, kept)) {
            w->accepted++;
        }
        if (w->link != 0) {
            master_send_attempt(m, w->link, FRAME_RELEASE, s->slice, b->attempt, 0);
        }
        if (b->attempt != kept_attempt && b->copy == COPY_HERE && b->file_count > 0) {
            master_let_go_copy(m, s->slice, b->attempt);
        }
    }
    call_off(m, s);
}

/* Nothing above the lowest answer matters any more. */
static void limit_to(struct master *m, uint64_t answer)
{
    plan_set_limit(&m->plan, answer);
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&m->plan.open, &place)) != NULL;) {
        if (s->slice > answer) {
            call_off(m, s);
        }
    }
}

void master_sealed(struct master *m, const struct master_sealing *sealing)
{
    struct open_slice *s = plan_slice(&m->plan, sealing->slice);
    if (s == NULL) {
        return;
    }
    let_go(m, s, sealing->attempt);
    plan_close(&m->plan, sealing->slice);
    m->stats.final_count++;
    m->stats.failed_count += !sealing->good;
    if (sealing->answer) {
        m->stats.answer_count++;
        if (sealing->slice < m->answer_slice) {
            m->answer_slice = sealing->slice;
        }
        if (m->config.stop == STOP_LOWEST) {
            limit_to(m, m->answer_slice);
        }
    }
    struct master_action *x = master_act(m, MASTER_TELL_FINAL);
    if (x != NULL) {
        x->slice = sealing->slice;
        x->attempt = sealing->attempt;
    }
    m->filled_round = UINT64_MAX; /* its workers have room again */
}
