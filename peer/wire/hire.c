#include "peer/wire/hire.h"

#include "common/frame.h"
#include "common/reader.h"
#include "common/writer.h"

static enum pn_status malformed(struct pn_err *err, const char *what, struct pn_bytes in)
{
    return pn_fail(err, PN_E_MALFORMED, "%s: bad length or value (%zu bytes)", what, in.len);
}

enum pn_status hire_parse_idle(struct pn_bytes in, uint16_t *slots, struct pn_err *err)
{
    struct reader r = reader_of(in);
    uint16_t n = reader_u16(&r);
    if (!reader_finish(&r)) {
        return malformed(err, "idle", in);
    }
    if (n > WORK_SLOTS_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "idle: %u slots, at most %d", n, WORK_SLOTS_MAX);
    }
    *slots = n;
    return PN_OK;
}

enum pn_status hire_write_idle(uint16_t slots, struct buffer *out)
{
    uint8_t body[2];
    struct writer w = writer_of(body, sizeof body);
    writer_u16(&w, slots);
    const struct frame f = {FRAME_IDLE, 0, 0, writer_done(&w)};
    return frame_write(&f, out);
}

enum pn_status hire_parse_offer(struct pn_bytes in, struct digest *job, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct digest d;
    reader_copy(&r, d.b, sizeof d.b);
    if (!reader_finish(&r)) {
        return malformed(err, "offer", in);
    }
    *job = d;
    return PN_OK;
}

enum pn_status hire_write_offer(uint32_t request, const struct digest *job, struct buffer *out)
{
    const struct frame f = {FRAME_OFFER, 0, request, digest_bytes(job)};
    return frame_write(&f, out);
}

enum pn_status hire_parse_reply(struct pn_bytes in, enum hire_reply *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    uint8_t reply = reader_u8(&r);
    if (!reader_finish(&r) || reply < HIRE_TAKE || reply > HIRE_NEVER) {
        return malformed(err, "answer to an offer", in);
    }
    *out = (enum hire_reply)reply;
    return PN_OK;
}

enum pn_status hire_write_reply(uint32_t request, enum hire_reply reply, struct buffer *out)
{
    uint8_t body[1] = {(uint8_t)reply};
    const struct frame f = {FRAME_OFFER, FRAME_ANSWER, request, {body, sizeof body}};
    return frame_write(&f, out);
}

enum pn_status hire_parse_leave(struct pn_bytes in, struct hire_leave *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct hire_leave l;
    reader_copy(&r, l.job.b, sizeof l.job.b);
    uint8_t reason = reader_u8(&r);
    if (!reader_finish(&r) || reason < HIRE_NO_WORK || reason > HIRE_NOT_WELCOME) {
        return malformed(err, "leave", in);
    }
    l.reason = (enum hire_leave_reason)reason;
    *out = l;
    return PN_OK;
}

enum pn_status hire_write_leave(const struct hire_leave *l, struct buffer *out)
{
    uint8_t body[DIGEST_BYTES + 1];
    struct writer w = writer_of(body, sizeof body);
    writer_copy(&w, l->job.b, sizeof l->job.b);
    writer_u8(&w, (uint8_t)l->reason);
    const struct frame f = {FRAME_LEAVE, 0, 0, writer_done(&w)};
    return frame_write(&f, out);
}
