/*
 * progress -- a job's status as the one line that people watch.
 */
#ifndef PREON_TOOLS_PROGRESS_H
#define PREON_TOOLS_PROGRESS_H

#include <jansson.h>
#include <stdint.h>

enum { PROGRESS_BYTES = 512 };

/*
 * "[####......] 42 %  107/256 slices  61.2 M hashes/s  17 s left (95 %: 48 s)  32 slots", or the
 * cause when it waits. job is what GET /v1/jobs/ID answers. Returns out.
 */
const char *progress_line(const json_t *job, char out[PROGRESS_BYTES]);

/* How many bytes of a line a terminal shows: its parts, two spaces apart, as far as they fit. */
size_t progress_fitting(const char *line, size_t columns);

/* "waiting: no idle peer at … for 12 s; start `preon peer`"; "" when it does not wait. */
const char *progress_waiting(const json_t *job, char out[PROGRESS_BYTES]);

/* Members of answers; 0 and "" where they are missing. A path is "slices.final". */
double progress_number(const json_t *object, const char *path);
const char *progress_text(const json_t *object, const char *path);

/* A count or milliseconds; 0 as well for what is negative or over 2^64. */
uint64_t progress_count(const json_t *object, const char *path);

#endif
