/*
 * control_json -- the JSON of the control socket: answers made from plain data, questions read.
 *
 * Every answer is an object with "schema": 1. The makers return NULL when memory is short; the
 * caller owns what they return. Texts that are not UTF-8 (a program's output) get U+FFFD for each
 * byte that does not belong.
 */
#ifndef PREON_PEER_CONTROL_CONTROL_JSON_H
#define PREON_PEER_CONTROL_CONTROL_JSON_H

#include <jansson.h>

#include "common/buffer.h"
#include "common/claim.h"
#include "peer/control/status.h"

enum {
    CONTROL_SCHEMA = 1,
    CONTROL_BODY_BYTES_MAX = 3 * 1024 * 1024, /* a manifest of 1 MiB, escaped */
};

json_t *control_json_new(void); /* {"schema": 1} */
json_t *control_json_peer(const struct peer_status *s);
json_t *control_json_job(const struct job_status *s);
json_t *control_json_slices(const struct slice_status *slices, uint32_t count, uint64_t next);
json_t *control_json_results(const struct slice_result *results, uint32_t count, bool more);
json_t *control_json_logs(const struct slice_log *logs, uint32_t count);

/* {"error": sentence, "status": "not found", "field": …}; field may be NULL. */
json_t *control_json_error(const struct pn_err *err, const char *field);

/* The body of POST /v1/jobs. */
struct control_create_body {
    json_t *root; /* owns manifest's text */
    struct pn_bytes manifest;
    struct digest job;
    struct manifest parsed;
    struct signature owner;
    struct grant grant;
};

/*
 * Reads and checks all that can be checked without the peer: the manifest's form, the owner's
 * signature, the grant's, and that the grant is about this job. *field names the member at fault.
 * Freed by control_create_body_fini, on PN_OK only.
 */
enum pn_status control_create_body_parse(struct pn_bytes body, struct control_create_body *out,
                                         const char **field, struct pn_err *err);
void control_create_body_fini(struct control_create_body *b);

/* The body of POST …/start: empty, or {"workers": N}. */
enum pn_status control_start_body_parse(struct pn_bytes body, uint32_t *workers, const char **field,
                                        struct pn_err *err);

#endif
