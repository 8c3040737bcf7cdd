/*
 * owner_sys -- the owner's key: made on first use, kept with the user's settings, never sent.
 */
#ifndef PREON_TOOLS_OWNER_SYS_H
#define PREON_TOOLS_OWNER_SYS_H

#include "common/key.h"
#include "tools/command.h"
#include "tools/paths_sys.h"

/* The key's file: --key and its settings, else owner.key beside preon.conf. */
enum pn_status owner_path(const struct context *c, char out[PATH_BYTES_MAX], struct pn_err *err);

/* Reads the key, or makes it. Freed by key_pair_free. */
enum pn_status owner_open(const struct context *c, struct key_pair **out, struct pn_err *err);

/* Reads it only: PN_E_NOT_FOUND when there is none. */
enum pn_status owner_read(const struct context *c, struct key_pair **out, struct pn_err *err);

#endif
