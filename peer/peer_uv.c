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
#include "peer/desk_uv.h"
#include "peer/hiring_uv.h"
#include "peer/mates_uv.h"
#include "peer/peer.h"
#include "peer/tracker_client_uv.h"
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
    HELD_PATH_BYTES = 32,
    HELD_FD_MIN = 64,
};

struct peer {
    const struct peer_config *config;
    uv_loop_t loop;
    struct store *store;
    struct key_pair *key;
    struct link_context *context;
    struct ports *ports;
    struct port *worker_end;
    struct port *master_end;
    struct addr listening;
    uint64_t proof; /* the token of our listener; 0: there is none */
    struct sandbox *sandbox;
    struct transfer *transfer;
    struct labour *labour;
    struct leads *leads;
    struct desk *desk;
    struct control *control;
    struct trackers *trackers;
    struct mates *mates;
    struct hiring *hiring;
    char launcher[HELD_PATH_BYTES];
    char program_dir[HELD_PATH_BYTES];
    bool open; /* for business: everything above is there */
    bool leaving;
    uint64_t leaving_since_ms;
    uint64_t started_ms;
    uint64_t opened_ms;
    uint64_t idle_since_ms; /* to the second: when it was last seen at work, or started */
    uv_signal_t signals[2];
    uv_timer_t refresh;
    uint64_t refreshed_ms;
    uv_timer_t poll;
    enum pn_status status;
    struct pn_err err;
};

static void leave(struct peer *p);
static void open_control(struct peer *p);

/* --- what the rooms ask of each other --------------------------------------------------------- */

static bool has_program(const char *name) { return job_program_find(name) != NULL; }

static bool own_can_run(void *arg, const struct manifest *m)
{
    const struct peer *p = arg;
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    return s->tier == SANDBOX_FULL ||
           (s->tier == SANDBOX_REDUCED && m->program_kind == PROGRAM_OWN);
}

static bool may_read(void *arg, const struct port *port, const struct file_set *set)
{
    const struct peer *p = arg;
    if (set->kind == SET_OF_JOB) {
        return leads_knows_job(p->leads, &set->job) || labour_works_on(p->labour, &set->job);
    }
    return labour_may_read(p->labour, port, set) || leads_output_final(p->leads, set);
}

static void on_pressure(void *arg, bool stop_reading)
{
    const struct peer *p = arg;
    ports_pause(p->ports, stop_reading);
}

static bool on_own_wanted(void *arg, const struct digest *job)
{
    struct peer *p = arg;
    struct pn_err err;
    return labour_engage(p->labour, p->worker_end, job, &err) != PN_E_FULL;
}

static void refresh_soon(struct peer *p);

static void on_job_change(void *arg, const struct digest *job)
{
    struct peer *p = arg;
    if (p->control != NULL) {
        control_job_changed(p->control, job);
    }
    refresh_soon(p);
}

static void on_labour_change(void *arg) { refresh_soon(arg); }

static bool leads_job(void *arg, const struct digest *job)
{
    const struct peer *p = arg;
    return leads_knows_job(p->leads, job);
}

/* --- frames and ports ------------------------------------------------------------------------- */

static void on_up(void *arg, struct port *port, const struct hello *hello, uint64_t tag)
{
    const struct peer *p = arg;
    (void)hello;
    if ((tag & MATES_TAG_BIT) != 0) {
        mates_up(p->mates, port, tag);
    } else if (tag != 0) {
        labour_up(p->labour, port, tag);
    }
}

static void on_down(void *arg, struct port *port, bool was_up, uint64_t tag, const char *reason)
{
    struct peer *p = arg;
    char text[ADDR_TEXT_BYTES];
    log_write(LOG_DEBUG, "peer", "link %s %s: %s", addr_text(&port->remote, text),
              was_up ? "closed" : "failed", reason);
    transfer_port_closed(p->transfer, port);
    if ((tag & MATES_TAG_BIT) != 0) {
        mates_down(p->mates, tag);
        return;
    }
    labour_down(p->labour, port, was_up, tag);
    leads_port_down(p->leads, port);
}

static void on_drain(void *arg, struct port *port)
{
    const struct peer *p = arg;
    transfer_port_drained(p->transfer, port);
}

static enum pn_status on_frame(void *arg, struct port *port, const struct frame *f,
                               struct pn_err *err)
{
    const struct peer *p = arg;
    bool answer = (f->flags & FRAME_ANSWER) != 0;
    if (f->type >= FRAME_MANIFEST ||
        (f->type == FRAME_ERROR && (f->request & TRANSFER_REQUEST_BIT) != 0)) {
        return transfer_frame(p->transfer, port, f, err);
    }
    switch (f->type) {
    case FRAME_JOIN:
    case FRAME_ENLIST:
    case FRAME_VOTE:
        return answer ? labour_frame(p->labour, port, f, err) : leads_frame(p->leads, port, f, err);
    case FRAME_OFFER:
        return answer ? leads_hire_frame(p->leads, port, f, err)
                      : labour_frame(p->labour, port, f, err);
    case FRAME_IDLE:
    case FRAME_LEAVE:
        return leads_hire_frame(p->leads, port, f, err);
    case FRAME_STARTED:
    case FRAME_PROGRESS:
    case FRAME_GIVE_UP:
        return leads_frame(p->leads, port, f, err);
    case FRAME_ASSIGN:
    case FRAME_CANCEL:
    case FRAME_RELEASE:
    case FRAME_ENDED:
    case FRAME_ERROR:
        return labour_frame(p->labour, port, f, err);
    default:
        return PN_OK; /* of a later version, and not critical: the session lets no others through */
    }
}

/* --- trackers --------------------------------------------------------------------------------- */

static bool on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    struct peer *p = arg;
    char text[ADDR_TEXT_BYTES];
    struct pn_err err;
    if (p->leaving || leads_knows_job(p->leads, job)) {
        return false;
    }
    if (!addr_may_dial(master, p->config->lan || trackers_on_lan(p->trackers))) {
        log_write(LOG_WARN, "peer", "hired to %s: not an address to dial", addr_text(master, text));
        return false;
    }
    if (labour_hire(p->labour, job, master, &err) != PN_OK) {
        return false;
    }
    hiring_taken(p->hiring);
    refresh_soon(p);
    return true;
}

/* Who serves a job: sources of its blocks, and perhaps a master that was lost. */
static void on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count)
{
    const struct peer *p = arg;
    bool lan = p->config->lan || trackers_on_lan(p->trackers);
    mates_found(p->mates, job, peers, count, lan);
    for (size_t i = 0; i < count && !p->leaving; i++) {
        if (addr_may_dial(&peers[i], lan)) {
            labour_found(p->labour, job, &peers[i]);
        }
    }
}

static void on_lost(void *arg, const struct digest *job)
{
    const struct peer *p = arg;
    (void)trackers_query(p->trackers, job); /* full: the next dial in vain asks again */
}

static void on_files(void *arg, const struct digest *job, bool wanted)
{
    const struct peer *p = arg;
    if (!p->leaving) {
        mates_want(p->mates, job, wanted);
    }
}

static void on_refresh(uv_timer_t *timer)
{
    struct peer *p = timer->data;
    p->refreshed_ms = clock_now_ms();
    if (p->open && !p->leaving) {
        leads_own_has_room(p->leads);
        hiring_refresh(p->hiring);
        hiring_tell_waiting(p->hiring);
    }
}

static void refresh_soon(struct peer *p)
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
        hiring_tell_waiting(p->hiring);
    }
}

/* --- control ---------------------------------------------------------------------------------- */

static void fill_trackers(const struct peer *p, struct peer_status *out)
{
    for (uint32_t i = 0; i < p->config->tracker_count && i < TRACKERS_SHOWN_MAX; i++) {
        struct tracker_status *t = &out->trackers[out->tracker_count++];
        struct tracker_why why;
        (void)snprintf(t->name, sizeof t->name, "%s", p->config->trackers[i].name);
        trackers_why(p->trackers, i, NULL, &why);
        t->connected = why.cause[0] == '\0';
        t->since_ms = why.for_ms;
        (void)snprintf(t->trouble, sizeof t->trouble, "%s%s%s", why.cause,
                       why.remedy[0] != '\0' ? "; " : "", why.remedy);
    }
}

/* A peer that has slots and works for nobody: since when, and what would change it. */
static void fill_waiting(const struct peer *p, struct waiting *out)
{
    struct tracker_why why = {.for_ms = 0};
    const uint64_t idle_ms = clock_now_ms() - p->idle_since_ms;
    if (p->config->tracker_count > 0) {
        trackers_why(p->trackers, trackers_best(p->trackers), NULL, &why);
    }
    *out = (struct waiting){.waits = true, .for_ms = idle_ms < why.for_ms ? idle_ms : why.for_ms};
    if (p->config->tracker_count == 0) {
        (void)snprintf(out->cause, sizeof out->cause, "no tracker is set");
        (void)snprintf(out->remedy, sizeof out->remedy, "give --tracker HOST:PORT");
    } else if (why.cause[0] != '\0') {
        (void)snprintf(out->cause, sizeof out->cause, "%s", why.cause);
        (void)snprintf(out->remedy, sizeof out->remedy, "%s", why.remedy);
    } else {
        (void)snprintf(out->cause, sizeof out->cause,
                       "no master at the tracker wants this peer's slots");
        (void)snprintf(out->remedy, sizeof out->remedy,
                       "it works as soon as somebody there creates a job");
    }
}

static void peer_status(void *arg, struct peer_status *out)
{
    const struct peer *p = arg;
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    struct worker_stats stats;
    struct transfer_counts counts;
    labour_stats(p->labour, &stats);
    transfer_counts(p->transfer, &counts);
    *out = (struct peer_status){
        .id = *link_context_peer_id(p->context),
        .pid = (uint64_t)getpid(),
        .embedded = p->config->embedded,
        .listening = p->listening,
        .slot_count = p->config->slot_count,
        .slots_busy = stats.running_count,
        .link_count = ports_count(p->ports),
        .bytes_sent = counts.bytes_sent,
        .bytes_received = counts.bytes_received,
        .jobs_mastered = leads_running(p->leads),
        .jobs_worked_on = stats.engagement_count,
        .up_ms = clock_now_ms() - p->started_ms,
    };
    (void)snprintf(out->tier, sizeof out->tier, "%s", tier_name(s->tier));
    (void)snprintf(out->tier_reason, sizeof out->tier_reason, "%s", s->reason);
    (void)snprintf(out->tier_remedy, sizeof out->tier_remedy, "%s", s->remedy);
    fill_trackers(p, out);
    if (stats.engagement_count == 0 && p->config->slot_count > 0) {
        fill_waiting(p, &out->waiting);
    }
}

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
    refresh_soon(p);
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
        refresh_soon(p);
    }
}

static enum pn_status open_sandbox(struct peer *p)
{
    char scratch[STORE_PATH_MAX];
    (void)snprintf(scratch, sizeof scratch, "%s/scratch", p->config->data_dir);
    if (mkdir(scratch, 0700) != 0 && access(scratch, W_OK) != 0) {
        return pn_fail(&p->err, PN_E_SYSTEM, "%s: cannot be made", scratch);
    }
    const struct sandbox_options options = {
        .launcher_path = p->launcher,
        .tier_most = SANDBOX_FULL,
        .slot_count = p->config->slot_count > 0 ? p->config->slot_count : 1,
        .normal_priority = p->config->embedded,
        .scratch_path = scratch,
        .caps = LIMITS_MAX,
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
                   .tier_reason = "",
                   .has_program = has_program},
        .slots = (uint16_t)c->slot_count,
        .program_dir = p->program_dir,
        .on_files = on_files,
        .on_lost = on_lost,
        .leads = leads_job,
        .on_change = on_labour_change,
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
    const struct ports_hooks hooks = {on_up, on_frame, on_drain, on_down, p};
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
        const struct transfer_hooks hooks = {
            .may_read = may_read, .on_pressure = on_pressure, .arg = p};
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
            .own_can_run = own_can_run,
            .lends = c->slot_count > 0,
            .on_own_wanted = on_own_wanted,
            .on_change = on_job_change,
            .on_demand = on_labour_change,
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
        const struct desk_config desk = {&p->loop,    p->store,       p->leads,
                                         peer_status, shutdown_order, p};
        p->desk = desk_new(&desk);
        const struct trackers_callbacks callbacks = {on_hire, on_peers};
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
static enum pn_status hold(const char *path, int flags, char held[HELD_PATH_BYTES],
                           struct pn_err *err)
{
    int low = open(path, flags | O_CLOEXEC);
    /* Out of the way of the low numbers that a child's own descriptors take. */
    int fd = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, HELD_FD_MIN) : -1;
    if (fd < 0) {
        return pn_fail(err, PN_E_SYSTEM, "%s: %s", path, strerror(errno));
    }
    (void)close(low);
    (void)snprintf(held, HELD_PATH_BYTES, "/proc/self/fd/%d", fd);
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
