/*
 * desk -- what the control socket asks, answered from the peer's rooms: the ops of control.h.
 */
#ifndef PREON_PEER_DESK_UV_H
#define PREON_PEER_DESK_UV_H

#include "peer/control/control.h"
#include "peer/master/master_uv.h"
#include "peer/store/store_sys.h"

struct desk;

struct desk_config {
    uv_loop_t *loop;
    struct store *store;
    struct leads *leads;
    void (*peer_status)(void *arg, struct peer_status *out);
    enum pn_status (*shutdown)(void *arg, struct pn_err *err);
    void *arg;
};

/* NULL: memory is short. The ops' arg is the desk. */
struct desk *desk_new(const struct desk_config *config);
extern const struct control_ops DESK_OPS;

/* After control_stop; on_freed when its work on the thread pool has ended. */
void desk_free(struct desk *d, void (*on_freed)(void *arg), void *arg);

#endif
