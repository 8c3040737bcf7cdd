#include "jobs/nonce/nonce_report.h"

#include "common/reader.h"
#include "common/writer.h"

static const uint8_t magic[8] = {'p', 'r', 'e', 'o', 'n', '-', 'n', '1'};

uint32_t nonce_report_windows(struct nonce_range slice)
{
    nonce_count count = nonce_range_count(slice);
    return count < NONCE_WINDOWS_MAX ? (uint32_t)count : NONCE_WINDOWS_MAX;
}

void nonce_report_init(struct nonce_report *r, struct nonce_range slice)
{
    r->range = slice;
    r->window_count = nonce_report_windows(slice);
    r->searched_count = 0;
    r->hit_total = 0;
    r->hit_count = 0;
}

struct nonce_range nonce_report_window(const struct nonce_report *r, uint32_t index)
{
    return nonce_range_part(r->range, index, r->window_count);
}

uint32_t nonce_report_window_of(const struct nonce_report *r, uint64_t nonce)
{
    return (uint32_t)nonce_range_part_of(r->range, r->window_count, nonce);
}

size_t nonce_report_write(const struct nonce_report *r, uint8_t out[NONCE_REPORT_BYTES_MAX])
{
    struct writer w = writer_of(out, NONCE_REPORT_BYTES_MAX);
    writer_copy(&w, magic, sizeof magic);
    writer_u64(&w, r->range.first);
    writer_u64(&w, r->range.last);
    writer_u32(&w, r->window_count);
    writer_u32(&w, r->searched_count);
    writer_u64(&w, r->hit_total);
    writer_u32(&w, r->hit_count);
    writer_u32(&w, 0);
    for (uint32_t i = 0; i < r->hit_count; i++) {
        writer_u64(&w, r->hits[i]);
    }
    for (uint32_t i = 0; i < r->searched_count; i++) {
        writer_u64(&w, r->windows[i].nonce);
        writer_u32(&w, r->windows[i].word);
        writer_u32(&w, r->windows[i].sum);
    }
    return writer_done(&w).len;
}

/* The fixed part; everything is checked before a count is used. */
static enum pn_status parse_head(struct reader *r, struct nonce_report *out, struct pn_err *err)
{
    struct pn_bytes found = reader_bytes(r, sizeof magic);
    out->range.first = reader_u64(r);
    out->range.last = reader_u64(r);
    out->window_count = reader_u32(r);
    out->searched_count = reader_u32(r);
    out->hit_total = reader_u64(r);
    out->hit_count = reader_u32(r);
    uint32_t reserved = reader_u32(r);
    if (r->bad || memcmp(found.ptr, magic, sizeof magic) != 0 || reserved != 0) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: not one, or cut short");
    }
    if (out->range.first > out->range.last ||
        out->window_count != nonce_report_windows(out->range)) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: impossible range or %u windows",
                       out->window_count);
    }
    if (out->searched_count == 0 || out->searched_count > out->window_count) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: %u of %u windows searched",
                       out->searched_count, out->window_count);
    }
    uint64_t listed = out->hit_total < NONCE_HITS_MAX ? out->hit_total : NONCE_HITS_MAX;
    if (out->hit_count != listed) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: %u hits listed, must be %u",
                       out->hit_count, (unsigned)listed);
    }
    return PN_OK;
}

enum pn_status nonce_report_parse(struct pn_bytes in, struct nonce_report *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    enum pn_status status = parse_head(&r, out, err);
    if (status != PN_OK) {
        return status;
    }
    struct nonce_range searched = {out->range.first,
                                   nonce_report_window(out, out->searched_count - 1).last};
    if (out->hit_total > nonce_range_count(searched)) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: more hits than nonces");
    }
    for (uint32_t i = 0; i < out->hit_count; i++) {
        out->hits[i] = reader_u64(&r);
        if (!nonce_range_has(searched, out->hits[i]) ||
            (i > 0 && out->hits[i] <= out->hits[i - 1])) {
            return pn_fail(err, PN_E_MALFORMED, "nonce report: hit %u out of place", i);
        }
    }
    for (uint32_t i = 0; i < out->searched_count; i++) {
        struct nonce_window *w = &out->windows[i];
        w->nonce = reader_u64(&r);
        w->word = reader_u32(&r);
        w->sum = reader_u32(&r);
        if (!nonce_range_has(nonce_report_window(out, i), w->nonce)) {
            return pn_fail(err, PN_E_MALFORMED, "nonce report: nonce of window %u out of place", i);
        }
    }
    if (!reader_finish(&r)) {
        return pn_fail(err, PN_E_MALFORMED, "nonce report: %zu bytes do not fit its counts",
                       in.len);
    }
    return PN_OK;
}
