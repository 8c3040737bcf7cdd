#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "common/hash.h"
#include "common/key_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "jobs/program.h"
#include "peer/peer_inside.h"
#include "peer/sandbox/caps.h"
#include "peer/sandbox/collect_sys.h"
#include "peer/user_sys.h"

enum {
    REFRESH_MS = 10,     /* changes are told to trackers together, at most so often … */
    REFRESH_SOON_MS = 1, /* … and at once after a pause */
    POLL_MS = 1000,      /* reasons for waiting grow old */
    DESCRIBE_POLL_MS = 20,
    DESCRIBE_WITHIN_MS = 2000, /* for answers of earlier runs to be read again */
    LEAVE_MS = 300,            /* for the last frames to leave */
    LEAVE_MAX_MS = 3000,       /* SIGTERM ends within 5 s */
    POOL_THREADS_MIN = 4,
    HELD_FD_MIN = 64,
};

static void leave(struct peer *p);
static void open_control(struct peer *p);

/* --- time ------------------------------------------------------------------------------------- */

/* Why runs of ours do not go on. */
static void tell_waiting(struct peer *p)
{
    static const struct waiting stillness = {
        .waits = true,
        .cause = "no peer runs here to go on with it",
        .remedy = "start `preon peer`, or `preon job resume` it",
    };
    if (p->config->look) {
        leads_set_waiting(p->leads, &stillness);
    } else {
        hiring_tell_waiting(p->hiring);
    }
}

static void on_refresh(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    p->refreshed_ms = clock_now_ms();
    if (p->open && !p->leaving) {
        leads_own_has_room(p->leads);
        hiring_refresh(p->hiring);
        tell_waiting(p);
    }
}

void peer_refresh_soon(struct peer *p)
{
    if (!uv_is_active((uv_handle_t *)&p->refresh) && !p->leaving && p->open) {
        uint64_t since_ms = clock_now_ms() - p->refreshed_ms;
        uint64_t wait_ms = since_ms < REFRESH_MS ? REFRESH_MS - since_ms : REFRESH_SOON_MS;
        (void)uv_timer_start(&p->refresh, on_refresh, wait_ms, 0);
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    if (p->leaving) {
        uint64_t gone_ms = clock_now_ms() - p->leaving_since_ms;
        if ((gone_ms >= LEAVE_MS && leads_quiet(p->leads)) || gone_ms >= LEAVE_MAX_MS) {
            uv_stop(&p->loop);
        }
    } else if (p->open && p->control == NULL) {
        open_control(p);
    } else if (p->open) {
        struct worker_stats stats;
        labour_stats(p->labour, &stats);
        p->idle_since_ms = stats.engagement_count > 0 ? clock_now_ms() : p->idle_since_ms;
        tell_waiting(p);
    }
}

/* --- orders ----------------------------------------------------------------------------------- */

static enum pn_status shutdown_order(void *arg, struct pn_err *err)
{
    struct peer *p = arg;
    if (!p->config->embedded) {
        return pn_fail(err, PN_E_DENIED, "this peer ends by SIGTERM, not by a command");
    }
    leave(p);
    return PN_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void tell_ready(struct peer *p)
{
    char text[ADDR_TEXT_BYTES] = "nowhere";
    if (p->config->embedded) {
        int fd = p->config->ready_fd >= 0 ? p->config->ready_fd : STDOUT_FILENO;
        ssize_t written = write(fd, "ready\n", 6);
        (void)written;
        return;
    }
    if (p->listening.family != ADDR_NONE) {
        (void)addr_text(&p->listening, text);
    }
    (void)printf("preon peer: listening on %s\n", text);
    (void)fflush(stdout);
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    if (s->tier != SANDBOX_FULL) {
        log_write(LOG_WARN, "peer", "sandbox: %s: %s; %s", tier_name(s->tier), s->reason,
                  s->remedy);
    }
}

static void fail(struct peer *p, enum pn_status status)
{
    p->status = status;
    uv_stop(&p->loop);
}

/* Clients may come, when the answers of earlier runs can be told; but not late for that. */
static void open_control(struct peer *p)
{
    if (!leads_described(p->leads) && clock_now_ms() - p->opened_ms < DESCRIBE_WITHIN_MS) {
        (void)uv_timer_start(&p->poll, on_poll, DESCRIBE_POLL_MS, DESCRIBE_POLL_MS);
        return;
    }
    (void)uv_timer_start(&p->poll, on_poll, POLL_MS, POLL_MS);
    enum pn_status status =
        control_start(&p->loop, p->config->data_dir, &DESK_OPS, p->desk, &p->control, &p->err);
    if (status != PN_OK) {
        fail(p, status);
        return;
    }
    tell_ready(p);
    peer_refresh_soon(p);
}

/* The sandbox's tier is known: runs go on, clients and trackers may come. */
static void open_for_business(struct peer *p)
{
    p->open = true;
    p->opened_ms = clock_now_ms();
    leads_resume_all(p->leads);
    open_control(p);
}

static void tell_hello(struct peer *p)
{
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    struct hello h = {
        .version = HELLO_VERSION,
        .roles = HELLO_WORKER | HELLO_MASTER,
        .tier = (uint8_t)s->tier,
        .slots = (uint16_t)p->config->slot_count,
        .port = p->listening.port,
    };
#if defined(__x86_64__)
    (void)snprintf(h.machine_class, sizeof h.machine_class, "x86_64");
#elif defined(__aarch64__)
    (void)snprintf(h.machine_class, sizeof h.machine_class, "aarch64");
#else
    (void)snprintf(h.machine_class, sizeof h.machine_class, "other");
#endif
    const struct job_program *program;
    for (size_t i = 0; (program = job_program_at(i)) != NULL && i < HELLO_PROGRAMS_MAX; i++) {
        char name[JOB_PROGRAM_NAME_BYTES];
        job_program_name(program, name);
        (void)snprintf(h.programs[h.program_count++], sizeof h.programs[0], "%s", name);
    }
    link_context_set_hello(p->context, &h);
}

static void on_sandbox_state(void *arg, const struct sandbox_state *state)
{
    struct peer *p = arg;
    if (p->labour == NULL || p->leaving) {
        return;
    }
    labour_sandbox_changed(p->labour);
    if (state->ready) {
        tell_hello(p);
        hiring_tier_changed(p->hiring);
        if (!p->open) {
            open_for_business(p);
        }
        peer_refresh_soon(p);
    }
}

static enum pn_status open_sandbox(struct peer *p)
{
    char scratch[STORE_PATH_MAX];
    p->caps = caps_of_machine(sandbox_ram_bytes());
    p->budget_bytes = caps_budget(sandbox_ram_bytes());
    (void)snprintf(scratch, sizeof scratch, "%s/scratch", p->config->data_dir);
    /* What a life of ours that was cut short has left; the folder's lock says that it is over. */
    collect_discard(open(scratch, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (mkdir(scratch, 0700) != 0 && access(scratch, W_OK) != 0) {
        return pn_fail(&p->err, PN_E_SYSTEM, "%s: cannot be made", scratch);
    }
    const struct sandbox_options options = {
        .launcher_path = p->launcher,
        .tier_most = SANDBOX_FULL,
        .slot_count = p->config->slot_count > 0 ? p->config->slot_count : 1,
        .normal_priority = p->config->embedded || p->config->normal_priority,
        .scratch_path = scratch,
        .caps =
            LIMITS_MAX, /* strangers' jobs are held to p->caps by consent; ours ask as we like */
        .budget_bytes = p->budget_bytes,
    };
    return sandbox_new(&p->loop, &options, on_sandbox_state, p, &p->sandbox, &p->err);
}

static enum pn_status open_labour(struct peer *p)
{
    const struct peer_config *c = p->config;
    struct labour_config labour = {
        .loop = &p->loop,
        .store = p->store,
        .transfer = p->transfer,
        .ports = p->ports,
        .sandbox = p->sandbox,
        .key = p->key,
        .peer_id = *link_context_peer_id(p->context),
        .wishes = {.program_count = c->program_count,
                   .owner_count = c->owner_count,
                   .caps = p->caps,
                   .tier_reason = "",
                   .has_program = peer_has_program},
        .slots = (uint16_t)c->slot_count,
        .budget_bytes = p->budget_bytes,
        .program_dir = p->program_dir,
        .on_files = peer_on_files,
        .on_lost = peer_on_lost,
        .leads = peer_leads_job,
        .on_change = peer_on_labour_change,
        .arg = p,
    };
    static const enum consent_jobs jobs[] = {[PEER_JOBS_OWN_PROGRAMS] = CONSENT_OWN_PROGRAMS,
                                             [PEER_JOBS_ANY] = CONSENT_ANY,
                                             [PEER_JOBS_NAMED] = CONSENT_NAMED};
    labour.wishes.jobs = jobs[c->jobs];
    memcpy(labour.wishes.programs, c->programs, sizeof c->programs);
    memcpy(labour.wishes.owners, c->owners, sizeof c->owners);
    return labour_new(&labour, &p->labour, &p->err);
}

/*
 * The same for ever, so that what a tracker has found out outlives our restart; and nobody who has
 * not dialled us knows it.
 */
static uint64_t listener_token(const struct key_pair *key)
{
    static const char TEXT[] = "preon-proof-1";
    struct signature signature;
    struct digest digest;
    uint64_t token = 0;
    if (key_sign(key, (struct pn_bytes){(const uint8_t *)TEXT, sizeof TEXT}, &signature) == PN_OK) {
        hash_sha256((struct pn_bytes){signature.b, sizeof signature.b}, &digest);
        memcpy(&token, digest.b, sizeof token);
    }
    return token != 0 ? token : 1;
}

static enum pn_status open_ports(struct peer *p)
{
    const struct ports_hooks hooks = {.on_up = peer_on_up,
                                      .on_frame = peer_on_frame,
                                      .on_drain = peer_on_drain,
                                      .on_down = peer_on_down,
                                      .on_lan = peer_on_lan,
                                      .arg = p};
    enum pn_status status = link_context_new(p->key, &p->context, &p->err);
    if (status != PN_OK) {
        return status;
    }
    p->ports = ports_new(&p->loop, p->context, &hooks);
    if (p->ports == NULL || ports_own(p->ports, &p->worker_end, &p->master_end) != PN_OK) {
        return pn_fail(&p->err, PN_E_NO_MEMORY, "out of memory");
    }
    if (!p->config->listen) {
        return PN_OK;
    }
    struct addr at = addr_v4(0, 0, 0, 0, p->config->port);
    if (p->config->host != NULL && !addr_parse_ip(pn_bytes_str(p->config->host), &at)) {
        return pn_fail(&p->err, PN_E_RANGE, "--host %s: not an IP address", p->config->host);
    }
    at.port = p->config->port;
    p->proof = listener_token(p->key);
    return ports_listen(p->ports, &at, p->proof, &p->listening, &p->err);
}

static enum pn_status open_rooms(struct peer *p)
{
    const struct peer_config *c = p->config;
    enum pn_status status = store_open(c->data_dir, &p->store, &p->err);
    if (status == PN_OK) {
        status = key_file_open(c->data_dir, "peer.key", &p->key, &p->err);
    }
    if (status == PN_OK) {
        status = open_ports(p);
    }
    if (status == PN_OK) {
        const struct transfer_hooks hooks = {.may_read = peer_may_read,
                                             .on_pressure = peer_on_pressure,
                                             .others = peer_others,
                                             .named = peer_on_named,
                                             .arg = p};
        status = transfer_new(&p->loop, p->store, &hooks, &p->transfer, &p->err);
    }
    if (status == PN_OK) {
        const struct leads_config leads = {
            .loop = &p->loop,
            .store = p->store,
            .transfer = p->transfer,
            .ports = p->ports,
            .key = p->key,
            .peer_id = *link_context_peer_id(p->context),
            .own_can_run = peer_own_can_run,
            .lends = c->slot_count > 0,
            .on_own_wanted = peer_on_own_wanted,
            .on_change = peer_on_job_change,
            .on_pressure = peer_on_ledger_pressure,
            .on_demand = peer_on_labour_change,
            .arg = p,
        };
        status = leads_new(&leads, &p->leads, &p->err);
    }
    if (status == PN_OK) {
        status = open_sandbox(p);
    }
    if (status == PN_OK) {
        const struct mates_config mates = {&p->loop, p->ports, p->transfer,
                                           *link_context_peer_id(p->context)};
        p->mates = mates_new(&mates);
        status =
            p->mates != NULL ? open_labour(p) : pn_fail(&p->err, PN_E_NO_MEMORY, "out of memory");
    }
    if (status == PN_OK) {
        const struct desk_config desk = {&p->loop,         p->store,       p->leads,
                                         peer_tell_status, shutdown_order, p};
        p->desk = desk_new(&desk);
        const struct trackers_callbacks callbacks = {peer_on_hire, peer_on_peers};
        status = p->desk == NULL ? pn_fail(&p->err, PN_E_NO_MEMORY, "out of memory")
                                 : trackers_open(&p->loop, c->trackers, c->tracker_count, p->proof,
                                                 &callbacks, p, &p->trackers, &p->err);
    }
    if (status == PN_OK) {
        const struct hiring_config hiring = {p->trackers, p->leads, p->labour, p->sandbox,
                                             p->listening.port};
        mates_set_trackers(p->mates, p->trackers, p->listening.port);
        p->hiring = hiring_new(&hiring);
        status = p->hiring != NULL ? PN_OK : pn_fail(&p->err, PN_E_NO_MEMORY, "out of memory");
    }
    return status;
}

/* --- closing ---------------------------------------------------------------------------------- */

static void leave(struct peer *p)
{
    if (p->leaving) {
        return;
    }
    p->leaving = true;
    p->leaving_since_ms = clock_now_ms();
    labour_leave(p->labour);
    if (p->config->embedded) {
        leads_stop_all(p->leads); /* `preon job resume` goes on */
    }
    (void)uv_timer_start(&p->poll, on_poll, 20, 20);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct peer *p = handle->data;
    log_write(LOG_INFO, "peer", "signal %d: giving work back", number);
    leave(p);
}

static void on_part_closed(void *arg) { (void)arg; }

static void close_handle(uv_handle_t *h)
{
    if (!uv_is_closing(h)) {
        uv_close(h, NULL);
    }
}

/* Rooms end in the reverse order of who uses whom; the loop then runs until nothing is left. */
static void close_rooms(struct peer *p)
{
    p->leaving = true;
    control_stop(p->control, on_part_closed, p);
    trackers_close(p->trackers);
    sandbox_close(p->sandbox);
    if (p->labour != NULL) {
        labour_free(p->labour, on_part_closed, p);
    }
    if (p->leads != NULL) {
        leads_free(p->leads, on_part_closed, p);
    }
    transfer_free(p->transfer);
    mates_free(p->mates);
    if (p->desk != NULL) {
        desk_free(p->desk, on_part_closed, p);
    }
    if (p->ports != NULL) {
        ports_close(p->ports, on_part_closed, p);
    }
    for (int i = 0; i < 2; i++) {
        close_handle((uv_handle_t *)&p->signals[i]);
    }
    close_handle((uv_handle_t *)&p->refresh);
    close_handle((uv_handle_t *)&p->poll);
    (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&p->loop) != 0) {
        log_write(LOG_WARN, "peer", "a handle was left open");
    }
    store_close(p->store);
    link_context_free(p->context);
    key_pair_free(p->key);
    hiring_free(p->hiring);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void prepare_process(const struct peer_config *config)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)umask(077);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char threads[16];
    (void)snprintf(threads, sizeof threads, "%ld",
                   cores < POOL_THREADS_MIN ? POOL_THREADS_MIN : cores);
    (void)setenv("UV_THREADPOOL_SIZE", threads, 0);
    if (config->embedded) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* the command is gone: so are we */
    }
}

/*
 * Opens what this process must reach later under a name that lasts: the user it becomes may not be
 * able to look into the folder where Preon was built.
 */
static enum pn_status hold(const char *path, int flags, char held[PEER_HELD_PATH_BYTES],
                           struct pn_err *err)
{
    int low = open(path, flags | O_CLOEXEC);
    /* Out of the way of the low numbers that a child's own descriptors take. */
    int fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, HELD_FD_MIN) : -1;
    if (fd < 0) {
        return pn_fail(err, PN_E_SYSTEM, "%s: %s", path, strerror(errno));
    }
    (void)close(low);
    (void)snprintf(held, PEER_HELD_PATH_BYTES, "/proc/self/fd/%d", fd);
    return PN_OK;
}

enum pn_status peer_run(const struct peer_config *config, struct pn_err *err)
{
    struct peer *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status = hold(config->launcher, O_RDONLY, p->launcher, err);
    if (status == PN_OK) {
        status = hold(config->program_dir, O_RDONLY | O_DIRECTORY, p->program_dir, err);
    }
    if (status == PN_OK) {
        status = user_settle(config->data_dir, config->user, err);
    }
    if (status == PN_OK && uv_loop_init(&p->loop) != 0) {
        status = pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    if (status != PN_OK) {
        free(p);
        return status;
    }
    prepare_process(config);
    p->config = config;
    p->started_ms = clock_now_ms();
    p->idle_since_ms = p->started_ms;
    static const int numbers[2] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        (void)uv_signal_init(&p->loop, &p->signals[i]);
        p->signals[i].data = p;
    }
    (void)uv_timer_init(&p->loop, &p->refresh);
    (void)uv_timer_init(&p->loop, &p->poll);
    p->refresh.data = p;
    p->poll.data = p;
    p->status = open_rooms(p);
    if (p->status == PN_OK) {
        for (int i = 0; i < 2; i++) {
            (void)uv_signal_start(&p->signals[i], on_signal, numbers[i]);
        }
        (void)uv_timer_start(&p->poll, on_poll, POLL_MS, POLL_MS);
        (void)uv_run(&p->loop, UV_RUN_DEFAULT);
    }
    close_rooms(p);
    status = p->status;
    if (status != PN_OK && err != NULL) {
        *err = p->err;
    }
    free(p);
    return status;
}
