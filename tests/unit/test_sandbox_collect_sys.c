/* Collecting outputs from folders that an enemy has filled. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/sandbox/collect_sys.h"

struct place {
    char path[64];
    int fd;
};

static int make(void **state)
{
    static struct place p;
    (void)snprintf(p.path, sizeof p.path, "/tmp/preon-collect-XXXXXX");
    assert_non_null(mkdtemp(p.path));
    p.fd = open(p.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = &p;
    return 0;
}

/* The folder itself goes too, whatever is in it. */
static int discard(void **state)
{
    struct place *p = *state;
    collect_discard(p->fd);
    assert_int_not_equal(access(p->path, F_OK), 0);
    return 0;
}

static void put(int at, const char *name, const char *text)
{
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

/* That nothing stays open shows at the lowest free descriptor. */
static int free_fd(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

static void refused(struct place *p, const char *name, enum outcome_output code)
{
    struct collect_output out[] = {{.name = "good"}, {.name = name}};
    struct outcome outcome = {OUTCOME_EXITED, 0};
    struct pn_err err = {.text = ""};
    int before = free_fd();
    put(p->fd, "good", "good");
    enum pn_status status = collect_outputs(p->fd, out, 2, 1 << 30, &outcome, &err);
    assert_int_not_equal(status, PN_OK);
    if (outcome.class != OUTCOME_OUTPUT || outcome.code != (int32_t)code) {
        fail_msg("class %d code %d: %s", outcome.class, (int)outcome.code, err.text);
    }
    assert_non_null(strstr(err.text, name));
    assert_int_equal(free_fd(), before);
}

static void takes_files(void **state)
{
    struct place *p = *state;
    struct collect_output out[] = {{.name = "a/b.txt"}, {.name = "empty"}, {.name = "out"}};
    struct outcome outcome;
    struct pn_err err = {.text = ""};
    char text[8] = "";
    assert_int_equal(mkdirat(p->fd, "a", 0755), 0);
    put(p->fd, "a/b.txt", "deep");
    put(p->fd, "empty", "");
    put(p->fd, "out", "123");
    put(p->fd, "not listed", "x");
    if (collect_outputs(p->fd, out, 3, 7, &outcome, &err) != PN_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(out[0].size, 4);
    assert_int_equal(out[1].size, 0);
    assert_int_equal(read(out[0].fd, text, sizeof text), 4);
    assert_string_equal(text, "deep");
    collect_close(out, 3);
    assert_int_equal(out[2].fd, -1);
    /* One byte less for all of them together. */
    assert_int_equal(collect_outputs(p->fd, out, 3, 6, &outcome, &err), PN_E_TOO_BIG);
    assert_int_equal(outcome.code, OUTCOME_OUTPUT_SIZE);
    assert_string_equal(err.text, "output out: makes the outputs larger than their limit");
}

static void refuses_what_is_missing(void **state)
{
    struct place *p = *state;
    put(p->fd, "file", "x");
    refused(p, "nowhere", OUTCOME_OUTPUT_MISSING);
    refused(p, "no/where", OUTCOME_OUTPUT_MISSING);
    refused(p, "file/below", OUTCOME_OUTPUT_MISSING);
}

static void refuses_links(void **state)
{
    struct place *p = *state;
    assert_int_equal(symlinkat("/etc/passwd", p->fd, "link"), 0);
    refused(p, "link", OUTCOME_OUTPUT_KIND);
    assert_int_equal(symlinkat("good", p->fd, "inner"), 0);
    refused(p, "inner", OUTCOME_OUTPUT_KIND);
    assert_int_equal(symlinkat("/etc", p->fd, "etc"), 0);
    refused(p, "etc/passwd", OUTCOME_OUTPUT_KIND);
    refused(p, "../../etc/passwd", OUTCOME_OUTPUT_KIND);
    refused(p, "/etc/passwd", OUTCOME_OUTPUT_KIND);
    put(p->fd, "one", "x");
    assert_int_equal(linkat(p->fd, "one", p->fd, "two", 0), 0);
    refused(p, "two", OUTCOME_OUTPUT_KIND);
}

static void refuses_what_is_no_file(void **state)
{
    struct place *p = *state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    assert_int_equal(mkdirat(p->fd, "folder", 0755), 0);
    refused(p, "folder", OUTCOME_OUTPUT_KIND);
    assert_int_equal(mkfifoat(p->fd, "fifo", 0644), 0);
    refused(p, "fifo", OUTCOME_OUTPUT_KIND); /* and does not wait for a writer */
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", p->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    refused(p, "socket", OUTCOME_OUTPUT_KIND);
    (void)close(fd);
    /* Another mount's file system, seen from the root: /dev/null is a device, and elsewhere. */
    struct place root = {.fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct collect_output null = {.name = "null"};
    struct outcome outcome = {OUTCOME_EXITED, 0};
    assert_int_equal(collect_outputs(root.fd, &null, 1, 1, &outcome, NULL), PN_E_MISMATCH);
    assert_int_equal(outcome.code, OUTCOME_OUTPUT_KIND);
    (void)close(root.fd);
    put(p->fd, "shut", "x");
    assert_int_equal(fchmodat(p->fd, "shut", 0, 0), 0);
    refused(p, "shut", OUTCOME_OUTPUT_KIND); /* root could, and would vote differently */
}

static void refuses_holes(void **state)
{
    struct place *p = *state;
    int fd = openat(p->fd, "hollow", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, (off_t)512 << 20), 0);
    refused(p, "hollow", OUTCOME_OUTPUT_SIZE);
    assert_int_equal(ftruncate(fd, 1 << 20), 0); /* a small one is a program's good right */
    struct collect_output out = {.name = "hollow"};
    struct outcome outcome;
    assert_int_equal(collect_outputs(p->fd, &out, 1, 1 << 20, &outcome, NULL), PN_OK);
    collect_close(&out, 1);
    (void)close(fd);
}

/* Deeper than any path may be long; teardown shows that it goes away. */
static void discards_deep_folders(void **state)
{
    struct place *p = *state;
    int at = dup(p->fd);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        put(at, "f", "x");
        (void)close(at);
        at = next;
    }
    (void)close(at);
}

/* As an ordinary user, whom modes bind: folders that are closed, at any depth, and the outermost.
 */
static void discards_closed_folders(void **state)
{
    (void)state;
    char path[] = "/tmp/preon-closed-XXXXXX";
    int status = -1;
    assert_non_null(mkdtemp(path));
    assert_int_equal(chmod(path, 0777), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65533, 65533, 65533) != 0) {
            _exit(2);
        }
        if (chdir(path) != 0 || mkdir("top", 0755) != 0) {
            _exit(2);
        }
        int top = open("top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put(top, "file", "x");
        if (mkdirat(top, "a", 0755) != 0 || mkdirat(top, "a/b", 0755) != 0 ||
            mkdirat(top, "a/b/c", 0755) != 0 || fchmodat(top, "a/b", 0, 0) != 0 ||
            fchmodat(top, "a", 0500, 0) != 0 || fchmod(top, 0) != 0) {
            _exit(2);
        }
        collect_discard(top);
        _exit(access("top", F_OK) == 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status == 0) {
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(status, 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make, discard)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(takes_files),
        IN_FOLDER(refuses_what_is_missing),
        IN_FOLDER(refuses_links),
        IN_FOLDER(refuses_what_is_no_file),
        IN_FOLDER(refuses_holes),
        IN_FOLDER(discards_deep_folders),
        cmocka_unit_test(discards_closed_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
