/*
 * hire -- how a master and a worker that are linked already agree on another job: no second link,
 * and no tracker, is needed for it.
 *
 *     worker                              master
 *     IDLE slots                    ->                  (again whenever it changes)
 *                                   <-    OFFER job     a request
 *     OFFER answer                  ->                  take: JOIN follows at once (work.h)
 *     LEAVE job, reason             ->                  has nothing of that job in hand, and wants
 *                                                       nothing more of it; the link stays
 *
 * An offer promises nothing: JOIN, the manifest's vetting, grant and consent follow as for a link
 * that was dialled for the job. None of the three is critical: who does not know them skips them,
 * never says IDLE and is never offered anything.
 */
#ifndef PREON_PEER_WIRE_HIRE_H
#define PREON_PEER_WIRE_HIRE_H

#include "common/buffer.h"
#include "common/digest.h"
#include "peer/wire/work.h"

enum hire_reply {
    HIRE_TAKE = 1,
    HIRE_NOT_NOW = 2, /* no slot is free: IDLE tells when one is */
    HIRE_NEVER = 3,   /* not this job on this link */
};

enum hire_leave_reason {
    HIRE_NO_WORK = 1,     /* nothing was assigned for a while */
    HIRE_NOT_WELCOME = 2, /* its papers, or the volunteer's wishes */
};

struct hire_leave {
    struct digest job;
    enum hire_leave_reason reason;
};

/* As in work.h: parsers write out only on PN_OK, writers append one whole frame to out. */
enum pn_status hire_parse_idle(struct pn_bytes in, uint16_t *slots, struct pn_err *err);
enum pn_status hire_write_idle(uint16_t slots, struct buffer *out); /* at most WORK_SLOTS_MAX */

enum pn_status hire_parse_offer(struct pn_bytes in, struct digest *job, struct pn_err *err);
enum pn_status hire_write_offer(uint32_t request, const struct digest *job, struct buffer *out);

enum pn_status hire_parse_reply(struct pn_bytes in, enum hire_reply *out, struct pn_err *err);
enum pn_status hire_write_reply(uint32_t request, enum hire_reply reply, struct buffer *out);

enum pn_status hire_parse_leave(struct pn_bytes in, struct hire_leave *out, struct pn_err *err);
enum pn_status hire_write_leave(const struct hire_leave *l, struct buffer *out);

#endif
