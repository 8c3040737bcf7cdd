#include "tools/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/human.h"

enum { BAR_WIDTH = 12 }; /* a job of 256 slices fits 80 columns with all but its last part */

static const json_t *member(const json_t *object, const char *path)
{
    char key[64];
    while (object != NULL && *path != '\0') {
        size_t len = strcspn(path, ".");
        (void)snprintf(key, sizeof key, "%.*s", (int)len, path);
        object = json_object_get(object, key);
        path += len;
        path += *path == '.';
    }
    return object;
}

double progress_number(const json_t *object, const char *path)
{
    return json_number_value(member(object, path));
}

uint64_t progress_count(const json_t *object, const char *path)
{
    const double n = progress_number(object, path);
    return n >= 0 && n < 0x1p64 ? (uint64_t)n : 0;
}

const char *progress_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(member(object, path));
    return text != NULL ? text : "";
}

__attribute__((format(printf, 3, 4))) static void add(char *out, size_t *len, const char *format,
                                                      ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + *len, PROGRESS_BYTES - *len, format, args);
    va_end(args);
    if (n > 0) {
        *len = *len + (size_t)n < PROGRESS_BYTES ? *len + (size_t)n : PROGRESS_BYTES - 1;
    }
}

const char *progress_waiting(const json_t *job, char out[PROGRESS_BYTES])
{
    char duration[HUMAN_BYTES];
    size_t len = 0;
    out[0] = '\0';
    if (member(job, "waiting") == NULL) {
        return out;
    }
    const char *remedy = progress_text(job, "waiting.remedy");
    add(out, &len, "waiting: %s for %s", progress_text(job, "waiting.cause"),
        human_duration(progress_count(job, "waiting.for_ms"), duration));
    if (remedy[0] != '\0') {
        add(out, &len, "; %s", remedy);
    }
    return out;
}

/* How much is done, 0 .. 1: by units where the job has them, else by slices. */
static double share_done(const json_t *job)
{
    const double total = progress_number(job, "progress.total");
    const double slices = progress_number(job, "slices.total");
    if (total > 0) {
        return progress_number(job, "progress.done") / total;
    }
    return slices > 0 ? progress_number(job, "slices.final") / slices : 0;
}

const char *progress_line(const json_t *job, char out[PROGRESS_BYTES])
{
    char text[HUMAN_BYTES];
    char likely[HUMAN_BYTES];
    size_t len = 0;
    if (member(job, "waiting") != NULL) {
        return progress_waiting(job, out);
    }
    const double share = share_done(job);
    add(out, &len, "%s %3.0f %%  %.0f/%.0f slices", human_bar(share, BAR_WIDTH, text), 100 * share,
        progress_number(job, "slices.final"), progress_number(job, "slices.total"));
    if (progress_number(job, "slices.failed") > 0) {
        add(out, &len, " (%.0f failed)", progress_number(job, "slices.failed"));
    }
    const char *rate = human_rate(progress_number(job, "progress.rate_per_s"),
                                  progress_text(job, "progress.unit"), text);
    if (rate[0] != '\0') {
        add(out, &len, "  %s", rate);
    }
    const uint64_t expected_ms = progress_count(job, "progress.expected_ms");
    if (expected_ms > 0) {
        add(out, &len, "  %s left (95 %%: %s)", human_duration(expected_ms, text),
            human_duration(progress_count(job, "progress.likely_ms"), likely));
    }
    if (progress_number(job, "liars") > 0) {
        add(out, &len, "  %s", human_many(progress_number(job, "liars"), "liar", text));
    }
    add(out, &len, "  %s", human_many(progress_number(job, "slots"), "slot", text));
    return out;
}

size_t progress_fitting(const char *line, size_t columns)
{
    const size_t len = strlen(line);
    if (len <= columns) {
        return len;
    }
    size_t at = columns;
    while (at > 0 && strncmp(&line[at], "  ", 2) != 0) {
        at--;
    }
    return at > 0 ? at : columns;
}
