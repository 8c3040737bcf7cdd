/*
 * progress -- a job's status as the one line that people watch.
 */
#ifndef PREON_TOOLS_PROGRESS_H
#define PREON_TOOLS_PROGRESS_H

#include <jansson.h>

enum { PROGRESS_BYTES = 512 };

/*
 * "[####......] 42 %  107/256 slices  32 slots  61.2 M hashes/s  17 s left (95 %: 48 s)", or the
 * cause when it waits. job is what GET /v1/jobs/ID answers. Returns out.
 */
const char *progress_line(const json_t *job, char out[PROGRESS_BYTES]);

/* "waiting: no idle peer at … for 12 s; start `preon peer`"; "" when it does not wait. */
const char *progress_waiting(const json_t *job, char out[PROGRESS_BYTES]);

/* Members of answers; 0 and "" where they are missing. A path is "slices.final". */
double progress_number(const json_t *object, const char *path);
const char *progress_text(const json_t *object, const char *path);

#endif
