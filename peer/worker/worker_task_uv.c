#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log_sys.h"
#include "jobs/program.h"
#include "peer/sandbox/caps.h"
#include "peer/sandbox/collect_sys.h"
#include "peer/store/dir_sys.h"
#include "peer/worker/kept.h"
#include "peer/worker/worker_shell.h"

/* --- after the sandbox: on the thread pool ---------------------------------------------------- */

static struct file_set set_of(const struct task *t)
{
    return (struct file_set){.kind = SET_OF_ATTEMPT,
                             .job = t->errand->job,
                             .run = t->errand->run,
                             .slice = t->slice,
                             .attempt = t->attempt};
}

/* Small outputs ride in the vote; a file of at most WORK_INLINE_BYTES_MAX is one block. */
static enum pn_status take_inline(struct task *t, const struct collect_output *found,
                                  uint32_t count, size_t total, struct pn_err *err)
{
    t->bytes = malloc(total > 0 ? total : 1);
    if (t->bytes == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        size_t size = (size_t)found[i].size;
        enum pn_status status = dir_pread(found[i].fd, t->bytes + at, size, 0, found[i].name, err);
        if (status != PN_OK) {
            return status;
        }
        struct digest leaf;
        hash_leaf((struct pn_bytes){t->bytes + at, size}, &leaf);
        hash_root(size, &leaf, &t->result.outputs[i].root);
        at += size;
    }
    t->result.has_bytes = true;
    t->result.bytes = (struct pn_bytes){t->bytes, total};
    return PN_OK;
}

static void hash_result(struct task *t)
{
    struct worker_result *r = &t->result;
    struct output outputs[JOB_OUTPUTS_MAX];
    for (uint32_t i = 0; i < r->output_count; i++) {
        outputs[i] =
            (struct output){t->errand->manifest.outputs[i], r->outputs[i].size, r->outputs[i].root};
    }
    r->class = (enum outcome_class)t->outcome.class;
    r->code = t->outcome.code;
    hash_outputs(r->class, r->code, outputs, r->output_count, &r->outputs_hash);
}

/* What a later start of this peer needs to vote for the outputs again; of our own jobs nothing. */
static enum pn_status write_note(struct task *t, struct buffer *note)
{
    const struct errand *e = t->errand;
    const struct worker_result *r = &t->result;
    struct kept k = {.master_id = t->master_id, .master = t->master};
    if (e->own) {
        return PN_OK;
    }
    hash_result(t);
    k.vote = (struct work_vote){.what = {e->job, e->run, t->slice, t->attempt, 0},
                                .class = r->class,
                                .code = r->code,
                                .wall_ms = r->wall_ms,
                                .cpu_ms = r->cpu_ms,
                                .outputs_hash = r->outputs_hash,
                                .output_count = r->output_count,
                                .stdout_tail = r->stdout_tail,
                                .stderr_tail = r->stderr_tail};
    memcpy(k.vote.outputs, r->outputs, r->output_count * sizeof r->outputs[0]);
    return kept_write(&k, note);
}

/*
 * Large ones go to the outbox, durably, before anybody hears of them; small ones too while the
 * master is away: what piles up until it is back must not be lost with this process.
 */
static enum pn_status take_stored(struct task *t, const struct collect_output *found,
                                  uint32_t count, struct pn_err *err)
{
    struct store *store = t->of->config.store;
    const struct file_set set = set_of(t);
    struct store_adopt adopt[JOB_OUTPUTS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        adopt[i] = (struct store_adopt){.fd = found[i].fd, .index = i};
    }
    uint64_t most = t->errand->manifest.limits.output_bytes;
    enum pn_status status = store_outbox_adopt(store, &set, adopt, count, most, err);
    if (status == PN_E_EXISTS) { /* of before a restart of ours: the master wants it made again */
        status = store_outbox_drop(store, &set, err);
        status =
            status == PN_OK ? store_outbox_adopt(store, &set, adopt, count, most, err) : status;
    }
    for (uint32_t i = 0; status == PN_OK && i < count; i++) {
        t->result.outputs[i].root = adopt[i].root;
        t->result.outputs[i].size = adopt[i].size;
    }
    struct buffer note;
    buffer_init(&note, KEPT_BYTES_MAX);
    if (status == PN_OK && write_note(t, &note) != PN_OK) {
        status = pn_fail(err, PN_E_NO_MEMORY, "out of memory for a note");
    }
    if (status == PN_OK) {
        status = store_outbox_commit(store, &set, buffer_bytes(&note), err);
    }
    buffer_fini(&note);
    t->stored = status == PN_OK;
    return status;
}

#ifdef PREON_TEST_LIAR
/* A worker for tests only: what it computed is changed before it is voted on. */
static void lie(struct task *t)
{
    if (t->result.has_bytes && t->result.bytes.len > 0) {
        struct digest leaf;
        t->bytes[0] ^= 0xff;
        hash_leaf((struct pn_bytes){t->bytes, (size_t)t->result.outputs[0].size}, &leaf);
        hash_root(t->result.outputs[0].size, &leaf, &t->result.outputs[0].root);
    }
}
#endif

static void collect(struct task *t, struct pn_err *err)
{
    const struct manifest *m = &t->errand->manifest;
    struct collect_output found[JOB_OUTPUTS_MAX];
    for (uint32_t i = 0; i < m->output_count; i++) {
        found[i] = (struct collect_output){.name = m->outputs[i], .fd = -1};
    }
    enum pn_status status = collect_outputs(t->folder_fd, found, m->output_count,
                                            m->limits.output_bytes, &t->outcome, err);
    if (status == PN_E_MISMATCH || status == PN_E_TOO_BIG) {
        return; /* the job's fault, and now its outcome */
    }
    if (status == PN_OK) {
        uint64_t total = 0;
        for (uint32_t i = 0; i < m->output_count; i++) {
            t->result.outputs[i].index = (uint16_t)i;
            t->result.outputs[i].size = found[i].size;
            total += found[i].size;
        }
        t->result.output_count = (uint8_t)m->output_count;
        status = total <= WORK_INLINE_BYTES_MAX && !t->alone
                     ? take_inline(t, found, m->output_count, (size_t)total, err)
                     : take_stored(t, found, m->output_count, err);
        collect_close(found, m->output_count);
    }
    if (status != PN_OK) {
        t->machine_fault = true;
        t->reason = WORK_CANNOT_RUN;
        (void)snprintf(t->text, sizeof t->text, "%s", err->text);
    }
}

static void collect_work(uv_work_t *req)
{
    struct task *t = req->data;
    struct pn_err err = {0};
    if (!t->machine_fault && outcome_good(t->outcome)) {
        collect(t, &err);
    }
    collect_discard(t->folder_fd);
    t->folder_fd = -1;
    struct worker_result *r = &t->result;
    if (!outcome_good(t->outcome)) {
        r->output_count = 0;
        r->has_bytes = false;
    }
#ifdef PREON_TEST_LIAR
    lie(t);
#endif
    hash_result(t);
}

static void end(struct task *t)
{
    struct worker_event ev = {.kind = WORKER_RAN, .place = t->place};
    if (t->machine_fault) {
        ev.status = PN_E_SYSTEM;
        ev.reason = t->reason;
    } else {
        ev.result = &t->result;
    }
    labour_event(t->of, &t->ended, &ev, t->machine_fault ? t->text : NULL);
}

static void after_collect(uv_work_t *req, int uv_status)
{
    struct task *t = req->data;
    (void)uv_status;
    t->errand->stored_count += t->stored;
    end(t);
}

/* --- the sandbox ------------------------------------------------------------------------------ */

/* A line costs its writer nothing, us a step of the core and the master a frame: few are passed on.
 */
static void on_line(void *arg, struct pn_bytes line)
{
    struct task *t = arg;
    const uint64_t now_ms = uv_now(t->of->config.loop);
    struct worker_event ev = {.kind = WORKER_ON_WAY, .place = t->place};
    const struct labour *l = t->of;
    if (!l->stepping && !l->freeing && now_ms >= t->next_progress_ms &&
        job_progress_parse(line, &ev.done, &ev.total)) {
        t->next_progress_ms = now_ms + TASK_PROGRESS_EVERY_MS;
        labour_step_now(t->of, &ev);
    }
}

static struct pn_bytes keep_tail(uint8_t *kept, struct pn_bytes tail)
{
    size_t len = tail.len < WORK_TAIL_BYTES_MAX ? tail.len : WORK_TAIL_BYTES_MAX;
    if (len > 0) {
        memcpy(kept, tail.ptr, len);
    }
    return (struct pn_bytes){kept, len};
}

/* Who is to blame: the job (then it is an outcome, to be voted on) or this machine? */
static bool machine_fault(struct outcome o)
{
    return o.class == OUTCOME_NO_START && o.code != OUTCOME_NO_START_NOT_FOUND &&
           o.code != OUTCOME_NO_START_NOT_EXEC;
}

static void on_end(void *arg, const struct sandbox_result *r)
{
    struct task *t = arg;
    char job[DIGEST_SHORT_BYTES];
    digest_short(&t->errand->job, job);
    labour_log_run(t->of, "end   %s %llu %016llx %s %u ms setup %u us", job,
                   (unsigned long long)t->slice, (unsigned long long)t->attempt, r->text,
                   r->wall_ms, r->setup_us);
    turns_end(&t->of->turns, t->place);
    t->state = TASK_COLLECTING;
    t->outcome = r->outcome;
    t->folder_fd = r->folder_fd;
    t->result = (struct worker_result){.wall_ms = r->wall_ms, .cpu_ms = r->cpu_ms};
    t->result.stdout_tail = keep_tail(t->stdout_tail, r->stdout_tail);
    t->result.stderr_tail = keep_tail(t->stderr_tail, r->stderr_tail);
    t->machine_fault = machine_fault(r->outcome);
    t->alone = t->errand->port == 0 && !t->errand->own;
    t->reason = WORK_CANNOT_RUN;
    (void)snprintf(t->text, sizeof t->text, "%s", r->text);
    t->work.data = t;
    (void)uv_queue_work(t->of->config.loop, &t->work, collect_work, after_collect);
    labour_start_waiting(t->of);
}

static void fail(struct task *t, const char *text)
{
    t->machine_fault = true;
    t->reason = WORK_CANNOT_RUN;
    (void)snprintf(t->text, sizeof t->text, "%s", text);
    t->state = TASK_COLLECTING;
    end(t);
}

bool task_run(struct task *t)
{
    assert(t->state == TASK_WAITING);
    const struct errand *e = t->errand;
    const struct manifest *m = &e->manifest;
    const struct sandbox_order order = {
        .job = e->job,
        .slice = (uint32_t)t->slice,
        .slice_count = m->slice_count,
        .program = m->program_kind,
        .program_fd = e->program_fd,
        .args = (const char *const *)m->args,
        .arg_count = m->arg_count,
        .env = (const char *const *)m->env,
        .env_count = m->env_count,
        .files = e->files,
        .file_count = e->file_count,
        .outputs = (const char *const *)m->outputs,
        .output_count = m->output_count,
        .system = m->needs_system,
        .limits = m->limits,
    };
    struct pn_err err;
    enum pn_status status =
        sandbox_run(t->of->config.sandbox, &order, on_line, on_end, t, &t->run, &err);
    if (status == PN_E_BUSY) {
        return false;
    }
    if (status == PN_OK) {
        char job[DIGEST_SHORT_BYTES];
        digest_short(&e->job, job);
        turns_start(&t->of->turns, t->place);
        t->state = TASK_RUNNING;
        labour_log_run(t->of, "start %s %llu %016llx", job, (unsigned long long)t->slice,
                       (unsigned long long)t->attempt);
    } else {
        turns_end(&t->of->turns, t->place);
        fail(t, err.text);
    }
    return true;
}

void task_start(struct task *t, struct errand *e, const struct worker_action *x)
{
    assert(t->state == TASK_FREE);
    t->errand = e;
    t->slice = x->slice;
    t->attempt = x->attempt;
    t->master = e->master;
    t->master_id = e->master_id;
    t->machine_fault = false;
    t->stored = false;
    t->next_progress_ms = 0;
    t->folder_fd = -1;
    errand_pin(e);
    const struct manifest *m = &e->manifest;
    if (t->slice >= m->slice_count) {
        fail(t, "the job has no such slice"); /* nor has its program ever seen such a number */
        return;
    }
    t->state = TASK_WAITING; /* its turn may be at once */
    turns_wait(&t->of->turns, t->place, caps_weight(&m->limits, m->program_kind, m->args[0]));
    labour_start_waiting(t->of);
}

void task_kill(struct task *t)
{
    if (t->state == TASK_RUNNING) {
        sandbox_kill(t->of->config.sandbox, t->run);
    } else if (t->state == TASK_WAITING) {
        struct labour *l = t->of;
        turns_end(&l->turns, t->place);
        fail(t, "called off");
        labour_start_waiting(l); /* whom it kept waiting */
    }
}
