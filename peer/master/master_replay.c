#include "peer/master/master_internal.h"

static enum pn_status replay_vote(struct master *m, const struct record_vote *v)
{
    if (v->slice >= m->config.slice_count || bitset_has(&m->plan.closed, v->slice)) {
        return PN_OK;
    }
    struct worker_entry *w = roster_know(&m->roster, &v->worker, v->prefix, v->own);
    struct open_slice *s = plan_open(&m->plan, v->slice);
    if (w == NULL || s == NULL) {
        return PN_E_NO_MEMORY;
    }
    w->key = v->worker_key;
    if (w->liar) {
        return PN_OK;
    }
    /* Without outputs there is nothing to lose; others are here when their rows follow. */
    struct digest empty;
    hash_outputs(v->class, v->code, NULL, 0, &empty);
    const struct ballot b = {
        .attempt = v->attempt,
        .worker = w->plan.index,
        .prefix = v->prefix,
        .outputs = v->outputs,
        .class = v->class,
        .code = v->code,
        .own = v->own,
        .copy = digest_equal(&empty, &v->outputs) ? COPY_HERE : COPY_LOST,
    };
    enum pn_status status = tally_add_take(&s->tally, &b);
    return status == PN_E_NO_MEMORY ? status : PN_OK;
}

static void replay_output(struct master *m, const struct record_output *o)
{
    struct open_slice *s = plan_slice(&m->plan, o->slice);
    struct ballot *b = s != NULL ? tally_find(&s->tally, o->attempt) : NULL;
    if (b != NULL) {
        b->copy = COPY_HERE; /* a vote and all its outputs' rows are one transaction */
        b->stored = o->in_file;
    }
}

static void replay_final(struct master *m, const struct record_final *f)
{
    if (f->slice >= m->config.slice_count || bitset_has(&m->plan.closed, f->slice)) {
        return;
    }
    plan_close(&m->plan, f->slice);
    master_count_final(m, f->slice, f->class == OUTCOME_EXITED && f->code == 0, f->answer);
    if (f->answer && m->config.stop == STOP_LOWEST) {
        plan_set_limit(&m->plan, m->answer_slice);
    }
}

static enum pn_status replay_lie(struct master *m, const struct record_lie *l)
{
    struct worker_entry *w = roster_know(&m->roster, &l->worker, 0, false); /* never our own */
    if (w == NULL) {
        return PN_E_NO_MEMORY;
    }
    m->stats.liar_count += !w->liar;
    w->liar = true;
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&m->plan.open, &place)) != NULL;) {
        (void)tally_strike(&s->tally, w->plan.index);
    }
    return PN_OK;
}

/* Who resumes what had timed out or was cancelled gives it its time anew. */
static void replay_job_state(struct master *m, const struct record_job_state *j)
{
    m->stats.state = j->state == JOB_STOPPED ? JOB_RUNNING : j->state;
    m->ran_before_ms = m->stats.state == JOB_RUNNING ? j->ran_ms : 0;
}

enum pn_status master_replay(struct master *m, const struct record *r)
{
    switch (r->kind) {
    case RECORD_VOTE:
        return replay_vote(m, &r->vote);
    case RECORD_OUTPUT:
        replay_output(m, &r->output);
        return PN_OK;
    case RECORD_FINAL:
        replay_final(m, &r->final);
        return PN_OK;
    case RECORD_LIE:
        return replay_lie(m, &r->lie);
    case RECORD_JOB_STATE:
        replay_job_state(m, &r->job_state);
        return PN_OK;
    }
    return PN_E_MALFORMED;
}

void master_retally(struct master *m)
{
    if (m->stats.state != JOB_RUNNING) {
        return;
    }
    size_t place = 0;
    for (struct open_slice *s; (s = table_next(&m->plan.open, &place)) != NULL;) {
        master_decide(m, s);
    }
}
