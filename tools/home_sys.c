#include "tools/home_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "peer/peer.h"
#include "tools/endpoint.h"
#include "tools/interrupt_sys.h"
#include "tools/progress.h"

enum {
    READY_WITHIN_MS = 20 * 1000, /* a data folder after a crash is hashed again first */
    END_WITHIN_MS = 8 * 1000,
    ENDED_WITHIN_MS = 1000, /* a child that has closed its end is about to be gone */
    CHILD_WORDS_MAX = 32,
    CHILD_READY_FD = 3,
};

extern char **environ;

/* The child's command line. Strings are borrowed from the arrays and the context. */
struct child_words {
    const char *list[CHILD_WORDS_MAX];
    size_t count;
    char threads[24];
    char trackers[PEER_TRACKERS_MAX][CONTEXT_ITEM_BYTES];
};

static void add_words(struct child_words *w, const char *option, const char *value)
{
    if (w->count + 3 < CHILD_WORDS_MAX) {
        w->list[w->count++] = option;
        w->list[w->count++] = value;
    }
}

static void make_words(struct context *c, enum home_wish wish, struct child_words *w)
{
    static const char READY_FD[] = "3";
    *w = (struct child_words){.list = {"preon", "peer", "--embedded"}, .count = 3};
    add_words(w, "--ready-fd", READY_FD);
    add_words(w, "--data", c->data_dir);
    add_words(w, "--log-level", "warn");
    if (wish == HOME_TO_LOOK) {
        add_words(w, "--threads", "0");
        w->list[w->count++] = "--look";
        w->list[w->count++] = "--no-listen"; /* the settings' port may be another peer's */
        return;
    }
    if (context_text(c, "threads") != NULL) {
        (void)snprintf(w->threads, sizeof w->threads, "%s", context_text(c, "threads"));
        add_words(w, "--threads", w->threads);
    }
    for (size_t i = 0; i < PEER_TRACKERS_MAX; i++) {
        const char *tracker = context_item(c, "tracker", i, w->trackers[i]);
        if (tracker == NULL) {
            break;
        }
        add_words(w, "--tracker", tracker);
    }
}

static enum pn_status spawn(const struct child_words *words, struct home *out, struct pn_err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "socketpair: %s", strerror(errno));
    }
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&none);
    int failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    failed |= posix_spawn_file_actions_adddup2(&actions, pair[1], CHILD_READY_FD);
    /* A group of its own: Ctrl-C is for the command, which then tells the child. */
    failed |= posix_spawnattr_setpgroup(&attributes, 0);
    failed |= posix_spawnattr_setsigmask(&attributes, &none);
    failed |= posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    if (failed == 0) {
        failed = posix_spawn(&out->child, "/proc/self/exe", &actions, &attributes,
                             (char *const *)(uintptr_t)words->list, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    (void)close(pair[1]);
    if (failed != 0) {
        (void)close(pair[0]);
        return pn_fail(err, PN_E_SYSTEM, "/proc/self/exe: %s", strerror(failed));
    }
    out->embedded = true;
    out->ready_fd = pair[0];
    return PN_OK;
}

/* Waits for the child's "ready". False: it has ended, does not come, or Ctrl-C. */
static bool wait_ready(const struct home *h)
{
    const uint64_t deadline = clock_now_ms() + READY_WITHIN_MS;
    char byte = 0;
    while (clock_now_ms() < deadline && !interrupt_came()) {
        struct pollfd fd = {.fd = h->ready_fd, .events = POLLIN};
        if (poll(&fd, 1, 200) > 0) {
            ssize_t n = read(h->ready_fd, &byte, 1);
            if (n <= 0 || byte == '\n') {
                return n > 0;
            }
        }
    }
    return false;
}

/* Waits for the child's end; true when it came within the time. */
static bool wait_end(struct home *h, uint64_t within_ms, int *status)
{
    const uint64_t deadline = clock_now_ms() + within_ms;
    for (;;) {
        pid_t ended = waitpid(h->child, status, WNOHANG);
        if (ended == h->child || (ended < 0 && errno == ECHILD)) {
            h->child = 0;
            return true;
        }
        if (clock_now_ms() >= deadline) {
            return false;
        }
        (void)poll(NULL, 0, 10);
    }
}

static void end_child(struct home *h, int *status)
{
    if (h->ready_fd >= 0) {
        (void)close(h->ready_fd); /* an order by itself */
        h->ready_fd = -1;
    }
    if (h->child > 0 && !wait_end(h, END_WITHIN_MS, status)) {
        (void)kill(h->child, SIGKILL);
        (void)wait_end(h, END_WITHIN_MS, status);
    }
}

static enum exit_code embed(struct context *c, enum home_wish wish, struct home *out)
{
    struct child_words words;
    struct pn_err err;
    int status = 0;
    make_words(c, wish, &words);
    if (spawn(&words, out, &err) != PN_OK) {
        return complain(&err);
    }
    if (wait_ready(out) && client_open(c->data_dir, &out->client, &err) == PN_OK) {
        return EXIT_CODE_OK;
    }
    const bool late = !wait_end(out, interrupt_came() ? 0 : ENDED_WITHIN_MS, &status);
    end_child(out, &status);
    if (interrupt_came()) {
        return EXIT_CODE_INTERRUPTED;
    }
    if (!late && WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        return (enum exit_code)WEXITSTATUS(status); /* it has said why */
    }
    return complain_text(EXIT_CODE_FAILED, "the peer of this job %s (data folder %s)",
                         late ? "does not get ready" : "ended at once", c->data_dir);
}

enum pn_status home_check(const struct context *c, struct pn_err *err)
{
    char item[CONTEXT_ITEM_BYTES];
    uint64_t threads = 0;
    struct endpoint at;
    enum pn_status status = PN_OK;
    if (context_text(c, "threads") != NULL) {
        status = context_number(c, "threads", PEER_SLOTS_MAX, &threads, err);
    }
    for (size_t i = 0; status == PN_OK && context_item(c, "tracker", i, item) != NULL; i++) {
        char origin[CONTEXT_ORIGIN_BYTES];
        if (i == PEER_TRACKERS_MAX) {
            return pn_fail(err, PN_E_TOO_BIG, "%s: at most %d",
                           context_origin(c, "tracker", origin), PEER_TRACKERS_MAX);
        }
        status = endpoint_parse(item, PEER_TRACKER_PORT, &at, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "%s", context_origin(c, "tracker", origin));
        }
    }
    return status;
}

static bool has_tracker(const json_t *peer, const char *name)
{
    size_t index = 0;
    const json_t *tracker = NULL;
    json_array_foreach(json_object_get(peer, "trackers"), index, tracker)
    {
        if (strcmp(progress_text(tracker, "name"), name) == 0) {
            return true;
        }
    }
    return false;
}

/* What is asked for a child, and a peer that runs has otherwise, is in vain: not silently. */
static void tell_in_vain(const struct context *c, const json_t *peer)
{
    const char *tracker;
    for (size_t i = 0; (tracker = args_list(&c->args, "tracker", i)) != NULL; i++) {
        if (!has_tracker(peer, tracker)) {
            (void)fprintf(stderr, "preon: --tracker %s: a peer runs here, and keeps its own\n",
                          tracker);
        }
    }
    if (args_given(&c->args, "threads") &&
        args_u64(&c->args, "threads") != progress_count(peer, "slots")) {
        (void)fprintf(stderr, "preon: --threads: a peer runs here, and keeps its own: %.0f\n",
                      progress_number(peer, "slots"));
    }
}

enum exit_code home_open(struct context *c, enum home_wish wish, struct home *out)
{
    struct pn_err err;
    *out = (struct home){.ready_fd = -1};
    if (wish != HOME_TO_LOOK && home_check(c, &err) != PN_OK) {
        return complain_usage(&err);
    }
    interrupt_install();
    enum pn_status status = client_open(c->data_dir, &out->client, &err);
    if (status == PN_OK) {
        if (wish != HOME_TO_LOOK) {
            tell_in_vain(c, client_peer(out->client));
        }
        return EXIT_CODE_OK;
    }
    if (status != PN_E_NOT_FOUND) {
        (void)complain(&err);
        return interrupt_came() ? EXIT_CODE_INTERRUPTED : EXIT_CODE_UNREACHABLE;
    }
    if (wish == HOME_TO_LEAVE) {
        return complain_text(
            EXIT_CODE_UNREACHABLE,
            "--detach: no peer runs on data folder %s to go on with the job; start "
            "`preon peer`",
            c->data_dir);
    }
    if (wish == HOME_TO_LOOK && access(c->data_dir, F_OK) != 0) {
        return complain_text(EXIT_CODE_UNREACHABLE, "%s: no peer runs here and none ever has",
                             c->data_dir);
    }
    return embed(c, wish, out);
}

void home_close(struct home *h)
{
    int status = 0;
    if (h->embedded && h->client != NULL) {
        client_be_patient(h->client);
        (void)client_ask(h->client, "POST", "/v1/peer/shutdown", NULL, NULL, NULL);
    }
    client_close(h->client);
    if (h->embedded) {
        end_child(h, &status);
    }
    *h = (struct home){.ready_fd = -1};
}

/* --- jobs by the beginning of their ID --- */

static enum exit_code find_job(struct home *h, const char *prefix, char id[DIGEST_HEX_BYTES])
{
    struct pn_err err;
    json_t *answer = NULL;
    const size_t len = strlen(prefix);
    if (client_ask(h->client, "GET", "/v1/jobs", NULL, &answer, &err) != PN_OK) {
        return complain(&err);
    }
    size_t index = 0;
    size_t matches = 0;
    json_t *job = NULL;
    json_array_foreach(json_object_get(answer, "jobs"), index, job)
    {
        const char *whole = json_string_value(json_object_get(job, "id"));
        if (whole != NULL && strncmp(whole, prefix, len) == 0) {
            (void)snprintf(id, DIGEST_HEX_BYTES, "%s", whole);
            matches++;
        }
    }
    json_decref(answer);
    if (matches == 0) {
        return complain_text(EXIT_CODE_FAILED,
                             "job ID '%s': no such job here; see `preon job list`", prefix);
    }
    if (matches > 1) {
        return complain_text(EXIT_CODE_USAGE, "job ID '%s': %zu jobs begin so; give more digits",
                             prefix, matches);
    }
    return EXIT_CODE_OK;
}

enum exit_code home_open_job(struct context *c, enum home_wish wish, struct home *out,
                             char id[DIGEST_HEX_BYTES])
{
    const char *prefix = c->args.positionals[0];
    const size_t len = strlen(prefix);
    if (len < 1 || len >= DIGEST_HEX_BYTES || strspn(prefix, "0123456789abcdef") != len) {
        return complain_text(EXIT_CODE_USAGE,
                             "job ID '%.70s': must be 1 to 64 lower-case hex digits", prefix);
    }
    enum exit_code code = home_open(c, wish, out);
    if (code == EXIT_CODE_OK) {
        code = find_job(out, prefix, id);
        if (code != EXIT_CODE_OK) {
            home_close(out);
        }
    }
    return code;
}
