/*
 * hello -- the first frame each way on a link: who one is in terms of abilities.
 *
 * Identity is not in here: the link's TLS key proves it. Unknown trailing bytes are ignored, so
 * that later versions may add fields.
 *
 *     u16 version     1
 *     u64 features    bits; unknown ones are ignored
 *     u8  roles       HELLO_WORKER, HELLO_MASTER, HELLO_TRACKER
 *     u8  tier        of the sandbox: 0 none, 1 reduced, 2 full; read as 0 when unknown
 *     u16 slots       how many slices at a time
 *     u16 port        where this peer listens, 0 when it does not
 *     u64 token       on links that it accepts a listener's own (not 0): trackers that dial back
 *                     know it by this (tracker/README.md); on links that one dials 0
 *     u32 rate        of nonce@1 on one slot, in 1000 hashes/s; 0 unknown. A field for later: our
 *                     peers say 0, and nobody reads it
 *     u16 length, class of machine   text of at most 64 bytes: so far "x86_64", "aarch64", "other"
 *     u8  count ≤ 16, then u16 length and name@version of each own program (1 to 32 bytes)
 *
 * Texts are visible ASCII without spaces.
 */
#ifndef PREON_COMMON_HELLO_H
#define PREON_COMMON_HELLO_H

#include "common/status.h"
#include "common/writer.h"

enum {
    HELLO_VERSION = 1,
    HELLO_CLASS_MAX = 64,
    HELLO_PROGRAMS_MAX = 16,
    HELLO_PROGRAM_BYTES_MAX = 32,
    /* What hello_write makes at most; a later version may send more, to FRAME_HELLO_BODY_MAX. */
    HELLO_BYTES_MAX = 29 + 2 + HELLO_CLASS_MAX + HELLO_PROGRAMS_MAX * (2 + HELLO_PROGRAM_BYTES_MAX),
};

enum hello_roles { HELLO_WORKER = 1, HELLO_MASTER = 2, HELLO_TRACKER = 4 };

struct hello {
    uint16_t version;
    uint64_t features;
    uint8_t roles;
    uint8_t tier;
    uint16_t slots;
    uint16_t port;
    uint64_t token;
    uint32_t rate_khs;
    char machine_class[HELLO_CLASS_MAX + 1];
    uint8_t program_count;
    char programs[HELLO_PROGRAMS_MAX][HELLO_PROGRAM_BYTES_MAX + 1];
};

/* PN_E_MALFORMED (short, version 0, a bad text) or PN_E_TOO_BIG (more programs than the maximum).
 */
enum pn_status hello_parse(struct pn_bytes in, struct hello *out, struct pn_err *err);
void hello_write(const struct hello *h, struct writer *w);

#endif
