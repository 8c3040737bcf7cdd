#include "peer/wire/work.h"

#include "common/frame.h"
#include "common/reader.h"
#include "common/utf8.h"
#include "common/writer.h"

/* Every body here begins with these. */
static void read_key(struct reader *r, struct digest *job, struct run *run)
{
    reader_copy(r, job->b, sizeof job->b);
    reader_copy(r, run->b, sizeof run->b);
}

static void write_key(struct writer *w, const struct digest *job, const struct run *run)
{
    writer_copy(w, job->b, sizeof job->b);
    writer_copy(w, run->b, sizeof run->b);
}

static void read_attempt(struct reader *r, struct work_attempt *a)
{
    read_key(r, &a->job, &a->run);
    a->slice = reader_u64(r);
    a->attempt = reader_u64(r);
}

static void write_what(struct writer *w, const struct work_attempt *a)
{
    write_key(w, &a->job, &a->run);
    writer_u64(w, a->slice);
    writer_u64(w, a->attempt);
}

static enum pn_status malformed(struct pn_err *err, const char *what, struct pn_bytes in)
{
    return pn_fail(err, PN_E_MALFORMED, "%s: bad length or value (%zu bytes)", what, in.len);
}

/* Wraps a body that is complete in w into a frame. */
static enum pn_status emit(uint8_t type, uint8_t flags, uint32_t request, const struct writer *w,
                           struct buffer *out)
{
    if (w->full) {
        return PN_E_FULL;
    }
    const struct frame f = {type, flags, request, writer_done(w)};
    return frame_write(&f, out);
}

enum pn_status work_parse_join(struct pn_bytes in, struct digest *job, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct digest d;
    reader_copy(&r, d.b, sizeof d.b);
    if (!reader_finish(&r)) {
        return malformed(err, "join", in);
    }
    *job = d;
    return PN_OK;
}

enum pn_status work_write_join(uint32_t request, const struct digest *job, struct buffer *out)
{
    const struct frame f = {FRAME_JOIN, FRAME_CRITICAL, request, digest_bytes(job)};
    return frame_write(&f, out);
}

enum pn_status work_parse_join_answer(struct pn_bytes in, struct work_join_answer *out,
                                      struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_join_answer a;
    reader_copy(&r, a.run.b, sizeof a.run.b);
    reader_copy(&r, a.owner_signature.b, sizeof a.owner_signature.b);
    a.grant = reader_bytes16(&r, GRANT_BYTES_MAX);
    if (!reader_finish(&r)) {
        return malformed(err, "join answer", in);
    }
    *out = a;
    return PN_OK;
}

enum pn_status work_write_join_answer(uint32_t request, const struct work_join_answer *a,
                                      struct buffer *out)
{
    uint8_t body[RUN_BYTES + SIGNATURE_BYTES + 2 + GRANT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    writer_copy(&w, a->run.b, sizeof a->run.b);
    writer_copy(&w, a->owner_signature.b, sizeof a->owner_signature.b);
    writer_bytes16(&w, a->grant);
    return emit(FRAME_JOIN, FRAME_ANSWER, request, &w, out);
}

enum pn_status work_parse_enlist(struct pn_bytes in, struct work_enlist *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct digest job;
    struct run run;
    struct public_key key;
    read_key(&r, &job, &run);
    reader_copy(&r, key.b, sizeof key.b);
    uint16_t slots = reader_u16(&r);
    uint16_t held_count = reader_u16(&r);
    if (slots > WORK_SLOTS_MAX || held_count > WORK_HELD_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "enlist: %u slots (at most %d), %u held (at most %d)",
                       slots, WORK_SLOTS_MAX, held_count, WORK_HELD_MAX);
    }
    struct pn_bytes held = reader_bytes(&r, (size_t)held_count * 16);
    if (!reader_finish(&r)) {
        return malformed(err, "enlist", in);
    }
    out->job = job;
    out->run = run;
    out->key = key;
    out->slots = slots;
    out->held_count = held_count;
    struct reader h = reader_of(held);
    for (uint16_t i = 0; i < held_count; i++) {
        out->held[i].slice = reader_u64(&h);
        out->held[i].attempt = reader_u64(&h);
    }
    return PN_OK;
}

enum pn_status work_write_enlist(uint32_t request, const struct work_enlist *e, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + RUN_BYTES + PUBLIC_KEY_BYTES + 4 + WORK_HELD_MAX * 16];
    struct writer w = writer_of(body, sizeof body);
    write_key(&w, &e->job, &e->run);
    writer_copy(&w, e->key.b, sizeof e->key.b);
    writer_u16(&w, e->slots);
    writer_u16(&w, e->held_count);
    for (uint16_t i = 0; i < e->held_count; i++) {
        writer_u64(&w, e->held[i].slice);
        writer_u64(&w, e->held[i].attempt);
    }
    return emit(FRAME_ENLIST, FRAME_CRITICAL, request, &w, out);
}

enum pn_status work_write_enlist_answer(uint32_t request, struct buffer *out)
{
    const struct frame f = {FRAME_ENLIST, FRAME_ANSWER, request, {NULL, 0}};
    return frame_write(&f, out);
}

enum pn_status work_parse_attempt(uint8_t type, struct pn_bytes in, struct work_attempt *out,
                                  struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_attempt a;
    read_attempt(&r, &a);
    a.lease_s = type == FRAME_ASSIGN ? reader_u32(&r) : 0;
    if (!reader_finish(&r)) {
        return malformed(err, "attempt", in);
    }
    *out = a;
    return PN_OK;
}

enum pn_status work_write_attempt(uint8_t type, const struct work_attempt *a, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + RUN_BYTES + 8 + 8 + 4];
    struct writer w = writer_of(body, sizeof body);
    write_what(&w, a);
    if (type == FRAME_ASSIGN) {
        writer_u32(&w, a->lease_s);
    }
    return emit(type, FRAME_CRITICAL, 0, &w, out);
}

enum pn_status work_parse_progress(struct pn_bytes in, struct work_progress *out,
                                   struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_progress p = {0};
    read_attempt(&r, &p.what);
    p.done = reader_u64(&r);
    p.total = reader_u64(&r);
    if (!reader_finish(&r) || p.done > p.total) {
        return malformed(err, "progress", in);
    }
    *out = p;
    return PN_OK;
}

enum pn_status work_write_progress(const struct work_progress *p, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + RUN_BYTES + 4 * 8];
    struct writer w = writer_of(body, sizeof body);
    write_what(&w, &p->what);
    writer_u64(&w, p->done);
    writer_u64(&w, p->total);
    return emit(FRAME_PROGRESS, 0, 0, &w, out);
}

/* The files of a vote: ascending indices below the maximum, sizes that cannot overflow a sum. */
static bool read_outputs(struct reader *r, struct work_vote *v, uint64_t *total)
{
    v->output_count = reader_u8(r);
    if (v->output_count > JOB_OUTPUTS_MAX) {
        return false;
    }
    *total = 0;
    for (uint8_t i = 0; i < v->output_count; i++) {
        struct work_output *o = &v->outputs[i];
        o->index = reader_u16(r);
        o->size = reader_u64(r);
        reader_copy(r, o->root.b, sizeof o->root.b);
        if (o->index >= JOB_OUTPUTS_MAX || (i > 0 && o->index <= v->outputs[i - 1].index) ||
            o->size > FILE_BYTES_MAX) {
            return false;
        }
        *total += o->size;
    }
    return true;
}

enum pn_status work_parse_vote(struct pn_bytes in, struct work_vote *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_vote v = {0};
    read_attempt(&r, &v.what);
    uint8_t class = reader_u8(&r);
    v.code = (int32_t)reader_u32(&r);
    v.wall_ms = reader_u32(&r);
    v.cpu_ms = reader_u32(&r);
    reader_copy(&r, v.outputs_hash.b, sizeof v.outputs_hash.b);
    reader_copy(&r, v.signature.b, sizeof v.signature.b);
    uint64_t total;
    if (class >= OUTCOME_CLASS_COUNT || v.code < 0 || v.code > 255 ||
        !read_outputs(&r, &v, &total)) {
        return malformed(err, "vote", in);
    }
    v.class = (enum outcome_class) class;
    uint8_t has_bytes = reader_u8(&r);
    if (has_bytes > 1 || (has_bytes == 1 && total > WORK_INLINE_BYTES_MAX)) {
        return malformed(err, "vote", in);
    }
    v.has_bytes = has_bytes == 1;
    if (v.has_bytes) {
        v.bytes = reader_bytes(&r, (size_t)total);
    }
    v.stdout_tail = reader_bytes16(&r, WORK_TAIL_BYTES_MAX);
    v.stderr_tail = reader_bytes16(&r, WORK_TAIL_BYTES_MAX);
    if (!reader_finish(&r)) {
        return malformed(err, "vote", in);
    }
    *out = v;
    return PN_OK;
}

enum pn_status work_write_vote(uint32_t request, const struct work_vote *v, struct buffer *out)
{
    uint8_t body[FRAME_BODY_MAX];
    struct writer w = writer_of(body, sizeof body);
    write_what(&w, &v->what);
    writer_u8(&w, (uint8_t)v->class);
    writer_u32(&w, (uint32_t)v->code);
    writer_u32(&w, v->wall_ms);
    writer_u32(&w, v->cpu_ms);
    writer_copy(&w, v->outputs_hash.b, sizeof v->outputs_hash.b);
    writer_copy(&w, v->signature.b, sizeof v->signature.b);
    writer_u8(&w, v->output_count);
    for (uint8_t i = 0; i < v->output_count; i++) {
        writer_u16(&w, v->outputs[i].index);
        writer_u64(&w, v->outputs[i].size);
        writer_copy(&w, v->outputs[i].root.b, sizeof v->outputs[i].root.b);
    }
    writer_u8(&w, v->has_bytes ? 1 : 0);
    if (v->has_bytes) {
        writer_bytes(&w, v->bytes);
    }
    writer_bytes16(&w, v->stdout_tail);
    writer_bytes16(&w, v->stderr_tail);
    return emit(FRAME_VOTE, FRAME_CRITICAL, request, &w, out);
}

enum pn_status work_parse_vote_answer(struct pn_bytes in, enum work_disposition *out,
                                      struct pn_err *err)
{
    struct reader r = reader_of(in);
    uint8_t d = reader_u8(&r);
    if (!reader_finish(&r) || (d != WORK_KEEP && d != WORK_DROP)) {
        return malformed(err, "vote answer", in);
    }
    *out = (enum work_disposition)d;
    return PN_OK;
}

enum pn_status work_write_vote_answer(uint32_t request, enum work_disposition d, struct buffer *out)
{
    const uint8_t body = (uint8_t)d;
    const struct frame f = {FRAME_VOTE, FRAME_ANSWER, request, {&body, 1}};
    return frame_write(&f, out);
}

enum pn_status work_parse_give_up(struct pn_bytes in, struct work_give_up *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_give_up g = {0};
    read_attempt(&r, &g.what);
    uint8_t reason = reader_u8(&r);
    struct pn_bytes text = reader_bytes16(&r, sizeof g.text - 1);
    if (!reader_finish(&r) || reason < WORK_LEAVING || reason > WORK_REFUSED) {
        return malformed(err, "give up", in);
    }
    g.reason = (enum work_reason)reason;
    for (size_t i = 0; i < text.len; i++) {
        g.text[i] = text.ptr[i] != 0 ? (char)text.ptr[i] : '?';
    }
    utf8_tame(g.text, false); /* people read it: nothing that moves a cursor */
    *out = g;
    return PN_OK;
}

enum pn_status work_write_give_up(const struct work_give_up *g, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + RUN_BYTES + 8 + 8 + 1 + 2 + WORK_TEXT_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    write_what(&w, &g->what);
    writer_u8(&w, (uint8_t)g->reason);
    writer_bytes16(&w, pn_bytes_str(g->text));
    return emit(FRAME_GIVE_UP, FRAME_CRITICAL, 0, &w, out);
}

enum pn_status work_parse_ended(struct pn_bytes in, struct work_ended *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct work_ended e;
    read_key(&r, &e.job, &e.run);
    e.state = reader_u8(&r);
    if (!reader_finish(&r)) {
        return malformed(err, "ended", in);
    }
    *out = e;
    return PN_OK;
}

enum pn_status work_write_ended(const struct work_ended *e, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + RUN_BYTES + 1];
    struct writer w = writer_of(body, sizeof body);
    write_key(&w, &e->job, &e->run);
    writer_u8(&w, e->state);
    return emit(FRAME_ENDED, FRAME_CRITICAL, 0, &w, out);
}
