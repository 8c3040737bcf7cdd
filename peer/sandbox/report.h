/*
 * report -- what the launcher tells the daemon: what it can do, and how each slice ended.
 *
 * One report is one packet. Descriptors that travel with it: the launcher's root folder with
 * REPORT_READY in tier full (files are bound through it, see bind_sys.h); the work folder with
 * REPORT_ENDED when the slice has run in tier full.
 */
#ifndef PREON_PEER_SANDBOX_REPORT_H
#define PREON_PEER_SANDBOX_REPORT_H

#include "common/bytes.h"
#include "common/outcome.h"
#include "common/status.h"
#include "peer/sandbox/tier.h"

enum {
    REPORT_TEXT_BYTES = 160,
    REPORT_BYTES_MAX = 1024,
};

enum report_kind { REPORT_READY = 1, REPORT_ENDED = 2 };

struct report {
    enum report_kind kind;
    union {
        struct {
            enum sandbox_tier tier;
            uint32_t uid;                   /* whom slices run as, in the daemon's user namespace */
            char reason[TIER_REASON_BYTES]; /* why not full; "" when it is */
            char remedy[TIER_REMEDY_BYTES];
        } ready;
        struct {
            uint32_t id;
            struct outcome outcome;
            uint32_t wall_ms;    /* from execve to the end of the last process */
            uint32_t cpu_ms;     /* of all processes */
            uint32_t setup_us;   /* from the order's arrival to execve; 0 when it never came */
            uint64_t peak_bytes; /* most resident memory of one process */
            bool folder;         /* the work folder travels along */
            char text[REPORT_TEXT_BYTES]; /* for OUTCOME_NO_START: what failed */
        } ended;
    };
};

/* Writes into out (REPORT_BYTES_MAX bytes) and returns the length; it always fits. */
size_t report_write(const struct report *r, uint8_t *out);

/* Parses one packet; *out is written only on PN_OK. Fails with PN_E_MALFORMED. */
enum pn_status report_parse(struct pn_bytes in, struct report *out, struct pn_err *err);

#endif
