/*
 * villain -- what dishonest workers do beside running slices: say something else, say it again, say
 * what others said, say too much, go away.
 */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

enum {
    LIE_IN_COMMON = 1000,
    FLOOD_FRAMES = 30,
    ENLIST_SLOTS_AT = FRAME_HEADER_BYTES + DIGEST_BYTES + RUN_BYTES + PUBLIC_KEY_BYTES,
};

static bool is_villain(const struct sim_node *n)
{
    return n->role == SIM_REPLAY || n->role == SIM_FLOODER || n->role == SIM_ABANDONER;
}

void sim_villain_up(struct sim *s, const struct sim_node *n)
{
    if (is_villain(n)) {
        (void)sim_after_on(s, sim_between(&s->random, SIM_S, 8 * SIM_S), SIM_MISCHIEF, n);
    }
}

/* What others have found out about the slice, for those who would rather not run it. */
static uint64_t copied_lie(const struct sim *s, const struct sim_node *n, const struct sim_place *p)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        const struct sim_node *o = &s->nodes[i];
        for (size_t k = 0; o != n && k < o->output_count; k++) {
            if (o->outputs[k].job == p->job && o->outputs[k].slice == p->slice) {
                return o->outputs[k].lie;
            }
        }
    }
    return 0;
}

uint64_t sim_villain_lie(struct sim *s, const struct sim_node *n, const struct sim_place *p)
{
    switch (n->role) {
    case SIM_LIAR:
        return n->lie;
    case SIM_COLLUDER:
        return LIE_IN_COMMON;
    case SIM_EQUIVOCATOR:
        return sim_chance(&s->random, 50) ? n->lie : 0;
    case SIM_COPIER:
        return copied_lie(s, n, p);
    case SIM_HONEST:
    case SIM_SLOW:
    case SIM_LAZY:
    case SIM_SILENT:
    case SIM_REPLAY:
    case SIM_FLOODER:
    case SIM_ABANDONER:
    case SIM_DRIPPER:
    case SIM_HOG:
    case SIM_ROLES:
        break;
    }
    return 0;
}

bool sim_villain_lies(enum sim_role role)
{
    return role == SIM_LIAR || role == SIM_COLLUDER || role == SIM_EQUIVOCATOR ||
           role == SIM_COPIER;
}

static uint32_t new_request(struct sim *s) { return 0x60000000 + (++s->said & 0xffffff); }

/* A vote beside those of the core, rightly signed by n. Numbers of its own for the watch. */
static void say(struct sim *s, struct sim_node *n, uint32_t link, const struct work_attempt *what,
                const struct truth *t)
{
    struct worker_result r;
    sim_result_of(t, n->slice_us, &r);
    struct work_vote v = {.what = *what,
                          .class = r.class,
                          .code = r.code,
                          .outputs_hash = r.outputs_hash,
                          .output_count = r.output_count,
                          .has_bytes = r.has_bytes,
                          .bytes = r.bytes};
    v.outputs[0] = r.outputs[0];
    const struct vote_claim claim = {what->job, what->run, what->slice, what->attempt,
                                     r.outputs_hash};
    truth_sign(&n->key, &claim, &v.signature);
    struct buffer frame;
    buffer_init(&frame, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    enum pn_status status = work_write_vote(new_request(s), &v, &frame);
    assert(status == PN_OK);
    sim_send(s, link, 0, buffer_bytes(&frame));
    buffer_fini(&frame);
}

/* The same attempt, another outcome. */
static void equivocate(struct sim *s, struct sim_node *n, uint32_t link, struct pn_bytes frame)
{
    struct work_vote v;
    struct pn_bytes body = {frame.ptr + FRAME_HEADER_BYTES, frame.len - FRAME_HEADER_BYTES};
    if (work_parse_vote(body, &v, NULL) != PN_OK) {
        return;
    }
    const struct sim_link *l = sim_link_of(s, link);
    struct truth_job job = s->masters[l->job].truth;
    job.run = v.what.run;
    struct truth t;
    truth_of(&job, v.what.slice, 0, &t);
    if (digest_equal(&t.outputs, &v.outputs_hash)) {
        truth_of(&job, v.what.slice, n->lie, &t);
    }
    sim_trace(s, "node %u says something else on slice %llu", n->index,
              (unsigned long long)v.what.slice);
    say(s, n, link, &v.what, &t);
}

/* Its core knows of four places; its master hears of as many as may be said. */
void sim_villain_sends(const struct sim_node *n, uint8_t *frame)
{
    if (n->role == SIM_HOG && frame[4] == FRAME_ENLIST) {
        struct writer w = writer_of(frame + ENLIST_SLOTS_AT, 2);
        writer_u16(&w, WORK_SLOTS_MAX);
    }
}

void sim_villain_sent(struct sim *s, struct sim_node *n, uint32_t link, struct pn_bytes frame)
{
    bool kept = s->scenario->role_count[SIM_REPLAY] > 0 || n->role == SIM_FLOODER;
    if (frame.ptr[4] != FRAME_VOTE) {
        return;
    }
    if (n->role == SIM_EQUIVOCATOR) {
        equivocate(s, n, link, frame);
    }
    if (!kept) {
        return;
    }
    struct sim_old_vote *old =
        &n->old[n->old_count < 8 ? n->old_count++ : random_below(&s->random, 8)];
    free(old->frame);
    old->frame = malloc(frame.len);
    assert(old->frame != NULL);
    memcpy(old->frame, frame.ptr, frame.len);
    old->len = frame.len;
}

/* A vote of its own making on a slice it runs, as another run or attempt would have it. */
static void forge(struct sim *s, struct sim_node *n, const struct sim_link *l, bool old_run)
{
    const struct sim_place *p = &n->places[0];
    if (!p->busy || p->job != l->job) {
        return;
    }
    struct truth_job job = s->masters[p->job].truth;
    uint64_t attempt = p->attempt;
    if (old_run) {
        job.run.b[0] ^= 1;
    } else {
        attempt ^= 1 + random_below(&s->random, 0xffff);
    }
    struct truth t;
    truth_of(&job, p->slice, 0, &t);
    sim_trace(s, "node %u forges a vote of another %s", n->index, old_run ? "run" : "attempt");
    say(s, n, l->id, &(struct work_attempt){job.job, job.run, p->slice, attempt, 0}, &t);
}

static struct sim_link *link_of(struct sim *s, const struct sim_node *n)
{
    struct sim_link *l = NULL;
    for (size_t i = 0; i < s->link_count; i++) {
        const struct sim_end *e = &s->links[i]->end[0];
        if (e->node == n->index && e->session != NULL && e->told) {
            l = s->links[i];
        }
    }
    return l;
}

static void say_again(struct sim *s, const struct sim_link *l, const struct sim_old_vote *old)
{
    /* Under a number of its own, as numbers are what the watch tells answers apart by. */
    struct writer w = writer_of(old->frame + FRAME_HEADER_BYTES - 4, 4);
    writer_u32(&w, new_request(s));
    sim_send(s, l->id, 0, (struct pn_bytes){old->frame, old->len});
}

static void replay(struct sim *s, struct sim_node *n, struct sim_link *l)
{
    uint64_t how = random_below(&s->random, 4);
    const struct sim_node *of = how == 0 ? n : &s->nodes[random_below(&s->random, s->node_count)];
    if (how >= 2) {
        forge(s, n, l, how == 2);
    } else if (of->old_count > 0) {
        sim_trace(s, "node %u sends an old vote of node %u", n->index, of->index);
        say_again(s, l, &of->old[random_below(&s->random, of->old_count)]);
    }
}

/* The same votes, again and again: the first of each has counted. */
static void flood(struct sim *s, const struct sim_node *n, const struct sim_link *l)
{
    for (int i = 0; i < FLOOD_FRAMES && n->old_count > 0; i++) {
        say_again(s, l, &n->old[random_below(&s->random, n->old_count)]);
    }
}

void sim_villain_event(struct sim *s, struct sim_node *n)
{
    if (n->role == SIM_ABANDONER) {
        sim_trace(s, "node %u abandons what it has", n->index);
        sim_node_crash(s, n);
        sim_restart_later(s, n, 3 * SIM_S);
        return;
    }
    uint64_t pause_us = n->role == SIM_FLOODER ? SIM_S / 4 : 4 * SIM_S;
    (void)sim_after_on(s, sim_between(&s->random, pause_us / 20, pause_us), SIM_MISCHIEF, n);
    struct sim_link *l = link_of(s, n);
    if (l != NULL && n->role == SIM_REPLAY) {
        replay(s, n, l);
    } else if (l != NULL) {
        flood(s, n, l);
    }
}
