/* Answering partners: one queue each, blocks read ahead in the pool, sent as the lane has room. */
#include <stdlib.h>

#include "common/clock_sys.h"
#include "peer/swarm/squeeze.h"
#include "peer/swarm/transfer_inside.h"

enum { BUSY_MS = 500 };

static struct file_set set_of(const struct serving *q)
{
    return q->shelf != NULL ? q->shelf->set : file_set_of_job(&q->job);
}

static void serving_free(struct serving *q)
{
    if (q->shelf != NULL) {
        shelf_put(q->shelf, false);
    }
    q->work.t->serving_count--;
    free(q->held);
    free(q->bytes);
    free(q);
}

static void dequeue(struct serving *q)
{
    struct serving **at = &q->partner->queue;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is there, so the walk ends */
    while (*at != q) {
        at = &(*at)->next;
    }
    *at = q->next;
    q->partner->queue_count--;
    q->partner = NULL;
    if (q->state != SERVING_READS) { /* else when the pool lets go */
        serving_free(q);
    }
}

static enum pn_status refuse(struct partner *p, enum session_lane lane, uint32_t number,
                             enum data_error_code code, const struct file_set *set,
                             const char *text)
{
    uint8_t body[1024];
    struct writer w = writer_of(body, sizeof body);
    struct data_error e = {.code = code, .text = pn_bytes_str(text)};
    if (code == DATA_E_BUSY) {
        e.retry_ms = BUSY_MS;
        if (p->t->hooks.others != NULL) {
            uint32_t count = p->t->hooks.others(p->t->hooks.arg, p->port, set, e.addrs);
            e.addr_count = (uint8_t)(count < DATA_ERROR_ADDRS_MAX ? count : DATA_ERROR_ADDRS_MAX);
        }
    }
    e.text.len = e.text.len < DATA_ERROR_TEXT_MAX ? e.text.len : DATA_ERROR_TEXT_MAX;
    data_error_write(&e, &w);
    return partner_send(p, lane, FRAME_ERROR, FRAME_ANSWER, number, writer_done(&w));
}

static void refuse_serving(struct serving *q, enum data_error_code code, const char *text)
{
    struct file_set set = set_of(q);
    (void)refuse(q->partner, SESSION_CONTROL, q->number, code, &set, text);
    dequeue(q);
}

/* --- reading, in the pool --- */

static void read_manifest(struct serving *q)
{
    struct store_job job;
    struct work *w = &q->work;
    w->status = store_job_read(w->t->store, &q->job, &job, &w->err);
    if (w->status != PN_OK) {
        return;
    }
    size_t left = q->offset < job.manifest.len ? job.manifest.len - q->offset : 0;
    size_t len = left < DATA_CHUNK_BYTES_MAX ? left : DATA_CHUNK_BYTES_MAX;
    q->bytes = malloc(len > 0 ? len : 1);
    if (len == 0 || q->bytes == NULL) {
        w->status =
            pn_fail(&w->err, PN_E_RANGE, "manifest: offset %u of %zu", q->offset, job.manifest.len);
    } else {
        memcpy(q->bytes, job.manifest.ptr + q->offset, len);
        q->total = (uint32_t)job.manifest.len;
        q->count = (uint32_t)len;
    }
    store_job_fini(&job);
}

static void read_block(struct serving *q)
{
    struct work *w = &q->work;
    uint32_t index;
    uint32_t file = layout_file(&q->shelf->layout, q->block, &index);
    uint32_t length = layout_block_length(&q->shelf->layout, q->block);
    uint8_t *plain = malloc(length);
    uint8_t *packed = malloc(length);
    size_t packed_len = 0;
    w->status = PN_E_NO_MEMORY;
    if (plain != NULL && packed != NULL) {
        w->status =
            store_file_read_block(shelf_file(q->shelf, file), index, plain, length, &w->err);
    }
    if (w->status == PN_OK) {
        packed_len = squeeze_block((struct pn_bytes){plain, length}, packed);
    }
    bool squeezed = packed_len > 0;
    q->bytes = squeezed ? packed : plain;
    q->encoding = squeezed ? DATA_ZLIB : DATA_RAW;
    q->total = squeezed ? (uint32_t)packed_len : length;
    free(squeezed ? plain : packed);
}

static void read_run(struct work *w)
{
    struct serving *q = (struct serving *)w;
    if (q->type == FRAME_MANIFEST) {
        read_manifest(q);
    } else {
        read_block(q);
    }
}

static void send_manifest(struct serving *q)
{
    static uint8_t body[DATA_BODY_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    data_manifest_write(&(struct data_manifest){q->total, {q->bytes, q->count}}, &w);
    (void)partner_send(q->partner, SESSION_CONTROL, FRAME_MANIFEST, FRAME_ANSWER, q->number,
                       writer_done(&w));
    dequeue(q);
}

static void read_done(struct work *w)
{
    struct serving *q = (struct serving *)w;
    struct partner *p = q->partner;
    q->state = SERVING_SENDS;
    if (p == NULL) { /* it has gone */
        serving_free(q);
        return;
    }
    if (q->stopped) {
        refuse_serving(q, DATA_E_STOPPED, "");
    } else if (w->status == PN_OK && q->type == FRAME_MANIFEST) {
        send_manifest(q);
    } else if (w->status != PN_OK) {
        bool lost = w->status == PN_E_NOT_FOUND || w->status == PN_E_RANGE;
        if (q->shelf != NULL) {
            q->shelf->stale = true; /* the disk is not as we thought: look again next time */
        }
        refuse_serving(q, lost ? DATA_E_NOT_FOUND : DATA_E_BROKEN, pn_status_text(w->status));
    }
    serve_go_on(p);
}

static void start_reading(struct serving *q)
{
    q->state = SERVING_READS;
    q->work.run = read_run;
    q->work.done = read_done;
    work_start(q->work.t, &q->work);
}

/* --- blocks --- */

/* What this partner is promised already and must not get twice for two asks of "any". */
static size_t given_blocks(const struct partner *p, uint32_t given[SERVING_PER_PARTNER_MAX])
{
    size_t count = 0;
    for (const struct serving *q = p->queue; q != NULL; q = q->next) {
        if (q->type == FRAME_BLOCK && q->block != SPREAD_NONE) {
            given[count++] = q->block;
        }
    }
    return count;
}

/* The block is chosen when its reading begins, so that the choice is the latest. */
static bool choose_block(struct serving *q)
{
    struct shelf *s = q->shelf;
    if (q->any) {
        uint32_t given[SERVING_PER_PARTNER_MAX];
        size_t count = given_blocks(q->partner, given);
        struct data_block_ask ask = {.any = true,
                                     .first = q->first,
                                     .count = q->count,
                                     .held = {q->held, (q->count + 7) / 8}};
        q->block = spread_pick(&s->spread, &ask, &s->had, given, count);
    } else {
        q->block = q->first;
    }
    if (q->block >= s->layout.block_count || !bitset_has(&s->had, q->block)) {
        q->block = SPREAD_NONE;
        return false;
    }
    spread_count(&s->spread, q->block);
    return true;
}

/* False when the lane is full: serve_go_on comes again when it has drained. */
static bool send_chunks(struct serving *q)
{
    static uint8_t body[CHUNK_BYTES + 64];
    struct partner *p = q->partner;
    if (q->stopped) {
        struct file_set set = set_of(q);
        return refuse(p, SESSION_DATA, q->number, DATA_E_STOPPED, &set, "") == PN_OK;
    }
    while (q->sent < q->total) {
        uint32_t left = q->total - q->sent;
        uint32_t len = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        struct writer w = writer_of(body, sizeof body);
        data_block_write(&(struct data_block){.block = q->block,
                                              .offset = q->sent,
                                              .encoding = q->encoding,
                                              .total = q->total,
                                              .chunk = {q->bytes + q->sent, len}},
                         &w);
        uint8_t flags = FRAME_ANSWER | (len < left ? FRAME_MORE : 0);
        if (partner_send(p, SESSION_DATA, FRAME_BLOCK, flags, q->number, writer_done(&w)) !=
            PN_OK) {
            return false; /* having tried, we are told when the lane has drained */
        }
        q->sent += len;
        p->t->counts.bytes_sent += len;
    }
    return true;
}

/* --- leaves: from memory --- */

static void send_leaves(struct serving *q)
{
    static struct digest digests[DATA_LEAVES_MAX];
    const struct data_leaves_ask *ask = &q->leaves;
    struct store_file *file =
        ask->file < q->shelf->file_count ? shelf_file(q->shelf, ask->file) : NULL;
    if (file == NULL || store_file_leaves(file, ask->first, ask->count, digests, NULL) != PN_OK) {
        refuse_serving(q, DATA_E_NOT_FOUND, "no such leaves here");
        return;
    }
    struct pn_bytes body = {(const uint8_t *)digests, ask->count * sizeof digests[0]};
    (void)partner_send(q->partner, SESSION_CONTROL, FRAME_LEAVES, FRAME_ANSWER, q->number, body);
    dequeue(q);
}

/* --- the queue --- */

/* True when it has begun to read; else it was answered, or waits for its shelf. */
static bool begin_serving(struct serving *q)
{
    if (q->type == FRAME_MANIFEST) {
        start_reading(q);
        return true;
    }
    if (q->shelf->state == SHELF_OPENING) {
        return false;
    }
    if (q->shelf->state == SHELF_FAILED) {
        refuse_serving(q, DATA_E_NOT_FOUND, "not here");
    } else if (q->type == FRAME_LEAVES) {
        send_leaves(q);
    } else if (choose_block(q)) {
        start_reading(q);
        return true;
    } else {
        refuse_serving(q, DATA_E_NOT_FOUND, "no such block here");
    }
    return false;
}

void serve_go_on(struct partner *p)
{
    uint32_t ahead = 0;
    bool lane_open = true; /* blocks leave in the order in which they were asked for */
    for (struct serving *q = p->queue, *next; q != NULL && ahead < READ_AHEAD; q = next) {
        next = q->next;
        switch (q->state) {
        case SERVING_WAITS:
            ahead += begin_serving(q);
            break;
        case SERVING_READS:
            lane_open = false;
            ahead++;
            break;
        case SERVING_SENDS:
            if (lane_open && send_chunks(q)) {
                dequeue(q);
            } else {
                lane_open = false;
                ahead++;
            }
            break;
        }
    }
}

static bool may_read(struct partner *p, const struct file_set *set)
{
    return p->t->hooks.may_read(p->t->hooks.arg, p->port, set);
}

static void enqueue(struct partner *p, struct serving *q)
{
    struct serving **at = &p->queue;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = q;
    p->queue_count++;
}

/* Fills in what the request asks for; the set it is about goes to *set. */
static enum pn_status parse_request(struct serving *q, const struct frame *f, struct file_set *set,
                                    struct pn_err *err)
{
    struct data_manifest_ask manifest;
    struct data_block_ask block;
    enum pn_status status;
    if (f->type == FRAME_MANIFEST) {
        status = data_manifest_ask_parse(f->body, &manifest, err);
        if (status == PN_OK) {
            q->job = manifest.job;
            q->offset = manifest.offset;
            *set = file_set_of_job(&manifest.job);
        }
        return status;
    }
    if (f->type == FRAME_LEAVES) {
        status = data_leaves_ask_parse(f->body, &q->leaves, err);
        if (status == PN_OK) {
            *set = q->leaves.set;
        }
        return status;
    }
    status = data_block_ask_parse(f->body, &block, err);
    if (status != PN_OK) {
        return status;
    }
    *set = block.set;
    q->any = block.any;
    q->first = block.any ? block.first : block.block;
    q->count = block.count;
    if (block.any) {
        q->held = malloc(block.held.len);
        if (q->held == NULL) {
            return pn_fail(err, PN_E_NO_MEMORY, "block request: out of memory");
        }
        memcpy(q->held, block.held.ptr, block.held.len);
    }
    return PN_OK;
}

static void drop_unqueued(struct serving *q)
{
    free(q->held);
    free(q);
}

enum pn_status serve_request(struct partner *p, const struct frame *f, struct pn_err *err)
{
    struct file_set set;
    struct serving *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "request: out of memory");
    }
    q->number = f->request;
    q->type = f->type;
    q->block = SPREAD_NONE;
    enum pn_status status = parse_request(q, f, &set, err);
    if (status != PN_OK) {
        drop_unqueued(q);
        return status;
    }
    enum data_error_code refused = 0;
    if (!may_read(p, &set)) {
        refused = DATA_E_DENIED;
    } else if (p->queue_count >= SERVING_PER_PARTNER_MAX || p->t->serving_count >= SERVING_MAX) {
        refused = DATA_E_BUSY;
    } else if (q->type != FRAME_MANIFEST) {
        q->shelf = shelf_get(p->t, &set, false, NULL, 0);
        refused = q->shelf == NULL ? DATA_E_BUSY : 0;
    }
    if (refused != 0) {
        (void)refuse(p, SESSION_CONTROL, q->number, refused, &set, data_error_text(refused));
        drop_unqueued(q);
        return PN_OK;
    }
    q->partner = p;
    q->work.t = p->t;
    p->t->serving_count++;
    enqueue(p, q);
    serve_go_on(p);
    transfer_arm(p->t);
    return PN_OK;
}

void serve_stop(struct partner *p, uint32_t number)
{
    for (struct serving *q = p->queue; q != NULL; q = q->next) {
        if (q->number == number) {
            /* An error in the control lane would overtake what was sent. And what is being read
             * keeps its place: the pool has it, and a partner has no more there than READ_AHEAD. */
            if (q->sent > 0 || q->state == SERVING_READS) {
                q->stopped = true;
            } else {
                refuse_serving(q, DATA_E_STOPPED, "");
            }
            serve_go_on(p);
            return;
        }
    }
}

void serve_partner_gone(struct partner *p)
{
    while (p->queue != NULL) {
        dequeue(p->queue); /* NOLINT(clang-analyzer-unix.Malloc): takes it off the queue first */
    }
}

/* --- telling what is here --- */

void serve_tell_state(struct partner *p, struct shelf *s, uint8_t flags)
{
    static struct data_have have; /* 8 KiB; the loop has one thread */
    static uint8_t body[DATA_RANGES_MAX * 8 + 128];
    uint64_t at = shelf_whole(s) ? BITSET_NONE : bitset_next(&s->had, 0);
    if (shelf_whole(s)) {
        flags |= HAVE_ALL;
    }
    do {
        have.set = s->set;
        have.flags = flags;
        have.range_count = 0;
        while (at != BITSET_NONE && have.range_count < DATA_RANGES_MAX) {
            struct data_range *r = &have.ranges[have.range_count++];
            *r = (struct data_range){(uint32_t)at, 0};
            for (; at == r->first + r->count; at = bitset_next(&s->had, at + 1)) {
                r->count++;
            }
        }
        if (flags != 0 || have.range_count > 0) {
            struct writer w = writer_of(body, sizeof body);
            data_have_write(&have, &w);
            (void)partner_send(p, SESSION_CONTROL, FRAME_HAVE, 0, 0, writer_done(&w));
        }
        flags = 0;
    } while (at != BITSET_NONE);
}

static void listen_to(struct partner *p, const struct file_set *set)
{
    if (p->listen_count == PARTNER_LISTENS_MAX || !may_read(p, set)) {
        return;
    }
    struct shelf *s = shelf_get(p->t, set, false, NULL, 0);
    if (s == NULL) {
        return;
    }
    bool known = false;
    for (uint32_t i = 0; i < p->listen_count; i++) {
        known = known || file_set_equal(&p->listens[i], set);
    }
    if (!known) {
        p->listens[p->listen_count++] = *set;
    }
    if (s->state == SHELF_READY) {
        serve_tell_state(p, s, 0);
    } /* else it is told when it is open */
    shelf_put(s, false);
}

enum pn_status serve_have(struct partner *p, const struct frame *f, struct pn_err *err)
{
    static struct data_have have;
    enum pn_status status = data_have_parse(f->body, &have, err);
    if (status != PN_OK) {
        return status;
    }
    for (struct fetch *fetch = p->t->fetches; fetch != NULL; fetch = fetch->next) {
        if (!fetch->over && file_set_equal(&fetch->shelf->set, &have.set)) {
            fetch_have(fetch, p, &have);
        }
    }
    if ((have.flags & HAVE_TELL_ME) != 0) {
        listen_to(p, &have.set);
    }
    return PN_OK;
}
