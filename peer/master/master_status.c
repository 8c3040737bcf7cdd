#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "peer/master/master_shell.h"

enum { STILL_MS = 1000 }; /* that nothing is at work for a moment is no waiting */

struct job_slice lead_slice(const struct lead *d, uint64_t slice)
{
    return (struct job_slice){
        .argv = (const char *const *)d->manifest.args + 1,
        .argc = d->manifest.arg_count - 1,
        .index = slice,
        .count = d->manifest.slice_count,
    };
}

/* The run's counts, live or as they were at its end. */
static struct master_stats stats_of(const struct lead *d)
{
    struct master_stats s = d->last_stats;
    if (d->core != NULL) {
        master_stats(d->core, &s);
    }
    return s;
}

/*
 * How fast a worker is rests on what it says its slices took. It is believed as far as what it has
 * done since it is here could be: nobody is at work all the time, nor always equally fast.
 */
static double believable(const struct worker_entry *w, double units_per_slice, uint32_t running,
                         uint64_t now_ms)
{
    const double claimed = units_per_slice * 1000 / (double)w->plan.mean_ms * running;
    const double done = units_per_slice * ((double)w->accepted + running);
    const double here_ms = now_ms > w->since_ms ? (double)(now_ms - w->since_ms) : 1;
    return fmin(claimed, LEAD_RATE_SLACK * done * 1000 / here_ms);
}

static void fill_workers(const struct lead *d, double units_per_slice, uint64_t now_ms,
                         struct job_status *out)
{
    const struct worker_entry *w = d->core != NULL ? master_workers(d->core) : NULL;
    for (; w != NULL && out->workers_shown < WORKERS_SHOWN_MAX; w = w->next) {
        if (w->link == 0) {
            continue;
        }
        struct job_worker *j = &out->workers[out->workers_shown++];
        *j = (struct job_worker){
            .id = w->plan.peer,
            .own = w->own,
            .slot_count = w->slots,
            .running = w->plan.outstanding < w->slots ? w->plan.outstanding : w->slots,
            .final = w->accepted,
        };
        if (w->plan.mean_ms > 0) {
            j->rate_per_s = believable(w, units_per_slice, j->running, now_ms);
        }
        out->rate_per_s += j->rate_per_s;
    }
}

/*
 * A search whose units succeed with chance p each at rate r: 1/(p r) seconds on average from any
 * moment on, and ln(1 - 0.95) / ln(1 - p) units with 95 %; never more than is left of the range.
 */
static void fill_expectation(const struct job_expectation *e, struct job_status *out)
{
    double left = out->units_total - out->units_done;
    if (out->rate_per_s <= 0 || left <= 0) {
        return;
    }
    double mean = left;
    double likely = left;
    if (e->chance > 0) {
        double log_miss = log1p(-e->chance);
        out->probability = -expm1(out->units_done * log_miss);
        mean = fmin(left, 1 / e->chance);
        likely = fmin(left, log(0.05) / log_miss);
    }
    out->expected_ms = (uint64_t)(mean / out->rate_per_s * 1000);
    out->likely_ms = (uint64_t)(likely / out->rate_per_s * 1000);
}

static void fill_progress(const struct lead *d, uint64_t now_ms, struct job_status *out)
{
    struct job_expectation e = {.unit = "slices", .unit_count = (double)out->slice_count};
    struct job_slice slice = lead_slice(d, 0);
    if (d->program != NULL) {
        (void)d->program->expect(&slice, &e, NULL);
    }
    double per_slice = e.unit_count / (double)out->slice_count;
    (void)snprintf(out->unit, sizeof out->unit, "%s", e.unit);
    out->units_total = e.unit_count;
    out->units_done = per_slice * (double)out->slices_final;
    if (d->answer.unit_count > 0 && out->slices_final > 0) {
        out->units_done -= per_slice - d->answer.unit_count; /* that slice ended at its hit */
    }
    fill_workers(d, per_slice, now_ms, out);
    fill_expectation(&e, out);
}

__attribute__((format(printf, 2, 3))) static void say_cause(struct waiting *w, const char *format,
                                                            ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->cause, sizeof w->cause, format, args);
    va_end(args);
}

static void say_remedy(struct waiting *w, const char *remedy)
{
    (void)snprintf(w->remedy, sizeof w->remedy, "%s", remedy);
}

/* Why no slice of a run is at work. False: nobody knows of a reason. */
static bool fill_standstill(const struct lead *d, const struct master_stats *s, struct waiting *w)
{
    const char *why = d->given_up[0] != '\0' ? d->given_up : "no reason was given";
    if (s->short_of_voters && d->given_up[0] != '\0') {
        say_cause(w, "nobody here can run its slices: %s", why);
        say_remedy(w, "start another `preon peer`");
    } else if (s->short_of_voters) {
        say_cause(w, "open slices want voters that are not there");
        say_remedy(w, "start another `preon peer`");
    } else if (s->worker_count == 0 || (s->slot_count == 0 && s->resting_count == 0)) {
        uint64_t for_ms = w->for_ms;
        *w = d->of->waiting;
        w->for_ms = w->for_ms > 0 && w->for_ms < for_ms ? w->for_ms : for_ms;
    } else if (w->for_ms < STILL_MS) {
        return false;
    } else if (s->pull_count > 0) {
        say_cause(w, "outputs of %u slice%s are on their way here", s->pull_count,
                  s->pull_count == 1 ? "" : "s");
        say_remedy(w, "who has them is slow, or this link is; others are asked in a while");
    } else if (s->resting_count > 0) {
        say_cause(w, "its workers rest after giving slices up: %s", why);
        say_remedy(w, "they go on by themselves; start another `preon peer`");
    } else if (s->retry_count > 0) {
        say_cause(w, "%llu slice%s to be tried again: %s", (unsigned long long)s->retry_count,
                  s->retry_count == 1 ? " is" : "s are", why);
        say_remedy(w, "that is done by itself, within a minute");
    } else if (s->late_count > 0) {
        say_cause(w, "its workers have not answered in time");
        say_remedy(w, "start another `preon peer`");
    } else {
        say_cause(w, "the outputs of its slices are being checked");
    }
    return true;
}

static void fill_waiting(const struct lead *d, const struct master_stats *s, uint64_t now_ms,
                         uint64_t now_wall_ms, struct waiting *w)
{
    if (d->state != JOB_RUNNING) {
        return;
    }
    if (d->stalled_ms != 0) {
        w->for_ms = now_ms - d->stalled_ms;
        say_cause(w, "stalled: %s", d->of->ledger_failed ? d->of->ledger_failure.text : d->stall);
        say_remedy(w, "the peer tries again by itself; its log says more");
        w->waits = true;
    } else if (!d->in_ledger) {
        const bool known = d->created_wall_ms > 0 && d->created_wall_ms < now_wall_ms;
        w->for_ms = known ? now_wall_ms - d->created_wall_ms : 0;
        say_cause(w, "it was created, and not started");
        say_remedy(w, "`preon job resume`, or `preon job rm` it");
        w->waits = true;
    } else if (d->core != NULL && s->running_count == 0) {
        w->for_ms = now_ms - (d->busy_ms > d->started_ms ? d->busy_ms : d->started_ms);
        w->waits = fill_standstill(d, s, w);
    }
}

/* What was made again of the work done, to check it: some of every output that counts. */
static double audited_share(const struct lead *d, const struct job_status *out)
{
    if (d->program == NULL || d->manifest.verify != VERIFY_PROOF || out->units_done <= 0) {
        return 0;
    }
    const struct job_slice slice = lead_slice(d, 0);
    const uint64_t good = out->slices_final - out->slices_failed;
    return fmin(1, (double)good * d->program->audit_units(&slice) / out->units_done);
}

static void fill_assumption(const struct lead *d, struct job_status *out)
{
    const struct manifest *m = &d->manifest;
    const double audited = audited_share(d, out);
    char *to = out->assumption;
    size_t max = sizeof out->assumption;
    if (m->verify == VERIFY_QUORUM) {
        (void)snprintf(to, max, "every slice agreed on by %u identit%s, or run by the master",
                       m->quorum, m->quorum == 1 ? "y" : "ies");
    } else if (audited > 0) {
        (void)snprintf(to, max, "every slice searched by 1 identity, %.2g %% re-hashed, %u lie%s",
                       100 * audited, out->liar_count, out->liar_count == 1 ? "" : "s");
    } else {
        (void)snprintf(to, max, "every slice done by 1 identity, checked by the job's own program");
    }
}

void lead_status(const struct lead *d, uint64_t now_ms, uint64_t now_wall_ms,
                 struct job_status *out)
{
    static const char *const kinds[] = {"program", "file", "system"};
    const struct manifest *m = &d->manifest;
    const struct master_stats s = stats_of(d);
    *out = (struct job_status){
        .id = d->job,
        .run = d->run,
        .state = d->state,
        .mastered = true,
        .slice_count = m->slice_count,
        .slices_final = s.final_count,
        .slices_failed = s.failed_count,
        .slices_running = s.running_count,
        .worker_count = s.worker_count,
        .slot_count = s.slot_count,
        .liar_count = s.liar_count > d->liars_shown ? s.liar_count : d->liars_shown,
        .liars_shown = d->liars_shown,
        .created_wall_ms = d->created_wall_ms,
        .started_wall_ms = d->started_wall_ms,
        .ended_wall_ms = d->ended_wall_ms,
        .answer = d->answer,
    };
    memcpy(out->name, m->name, sizeof out->name);
    memcpy(out->reason, d->reason, sizeof out->reason);
    if (d->state == JOB_FAILED && d->given_up[0] != '\0') { /* perhaps why */
        const size_t len = strlen(out->reason);
        (void)snprintf(out->reason + len, sizeof out->reason - len, "; last given up: %s",
                       d->given_up);
    }
    memcpy(out->liars, d->liars, sizeof out->liars);
    hash_sha256((struct pn_bytes){m->owner.b, PUBLIC_KEY_BYTES}, &out->owner);
    if (m->kind == MANIFEST_JOB) {
        (void)snprintf(out->program, sizeof out->program, "%s:%s", kinds[m->program_kind],
                       m->args[0]);
        fill_progress(d, now_ms, out);
        fill_assumption(d, out);
    }
    fill_waiting(d, &s, now_ms, now_wall_ms, &out->waiting);
    if (d->started_wall_ms > 0) {
        const uint64_t until_ms = d->ended_wall_ms > 0 ? d->ended_ms : now_ms;
        out->elapsed_ms = d->earlier_ms + until_ms - d->started_ms;
    }
    if (m->timeout_s > 0 && d->core != NULL && d->state == JOB_RUNNING) {
        bool due = s.timeout_at_ms == UINT64_MAX || s.timeout_at_ms <= now_ms;
        out->timeout_in_ms = due ? 1 : s.timeout_at_ms - now_ms;
    }
}
