#include "peer/wire/data.h"

#include "common/hash.h"
#include "common/manifest.h"
#include "common/reader.h"

enum { ASK_ONE = 0, ASK_ANY = 1 };

bool file_set_equal(const struct file_set *a, const struct file_set *b)
{
    return a->kind == b->kind && digest_equal(&a->job, &b->job) && run_equal(&a->run, &b->run) &&
           a->slice == b->slice && a->attempt == b->attempt;
}

static void set_write(const struct file_set *set, struct writer *w)
{
    writer_u8(w, (uint8_t)set->kind);
    writer_bytes(w, digest_bytes(&set->job));
    if (set->kind == SET_OF_ATTEMPT) {
        writer_bytes(w, run_bytes(&set->run));
        writer_u64(w, set->slice);
        writer_u64(w, set->attempt);
    }
}

struct file_set_key file_set_key(const struct file_set *set)
{
    struct file_set_key key = {0};
    struct writer w = writer_of(key.b, sizeof key.b);
    set_write(set, &w);
    return key;
}

/* An unknown kind makes the reader bad: every parser checks that once. */
static struct file_set set_read(struct reader *r)
{
    struct file_set set = {0};
    uint8_t kind = reader_u8(r);
    if (kind != SET_OF_JOB && kind != SET_OF_ATTEMPT) {
        r->bad = true;
        return set;
    }
    set.kind = (enum file_set_kind)kind;
    reader_copy(r, set.job.b, sizeof set.job.b);
    if (set.kind == SET_OF_ATTEMPT) {
        reader_copy(r, set.run.b, sizeof set.run.b);
        set.slice = reader_u64(r);
        set.attempt = reader_u64(r);
    }
    return set;
}

static enum pn_status malformed(const char *what, struct pn_bytes in, struct pn_err *err)
{
    return pn_fail(err, PN_E_MALFORMED, "%s: malformed (%zu bytes)", what, in.len);
}

static bool chunk_valid(struct pn_bytes chunk)
{
    return chunk.len >= 1 && chunk.len <= DATA_CHUNK_BYTES_MAX;
}

/* --- manifest --- */

enum pn_status data_manifest_ask_parse(struct pn_bytes in, struct data_manifest_ask *out,
                                       struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_manifest_ask m;
    reader_copy(&r, m.job.b, sizeof m.job.b);
    m.offset = reader_u32(&r);
    if (!reader_finish(&r)) {
        return malformed("manifest request", in, err);
    }
    if (m.offset >= MANIFEST_BYTES_MAX) {
        return pn_fail(err, PN_E_RANGE, "manifest request: offset %u", m.offset);
    }
    *out = m;
    return PN_OK;
}

void data_manifest_ask_write(const struct data_manifest_ask *m, struct writer *w)
{
    writer_bytes(w, digest_bytes(&m->job));
    writer_u32(w, m->offset);
}

enum pn_status data_manifest_parse(struct pn_bytes in, struct data_manifest *out,
                                   struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_manifest m;
    m.total = reader_u32(&r);
    m.chunk = reader_rest(&r);
    if (!reader_finish(&r) || !chunk_valid(m.chunk) || m.chunk.len > m.total) {
        return malformed("manifest", in, err);
    }
    if (m.total > MANIFEST_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "manifest: %u bytes, at most %d", m.total,
                       MANIFEST_BYTES_MAX);
    }
    *out = m;
    return PN_OK;
}

void data_manifest_write(const struct data_manifest *m, struct writer *w)
{
    writer_u32(w, m->total);
    writer_bytes(w, m->chunk);
}

/* --- leaves --- */

enum pn_status data_leaves_ask_parse(struct pn_bytes in, struct data_leaves_ask *out,
                                     struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_leaves_ask m;
    m.set = set_read(&r);
    m.file = reader_u32(&r);
    m.first = reader_u32(&r);
    m.count = reader_u32(&r);
    if (!reader_finish(&r)) {
        return malformed("leaves request", in, err);
    }
    if (m.count < 1 || m.count > DATA_LEAVES_MAX || m.first > UINT32_MAX - m.count) {
        return pn_fail(err, PN_E_RANGE, "leaves request: %u from %u on, at most %d", m.count,
                       m.first, DATA_LEAVES_MAX);
    }
    *out = m;
    return PN_OK;
}

void data_leaves_ask_write(const struct data_leaves_ask *m, struct writer *w)
{
    set_write(&m->set, w);
    writer_u32(w, m->file);
    writer_u32(w, m->first);
    writer_u32(w, m->count);
}

enum pn_status data_leaves_parse(struct pn_bytes in, struct pn_bytes *digests, struct pn_err *err)
{
    if (in.len == 0 || in.len % DIGEST_BYTES != 0) {
        return malformed("leaves", in, err);
    }
    if (in.len / DIGEST_BYTES > DATA_LEAVES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "leaves: %zu, at most %d", in.len / DIGEST_BYTES,
                       DATA_LEAVES_MAX);
    }
    *digests = in;
    return PN_OK;
}

void data_leaves_write(struct pn_bytes digests, struct writer *w) { writer_bytes(w, digests); }

/* --- blocks --- */

/* The bits after the last block are 1, so that a set of blocks has one encoding. */
static bool spare_bits_set(struct pn_bytes held, uint32_t count)
{
    return count % 8 == 0 || held.ptr[count / 8] >> (count % 8) == 0xff >> (count % 8);
}

enum pn_status data_block_ask_parse(struct pn_bytes in, struct data_block_ask *out,
                                    struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_block_ask m = {.set = set_read(&r)};
    uint8_t how = reader_u8(&r);
    if (how == ASK_ONE) {
        m.block = reader_u32(&r);
    } else if (how == ASK_ANY) {
        m.any = true;
        m.first = reader_u32(&r);
        m.count = reader_u32(&r);
        if (!r.bad &&
            (m.count < 1 || m.count > DATA_ANY_BLOCKS_MAX || m.first > UINT32_MAX - m.count)) {
            return pn_fail(err, PN_E_RANGE, "block request: any of %u, at most %d", m.count,
                           DATA_ANY_BLOCKS_MAX);
        }
        m.held = reader_bytes(&r, (m.count + 7) / 8);
    } else {
        r.bad = true;
    }
    if (!reader_finish(&r) || (m.any && !spare_bits_set(m.held, m.count))) {
        return malformed("block request", in, err);
    }
    *out = m;
    return PN_OK;
}

void data_block_ask_write(const struct data_block_ask *m, struct writer *w)
{
    set_write(&m->set, w);
    writer_u8(w, m->any ? ASK_ANY : ASK_ONE);
    if (m->any) {
        writer_u32(w, m->first);
        writer_u32(w, m->count);
        writer_bytes(w, m->held);
    } else {
        writer_u32(w, m->block);
    }
}

enum pn_status data_block_parse(struct pn_bytes in, struct data_block *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_block m;
    m.block = reader_u32(&r);
    m.offset = reader_u32(&r);
    uint8_t encoding = reader_u8(&r);
    m.total = reader_u32(&r);
    m.chunk = reader_rest(&r);
    if (!reader_finish(&r) || !chunk_valid(m.chunk) || encoding > DATA_ZLIB) {
        return malformed("block", in, err);
    }
    m.encoding = (enum data_encoding)encoding;
    if (m.total > BLOCK_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "block: %u bytes, at most %d", m.total, BLOCK_BYTES_MAX);
    }
    if (m.offset > m.total || m.chunk.len > m.total - m.offset) {
        return pn_fail(err, PN_E_RANGE, "block: chunk of %zu bytes at %u of %u", m.chunk.len,
                       m.offset, m.total);
    }
    *out = m;
    return PN_OK;
}

void data_block_write(const struct data_block *m, struct writer *w)
{
    writer_u32(w, m->block);
    writer_u32(w, m->offset);
    writer_u8(w, (uint8_t)m->encoding);
    writer_u32(w, m->total);
    writer_bytes(w, m->chunk);
}

/* --- have, stop --- */

/* Ranges ascend and do not touch: two that touch would be one. */
static bool ranges_read(struct reader *r, struct data_have *m)
{
    uint32_t next = 0; /* the lowest first block that is allowed */
    for (uint32_t i = 0; i < m->range_count; i++) {
        struct data_range range = {.first = reader_u32(r)};
        range.count = reader_u32(r);
        if (r->bad || range.count == 0 || range.first < next ||
            range.first >= UINT32_MAX - range.count) {
            return false;
        }
        next = range.first + range.count + 1;
        m->ranges[i] = range;
    }
    return true;
}

enum pn_status data_have_parse(struct pn_bytes in, struct data_have *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct file_set set = set_read(&r);
    uint8_t flags = reader_u8(&r);
    uint32_t range_count = reader_u32(&r);
    if (r.bad || flags > (HAVE_TELL_ME | HAVE_ALL) ||
        ((flags & HAVE_ALL) != 0 && range_count != 0)) {
        return malformed("have", in, err);
    }
    if (range_count > DATA_RANGES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "have: %u ranges, at most %d", range_count,
                       DATA_RANGES_MAX);
    }
    struct data_have m; /* too large to be zeroed without need */
    m.set = set;
    m.flags = flags;
    m.range_count = range_count;
    if (!ranges_read(&r, &m) || !reader_finish(&r)) {
        return malformed("have", in, err);
    }
    out->set = m.set;
    out->flags = m.flags;
    out->range_count = m.range_count;
    memcpy(out->ranges, m.ranges, m.range_count * sizeof m.ranges[0]);
    return PN_OK;
}

void data_have_write(const struct data_have *m, struct writer *w)
{
    set_write(&m->set, w);
    writer_u8(w, m->flags);
    writer_u32(w, m->range_count);
    for (uint32_t i = 0; i < m->range_count; i++) {
        writer_u32(w, m->ranges[i].first);
        writer_u32(w, m->ranges[i].count);
    }
}

enum pn_status data_stop_parse(struct pn_bytes in, uint32_t *request, struct pn_err *err)
{
    struct reader r = reader_of(in);
    uint32_t number = reader_u32(&r);
    if (!reader_finish(&r)) {
        return malformed("stop", in, err);
    }
    *request = number;
    return PN_OK;
}

void data_stop_write(uint32_t request, struct writer *w) { writer_u32(w, request); }

/* --- error --- */

static size_t ip_bytes(uint8_t family) { return family == ADDR_V4 ? 4 : 16; }

static struct addr addr_read(struct reader *r)
{
    struct addr a = {.family = reader_u8(r)};
    if (a.family != ADDR_V4 && a.family != ADDR_V6) {
        r->bad = true;
        return a;
    }
    reader_copy(r, a.ip, ip_bytes(a.family));
    a.port = reader_u16(r);
    if (a.family == ADDR_V6 && addr_v6(a.ip, a.port).family != ADDR_V6) {
        r->bad = true; /* IPv4 in disguise has another encoding */
    }
    return a;
}

enum pn_status data_error_parse(struct pn_bytes in, struct data_error *out, struct pn_err *err)
{
    struct reader r = reader_of(in);
    struct data_error m = {0};
    uint8_t code = reader_u8(&r);
    m.retry_ms = reader_u32(&r);
    m.addr_count = reader_u8(&r);
    if (r.bad || code < DATA_E_NOT_FOUND || code > DATA_E_LAST) {
        return malformed("error", in, err);
    }
    m.code = (enum data_error_code)code;
    if (m.addr_count > DATA_ERROR_ADDRS_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "error: %u addresses, at most %d", m.addr_count,
                       DATA_ERROR_ADDRS_MAX);
    }
    for (uint8_t i = 0; i < m.addr_count; i++) {
        m.addrs[i] = addr_read(&r);
    }
    m.text = reader_bytes16(&r, DATA_ERROR_TEXT_MAX);
    if (!reader_finish(&r)) {
        return malformed("error", in, err);
    }
    *out = m;
    return PN_OK;
}

void data_error_write(const struct data_error *m, struct writer *w)
{
    writer_u8(w, (uint8_t)m->code);
    writer_u32(w, m->retry_ms);
    writer_u8(w, m->addr_count);
    for (uint8_t i = 0; i < m->addr_count; i++) {
        const struct addr *a = &m->addrs[i];
        writer_u8(w, a->family);
        writer_copy(w, a->ip, ip_bytes(a->family));
        writer_u16(w, a->port);
    }
    writer_bytes16(w, m->text);
}

const char *data_error_text(enum data_error_code code)
{
    switch (code) {
    case DATA_E_NOT_FOUND:
        return "not here";
    case DATA_E_DENIED:
        return "not for you";
    case DATA_E_BUSY:
        return "busy";
    case DATA_E_BAD_REQUEST:
        return "bad request";
    case DATA_E_BROKEN:
        return "disk trouble";
    case DATA_E_STOPPED:
        return "stopped";
    }
    return "unknown error";
}
