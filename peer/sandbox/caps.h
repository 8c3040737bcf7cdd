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

/*
 * What a machine with so much memory gives to one slice at most: three quarters of it, and an
 * eighth to the outputs, which are held in memory, as /tmp is once more. Never less than a manifest
 * that asks for nothing special: LIMITS_DEFAULT.
 */
struct limits caps_of_machine(uint64_t ram_bytes);

/* What it promises to all running slices together. A slice that runs alone is not measured by it.
 */
uint64_t caps_budget(uint64_t ram_bytes);

/*
 * What a slice may take of that. Programs of our own hold a few MiB whatever the job, have no use
 * for /tmp, and write no more than they are known to (jobs/program.h), whatever they may. name is
 * args[0] of the manifest.
 */
uint64_t caps_weight(const struct limits *asked, enum program_kind kind, const char *name);

/* The amounts of a sandbox for limits that were checked; what no manifest names has a fixed value.
 */
struct order_limits caps_order(const struct limits *asked);

#endif
