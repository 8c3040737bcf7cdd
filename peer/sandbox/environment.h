/*
 * environment -- the variables that a slice finds, and no others.
 */
#ifndef PREON_PEER_SANDBOX_ENVIRONMENT_H
#define PREON_PEER_SANDBOX_ENVIRONMENT_H

#include "common/digest.h"
#include "common/status.h"
#include "peer/sandbox/order.h"

struct environment {
    char text[512]; /* ours */
    const char *list[ORDER_ENV_MAX + 1];
    uint32_t count;
};

/*
 * PREON_SLICE, PREON_SLICES, PREON_JOB, PREON_OUT; HOME, TMPDIR, LC_ALL, and PATH when the system
 * is seen, unless the manifest sets them. The manifest's `own` follow; it cannot set PREON_*.
 *
 * out_path  PREON_OUT; own stays borrowed. Fails with PN_E_TOO_BIG (too many variables).
 */
enum pn_status environment_build(const struct digest *job, uint32_t slice, uint32_t slice_count,
                                 const char *out_path, bool system, const char *const *own,
                                 uint32_t own_count, struct environment *out, struct pn_err *err);

#endif
