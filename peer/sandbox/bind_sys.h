/*
 * bind_sys -- gives the launcher descriptors that it can mount.
 *
 * A process may mount copies only of what lies in its own mount namespace. The launcher has one of
 * its own, so a descriptor that the daemon opened is of no use to it; but the launcher sends a
 * descriptor of its root folder, and what is opened beneath that, with the daemon's rights, belongs
 * to the launcher's namespace. That the name still leads to the same file is checked on the result.
 */
#ifndef PREON_PEER_SANDBOX_BIND_SYS_H
#define PREON_PEER_SANDBOX_BIND_SYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

/*
 * root_fd  the launcher's root
 * fd       the daemon's descriptor of a file or folder that has a name; stays open
 * *out     the same, for the launcher; the caller closes it
 */
enum pn_status bind_reopen(int root_fd, int fd, int *out, struct pn_err *err);

/*
 * Lets the slice's user read the file, and execute it if asked: widens its mode when it is too
 * narrow and ours to change.
 */
enum pn_status bind_widen(int fd, uint32_t uid, bool executable, struct pn_err *err);

/*
 * Makes an empty folder `name` in the folder `parent` that user `uid` owns, and opens it; for the
 * outputs in tier reduced.
 */
enum pn_status bind_make_folder(const char *parent, const char *name, uint32_t uid, int *out,
                                struct pn_err *err);

#endif
