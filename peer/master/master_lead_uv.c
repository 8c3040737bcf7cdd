#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/master/master_shell.h"

/* --- life ------------------------------------------------------------------------------------- */

struct lead *lead_new(struct leads *l, const struct digest *job, struct pn_bytes text,
                      const struct signature *owner, const struct grant *grant, struct pn_err *err)
{
    struct lead *d = l->by_job.count < LEADS_MAX ? calloc(1, sizeof *d) : NULL;
    if (d == NULL) {
        (void)pn_fail(err, PN_E_FULL, "no room for another job");
        return NULL;
    }
    d->of = l;
    d->job = *job;
    d->run = grant->run;
    d->grant = *grant;
    d->grant_len = grant_write(grant, d->grant_bytes, sizeof d->grant_bytes).len;
    d->owner_signature = *owner;
    d->state = JOB_RUNNING;
    master_actions_init(&d->actions);
    table_init(&d->bench, sizeof(uint64_t), JOB_SLICES_MAX, random_fresh_seed());
    enum pn_status status = manifest_parse(text, &d->manifest, err);
    if (status == PN_OK && table_put(&l->by_job, job->b, d) != PN_OK) {
        status = pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    if (status != PN_OK) {
        manifest_fini(&d->manifest);
        free(d);
        return NULL;
    }
    if (d->manifest.kind == MANIFEST_JOB && d->manifest.program_kind == PROGRAM_OWN) {
        d->program = job_program_find(d->manifest.args[0]);
    }
    d->next = l->first;
    l->first = d;
    return d;
}

static void free_now(struct lead *d)
{
    struct leads *l = d->of;
    struct lead **link = &l->first;
    while (*link != d) {
        link = &(*link)->next;
    }
    *link = d->next;
    master_free(d->core);
    master_actions_fini(&d->actions);
    lead_unbench_all(d);
    manifest_fini(&d->manifest);
    free(d->judges);
    free(d);
}

void lead_pin(struct lead *d)
{
    d->pins++;
    leads_pin(d->of);
}

void lead_unpin(struct lead *d)
{
    struct leads *l = d->of;
    if (--d->pins == 0 && d->gone) {
        free_now(d);
    }
    leads_unpin(l);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct lead *d = h->data;
    d->timer_open = false;
    lead_unpin(d);
}

static void close_timer(struct lead *d)
{
    if (d->timer_open && !uv_is_closing((uv_handle_t *)&d->timer)) {
        uv_close((uv_handle_t *)&d->timer, on_timer_closed);
    }
}

void lead_forget(struct lead *d)
{
    d->gone = true;
    lead_break_wishes(d, "the run is let go");
    lead_ask_own(d); /* no more */
    (void)table_remove(&d->of->by_job, d->job.b);
    lead_pin(d);
    close_timer(d);
    lead_cancel_pulls(d);
    lead_unpin(d); /* frees it unless something else is under way */
}

/* --- events and actions ----------------------------------------------------------------------- */

static void run_over(struct lead *d)
{
    master_stats(d->core, &d->last_stats);
    d->ended_ms = clock_now_ms();
    d->ended_wall_ms = clock_wall_ms();
    close_timer(d);
    lead_cancel_pulls(d);
    d->judge_count = 0; /* what is not judged by now is never */
    lead_unbench_all(d);
    char job[DIGEST_SHORT_BYTES];
    digest_short(&d->job, job);
    log_write(LOG_INFO, "master", "job %s: over after %llu ms, %llu of %llu slices final", job,
              (unsigned long long)(d->earlier_ms + d->ended_ms - d->started_ms),
              (unsigned long long)d->last_stats.final_count,
              (unsigned long long)d->last_stats.slice_count);
}

static void tell_lie(struct lead *d, const struct master_action *x)
{
    char job[DIGEST_SHORT_BYTES];
    char peer[DIGEST_HEX_BYTES];
    digest_short(&d->job, job);
    digest_hex(&x->peer, peer);
    log_write(LOG_WARN, "master",
              "job %s: peer %s lied about slice %llu: %s; it gets no more of it", job, peer,
              (unsigned long long)x->slice, x->reason);
    if (d->liars_shown < LIARS_SHOWN_MAX) {
        struct liar *liar = &d->liars[d->liars_shown++];
        *liar = (struct liar){.worker = x->peer, .slice = x->slice};
        (void)snprintf(liar->reason, sizeof liar->reason, "%s", x->reason);
    }
}

static void carry_out(struct lead *d, const struct master_action *x)
{
    struct port *p;
    switch (x->kind) {
    case MASTER_DO_SEND: {
        struct frame f;
        size_t used;
        size_t need;
        p = ports_find(d->of->config.ports, x->link);
        if (p != NULL &&
            frame_parse(master_action_frame(&d->actions, x), FRAME_BODY_MAX, &f, &used, &need,
                        NULL) == PN_OK &&
            p->send(p, SESSION_CONTROL, &f) != PN_OK && p->own) {
            lead_out_of_memory(d, "out of memory for our own worker");
        }
        break;
    }
    case MASTER_DO_CLOSE:
        p = ports_find(d->of->config.ports, x->link);
        if (p != NULL && p->own) { /* it does not break, and what it was to hear is lost */
            lead_out_of_memory(d, x->reason);
        } else {
            port_close(p, x->reason);
        }
        break;
    case MASTER_DO_PULL:
        lead_pull(d, x);
        break;
    case MASTER_DO_UNPULL:
        lead_unpull(d, x->slice, x->attempt);
        break;
    case MASTER_DO_JUDGE:
        lead_judge(d, x->slice, x->attempt);
        break;
    case MASTER_DO_RELEASE:
        lead_release(d, x->slice, x->attempt);
        break;
    case MASTER_TELL_FINAL:
        lead_unbench(d, x->slice);
        break;
    case MASTER_TELL_LIE:
        tell_lie(d, x);
        break;
    case MASTER_TELL_ENDED:
        d->state = x->state;
        run_over(d);
        break;
    case MASTER_TELL_BROKEN:
        lead_stall(d, x->reason);
        break;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct master_event ev = {.kind = MASTER_TICK};
    (void)lead_event(timer->data, &ev, NULL);
}

static void arm(struct lead *d)
{
    uint64_t due = master_deadline_ms(d->core);
    uint64_t now = clock_now_ms();
    if (!d->timer_open || uv_is_closing((uv_handle_t *)&d->timer)) {
        return;
    }
    if (due == UINT64_MAX) {
        (void)uv_timer_stop(&d->timer);
    } else {
        uv_update_time(d->of->config.loop);
        (void)uv_timer_start(&d->timer, on_timer, due > now ? due - now : 1, 0);
    }
}

/* The batch goes to the ledger first, so that its number is known when judges are queued. */
static void commit(struct lead *d)
{
    struct master_actions *a = &d->actions;
    if (a->record_count == 0) {
        return;
    }
    for (size_t i = 0; i < a->record_count; i++) {
        lead_bench(d, &a->records[i]);
        if (a->records[i].kind == RECORD_JOB_STATE) {
            (void)snprintf(d->reason, sizeof d->reason, "%s", a->records[i].job_state.reason);
            d->decided = a->records[i].job_state.state != JOB_RUNNING;
        }
    }
    struct pn_err err;
    enum pn_status status = leads_ledger_usable(d->of, &err);
    if (status == PN_OK) {
        status = ledger_commit(d->of->ledger, &d->job, &d->run, a->seq, a->records,
                               (uint32_t)a->record_count);
    }
    leads_press(d->of);
    if (status == PN_OK) {
        d->seq = a->seq;
    } else { /* the run stands still, and goes on from the ledger when that has room */
        char cause[WAITING_TEXT_BYTES];
        (void)snprintf(cause, sizeof cause, "the ledger takes no more: %s", pn_status_text(status));
        lead_stall(d, cause);
        d->refused = status;
    }
}

static enum pn_status step(struct lead *d, struct master_event *ev, struct pn_err *err)
{
    ev->now_ms = clock_now_ms();
    ev->now_wall_ms = clock_wall_ms();
    enum pn_status status = master_step(d->core, ev, &d->actions, err);
    commit(d);
    bool refused = d->refused != PN_OK; /* what is not written is neither answered nor given out */
    for (size_t i = 0; i < d->actions.count; i++) {
        const struct master_action *x = &d->actions.list[i];
        if (!refused || x->kind == MASTER_TELL_BROKEN) {
            carry_out(d, x);
        }
    }
    if (ev->kind == MASTER_COMMITTED && ev->status == PN_OK) {
        d->committed_seq = ev->seq;
        lead_judge_committed(d);
        lead_answer_wishes(d);
    }
    return status;
}

enum pn_status lead_event(struct lead *d, struct master_event *ev, struct pn_err *err)
{
    if (d->core == NULL || d->gone) {
        return PN_OK;
    }
    lead_pin(d);
    enum pn_status status = step(d, ev, err);
    bool quiet = ev->kind == MASTER_TICK && d->actions.count == 0;
    if (ev->kind == MASTER_TICK) {
        struct master_stats s;
        master_stats(d->core, &s);
        d->busy_ms = s.running_count > 0 ? ev->now_ms : d->busy_ms;
    }
    if (d->refused != PN_OK) { /* a batch is lost: the core must hear of it, and stops */
        struct master_event lost = {.kind = MASTER_COMMITTED, .seq = d->seq, .status = d->refused};
        d->refused = PN_OK;
        (void)step(d, &lost, NULL);
    }
    arm(d);
    lead_demand_changed(d);
    lead_ask_own(d);
    if (!quiet) {
        d->of->config.on_change(d->of->config.arg, &d->job);
    }
    lead_unpin(d);
    return status;
}

void lead_committed(struct lead *d, uint64_t seq, enum pn_status status)
{
    if (d->cancel_seq == 0 || d->cancel_seq != seq) {
        struct master_event ev = {.kind = MASTER_COMMITTED, .seq = seq, .status = status};
        (void)lead_event(d, &ev, NULL);
        return;
    }
    d->cancel_seq = 0;
    if (status == PN_OK) {
        d->state = JOB_CANCELLED;
        d->committed_seq = seq;
        lead_answer_wishes(d);
        d->of->config.on_change(d->of->config.arg, &d->job);
    } else {
        lead_break_wishes(d, pn_status_text(status));
    }
}

/* --- begin ------------------------------------------------------------------------------------ */

/* Attempt numbers of this run are hashed with something only this peer can know. */
static void derive_secret(const struct lead *d, uint8_t secret[PLAN_SECRET_BYTES])
{
    static const char tag[HASH_TAG_BYTES] = "\0preon1 secret";
    uint8_t bytes[HASH_TAG_BYTES + SECRET_SEED_BYTES + DIGEST_BYTES + RUN_BYTES];
    struct writer w = writer_of(bytes, sizeof bytes);
    uint8_t seed[SECRET_SEED_BYTES];
    key_pair_seed(d->of->config.key, seed);
    writer_copy(&w, tag, sizeof tag);
    writer_copy(&w, seed, sizeof seed);
    writer_copy(&w, d->job.b, DIGEST_BYTES);
    writer_copy(&w, d->run.b, RUN_BYTES);
    struct digest hash;
    hash_sha256(writer_done(&w), &hash);
    memcpy(secret, hash.b, PLAN_SECRET_BYTES);
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(bytes, sizeof bytes);
}

static struct master *new_core(struct lead *d, bool resumed)
{
    const struct manifest *m = &d->manifest;
    struct master_config c = {
        .job = d->job,
        .run = d->run,
        .serial = d->grant.serial,
        .term = 1,
        .slice_count = m->slice_count,
        .output_names = (const char *const *)m->outputs,
        .output_count = m->output_count,
        .output_bytes_max = m->limits.output_bytes,
        .time_limit_s = m->limits.time_s,
        .rule = {.quorum = m->verify == VERIFY_QUORUM ? m->quorum : 1,
                 .proof = m->verify == VERIFY_PROOF},
        .search = m->stop != STOP_ALL,
        .judged = m->verify == VERIFY_PROOF && d->program != NULL,
        .stop = m->stop,
        .timeout_ms = (uint64_t)m->timeout_s * 1000,
        .slots_max = d->slots_max,
        .resumed = resumed,
        .own_can_run = d->of->config.own_can_run(d->of->config.arg, m),
        .welcome = {.run = d->run,
                    .owner_signature = d->owner_signature,
                    .grant = {d->grant_bytes, d->grant_len}},
        .seed = random_fresh_seed(),
    };
    derive_secret(d, c.secret);
    return master_new(&c);
}

struct load {
    struct lead *lead;
    uint64_t answer_slice;
};

static enum pn_status on_record(void *arg, const struct record *r)
{
    struct load *load = arg;
    struct lead *d = load->lead;
    if (r->kind == RECORD_JOB_STATE) {
        d->state = r->job_state.state;
        d->ended_wall_ms = r->job_state.at_wall_ms;
        (void)snprintf(d->reason, sizeof d->reason, "%s", r->job_state.reason);
    }
    if (r->kind == RECORD_FINAL && r->final.answer && r->final.slice < load->answer_slice) {
        load->answer_slice = r->final.slice;
    }
    if (r->kind == RECORD_LIE && d->liars_shown < LIARS_SHOWN_MAX) {
        struct liar *liar = &d->liars[d->liars_shown++];
        *liar = (struct liar){.worker = r->lie.worker, .slice = r->lie.slice};
        (void)snprintf(liar->reason, sizeof liar->reason, "%s", r->lie.reason);
    }
    lead_bench(d, r);
    return master_replay(d->core, r);
}

enum pn_status lead_begin(struct lead *d, bool resumed, struct pn_err *err)
{
    if (d->timer_open && uv_is_closing((uv_handle_t *)&d->timer)) {
        return pn_fail(err, PN_E_BUSY, "the run is just ending");
    }
    master_free(d->core);
    d->core = new_core(d, resumed);
    if (d->core == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    d->liars_shown = 0;
    d->given_up[0] = '\0';
    lead_unbench_all(d); /* the ledger tells what is there */
    d->life++;           /* what was under way for the earlier core is none of this one's */
    d->judge_count = 0;
    d->cancel_seq = 0;
    d->seq = 0;
    d->committed_seq = 0;
    d->decided = false;
    struct load load = {d, UINT64_MAX};
    enum pn_status status = ledger_load(d->of->reader, &d->job, &d->run, on_record, &load, err);
    if (status != PN_OK) {
        master_free(d->core);
        d->core = NULL;
        return status;
    }
    if (load.answer_slice != UINT64_MAX && !d->answer.found) {
        lead_describe_again(d, load.answer_slice);
    }
    d->stalled_ms = 0;
    const uint64_t wall_ms = clock_wall_ms();
    d->started_ms = clock_now_ms();
    d->earlier_ms = 0;
    if (d->state != JOB_RUNNING && !resumed) {
        master_stats(d->core, &d->last_stats); /* over: only its numbers are wanted */
        d->last_stats.state = d->state;
        d->ended_ms = d->started_ms;
        if (d->ended_wall_ms > d->started_wall_ms) {
            d->ended_ms += d->ended_wall_ms - d->started_wall_ms;
        }
        master_free(d->core);
        d->core = NULL;
        return PN_OK;
    }
    d->state = JOB_RUNNING;
    d->ended_wall_ms = 0;
    if (resumed || d->started_wall_ms == 0 || d->started_wall_ms > wall_ms) {
        d->started_wall_ms = wall_ms;
    }
    d->earlier_ms = wall_ms - d->started_wall_ms;
    if (!d->timer_open) {
        (void)uv_timer_init(d->of->config.loop, &d->timer);
        d->timer.data = d;
        d->timer_open = true;
        lead_pin(d);
    }
    d->own_asked = false;
    struct master_event ev = {.kind = MASTER_START};
    (void)lead_event(d, &ev, NULL);
    return PN_OK;
}
