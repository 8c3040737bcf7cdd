#include <stdlib.h>

#include "peer/worker/worker_internal.h"

uint32_t worker_next_request(struct worker *w)
{
    /* The high bit belongs to the transfer room (transfer_uv.h), 0 to one-way frames. */
    w->request = w->request >= 0x7fffffff ? 1 : w->request + 1;
    return w->request;
}

struct tie *tie_by_job(const struct worker *w, const struct digest *job)
{
    struct tie *t = w->first;
    while (t != NULL && !digest_equal(&t->job, job)) {
        t = t->next;
    }
    return t;
}

/* A link may carry several jobs of one master; the frame's job tells which. */
static struct tie *by_link(const struct worker *w, uint32_t link, const struct digest *job)
{
    struct tie *t = tie_by_job(w, job);
    return t != NULL && t->link == link ? t : NULL;
}

static void drop_all(struct worker *w, struct tie *t)
{
    while (t->first != NULL) {
        holding_drop(w, t, t->first);
    }
}

static void leave(struct worker *w, struct tie *t, const char *reason)
{
    drop_all(w, t);
    struct worker_action *x = worker_act(w, WORKER_TELL_LEFT);
    if (x != NULL) {
        x->link = t->link;
        x->job = t->job;
        x->reason = reason;
    }
    struct tie **link = &w->first;
    while (*link != t) {
        link = &(*link)->next;
    }
    *link = t->next;
    w->tie_count--;
    uint32_t used = t->own ? 0 : t->link;
    free(t);
    bond_released(w, used);
}

/* --- joining ---------------------------------------------------------------------------------- */

/* What is told to this master: own jobs take all slots, others share what own jobs leave. */
uint16_t tie_slots(const struct worker *w, const struct tie *t)
{
    if (t->count[HOLDING_VOTED] + t->count[HOLDING_KEPT] >= WORKER_KEPT_MAX) {
        return 0; /* the master is behind: until it has taken or released some */
    }
    if (t->own || w->config.slots == 0) {
        return w->config.slots;
    }
    uint32_t others = 0;
    for (const struct tie *o = w->first; o != NULL; o = o->next) {
        if (o->own && o->first != NULL) {
            return 0;
        }
        others += !o->own && o->phase >= TIE_ENLISTING;
    }
    uint32_t share = others > 1 ? w->config.slots / others : w->config.slots;
    return (uint16_t)(share > 0 ? share : 1);
}

static void list_held(struct work_enlist *m, const struct tie *t, bool voted)
{
    for (const struct holding *h = t->first; h != NULL; h = h->next) {
        if ((h->state >= HOLDING_VOTED) == voted && m->held_count < WORK_HELD_MAX) {
            m->held[m->held_count++] = (struct work_held){h->slice, h->attempt};
        }
    }
}

void tie_send_enlist(struct worker *w, struct tie *t, bool with_held)
{
    struct work_enlist *m = &w->enlist;
    m->job = t->job;
    m->run = t->run;
    m->key = w->config.key;
    m->held_count = 0;
    if (with_held) {
        list_held(m, t, false); /* first: a vote is sent again anyway, this only the list tells */
        list_held(m, t, true);
    }
    uint32_t request = worker_next_request(w);
    if (with_held) {
        t->request = request;
        t->phase = TIE_ENLISTING;
        t->since_ms = w->now_ms;
    }
    m->slots = w->leaving ? 0 : tie_slots(w, t);
    t->slots_told = m->slots;
    size_t at = w->out->frames.len;
    worker_send_from(w, t->link, at, work_write_enlist(request, m, &w->out->frames));
}

static struct tie *tie_add(struct worker *w, const struct digest *job, bool own)
{
    if (w->tie_count == WORKER_ENGAGEMENTS_MAX || w->leaving) {
        return NULL;
    }
    struct tie *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->job = *job;
    t->own = own;
    t->last = &t->first;
    struct tie **place = &w->first;
    while (*place != NULL && (!own || (*place)->own)) {
        place = &(*place)->next;
    }
    t->next = *place;
    *place = t;
    w->tie_count++;
    return t;
}

struct tie *tie_room(struct worker *w, const struct digest *job)
{
    struct tie *t = tie_by_job(w, job);
    return t != NULL ? t : tie_add(w, job, false);
}

/* Answers to votes that are out will not come. */
static void forget_asked(struct tie *t)
{
    t->votes_out = 0;
    for (struct holding *h = t->first; h != NULL; h = h->next) {
        h->request = 0;
    }
}

static void send_join(struct worker *w, struct tie *t)
{
    t->phase = TIE_JOINING;
    t->since_ms = w->now_ms;
    t->request = worker_next_request(w);
    size_t at = w->out->frames.len;
    worker_send_from(w, t->link, at, work_write_join(t->request, &t->job, &w->out->frames));
}

/*
 * Our own master has begun anew. What its earlier core was asked may have no answer: a core that
 * is broken gives none, and the link between us does not break.
 */
static void ask_anew(struct worker *w, struct tie *t)
{
    switch (t->phase) {
    case TIE_JOINING:
        send_join(w, t);
        break;
    case TIE_ENLISTING:
    case TIE_ENLISTED:
        forget_asked(t);
        tie_send_enlist(w, t, true);
        break;
    case TIE_VETTING: /* it enlists after that */
    case TIE_DOWN:
        break;
    }
}

enum pn_status tie_engage(struct worker *w, const struct worker_event *ev, struct pn_err *err)
{
    struct tie *t = tie_by_job(w, &ev->job);
    if (t != NULL && t->link != 0) {
        if (t->link != ev->link) {
            return pn_fail(err, PN_E_EXISTS, "works for this job already");
        }
        if (t->own) {
            ask_anew(w, t);
        }
        return PN_OK;
    }
    /* Who has work of ours in hand is dialled for that; anybody else would only hold a slot. */
    bool in_hand = t != NULL && t->first != NULL;
    if (!ev->own && !in_hand && (rest_due(w, ev->link) || rest_of(w, &ev->peer))) {
        return pn_fail(err, PN_E_BUSY, "this master has left us waiting");
    }
    if (t == NULL) {
        t = tie_add(w, &ev->job, ev->own);
    }
    if (t == NULL) {
        return pn_fail(err, PN_E_FULL, "no room for another job");
    }
    t->link = ev->link;
    t->master = ev->peer;
    t->given = false;
    t->reserved = true;
    t->engaged_ms = w->now_ms;
    if (!ev->own) {
        bond_begin(w, ev->link, &ev->peer);
    }
    send_join(w, t);
    return PN_OK;
}

/* The longer the master has not let us enlist, the rarer: not the dial counts, but its success. */
static void set_dial(struct worker *w, struct tie *t)
{
    t->dial_ms = w->now_ms + random_backoff(&w->random, WORKER_REDIAL_MIN_MS, t->dial_count,
                                            WORKER_REDIAL_MAX_MS);
    t->dial_ms += t->dial_count > 0 ? WORKER_REDIAL_MIN_MS : 0;
}

void tie_link_down(struct worker *w, uint32_t link)
{
    struct tie *next;
    bond_end(w, link);
    for (struct tie *t = w->first; t != NULL; t = next) {
        next = t->next;
        if (t->link != link) {
            continue;
        }
        t->link = 0;
        t->phase = TIE_DOWN;
        t->lost_ms = t->lost_ms == 0 ? w->now_ms : t->lost_ms;
        set_dial(w, t);
        forget_asked(t);
        if (t->first == NULL || w->leaving) {
            leave(w, t, "its master is gone");
        }
    }
}

/* As if the link had just been lost: the master is dialled, and hears what is held. */
void tie_restored(struct worker *w, const struct worker_event *ev)
{
    struct tie *t = tie_room(w, &ev->job);
    struct holding *h = NULL;
    if (t != NULL && !t->run_known) {
        t->run = ev->run;
        t->run_known = true;
        t->lost_ms = w->now_ms;
        set_dial(w, t);
    }
    if (t != NULL && run_equal(&t->run, &ev->run) &&
        holding_find(t, ev->slice, ev->attempt) == NULL) {
        h = holding_add(t, ev->slice, ev->attempt);
    }
    if (h == NULL) { /* no room, or of two runs: there is one less */
        struct worker_action *x = worker_act(w, WORKER_DO_DROP);
        if (x != NULL) {
            x->job = ev->job;
            x->run = ev->run;
            x->slice = ev->slice;
            x->attempt = ev->attempt;
        }
    } else {
        holding_set(t, h, HOLDING_VOTED);
        if (holding_vote(w, t, h, ev->result) != PN_OK) {
            holding_drop(w, t, h);
        }
    }
    if (t != NULL && t->first == NULL) {
        leave(w, t, "nothing is left of its work");
    }
}

static enum pn_status on_join_answer(struct worker *w, struct tie *t, struct pn_bytes body,
                                     struct pn_err *err)
{
    struct work_join_answer a;
    enum pn_status status = work_parse_join_answer(body, &a, err);
    if (status != PN_OK) {
        return status;
    }
    if (t->run_known && !run_equal(&t->run, &a.run)) {
        drop_all(w, t); /* started anew since: what is in hand is of the past */
        t->vetted = false;
    }
    t->run = a.run;
    t->run_known = true;
    if (t->vetted) {
        tie_send_enlist(w, t, true);
        return PN_OK;
    }
    struct worker_action *x = worker_act(w, WORKER_DO_VET);
    if (x == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "join: out of memory"); /* and the link goes */
    }
    t->phase = TIE_VETTING;
    x->link = t->link;
    x->job = t->job;
    x->run = t->run;
    x->welcome = a;
    return PN_OK;
}

void tie_vetted(struct worker *w, const struct worker_event *ev)
{
    struct tie *t = tie_by_job(w, &ev->job);
    if (t == NULL || t->phase != TIE_VETTING) {
        return;
    }
    if (ev->status == PN_OK) {
        t->vetted = true;
        tie_send_enlist(w, t, true);
        return;
    }
    uint32_t link = t->own ? 0 : t->link;
    bool passing = ev->status == PN_E_CLOSED || ev->status == PN_E_NO_MEMORY;
    if (passing && link != 0 && t->first != NULL) { /* what is in hand is worth another try */
        worker_act_close(w, link, ev->text != NULL ? ev->text : "its papers could not be had");
        return;
    }
    const struct digest job = t->job;
    leave(w, t, ev->text != NULL ? ev->text : "not welcome here");
    if (ev->status != PN_E_DENIED) {
        worker_act_close(w, link, "its papers are not in order");
    } else if (link != 0) {
        bond_leave_job(w, link, &job, false);
    }
}

static void on_enlisted(struct worker *w, struct tie *t)
{
    t->phase = TIE_ENLISTED;
    t->request = 0;
    t->since_ms = w->now_ms;
    t->lost_ms = 0;
    t->dial_count = 0;
    for (struct holding *h = t->first; h != NULL; h = h->next) {
        h->to_send = h->state == HOLDING_VOTED || h->state == HOLDING_KEPT;
    }
    holding_send_votes(w, t);
}

/* --- frames of a master ----------------------------------------------------------------------- */

/* What crossed our leaving: the master need not wait for a lease to run out. */
static void hand_back(struct worker *w, uint32_t link, const struct work_attempt *a)
{
    const struct work_give_up g = {.what = *a, .reason = WORK_LEAVING};
    size_t at = w->out->frames.len;
    worker_send_from(w, link, at, work_write_give_up(&g, &w->out->frames));
}

static enum pn_status on_assign(struct worker *w, struct tie *t, const struct work_attempt *a,
                                struct pn_err *err)
{
    if (t->phase != TIE_ENLISTED) {
        return PN_OK; /* not before our list of what we hold: the answer to that decides */
    }
    if (w->leaving || (w->config.slots == 0 && !t->own)) {
        hand_back(w, t->link, a);
        return PN_OK;
    }
    if (t->count[HOLDING_QUEUED] >= w->place_count * WORKER_QUEUED_PER_PLACE) {
        return pn_fail(err, PN_E_TOO_BIG, "assign: %u slices wait here already",
                       t->count[HOLDING_QUEUED]);
    }
    if (t->count[HOLDING_VOTED] + t->count[HOLDING_KEPT] >=
        WORKER_KEPT_MAX + w->place_count * WORKER_QUEUED_PER_PLACE) {
        return pn_fail(err, PN_E_TOO_BIG, "assign: %u votes wait for an answer, %u for a release",
                       t->count[HOLDING_VOTED], t->count[HOLDING_KEPT]);
    }
    struct holding *h = holding_find(t, a->slice, a->attempt);
    if (h != NULL) { /* the master could not have its outputs, and asks for them once more */
        h->to_send = h->state >= HOLDING_VOTED;
        holding_send_votes(w, t);
        return PN_OK;
    }
    if (holding_add(t, a->slice, a->attempt) == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "assign: out of memory");
    }
    t->since_ms = w->now_ms;
    t->given = true;
    t->reserved = true; /* it means it: its next slice finds the place free */
    if (t->files == FILES_NONE) {
        t->files = worker_act_on(w, WORKER_DO_FETCH, t, NULL) ? FILES_FETCHING : FILES_NONE;
    }
    return PN_OK;
}

static enum pn_status on_attempt_frame(struct worker *w, const struct worker_event *ev,
                                       struct pn_err *err)
{
    struct work_attempt a;
    enum pn_status status = work_parse_attempt(ev->frame->type, ev->frame->body, &a, err);
    if (status != PN_OK) {
        return status;
    }
    struct tie *t = by_link(w, ev->link, &a.job);
    if (t == NULL || !t->run_known || !run_equal(&t->run, &a.run)) {
        if (ev->frame->type == FRAME_ASSIGN) { /* of an engagement that is over */
            hand_back(w, ev->link, &a);
        }
        return PN_OK;
    }
    if (ev->frame->type == FRAME_ASSIGN) {
        return on_assign(w, t, &a, err);
    }
    struct holding *h = holding_find(t, a.slice, a.attempt);
    if (h != NULL && (ev->frame->type == FRAME_CANCEL || h->state >= HOLDING_VOTED)) {
        holding_drop(w, t, h);
    }
    return PN_OK;
}

static enum pn_status on_vote_answer(struct worker *w, const struct worker_event *ev,
                                     struct pn_err *err)
{
    enum work_disposition d;
    enum pn_status status = work_parse_vote_answer(ev->frame->body, &d, err);
    if (status != PN_OK) {
        return status;
    }
    for (struct tie *t = w->first; t != NULL; t = t->next) {
        struct holding *h = t->link == ev->link ? t->first : NULL;
        while (h != NULL && h->request != ev->frame->request) {
            h = h->next;
        }
        if (h == NULL || h->request == 0) {
            continue;
        }
        holding_answered(t, h);
        if (d == WORK_DROP || h->whole) {
            holding_drop(w, t, h);
        } else if (h->state == HOLDING_VOTED) {
            holding_set(t, h, HOLDING_KEPT);
        }
        holding_send_votes(w, t);
        return PN_OK;
    }
    return PN_OK; /* released meanwhile */
}

static enum pn_status on_ended(struct worker *w, const struct worker_event *ev, struct pn_err *err)
{
    struct work_ended m;
    enum pn_status status = work_parse_ended(ev->frame->body, &m, err);
    if (status != PN_OK) {
        return status;
    }
    struct tie *t = by_link(w, ev->link, &m.job);
    if (t != NULL && t->run_known && run_equal(&t->run, &m.run)) {
        leave(w, t, "the run is over");
    }
    return PN_OK;
}

/* The tie that asked JOIN or ENLIST under this number; NULL when there is none. */
static struct tie *asked(const struct worker *w, uint32_t link, uint32_t request)
{
    struct tie *t = w->first;
    while (t != NULL && (t->link != link || t->request != request || request == 0)) {
        t = t->next;
    }
    return t;
}

enum pn_status tie_frame(struct worker *w, const struct worker_event *ev, struct pn_err *err)
{
    bool answer = (ev->frame->flags & FRAME_ANSWER) != 0;
    struct tie *t =
        answer || ev->frame->type == FRAME_ERROR ? asked(w, ev->link, ev->frame->request) : NULL;
    switch (ev->frame->type) {
    case FRAME_JOIN:
        return t != NULL && t->phase == TIE_JOINING ? on_join_answer(w, t, ev->frame->body, err)
                                                    : PN_OK;
    case FRAME_ENLIST:
        if (t != NULL && t->phase == TIE_ENLISTING) {
            on_enlisted(w, t);
        }
        return PN_OK;
    case FRAME_ERROR:
        if (t != NULL) {
            leave(w, t, "its master refused us");
        }
        return PN_OK;
    case FRAME_ASSIGN:
    case FRAME_CANCEL:
    case FRAME_RELEASE:
        return on_attempt_frame(w, ev, err);
    case FRAME_VOTE:
        return on_vote_answer(w, ev, err);
    case FRAME_ENDED:
        return on_ended(w, ev, err);
    case FRAME_OFFER:
        return bond_offered(w, ev, err);
    default:
        return pn_fail(err, PN_E_MALFORMED, "frame %u is nothing for a worker", ev->frame->type);
    }
}

/* --- files, time ------------------------------------------------------------------------------ */

void tie_files(struct worker *w, const struct worker_event *ev)
{
    struct tie *t = tie_by_job(w, &ev->job);
    if (t == NULL || t->files != FILES_FETCHING) {
        return;
    }
    if (ev->status == PN_OK) {
        t->files = FILES_HERE;
        return;
    }
    t->files = FILES_NONE;
    struct holding *next;
    for (struct holding *h = t->first; h != NULL; h = next) {
        next = h->next;
        if (h->state == HOLDING_QUEUED) {
            holding_give_up(w, t, h, WORK_NO_FILES, ev->text);
        }
    }
}

/* Until when a newly engaged master has a slot for its first slice; UINT64_MAX: not in question. */
static uint64_t reserved_until_ms(const struct tie *t)
{
    bool newly = !t->own && t->reserved && !t->given && t->phase != TIE_DOWN && t->first == NULL;
    return newly ? t->engaged_ms + WORKER_RESERVED_MS : UINT64_MAX;
}

void tie_tick(struct worker *w, struct tie *t)
{
    bool asking = t->phase == TIE_JOINING || t->phase == TIE_ENLISTING;
    bool idle = !t->own && t->phase == TIE_ENLISTED && t->first == NULL;
    if (w->now_ms >= reserved_until_ms(t)) {
        t->reserved = false;
    }
    if (asking && t->own && w->now_ms - t->since_ms >= WORKER_ANSWER_MS) {
        ask_anew(w, t); /* a frame was lost for want of memory, and this link does not break */
    } else if (asking && w->now_ms - t->since_ms >= WORKER_ANSWER_MS) {
        if (!rest_of(w, &t->master)) { /* once, however many jobs it has offered */
            rest_begin(w, &t->master);
        }
        worker_act_close(w, t->link, "no answer from the master"); /* and then the link is down */
        t->since_ms = w->now_ms;
    } else if (idle && w->now_ms - t->since_ms >= WORKER_IDLE_MS) {
        uint32_t link = t->link;
        bond_leave_job(w, link, &t->job, true);
        leave(w, t, "its master had no work for a while");
        bond_idle(w, link);
    } else if (t->phase == TIE_DOWN && w->now_ms - t->lost_ms >= WORKER_LOST_MS) {
        leave(w, t, "its master stayed away");
    } else if (t->phase == TIE_DOWN && w->now_ms >= t->dial_ms) {
        if (worker_act_on(w, WORKER_DO_DIAL, t, NULL)) { /* lost: the next dial is due later */
            w->out->list[w->out->count - 1].dials = t->dial_count;
        }
        t->dial_count++;
        set_dial(w, t);
    }
}

static uint64_t phase_deadline_ms(const struct tie *t)
{
    switch (t->phase) {
    case TIE_DOWN: {
        uint64_t end = t->lost_ms + WORKER_LOST_MS;
        return t->dial_ms < end ? t->dial_ms : end;
    }
    case TIE_JOINING:
    case TIE_ENLISTING:
        return t->since_ms + WORKER_ANSWER_MS;
    case TIE_VETTING:
        break;
    case TIE_ENLISTED:
        if (!t->own && t->first == NULL) {
            return t->since_ms + WORKER_IDLE_MS;
        }
        break;
    }
    return UINT64_MAX;
}

uint64_t tie_deadline_ms(const struct tie *t)
{
    uint64_t phase = phase_deadline_ms(t);
    uint64_t reserved = reserved_until_ms(t);
    return reserved < phase ? reserved : phase;
}
