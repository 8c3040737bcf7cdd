/* The ledger of all runs: opened, lost, opened again; and the runs that stand still meanwhile. */
#include <stdio.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "peer/master/master_shell.h"

enum { MEND_MIN_MS = 250, MEND_MAX_MS = 15 * 1000 };

static void on_mend(uv_timer_t *timer);

static void mend_later(struct leads *l)
{
    if (l->freeing || (l->mend_open && uv_is_active((uv_handle_t *)&l->mend))) {
        return;
    }
    if (!l->mend_open) {
        (void)uv_timer_init(l->config.loop, &l->mend);
        l->mend.data = l;
        l->mend_open = true;
    }
    uint64_t wait_ms = MEND_MIN_MS;
    for (uint32_t i = 0; i < l->mend_tries && wait_ms < MEND_MAX_MS; i++) {
        wait_ms *= 2;
    }
    l->mend_tries++;
    uv_update_time(l->config.loop);
    (void)uv_timer_start(&l->mend, on_mend, wait_ms < MEND_MAX_MS ? wait_ms : MEND_MAX_MS, 0);
}

void lead_stall(struct lead *d, const char *cause)
{
    struct leads *l = d->of;
    if (d->stalled_ms == 0) {
        d->stalled_ms = clock_now_ms();
        (void)snprintf(d->stall, sizeof d->stall, "%s",
                       l->ledger_failed ? l->ledger_failure.text : cause);
        log_write(LOG_ERROR, "master", "%s; nothing more is accepted until that is mended",
                  d->stall);
        lead_break_wishes(d, d->stall);
    }
    mend_later(l);
}

void lead_out_of_memory(struct lead *d, const char *what)
{
    lead_stall(d, what);
    d->refused = PN_E_NO_MEMORY;
}

void leads_ledger_failed(struct leads *l, enum pn_status status, const struct pn_err *err)
{
    if (!l->ledger_failed) {
        l->ledger_failed = true;
        (void)pn_fail(&l->ledger_failure, status, "%s",
                      err != NULL ? err->text : pn_status_text(status));
        log_write(LOG_ERROR, "ledger", "%s", l->ledger_failure.text);
    }
    mend_later(l);
}

enum pn_status leads_ledger_usable(struct leads *l, struct pn_err *err)
{
    if (l->ledger == NULL || l->ledger_failed) {
        return pn_fail(err, l->ledger_failed ? l->ledger_failure.status : PN_E_CLOSED, "%s",
                       l->ledger_failed ? l->ledger_failure.text : "the ledger is closed");
    }
    return PN_OK;
}

enum pn_status leads_ledger_said(struct leads *l, enum pn_status status, const struct pn_err *err)
{
    switch (status) {
    case PN_OK:
    case PN_E_BUSY:
    case PN_E_EXISTS:
    case PN_E_NOT_FOUND:
    case PN_E_TOO_BIG:
        break; /* this order's own misfortune */
    default:
        leads_ledger_failed(l, status, err);
    }
    return status;
}

void leads_press(struct leads *l)
{
    bool press = l->ledger != NULL && !l->ledger_failed && ledger_pressed(l->ledger);
    if (press != l->pressed && !l->freeing) {
        l->pressed = press;
        l->config.on_pressure(l->config.arg, press);
    }
}

static void on_committed(void *arg, const struct digest *job, const struct run *run, uint64_t seq,
                         enum pn_status status, const struct pn_err *err)
{
    struct leads *l = arg;
    struct lead *d = leads_find(l, job);
    if (status == PN_OK) {
        l->mend_tries = 0;
    } else if (status != PN_E_NOT_FOUND) {
        leads_ledger_failed(l, status, err);
    }
    if (d != NULL && run_equal(&d->run, run)) {
        lead_committed(d, seq, status);
    }
    leads_press(l);
}

enum pn_status leads_ledger_open(struct leads *l, struct pn_err *err)
{
    char path[STORE_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", store_path(l->config.store), LEDGER_FILE_NAME);
    enum pn_status status = ledger_open(path, l->config.loop, on_committed, l, &l->ledger, err);
    /*
     * The reader stays open through a mend: by what it shares with the next writer of the log, that
     * one sees only what was committed, not what a failed sync has left in the kernel's cache.
     */
    if (status == PN_OK && l->reader == NULL) {
        status = ledger_reader_open(path, &l->reader, err);
    }
    return status;
}

static enum pn_status reopen(struct leads *l, struct pn_err *err)
{
    ledger_close(l->ledger);
    l->ledger = NULL;
    enum pn_status status = leads_ledger_open(l, err);
    if (status == PN_OK) {
        status = ledger_try(l->ledger, err);
    }
    if (status != PN_OK) {
        ledger_close(l->ledger);
        l->ledger = NULL;
    }
    return status;
}

/* The new core knows no worker: who is linked comes again, and says what it holds. */
static void send_away(struct lead *d)
{
    const struct worker_entry *w = d->core != NULL ? master_workers(d->core) : NULL;
    for (; w != NULL; w = w->next) {
        if (w->link != 0 && !w->own) {
            port_close(ports_find(d->of->config.ports, w->link), "the run begins anew");
        }
    }
}

static void begin_anew(struct lead *d)
{
    struct pn_err err;
    send_away(d);
    lead_cancel_pulls(d);
    lead_break_wishes(d, d->of->ledger_failure.text);
    if (lead_begin(d, false, &err) != PN_OK) {
        lead_stall(d, err.text);
        return;
    }
    char job[DIGEST_SHORT_BYTES];
    digest_short(&d->job, job);
    log_write(LOG_INFO, "master", "job %s: goes on from what the ledger holds", job);
}

static void on_mend(uv_timer_t *timer)
{
    struct leads *l = timer->data;
    struct pn_err err;
    bool all = l->ledger_failed;
    if (all && reopen(l, &err) != PN_OK) {
        if (strcmp(l->ledger_failure.text, err.text) != 0) {
            log_write(LOG_ERROR, "ledger", "still not usable: %s", err.text);
        }
        l->ledger_failure = err;
        mend_later(l);
        return;
    }
    l->ledger_failed = false;
    leads_press(l);
    for (struct lead *d = l->first; d != NULL; d = d->next) {
        if (!all && d->stalled_ms != 0 && d->seq > d->committed_seq) {
            mend_later(
                l); /* reports are on their way that the next core must not take for its own */
        } else if (d->stalled_ms != 0 || (all && d->core != NULL && d->state == JOB_RUNNING)) {
            begin_anew(d);
        }
    }
}

static void on_mend_closed(uv_handle_t *h)
{
    struct leads *l = h->data;
    leads_unpin(l);
}

void leads_mend_close(struct leads *l)
{
    if (l->mend_open && !uv_is_closing((uv_handle_t *)&l->mend)) {
        leads_pin(l);
        uv_close((uv_handle_t *)&l->mend, on_mend_closed);
    }
}
