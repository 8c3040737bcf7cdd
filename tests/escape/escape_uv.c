/*
 * escape_uv -- runs every attack outside the sandbox, where it must succeed, and inside, where it
 * must not.
 *
 *     escape_uv full|reduced [user]     user: as an ordinary user also when started by root
 *
 * Inside counts as held only when the attack proves that it ran. Whatever refuses a full sandbox
 * may also stop attacks outside: where tools/test.sh has found that, they are named and left out.
 * What a tier does not hold stands in the table with its reason, and in peer/sandbox/README.md.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/sandbox/collect_sys.h"
#include "peer/sandbox/sandbox_uv.h"
#include "peer/sandbox/tail.h"
#include "tests/lacks.h"

enum {
    TWICE = 1 << 0,       /* the second run is the one that counts */
    COLLECTED = 1 << 1,   /* succeeds if the collector takes out.txt (or sub/passwd) */
    PLANTS = 1 << 2,      /* succeeds if a file appears in the volunteer's folder */
    NOT_REDUCED = 1 << 3, /* an exception of tier reduced, see README.md */
};

struct trial {
    const char *name;
    int flags;
};

/* Grouped as the table of what a job sees: its order is README.md's. */
static const struct trial trials[] = {
    /* files */
    {"read-host-passwd", 0},
    {"read-by-dotdot", 0},
    {"read-secret", 0},
    {"list-home", 0},
    {"read-sys", 0},
    {"write-job-file", 0},
    {"replace-job-file", 0},
    {"write-host-tmp", PLANTS},
    {"set-user-id-bit", 0},
    {"set-user-id-at-creation", 0},
    {"set-user-id-without-a-name", 0},
    /* descriptors, environment */
    {"find-descriptors", 0},
    {"read-standard-input", 0},
    {"open-terminal", 0},
    {"find-environment", 0},
    /* /proc */
    {"read-proc", 0},
    {"read-proc-of-another", 0},
    /* processes, signals */
    {"signal-daemon", 0},
    {"signal-everybody", 0},
    {"outlive", 0},
    {"leave-session", 0},
    {"change-limit-of-another", 0},
    {"raise-priority", 0},
    {"trace-child", 0},
    {"read-memory-of-child", 0},
    {"take-descriptor-of-child", 0},
    /* kernel interfaces */
    {"new-user-namespace", 0},
    {"clone-user-namespace", 0},
    {"clone3-user-namespace", 0},
    {"make-memory-file", 0},
    {"share-memory-by-key", 0},
    {"add-kernel-key", 0},
    {"set-up-io-uring", 0},
    {"put-on-filter", 0},
    {"stop-randomising", 0},
    {"watch-files", 0},
    {"take-timers", 0},
    {"take-huge-page", 0},
    {"signal-by-pipe", 0},
    /* network */
    {"connect-loopback", 0},
    {"connect-abstract", 0},
    {"open-netlink", 0},
    {"open-udp6", 0},
    {"open-socket-pair", 0},
    /* memory, processes, time */
    {"take-memory", 0},
    {"take-shared-memory", 0},
    {"take-memory-together", 0},
    {"take-memory-by-thread", 0},
    {"keep-shared-memory", 0},
    {"keep-zero-memory", 0},
    {"lock-memory", 0},
    {"fork-many", 0},
    {"write-core", 0},
    {"take-time", 0},
    {"take-processor", 0},
    /* disk, output */
    {"fill-disk", NOT_REDUCED},
    {"fill-tmp", 0},
    {"fill-inodes", NOT_REDUCED},
    {"write-one-large-file", 0},
    {"open-many-files", 0},
    {"flood-output", 0},
    {"output-is-link", COLLECTED},
    {"output-is-fifo", COLLECTED},
    {"output-is-folder", COLLECTED},
    {"output-has-two-names", COLLECTED},
    {"output-is-hollow", COLLECTED},
    {"output-is-unreadable", COLLECTED},
    {"output-through-folder-link", COLLECTED},
    {"find-leftovers", TWICE},
};

struct runner {
    uv_loop_t loop;
    struct sandbox *sandbox;
    enum sandbox_tier tier;
    char base[64];    /* a folder of ours under /tmp */
    char program[96]; /* attack, a copy that may be attacked */
    int program_fd;
    int port;
    char abstract[64];
    bool ended;
    char said[TAIL_TEXT_BYTES + 1];
    char text[192];
    int folder_fd;
};

static struct runner r;

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "escape: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- what is attacked ---- */

static void beside_build(const char *relative, char *out, size_t out_bytes)
{
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        die("/proc/self/exe");
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(out, out_bytes, "%s/%s", self, relative);
}

static void write_file(const char *path, const void *bytes, size_t len, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || fchmod(fd, mode) != 0 ||
        close(fd) != 0) {
        die(path);
    }
}

static void copy_program(void)
{
    static char bytes[8 << 20];
    char from[2200];
    beside_build("attack", from, sizeof from);
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : -1;
    if (n <= 0) {
        die(from);
    }
    (void)close(fd);
    (void)snprintf(r.program, sizeof r.program, "%s/attack", r.base);
    write_file(r.program, bytes, (size_t)n, 0755);
    r.program_fd = open(r.program, O_RDONLY | O_CLOEXEC);
}

static void listen_loopback(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0) {
        die("listening on loopback");
    }
    r.port = ntohs(at.sin_port);
}

static void listen_abstract(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(r.abstract, sizeof r.abstract, "preon-escape-%ld", (long)getpid());
    (void)snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "%s", r.abstract);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(r.abstract));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 64) != 0) {
        die("listening on an abstract name");
    }
}

static void lay_out(void)
{
    char path[128];
    (void)snprintf(r.base, sizeof r.base, "/tmp/preon-escape-XXXXXX");
    if (mkdtemp(r.base) == NULL || chmod(r.base, 0755) != 0) {
        die(r.base);
    }
    (void)snprintf(path, sizeof path, "%s/open", r.base); /* anybody may write here */
    if (mkdir(path, 0777) != 0 || chmod(path, 01777) != 0) {
        die(path);
    }
    (void)snprintf(path, sizeof path, "%s/secret", r.base);
    write_file(path, "secret\n", 7, 0644);
    copy_program();
    listen_loopback();
    listen_abstract();
    /* Left open, and not close-on-exec: a daemon's mistake that must not become a job's luck. */
    (void)snprintf(path, sizeof path, "%s/secret", r.base);
    if (open(path, O_RDONLY) < 0 || setenv("ESCAPE_DAEMON_ONLY", "secret", 1) != 0) {
        die("secrets");
    }
}

/* What an attack is told; `victim` is the job's file as it sees it. */
struct settings {
    char text[6][160];
    const char *list[7];
    uint32_t count;
};

static void fill_settings(struct settings *s, bool inside)
{
    bool bound = inside && r.tier == SANDBOX_FULL;
    (void)snprintf(s->text[0], sizeof s->text[0], "ESCAPE_SECRET=%s/secret", r.base);
    (void)snprintf(s->text[1], sizeof s->text[1], "ESCAPE_PID=%ld", (long)getpid());
    (void)snprintf(s->text[2], sizeof s->text[2], "ESCAPE_PORT=%d", r.port);
    (void)snprintf(s->text[3], sizeof s->text[3], "ESCAPE_ABSTRACT=%s", r.abstract);
    (void)snprintf(s->text[4], sizeof s->text[4], "ESCAPE_FOLDER=%s/open", r.base);
    (void)snprintf(s->text[5], sizeof s->text[5], "ESCAPE_VICTIM=%s%s", bound ? "" : r.base,
                   bound ? "/job/victim" : "/victim");
    for (s->count = 0; s->count < 6; s->count++) {
        s->list[s->count] = s->text[s->count];
    }
    s->list[s->count] = NULL;
}

static void fresh_victim(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/victim", r.base);
    write_file(path, "victim\n", 7, 0666);
}

static bool remove_planted(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/open/planted", r.base);
    return unlink(path) == 0;
}

static bool collectable(int folder_fd, const struct trial *t)
{
    bool below = strcmp(t->name, "output-through-folder-link") == 0;
    struct collect_output out = {.name = below ? "sub/passwd" : "out.txt"};
    struct outcome outcome = {OUTCOME_EXITED, 0};
    struct pn_err err = {.text = ""};
    enum pn_status status = collect_outputs(folder_fd, &out, 1, 32 << 20, &outcome, &err);
    if (status == PN_OK) {
        collect_close(&out, 1);
        return true;
    }
    if (outcome.class != OUTCOME_OUTPUT) {
        (void)printf("  %s\n", err.text);
        return true; /* refused for a wrong reason is no refusal */
    }
    return false;
}

/* True when the printed text holds "WORD NAME" as a line. */
static bool said(const char *word, const char *name)
{
    char line[96];
    (void)snprintf(line, sizeof line, "%s %s\n", word, name);
    return strstr(r.said, line) != NULL;
}

/* ---- outside ---- */

/* Keeps what the sandbox would: an attack may print 80 MiB. */
static void read_all(int fd)
{
    static uint8_t block[65536];
    struct tail tail = {.total = 0};
    uint8_t text[TAIL_TEXT_BYTES];
    ssize_t n = 0;
    while ((n = read(fd, block, sizeof block)) > 0) {
        tail_add(&tail, (struct pn_bytes){block, (size_t)n});
    }
    (void)snprintf(r.said, sizeof r.said, "%.*s", (int)tail_text(&tail, text), (char *)text);
}

static bool outside_once(const struct trial *t)
{
    struct settings s;
    int out[2];
    int in[2];
    int status = 0;
    pid_t pid = 0;
    char work[128];
    const char *const args[] = {"attack", t->name, NULL};
    const char *env[9];
    posix_spawn_file_actions_t actions;

    fill_settings(&s, false);
    memcpy(env, s.list, sizeof s.list);
    env[s.count] = "ESCAPE_DAEMON_ONLY=secret"; /* as it would be inherited */
    env[s.count + 1] = NULL;
    (void)snprintf(work, sizeof work, "%s/work", r.base);
    (void)mkdir(work, 0755);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(in, O_CLOEXEC) != 0 || write(in[1], "x", 1) != 1) {
        die("pipe");
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    (void)posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    (void)posix_spawn_file_actions_addchdir_np(&actions, work);
    if (posix_spawn(&pid, r.program, &actions, NULL, (char *const *)args, (char *const *)env) !=
        0) {
        die("posix_spawn");
    }
    (void)close(out[1]);
    read_all(out[0]);
    (void)waitpid(pid, &status, 0);
    (void)close(out[0]);
    (void)close(in[0]);
    (void)close(in[1]);
    (void)posix_spawn_file_actions_destroy(&actions);
    return said("ran", t->name);
}

static bool outside(const struct trial *t)
{
    char work[128];
    bool ran = outside_once(t) && (!(t->flags & TWICE) || outside_once(t));
    bool got = ran && said("escaped", t->name);
    if ((t->flags & PLANTS) != 0) {
        got = got && remove_planted();
    }
    (void)snprintf(work, sizeof work, "%s/work", r.base);
    collect_discard(open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)snprintf(work, sizeof work, "%s/open", r.base);
    int fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    collect_discard(fd); /* what fill-tmp has left */
    (void)mkdir(work, 0777);
    (void)chmod(work, 01777);
    return got;
}

/* ---- inside ---- */

static void on_state(void *arg, const struct sandbox_state *state)
{
    (void)arg;
    (void)state;
}

static void on_end(void *arg, const struct sandbox_result *result)
{
    (void)arg;
    r.ended = true;
    r.folder_fd = result->folder_fd;
    (void)snprintf(r.text, sizeof r.text, "%s", result->text);
    (void)snprintf(r.said, sizeof r.said, "%.*s", (int)result->stdout_tail.len,
                   (const char *)result->stdout_tail.ptr);
}

static bool inside_once(const struct trial *t, bool *collected)
{
    static const char *const outputs[] = {"out.txt", "sub/passwd"};
    struct settings s;
    struct pn_err err;
    char path[128];
    uint32_t id = 0;
    const char *const args[] = {"attack", t->name};
    fill_settings(&s, true);
    (void)snprintf(path, sizeof path, "%s/victim", r.base);
    int victim = open(path, O_RDONLY | O_CLOEXEC);
    const struct sandbox_file files[] = {
        {.name = "attack", .fd = r.program_fd, .executable = true},
        {.name = "victim", .fd = victim},
    };
    bool full = r.tier == SANDBOX_FULL;
    const struct sandbox_order order = {
        .slice_count = 1,
        .program = full ? PROGRAM_FILE : PROGRAM_OWN,
        .program_fd = full ? -1 : r.program_fd,
        .args = args,
        .arg_count = 2,
        .env = s.list,
        .env_count = s.count,
        .files = files,
        .file_count = full ? 2 : 0,
        .outputs = outputs,
        .output_count = 2,
        .system = full,
        .limits = {.time_s = strcmp(t->name, "take-time") == 0 ? 1 : 30,
                   .cpu_s = strcmp(t->name, "take-processor") == 0 ? 1 : 30,
                   .memory_bytes = 256 << 20,
                   .process_count = 16,
                   .output_bytes = 64 << 20},
    };
    r.ended = false;
    if (sandbox_run(r.sandbox, &order, NULL, on_end, NULL, &id, &err) != PN_OK) {
        (void)printf("  %s\n", err.text);
        return false;
    }
    while (!r.ended) {
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    }
    (void)close(victim);
    *collected = r.folder_fd >= 0 && (t->flags & COLLECTED) != 0 && collectable(r.folder_fd, t);
    collect_discard(r.folder_fd);
    return said("ran", t->name);
}

/* True when it ran and got nothing. */
static bool inside(const struct trial *t)
{
    bool collected = false;
    if (!inside_once(t, &collected) || ((t->flags & TWICE) != 0 && !inside_once(t, &collected))) {
        (void)printf("  it never ran: %s\n", r.text);
        return false;
    }
    if ((t->flags & PLANTS) != 0) {
        return !remove_planted();
    }
    if ((t->flags & COLLECTED) != 0) {
        return !collected;
    }
    return !said("escaped", t->name);
}

static void start(void)
{
    char launcher[2200];
    struct pn_err err;
    beside_build("../../libexec/preon/launcher", launcher, sizeof launcher);
    const struct sandbox_options options = {.launcher_path = launcher,
                                            .tier_most = r.tier,
                                            .slot_count = 2,
                                            .normal_priority = true,
                                            .scratch_path = r.base};
    (void)uv_loop_init(&r.loop);
    if (sandbox_new(&r.loop, &options, on_state, NULL, &r.sandbox, &err) != PN_OK) {
        (void)fprintf(stderr, "escape: %s\n", err.text);
        exit(2);
    }
    while (!sandbox_state(r.sandbox)->ready) {
        (void)uv_run(&r.loop, UV_RUN_ONCE);
    }
    if (sandbox_state(r.sandbox)->tier != r.tier) {
        (void)fprintf(stderr, "escape: tier %s: %s\n", tier_name(sandbox_state(r.sandbox)->tier),
                      sandbox_state(r.sandbox)->reason);
        exit(2);
    }
}

/* Root becomes nobody in particular; an ordinary user is one already. */
static void become_user(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(65533, 65533, 65533) != 0 ||
                           setresuid(65533, 65533, 65533) != 0)) {
        die("becoming an ordinary user");
    }
    (void)prctl(PR_SET_DUMPABLE, 1);
}

int main(int argc, char **argv)
{
    int failed = 0;
    int held = 0;
    int idle = 0; /* attacks that this machine knows to stop without us */
    if (argc < 2 || !tier_parse(argv[1], &r.tier)) {
        (void)fprintf(stderr, "escape_uv full|reduced [user]\n");
        return 2;
    }
    if (argc == 3 && strcmp(argv[2], "user") == 0) {
        become_user();
    }
    if (r.tier == SANDBOX_FULL && lacks("sandbox")) {
        return lacks_exit(0, "all attacks", "sandbox");
    }
    lay_out();
    start();
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const struct trial *t = &trials[i];
        fresh_victim();
        bool works = outside(t);
        if (!works && lacks("sandbox")) {
            (void)printf("not to be had here: %s", r.said);
            idle++;
            continue;
        }
        fresh_victim();
        bool exempt = r.tier == SANDBOX_REDUCED && (t->flags & NOT_REDUCED) != 0;
        bool holds = exempt || inside(t);
        held += works && holds && !exempt ? 1 : 0;
        if (!works || !holds) {
            failed++;
            (void)printf("FAILED %s: %s; inside it ended with: %s\n%.400s\n", t->name,
                         works ? "escaped" : "did not even work outside", r.text, r.said);
        }
    }
    sandbox_close(r.sandbox);
    (void)uv_run(&r.loop, UV_RUN_DEFAULT);
    (void)close(r.program_fd);
    collect_discard(open(r.base, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    (void)printf("tier %s, user %u: %d attacks work outside and are held inside, %d failed\n",
                 tier_name(r.tier), (unsigned)geteuid(), held, failed);
    if (idle > 0) {
        return lacks_exit(failed, "attacks that do not work outside", "sandbox");
    }
    return failed == 0 ? 0 : 1;
}
