/* The log of what was run is bounded, and holds whole lines. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/worker/run_log_sys.h"

static char folder[64];
static int folder_fd;

static int open_bed(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/preon-test-runs-XXXXXX");
    assert_non_null(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(folder_fd >= 0);
    return 0;
}

static int close_bed(void **state)
{
    (void)state;
    (void)unlinkat(folder_fd, "runs.log", 0);
    (void)unlinkat(folder_fd, "runs.log.1", 0);
    assert_int_equal(close(folder_fd), 0);
    return rmdir(folder); /* fails when anything else was left */
}

/* -1: not there. */
static off_t size_of(const char *name)
{
    struct stat st;
    return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : -1;
}

static void set_size(const char *name, off_t bytes)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    assert_int_equal(close(fd), 0);
}

__attribute__((format(printf, 2, 3))) static void add(struct run_log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    run_log_add(log, format, args);
    va_end(args);
}

static void adds_to_what_is_there(void **state)
{
    struct run_log log;
    char text[128] = "";
    (void)state;
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "start %d", 1);
    run_log_close(&log);
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "end %d", 1);
    run_log_close(&log);
    run_log_close(&log);
    int fd = openat(folder_fd, "runs.log", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text - 1), (ssize_t)log.bytes);
    assert_int_equal(close(fd), 0);
    char *rest = NULL;
    unsigned long long started = strtoull(text, &rest, 10);
    assert_memory_equal(rest, " start 1\n", 9);
    unsigned long long ended = strtoull(rest + 9, &rest, 10);
    assert_string_equal(rest, " end 1\n");
    assert_true(started > 0 && started <= ended);
}

static void begins_another_when_full(void **state)
{
    struct run_log log;
    (void)state;
    set_size("runs.log", RUN_LOG_BYTES_MAX - 20);
    set_size("runs.log.1", 7);
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "start");
    add(&log, "end");
    assert_int_equal(size_of("runs.log.1"), RUN_LOG_BYTES_MAX - 20 + 20);
    assert_int_equal(size_of("runs.log"), 18);

    /* Left by a version that had no bound. */
    run_log_close(&log);
    set_size("runs.log", (off_t)RUN_LOG_BYTES_MAX * 3);
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "end");
    assert_int_equal(size_of("runs.log"), 18);
    run_log_close(&log);
}

static void cuts_long_lines(void **state)
{
    struct run_log log;
    char last = 0;
    (void)state;
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "%0400d", 5);
    assert_int_equal(size_of("runs.log"), RUN_LOG_LINE_BYTES_MAX);
    int fd = openat(folder_fd, "runs.log", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &last, 1, RUN_LOG_LINE_BYTES_MAX - 1), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(last, '\n');
    run_log_close(&log);
}

/* No bound is broken because another log could not be begun. */
static void nothing_is_written_beyond_the_bound(void **state)
{
    struct run_log log;
    (void)state;
    set_size("runs.log", RUN_LOG_BYTES_MAX);
    assert_int_equal(mkdirat(folder_fd, "runs.log.1", 0700), 0);
    assert_int_equal(run_log_open(&log, folder_fd, NULL), PN_OK);
    add(&log, "lost");
    assert_int_equal(size_of("runs.log"), RUN_LOG_BYTES_MAX);
    assert_int_equal(unlinkat(folder_fd, "runs.log.1", AT_REMOVEDIR), 0);
    add(&log, "kept");
    assert_int_equal(size_of("runs.log"), 19);
    run_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adds_to_what_is_there, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(begins_another_when_full, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(cuts_long_lines, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(nothing_is_written_beyond_the_bound, open_bed, close_bed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
