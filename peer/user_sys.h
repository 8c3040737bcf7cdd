/*
 * user_sys -- a peer that root starts becomes an ordinary user before it listens.
 */
#ifndef PREON_PEER_USER_SYS_H
#define PREON_PEER_USER_SYS_H

#include "common/status.h"

/*
 * Makes the data folder (0700, its parents 0755) where it is missing. As root: gives it to `user`
 * (NULL: its present owner, or nobody where that is root) and becomes that user for ever;
 * PN_E_DENIED when it is another's and not empty, or that user cannot reach it. Otherwise user is
 * not looked at. Call it before any thread is started.
 */
enum pn_status user_settle(const char *data_dir, const char *user, struct pn_err *err);

#endif
