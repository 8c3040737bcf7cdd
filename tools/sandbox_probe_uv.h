/*
 * sandbox_probe -- finds out which sandbox this machine can build, as a peer does: by building one.
 */
#ifndef PREON_TOOLS_SANDBOX_PROBE_UV_H
#define PREON_TOOLS_SANDBOX_PROBE_UV_H

#include "peer/sandbox/sandbox_uv.h"

/*
 * Starts a launcher for a moment; as root it becomes nobody, as a peer's does.
 *
 * out  is written only on PN_OK.
 * Fails with PN_E_TIMEOUT when the launcher says nothing within five seconds, and as sandbox_new.
 */
enum pn_status sandbox_probe(const char *launcher_path, struct sandbox_state *out,
                             struct pn_err *err);

#endif
