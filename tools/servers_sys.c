#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log_sys.h"
#include "jobs/program.h"
#include "peer/peer.h"
#include "tools/commands.h"
#include "tools/endpoint.h"
#include "tools/paths_sys.h"
#include "tracker/server_uv.h"

/* --- what both have --- */

static enum pn_status take_log_level(const struct context *c, struct pn_err *err)
{
    enum log_level level;
    enum pn_status status = log_level_parse(context_text(c, "log-level"), &level, err);
    if (status == PN_OK) {
        log_set_level(level);
    } else {
        char origin[CONTEXT_ORIGIN_BYTES];
        pn_err_wrap(err, "%s", context_origin(c, "log-level", origin));
    }
    return status;
}

/* A value that is none of those allowed; says where it stands. */
static enum pn_status refuse(const struct context *c, const char *name, const char *value,
                             const char *allowed, struct pn_err *err)
{
    char origin[CONTEXT_ORIGIN_BYTES];
    return pn_fail(err, PN_E_MALFORMED, "%s: \"%.70s\": must be %s",
                   context_origin(c, name, origin), value, allowed);
}

/* A server that cannot serve is a failure whatever the reason; its sentence has it. */
static enum exit_code complain_server(const struct pn_err *err)
{
    (void)complain(err);
    return EXIT_CODE_FAILED;
}

/* --- tracker --- */

static enum pn_status tracker_config_of(const struct context *c, struct tracker_config *out,
                                        struct pn_err *err)
{
    uint64_t port = 0;
    const char *host = context_text(c, "host");
    enum pn_status status = take_log_level(c, err);
    *out = tracker_config_default();
    if (status == PN_OK && !addr_parse_ip(pn_bytes_str(host), &out->listen)) {
        status = refuse(c, "host", host, "an IP address", err);
    }
    if (status == PN_OK) {
        status = context_number(c, "port", UINT16_MAX, &port, err);
    }
    out->listen.port = (uint16_t)port;
    return status;
}

enum exit_code command_tracker(struct context *c)
{
    struct tracker_config config;
    struct pn_err err;
    if (tracker_config_of(c, &config, &err) != PN_OK) {
        return complain_usage(&err);
    }
    return tracker_run(&config, &err) == PN_OK ? EXIT_CODE_OK : complain_server(&err);
}

/* --- peer --- */

/* What a peer_config borrows, in one place for as long as the peer runs. */
struct peer_words {
    struct endpoint trackers[PEER_TRACKERS_MAX];
    char tracker_names[PEER_TRACKERS_MAX][CONTEXT_ITEM_BYTES];
    char jobs[CONTEXT_ITEM_BYTES];
    char launcher[PATH_BYTES_MAX + 16];
    char program_dir[PATH_BYTES_MAX];
};

static enum pn_status take_trackers(const struct context *c, struct peer_words *w,
                                    struct peer_config *out, struct pn_err *err)
{
    char item[CONTEXT_ITEM_BYTES];
    if (out->look) {
        return PN_OK;
    }
    for (size_t i = 0; context_item(c, "tracker", i, item) != NULL; i++) {
        char origin[CONTEXT_ORIGIN_BYTES];
        if (i == PEER_TRACKERS_MAX) {
            return pn_fail(err, PN_E_TOO_BIG, "%s: at most %d",
                           context_origin(c, "tracker", origin), PEER_TRACKERS_MAX);
        }
        enum pn_status status = endpoint_parse(item, PEER_TRACKER_PORT, &w->trackers[i], err);
        if (status != PN_OK) {
            pn_err_wrap(err, "%s", context_origin(c, "tracker", origin));
            return status;
        }
        memcpy(w->tracker_names[i], item, sizeof item);
        out->tracker_count = (uint32_t)i + 1;
    }
    if (out->tracker_count == 0) {
        out->tracker_count = 1;
        w->trackers[0] = (struct endpoint){"127.0.0.1", PEER_TRACKER_PORT};
        (void)snprintf(w->tracker_names[0], CONTEXT_ITEM_BYTES, "127.0.0.1:%d", PEER_TRACKER_PORT);
    }
    for (uint32_t i = 0; i < out->tracker_count; i++) {
        out->trackers[i] = (struct peer_tracker){
            .name = w->tracker_names[i], .host = w->trackers[i].host, .port = w->trackers[i].port};
    }
    return PN_OK;
}

static enum pn_status take_owners(const struct context *c, struct peer_config *out,
                                  struct pn_err *err)
{
    char item[CONTEXT_ITEM_BYTES];
    for (size_t i = 0; context_item(c, "owner", i, item) != NULL; i++) {
        if (i == PEER_OWNERS_MAX) {
            return pn_fail(err, PN_E_TOO_BIG, "--owner: at most %d", PEER_OWNERS_MAX);
        }
        if (!hex_parse(item, strlen(item), out->owners[i].b, PUBLIC_KEY_BYTES)) {
            return refuse(c, "owner", item, "64 lower-case hex digits, as `preon key` prints", err);
        }
        out->owner_count = (uint32_t)i + 1;
    }
    return PN_OK;
}

static bool is_own_program(const char *name)
{
    const struct job_program *program;
    for (size_t i = 0; (program = job_program_at(i)) != NULL; i++) {
        if (strcmp(program->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum pn_status take_jobs(const struct context *c, struct peer_words *w,
                                struct peer_config *out, struct pn_err *err)
{
    const char *text = context_text(c, "jobs");
    if (strcmp(text, "own") == 0 || strcmp(text, "any") == 0) {
        out->jobs = text[0] == 'o' ? PEER_JOBS_OWN_PROGRAMS : PEER_JOBS_ANY;
        return PN_OK;
    }
    out->jobs = PEER_JOBS_NAMED;
    (void)snprintf(w->jobs, sizeof w->jobs, "%s", text);
    for (char *name = w->jobs; name != NULL;) {
        char *comma = strchr(name, ',');
        if (comma != NULL) {
            *comma++ = '\0';
        }
        if (!is_own_program(name) || out->program_count == PEER_PROGRAMS_MAX) {
            return refuse(c, "jobs", text, "own, any, or programs like nonce,mandelbrot", err);
        }
        out->programs[out->program_count++] = name;
        name = comma;
    }
    return PN_OK;
}

static enum pn_status take_slots(const struct context *c, struct peer_config *out,
                                 struct pn_err *err)
{
    uint64_t threads = 0;
    if (context_text(c, "threads") == NULL) {
        long count = sysconf(_SC_NPROCESSORS_ONLN);
        out->slot_count = count < 1 ? 1 : count > PEER_SLOTS_MAX ? PEER_SLOTS_MAX : (uint32_t)count;
        return PN_OK;
    }
    enum pn_status status = context_number(c, "threads", PEER_SLOTS_MAX, &threads, err);
    out->slot_count = (uint32_t)threads;
    return status;
}

static enum pn_status take_listening(const struct context *c, struct peer_config *out,
                                     struct pn_err *err)
{
    struct addr ip;
    uint64_t port = 0;
    out->host = context_text(c, "host");
    out->listen = !args_given(&c->args, "no-listen");
    if (out->host != NULL && !addr_parse_ip(pn_bytes_str(out->host), &ip)) {
        return refuse(c, "host", out->host, "an IP address", err);
    }
    enum pn_status status = context_number(c, "port", UINT16_MAX, &port, err);
    out->port = (uint16_t)port;
    return status;
}

/* A flag on the command line; "yes" or "no" elsewhere. */
static enum pn_status take_lan(const struct context *c, struct peer_config *out, struct pn_err *err)
{
    const char *set = getenv("PREON_LAN");
    set = set != NULL && set[0] != '\0' ? set : settings_value(&c->settings, "lan");
    out->lan = args_given(&c->args, "lan") || (set != NULL && strcmp(set, "yes") == 0);
    return out->lan || set == NULL || strcmp(set, "no") == 0
               ? PN_OK
               : refuse(c, "lan", set, "yes or no", err);
}

/* Looked at before the data folder is made: a slip of the hand changes nothing on disk. */
static enum pn_status take_user(const struct context *c, struct peer_config *out,
                                struct pn_err *err)
{
    out->user = context_text(c, "user");
    if (out->user == NULL || geteuid() != 0) {
        return PN_OK;
    }
    const struct passwd *user = getpwnam(out->user);
    return user != NULL && user->pw_uid != 0
               ? PN_OK
               : refuse(c, "user", out->user, "the name of a user who is not root", err);
}

static enum pn_status take_priority(const struct context *c, struct peer_config *out,
                                    struct pn_err *err)
{
    const char *set = context_text(c, "priority");
    out->normal_priority = strcmp(set, "normal") == 0;
    return out->normal_priority || strcmp(set, "low") == 0
               ? PN_OK
               : refuse(c, "priority", set, "low or normal", err);
}

static enum pn_status peer_config_of(const struct context *c, struct peer_words *w,
                                     struct peer_config *out, struct pn_err *err)
{
    *out = (struct peer_config){
        .data_dir = c->data_dir,
        .embedded = args_given(&c->args, "embedded"),
        .look = args_given(&c->args, "look"),
        .ready_fd = args_given(&c->args, "ready-fd") ? (int)args_u64(&c->args, "ready-fd") : -1,
        .launcher = w->launcher,
        .program_dir = w->program_dir,
    };
    enum pn_status status = take_log_level(c, err);
    status = status == PN_OK ? take_trackers(c, w, out, err) : status;
    status = status == PN_OK ? take_owners(c, out, err) : status;
    status = status == PN_OK ? take_jobs(c, w, out, err) : status;
    status = status == PN_OK ? take_slots(c, out, err) : status;
    status = status == PN_OK ? take_listening(c, out, err) : status;
    status = status == PN_OK ? take_lan(c, out, err) : status;
    status = status == PN_OK ? take_priority(c, out, err) : status;
    status = status == PN_OK ? take_user(c, out, err) : status;
    return status;
}

enum exit_code command_peer(struct context *c)
{
    struct peer_config config;
    struct pn_err err;
    struct peer_words *words = calloc(1, sizeof *words);
    if (words == NULL) {
        return complain_text(EXIT_CODE_FAILED, "out of memory");
    }
    enum exit_code code;
    if (peer_config_of(c, words, &config, &err) != PN_OK) {
        code = complain_usage(&err);
    } else if (paths_libexec(words->program_dir, &err) != PN_OK) {
        code = complain_server(&err);
    } else {
        (void)snprintf(words->launcher, sizeof words->launcher, "%s/launcher", words->program_dir);
        code = peer_run(&config, &err) == PN_OK ? EXIT_CODE_OK : complain_server(&err);
    }
    free(words);
    return code;
}
