#include <stdio.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "peer/master/master_shell.h"

static struct file_set set_of(const struct lead *d, uint64_t slice, uint64_t attempt)
{
    return (struct file_set){SET_OF_ATTEMPT, d->job, d->run, slice, attempt};
}

/* --- inline outputs kept until judged --------------------------------------------------------- */

void lead_bench(struct lead *d, const struct record *r)
{
    bool judged = d->program != NULL && d->manifest.verify == VERIFY_PROOF;
    if (!judged || r->kind != RECORD_OUTPUT || r->output.in_file) {
        return;
    }
    struct benched *b = calloc(1, sizeof *b);
    uint8_t *bytes = malloc(r->output.bytes.len > 0 ? r->output.bytes.len : 1);
    if (b == NULL || bytes == NULL) {
        free(b);
        free(bytes);
        return; /* it will be found missing, and run again */
    }
    if (r->output.bytes.len > 0) {
        memcpy(bytes, r->output.bytes.ptr, r->output.bytes.len);
    }
    b->attempt = r->output.attempt;
    b->bytes = bytes;
    b->len = r->output.bytes.len;
    b->next = table_get(&d->bench, &r->output.slice);
    if (table_put(&d->bench, &r->output.slice, b) != PN_OK) {
        free(bytes);
        free(b);
    }
}

void lead_unbench(struct lead *d, uint64_t slice)
{
    struct benched *b = table_remove(&d->bench, &slice);
    while (b != NULL) {
        struct benched *next = b->next;
        free(b->bytes);
        free(b);
        b = next;
    }
}

void lead_unbench_all(struct lead *d)
{
    size_t place = 0;
    for (struct benched *b; (b = table_next(&d->bench, &place)) != NULL;) {
        while (b != NULL) {
            struct benched *next = b->next;
            free(b->bytes);
            free(b);
            b = next;
        }
    }
    table_fini(&d->bench);
}

static const struct benched *benched_find(const struct lead *d, uint64_t slice, uint64_t attempt)
{
    const struct benched *b = table_get(&d->bench, &slice);
    while (b != NULL && b->attempt != attempt) {
        b = b->next;
    }
    return b;
}

/* --- judging ---------------------------------------------------------------------------------- */

struct judge_work {
    uv_work_t work;
    struct lead *lead;
    uint32_t life;
    uint64_t slice;
    uint64_t attempt;
    bool describe_only; /* of a run that is over: no event follows */
    struct buffer output;
    bool have;
    bool too_large; /* for the program to judge */
    enum pn_status status;
    struct pn_err err;
    struct job_verdict verdict;
    struct buffer description;
    /* Of an answer, from the ledger: */
    struct digest worker;
    uint32_t wall_ms;
    uint64_t final_wall_ms; /* 0: not final yet */
};

static enum pn_status read_file(struct judge_work *w)
{
    const struct lead *d = w->lead;
    const struct file_set set = set_of(d, w->slice, w->attempt);
    uint64_t size = 0;
    enum pn_status status = store_output_read(d->of->config.store, &set, 0, 0, w->output.max,
                                              &w->output, &size, &w->err);
    w->too_large = size > w->output.max;
    return status;
}

static enum pn_status read_again(struct judge_work *w)
{
    struct record_output o;
    const struct lead *d = w->lead;
    enum pn_status status =
        ledger_read_output(d->of->reader, &d->job, &d->run, w->slice, 0, &o, &w->output, &w->err);
    if (status == PN_OK && o.in_file) {
        w->attempt = o.attempt;
        status = read_file(w);
    }
    return status;
}

static enum pn_status on_answer_record(void *arg, const struct record *r)
{
    struct judge_work *w = arg;
    if (r->kind == RECORD_FINAL) {
        w->attempt = r->final.attempt;
        w->final_wall_ms = r->final.at_wall_ms;
    } else if (r->kind == RECORD_VOTE && r->vote.attempt == w->attempt) {
        w->worker = r->vote.worker;
        w->wall_ms = r->vote.wall_ms;
    }
    return PN_OK;
}

/* Who found it and when is told to people; nothing hangs on it. */
static void read_finder(struct judge_work *w)
{
    const struct lead *d = w->lead;
    struct pn_err err;
    if (ledger_read_slice(d->of->reader, &d->job, &d->run, w->slice, on_answer_record, w, &err) !=
        PN_OK) {
        log_write(LOG_WARN, "master", "whose answer it is: %s", err.text);
    }
}

static void judge_work(uv_work_t *req)
{
    struct judge_work *w = req->data;
    const struct lead *d = w->lead;
    struct job_slice slice = lead_slice(d, w->slice);
    w->status = PN_OK;
    if (!w->have && !w->too_large) {
        w->status = w->describe_only ? read_again(w) : read_file(w);
    }
    if (w->too_large) { /* its program never writes so much: nobody made this by running it */
        w->verdict.judgement = JOB_JUDGED_MALFORMED;
        w->status = PN_OK;
    } else if (w->status == PN_OK) {
        struct random audit; /* what is final was audited before it became so */
        random_seed(&audit, random_fresh_seed());
        w->status =
            d->program->judge(&slice, buffer_bytes(&w->output), w->describe_only ? NULL : &audit,
                              &d->of->ends, &w->verdict, &w->err);
    }
    if (w->status == PN_OK && w->verdict.answer) {
        w->status =
            d->program->describe(&slice, buffer_bytes(&w->output), &w->description, &w->err);
        read_finder(w);
    }
}

/* From the run's start until the answer was final, or now. */
static uint64_t received_ms(const struct lead *d, const struct judge_work *w)
{
    if (w->final_wall_ms > 0) {
        return w->final_wall_ms > d->started_wall_ms ? w->final_wall_ms - d->started_wall_ms : 0;
    }
    return d->earlier_ms + clock_now_ms() - d->started_ms;
}

/* "key value" lines become fields. */
static void keep_answer(struct lead *d, const struct judge_work *w)
{
    struct job_answer *a = &d->answer;
    if ((a->found && a->slice <= w->slice) || d->decided) {
        return;
    }
    *a = (struct job_answer){.found = true,
                             .slice = w->slice,
                             .worker = w->worker,
                             .search_ms = w->wall_ms,
                             .received_ms = received_ms(d, w),
                             .unit_count = w->verdict.unit_count};
    if (d->core != NULL) {
        struct master_stats s;
        master_stats(d->core, &s);
        const uint64_t slots = s.slot_count < s.slice_count ? s.slot_count : s.slice_count;
        const double per_slot = w->verdict.unit_count * 1000 / (w->wall_ms > 0 ? w->wall_ms : 1);
        a->rate_per_s = per_slot * (slots > 0 ? (double)slots : 1); /* its finder may have left */
        const struct job_slice slice = lead_slice(d, w->slice);
        const double done =
            d->program->slice_units(&slice) * (double)(s.final_count + s.running_count + 1);
        const double most = LEAD_RATE_SLACK * done * 1000 / (double)(a->received_ms + 1);
        a->rate_per_s = a->rate_per_s < most ? a->rate_per_s : most; /* it says what it took */
    }
    (void)snprintf(a->line, sizeof a->line, "%s", w->verdict.line);
    const char *at = (const char *)w->description.ptr;
    size_t left = w->description.len;
    while (left > 0 && a->field_count < ANSWER_FIELDS_MAX) {
        const char *end = memchr(at, '\n', left);
        size_t len = end != NULL ? (size_t)(end - at) : left;
        const char *space = memchr(at, ' ', len);
        if (space != NULL) {
            size_t key = (size_t)(space - at);
            (void)snprintf(a->fields[a->field_count].key, ANSWER_KEY_BYTES, "%.*s", (int)key, at);
            (void)snprintf(a->fields[a->field_count].value, ANSWER_VALUE_BYTES, "%.*s",
                           (int)(len - key - 1), space + 1);
            a->field_count++;
        }
        at += len < left ? len + 1 : len;
        left -= len < left ? len + 1 : len;
    }
}

static void after_judge(uv_work_t *req, int uv_status)
{
    struct judge_work *w = req->data;
    struct lead *d = w->lead;
    bool asked = w->describe_only || w->life == d->life;
    (void)uv_status;
    if (asked && w->status == PN_OK && w->verdict.answer) {
        keep_answer(d, w);
    }
    if (w->status != PN_OK && !d->of->ends) {
        log_write(LOG_ERROR, "master", "judging slice %llu: %s", (unsigned long long)w->slice,
                  w->err.text);
    }
    d->of->describing -= w->describe_only;
    if (asked && !w->describe_only) {
        struct master_event ev = {.kind = MASTER_JUDGED, .slice = w->slice, .attempt = w->attempt};
        if (w->status == PN_OK) {
            ev.truthful = w->verdict.judgement == JOB_JUDGED_TRUE;
            ev.answer = w->verdict.answer;
            ev.reason = w->verdict.line;
        }
        ev.status = w->status; /* our own trouble: the outputs count as lost, and are made again */
        (void)lead_event(d, &ev, NULL);
    }
    buffer_fini(&w->output);
    buffer_fini(&w->description);
    free(w);
    lead_unpin(d);
}

static void start_judge(struct lead *d, uint64_t slice, uint64_t attempt, bool describe_only)
{
    struct judge_work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        if (!describe_only) {
            lead_out_of_memory(d, "out of memory for judging");
        }
        return;
    }
    w->work.data = w;
    w->lead = d;
    w->life = d->life;
    w->slice = slice;
    w->attempt = attempt;
    w->describe_only = describe_only;
    d->of->describing += describe_only;
    buffer_init(&w->output, (size_t)d->program->output_bytes_max);
    buffer_init(&w->description, (size_t)16 * 1024);
    const struct benched *b = benched_find(d, slice, attempt);
    if (b != NULL) {
        w->too_large = b->len > w->output.max;
        w->have = buffer_append(&w->output, (struct pn_bytes){b->bytes, b->len}) == PN_OK;
    }
    lead_pin(d);
    (void)uv_queue_work(d->of->config.loop, &w->work, judge_work, after_judge);
}

void lead_judge(struct lead *d, uint64_t slice, uint64_t attempt)
{
    if (d->seq <= d->committed_seq) {
        start_judge(d, slice, attempt, false);
        return;
    }
    /* What is judged must be durable before anything is drawn from it. */
    if (d->judge_count == d->judge_cap) {
        size_t cap = d->judge_cap == 0 ? 16 : d->judge_cap * 2;
        struct waiting_judge *judges = realloc(d->judges, cap * sizeof *judges);
        if (judges == NULL) {
            lead_out_of_memory(d, "out of memory for judging");
            return;
        }
        d->judges = judges;
        d->judge_cap = cap;
    }
    d->judges[d->judge_count++] = (struct waiting_judge){d->seq, slice, attempt};
}

void lead_judge_committed(struct lead *d)
{
    size_t done = 0;
    for (; done < d->judge_count && d->judges[done].seq <= d->committed_seq; done++) {
        start_judge(d, d->judges[done].slice, d->judges[done].attempt, false);
    }
    d->judge_count -= done;
    if (done > 0) {
        memmove(d->judges, d->judges + done, d->judge_count * sizeof *d->judges);
    }
}

void lead_describe_again(struct lead *d, uint64_t slice)
{
    if (d->program != NULL) {
        start_judge(d, slice, 0, true);
    }
}

/* --- pulling and releasing -------------------------------------------------------------------- */

struct disk_work {
    uv_work_t work;
    struct lead *lead;
    uint32_t life;
    struct file_set set;
    bool hand_over; /* from our own worker's outbox; else drop from outputs */
    enum pn_status status;
    struct pn_err err;
};

static void disk_work(uv_work_t *req)
{
    struct disk_work *w = req->data;
    struct store *store = w->lead->of->config.store;
    w->status = w->hand_over ? store_outbox_hand_over(store, &w->set, &w->err)
                             : store_outputs_drop(store, &w->set, &w->err);
}

static void tell_pulled(struct lead *d, const struct file_set *set, enum pn_status status,
                        const struct pn_err *err)
{
    if (status != PN_OK) {
        log_write(LOG_WARN, "master", "outputs of slice %llu: %s", (unsigned long long)set->slice,
                  err != NULL ? err->text : pn_status_text(status));
    }
    struct master_event ev = {
        .kind = MASTER_PULLED, .slice = set->slice, .attempt = set->attempt, .status = status};
    (void)lead_event(d, &ev, NULL);
}

static void after_disk_work(uv_work_t *req, int uv_status)
{
    struct disk_work *w = req->data;
    struct lead *d = w->lead;
    (void)uv_status;
    if (w->hand_over && w->life == d->life) {
        tell_pulled(d, &w->set, w->status, &w->err);
    }
    free(w);
    lead_unpin(d);
}

static void start_disk_work(struct lead *d, uint64_t slice, uint64_t attempt, bool hand_over)
{
    struct disk_work *w = calloc(1, sizeof *w);
    if (w == NULL) {
        if (hand_over) {
            lead_out_of_memory(d, "out of memory for outputs");
        } else { /* a restart finds what nobody wants */
            log_write(LOG_ERROR, "master", "out of memory for outputs");
        }
        return;
    }
    w->work.data = w;
    w->lead = d;
    w->life = d->life;
    w->set = set_of(d, slice, attempt);
    w->hand_over = hand_over;
    lead_pin(d);
    (void)uv_queue_work(d->of->config.loop, &w->work, disk_work, after_disk_work);
}

struct pull {
    struct lead *lead;
    struct file_set set;
    struct transfer_fetch *fetch;
    struct pull *next;
};

static void pull_free(struct pull *p)
{
    struct lead *d = p->lead;
    struct pull **link = &d->pulls;
    while (*link != p) {
        link = &(*link)->next;
    }
    *link = p->next;
    free(p);
    lead_unpin(d);
}

static void on_pulled(void *arg, enum pn_status status, const struct pn_err *err)
{
    struct pull *p = arg;
    struct lead *d = p->lead;
    const struct file_set set = p->set;
    lead_pin(d);
    pull_free(p); /* its fetch is gone: what follows must not cancel it */
    tell_pulled(d, &set, status, err);
    lead_unpin(d);
}

void lead_cancel_pulls(struct lead *d)
{
    while (d->pulls != NULL) {
        transfer_cancel(d->pulls->fetch);
        pull_free(d->pulls);
    }
}

void lead_unpull(struct lead *d, uint64_t slice, uint64_t attempt)
{
    struct pull *p = d->pulls;
    while (p != NULL && (p->set.slice != slice || p->set.attempt != attempt)) {
        p = p->next;
    }
    if (p != NULL) { /* else it is handed over, or could not begin: nothing to cancel */
        transfer_cancel(p->fetch);
        pull_free(p);
        lead_release(d, slice, attempt); /* what has come of it */
    }
}

struct late_failure {
    uv_work_t work;
    struct lead *lead;
    uint32_t life;
    struct file_set set;
};

static void nothing(uv_work_t *req) { (void)req; }

static void after_failure(uv_work_t *req, int uv_status)
{
    struct late_failure *f = req->data;
    struct lead *d = f->lead;
    (void)uv_status;
    const struct pn_err err = {PN_E_CLOSED, "its worker is gone"};
    if (f->life == d->life) {
        tell_pulled(d, &f->set, PN_E_CLOSED, &err);
    }
    free(f);
    lead_unpin(d);
}

/* The core hears of a pull that could not begin after its present actions, not in between. */
static void fail_later(struct lead *d, const struct file_set *set)
{
    struct late_failure *f = calloc(1, sizeof *f);
    if (f == NULL) {
        lead_out_of_memory(d, "out of memory for outputs");
        return;
    }
    f->work.data = f;
    f->lead = d;
    f->life = d->life;
    f->set = *set;
    lead_pin(d);
    (void)uv_queue_work(d->of->config.loop, &f->work, nothing, after_failure);
}

void lead_pull(struct lead *d, const struct master_action *x)
{
    struct port *p = ports_find(d->of->config.ports, x->link);
    if (p != NULL && p->own) {
        start_disk_work(d, x->slice, x->attempt, true);
        return;
    }
    const struct ballot *b = master_ballot(d->core, x->slice, x->attempt);
    if (b == NULL) {
        return; /* let go of in the same step */
    }
    struct transfer_output outputs[JOB_OUTPUTS_MAX];
    for (uint8_t i = 0; i < b->file_count; i++) {
        outputs[i] =
            (struct transfer_output){b->files[i].index, b->files[i].size, b->files[i].root};
    }
    const struct file_set set = set_of(d, x->slice, x->attempt);
    struct pull *pull = p != NULL ? calloc(1, sizeof *pull) : NULL;
    struct pn_err err;
    if (pull == NULL) {
        fail_later(d, &set);
        return;
    }
    pull->lead = d;
    pull->set = set;
    pull->next = d->pulls;
    d->pulls = pull;
    lead_pin(d);
    if (transfer_fetch_outputs(d->of->config.transfer, p, &set, outputs, b->file_count, on_pulled,
                               pull, &pull->fetch, &err) != PN_OK) {
        log_write(LOG_WARN, "master", "outputs: %s", err.text);
        fail_later(d, &set);
        pull_free(pull);
    }
}

void lead_release(struct lead *d, uint64_t slice, uint64_t attempt)
{
    start_disk_work(d, slice, attempt, false);
}
