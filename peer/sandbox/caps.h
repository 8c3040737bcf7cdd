/*
 * caps -- a job's limits against what the volunteer gives at most, and what follows for its
 * sandbox.
 */
#ifndef PREON_PEER_SANDBOX_CAPS_H
#define PREON_PEER_SANDBOX_CAPS_H

#include "common/manifest.h"
#include "peer/sandbox/order.h"

/*
 * Fails with PN_E_DENIED and a sentence naming the cap; a slice is refused rather than run with
 * less. A cap of 0 is none.
 */
enum pn_status caps_check(const struct limits *asked, const struct limits *caps,
                          struct pn_err *err);

/* The amounts of a sandbox for limits that were checked; what no manifest names has a fixed value.
 */
struct order_limits caps_order(const struct limits *asked);

#endif
