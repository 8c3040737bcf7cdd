#include "peer/master/master_internal.h"

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
    if (m->config.own_can_run && !s->own_failed) {
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

/* Nobody could run it; or somebody could: then a quorum of such decides, now or when they come. */
void master_own_run_failed(struct master *m, struct open_slice *s)
{
    s->own_failed = true;
    s->own_failed_ms = m->now_ms;
    s->give_ups = 0;
    if (s->tally.count == 0) {
        master_give_up_slice(m, s);
    } else {
        master_decide(m, s);
    }
}

/* master_strike must follow. */
static void convict(struct master *m, struct worker_entry *w, const struct open_slice *s,
                    uint64_t attempt, const char *reason)
{
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
    m->stats.liar_count++;
    w->places = 0;
    roster_set_slots(&m->roster, w, 0); /* for others, though it may keep its link */
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
            convict(m, m->roster.by_index[b->worker], s, b->attempt,
                    "its outcome differs from the master's own run");
            lies = true;
        }
    }
    if (lies) {
        master_strike(m);
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
        if (b->copy == COPY_HERE || (b->copy == COPY_PULLING && !b->late)) {
            return i;
        }
        if (b->copy == COPY_AT_WORKER && m->roster.by_index[b->worker]->link != 0) {
            found = i;
        }
    }
    return found;
}

/* Memory is short: then it is waited for as long as blocks come. */
static void expect_outputs(struct master *m, struct open_slice *s, const struct ballot *b)
{
    uint64_t kib = 0;
    for (uint8_t i = 0; i < b->file_count; i++) {
        kib += b->files[i].size / 1024 + 1;
    }
    uint64_t crowd = ++m->pull_count / MASTER_PULLS_AT_ONCE + 1;
    uint64_t due_ms = m->now_ms + MASTER_PULL_MIN_MS + kib * 1000 / MASTER_PULL_KIB_PER_S * crowd;
    heap_remove(&m->pulls, &s->pull);
    (void)heap_add(&m->pulls, &s->pull, due_ms);
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
            b->copy = COPY_PULLING;
            b->late = false;
            expect_outputs(m, s, b);
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

static bool own_may_run(const struct master *m, const struct open_slice *s)
{
    return m->config.own_can_run && !s->own_failed;
}

/* Votes that agree; where the master cannot run the slice itself, a quorum settles disputes too. */
static bool agreed(const struct master *m, const struct open_slice *s, struct tally_decision *d)
{
    tally_decide(&s->tally, &m->config.rule, d);
    return d->verdict == TALLY_AGREED ||
           (d->verdict == TALLY_DISPUTED && !own_may_run(m, s) && d->missing == 0);
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
    bool disputed = d.verdict == TALLY_DISPUTED && own_may_run(m, s);
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

void master_pulls_due(struct master *m)
{
    for (struct heap_node *n; (n = heap_first(&m->pulls)) != NULL && n->due <= m->now_ms;) {
        struct open_slice *s = heap_owner(n, struct open_slice, pull);
        heap_remove(&m->pulls, n);
        bool late = false;
        for (uint8_t i = 0; i < s->tally.count; i++) {
            struct ballot *b = &s->tally.ballots[i];
            late = late || (b->copy == COPY_PULLING && !b->late);
            b->late = b->copy == COPY_PULLING;
        }
        if (late && s->provisional && m->ending == 0) {
            s->provisional = false;
            master_decide(m, s);
        }
    }
}

static bool somebodys_copy_is_here(const struct open_slice *s)
{
    bool here = false;
    for (uint8_t i = 0; i < s->tally.count; i++) {
        here = here || s->tally.ballots[i].copy == COPY_HERE;
    }
    return here;
}

/* Ours is with nobody, or with who cannot give it: the bytes are had from elsewhere, or made again.
 */
static void lost_copy(struct master *m, struct open_slice *s, const struct ballot *b,
                      enum pn_status status, bool late)
{
    const struct worker_entry *w = m->roster.by_index[b->worker];
    if (w->own && w->link != 0 && status == PN_E_NOT_FOUND) {
        /* Handed over to an earlier core, which is gone: it is to run it, not to vote again. */
        master_send_attempt(m, w->link, FRAME_CANCEL, s->slice, b->attempt, 0);
    }
    if (!late && w->link != 0) { /* it is there and has not got them */
        plan_back_off(&m->plan, s, m->now_ms);
    }
    master_decide(m, s);
    if (s->bytes_wanted && s->give_ups >= PLAN_GIVE_UPS_MAX) {
        master_no_more_voters(m, s);
    }
}

static void record_files(struct master *m, const struct open_slice *s, const struct ballot *b)
{
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
}

void master_on_pulled(struct master *m, const struct master_event *ev)
{
    struct open_slice *s = plan_slice(&m->plan, ev->slice);
    struct ballot *b = s != NULL ? tally_find(&s->tally, ev->attempt) : NULL;
    bool here = ev->status == PN_OK;
    bool awaited = b != NULL && b->copy == COPY_PULLING;
    if (!awaited || (m->ending != 0 && !s->final_queued)) {
        /* Let go of; or of before a resume, when nobody knows what was pulled: it is had again. */
        if (here && (b == NULL || b->copy != COPY_HERE)) {
            master_let_go_copy(m, ev->slice, ev->attempt);
        }
        return;
    }
    bool late = b->late;
    /* Late: another copy may be on its way, and is forestalled, or be judged, and is not. */
    bool judging = late && s->provisional && somebodys_copy_is_here(s);
    if (!late) {
        heap_remove(&m->pulls, &s->pull);
    }
    b->late = false;
    b->copy = here ? COPY_HERE : COPY_LOST;
    b->stored = b->stored || here;
    m->pull_count--;
    if (s->final_queued) {
        return; /* dropped when that is durable */
    }
    if (!late || (here && !judging)) {
        s->provisional = false;
    }
    if (!here) {
        lost_copy(m, s, b, ev->status, late);
        return;
    }
    record_files(m, s, b);
    master_decide(m, s);
}

void master_on_judged(struct master *m, const struct master_event *ev)
{
    struct open_slice *s;
    struct ballot *b;
    if (!locate(m, ev, &s, &b) || b->copy != COPY_HERE) {
        return;
    }
    if (ev->status != PN_OK) { /* here, as we thought, but it could not be read */
        if (s->provisional) {
            s->provisional = false;
            b->copy = COPY_LOST;
            lost_copy(m, s, b, ev->status, false);
        }
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
        convict(m, m->roster.by_index[b->worker], s, b->attempt,
                ev->reason != NULL ? ev->reason : "the job's own check of its output failed");
        master_strike(m);
    }
}

static void drop_when_durable(struct master *m, const struct open_slice *s, const struct ballot *b)
{
    if (!master_grow((void **)&m->drops, m->drop_count, &m->drop_cap, sizeof *m->drops)) {
        master_break(m, "out of memory");
        return;
    }
    m->drops[m->drop_count++] =
        (struct master_pending_drop){master_step_seq(m), s->slice, b->attempt};
}

static bool strike_slice(struct master *m, struct open_slice *s)
{
    bool struck = false;
    for (uint8_t i = 0; i < s->tally.count;) {
        struct ballot *b = &s->tally.ballots[i];
#ifdef PREON_DEFECT_STRUCK_SINGLY
        if (struck) {
            break;
        }
#endif
        if (!m->roster.by_index[b->worker]->liar) {
            i++;
            continue;
        }
        master_unpull(m, s, b);
        if (b->stored) {
            drop_when_durable(m, s, b);
        }
        tally_remove(&s->tally, b);
        struck = true;
    }
    return struck;
}

/* A slice is weighed without any liar's vote: all convicted have been marked before. */
void master_strike(struct master *m)
{
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&m->plan.open, &place)) != NULL;) {
        while (!s->final_queued && strike_slice(m, s)) {
            s->provisional = false;
            master_decide(m, s);
            plan_reconsider(&m->plan, s);
        }
    }
}
