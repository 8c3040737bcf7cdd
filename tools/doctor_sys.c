#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "jobs/program.h"
#include "peer/peer.h"
#include "peer/sandbox/caps.h"
#include "tools/client_sys.h"
#include "tools/commands.h"
#include "tools/endpoint.h"
#include "tools/human.h"
#include "tools/interrupt_sys.h"
#include "tools/paths_sys.h"
#include "tools/print_sys.h"
#include "tools/progress.h"
#include "tools/sandbox_probe_uv.h"

enum {
    TEXT_BYTES = 256,
    REMEDY_BYTES = TIER_REMEDY_BYTES,
    DISK_LOW_MIB = 512,
    DIAL_WITHIN_MS = 2000,
};

enum finding { FINE, NOTE, WRONG, NOTHING }; /* NOTHING: there was nothing to look at */

/* One thing that was looked at. */
struct check {
    const char *name;
    enum finding finding;
    char text[TEXT_BYTES];
    char remedy[REMEDY_BYTES];
};

struct doctor {
    struct context *context;
    struct client *client; /* of the peer that runs here, or NULL */
};

__attribute__((format(printf, 4, 5))) static void say(struct check *out, enum finding finding,
                                                      const char *remedy, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(out->text, sizeof out->text, format, args);
    va_end(args);
    (void)snprintf(out->remedy, sizeof out->remedy, "%s", remedy);
    out->finding = finding;
}

/* --- the checks --- */

static void check_programs(struct doctor *d, struct check *out)
{
    char dir[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX + 64];
    char name[JOB_PROGRAM_NAME_BYTES];
    struct pn_err err;
    const struct job_program *program;
    (void)d;
    if (paths_libexec(dir, &err) != PN_OK) {
        say(out, WRONG, "install all of Preon's files", "%s", err.text);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/launcher", dir);
    bool good = access(path, X_OK) == 0;
    for (size_t i = 0; good && (program = job_program_at(i)) != NULL; i++) {
        job_program_name(program, name);
        (void)snprintf(path, sizeof path, "%s/%s", dir, name);
        good = access(path, X_OK) == 0;
    }
    if (good) {
        say(out, FINE, "", "launcher and job programs are in %.200s", dir);
    } else {
        say(out, WRONG, "install all of Preon's files", "%.200s: %s", path, strerror(errno));
    }
}

static void check_data(struct doctor *d, struct check *out)
{
    struct statvfs fs;
    const char *dir = d->context->data_dir;
    if (access(dir, F_OK) != 0 && errno == ENOENT) {
        say(out, FINE, "", "%.200s does not exist yet", dir);
    } else if (access(dir, R_OK | W_OK | X_OK) != 0) {
        say(out, WRONG, "give --data DIR, or make it yours", "%.200s: %s", dir, strerror(errno));
    } else if (statvfs(dir, &fs) == 0 && fs.f_bavail * fs.f_frsize >> 20 < DISK_LOW_MIB) {
        say(out, NOTE, "free some room", "%.180s: only %llu MiB are free", dir,
            (unsigned long long)(fs.f_bavail * fs.f_frsize >> 20));
    } else {
        say(out, FINE, "", "%.200s can be written", dir);
    }
}

static void check_peer(struct doctor *d, struct check *out)
{
    struct pn_err err;
    enum pn_status status = client_open(d->context->data_dir, &d->client, &err);
    if (status == PN_OK) {
        say(out, FINE, "", "runs, process %.0f", progress_number(client_peer(d->client), "pid"));
    } else if (status == PN_E_NOT_FOUND) {
        say(out, NOTE, "to lend this machine: preon peer", "does not run");
    } else {
        say(out, WRONG, "run this as the peer's user, or give --data DIR", "%s", err.text);
    }
}

/* Whether anybody from elsewhere has come in: a master's volunteers dial it. */
static void check_reached(struct doctor *d, struct check *out)
{
    char ago[HUMAN_BYTES];
    const json_t *peer = d->client != NULL ? client_peer(d->client) : NULL;
    const char *at = progress_text(peer, "listening");
    if (peer == NULL) {
        out->finding = NOTHING;
    } else if (at[0] == '\0') {
        say(out, FINE, "", "nowhere: this peer only dials out");
    } else if (json_object_get(peer, "reached") != NULL) {
        say(out, FINE, "", "on %s, reached from %s %s ago", at,
            progress_text(peer, "reached.address"),
            human_duration(progress_count(peer, "reached.ago_ms"), ago));
    } else {
        say(out, progress_number(peer, "jobs_mastered") > 0 ? NOTE : FINE,
            "volunteers must reach who has work: open or forward a port, preon peer --port 7601",
            "on %s, where nobody has come in so far", at);
    }
}

static void say_tier(struct check *out, enum sandbox_tier tier, const char *reason,
                     const char *remedy)
{
    switch (tier) {
    case SANDBOX_FULL:
        say(out, FINE, "", "full: a stranger's program sees and reaches only what its job brings");
        break;
    case SANDBOX_REDUCED:
        say(out, NOTE, remedy, "reduced, so only Preon's own programs run: %.180s", reason);
        break;
    case SANDBOX_NONE:
        say(out, NOTE, remedy, "none, so no slices run here: %.180s", reason);
        break;
    }
}

/* A running peer has built one already; else we do. */
static void check_sandbox(struct doctor *d, struct check *out)
{
    char dir[PATH_BYTES_MAX];
    char launcher[PATH_BYTES_MAX + 16];
    struct pn_err err;
    struct sandbox_state state;
    if (d->client != NULL) {
        const json_t *peer = client_peer(d->client);
        enum sandbox_tier tier = SANDBOX_NONE;
        (void)tier_parse(progress_text(peer, "tier"), &tier);
        say_tier(out, tier, progress_text(peer, "tier_reason"), progress_text(peer, "tier_remedy"));
        return;
    }
    enum pn_status status = paths_libexec(dir, &err);
    if (status == PN_OK) {
        (void)snprintf(launcher, sizeof launcher, "%s/launcher", dir);
        status = sandbox_probe(launcher, &state, &err);
    }
    if (status == PN_OK) {
        say_tier(out, state.tier, state.reason, state.remedy);
    } else {
        say(out, WRONG, "install all of Preon's files", "%s", err.text);
    }
}

static void check_memory(struct doctor *d, struct check *out)
{
    const json_t *peer = d->client != NULL ? client_peer(d->client) : NULL;
    const struct limits caps = caps_of_machine(sandbox_ram_bytes());
    const double mebibyte = 1 << 20;
    double memory = (double)caps.memory_bytes;
    double output = (double)caps.output_bytes;
    double budget = (double)caps_budget(sandbox_ram_bytes());
    if (peer != NULL) {
        memory = progress_number(peer, "memory_bytes_max");
        output = progress_number(peer, "output_bytes_max");
        budget = progress_number(peer, "budget_bytes");
    }
    say(out, FINE, "", "a slice may ask for %.0f MiB and %.0f MiB of outputs, all for %.0f MiB",
        memory / mebibyte, output / mebibyte, budget / mebibyte);
}

static bool dial(const struct addrinfo *at)
{
    int error = ETIMEDOUT;
    socklen_t error_len = sizeof error;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    bool good = connect(fd, at->ai_addr, at->ai_addrlen) == 0;
    if (!good && errno == EINPROGRESS) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
        good = poll(&poll_fd, 1, DIAL_WITHIN_MS) == 1 &&
               getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0 && error == 0;
        errno = error;
    }
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return good;
}

/* A name may have several addresses, and one be reached: a peer tries them in turn, and so do we.
 */
static bool dial_any(const struct addrinfo *list)
{
    bool reached = false;
    for (const struct addrinfo *at = list; at != NULL && !reached; at = at->ai_next) {
        reached = dial(at);
    }
    return reached;
}

static void check_tracker(struct doctor *d, struct check *out)
{
    const json_t *tracker =
        d->client == NULL ? NULL
                          : json_array_get(json_object_get(client_peer(d->client), "trackers"), 0);
    if (tracker != NULL) {
        bool connected = json_is_true(json_object_get(tracker, "connected"));
        say(out, connected ? FINE : NOTE, progress_text(tracker, "trouble"), "%.100s: %s",
            progress_text(tracker, "name"), connected ? "connected" : "not connected");
        return;
    }
    char item[CONTEXT_ITEM_BYTES];
    char port[8];
    struct endpoint at = {.host = "127.0.0.1", .port = PEER_TRACKER_PORT};
    struct pn_err err;
    if (context_item(d->context, "tracker", 0, item) != NULL &&
        endpoint_parse(item, PEER_TRACKER_PORT, &at, &err) != PN_OK) {
        say(out, WRONG, "mend --tracker, PREON_TRACKER or preon.conf", "%s", err.text);
        return;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    (void)snprintf(port, sizeof port, "%u", at.port);
    int rc = getaddrinfo(at.host, port, &hints, &found);
    bool reached = rc == 0 && dial_any(found);
    say(out, reached ? FINE : NOTE, "start `preon tracker` there, or name another: --tracker HOST",
        "%.100s:%s: %s", at.host, port,
        reached   ? "reached"
        : rc != 0 ? gai_strerror(rc)
                  : strerror(errno));
    if (rc == 0) {
        freeaddrinfo(found);
    }
}

static const struct {
    const char *name;
    void (*look)(struct doctor *d, struct check *out);
} CHECKS[] = {
    {"programs", check_programs}, {"data", check_data},       {"peer", check_peer},
    {"listening", check_reached}, {"sandbox", check_sandbox}, {"memory", check_memory},
    {"tracker", check_tracker},
};

/* --- the command --- */

static const char *finding_name(enum finding finding)
{
    switch (finding) {
    case FINE:
        return "ok";
    case NOTE:
        return "note";
    case WRONG:
        return "wrong";
    case NOTHING:
        break;
    }
    return "";
}

static void print_check(const struct check *k)
{
    (void)printf("%-6s %-10s %s\n", finding_name(k->finding), k->name, k->text);
    if (k->finding != FINE && k->remedy[0] != '\0') {
        (void)printf("%-17s %s\n", "", k->remedy);
    }
}

enum exit_code command_doctor(struct context *c)
{
    struct doctor d = {.context = c};
    enum exit_code code = EXIT_CODE_OK;
    json_t *list = json_array();
    interrupt_install();
    for (size_t i = 0; i < sizeof CHECKS / sizeof CHECKS[0]; i++) {
        struct check k = {.name = CHECKS[i].name};
        CHECKS[i].look(&d, &k);
        code = k.finding == WRONG ? EXIT_CODE_FAILED : code;
        if (k.finding == NOTHING) {
            continue;
        }
        if (c->json) {
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", k.name,
                                                        "finding", finding_name(k.finding), "text",
                                                        k.text, "remedy", k.remedy));
        } else {
            print_check(&k);
        }
    }
    if (c->json) {
        json_t *json = json_pack("{s:i, s:O}", "schema", 1, "checks", list);
        print_json(json);
        json_decref(json);
    }
    json_decref(list);
    client_close(d.client);
    return code;
}
