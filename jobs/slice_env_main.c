/* Named _main: part of the static programs only, of neither the core nor the shell library. */
#include "jobs/slice_env.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/args.h"

static enum pn_status variable(const char *name, uint64_t fallback, uint64_t *out,
                               struct pn_err *err)
{
    const char *text = getenv(name);
    if (text == NULL) {
        *out = fallback;
        return PN_OK;
    }
    enum pn_status status = args_number(ARGS_U64, text, out, err);
    if (status != PN_OK) {
        pn_err_wrap(err, "%s", name);
    }
    return status;
}

enum pn_status slice_env_read(struct slice_env *out, struct pn_err *err)
{
    enum pn_status status = variable("PREON_SLICE", 0, &out->index, err);
    if (status == PN_OK) {
        status = variable("PREON_SLICES", 1, &out->count, err);
    }
    if (status == PN_OK && out->index >= out->count) {
        status = pn_fail(err, PN_E_RANGE, "PREON_SLICE: %" PRIu64 "; PREON_SLICES is %" PRIu64,
                         out->index, out->count);
    }
    out->out = getenv("PREON_OUT");
    return status;
}

static void on_signal(int number) { _exit(128 + number); }

void slice_env_end_on_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

static enum pn_status write_all(int fd, struct pn_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return PN_E_SYSTEM;
        }
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return PN_OK;
}

enum pn_status slice_env_write(const struct slice_env *env, const char *name, struct pn_bytes bytes,
                               struct pn_err *err)
{
    int dir = open(env->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        return pn_fail(err, PN_E_SYSTEM, "PREON_OUT: %s: %s", env->out, strerror(errno));
    }
    enum pn_status status = PN_OK;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write_all(fd, bytes) != PN_OK) {
        status = pn_fail(err, PN_E_SYSTEM, "%s/%s: %s", env->out, name, strerror(errno));
    }
    if (fd >= 0 && close(fd) != 0 && status == PN_OK) {
        status = pn_fail(err, PN_E_SYSTEM, "%s/%s: %s", env->out, name, strerror(errno));
    }
    if (status != PN_OK) {
        (void)unlinkat(dir, name, 0);
    }
    (void)close(dir);
    return status;
}

void slice_env_progress(double done, double total)
{
    static time_t last;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (last == 0) {
        last = now.tv_sec;
    }
    if (now.tv_sec != last) {
        last = now.tv_sec;
        (void)printf("progress %.0f %.0f\n", done, total);
        (void)fflush(stdout);
    }
}
