/*
 * server_uv -- a tracker on a TCP port: the switchboard with libuv underneath.
 *
 * One loop, one read buffer for all, a few hundred bytes a connection, one write for all answers to
 * what one read brought. A client that does not take its answers is not read from until it does.
 */
#ifndef PREON_TRACKER_SERVER_UV_H
#define PREON_TRACKER_SERVER_UV_H

#include "tracker/registry.h"

enum { TRACKER_PORT = 7600 };

struct tracker_config {
    struct addr listen; /* [::]:7600 takes IPv4 too; port 0: any free one */
    struct registry_config registry;
};

/* 0.0.0.0:7600 and registry_config_default. */
struct tracker_config tracker_config_default(void);

/*
 * Runs a tracker until SIGTERM or SIGINT. Prints "preon tracker: listening on 0.0.0.0:7600" with
 * the real port on stdout when clients may come. Raises the soft limit of descriptors to the hard
 * one, and serves at most as many connections as that allows. A seed of 0 is replaced by a fresh
 * one. PN_OK: ended by a signal.
 */
enum pn_status tracker_run(const struct tracker_config *config, struct pn_err *err);

#endif
