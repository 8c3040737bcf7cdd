#include <assert.h>
#include <stdlib.h>

#include "peer/worker/worker_internal.h"

enum { FRAMES_BYTES_MAX = 64 * 1024 * 1024 };

void worker_actions_init(struct worker_actions *a)
{
    *a = (struct worker_actions){0};
    buffer_init(&a->frames, FRAMES_BYTES_MAX);
}

void worker_actions_fini(struct worker_actions *a)
{
    free(a->list);
    buffer_fini(&a->frames);
    worker_actions_init(a);
}

struct pn_bytes worker_action_frame(const struct worker_actions *a, const struct worker_action *x)
{
    return (struct pn_bytes){a->frames.ptr + x->frame_at, x->frame_len};
}

struct worker_action *worker_act(struct worker *w, enum worker_action_kind kind)
{
    struct worker_actions *a = w->out;
    if (a->count == a->cap) {
        size_t cap = a->cap == 0 ? 16 : a->cap * 2;
        struct worker_action *list = realloc(a->list, cap * sizeof *list);
        if (list == NULL) {
            a->lost = true;
            return NULL;
        }
        a->list = list;
        a->cap = cap;
    }
    struct worker_action *x = &a->list[a->count++];
    *x = (struct worker_action){.kind = kind};
    return x;
}

void worker_act_close(struct worker *w, uint32_t link, const char *reason)
{
    struct worker_action *x = link != 0 ? worker_act(w, WORKER_DO_CLOSE) : NULL;
    if (x != NULL) {
        x->link = link;
        x->reason = reason;
    }
}

bool worker_act_on(struct worker *w, enum worker_action_kind kind, const struct tie *t,
                   const struct holding *h)
{
    struct worker_action *x = worker_act(w, kind);
    if (x != NULL) {
        x->link = t->link;
        x->job = t->job;
        x->run = t->run;
        x->place = h != NULL ? h->place : WORKER_NO_PLACE;
        x->slice = h != NULL ? h->slice : 0;
        x->attempt = h != NULL ? h->attempt : 0;
    }
    return x != NULL;
}

/* Sends what has been written to out->frames from `at` on. */
void worker_send_from(struct worker *w, uint32_t link, size_t at, enum pn_status written)
{
    if (written != PN_OK) {
        worker_act_close(w, link, "out of memory for a frame");
        return;
    }
    struct worker_action *x = worker_act(w, WORKER_DO_SEND);
    if (x != NULL) {
        x->link = link;
        x->frame_at = at;
        x->frame_len = w->out->frames.len - at;
    }
}

struct work_attempt holding_attempt(const struct tie *t, const struct holding *h)
{
    return (struct work_attempt){t->job, t->run, h->slice, h->attempt, 0};
}

void holding_set(struct tie *t, struct holding *h, enum holding_state state)
{
    t->count[h->state]--;
    h->state = state;
    t->count[state]++;
}

struct holding *holding_find(const struct tie *t, uint64_t slice, uint64_t attempt)
{
    struct holding *h = t->first;
    while (h != NULL && (h->attempt != attempt || h->slice != slice)) {
        h = h->next;
    }
    return h;
}

struct holding *holding_add(struct tie *t, uint64_t slice, uint64_t attempt)
{
    struct holding *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->slice = slice;
    h->attempt = attempt;
    h->place = WORKER_NO_PLACE;
    buffer_init(&h->vote, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    *t->last = h;
    t->last = &h->next;
    t->count[HOLDING_QUEUED]++;
    return h;
}

void holding_drop(struct worker *w, struct tie *t, struct holding *h)
{
    if (h->state == HOLDING_RUNNING) {
        (void)worker_act_on(w, WORKER_DO_KILL, t, h);
        w->places[h->place].holding = NULL;
        w->places[h->place].of = NULL;
    } else if (h->state == HOLDING_VOTED || h->state == HOLDING_KEPT) {
        (void)worker_act_on(w, WORKER_DO_DROP, t, h);
    }
    holding_answered(t, h);
    t->since_ms = w->now_ms;
    struct holding **link = &t->first;
    while (*link != h) {
        link = &(*link)->next;
    }
    *link = h->next;
    if (t->last == &h->next) {
        t->last = link;
    }
    t->count[h->state]--;
    buffer_fini(&h->vote);
    free(h);
}

void holding_give_up(struct worker *w, struct tie *t, struct holding *h, enum work_reason reason,
                     const char *text)
{
    if (tie_listens(t)) {
        struct work_give_up g = {.what = holding_attempt(t, h), .reason = reason};
        if (text != NULL) {
            memcpy(g.text, text, strnlen(text, sizeof g.text - 1));
        }
        size_t at = w->out->frames.len;
        worker_send_from(w, t->link, at, work_write_give_up(&g, &w->out->frames));
    }
    holding_drop(w, t, h);
}

enum pn_status holding_vote(struct worker *w, struct tie *t, struct holding *h,
                            const struct worker_result *r)
{
    struct work_vote v = {
        .what = holding_attempt(t, h),
        .class = r->class,
        .code = r->code,
        .wall_ms = r->wall_ms,
        .cpu_ms = r->cpu_ms,
        .outputs_hash = r->outputs_hash,
        .output_count = r->output_count,
        .has_bytes = r->has_bytes,
        .bytes = r->bytes,
        .stdout_tail = r->stdout_tail,
        .stderr_tail = r->stderr_tail,
    };
    memcpy(v.outputs, r->outputs, r->output_count * sizeof v.outputs[0]);
    const struct vote_claim claim = {t->job, t->run, h->slice, h->attempt, r->outputs_hash};
    enum pn_status status = w->config.sign(w->config.sign_arg, &claim, &v.signature);
    if (status == PN_OK) {
        status = work_write_vote(0, &v, &h->vote);
    }
    h->to_send = status == PN_OK;
    h->whole = r->has_bytes || r->output_count == 0;
    return status;
}

void holding_answered(struct tie *t, struct holding *h)
{
    t->votes_out -= h->request != 0;
    h->request = 0;
}

/* The frame is kept with request 0; its number is written into the copy that is sent. */
static void send_vote(struct worker *w, struct tie *t, struct holding *h)
{
    struct frame f;
    size_t used;
    size_t need;
    enum pn_status status =
        frame_parse(buffer_bytes(&h->vote), FRAME_BODY_MAX, &f, &used, &need, NULL);
    assert(status == PN_OK && used == h->vote.len);
    h->to_send = false;
    h->request = worker_next_request(w);
    t->votes_out++;
    f.request = h->request;
    size_t at = w->out->frames.len;
    worker_send_from(w, t->link, at, frame_write(&f, &w->out->frames));
}

void holding_send_votes(struct worker *w, struct tie *t)
{
    struct holding *h = t->phase == TIE_ENLISTED ? t->first : NULL;
    for (; h != NULL && t->votes_out < WORKER_VOTES_OUT_MAX; h = h->next) {
        if (h->to_send && h->request == 0) {
            send_vote(w, t, h);
        }
    }
}
