/*
 * run_log_sys -- runs.log in the data folder: what was run here, and when, for people.
 *
 *     <ms since 1970> given|start|end <job> <slice> <attempt> ...
 *
 * At 16 MiB (some 50,000 slices) it becomes runs.log.1, in place of the one before: so much of the
 * disk at most twice. A full disk loses lines and nothing else: that is told of where it hurts.
 */
#ifndef PREON_PEER_WORKER_RUN_LOG_SYS_H
#define PREON_PEER_WORKER_RUN_LOG_SYS_H

#include <stdarg.h>
#include <stdint.h>

#include "common/status.h"

enum { RUN_LOG_BYTES_MAX = 16 * 1024 * 1024, RUN_LOG_LINE_BYTES_MAX = 256 };

struct run_log {
    int folder_fd; /* borrowed: stays open until run_log_close */
    int fd;        /* -1: closed, or could not be opened again yet */
    uint64_t bytes;
};

/* Appends to what is there. PN_E_SYSTEM. */
enum pn_status run_log_open(struct run_log *log, int folder_fd, struct pn_err *err);
void run_log_close(struct run_log *log); /* idempotent */

/* One line, with the time before it; cut to RUN_LOG_LINE_BYTES_MAX. */
__attribute__((format(printf, 2, 0))) void run_log_add(struct run_log *log, const char *format,
                                                       va_list args);

#endif
