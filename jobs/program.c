#include "jobs/program.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/mandelbrot/mandelbrot_program.h"
#include "jobs/nonce/nonce_program.h"

static const struct job_program *const programs[] = {&nonce_program, &mandelbrot_program};

const struct job_program *job_program_at(size_t index)
{
    return index < sizeof programs / sizeof programs[0] ? programs[index] : NULL;
}

void job_program_name(const struct job_program *p, char text[JOB_PROGRAM_NAME_BYTES])
{
    (void)snprintf(text, JOB_PROGRAM_NAME_BYTES, "%s@%" PRIu32, p->name, p->version);
}

const struct job_program *job_program_find(const char *name)
{
    const struct job_program *p;
    for (size_t i = 0; (p = job_program_at(i)) != NULL; i++) {
        char text[JOB_PROGRAM_NAME_BYTES];
        job_program_name(p, text);
        if (strcmp(text, name) == 0) {
            return p;
        }
    }
    return NULL;
}

enum pn_status job_program_limits(const struct job_program *p, const struct job_slice *slice,
                                  struct limits *limits, struct pn_err *err)
{
    const double day_s = 24 * 3600;
    struct job_slice last = *slice; /* none is longer */
    last.index = slice->count - 1;
    const double seconds = ceil(p->slice_seconds(&last));
    if (seconds > LIMITS_MAX.time_s) {
        return pn_fail(err, PN_E_RANGE,
                       "%" PRIu64 " slices: each may take %.3g days on a slow processor, at most "
                       "%.0f; take more slices",
                       slice->count, seconds / day_s, LIMITS_MAX.time_s / day_s);
    }
    limits->time_s = seconds > limits->time_s ? (uint32_t)seconds : limits->time_s;
    limits->cpu_s = seconds > limits->cpu_s ? (uint32_t)seconds : limits->cpu_s;
    return PN_OK;
}

/* Digits up to a space or the end; moves *in behind them. False when there are none or too many. */
static bool take_number(struct pn_bytes *in, uint64_t *out)
{
    enum { DIGITS_MAX = 20 };
    size_t digits = 0;
    *out = 0;
    while (digits < in->len && in->ptr[digits] >= '0' && in->ptr[digits] <= '9') {
        const uint64_t digit = (uint64_t)(in->ptr[digits++] - '0');
        *out = *out > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *out * 10 + digit;
    }
    in->ptr += digits;
    in->len -= digits;
    return digits > 0 && digits <= DIGITS_MAX;
}

bool job_progress_parse(struct pn_bytes line, uint64_t *done, uint64_t *total)
{
    static const char word[] = "progress ";
    const size_t len = sizeof word - 1;
    uint64_t d;
    uint64_t t;
    if (line.len < len || memcmp(line.ptr, word, len) != 0) {
        return false;
    }
    line.ptr += len;
    line.len -= len;
    if (!take_number(&line, &d) || line.len == 0 || line.ptr[0] != ' ') {
        return false;
    }
    line.ptr++;
    line.len--;
    if (!take_number(&line, &t) || line.len > 0 || d > t) {
        return false;
    }
    *done = d;
    *total = t;
    return true;
}
