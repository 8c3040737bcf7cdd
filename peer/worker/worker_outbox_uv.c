#include <stdlib.h>

#include "common/log_sys.h"
#include "peer/worker/kept.h"
#include "peer/worker/worker_shell.h"

struct drop_work {
    uv_work_t work;
    struct labour *of;
    struct file_set set;
};

static void drop_work(uv_work_t *req)
{
    struct drop_work *d = req->data;
    struct pn_err err;
    if (store_outbox_drop(d->of->config.store, &d->set, &err) != PN_OK) {
        log_write(LOG_WARN, "worker", "outbox: %s", err.text);
    }
}

static void after_drop(uv_work_t *req, int uv_status)
{
    struct drop_work *d = req->data;
    (void)uv_status;
    labour_unpin(d->of);
    free(d);
}

void labour_drop_outputs(struct labour *l, const struct worker_action *x)
{
    const struct errand *e = errand_find(l, &x->job);
    struct drop_work *d = e == NULL || e->stored_count > 0 ? calloc(1, sizeof *d) : NULL;
    if (d == NULL) {
        return; /* nothing was stored, or the next start tidies up */
    }
    d->work.data = d;
    d->of = l;
    d->set = (struct file_set){SET_OF_ATTEMPT, x->job, x->run, x->slice, x->attempt};
    labour_pin(l);
    (void)uv_queue_work(l->config.loop, &d->work, drop_work, after_drop);
}

/* --- after a restart -------------------------------------------------------------------------- */

struct leftovers {
    struct file_set *sets;
    size_t count, cap;
};

static void on_leftover(void *arg, const struct file_set *attempt)
{
    struct leftovers *l = arg;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct file_set *sets = realloc(l->sets, cap * sizeof *sets);
        if (sets == NULL) {
            return; /* the next start finds it */
        }
        l->sets = sets;
        l->cap = cap;
    }
    l->sets[l->count++] = *attempt;
}

static void drop_now(struct labour *l, const struct file_set *set)
{
    struct pn_err err;
    if (store_outbox_drop(l->config.store, set, &err) != PN_OK) {
        log_write(LOG_WARN, "worker", "outbox: %s", err.text);
    }
}

static bool is_of(const struct work_attempt *a, const struct file_set *set)
{
    return digest_equal(&a->job, &set->job) && run_equal(&a->run, &set->run) &&
           a->slice == set->slice && a->attempt == set->attempt;
}

static void vote_again(struct labour *l, const struct file_set *set, const struct kept *k)
{
    struct errand *e = errand_find(l, &set->job);
    e = e == NULL ? errand_new(l, &set->job) : e;
    if (e == NULL) {
        return; /* they lie there until the next start */
    }
    e->run = set->run;
    e->master = k->master;
    e->master_id = k->master_id;
    e->stored_count++;
    const struct work_vote *v = &k->vote;
    struct worker_result r = {.class = v->class,
                              .code = v->code,
                              .wall_ms = v->wall_ms,
                              .cpu_ms = v->cpu_ms,
                              .outputs_hash = v->outputs_hash,
                              .output_count = v->output_count,
                              .stdout_tail = v->stdout_tail,
                              .stderr_tail = v->stderr_tail};
    memcpy(r.outputs, v->outputs, v->output_count * sizeof v->outputs[0]);
    struct worker_event ev = {.kind = WORKER_RESTORED,
                              .job = set->job,
                              .run = set->run,
                              .slice = set->slice,
                              .attempt = set->attempt,
                              .result = &r};
    labour_step_now(l, &ev);
    if (!worker_engaged(l->core, &set->job)) {
        errand_leave(e);
    }
}

void labour_restore(struct labour *l)
{
    struct leftovers left = {0};
    struct store *store = l->config.store;
    struct pn_err err;
    uint32_t taken = 0;
    if (store_outbox_list(store, on_leftover, &left, &err) != PN_OK) {
        log_write(LOG_WARN, "worker", "outbox: %s", err.text);
    }
    for (size_t i = 0; i < left.count; i++) {
        const struct file_set *set = &left.sets[i];
        const struct errand *e = errand_find(l, &set->job);
        struct buffer note;
        struct kept k;
        buffer_init(&note, KEPT_BYTES_MAX);
        enum pn_status status = store_outbox_note(store, set, &note, &err);
        if (status == PN_OK && note.len > 0) {
            status = kept_parse(buffer_bytes(&note), &k, &err);
        }
        if (status != PN_OK) {
            log_write(LOG_WARN, "worker", "outbox: %s", err.text);
        }
        if (status == PN_OK && note.len > 0 && is_of(&k.vote.what, set) &&
            taken < WORKER_KEPT_MAX && (e == NULL || run_equal(&e->run, &set->run))) {
            taken++;
            vote_again(l, set, &k);
        } else {
            drop_now(l, set); /* of our own jobs, of another run, or more than we remember */
        }
        buffer_fini(&note);
    }
    free(left.sets);
}
