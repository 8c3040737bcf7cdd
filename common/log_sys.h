/*
 * log_sys -- one line per event on stderr: time, level, area, sentence.
 */
#ifndef PREON_COMMON_LOG_SYS_H
#define PREON_COMMON_LOG_SYS_H

#include "common/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* What is more detailed than level is not written. The start value is LOG_INFO. */
void log_set_level(enum log_level level);

/* Parses "error", "warn", "info" or "debug". */
enum pn_status log_level_parse(const char *text, enum log_level *out, struct pn_err *err);

/*
 * Writes "2026-11-21T10:00:00.123Z info  tracker: listening on 0.0.0.0:7600". Control characters
 * in the sentence are replaced by '?', so that a stranger's text cannot forge a line. Safe from any
 * thread; a line is one write.
 */
__attribute__((format(printf, 3, 4))) void log_write(enum log_level level, const char *area,
                                                     const char *format, ...);

#endif
