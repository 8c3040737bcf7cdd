#include "common/log_sys.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/utf8.h"

enum { LINE_BYTES = 1024 };

static const char *const LEVEL_NAMES[] = {"error", "warn", "info", "debug"};
static _Atomic int level_now = LOG_INFO;

void log_set_level(enum log_level level) { atomic_store(&level_now, (int)level); }

enum pn_status log_level_parse(const char *text, enum log_level *out, struct pn_err *err)
{
    for (int i = 0; i < (int)(sizeof LEVEL_NAMES / sizeof LEVEL_NAMES[0]); i++) {
        if (strcmp(text, LEVEL_NAMES[i]) == 0) {
            *out = (enum log_level)i;
            return PN_OK;
        }
    }
    return pn_fail(err, PN_E_RANGE, "log level '%s': allowed are error, warn, info, debug", text);
}

void log_write(enum log_level level, const char *area, const char *format, ...)
{
    if ((int)level > atomic_load(&level_now)) {
        return;
    }
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);

    char line[LINE_BYTES];
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(line + len, sizeof line - len,
                            ".%03ldZ %-5s %s: ", now.tv_nsec / 1000000, LEVEL_NAMES[level], area);
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + len, sizeof line - len - 1, format, args);
    va_end(args);
    if (body > 0) {
        utf8_tame(line + len, false);
        len += strlen(line + len);
    }
    line[len++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written; /* a log that cannot be written has nobody to tell */
}
