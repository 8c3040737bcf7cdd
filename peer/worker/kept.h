/*
 * kept -- what a worker writes beside stored outputs, so that after a restart it can vote for them
 * again: the vote, and who is to have it. It lies in the data folder as the attempt's note.
 *
 *     u8 version (1), master's peer ID, u8 family (4, 6), 16 bytes address, u16 port, VOTE's body
 *
 * The signature in it is left empty: whoever reads it has the key, and signs anew.
 */
#ifndef PREON_PEER_WORKER_KEPT_H
#define PREON_PEER_WORKER_KEPT_H

#include "common/addr.h"
#include "peer/wire/work.h"

enum { KEPT_VERSION = 1, KEPT_BYTES_MAX = 64 * 1024 };

struct kept {
    struct digest master_id;
    struct addr master;    /* where it was dialled */
    struct work_vote vote; /* without bytes: the outputs lie beside it */
};

/* Appends to out. PN_E_FULL, PN_E_NO_MEMORY leave out as it was. */
enum pn_status kept_write(const struct kept *k, struct buffer *out);

/*
 * out->vote's tails borrow from in. PN_E_MALFORMED, PN_E_TOO_BIG, PN_E_UNSUPPORTED (of another
 * version): out is not written.
 */
enum pn_status kept_parse(struct pn_bytes in, struct kept *out, struct pn_err *err);

#endif
