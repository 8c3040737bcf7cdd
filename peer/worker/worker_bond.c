#include <stdlib.h>

#include "peer/wire/hire.h"
#include "peer/worker/worker_internal.h"

struct bond *bond_find(const struct worker *w, uint32_t link)
{
    struct bond *b = w->bonds;
    while (b != NULL && b->link != link) {
        b = b->next;
    }
    return b;
}

void bond_begin(struct worker *w, uint32_t link, const struct digest *master)
{
    if (bond_find(w, link) != NULL) {
        return;
    }
    struct bond *b = w->bond_count < WORKER_BONDS_MAX ? calloc(1, sizeof *b) : NULL;
    if (b == NULL) {
        return; /* then the link is good for the jobs it was dialled for, and no others */
    }
    b->link = link;
    b->master = *master;
    b->next = w->bonds;
    w->bonds = b;
    w->bond_count++;
}

void bond_end(struct worker *w, uint32_t link)
{
    struct bond **at = &w->bonds;
    while (*at != NULL && (*at)->link != link) {
        at = &(*at)->next;
    }
    struct bond *b = *at;
    if (b != NULL) {
        *at = b->next;
        w->bond_count--;
        free(b);
    }
}

static bool has_tie(const struct worker *w, uint32_t link)
{
    const struct tie *t = w->first;
    while (t != NULL && t->link != link) {
        t = t->next;
    }
    return t != NULL;
}

void bond_released(struct worker *w, uint32_t link)
{
    struct bond *b = bond_find(w, link);
    if (link == 0 || has_tie(w, link)) {
        return;
    }
    if (b == NULL) {
        worker_act_close(w, link, "the work is done");
        return;
    }
    b->since_ms = w->now_ms;
}

void bond_idle(struct worker *w, uint32_t link)
{
    if (!has_tie(w, link)) {
        worker_act_close(w, link, "no work for a while");
    }
}

static void reply(struct worker *w, const struct worker_event *ev, enum hire_reply r)
{
    size_t at = w->out->frames.len;
    worker_send_from(w, ev->link, at, hire_write_reply(ev->frame->request, r, &w->out->frames));
}

enum pn_status bond_offered(struct worker *w, const struct worker_event *ev, struct pn_err *err)
{
    struct digest job;
    enum pn_status status = hire_parse_offer(ev->frame->body, &job, err);
    if (status != PN_OK || ev->frame->request == 0) {
        return status != PN_OK ? status : pn_fail(err, PN_E_MALFORMED, "an offer without a number");
    }
    const struct tie *t = tie_by_job(w, &job);
    const struct bond *b = bond_find(w, ev->link);
    if (ev->status != PN_OK || b == NULL || (t != NULL && t->link != 0)) {
        reply(w, ev, HIRE_NEVER);
        return PN_OK;
    }
    bool waiting = rest_due(w, ev->link) || rest_of(w, &b->master);
    if (t == NULL && (worker_idle_slots(w) == 0 || waiting)) {
        reply(w, ev, HIRE_NOT_NOW);
        return PN_OK;
    }
    struct worker_action *x = worker_act(w, WORKER_TELL_HIRED);
    const struct worker_event engage = {.kind = WORKER_ENGAGE,
                                        .now_ms = ev->now_ms,
                                        .link = ev->link,
                                        .peer = b->master,
                                        .job = job};
    if (x == NULL || tie_room(w, &job) == NULL) {
        w->out->count -= x != NULL;
        reply(w, ev, HIRE_NOT_NOW);
        return PN_OK;
    }
    x->link = ev->link;
    x->job = job;
    reply(w, ev, HIRE_TAKE);
    return tie_engage(w, &engage, err);
}

void bond_leave_job(struct worker *w, uint32_t link, const struct digest *job, bool welcome)
{
    const struct hire_leave l = {*job, welcome ? HIRE_NO_WORK : HIRE_NOT_WELCOME};
    size_t at = w->out->frames.len;
    worker_send_from(w, link, at, hire_write_leave(&l, &w->out->frames));
}

void bond_tell_idle(struct worker *w)
{
    uint16_t idle = worker_idle_slots(w);
    for (struct bond *b = w->bonds; b != NULL; b = b->next) {
        if (b->idle_told != idle) {
            size_t at = w->out->frames.len;
            b->idle_told = idle;
            worker_send_from(w, b->link, at, hire_write_idle(idle, &w->out->frames));
        }
    }
}

void bond_tick(struct worker *w)
{
    for (struct bond *b = w->bonds; b != NULL; b = b->next) {
        if (!has_tie(w, b->link) && w->now_ms - b->since_ms >= WORKER_IDLE_MS) {
            worker_act_close(w, b->link, "no work for a while"); /* and then the link is down */
            b->since_ms = w->now_ms;
        }
    }
}

uint64_t bond_deadline_ms(const struct worker *w)
{
    uint64_t due = UINT64_MAX;
    for (const struct bond *b = w->bonds; b != NULL; b = b->next) {
        uint64_t end = b->since_ms + WORKER_IDLE_MS;
        due = end < due && !has_tie(w, b->link) ? end : due;
    }
    return due;
}
