/*
 * data -- the messages by which manifests, lists of leaves and blocks travel between peers.
 *
 * A *set* is what belongs together: the files of a job, or the outputs of one attempt. The blocks
 * of a set are numbered through, file after file (an empty file has none), so that a thousand small
 * files are asked for, and told of, like one large file. Both sides know the sizes beforehand.
 *
 *     request, answer        body
 *     MANIFEST  ask          job, u32 offset
 *               answer       u32 total, chunk (1 byte .. 64 KiB)
 *     LEAVES    ask          set, u32 file, u32 first, u32 count (1 .. 2048)
 *               answer       digests (1 .. 2048; fewer than asked is an error of the answerer)
 *     BLOCK     ask one      set, u8 0, u32 block
 *               ask any      set, u8 1, u32 first, u32 count (1 .. 4096), bits: those not wanted
 *               answer       frames joined by FRAME_MORE: u32 block, u32 offset, u8 encoding,
 *                            u32 total (encoded bytes), chunk (1 byte .. 64 KiB)
 *     HAVE      one-way      set, u8 flags, u32 range count, {u32 first, u32 count}: ascending,
 *                            no two of them touching
 *     STOP      one-way      u32 request: the asker no longer wants this answer
 *     ERROR     any answer   u8 code, u32 retry after ms, u8 address count,
 *                            {u8 family, ip, u16 port}, u16 length, text
 *
 * A set is u8 1, job  or  u8 2, job, run, u64 slice, u64 attempt. Digests and runs are raw bytes.
 * Each value has one encoding; _write of what _parse accepted gives the same bytes.
 */
#ifndef PREON_PEER_WIRE_DATA_H
#define PREON_PEER_WIRE_DATA_H

#include "common/addr.h"
#include "common/digest.h"
#include "common/run.h"
#include "common/status.h"
#include "common/writer.h"

enum {
    DATA_CHUNK_BYTES_MAX = 64 * 1024,
    DATA_LEAVES_MAX = 2048,     /* digests in one answer: 64 KiB */
    DATA_ANY_BLOCKS_MAX = 4096, /* blocks that one "any I lack" covers */
    DATA_RANGES_MAX = 1024,     /* ranges in one HAVE */
    DATA_ERROR_ADDRS_MAX = 16,
    DATA_ERROR_TEXT_MAX = 160,
    DATA_SET_BYTES_MAX = 1 + DIGEST_BYTES + RUN_BYTES + 8 + 8,
    DATA_BODY_BYTES_MAX = DATA_CHUNK_BYTES_MAX + 128, /* of any body here */
};

enum file_set_kind { SET_OF_JOB = 1, SET_OF_ATTEMPT = 2 };

/* The files of a job or dataset, or the outputs of one attempt; the unused fields are zero. */
struct file_set {
    enum file_set_kind kind;
    struct digest job;
    struct run run;
    uint64_t slice;
    uint64_t attempt;
};

static inline struct file_set file_set_of_job(const struct digest *job)
{
    return (struct file_set){.kind = SET_OF_JOB, .job = *job};
}

bool file_set_equal(const struct file_set *a, const struct file_set *b);

/* A key for tables: the set's bytes on the wire, zero-padded. */
struct file_set_key {
    uint8_t b[DATA_SET_BYTES_MAX];
};
struct file_set_key file_set_key(const struct file_set *set);

struct data_manifest_ask {
    struct digest job;
    uint32_t offset;
};

struct data_manifest {
    uint32_t total;
    struct pn_bytes chunk; /* borrowed from the input, as all pn_bytes below */
};

struct data_leaves_ask {
    struct file_set set;
    uint32_t file;
    uint32_t first;
    uint32_t count;
};

struct data_block_ask {
    struct file_set set;
    bool any;             /* else: */
    uint32_t block;       /* this one */
    uint32_t first;       /* any: of first .. first + count - 1 ... */
    uint32_t count;       /* ... */
    struct pn_bytes held; /* ... whose bit (lowest bit of byte 0 is first) is 0; spare bits are 1 */
};

enum data_encoding { DATA_RAW = 0, DATA_ZLIB = 1 };

struct data_block {
    uint32_t block;
    uint32_t offset; /* of the chunk in the encoded bytes */
    enum data_encoding encoding;
    uint32_t total; /* encoded bytes in all; offset + chunk never exceed it */
    struct pn_bytes chunk;
};

enum {
    HAVE_TELL_ME = 1, /* the sender wants to hear what we have of this set, now and from now on */
    HAVE_ALL = 2,     /* every block; then there are no ranges */
};

struct data_range {
    uint32_t first;
    uint32_t count;
};

struct data_have {
    struct file_set set;
    uint8_t flags;
    uint32_t range_count;
    struct data_range ranges[DATA_RANGES_MAX];
};

enum data_error_code {
    DATA_E_NOT_FOUND = 1, /* not here: another source may have it */
    DATA_E_DENIED,        /* not for you */
    DATA_E_BUSY,          /* come back after retry_ms, or try the addresses */
    DATA_E_BAD_REQUEST,   /* out of range, or makes no sense */
    DATA_E_BROKEN,        /* our disk fails us */
    DATA_E_STOPPED,       /* as asked by STOP */
    DATA_E_LAST = DATA_E_STOPPED,
};

struct data_error {
    enum data_error_code code;
    uint32_t retry_ms;
    uint8_t addr_count;
    struct addr addrs[DATA_ERROR_ADDRS_MAX];
    struct pn_bytes text; /* a stranger's: for logs only */
};

const char *data_error_text(enum data_error_code code);

/*
 * Each _parse reads one whole body and writes *out only on PN_OK; else PN_E_MALFORMED,
 * PN_E_TOO_BIG or PN_E_RANGE. Each _write appends to w, which is `full` when it did not fit;
 * DATA_BODY_BYTES_MAX always suffices.
 */
enum pn_status data_manifest_ask_parse(struct pn_bytes in, struct data_manifest_ask *out,
                                       struct pn_err *err);
enum pn_status data_manifest_parse(struct pn_bytes in, struct data_manifest *out,
                                   struct pn_err *err);
enum pn_status data_leaves_ask_parse(struct pn_bytes in, struct data_leaves_ask *out,
                                     struct pn_err *err);
/* digests borrows a multiple of DIGEST_BYTES. */
enum pn_status data_leaves_parse(struct pn_bytes in, struct pn_bytes *digests, struct pn_err *err);
enum pn_status data_block_ask_parse(struct pn_bytes in, struct data_block_ask *out,
                                    struct pn_err *err);
enum pn_status data_block_parse(struct pn_bytes in, struct data_block *out, struct pn_err *err);
enum pn_status data_have_parse(struct pn_bytes in, struct data_have *out, struct pn_err *err);
enum pn_status data_stop_parse(struct pn_bytes in, uint32_t *request, struct pn_err *err);
enum pn_status data_error_parse(struct pn_bytes in, struct data_error *out, struct pn_err *err);

void data_manifest_ask_write(const struct data_manifest_ask *m, struct writer *w);
void data_manifest_write(const struct data_manifest *m, struct writer *w);
void data_leaves_ask_write(const struct data_leaves_ask *m, struct writer *w);
void data_leaves_write(struct pn_bytes digests, struct writer *w);
void data_block_ask_write(const struct data_block_ask *m, struct writer *w);
void data_block_write(const struct data_block *m, struct writer *w);
void data_have_write(const struct data_have *m, struct writer *w);
void data_stop_write(uint32_t request, struct writer *w);
void data_error_write(const struct data_error *m, struct writer *w);

/* True when bit i of held is 0, i.e. block first + i is wanted (i < count). */
static inline bool data_block_ask_wants(const struct data_block_ask *m, uint32_t i)
{
    return (m->held.ptr[i / 8] >> (i % 8) & 1) == 0;
}

#endif
