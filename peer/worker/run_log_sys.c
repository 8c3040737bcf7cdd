#include "peer/worker/run_log_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock_sys.h"

static const char name[] = "runs.log";
static const char name_before[] = "runs.log.1";

enum pn_status run_log_open(struct run_log *log, int folder_fd, struct pn_err *err)
{
    struct stat st;
    *log = (struct run_log){.folder_fd = folder_fd, .fd = -1};
    int fd = openat(folder_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int number = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return pn_fail(err, PN_E_SYSTEM, "%s: %s", name, strerror(number));
    }
    log->fd = fd;
    log->bytes = (uint64_t)st.st_size;
    return PN_OK;
}

void run_log_close(struct run_log *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd);
        log->fd = -1;
    }
}

/* Where this fails it is tried again with the next line; until then nothing is written. */
static bool begin_another(struct run_log *log)
{
    run_log_close(log);
    return (renameat(log->folder_fd, name, log->folder_fd, name_before) == 0 || errno == ENOENT) &&
           run_log_open(log, log->folder_fd, NULL) == PN_OK;
}

void run_log_add(struct run_log *log, const char *format, va_list args)
{
    char line[RUN_LOG_LINE_BYTES_MAX];
    int len = snprintf(line, sizeof line, "%llu ", (unsigned long long)clock_wall_ms());
    int body = vsnprintf(line + len, sizeof line - (size_t)len, format, args);
    size_t total = (size_t)len + (body > 0 ? (size_t)body : 0);
    if (total > sizeof line - 1) {
        total = sizeof line - 1;
    }
    line[total++] = '\n'; /* in the place of the end mark */
    if ((log->fd < 0 || log->bytes + total > RUN_LOG_BYTES_MAX) && !begin_another(log)) {
        return;
    }
    ssize_t written = write(log->fd, line, total);
    log->bytes += written > 0 ? (uint64_t)written : 0;
}
