/*
 * frame -- the envelope of everything on a link between peers.
 *
 *     u32 length      of the body, in bytes
 *     u8  type        enum frame_type
 *     u8  flags       FRAME_CRITICAL: close the link when the type is unknown (else skip)
 *                     FRAME_ANSWER: answers the request with the same number
 *                     FRAME_MORE: further frames of the same answer follow
 *     u16 zero
 *     u32 request     chosen by the asker, 0 for one-way frames
 *     … body
 *
 * Every request gets exactly one answer: one frame of its type with FRAME_ANSWER, a run of them
 * joined by FRAME_MORE (blocks), or FRAME_ERROR.
 */
#ifndef PREON_COMMON_FRAME_H
#define PREON_COMMON_FRAME_H

#include "common/buffer.h"
#include "common/bytes.h"
#include "common/status.h"
#include "common/writer.h"

enum {
    FRAME_HEADER_BYTES = 12,
    FRAME_HELLO_BODY_MAX = 2048,      /* before HELLO nothing larger is accepted */
    FRAME_BODY_MAX = 64 * 1024 + 512, /* a 64 KiB chunk and its fields */
};

enum frame_flags { FRAME_CRITICAL = 1, FRAME_ANSWER = 2, FRAME_MORE = 4 };

/* Numbers are for ever; peer/README.md lists the bodies. A new one also goes into frame.c. */
enum frame_type {
    FRAME_HELLO = 1,
    FRAME_PING = 2,
    FRAME_ERROR = 3,
    FRAME_BYE = 4,
    /* work: peer/wire/work.h */
    FRAME_JOIN = 16,
    FRAME_ENLIST = 17,
    FRAME_ASSIGN = 18,
    FRAME_STARTED = 19,
    FRAME_PROGRESS = 20,
    FRAME_VOTE = 21,
    FRAME_GIVE_UP = 22,
    FRAME_CANCEL = 23,
    FRAME_RELEASE = 24,
    FRAME_ENDED = 25,
    /* hiring: peer/wire/hire.h */
    FRAME_OFFER = 26,
    FRAME_IDLE = 27,
    FRAME_LEAVE = 28,
    /* data: peer/wire/data.h */
    FRAME_MANIFEST = 32,
    FRAME_LEAVES = 33,
    FRAME_BLOCK = 34,
    FRAME_HAVE = 35,
    FRAME_STOP = 36,
};

struct frame {
    uint8_t type;
    uint8_t flags;
    uint32_t request;
    struct pn_bytes body; /* borrowed from the input */
};

/*
 * Looks for one whole frame at the front of in.
 * Returns PN_OK with *used > 0 and *out set; PN_OK with *used == 0 when more bytes are needed (then
 * *need is how many in all); PN_E_MALFORMED or PN_E_TOO_BIG when the link must be closed: a
 * non-zero reserved field, an unknown flag, or a body over body_max. The header is judged as soon
 * as it is there, before any of the body.
 */
enum pn_status frame_parse(struct pn_bytes in, size_t body_max, struct frame *out, size_t *used,
                           size_t *need, struct pn_err *err);

/* Whether this version has a meaning for the type: the others are skipped, or close the link. */
bool frame_type_known(uint8_t type);

/* Header and body. f->body.len <= FRAME_BODY_MAX; the flags are known ones. */
void frame_encode(const struct frame *f, struct writer *w);

static inline size_t frame_bytes(const struct frame *f) { return FRAME_HEADER_BYTES + f->body.len; }

/* Appends the frame. PN_E_FULL or PN_E_NO_MEMORY leave the buffer as it was. */
enum pn_status frame_write(const struct frame *f, struct buffer *out);

#endif
