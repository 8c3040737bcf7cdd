/* Our requests: numbered, put together from the frames that answer them, taken back by STOP. */
#include <stdlib.h>

#include "peer/swarm/source.h"
#include "peer/swarm/transfer_inside.h"

struct ask *ask_new(struct partner *p, uint8_t type)
{
    struct ask *a = calloc(1, sizeof *a);
    if (a != NULL) {
        p->number_next = (p->number_next + 1) | TRANSFER_REQUEST_BIT;
        a->number = p->number_next;
        a->type = type;
        a->next = p->asks;
        p->asks = a;
    }
    return a;
}

void ask_free(struct partner *p, struct ask *a)
{
    for (struct ask **at = &p->asks; *at != NULL; at = &(*at)->next) {
        if (*at == a) {
            *at = a->next;
            break;
        }
    }
    free(a->bytes);
    free(a);
}

void ask_stop(struct partner *p, struct ask *a)
{
    uint8_t body[4];
    struct writer w = writer_of(body, sizeof body);
    data_stop_write(a->number, &w);
    (void)partner_send(p, SESSION_CONTROL, FRAME_STOP, 0, 0, writer_done(&w));
    a->fetch = NULL;
    a->manifest = NULL;
    free(a->bytes);
    a->bytes = NULL;
}

static struct ask *find(struct partner *p, uint32_t number)
{
    for (struct ask *a = p->asks; a != NULL; a = a->next) {
        if (a->number == number) {
            return a;
        }
    }
    return NULL;
}

/* The first frame of a block says what the others must say too. */
static enum pn_status block_begins(struct ask *a, const struct data_block *b, struct pn_err *err)
{
    struct shelf *s = a->fetch->shelf;
    if (b->block >= s->layout.block_count || (a->first != REQUEST_ANY && a->first != b->block)) {
        return pn_fail(err, PN_E_RANGE, "block %u, which was not asked for", b->block);
    }
    uint32_t length = layout_block_length(&s->layout, b->block);
    if (b->offset != 0 || (b->encoding == DATA_RAW ? b->total != length : b->total >= length)) {
        return pn_fail(err, PN_E_MALFORMED, "block of %u encoded bytes, %u are right", b->total,
                       length);
    }
    a->bytes = malloc(b->total);
    if (a->bytes == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "block: out of memory");
    }
    a->first = b->block;
    a->encoding = b->encoding;
    a->total = b->total;
    return PN_OK;
}

static enum pn_status block_frame(struct partner *p, struct ask *a, const struct frame *f,
                                  struct pn_err *err)
{
    struct data_block b;
    bool more = (f->flags & FRAME_MORE) != 0;
    enum pn_status status = data_block_parse(f->body, &b, err);
    if (status != PN_OK) {
        return status;
    }
    p->t->counts.bytes_received += b.chunk.len;
    if (a->fetch == NULL) { /* stopped */
        p->t->counts.bytes_twice += b.chunk.len;
        if (!more) {
            ask_free(p, a);
        }
        return PN_OK;
    }
    bool begins = !a->begun;
    if (begins) {
        status = block_begins(a, &b, err);
        if (status != PN_OK) {
            return status;
        }
        a->begun = true;
    }
    if (b.block != a->first || b.encoding != a->encoding || b.total != a->total ||
        b.offset != a->got || more != (b.offset + b.chunk.len < b.total)) {
        return pn_fail(err, PN_E_MALFORMED, "block %u: a chunk out of place", b.block);
    }
    memcpy(a->bytes + a->got, b.chunk.ptr, b.chunk.len);
    a->got += (uint32_t)b.chunk.len;
    struct fetch *fetch = a->fetch;
    struct swarm_event ev = {.source = p->port->id, .tag = a->tag, .first = b.block};
    if (begins) {
        ev.kind = SWARM_BEGUN;
        fetch_event(fetch, ev); /* which may stop this very request */
        if (a->fetch == NULL) {
            if (!more) {
                ask_free(p, a);
            }
            return PN_OK;
        }
    }
    if (!more) {
        fetch_block_arrived(fetch, p, a);
        return PN_OK;
    }
    ev.kind = SWARM_BYTES;
    ev.count = (uint32_t)b.chunk.len;
    fetch_event(fetch, ev);
    return PN_OK;
}

static enum pn_status leaves_frame(struct partner *p, struct ask *a, const struct frame *f,
                                   struct pn_err *err)
{
    struct pn_bytes digests;
    enum pn_status status = data_leaves_parse(f->body, &digests, err);
    if (status != PN_OK) {
        return status;
    }
    if ((f->flags & FRAME_MORE) != 0 || digests.len != a->count * sizeof(struct digest)) {
        return pn_fail(err, PN_E_MALFORMED, "leaves: %zu bytes for %u of them", digests.len,
                       a->count);
    }
    if (a->fetch != NULL) {
        fetch_leaves_arrived(a->fetch, p, a, digests);
    } else {
        ask_free(p, a);
    }
    return PN_OK;
}

static enum pn_status manifest_frame(struct partner *p, struct ask *a, const struct frame *f,
                                     struct pn_err *err)
{
    struct data_manifest m;
    enum pn_status status = data_manifest_parse(f->body, &m, err);
    if (status != PN_OK) {
        return status;
    }
    struct transfer_fetch *manifest = a->manifest;
    ask_free(p, a);
    if (manifest != NULL) {
        manifest_answer(manifest, &m);
    }
    return PN_OK;
}

static enum pn_status error_frame(struct partner *p, struct ask *a, const struct frame *f,
                                  struct pn_err *err)
{
    struct data_error e;
    enum pn_status status = data_error_parse(f->body, &e, err);
    if (status != PN_OK) {
        return status;
    }
    if (a->fetch != NULL) {
        fetch_refused(a->fetch, p, a, &e);
        return PN_OK;
    }
    struct transfer_fetch *manifest = a->manifest;
    ask_free(p, a);
    if (manifest != NULL) {
        manifest_fail(manifest, e.code == DATA_E_DENIED ? PN_E_DENIED : PN_E_NOT_FOUND,
                      data_error_text(e.code));
    }
    return PN_OK;
}

enum pn_status ask_answer(struct partner *p, const struct frame *f, struct pn_err *err)
{
    struct ask *a = find(p, f->request);
    if (a == NULL || (f->type != FRAME_ERROR && f->type != a->type)) {
        return pn_fail(err, PN_E_MALFORMED, "an answer to nothing that was asked");
    }
    switch (f->type) {
    case FRAME_BLOCK:
        return block_frame(p, a, f, err);
    case FRAME_LEAVES:
        return leaves_frame(p, a, f, err);
    case FRAME_MANIFEST:
        return manifest_frame(p, a, f, err);
    default:
        return error_frame(p, a, f, err);
    }
}
