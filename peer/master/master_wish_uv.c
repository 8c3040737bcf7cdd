/* Orders that change how a run stands: answered when that is durable, or cannot become so. */
#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "peer/master/master_shell.h"

/* Somebody waits until batch seq is durable. */
struct wish {
    struct wish *next;
    uint64_t seq;
    bool cancel; /* and the run must have ended by that */
    leads_on_done *on_done;
    void *arg;
};

static void keep(struct lead *d, struct wish *w)
{
    w->seq = d->seq;
    w->next = d->wishes;
    d->wishes = w;
    lead_answer_wishes(d);
}

void lead_answer_wishes(struct lead *d)
{
    for (struct wish **link = &d->wishes; *link != NULL;) {
        struct wish *w = *link;
        if (w->seq > d->committed_seq) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        struct pn_err err;
        enum pn_status status = PN_OK;
        if (w->cancel && d->state != JOB_CANCELLED) {
            status = pn_fail(&err, PN_E_BUSY, "the job had ended before");
        }
        w->on_done(w->arg, status, status == PN_OK ? NULL : &err);
        free(w);
    }
}

void lead_break_wishes(struct lead *d, const char *cause)
{
    struct pn_err err;
    (void)pn_fail(&err, PN_E_CLOSED, "not done: %s", cause);
    while (d->wishes != NULL) {
        struct wish *w = d->wishes;
        d->wishes = w->next;
        w->on_done(w->arg, PN_E_CLOSED, &err);
        free(w);
    }
}

static struct lead *find(const struct leads *l, const struct digest *job, struct pn_err *err)
{
    struct lead *d = leads_find(l, job);
    if (d == NULL) {
        (void)pn_fail(err, PN_E_NOT_FOUND, "no such job is led here");
    } else if (d->stalled_ms != 0) {
        (void)pn_fail(err, PN_E_CLOSED, "not done: the run is stalled: %s", d->stall);
        return NULL;
    }
    return d;
}

static struct wish *wish_new(bool cancel, leads_on_done *on_done, void *arg, struct pn_err *err)
{
    struct wish *w = calloc(1, sizeof *w);
    if (w == NULL) {
        (void)pn_fail(err, PN_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    w->cancel = cancel;
    w->on_done = on_done;
    w->arg = arg;
    return w;
}

/* A run that has been stopped has no core that would write its end. */
static enum pn_status cancel_stopped(struct lead *d, const char *reason, struct pn_err *err)
{
    struct leads *l = d->of;
    struct record r = {.kind = RECORD_JOB_STATE,
                       .job_state = {.state = JOB_CANCELLED, .at_wall_ms = clock_wall_ms()}};
    (void)snprintf(r.job_state.reason, sizeof r.job_state.reason, "%s", reason);
    enum pn_status status = leads_ledger_usable(l, err);
    if (status == PN_OK) {
        status = ledger_commit(l->ledger, &d->job, &d->run, d->seq + 1, &r, 1);
        if (status != PN_OK) {
            (void)pn_fail(err, status, "the ledger takes no order now");
        }
    }
    if (status == PN_OK) {
        d->cancel_seq = ++d->seq;
        memcpy(d->reason, r.job_state.reason, sizeof d->reason);
    }
    return status;
}

enum pn_status leads_cancel(struct leads *l, const struct digest *job, const char *reason,
                            leads_on_done *on_done, void *arg, struct pn_err *err)
{
    struct pn_err why;
    struct lead *d = find(l, job, &why);
    struct wish *w = d != NULL ? wish_new(true, on_done, arg, &why) : NULL;
    enum pn_status status = w != NULL ? PN_OK : why.status;
    if (w != NULL && d->in_ledger && d->state == JOB_STOPPED) {
        status = d->cancel_seq != 0 ? PN_OK : cancel_stopped(d, reason, &why);
    } else if (w != NULL && d->core != NULL && d->state == JOB_RUNNING) {
        struct master_event ev = {.kind = MASTER_CANCEL, .reason = reason};
        status = lead_event(d, &ev, &why);
        if (status == PN_OK && d->stalled_ms != 0) {
            status = pn_fail(&why, PN_E_CLOSED, "not done: %s", d->stall);
        }
    } else if (w != NULL) {
        status = pn_fail(&why, PN_E_BUSY, "the job does not run");
    }
    if (status != PN_OK) {
        free(w);
        *err = why;
        return status;
    }
    keep(d, w);
    return PN_OK;
}

static enum pn_status resume(struct lead *d, struct pn_err *err)
{
    if (!d->in_ledger) {
        return leads_start(d->of, &d->job, 0, err);
    }
    if (d->cancel_seq != 0) {
        return pn_fail(err, PN_E_BUSY, "the job is being cancelled");
    }
    d->ordered = true;
    if (d->state == JOB_RUNNING) {
        return d->core != NULL ? PN_OK : lead_begin(d, false, err);
    }
    if (d->state != JOB_STOPPED && d->state != JOB_CANCELLED && d->state != JOB_TIMED_OUT) {
        return pn_fail(err, PN_E_BUSY, "the job has ended; there is nothing to resume");
    }
    enum pn_status status = leads_ledger_usable(d->of, err);
    return status == PN_OK ? lead_begin(d, true, err) : status;
}

enum pn_status leads_resume(struct leads *l, const struct digest *job, leads_on_done *on_done,
                            void *arg, struct pn_err *err)
{
    struct lead *d = find(l, job, err);
    if (d == NULL) {
        return err->status;
    }
    struct wish *w = wish_new(false, on_done, arg, err);
    if (w == NULL) {
        return PN_E_NO_MEMORY;
    }
    enum pn_status status = resume(d, err);
    if (status == PN_OK && d->stalled_ms != 0) {
        status = pn_fail(err, PN_E_CLOSED, "not done: %s", d->stall);
    }
    if (status != PN_OK) {
        free(w);
        return status;
    }
    keep(d, w);
    return PN_OK;
}
