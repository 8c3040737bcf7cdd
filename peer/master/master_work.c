#include "peer/master/master_internal.h"
#include "peer/wire/hire.h"

enum {
    SHORT_LOOKED_AT = 256, /* ready slices per tick */
    REST_MIN_MS = 1000,    /* after giving a slice up; doubles while nothing succeeds */
    REST_MAX_MS = 5 * 60 * 1000,
};

static bool is_here(const struct master *m, const struct worker_entry *w)
{
    return w->link != 0 && w->enlisted && !w->liar && m->stats.state == JOB_RUNNING &&
           m->ending == 0 && !m->broken && m->started;
}

static bool takes_work(const struct master *m, const struct worker_entry *w)
{
    return is_here(m, w) && m->now_ms >= w->rest_until_ms;
}

static bool counts_slots(const struct master *m, const struct worker_entry *w)
{
    return m->config.slots_max > 0 && !w->own;
}

static void rest(struct master *m, struct worker_entry *w)
{
    w->rest_until_ms = m->now_ms + REST_MIN_MS +
                       random_backoff(&m->plan.random, REST_MIN_MS, w->gave_up_in_row, REST_MAX_MS);
    w->gave_up_in_row = w->gave_up_in_row < UINT8_MAX ? w->gave_up_in_row + 1 : UINT8_MAX;
}

bool master_is_ours(const struct master *m, const struct digest *job, const struct run *run)
{
    return digest_equal(job, &m->config.job) && run_equal(run, &m->config.run);
}

void master_tell_ended(struct master *m, struct worker_entry *w)
{
    if (w->link == 0) {
        return;
    }
    const struct work_ended e = {m->config.job, m->config.run,
                                 (uint8_t)(m->ending != 0 ? m->ending : m->stats.state)};
    size_t at;
    struct buffer *frames = master_frame_begin(m, &at);
    master_frame_end(m, w->link, at, work_write_ended(&e, frames));
}

void master_recall(struct master *m, struct worker_entry *w)
{
    for (const struct attempt *a = w->link != 0 ? w->plan.attempts : NULL; a != NULL;
         a = a->next_of_worker) {
        master_send_attempt(m, w->link, FRAME_CANCEL, a->of->slice, a->id, 0);
    }
}

/*
 * How many attempts a worker holds at once: its slots and a little more, so that a slot never waits
 * for the network. The shorter the slices, the more; long ones are not hoarded. What a worker with
 * more places than were hired got ahead it would run at once.
 */
static uint32_t wanted_outstanding(const struct worker_entry *w)
{
    uint32_t allowed = w->own ? UINT32_MAX : MASTER_NEWCOMER_SLICES + w->accepted;
    if (w->slots == 0 || w->slots < w->places) {
        return w->slots < allowed ? w->slots : allowed;
    }
    uint64_t mean = w->plan.mean_ms;
    uint64_t ahead = 1;
    if (mean > 0) {
        ahead = (uint64_t)w->slots * MASTER_PREFETCH_MS / mean;
        ahead = ahead < 1 ? 1 : ahead;
        uint64_t most = (uint64_t)w->slots * MASTER_PREFETCH_PER_SLOT;
        ahead = ahead > most ? most : ahead;
    }
    uint32_t wanted = w->slots + (uint32_t)ahead;
    return wanted < allowed ? wanted : allowed;
}

/* One more slice for the worker, which has taken long with others. NULL: none, or not for it. */
static struct attempt *take_straggler(struct master *m, struct worker_entry *w)
{
    bool known = w->own || w->plan.proven;
    uint32_t most =
        known || w->slots < MASTER_NEWCOMER_DOUBLES ? w->slots : MASTER_NEWCOMER_DOUBLES;
    if (w->plan.outstanding >= most) {
        return NULL;
    }
    struct attempt *a = plan_take_straggler(&m->plan, &w->plan, m->now_ms);
    m->stuck_count -= a != NULL && m->stuck_count > 0;
    return a;
}

static void assign(struct master *m, struct worker_entry *w, const struct attempt *a)
{
    uint64_t lease_s = (plan_lease_ms(&m->plan, &w->plan) + 999) / 1000;
    master_send_attempt(m, w->link, FRAME_ASSIGN, a->of->slice, a->id, (uint32_t)lease_s);
}

void master_fill_worker(struct master *m, struct worker_entry *w)
{
    if (!is_here(m, w)) {
        return;
    }
    /* The master's own run breaks ties: one at a time even where no slots are lent, or rest. */
    if (w->own && w->plan.outstanding < (w->slots > 0 ? w->slots : 1u)) {
        struct attempt *a = plan_take_own(&m->plan, &w->plan, m->now_ms);
        if (a != NULL) {
            assign(m, w, a);
        }
    }
    if (!takes_work(m, w)) {
        return;
    }
    /*
     * Attempts past their lease count: who takes and never answers is not fed for ever. Where slots
     * are counted, these are taken from it instead.
     */
    uint32_t wanted = wanted_outstanding(w);
    uint32_t late = counts_slots(m, w) ? 0 : w->plan.late_count;
    while (w->plan.outstanding + late < wanted) {
        struct attempt *a = plan_take(&m->plan, &w->plan, m->now_ms);
        if (a == NULL) {
            a = take_straggler(m, w);
        }
        if (a == NULL) {
            return;
        }
        assign(m, w, a);
    }
}

void master_note_room(struct master *m, struct worker_entry *w)
{
    if (!w->has_room) {
        w->has_room = true;
        w->room_next = NULL;
        *(m->roomy_last != NULL ? &m->roomy_last->room_next : &m->roomy) = w;
        m->roomy_last = w;
    }
}

void master_fill(struct master *m)
{
    if (m->roster.own != NULL && m->plan.own.member_count > 0) {
        master_fill_worker(m, m->roster.own);
    }
    while (m->roomy != NULL) {
        struct worker_entry *w = m->roomy;
        m->roomy = w->room_next;
        m->roomy_last = m->roomy != NULL ? m->roomy_last : NULL;
        w->has_room = false;
        master_fill_worker(m, w);
    }
    if (m->filled_round == m->plan.round) {
        return; /* nothing became ready since everybody was asked; steps fill their own worker */
    }
    m->filled_round = m->plan.round;
    for (struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        master_fill_worker(m, w);
    }
}

/* True when somebody who is here could still take the slice, now or when it has room. */
static bool somebody_suits(const struct master *m, const struct open_slice *s)
{
    for (const struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        if (takes_work(m, w) && w->slots > 0 && plan_suits(s, &w->plan)) {
            return true;
        }
    }
    return false;
}

/* Who is away for a moment is waited for: the shortage lasts, and so long nobody was given it. */
static bool wants_own(const struct master *m, const struct open_slice *s)
{
    uint64_t since_ms = s->given_ms > m->short_since_ms ? s->given_ms : m->short_since_ms;
    if (s->own_failed && m->now_ms - s->own_failed_ms < MASTER_OWN_AGAIN_MS) {
        return false;
    }
    return m->config.own_can_run && m->now_ms - since_ms >= MASTER_SHORT_MS;
}

void master_look_for_voters(struct master *m)
{
    bool short_now = false;
    uint64_t slice = bitset_next(&m->plan.ready, 0);
    for (int looked = 0; slice != BITSET_NONE && looked < SHORT_LOOKED_AT; looked++) {
        struct open_slice *s = plan_slice(&m->plan, slice);
        slice = bitset_next(&m->plan.ready, slice + 1);
        if (s == NULL || somebody_suits(m, s)) {
            continue;
        }
        short_now = true;
        if (m->short_since_ms == 0) {
            m->short_since_ms = m->now_ms;
        }
        if (wants_own(m, s)) {
            s->own_failed = false; /* or what stood in its way for a while does so for ever */
            plan_need(&m->plan, s, s->need, true);
        }
    }
    m->short_since_ms = short_now ? m->short_since_ms : 0;
    m->stats.short_of_voters = short_now;
}

/* --- hiring ----------------------------------------------------------------------------------- */

/* Our own slots are not hired. */
uint32_t master_hired_slots(const struct master *m)
{
    return m->roster.slot_count - (m->roster.own != NULL ? m->roster.own->slots : 0);
}

/*
 * Of the slots that may be hired, those that the worker would use. Who rests, or has taken slices
 * and let them go late, would only keep them from others; it may still vote on what it has.
 */
static uint32_t usable(const struct master *m, const struct worker_entry *w)
{
    uint32_t most = w->places < m->config.slots_max ? w->places : m->config.slots_max;
    uint32_t late = w->plan.late_count;
    if (!takes_work(m, w) || w->doubted || late >= most || (late > 0 && !w->plan.proven)) {
        return 0;
    }
    return most - late;
}

static uint16_t grantable(const struct master *m, const struct worker_entry *w)
{
    if (!counts_slots(m, w)) {
        return w->places;
    }
    uint32_t others = master_hired_slots(m) - w->slots;
    uint32_t left = m->config.slots_max > others ? m->config.slots_max - others : 0;
    uint32_t use = usable(m, w);
    return (uint16_t)(use < left ? use : left);
}

/*
 * Nobody knows whether an unknown worker that takes very long works at all: others do what it has.
 * While nothing is measured one is tried in the place of another ever more rarely.
 */
static void lose_patience(struct master *m, struct worker_entry *w)
{
    uint64_t patience_ms = plan_patience_ms(&m->plan);
    if (w->doubted ||
        !plan_silent(&w->plan, patience_ms > 0 ? 2 * patience_ms : m->unheard_ms, m->now_ms)) {
        return;
    }
    w->doubted = true;
    plan_worker_lost(&m->plan, &w->plan);
    if (patience_ms == 0) {
        m->unheard_ms *= 2;
    }
}

void master_rehire(struct master *m)
{
    if (m->config.slots_max == 0) {
        return;
    }
    for (struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        if (w->own) {
            continue;
        }
        lose_patience(m, w);
        uint32_t use = usable(m, w);
        if (w->slots > use) {
            roster_set_slots(&m->roster, w, (uint16_t)use);
        }
    }
    for (struct worker_entry *w = m->roster.here; w != NULL; w = w->here_next) {
        if (!w->own && w->slots < w->places) {
            roster_set_slots(&m->roster, w, grantable(m, w));
        }
    }
}

/* --- joining ---------------------------------------------------------------------------------- */

static enum pn_status on_join(struct master *m, const struct master_event *ev, struct pn_err *err)
{
    struct digest job;
    enum pn_status status = work_parse_join(ev->frame->body, &job, err);
    if (status != PN_OK) {
        return status;
    }
    size_t at;
    struct buffer *frames = master_frame_begin(m, &at);
    status = work_write_join_answer(ev->frame->request, &m->config.welcome, frames);
    master_frame_end(m, ev->link, at, status);
    return PN_OK;
}

/*
 * What the worker still has in hand goes on under a new lease; what it no longer has is forgotten;
 * what is decided meanwhile is called off.
 */
static void take_up_held(struct master *m, struct worker_entry *w, const struct work_enlist *e)
{
    for (uint16_t i = 0; i < e->held_count; i++) {
        const struct work_held *h = &e->held[i];
        if (!plan_issued(&m->plan, &w->plan, h->slice, h->attempt) || h->slice >= m->plan.limit ||
            bitset_has(&m->plan.closed, h->slice)) {
            master_send_attempt(m, w->link, FRAME_CANCEL, h->slice, h->attempt, 0);
            continue;
        }
        struct attempt *a = plan_find(&m->plan, &w->plan, h->slice, h->attempt);
        if (a != NULL) {
            plan_alive(&m->plan, a, m->now_ms, 0);
        } else if (plan_slice(&m->plan, h->slice) == NULL ||
                   tally_find(&plan_slice(&m->plan, h->slice)->tally, h->attempt) == NULL) {
            (void)plan_adopt(&m->plan, &w->plan, h->slice, h->attempt, m->now_ms);
        }
    }
    for (struct attempt *a = w->plan.attempts; a != NULL;) {
        struct attempt *next = a->next_of_worker;
        if (a->late) {
            plan_ended(&m->plan, a);
        }
        a = next;
    }
}

static enum pn_status on_enlist(struct master *m, const struct master_event *ev, struct pn_err *err)
{
    struct work_enlist *e = &m->enlist;
    enum pn_status status = work_parse_enlist(ev->frame->body, e, err);
    if (status != PN_OK) {
        return status;
    }
    struct digest id;
    public_key_peer_id(&e->key, &id);
    if (!digest_equal(&id, &ev->peer)) {
        return pn_fail(err, PN_E_MISMATCH, "enlist: the key is not the link's");
    }
    if (!master_is_ours(m, &e->job, &e->run)) {
        return pn_fail(err, PN_E_MISMATCH, "enlist: for another run");
    }
    struct worker_entry *w = roster_know(&m->roster, &ev->peer, ev->prefix, ev->own);
    if (w != NULL && w->link != 0 && w->link != ev->link) {
        /* It came back before we noticed that it had gone: what it had is late, as if we had. */
        master_close_link(m, w->link, "the worker has a newer link");
        master_on_link_down(m, w->link);
    }
    if (w == NULL || roster_connect(&m->roster, w, ev->link) != PN_OK) {
        return pn_fail(err, PN_E_FULL, "enlist: no room for another worker");
    }
    w->key = e->key; /* also of who comes too late: its votes are answered */
    size_t at;
    struct buffer *frames = master_frame_begin(m, &at);
    master_frame_end(m, ev->link, at, work_write_enlist_answer(ev->frame->request, frames));
    if (m->ending != 0 || m->stats.state != JOB_RUNNING || w->liar) {
        master_tell_ended(m, w);
        return PN_OK;
    }
    bool fresh = !w->enlisted;
    w->enlisted = true;
    w->since_ms = w->since_ms > 0 ? w->since_ms : m->now_ms;
    w->places = e->slots;
    if (fresh) {
        w->doubted = false;
        take_up_held(m, w, e);
    }
    roster_set_slots(&m->roster, w, grantable(m, w));
    master_fill_worker(m, w);
    return PN_OK;
}

void master_on_link_down(struct master *m, uint32_t link)
{
    struct worker_entry *w = roster_by_link(&m->roster, link);
    if (w != NULL) {
        roster_disconnect(&m->roster, w);
        plan_worker_lost(&m->plan, &w->plan);
    }
}

/* It wants nothing more of this job, though its link stays: as if that had gone. */
static enum pn_status on_leave(struct master *m, const struct master_event *ev, struct pn_err *err)
{
    struct hire_leave leave;
    enum pn_status status = hire_parse_leave(ev->frame->body, &leave, err);
    if (status == PN_OK && digest_equal(&leave.job, &m->config.job)) {
        master_on_link_down(m, ev->link);
    }
    return status;
}

/* --- reports ---------------------------------------------------------------------------------- */

static enum pn_status on_report(struct master *m, struct worker_entry *w, const struct frame *frame,
                                struct pn_err *err)
{
    struct work_progress p = {0};
    enum pn_status status = frame->type == FRAME_PROGRESS
                                ? work_parse_progress(frame->body, &p, err)
                                : work_parse_attempt(frame->type, frame->body, &p.what, err);
    if (status != PN_OK) {
        return status;
    }
    struct attempt *a = plan_find(&m->plan, &w->plan, p.what.slice, p.what.attempt);
    if (a == NULL || w->liar || !master_is_ours(m, &p.what.job, &p.what.run)) {
        return PN_OK; /* decided meanwhile, of another time, or of no worth */
    }
    uint64_t remaining_ms = 0;
    if (p.done > 0 && a->started_ms > 0) {
        double per_unit = (double)(m->now_ms - a->started_ms) / (double)p.done;
        double left = per_unit * (double)(p.total - p.done);
        double most = (double)m->config.time_limit_s * 1000;
        remaining_ms = (uint64_t)(left < most ? left : most);
    }
    plan_alive(&m->plan, a, m->now_ms, remaining_ms);
    return PN_OK;
}

void master_gave_up(struct master *m, struct worker_entry *w, struct attempt *a)
{
    struct open_slice *s = a->of;
    if (!w->own || master_hired_slots(m) > 0) { /* our own, alone, has nobody to leave it to */
        rest(m, w);
    }
    plan_gave_up(&m->plan, a, m->now_ms);
    if (s->provisional || s->final_queued || m->ending != 0 || m->stats.state != JOB_RUNNING) {
        return; /* others' votes have decided already, or the run is over */
    }
    if (s->give_ups < PLAN_GIVE_UPS_MAX) {
        return;
    }
    if (w->own && s->own_wanted) {
        master_own_run_failed(m, s);
    } else {
        master_no_more_voters(m, s);
    }
}

static enum pn_status on_give_up(struct master *m, struct worker_entry *w,
                                 const struct frame *frame, struct pn_err *err)
{
    struct work_give_up g;
    enum pn_status status = work_parse_give_up(frame->body, &g, err);
    if (status != PN_OK) {
        return status;
    }
    struct attempt *a = plan_find(&m->plan, &w->plan, g.what.slice, g.what.attempt);
    if (a == NULL || !master_is_ours(m, &g.what.job, &g.what.run)) {
        return PN_OK;
    }
    if (g.reason == WORK_LEAVING) {
        if (w->slots > 0 &&
            !w->own) { /* once, however much comes back: who returns at once waits */
            rest(m, w);
        }
        w->places = 0; /* until it enlists again */
        roster_set_slots(&m->roster, w, 0);
        plan_ended(&m->plan, a); /* nobody's fault: to the next, at once */
        return PN_OK;
    }
    master_gave_up(m, w, a);
    return PN_OK;
}

static enum pn_status on_vote_frame(struct master *m, struct worker_entry *w,
                                    const struct frame *frame, struct pn_err *err)
{
    struct work_vote v;
    enum pn_status status = work_parse_vote(frame->body, &v, err);
    return status != PN_OK ? status : master_on_vote(m, w, frame->request, &v, err);
}

static bool reports(uint8_t type)
{
    return type == FRAME_STARTED || type == FRAME_PROGRESS || type == FRAME_GIVE_UP;
}

enum pn_status master_on_frame(struct master *m, const struct master_event *ev, struct pn_err *err)
{
    if (ev->frame->type == FRAME_JOIN) {
        return on_join(m, ev, err);
    }
    if (ev->frame->type == FRAME_ENLIST) {
        return on_enlist(m, ev, err);
    }
    if (ev->frame->type == FRAME_LEAVE) {
        return on_leave(m, ev, err);
    }
    if (ev->frame->type == FRAME_IDLE) {
        return PN_OK; /* of all jobs that this peer leads: crew.h */
    }
    struct worker_entry *w = roster_by_link(&m->roster, ev->link);
    if (w == NULL && reports(ev->frame->type)) {
        return PN_OK; /* it crossed its own LEAVE: what it was given went to others then */
    }
    if (w == NULL) {
        return pn_fail(err, PN_E_DENIED, "frame %u before enlisting", ev->frame->type);
    }
    enum pn_status status;
    switch (ev->frame->type) {
    case FRAME_STARTED:
    case FRAME_PROGRESS:
        status = on_report(m, w, ev->frame, err);
        break;
    case FRAME_GIVE_UP:
        status = on_give_up(m, w, ev->frame, err);
        break;
    case FRAME_VOTE:
        status = on_vote_frame(m, w, ev->frame, err);
        break;
    default:
        return pn_fail(err, PN_E_MALFORMED, "frame %u is nothing for a master", ev->frame->type);
    }
    master_fill_worker(m, w);
    return status;
}
