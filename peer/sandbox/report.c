#include "peer/sandbox/report.h"

#include <assert.h>

#include "common/reader.h"
#include "common/writer.h"

static void read_text(struct reader *r, char *out, size_t out_bytes)
{
    struct pn_bytes b = reader_bytes16(r, out_bytes - 1);
    if (b.len > 0 && memchr(b.ptr, 0, b.len) != NULL) {
        r->bad = true; /* one encoding for one text */
        b.len = 0;
    }
    if (b.len > 0) {
        memcpy(out, b.ptr, b.len);
    }
    out[b.len] = '\0';
}

static bool read_flag(struct reader *r)
{
    uint8_t value = reader_u8(r);
    r->bad = r->bad || value > 1;
    return value == 1;
}

size_t report_write(const struct report *r, uint8_t *out)
{
    struct writer w = writer_of(out, REPORT_BYTES_MAX);
    writer_u8(&w, (uint8_t)r->kind);
    switch (r->kind) {
    case REPORT_READY:
        writer_u8(&w, (uint8_t)r->ready.tier);
        writer_u32(&w, r->ready.uid);
        writer_bytes16(&w, pn_bytes_str(r->ready.reason));
        writer_bytes16(&w, pn_bytes_str(r->ready.remedy));
        break;
    case REPORT_ENDED:
        writer_u32(&w, r->ended.id);
        writer_u8(&w, r->ended.outcome.class);
        writer_u32(&w, (uint32_t)r->ended.outcome.code);
        writer_u32(&w, r->ended.wall_ms);
        writer_u32(&w, r->ended.cpu_ms);
        writer_u32(&w, r->ended.setup_us);
        writer_u64(&w, r->ended.peak_bytes);
        writer_u8(&w, r->ended.folder ? 1 : 0);
        writer_bytes16(&w, pn_bytes_str(r->ended.text));
        break;
    }
    assert(!w.full);
    return w.len;
}

static void read_ready(struct reader *r, struct report *out)
{
    uint8_t tier = reader_u8(r);
    r->bad = r->bad || tier > SANDBOX_FULL;
    out->ready.tier = (enum sandbox_tier)(tier > SANDBOX_FULL ? SANDBOX_NONE : tier);
    out->ready.uid = reader_u32(r);
    read_text(r, out->ready.reason, sizeof out->ready.reason);
    read_text(r, out->ready.remedy, sizeof out->ready.remedy);
}

static void read_ended(struct reader *r, struct report *out)
{
    out->ended.id = reader_u32(r);
    out->ended.outcome.class = reader_u8(r);
    r->bad = r->bad || out->ended.outcome.class >= OUTCOME_CLASS_COUNT;
    out->ended.outcome.code = (int32_t)reader_u32(r);
    out->ended.wall_ms = reader_u32(r);
    out->ended.cpu_ms = reader_u32(r);
    out->ended.setup_us = reader_u32(r);
    out->ended.peak_bytes = reader_u64(r);
    out->ended.folder = read_flag(r);
    read_text(r, out->ended.text, sizeof out->ended.text);
}

enum pn_status report_parse(struct pn_bytes in, struct report *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct report report = {.kind = (enum report_kind)reader_u8(&r)};
    if (report.kind == REPORT_READY) {
        read_ready(&r, &report);
    } else if (report.kind == REPORT_ENDED) {
        read_ended(&r, &report);
    } else {
        r.bad = true;
    }
    if (!reader_finish(&r)) {
        return pn_fail(err, PN_E_MALFORMED, "report: bad kind, value or length (%zu bytes)",
                       in.len);
    }
    *out = report;
    return PN_OK;
}
