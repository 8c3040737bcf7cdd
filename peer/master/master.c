#include "peer/master/master.h"

#include <assert.h>
#include <stdlib.h>

#include "peer/master/master_internal.h"

struct master *master_new(const struct master_config *config)
{
    assert(config->slice_count > 0 && config->rule.quorum > 0);
    struct master *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    m->config = *config;
    struct plan_config plan = {
        .slice_count = config->slice_count,
        .copies = config->rule.proof ? 1 : config->rule.quorum,
        .time_limit_s = config->time_limit_s,
        .run = config->run,
        .seed = config->seed,
    };
    memcpy(plan.secret, config->secret, sizeof plan.secret);
    if (plan_init(&m->plan, &plan) != PN_OK) {
        free(m);
        return NULL;
    }
    roster_init(&m->roster, config->seed ^ 0x726f73746572u);
    m->stats.state = JOB_RUNNING;
    m->stats.slice_count = config->slice_count;
    m->answer_slice = BITSET_NONE;
    m->lowest_failed = BITSET_NONE;
    m->unheard_ms = PLAN_UNMEASURED_MS;
    m->timeout_at_ms = UINT64_MAX;
    m->note_at_ms = UINT64_MAX;
    m->tick_at_ms = UINT64_MAX;
    return m;
}

void master_free(struct master *m)
{
    if (m == NULL) {
        return;
    }
    plan_fini(&m->plan);
    roster_fini(&m->roster);
    heap_fini(&m->pulls);
    free(m->acks);
    free(m->sealings);
    free(m->lies);
    free(m->told);
    free(m->drops);
    free(m);
}

/* Where the job as a whole stands. NULL: memory is short, and the run is marked broken. */
static struct record_job_state *record_state(struct master *m, enum job_state state)
{
    struct record *r = master_record(m, RECORD_JOB_STATE);
    if (r == NULL) {
        return NULL;
    }
    r->job_state.state = state;
    r->job_state.at_wall_ms = m->now_wall_ms;
    r->job_state.ran_ms = m->ran_before_ms + (m->now_ms - m->started_ms);
    return &r->job_state;
}

/* The job's end is decided: recorded first, told to workers at once, to the user when durable. */
void master_end(struct master *m, enum job_state state, const char *reason)
{
    if (m->ending != 0 || m->stats.state != JOB_RUNNING || m->broken) {
        return;
    }
    struct record_job_state *j = record_state(m, state);
    if (j == NULL) {
        return;
    }
    j->answer_slice = m->answer_slice;
    if (reason != NULL) {
        memcpy(j->reason, reason, strnlen(reason, sizeof j->reason - 1));
    }
    m->ending = state;
    m->ending_seq = master_step_seq(m);
#ifndef PREON_DEFECT_END_UNTOLD
    for (struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        if (state == JOB_STOPPED) {
            master_recall(m, w);
        } else {
            master_tell_ended(m, w);
        }
    }
#endif
}

void master_check_end(struct master *m)
{
    if (m->stats.state != JOB_RUNNING || m->ending != 0) {
        return;
    }
    bool found = m->answer_slice != BITSET_NONE;
    bool all = m->stats.final_count == m->config.slice_count;
    if (m->config.stop == STOP_FIRST && found) {
        master_end(m, JOB_FOUND, NULL);
    } else if (m->config.stop == STOP_LOWEST && found) {
        while (m->closed_below < m->answer_slice && bitset_has(&m->plan.closed, m->closed_below)) {
            m->closed_below++;
        }
        if (m->closed_below >= m->answer_slice && m->lowest_failed < m->answer_slice) {
            master_end(m, JOB_FAILED, "a slice below the lowest answer failed");
        } else if (m->closed_below >= m->answer_slice) {
            master_end(m, JOB_FOUND, NULL);
        }
    } else if (all && m->stats.failed_count > 0) {
        master_end(m, JOB_FAILED, "some slices failed");
    } else if (all && m->config.search) {
        master_end(m, found ? JOB_FOUND : JOB_NONE, NULL);
    } else if (all) {
        master_end(m, JOB_DONE, NULL);
    }
}

static void tell_ended_durably(struct master *m)
{
    struct master_action *x = master_act(m, MASTER_TELL_ENDED);
    if (x != NULL) {
        x->state = m->stats.state;
    }
}

/* Takes the first `done` items off a queue. */
static void drop_first(void *list, size_t *count, size_t done, size_t item_bytes)
{
    *count -= done;
    if (done > 0) {
        memmove(list, (char *)list + done * item_bytes, *count * item_bytes);
    }
}

static void on_committed(struct master *m, uint64_t seq, enum pn_status status)
{
    if (status != PN_OK) {
        master_break(m, "the ledger could not be written");
        return;
    }
    m->committed_seq = seq;
    size_t done = 0;
    for (; done < m->ack_count && m->acks[done].seq <= seq; done++) {
        size_t at;
        struct buffer *frames = master_frame_begin(m, &at);
        master_frame_end(m, m->acks[done].link, at,
                         work_write_vote_answer(m->acks[done].request, WORK_KEEP, frames));
    }
    drop_first(m->acks, &m->ack_count, done, sizeof *m->acks);

    for (done = 0; done < m->lie_count && m->lies[done].seq <= seq; done++) {
        if (!master_grow((void **)&m->told, done, &m->told_cap, sizeof *m->told)) {
            master_break(m, "out of memory");
            break; /* the others wait for the next commit, which will not come */
        }
        m->told[done] = m->lies[done];
    }
    for (size_t i = 0; i < done; i++) {
        struct master_action *x = master_act(m, MASTER_TELL_LIE);
        if (x != NULL) {
            x->peer = m->told[i].peer;
            x->slice = m->told[i].slice;
            x->reason = m->told[i].reason;
        }
    }
    drop_first(m->lies, &m->lie_count, done, sizeof *m->lies);

    for (done = 0; done < m->drop_count && m->drops[done].seq <= seq; done++) {
        master_let_go_copy(m, m->drops[done].slice, m->drops[done].attempt);
    }
    drop_first(m->drops, &m->drop_count, done, sizeof *m->drops);

    for (done = 0; done < m->sealing_count && m->sealings[done].seq <= seq; done++) {
        master_sealed(m, &m->sealings[done]);
    }
    drop_first(m->sealings, &m->sealing_count, done, sizeof *m->sealings);

    if (m->ending != 0 && m->ending_seq <= seq && m->stats.state == JOB_RUNNING) {
        m->stats.state = m->ending;
        tell_ended_durably(m);
    }
    master_check_end(m);
}

static uint64_t note_interval_ms(const struct master *m)
{
    uint64_t part = m->config.timeout_ms / MASTER_NOTES;
    part = part > MASTER_TICK_MS ? part : MASTER_TICK_MS;
    return part < MASTER_NOTE_MS ? part : MASTER_NOTE_MS;
}

static void on_start(struct master *m)
{
    m->started = true;
    m->started_ms = m->now_ms;
    m->tick_at_ms = m->now_ms + MASTER_TICK_MS;
    if (m->config.timeout_ms > 0) {
        uint64_t left =
            m->config.timeout_ms > m->ran_before_ms ? m->config.timeout_ms - m->ran_before_ms : 0;
        m->timeout_at_ms = m->now_ms + left;
        m->note_at_ms = m->now_ms + note_interval_ms(m);
    }
    if (m->config.resumed) {
        m->stats.state = JOB_RUNNING;
        (void)record_state(m, JOB_RUNNING);
    }
#ifndef PREON_DEFECT_NO_RETALLY
    master_retally(m);
#endif
    if (m->stats.state != JOB_RUNNING) {
        tell_ended_durably(m); /* it may have stopped between the commit and the telling */
    }
    master_check_end(m);
}

static void on_tick(struct master *m)
{
    plan_tick(&m->plan, m->now_ms);
    master_rehire(m);
    if (m->now_ms >= m->timeout_at_ms) {
        m->timeout_at_ms = UINT64_MAX;
        master_end(m, JOB_TIMED_OUT, "the job's time is over");
        return;
    }
    if (m->now_ms >= m->note_at_ms && m->ending == 0) {
        m->note_at_ms = m->now_ms + note_interval_ms(m);
        (void)record_state(m, JOB_RUNNING);
    }
    if (m->now_ms >= m->tick_at_ms) {
        m->tick_at_ms = m->now_ms + MASTER_TICK_MS;
        master_look_for_voters(m);
#ifndef PREON_DEFECT_PULLS_AWAITED
        master_pulls_due(m);
#endif
        m->stuck_count = plan_stuck_count(&m->plan, m->now_ms);
        m->filled_round = UINT64_MAX; /* stragglers: look at every worker with room */
    }
}

/* What a broken step wanted written is not whole; what it promised waits for ever. */
static void end_broken(struct master *m)
{
    m->out->record_count = 0;
    struct master_action *x = m->broken_told ? NULL : master_act(m, MASTER_TELL_BROKEN);
    if (x != NULL) {
        x->reason = m->broken;
        m->broken_told = true;
    }
}

static enum pn_status apply(struct master *m, const struct master_event *ev, struct pn_err *err)
{
    switch (ev->kind) {
    case MASTER_START:
        on_start(m);
        break;
    case MASTER_FRAME:
        return master_on_frame(m, ev, err);
    case MASTER_LINK_DOWN:
        master_on_link_down(m, ev->link);
        break;
    case MASTER_COMMITTED:
        on_committed(m, ev->seq, ev->status);
        break;
    case MASTER_PULLED:
        master_on_pulled(m, ev);
        break;
    case MASTER_JUDGED:
        master_on_judged(m, ev);
        break;
    case MASTER_CANCEL:
        master_end(m, JOB_CANCELLED, ev->reason);
        break;
    case MASTER_STOP:
        master_end(m, JOB_STOPPED, ev->reason);
        break;
    case MASTER_TICK:
        on_tick(m);
        break;
    }
    return PN_OK;
}

enum pn_status master_step(struct master *m, const struct master_event *ev,
                           struct master_actions *out, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    m->out = out;
    m->now_ms = ev->now_ms;
    m->now_wall_ms = ev->now_wall_ms;
    out->count = 0;
    out->record_count = 0;
    out->frames.len = 0;

    if (m->broken == NULL) { /* else nothing is answered: workers keep what they hold */
        status = apply(m, ev, err);
    }
    if (m->broken == NULL) {
        master_fill(m);
    }
    if (m->broken != NULL) {
        end_broken(m);
    }
    out->seq = out->record_count > 0 ? ++m->seq : 0;
    m->out = NULL;
    return status;
}

uint64_t master_deadline_ms(const struct master *m)
{
    if (m->broken != NULL) {
        return m->broken_told ? UINT64_MAX : m->now_ms + MASTER_TICK_MS;
    }
    if (!m->started || m->stats.state != JOB_RUNNING) {
        return UINT64_MAX;
    }
    uint64_t due = plan_deadline_ms(&m->plan);
    due = m->timeout_at_ms < due ? m->timeout_at_ms : due;
    return m->tick_at_ms < due ? m->tick_at_ms : due;
}

void master_stats(const struct master *m, struct master_stats *out)
{
    *out = m->stats;
    out->open_count = m->plan.open.count;
    out->retry_count = m->plan.retries.count;
    out->pull_count = m->pull_count;
    out->late_count = 0;
    out->resting_count = 0;
    out->running_count = 0;
    out->worker_count = 0;
    for (const struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        out->running_count += w->plan.outstanding;
        out->late_count += w->enlisted ? w->plan.late_count : 0;
        out->worker_count += w->enlisted;
        out->resting_count += w->enlisted && m->now_ms < w->rest_until_ms;
    }
    out->slot_count = m->roster.slot_count;
    out->own_runs_wanted = (uint32_t)m->plan.own.member_count;
    out->mean_ms = m->plan.mean_ms;
    out->timeout_at_ms = m->timeout_at_ms;
    out->answer_slice = m->answer_slice;
}

uint32_t master_demand(const struct master *m)
{
    if (m->stats.state != JOB_RUNNING || m->ending != 0 || m->broken) {
        return 0;
    }
    /* Every step fills who is here: what is ready now, they are too busy for, or must not take. */
    uint64_t missing = (uint64_t)m->plan.ready.member_count + m->stuck_count;
    uint32_t hired = master_hired_slots(m);
    uint64_t most = UINT32_MAX;
    if (m->config.slots_max > 0) {
        most = m->config.slots_max > hired ? m->config.slots_max - hired : 0;
    }
    return (uint32_t)(missing < most ? missing : most);
}

const struct open_slice *master_open_slice(const struct master *m, uint64_t slice)
{
    return plan_slice(&m->plan, slice);
}

const struct ballot *master_ballot(const struct master *m, uint64_t slice, uint64_t attempt)
{
    const struct open_slice *s = plan_slice(&m->plan, slice);
    return s != NULL ? tally_find(&s->tally, attempt) : NULL;
}

bool master_slice_final(const struct master *m, uint64_t slice)
{
    return slice < m->config.slice_count && bitset_has(&m->plan.closed, slice);
}

bool master_wants_own(const struct master *m)
{
    return m->plan.own.member_count > 0 && (m->roster.own == NULL || m->roster.own->link == 0);
}

bool master_has_worker(const struct master *m, uint32_t link)
{
    return roster_by_link(&m->roster, link) != NULL;
}

const struct worker_entry *master_workers(const struct master *m) { return m->roster.first; }
