/*
 * client_sys -- a command's side of a peer's control socket (peer/control/README.md).
 *
 * Every call blocks until its answer is whole, its deadline has passed, or Ctrl-C came. An answer
 * that is an error becomes a status and the peer's sentence:
 * 400 RANGE, 403 DENIED, 404 NOT_FOUND, 409 EXISTS or BUSY as its "status" says, 503 CLOSED, 504
 * TIMEOUT, 507 FULL, else SYSTEM. Lost connections and interrupts are PN_E_CLOSED.
 */
#ifndef PREON_TOOLS_CLIENT_SYS_H
#define PREON_TOOLS_CLIENT_SYS_H

#include <jansson.h>

#include "common/bytes.h"
#include "common/digest.h"
#include "common/status.h"

struct client;

/*
 * Connects to the peer of a data folder and asks who it is.
 * PN_E_NOT_FOUND: no peer runs there (no socket, or nobody answers at it). Everything else means
 * that one is there and cannot be spoken to, and is no reason to start another.
 */
enum pn_status client_open(const char *data_dir, struct client **out, struct pn_err *err);
void client_close(struct client *c); /* NULL is fine */

/* From now on Ctrl-C does not end a call: for what must be done on the way out. */
void client_be_patient(struct client *c);

/* What GET /v1/peer said when it was opened; borrowed. */
const json_t *client_peer(const struct client *c);
const struct digest *client_peer_id(const struct client *c);

/* One question. body may be NULL; *answer is the caller's (json_decref) and may be NULL. */
enum pn_status client_ask(struct client *c, const char *method, const char *path,
                          const json_t *body, json_t **answer, struct pn_err *err);

/*
 * The same for what is to be done and kept: answered when it is durable, and a disk that others
 * write to, too, has its own time. Ctrl-C ends it.
 */
enum pn_status client_order(struct client *c, const char *method, const char *path,
                            const json_t *body, struct pn_err *err);

/* Sends a file's bytes from fd, from its start. *had: the peer had them already. */
enum pn_status client_put(struct client *c, const char *path, int fd, uint64_t size, bool *had,
                          struct pn_err *err);

/* Fetches bytes: on_bytes is called for each piece and stops the transfer by not being PN_OK. */
enum pn_status client_fetch(struct client *c, const char *path,
                            enum pn_status (*on_bytes)(void *arg, struct pn_bytes bytes), void *arg,
                            struct pn_err *err);

/*
 * Follows events until the stream ends, on_event returns false, or deadline_ms (of clock_now_ms;
 * UINT64_MAX: none) passes: PN_E_TIMEOUT. PN_E_DENIED: the peer is there, and has said nothing for
 * 20 s. data is borrowed for the call. on_event may be told of nothing for a second: it is not
 * called to look at the clock.
 */
enum pn_status client_follow(struct client *c, const char *path, uint64_t deadline_ms,
                             bool (*on_event)(void *arg, const char *name, const json_t *data),
                             void *arg, struct pn_err *err);

#endif
