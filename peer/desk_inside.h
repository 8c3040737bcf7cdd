/*
 * desk_inside -- what the files of the desk share; for nobody else.
 *
 *     desk_uv.c       life; questions that touch no disk, and orders
 *     desk_put_uv.c   a job's files, as they stream in
 *     desk_read_uv.c  manifests, results, logs and outputs, read on the thread pool
 */
#ifndef PREON_PEER_DESK_INSIDE_H
#define PREON_PEER_DESK_INSIDE_H

#include "peer/desk_uv.h"

struct desk {
    struct desk_config config;
    uint32_t pins;
    bool freeing;
    void (*on_freed)(void *arg);
    void *on_freed_arg;
};

/* While something is under way the desk stays. */
void desk_pin(struct desk *d);
void desk_unpin(struct desk *d);

/* desk_put_uv.c; these and the next are ops of control.h */
enum pn_status desk_put_begin(void *arg, const struct digest *job, uint32_t file, void **put,
                              struct pn_err *err);
void desk_put_write(void *arg, void *put, struct pn_bytes bytes, struct control_call *call);
void desk_put_finish(void *arg, void *put, struct pn_bytes bytes, struct control_call *call);
void desk_put_abort(void *arg, void *put);

/* desk_read_uv.c */
void desk_manifest(void *arg, const struct digest *job, struct control_call *call);
void desk_results(void *arg, const struct digest *job, uint64_t from, uint32_t max,
                  struct control_call *call);
void desk_log(void *arg, const struct digest *job, uint64_t slice, struct control_call *call);
void desk_output_read(void *arg, const struct digest *job, uint64_t slice, uint32_t index,
                      uint64_t offset, uint32_t bytes_max, struct control_call *call);

#endif
