#include "peer/master/master_internal.h"

void master_let_go_copy(struct master *m, uint64_t slice, uint64_t attempt)
{
    struct master_action *x = master_act(m, MASTER_DO_RELEASE);
    if (x != NULL) {
        x->slice = slice;
        x->attempt = attempt;
    }
}

/* Its outputs are waited for no more. Our own worker hands over all the same: PULLED tells. */
void master_unpull(struct master *m, struct open_slice *s, struct ballot *b)
{
    if (b->copy != COPY_PULLING) {
        return;
    }
    struct master_action *x = master_act(m, MASTER_DO_UNPULL);
    if (x != NULL) {
        x->slice = s->slice;
        x->attempt = b->attempt;
    }
    if (!b->late) {
        heap_remove(&m->pulls, &s->pull);
    }
    b->copy = COPY_LOST;
    b->late = false;
    m->pull_count--;
}

static void call_off(struct master *m, struct open_slice *s)
{
    while (s->attempts != NULL) {
        struct attempt *a = s->attempts;
        struct worker_entry *w = m->roster.by_index[a->by->index];
        if (w->link != 0) {
            master_send_attempt(m, w->link, FRAME_CANCEL, s->slice, a->id, 0);
            master_note_room(m, w);
        }
        plan_ended(&m->plan, a);
    }
}

static void let_go(struct master *m, struct open_slice *s, uint64_t kept_attempt)
{
    const struct ballot *kept = tally_find(&s->tally, kept_attempt);
    for (uint8_t i = 0; i < s->tally.count; i++) {
        struct ballot *b = &s->tally.ballots[i];
        struct worker_entry *w = m->roster.by_index[b->worker];
        if (kept != NULL && ballots_agree(b, kept)) {
#ifndef PREON_DEFECT_CREDIT_LOST
            w->accepted++;
#endif
            w->plan.proven = true;
        }
        if (w->link != 0) {
            master_send_attempt(m, w->link, FRAME_RELEASE, s->slice, b->attempt, 0);
            master_note_room(m, w); /* its vote was true, perhaps: it may have more at once */
        }
        master_unpull(m, s, b);
        if (b->attempt != kept_attempt && b->stored) {
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

void master_count_final(struct master *m, uint64_t slice, bool good, bool answer)
{
    m->stats.final_count++;
    m->stats.failed_count += !good;
    m->stats.answer_count += answer;
    if (!good && slice < m->lowest_failed) {
        m->lowest_failed = slice;
    }
    if (answer && slice < m->answer_slice) {
        m->answer_slice = slice;
    }
}

void master_sealed(struct master *m, const struct master_sealing *sealing)
{
    struct open_slice *s = plan_slice(&m->plan, sealing->slice);
    if (s == NULL) {
        return;
    }
    let_go(m, s, sealing->attempt);
    heap_remove(&m->pulls, &s->pull);
    plan_close(&m->plan, sealing->slice);
    master_count_final(m, sealing->slice, sealing->good, sealing->answer);
    if (sealing->answer && m->config.stop == STOP_LOWEST) {
        limit_to(m, m->answer_slice);
    }
    struct master_action *x = master_act(m, MASTER_TELL_FINAL);
    if (x != NULL) {
        x->slice = sealing->slice;
        x->attempt = sealing->attempt;
    }
}
