#include "peer/worker/kept.h"

#include "common/frame.h"
#include "common/reader.h"
#include "common/writer.h"

enum { KEPT_HEAD_BYTES = 1 + DIGEST_BYTES + 1 + 16 + 2 };

enum pn_status kept_write(const struct kept *k, struct buffer *out)
{
    uint8_t head[KEPT_HEAD_BYTES];
    struct writer w = writer_of(head, sizeof head);
    writer_u8(&w, KEPT_VERSION);
    writer_copy(&w, k->master_id.b, sizeof k->master_id.b);
    writer_u8(&w, k->master.family == ADDR_V6 ? 6 : 4);
    writer_copy(&w, k->master.ip, sizeof k->master.ip);
    writer_u16(&w, k->master.port);
    struct buffer frame;
    size_t before = out->len;
    buffer_init(&frame, FRAME_HEADER_BYTES + FRAME_BODY_MAX);
    enum pn_status status = work_write_vote(0, &k->vote, &frame);
    if (status == PN_OK) {
        status = buffer_append(out, writer_done(&w));
    }
    if (status == PN_OK) {
        status = buffer_append(
            out, (struct pn_bytes){frame.ptr + FRAME_HEADER_BYTES, frame.len - FRAME_HEADER_BYTES});
        out->len = status == PN_OK ? out->len : before;
    }
    buffer_fini(&frame);
    return status;
}

static bool read_addr(struct reader *r, struct addr *out)
{
    uint8_t family = reader_u8(r);
    struct addr a = {.family = family == 4 ? ADDR_V4 : ADDR_V6};
    reader_copy(r, a.ip, sizeof a.ip);
    a.port = reader_u16(r);
    bool tail = false; /* one encoding only: IPv4 uses the first four bytes */
    for (size_t i = 4; family == 4 && i < sizeof a.ip; i++) {
        tail = tail || a.ip[i] != 0;
    }
    *out = a;
    return (family == 4 || family == 6) && !tail && a.port != 0;
}

enum pn_status kept_parse(struct pn_bytes in, struct kept *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct kept k;
    uint8_t version = reader_u8(&r);
    if (in.len > KEPT_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "a kept vote of %zu bytes", in.len);
    }
    if (in.len > 0 && version != KEPT_VERSION) {
        return pn_fail(err, PN_E_UNSUPPORTED, "a kept vote of version %u", version);
    }
    reader_copy(&r, k.master_id.b, sizeof k.master_id.b);
    bool good = read_addr(&r, &k.master);
    if (r.bad || !good) {
        return pn_fail(err, PN_E_MALFORMED, "a kept vote: bad length or address (%zu bytes)",
                       in.len);
    }
    const struct pn_bytes vote = {in.ptr + KEPT_HEAD_BYTES, in.len - KEPT_HEAD_BYTES};
    enum pn_status status = work_parse_vote(vote, &k.vote, err);
    if (status == PN_OK && k.vote.has_bytes) {
        status = pn_fail(err, PN_E_MALFORMED, "a kept vote with its outputs' bytes");
    }
    if (status == PN_OK) {
        *out = k;
    }
    return status;
}
