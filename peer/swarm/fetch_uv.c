/* Fetching a set onto its shelf: carries out what the swarm core orders, tells it what came of it.
 */
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/random_sys.h"
#include "peer/swarm/source.h"
#include "peer/swarm/squeeze.h"
#include "peer/swarm/transfer_inside.h"

static struct partner *partner_of(struct transfer *t, uint32_t port_id)
{
    for (struct partner *p = t->partners; p != NULL; p = p->next) {
        if (p->port->id == port_id) {
            return p;
        }
    }
    return NULL;
}

/*
 * --- the end of a fetch ---
 * One that is over is freed by the timer (transfer_uv.c), so that whoever walks the list of fetches
 * or has one in hand may call anything here.
 */

void fetch_free(struct fetch *f)
{
    for (struct fetch **at = &f->t->fetches; *at != NULL; at = &(*at)->next) {
        if (*at == f) {
            *at = f->next;
            break;
        }
    }
    for (uint32_t i = 0; f->leaves != NULL && i < f->shelf->layout.file_count; i++) {
        free(f->leaves[i]);
    }
    free(f->leaves);
    swarm_free(f->swarm); /* before the layout it borrows */
    free(f->news);
    shelf_put(f->shelf, f->shelf->set.kind == SET_OF_ATTEMPT);
    free(f);
}

static void stop_asks(struct fetch *f, struct partner *p)
{
    for (struct ask *a = p->asks; a != NULL; a = a->next) {
        if (a->fetch == f) {
            ask_stop(p, a);
        }
    }
}

static void stop_all_asks(struct fetch *f)
{
    for (struct partner *p = f->t->partners; p != NULL; p = p->next) {
        stop_asks(f, p);
    }
}

/* Tells all who wait; they may start and cancel fetches meanwhile. */
static void end(struct fetch *f, enum pn_status status, const struct pn_err *err)
{
    f->over = true;
    stop_all_asks(f);
    while (f->waiters != NULL) {
        struct transfer_fetch *w = f->waiters;
        f->waiters = w->next;
        w->on_done(w->arg, status, err);
        free(w);
    }
    transfer_arm(f->t);
}

void fetch_fail(struct fetch *f, enum pn_status status, const struct pn_err *err)
{
    if (!f->over) {
        end(f, status, err);
    }
}

void fetch_abandon(struct fetch *f)
{
    f->over = true;
    stop_all_asks(f);
    transfer_arm(f->t);
}

struct finish {
    struct work work;
    struct fetch *fetch;
};

static void finish_run(struct work *w)
{
    struct finish *finish = (struct finish *)w;
    w->status = store_outputs_finish(w->t->store, &finish->fetch->shelf->set, &w->err);
}

static void finish_done(struct work *w)
{
    struct finish *finish = (struct finish *)w;
    struct fetch *f = finish->fetch;
    f->work_count--;
    if (!f->over) {
        end(f, w->status, &w->err);
    }
    free(finish);
}

static void everything_is_here(struct fetch *f)
{
    stop_all_asks(f);
    fetch_tell_news(f);
    if (f->shelf->set.kind == SET_OF_JOB) {
        end(f, PN_OK, NULL);
        return;
    }
    struct finish *finish = calloc(1, sizeof *finish);
    if (finish == NULL) {
        struct pn_err err;
        fetch_fail(f, pn_fail(&err, PN_E_NO_MEMORY, "outputs: out of memory"), &err);
        return;
    }
    f->ending = true;
    f->work_count++;
    finish->fetch = f;
    finish->work.run = finish_run;
    finish->work.done = finish_done;
    work_start(f->t, &finish->work);
}

/* --- orders of the core --- */

static enum pn_status send_ask(struct fetch *f, struct partner *p, const struct swarm_action *o)
{
    uint8_t held[DATA_ANY_BLOCKS_MAX / 8];
    uint8_t body[sizeof held + 128];
    struct writer w = writer_of(body, sizeof body);
    bool leaves = o->kind == SWARM_ASK_LEAVES;
    struct ask *a = ask_new(p, leaves ? FRAME_LEAVES : FRAME_BLOCK);
    if (a == NULL) {
        return PN_E_NO_MEMORY;
    }
    a->fetch = f;
    a->tag = o->tag;
    a->file = o->file;
    a->count = o->count;
    a->first = o->kind == SWARM_ASK_ANY ? REQUEST_ANY : o->first;
    if (leaves) {
        data_leaves_ask_write(&(struct data_leaves_ask){f->shelf->set, o->file, o->first, o->count},
                              &w);
    } else {
        struct data_block_ask ask = {.set = f->shelf->set, .block = o->first};
        if (o->kind == SWARM_ASK_ANY) {
            ask.any = true;
            ask.first = o->first;
            ask.count = o->count;
            ask.held = (struct pn_bytes){held, (o->count + 7) / 8};
            swarm_held(f->swarm, o->first, o->count, held);
        }
        data_block_ask_write(&ask, &w);
    }
    return partner_send(p, SESSION_CONTROL, a->type, FRAME_CRITICAL, a->number, writer_done(&w));
}

static void stop_one(struct fetch *f, struct partner *p, uint32_t tag)
{
    for (struct ask *a = p->asks; a != NULL; a = a->next) {
        if (a->fetch == f && a->tag == tag) {
            ask_stop(p, a);
            return;
        }
    }
}

/* Nothing here calls back into the core: a port that fails is told of by the shell, later. */
static void obey(struct fetch *f, const struct swarm_action *o)
{
    struct partner *p = partner_of(f->t, o->source);
    switch (o->kind) {
    case SWARM_ASK_LEAVES:
    case SWARM_ASK_BLOCK:
    case SWARM_ASK_ANY:
        if (p != NULL) {
            (void)send_ask(f, p, o); /* unsent: the core finds the source silent */
        }
        break;
    case SWARM_STOP:
        if (p != NULL) {
            stop_one(f, p, o->tag);
        }
        break;
    case SWARM_DROP_SOURCE:
        if (p != NULL) {
            stop_asks(f, p);
            p->port->close(p->port, "sent what does not hash right");
        }
        break;
    case SWARM_DONE:
        everything_is_here(f);
        break;
    }
}

void fetch_event(struct fetch *f, struct swarm_event ev)
{
    if (f->over || f->ending || f->swarm == NULL) {
        return;
    }
    struct swarm_actions actions;
    ev.now_ms = clock_now_ms();
    swarm_step(f->swarm, &ev, &actions);
    for (uint32_t i = 0; i < actions.count && !f->over; i++) {
        obey(f, &actions.items[i]);
    }
    transfer_arm(f->t);
}

/* --- sources --- */

/* "Tell me what you have, and this is what I have." */
static void say_hello(struct fetch *f, struct partner *p)
{
    serve_tell_state(p, f->shelf, HAVE_TELL_ME);
}

void fetch_add_source(struct fetch *f, struct partner *p)
{
    if (f->swarm == NULL || f->over || transfer_banned(f->t, &p->port->peer)) {
        return;
    }
    fetch_event(f, (struct swarm_event){.kind = SWARM_SOURCE_ADDED, .source = p->port->id});
    if (f->only == p) { /* whoever voted has all of it */
        fetch_event(f, (struct swarm_event){.kind = SWARM_HAVE_ALL, .source = p->port->id});
    } else {
        say_hello(f, p);
    }
}

static bool listens(const struct partner *p, const struct file_set *set)
{
    for (uint32_t i = 0; i < p->listen_count; i++) {
        if (file_set_equal(&p->listens[i], set)) {
            return true;
        }
    }
    return false;
}

static bool is_source(const struct partner *p, const struct file_set *set)
{
    for (uint32_t i = 0; i < p->job_count && set->kind == SET_OF_JOB; i++) {
        if (digest_equal(&p->jobs[i], &set->job)) {
            return true;
        }
    }
    return listens(p, set); /* who wants to hear of it may have some of it as well */
}

static enum pn_status make_swarm(struct fetch *f)
{
    const struct shelf *s = f->shelf;
    struct swarm_file *files = calloc((size_t)s->file_count + 1, sizeof *files);
    f->leaves = calloc((size_t)s->file_count + 1, sizeof(struct digest *));
    f->news = calloc(NEWS_MAX, sizeof *f->news);
    if (files != NULL && f->leaves != NULL && f->news != NULL) {
        for (uint32_t i = 0; i < s->file_count; i++) {
            struct store_file *file = s->files[i].file;
            files[i].need = s->files[i].need;
            files[i].has_leaves = file == NULL || store_file_has_leaves(file);
        }
        f->swarm = swarm_new(&s->layout, files, random_fresh_seed());
    }
    free(files);
    if (f->swarm == NULL) {
        return PN_E_NO_MEMORY;
    }
    for (uint64_t b = bitset_next(&s->had, 0); b != BITSET_NONE; b = bitset_next(&s->had, b + 1)) {
        swarm_had(f->swarm, (uint32_t)b);
    }
    return PN_OK;
}

void fetch_shelf_ready(struct fetch *f)
{
    enum pn_status status = f->shelf->work.status;
    struct pn_err err = f->shelf->work.err;
    if (status == PN_OK) {
        status = make_swarm(f);
        if (status != PN_OK) {
            (void)pn_fail(&err, status, "fetch: %s", pn_status_text(status));
        }
    }
    if (status != PN_OK) {
        end(f, status, &err);
        return;
    }
    f->waiting_since_ms = clock_now_ms();
    f->hello_at_ms = f->waiting_since_ms + HELLO_AGAIN_MS;
    fetch_event(f, (struct swarm_event){.kind = SWARM_TICK});
    for (struct partner *p = f->t->partners; p != NULL && !f->over; p = p->next) {
        if (f->only != NULL ? p == f->only : is_source(p, &f->shelf->set)) {
            fetch_add_source(f, p);
        }
    }
}

void fetch_have(struct fetch *f, struct partner *p, const struct data_have *have)
{
    struct swarm_event ev = {.source = p->port->id};
    if (f->only != NULL || f->swarm == NULL || transfer_banned(f->t, &p->port->peer)) {
        return;
    }
    ev.kind = SWARM_SOURCE_ADDED; /* whoever tells what it has is a source; twice is fine */
    fetch_event(f, ev);
    if ((have->flags & HAVE_ALL) != 0) {
        ev.kind = SWARM_HAVE_ALL;
        fetch_event(f, ev);
    }
    for (uint32_t i = 0; i < have->range_count && !f->over; i++) {
        ev.kind = i + 1 < have->range_count ? SWARM_HAVE_PART : SWARM_HAVE;
        ev.first = have->ranges[i].first;
        ev.count = have->ranges[i].count;
        fetch_event(f, ev);
    }
}

void fetch_partner_gone(struct fetch *f, struct partner *p)
{
    if (f->only == p && !f->ending) {
        struct pn_err err;
        f->only = NULL;
        fetch_fail(f, pn_fail(&err, PN_E_CLOSED, "outputs: the worker's link closed"), &err);
        return;
    }
    fetch_event(f, (struct swarm_event){.kind = SWARM_SOURCE_LOST, .source = p->port->id});
}

void fetch_refused(struct fetch *f, struct partner *p, struct ask *a, const struct data_error *e)
{
    struct swarm_event ev = {.kind = SWARM_BUSY, .source = p->port->id, .tag = a->tag};
    ask_free(p, a);
    switch (e->code) {
    case DATA_E_BUSY:
        ev.count = e->retry_ms > 0 ? e->retry_ms : 1000;
        if (f->t->hooks.named != NULL && e->addr_count > 0) {
            f->t->hooks.named(f->t->hooks.arg, &f->shelf->set, e->addrs, e->addr_count);
        }
        break;
    case DATA_E_NOT_FOUND:
        break;
    case DATA_E_DENIED:
    case DATA_E_BAD_REQUEST:
    case DATA_E_BROKEN:
    case DATA_E_STOPPED:
        ev.kind = SWARM_SOURCE_LOST;
        break;
    }
    if (f->only == p && e->code != DATA_E_BUSY) { /* there is nobody else to wait for */
        struct pn_err err;
        enum pn_status status = e->code == DATA_E_DENIED ? PN_E_DENIED : PN_E_NOT_FOUND;
        fetch_fail(f,
                   pn_fail(&err, status, "outputs: the worker says: %s", data_error_text(e->code)),
                   &err);
        return;
    }
    if (ev.kind == SWARM_SOURCE_LOST) {
        stop_asks(f, p);
    }
    fetch_event(f, ev);
}

/* --- what arrives is checked and stored in the pool --- */

struct intake {
    struct work work;
    struct fetch *fetch;
    uint32_t source;    /* port, and whose it is: */
    struct digest peer; /* a liar may be gone when the lie is found */
    uint32_t file, index;
    uint32_t block; /* numbered through */
    uint32_t length;
    enum data_encoding encoding;
    uint32_t total;
    uint8_t *bytes;         /* a block, as it came */
    struct digest *digests; /* or leaves */
};

static void intake_run(struct work *w)
{
    struct intake *in = (struct intake *)w;
    struct store_file *file = shelf_file(in->fetch->shelf, in->file);
    if (in->digests != NULL) {
        w->status = store_file_put_leaves(file, in->digests, &w->err);
        return;
    }
    struct pn_bytes block = {in->bytes, in->total};
    uint8_t *plain = NULL;
    if (in->encoding == DATA_ZLIB) {
        plain = malloc(in->length);
        if (plain == NULL) {
            w->status = pn_fail(&w->err, PN_E_NO_MEMORY, "block: out of memory");
            return;
        }
        if (!squeeze_undo(block, plain, in->length)) {
            w->status = pn_fail(&w->err, PN_E_MISMATCH, "block: does not inflate");
            free(plain);
            return;
        }
        block = (struct pn_bytes){plain, in->length};
    }
    w->status = store_file_write_block(file, in->index, block, &w->err);
    free(plain);
}

static void block_is_here(struct fetch *f, uint32_t block)
{
    if (bitset_has(&f->shelf->had, block)) {
        f->t->counts.bytes_twice += layout_block_length(&f->shelf->layout, block);
        return;
    }
    bitset_add(&f->shelf->had, block);
    if (f->news_count == NEWS_MAX) {
        fetch_tell_news(f);
    }
    f->news[f->news_count++] = block;
    uint64_t at = clock_now_ms() + NEWS_MS;
    f->t->news_at_ms = at < f->t->news_at_ms ? at : f->t->news_at_ms;
    f->waiting_since_ms = clock_now_ms();
    f->hello_at_ms = f->waiting_since_ms + HELLO_AGAIN_MS;
}

static void intake_done(struct work *w)
{
    struct intake *in = (struct intake *)w;
    struct fetch *f = in->fetch;
    bool leaves = in->digests != NULL;
    struct swarm_event ev = {.source = in->source, .first = leaves ? in->file : in->block};
    transfer_press(w->t, -(int64_t)in->total);
    if (w->status == PN_OK && !leaves && !f->over) {
        block_is_here(f, in->block);
    }
    if (w->status == PN_OK) {
        ev.kind = leaves ? SWARM_LEAVES_GOOD : SWARM_BLOCK_GOOD;
        fetch_event(f, ev);
    } else if (w->status == PN_E_MISMATCH) {
        ev.kind = leaves ? SWARM_LEAVES_BAD : SWARM_BLOCK_BAD;
        f->t->counts.blocks_bad++;
        transfer_ban(f->t, &in->peer, "sent what does not hash right");
        fetch_event(f, ev);
    } else {
        fetch_fail(f, w->status, &w->err); /* our own disk */
    }
    f->work_count--;
    free(in->bytes);
    free(in->digests);
    free(in);
}

static void intake_start(struct fetch *f, struct intake *in)
{
    in->fetch = f;
    in->work.run = intake_run;
    in->work.done = intake_done;
    f->work_count++;
    transfer_press(f->t, in->total);
    work_start(f->t, &in->work);
}

static void out_of_memory(struct fetch *f)
{
    struct pn_err err;
    fetch_fail(f, pn_fail(&err, PN_E_NO_MEMORY, "fetch: out of memory"), &err);
}

void fetch_block_arrived(struct fetch *f, struct partner *p, struct ask *a)
{
    struct intake *in = calloc(1, sizeof *in);
    if (in == NULL) {
        ask_free(p, a);
        out_of_memory(f);
        return;
    }
    struct swarm_event ev = {.source = p->port->id, .tag = a->tag, .count = a->total};
    in->source = p->port->id;
    in->peer = p->port->peer;
    in->block = a->first;
    in->file = layout_file(&f->shelf->layout, a->first, &in->index);
    in->length = layout_block_length(&f->shelf->layout, a->first);
    in->encoding = a->encoding;
    in->total = a->total;
    in->bytes = a->bytes;
    a->bytes = NULL;
    ask_free(p, a);
    ev.kind = SWARM_BYTES;
    fetch_event(f, ev);
    ev.kind = SWARM_ARRIVED;
    fetch_event(f, ev);
    intake_start(f, in);
}

void fetch_leaves_arrived(struct fetch *f, struct partner *p, struct ask *a,
                          struct pn_bytes digests)
{
    uint32_t file = a->file;
    uint32_t count = layout_file_blocks(&f->shelf->layout, file);
    bool last = a->first + a->count == count;
    struct swarm_event ev = {.source = p->port->id, .tag = a->tag, .count = (uint32_t)digests.len};
    struct intake *in = last ? calloc(1, sizeof *in) : NULL;
    if (f->leaves[file] == NULL) {
        f->leaves[file] = calloc(count, sizeof(struct digest));
    }
    if (f->leaves[file] == NULL || (last && in == NULL)) {
        free(in);
        ask_free(p, a);
        out_of_memory(f);
        return;
    }
    memcpy(f->leaves[file] + a->first, digests.ptr, digests.len);
    ask_free(p, a);
    ev.kind = SWARM_BYTES;
    fetch_event(f, ev);
    ev.kind = SWARM_ARRIVED;
    fetch_event(f, ev);
    if (in != NULL) {
        in->source = p->port->id;
        in->peer = p->port->peer;
        in->file = file;
        in->digests = f->leaves[file];
        f->leaves[file] = NULL;
        intake_start(f, in);
    }
}

/* --- telling others, time --- */

static int compare_blocks(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void fetch_tell_news(struct fetch *f)
{
    static struct data_have have; /* 8 KiB; the loop has one thread */
    static uint8_t body[DATA_RANGES_MAX * 8 + 128];
    if (f->news_count == 0) {
        return;
    }
    qsort(f->news, f->news_count, sizeof *f->news, compare_blocks);
    for (uint32_t at = 0; at < f->news_count;) {
        have.set = f->shelf->set;
        have.flags = 0;
        have.range_count = 0;
        while (at < f->news_count && have.range_count < DATA_RANGES_MAX) {
            struct data_range *r = &have.ranges[have.range_count++];
            *r = (struct data_range){f->news[at++], 1};
            while (at < f->news_count && f->news[at] == r->first + r->count) {
                r->count++;
                at++;
            }
        }
        struct writer w = writer_of(body, sizeof body);
        data_have_write(&have, &w);
        for (struct partner *p = f->t->partners; p != NULL; p = p->next) {
            if (listens(p, &f->shelf->set)) {
                (void)partner_send(p, SESSION_CONTROL, FRAME_HAVE, 0, 0, writer_done(&w));
            }
        }
    }
    f->news_count = 0;
}

/* Nothing came for a while: what we know of the sources may be old. */
static void say_hello_again(struct fetch *f, uint64_t now_ms)
{
    f->hello_at_ms = now_ms + HELLO_AGAIN_MS;
    for (struct partner *p = f->t->partners; p != NULL && f->only == NULL; p = p->next) {
        if (is_source(p, &f->shelf->set) && !transfer_banned(f->t, &p->port->peer)) {
            say_hello(f, p);
        }
    }
}

uint64_t fetch_stalls_at_ms(const struct fetch *f)
{
    return f->waiting_since_ms + f->t->pull_stall_ms;
}

void fetch_tick(struct fetch *f, uint64_t now_ms)
{
    if (f->swarm == NULL || f->over || f->ending) {
        return;
    }
    if (f->only != NULL && fetch_stalls_at_ms(f) <= now_ms) {
        struct pn_err err; /* its slice must not wait for ever for a worker that is merely there */
        fetch_fail(f,
                   pn_fail(&err, PN_E_TIMEOUT, "outputs: none came for %u s",
                           (unsigned)(f->t->pull_stall_ms / 1000)),
                   &err);
        return;
    }
    if (swarm_deadline_ms(f->swarm) <= now_ms) {
        fetch_event(f, (struct swarm_event){.kind = SWARM_TICK});
    }
    if (f->hello_at_ms <= now_ms && !f->over && !f->ending) {
        say_hello_again(f, now_ms);
    }
}
