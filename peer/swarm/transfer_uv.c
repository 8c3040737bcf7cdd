#include "peer/swarm/transfer_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/swarm/transfer_inside.h"

static void finish_free(struct transfer *t);

/* --- the pool --- */

static void on_work(uv_work_t *req)
{
    struct work *w = req->data;
    w->run(w);
}

static void on_worked(uv_work_t *req, int cancelled)
{
    struct work *w = req->data;
    struct transfer *t = w->t;
    (void)cancelled; /* nobody calls uv_cancel */
    w->done(w);
    t->work_count--;
    transfer_arm(t);
}

void work_start(struct transfer *t, struct work *w)
{
    w->t = t;
    w->req.data = w;
    w->status = PN_OK;
    t->work_count++;
    int status = uv_queue_work(t->loop, &w->req, on_work, on_worked);
    assert(status == 0); /* fails only without a function */
}

void transfer_press(struct transfer *t, int64_t bytes)
{
    t->pending_bytes += (uint64_t)bytes;
    bool press = t->pressed ? t->pending_bytes > PENDING_LOW : t->pending_bytes > PENDING_HIGH;
    if (press != t->pressed) {
        t->pressed = press;
        if (!t->closing) {
            t->hooks.on_pressure(t->hooks.arg, press);
        }
    }
}

/* --- time --- */

static void sweep(struct transfer *t)
{
    for (struct fetch *f = t->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (f->over && f->work_count == 0) {
            fetch_free(f);
        }
    }
    while (t->gone != NULL) {
        struct partner *p = t->gone;
        t->gone = p->next;
        free(p);
    }
}

/* Its shelf was open before it began: then nobody but the timer tells it. */
static bool is_unbegun(const struct fetch *f)
{
    return f->swarm == NULL && !f->over && f->shelf->state != SHELF_OPENING;
}

static void on_timer(uv_timer_t *timer)
{
    struct transfer *t = timer->data;
    uint64_t now = clock_now_ms();
    sweep(t);
    for (struct fetch *f = t->fetches; f != NULL; f = f->next) {
        if (is_unbegun(f)) {
            fetch_shelf_ready(f);
        }
        fetch_tick(f, now);
        if (now >= t->news_at_ms && !f->over) {
            fetch_tell_news(f);
        }
    }
    t->news_at_ms = now >= t->news_at_ms ? UINT64_MAX : t->news_at_ms;
    for (struct transfer_fetch *m = t->manifests; m != NULL; m = m->next) {
        if (now >= m->deadline_ms) {
            manifest_fail(m, PN_E_TIMEOUT, "no answer for 30 s");
            break; /* the list has changed; the next one's turn comes at once */
        }
    }
    shelf_expire(t, now);
    transfer_arm(t);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t deadline_ms(const struct transfer *t)
{
    uint64_t at = t->gone != NULL ? 0 : t->news_at_ms;
    for (const struct fetch *f = t->fetches; f != NULL; f = f->next) {
        if ((f->over && f->work_count == 0) || is_unbegun(f)) {
            return 0;
        }
        if (f->swarm != NULL && !f->over && !f->ending) {
            at = earlier(at, swarm_deadline_ms(f->swarm));
            at = earlier(at, f->hello_at_ms);
            at = f->only != NULL ? earlier(at, fetch_stalls_at_ms(f)) : at;
        }
    }
    for (const struct transfer_fetch *m = t->manifests; m != NULL; m = m->next) {
        at = earlier(at, m->deadline_ms);
    }
    for (const struct shelf *s = t->shelves; s != NULL; s = s->next) {
        if (s->user_count == 0 && s->state != SHELF_OPENING) {
            at = earlier(at, s->idle_since_ms + SHELF_IDLE_MS);
        }
    }
    return at;
}

void transfer_arm(struct transfer *t)
{
    if (t->closing) {
        finish_free(t);
        return;
    }
    uint64_t at = deadline_ms(t);
    if (at == UINT64_MAX) {
        (void)uv_timer_stop(&t->timer);
        return;
    }
    uint64_t now = clock_now_ms();
    uv_update_time(t->loop); /* or the wait would begin in the past */
    (void)uv_timer_start(&t->timer, on_timer, at > now ? at - now : 0, 0);
}

/* --- partners --- */

struct partner *transfer_partner(struct transfer *t, struct port *port, bool make)
{
    for (struct partner *p = t->partners; p != NULL; p = p->next) {
        if (p->port == port) {
            return p;
        }
    }
    struct partner *p = make ? calloc(1, sizeof *p) : NULL;
    if (p != NULL) {
        p->t = t;
        p->port = port;
        p->number_next = TRANSFER_REQUEST_BIT;
        p->next = t->partners;
        t->partners = p;
    }
    return p;
}

enum pn_status partner_send(struct partner *p, enum session_lane lane, uint8_t type, uint8_t flags,
                            uint32_t number, struct pn_bytes body)
{
    assert(body.len <= FRAME_BODY_MAX);
    struct frame f = {.type = type, .flags = flags, .request = number, .body = body};
    return p->port->send(p->port, lane, &f);
}

static void partner_unlink(struct partner *p)
{
    for (struct partner **at = &p->t->partners; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    serve_partner_gone(p);
    while (p->asks != NULL) {
        ask_free(p, p->asks);
    }
    p->next = p->t->gone;
    p->t->gone = p;
}

void transfer_port_closed(struct transfer *t, struct port *port)
{
    struct partner *p = transfer_partner(t, port, false);
    if (p == NULL) {
        return;
    }
    for (struct fetch *f = t->fetches; f != NULL; f = f->next) {
        if (!f->over) {
            fetch_partner_gone(f, p);
        }
    }
    for (struct transfer_fetch *m = t->manifests; m != NULL;) {
        if (m->partner == p) {
            manifest_fail(m, PN_E_CLOSED, "the link closed");
            m = t->manifests; /* a callback may have changed the list */
        } else {
            m = m->next;
        }
    }
    partner_unlink(p);
    transfer_arm(t);
}

void transfer_port_drained(struct transfer *t, struct port *port)
{
    struct partner *p = transfer_partner(t, port, false);
    if (p != NULL) {
        serve_go_on(p);
    }
}

bool transfer_banned(struct transfer *t, const struct digest *peer)
{
    const struct ban *ban = table_get(&t->bans, peer->b);
    return ban != NULL && ban->until_ms > clock_now_ms();
}

static void forget_old_bans(struct transfer *t)
{
    struct ban *old;
    do {
        size_t place = 0;
        do {
            old = table_next(&t->bans, &place);
        } while (old != NULL && old->until_ms > clock_now_ms());
        if (old != NULL) {
            (void)table_remove(&t->bans, old->peer.b);
            free(old);
        }
    } while (old != NULL);
}

void transfer_ban(struct transfer *t, const struct digest *peer, const char *reason)
{
    struct ban *ban = table_get(&t->bans, peer->b);
    if (ban == NULL) {
        forget_old_bans(t);
        ban = calloc(1, sizeof *ban);
        if (ban != NULL) {
            ban->peer = *peer;
            if (table_put(&t->bans, peer->b, ban) != PN_OK) {
                free(ban);
                ban = NULL; /* full of liars: this one is only disconnected */
            }
        }
    }
    if (ban != NULL) {
        ban->until_ms = clock_now_ms() + BAN_MS;
    }
    char name[DIGEST_SHORT_BYTES];
    digest_short(peer, name);
    log_write(LOG_WARN, "swarm", "peer %s %s: not a source for an hour", name, reason);
}

/* --- frames --- */

enum pn_status transfer_frame(struct transfer *t, struct port *port, const struct frame *f,
                              struct pn_err *err)
{
    struct partner *p = transfer_partner(t, port, true);
    uint32_t number;
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "transfer: out of memory");
    }
    if ((f->flags & FRAME_ANSWER) != 0) {
        enum pn_status status = ask_answer(p, f, err);
        transfer_arm(t);
        return status;
    }
    switch (f->type) {
    case FRAME_MANIFEST:
    case FRAME_LEAVES:
    case FRAME_BLOCK:
        return serve_request(p, f, err);
    case FRAME_HAVE:
        return serve_have(p, f, err);
    case FRAME_STOP:
        if (data_stop_parse(f->body, &number, err) != PN_OK) {
            return PN_E_MALFORMED;
        }
        serve_stop(p, number);
        return PN_OK;
    default:
        return pn_fail(err, PN_E_MALFORMED, "frame %u is not about data", f->type);
    }
}

/* --- fetching --- */

static struct transfer_fetch *waiter_new(struct fetch *f, transfer_on_done *on_done, void *arg)
{
    struct transfer_fetch *w = calloc(1, sizeof *w);
    if (w != NULL) {
        *w = (struct transfer_fetch){
            .t = f->t, .next = f->waiters, .fetch = f, .on_done = on_done, .arg = arg};
        f->waiters = w;
    }
    return w;
}

static struct fetch *find_fetch(struct transfer *t, const struct file_set *set)
{
    for (struct fetch *f = t->fetches; f != NULL; f = f->next) {
        if (!f->over && file_set_equal(&f->shelf->set, set)) {
            return f;
        }
    }
    return NULL;
}

/* A shelf that is open already answers from the timer, never from within the call. */
static enum pn_status start(struct transfer *t, const struct file_set *set, struct partner *only,
                            const struct transfer_output *outputs, uint32_t count,
                            transfer_on_done *on_done, void *arg, struct transfer_fetch **out,
                            struct pn_err *err)
{
    struct fetch *f = find_fetch(t, set);
    if (f == NULL) {
        f = calloc(1, sizeof *f);
        if (f != NULL) {
            f->t = t;
            f->only = only;
            f->shelf = shelf_get(t, set, true, outputs, count);
        }
        if (f == NULL || f->shelf == NULL) {
            free(f);
            return pn_fail(err, PN_E_NO_MEMORY, "fetch: out of memory");
        }
        f->waiting_since_ms = clock_now_ms();
        f->next = t->fetches;
        t->fetches = f;
    }
    *out = waiter_new(f, on_done, arg);
    if (*out == NULL) {
        if (f->waiters == NULL) {
            fetch_abandon(f);
        }
        return pn_fail(err, PN_E_NO_MEMORY, "fetch: out of memory");
    }
    transfer_arm(t);
    return PN_OK;
}

enum pn_status transfer_fetch_files(struct transfer *t, const struct digest *job,
                                    transfer_on_done *on_done, void *arg,
                                    struct transfer_fetch **out, struct pn_err *err)
{
    struct file_set set = file_set_of_job(job);
    return start(t, &set, NULL, NULL, 0, on_done, arg, out, err);
}

enum pn_status transfer_fetch_outputs(struct transfer *t, struct port *port,
                                      const struct file_set *attempt,
                                      const struct transfer_output *outputs, uint32_t count,
                                      transfer_on_done *on_done, void *arg,
                                      struct transfer_fetch **out, struct pn_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (outputs[i].index >= JOB_OUTPUTS_MAX ||
            (i > 0 && outputs[i].index <= outputs[i - 1].index)) {
            return pn_fail(err, PN_E_RANGE, "outputs: index %u", outputs[i].index);
        }
    }
    if (find_fetch(t, attempt) != NULL) {
        return pn_fail(err, PN_E_EXISTS, "outputs: are being fetched already");
    }
    struct partner *p = transfer_partner(t, port, true);
    static const struct transfer_output none;
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "outputs: out of memory");
    }
    return start(t, attempt, p, count > 0 ? outputs : &none, count, on_done, arg, out, err);
}

static void cancel_manifest(struct transfer_fetch *m)
{
    for (struct ask *a = m->partner->asks; a != NULL; a = a->next) {
        if (a->manifest == m) {
            ask_stop(m->partner, a);
        }
    }
    struct transfer_fetch **at = &m->t->manifests;
    while (*at != m) { /* it is there */
        at = &(*at)->next;
    }
    *at = m->next;
    buffer_fini(&m->text);
    free(m);
}

void transfer_cancel(struct transfer_fetch *w)
{
    if (w == NULL) {
        return;
    }
    struct fetch *f = w->fetch;
    if (f == NULL) {
        cancel_manifest(w);
        return;
    }
    for (struct transfer_fetch **at = &f->waiters; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    free(w);
    if (f->waiters == NULL && !f->over) {
        fetch_abandon(f);
    }
}

enum pn_status transfer_add_source(struct transfer *t, const struct digest *job, struct port *port)
{
    struct partner *p = port->own ? NULL : transfer_partner(t, port, true);
    if (p == NULL) { /* our own store is no source for itself */
        return port->own ? PN_OK : PN_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < p->job_count; i++) {
        if (digest_equal(&p->jobs[i], job)) {
            return PN_OK;
        }
    }
    if (p->job_count == PARTNER_JOBS_MAX) {
        return PN_E_FULL;
    }
    p->jobs[p->job_count++] = *job;
    for (struct fetch *f = t->fetches; f != NULL; f = f->next) {
        if (!f->over && f->shelf->set.kind == SET_OF_JOB && digest_equal(&f->shelf->set.job, job)) {
            fetch_add_source(f, p);
        }
    }
    return PN_OK;
}

/* --- for people --- */

void transfer_status(const struct transfer_fetch *w, struct transfer_status *out)
{
    const struct fetch *f = w->fetch;
    uint64_t now = clock_now_ms();
    *out = (struct transfer_status){0};
    if (f == NULL || f->swarm == NULL) {
        (void)snprintf(out->waiting, sizeof out->waiting, "%s",
                       f == NULL ? "the manifest is being fetched" : "the disk is being looked at");
        return;
    }
    struct swarm_stats stats;
    swarm_stats(f->swarm, now, &stats);
    out->bytes_total = f->shelf->layout.byte_count;
    out->bytes_had = stats.bytes_had;
    out->bytes_per_s = stats.bytes_per_s;
    out->source_count = stats.source_count;
    unsigned long long seconds = (now - f->waiting_since_ms) / 1000;
    if (f->ending) {
        (void)snprintf(out->waiting, sizeof out->waiting, "outputs are being synced");
    } else if (stats.source_count == 0) {
        (void)snprintf(out->waiting, sizeof out->waiting, "no source for %llu s", seconds);
    } else if (stats.asleep_count == stats.source_count) {
        (void)snprintf(out->waiting, sizeof out->waiting,
                       "all %u sources busy or silent for %llu s", stats.source_count, seconds);
    } else if (seconds >= 2) {
        (void)snprintf(out->waiting, sizeof out->waiting, "no block from %u sources for %llu s",
                       stats.source_count, seconds);
    }
}

void transfer_counts(const struct transfer *t, struct transfer_counts *out)
{
    *out = t->counts;
    out->serving_count = t->serving_count;
    for (const struct fetch *f = t->fetches; f != NULL; f = f->next) {
        out->fetch_count += !f->over;
    }
}

/* --- the room itself --- */

enum pn_status transfer_new(uv_loop_t *loop, struct store *store,
                            const struct transfer_hooks *hooks, struct transfer **out,
                            struct pn_err *err)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "transfer: out of memory");
    }
    t->loop = loop;
    t->store = store;
    t->hooks = *hooks;
    t->news_at_ms = UINT64_MAX;
    t->pull_stall_ms = PULL_STALL_MS;
    table_init(&t->bans, DIGEST_BYTES, BANS_MAX, random_fresh_seed());
    (void)uv_timer_init(loop, &t->timer);
    t->timer.data = t;
    *out = t;
    return PN_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct transfer *t = handle->data;
    sweep(t);
    shelf_expire(t, 0);
    size_t place = 0;
    for (void *ban = table_next(&t->bans, &place); ban != NULL;
         ban = table_next(&t->bans, &place)) {
        free(ban);
    }
    table_fini(&t->bans);
    free(t);
}

/* When the pool has let go of everything. */
static void finish_free(struct transfer *t)
{
    if (t->work_count == 0 && !uv_is_closing((uv_handle_t *)&t->timer)) {
        uv_close((uv_handle_t *)&t->timer, on_timer_closed);
    }
}

void transfer_free(struct transfer *t)
{
    if (t == NULL) {
        return;
    }
    t->closing = true;
    while (t->manifests != NULL) {
        cancel_manifest(t->manifests); /* NOLINT(clang-analyzer-unix.Malloc): off the list first */
    }
    for (struct fetch *f = t->fetches; f != NULL; f = f->next) {
        while (f->waiters != NULL) {
            struct transfer_fetch *w = f->waiters;
            f->waiters = w->next;
            free(w);
        }
        f->over = true;
    }
    while (t->partners != NULL) {
        partner_unlink(t->partners);
    }
    (void)uv_timer_stop(&t->timer);
    finish_free(t);
}
