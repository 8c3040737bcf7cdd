#include "peer/sandbox/sandbox_uv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log_sys.h"
#include "peer/sandbox/bind_sys.h"
#include "peer/sandbox/caps.h"
#include "peer/sandbox/channel_sys.h"
#include "peer/sandbox/collect_sys.h"
#include "peer/sandbox/environment.h"
#include "peer/sandbox/order.h"
#include "peer/sandbox/report.h"
#include "peer/sandbox/share_uv.h"
#include "peer/sandbox/slice_run_uv.h"

enum {
    RESTART_LEAST_MS = 100,
    RESTART_MOST_MS = 30 * 1000,
    RESTART_CALM_MS = 60 * 1000, /* a launcher that lived this long starts the pauses anew */
    LAUNCHER_SOCKET = 3,         /* its descriptor there: after /dev/null three times */
    PATH_BYTES = 4096,
};

/* One life of the launcher process; freed when its handles are closed. */
struct launcher {
    struct sandbox *sandbox; /* NULL once the sandbox has let go of it */
    uv_process_t process;
    uv_poll_t poll;
    int socket;
    int handles_open;
    uint64_t started_ms;
};

struct sandbox {
    uv_loop_t *loop;
    struct sandbox_options options;
    char launcher_path[PATH_BYTES];
    char scratch_path[PATH_BYTES];
    sandbox_on_state on_state;
    void *arg;
    struct sandbox_state state;
    struct launcher *launcher; /* NULL: being started again */
    int root_fd;               /* of the launcher, to bind files beneath; -1 unless tier full */
    uv_timer_t restart;
    struct share share;
    int handles_open; /* of the two above */
    uint64_t restart_ms;
    struct slice_run *runs;
    uint32_t run_count;
    uint64_t weight; /* of all runs */
    uint32_t next_id;
    /* scratch of sandbox_run */
    struct environment environment;
    struct order_file files[ORDER_FILES_MAX];
    uint8_t packet[ORDER_BYTES_MAX];
};

static void start_launcher(struct sandbox *s);

/* ---- runs ---- */

static void take_off_list(struct sandbox *s, struct slice_run *run)
{
    struct slice_run **at = &s->runs;
    while (*at != run) {
        at = &(*at)->next;
    }
    *at = run->next;
    s->run_count--;
    s->weight -= run->weight;
}

/* A slice that is to end is given the time to do it. */
static void set_share(struct sandbox *s)
{
    const struct slice_run *run = s->runs;
    while (run != NULL && !(run->killed && !run->has_report)) {
        run = run->next;
    }
    share_hurry(&s->share, run != NULL);
}

static void on_over(struct sandbox *s, struct slice_run *run)
{
    take_off_list(s, run);
    set_share(s);
    slice_run_finish(run);
}

static struct slice_run *find_run(struct sandbox *s, uint32_t id)
{
    struct slice_run *run = s->runs;
    while (run != NULL && run->id != id) {
        run = run->next;
    }
    return run;
}

static void on_socket(uv_poll_t *poll, int status, int events);

/* Orders that did not fit wait, and we read on: the launcher may not get rid of its reports. */
static void wait_for_room(struct sandbox *s)
{
    (void)uv_poll_start(&s->launcher->poll, UV_READABLE | UV_WRITABLE, on_socket);
}

/* The launcher has never heard of it. on_end comes when its streams have ended. */
static void end_unsent(struct slice_run *run, int code, const char *text)
{
    struct report r = {.kind = REPORT_ENDED};
    r.ended.outcome = (struct outcome){OUTCOME_NO_START, code};
    (void)snprintf(r.ended.text, sizeof r.ended.text, "%s", text);
    slice_run_report(run, &r, -1);
}

static void kill_run(struct sandbox *s, struct slice_run *run)
{
    struct order o = {.kind = ORDER_KILL, .id = run->id};
    size_t len = 0;
    run->kill_wanted = false;
    if (run->parcel != NULL) {
        end_unsent(run, OUTCOME_NO_START_KILLED, "");
        return;
    }
    if (s->launcher == NULL || order_write(&o, s->packet, &len, NULL) != PN_OK) {
        return; /* the launcher's death has ended it */
    }
    run->killed = true;
    set_share(s); /* before the order: the launcher itself may be waiting for a processor */
    if (channel_send(s->launcher->socket, (struct pn_bytes){s->packet, len}, NULL, 0, NULL) ==
        PN_E_BUSY) {
        run->kill_wanted = true;
        wait_for_room(s);
    }
}

static void send_waiting(struct sandbox *s)
{
    for (struct slice_run *run = s->runs; run != NULL; run = run->next) {
        if (run->kill_wanted) {
            kill_run(s, run);
        } else if (run->parcel != NULL) {
            struct pn_err err;
            enum pn_status status = parcel_send(run->parcel, s->launcher->socket, &err);
            if (status == PN_E_BUSY) {
                wait_for_room(s);
                return;
            }
            if (status != PN_OK) {
                end_unsent(run, OUTCOME_NO_START_SETUP, err.text);
            }
            parcel_free(run->parcel);
            run->parcel = NULL;
        }
    }
}

/* ---- the launcher's life ---- */

static void on_launcher_handle_closed(uv_handle_t *h)
{
    struct launcher *l = h->data;
    if (--l->handles_open == 0) {
        (void)close(l->socket);
        free(l);
    }
}

static void set_state(struct sandbox *s, const struct report *ready)
{
    s->state = (struct sandbox_state){.ready = ready != NULL};
    if (ready != NULL) {
        s->state.tier = ready->ready.tier;
        s->state.uid = ready->ready.uid;
        (void)snprintf(s->state.reason, sizeof s->state.reason, "%s", ready->ready.reason);
        (void)snprintf(s->state.remedy, sizeof s->state.remedy, "%s", ready->ready.remedy);
    }
    s->on_state(s->arg, &s->state);
}

/*
 * Everything that the launcher ran died with it; a run ends when its streams do. A callback may
 * close the sandbox, which empties the list.
 */
static void fail_runs(struct sandbox *s)
{
    struct report r = {.kind = REPORT_ENDED};
    r.ended.outcome = (struct outcome){OUTCOME_NO_START, OUTCOME_NO_START_SETUP};
    (void)snprintf(r.ended.text, sizeof r.ended.text, "the launcher died");
    for (struct slice_run *run = s->runs; run != NULL;) {
        if (run->has_report) {
            run = run->next;
            continue;
        }
        slice_run_report(run, &r, -1); /* may take it, and others, off the list */
        run = s->runs;
    }
}

static void on_restart(uv_timer_t *timer) { start_launcher(timer->data); }

static void schedule_restart(struct sandbox *s)
{
    (void)uv_timer_start(&s->restart, on_restart, s->restart_ms, 0);
    s->restart_ms = s->restart_ms * 2 < RESTART_MOST_MS ? s->restart_ms * 2 : RESTART_MOST_MS;
}

static void close_poll(struct launcher *l)
{
    if (!uv_is_closing((uv_handle_t *)&l->poll)) {
        uv_close((uv_handle_t *)&l->poll, on_launcher_handle_closed);
    }
}

static void on_exit_launcher(uv_process_t *process, int64_t code, int signal)
{
    struct launcher *l = process->data;
    struct sandbox *s = l->sandbox;
    uv_close((uv_handle_t *)&l->process, on_launcher_handle_closed);
    close_poll(l);
    if (s == NULL) {
        return; /* sandbox_close waited for this */
    }
    log_write(LOG_ERROR, "sandbox", "the launcher ended (exit %" PRId64 ", signal %d)", code,
              signal);
    s->launcher = NULL;
    share_end(&s->share);
    if (s->root_fd >= 0) {
        (void)close(s->root_fd);
        s->root_fd = -1;
    }
    if (uv_now(s->loop) - l->started_ms > RESTART_CALM_MS) {
        s->restart_ms = RESTART_LEAST_MS;
    }
    schedule_restart(s);
    set_state(s, NULL);
    fail_runs(s);
}

static void take_report(struct sandbox *s, struct pn_bytes packet, int passed)
{
    struct report r;
    struct pn_err err;
    struct slice_run *run = NULL;
    if (report_parse(packet, &r, &err) != PN_OK) {
        log_write(LOG_ERROR, "sandbox", "%s", err.text);
        collect_discard(passed);
        return;
    }
    switch (r.kind) {
    case REPORT_READY:
        s->root_fd = passed;
        set_state(s, &r);
        return;
    case REPORT_ENDED:
        run = find_run(s, r.ended.id);
        if (run == NULL) {
            collect_discard(passed);
        } else {
            slice_run_report(run, &r, passed);
        }
        return;
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct launcher *l = poll->data;
    (void)status; /* an error shows again when reading */
    if ((events & UV_WRITABLE) != 0 && l->sandbox != NULL) {
        (void)uv_poll_start(poll, UV_READABLE, on_socket);
        send_waiting(l->sandbox);
    }
    while (l->sandbox != NULL) {
        uint8_t room[REPORT_BYTES_MAX];
        struct pn_bytes packet;
        int passed = -1;
        enum pn_status got = channel_receive(l->socket, room, sizeof room, &packet, &passed, NULL);
        if (got == PN_OK) {
            take_report(l->sandbox, packet, passed);
            continue;
        }
        if (got == PN_E_CLOSED) {
            (void)uv_poll_stop(poll); /* on_exit_launcher follows */
        }
        return;
    }
}

static int spawn(struct sandbox *s, struct launcher *l, int launchers_end)
{
    char uid[16];
    char gid[16];
    char fd[16];
    char tier[16];
    char *const args[] = {s->launcher_path, fd, tier, uid, gid, NULL};
    char *const env[] = {NULL};
    uv_stdio_container_t stdio[LAUNCHER_SOCKET + 1] = {
        {.flags = UV_IGNORE}, {.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    stdio[LAUNCHER_SOCKET].flags = UV_INHERIT_FD;
    stdio[LAUNCHER_SOCKET].data.fd = launchers_end;
    (void)snprintf(fd, sizeof fd, "%d", LAUNCHER_SOCKET);
    (void)snprintf(tier, sizeof tier, "%s", tier_name(s->options.tier_most));
    (void)snprintf(uid, sizeof uid, "%u", s->options.uid);
    (void)snprintf(gid, sizeof gid, "%u", s->options.gid);
    uv_process_options_t options = {
        .exit_cb = on_exit_launcher,
        .file = s->launcher_path,
        .args = (char **)args,
        .env = (char **)env,
        .cwd = "/",
        /* Ctrl-C at the terminal is for the daemon, which then ends its slices in order. */
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = LAUNCHER_SOCKET + 1,
        .stdio = stdio,
    };
    return uv_spawn(s->loop, &l->process, &options);
}

/* Later failures are tried again; each is logged. */
static void start_launcher(struct sandbox *s)
{
    struct pn_err err = {.text = "out of memory"};
    int launchers_end = -1;
    int rc = 0;
    struct launcher *l = calloc(1, sizeof *l);
    if (l == NULL || channel_open(&l->socket, &launchers_end, &err) != PN_OK) {
        goto fail;
    }
    l->process.data = l;
    l->poll.data = l;
    l->started_ms = uv_now(s->loop);
    rc = uv_poll_init(s->loop, &l->poll, l->socket);
    if (rc != 0) {
        (void)close(l->socket);
        goto fail;
    }
    l->handles_open = 2;
    rc = spawn(s, l, launchers_end);
    (void)close(launchers_end);
    launchers_end = -1;
    if (rc != 0) {
        uv_close((uv_handle_t *)&l->process, on_launcher_handle_closed);
        close_poll(l);
        l = NULL; /* freed by the callbacks */
        goto fail;
    }
    l->sandbox = s;
    s->launcher = l;
    if (!s->options.normal_priority) {
        share_begin(&s->share, l->process.pid);
    }
    (void)uv_poll_start(&l->poll, UV_READABLE, on_socket);
    return;
fail:
    if (launchers_end >= 0) {
        (void)close(launchers_end);
    }
    free(l);
    log_write(LOG_ERROR, "sandbox", "%s: %s", s->launcher_path,
              rc != 0 ? uv_strerror(rc) : err.text);
    s->state = (struct sandbox_state){.ready = true, .tier = SANDBOX_NONE};
    (void)snprintf(s->state.reason, sizeof s->state.reason, "%.90s: %.90s", s->launcher_path,
                   rc != 0 ? uv_strerror(rc) : err.text);
    (void)snprintf(s->state.remedy, sizeof s->state.remedy,
                   "install the launcher beside the program, in libexec/preon");
    schedule_restart(s);
    s->on_state(s->arg, &s->state);
}

static void on_first_start(uv_timer_t *timer) { start_launcher(timer->data); }

enum pn_status sandbox_new(uv_loop_t *loop, const struct sandbox_options *options,
                           sandbox_on_state on_state, void *arg, struct sandbox **out,
                           struct pn_err *err)
{
    if (options->slot_count == 0 || options->slot_count > SANDBOX_SLOTS_MAX) {
        return pn_fail(err, PN_E_RANGE, "slots: %u; allowed are 1 to %d", options->slot_count,
                       SANDBOX_SLOTS_MAX);
    }
    struct sandbox *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "sandbox: out of memory");
    }
    s->loop = loop;
    s->options = *options;
    s->options.uid = options->uid != 0 ? options->uid : SANDBOX_NOBODY;
    s->options.gid = options->gid != 0 ? options->gid : SANDBOX_NOBODY;
    (void)snprintf(s->launcher_path, sizeof s->launcher_path, "%s", options->launcher_path);
    (void)snprintf(s->scratch_path, sizeof s->scratch_path, "%s",
                   options->scratch_path != NULL ? options->scratch_path : "/tmp");
    s->on_state = on_state;
    s->arg = arg;
    s->root_fd = -1;
    s->restart_ms = RESTART_LEAST_MS;
    (void)uv_timer_init(loop, &s->restart);
    s->restart.data = s;
    share_init(&s->share, loop);
    s->handles_open = 2;
    (void)uv_timer_start(&s->restart, on_first_start, 0, 0); /* so that on_state comes later */
    *out = s;
    return PN_OK;
}

static void on_sandbox_handle_closed(uv_handle_t *h)
{
    struct sandbox *s = h->data;
    if (--s->handles_open == 0) {
        free(s);
    }
}

void sandbox_close(struct sandbox *s)
{
    if (s == NULL || uv_is_closing((uv_handle_t *)&s->restart)) {
        return;
    }
    if (s->launcher != NULL) {
        struct launcher *l = s->launcher;
        l->sandbox = NULL;
        share_hurry(&s->share, true);
        channel_shut(l->socket);                     /* it ends when it sees this ... */
        (void)uv_process_kill(&l->process, SIGKILL); /* ... and at once if we may signal it */
        close_poll(l);
        s->launcher = NULL;
    }
    while (s->runs != NULL) {
        struct slice_run *run = s->runs;
        take_off_list(s, run);
        slice_run_close(run);
    }
    if (s->root_fd >= 0) {
        (void)close(s->root_fd);
        s->root_fd = -1;
    }
    share_end(&s->share);
    s->share.timer.data = s;
    uv_close((uv_handle_t *)&s->share.timer, on_sandbox_handle_closed);
    uv_close((uv_handle_t *)&s->restart, on_sandbox_handle_closed);
}

const struct sandbox_state *sandbox_state(const struct sandbox *s) { return &s->state; }

uint64_t sandbox_ram_bytes(void)
{
    uint64_t total = uv_get_total_memory();
    uint64_t allowed = uv_get_constrained_memory();
    return allowed != 0 && allowed < total ? allowed : total;
}

uint32_t sandbox_running(const struct sandbox *s) { return s->run_count; }

void sandbox_kill(struct sandbox *s, uint32_t id)
{
    struct slice_run *run = find_run(s, id);
    if (run != NULL) {
        kill_run(s, run);
    }
}

/* ---- starting a run ---- */

static enum pn_status check_order(const struct sandbox *s, const struct sandbox_order *order,
                                  struct pn_err *err)
{
    if (!s->state.ready) {
        return pn_fail(err, PN_E_BUSY, "sandbox: the launcher is being started");
    }
    if (s->run_count >= s->options.slot_count) {
        return pn_fail(err, PN_E_BUSY, "sandbox: all %u slots are in use", s->options.slot_count);
    }
    if (s->state.tier == SANDBOX_NONE) {
        return pn_fail(err, PN_E_DENIED, "sandbox: none on this machine: %s", s->state.reason);
    }
    if (s->state.tier == SANDBOX_REDUCED &&
        (order->program != PROGRAM_OWN || order->file_count > 0 || order->system)) {
        return pn_fail(err, PN_E_DENIED,
                       "sandbox: reduced on this machine, so only the peer's own programs run: %s",
                       s->state.reason);
    }
    if (order->file_count > SANDBOX_FILES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "sandbox: %u files, at most %d, or a folder",
                       order->file_count, SANDBOX_FILES_MAX);
    }
    enum pn_status status = caps_check(&order->limits, &s->options.caps, err);
    uint64_t weight = caps_weight(&order->limits, order->program, order->args[0]);
    if (status == PN_OK && s->run_count > 0 && s->options.budget_bytes != 0 &&
        s->weight + weight > s->options.budget_bytes) {
        return pn_fail(err, PN_E_BUSY,
                       "sandbox: what runs may take %" PRIu64 " MiB of memory; %" PRIu64
                       " more would be over this machine's %" PRIu64,
                       s->weight >> 20, weight >> 20, s->options.budget_bytes >> 20);
    }
    return status;
}

static enum pn_status add_folder(struct sandbox *s, uint32_t id, struct parcel *p, int *folder_fd,
                                 struct pn_err *err)
{
    char name[64];
    (void)snprintf(name, sizeof name, "preon-slice-%ld-%u", (long)getpid(), id);
    enum pn_status status = bind_make_folder(s->scratch_path, name, s->state.uid, folder_fd, err);
    return status == PN_OK ? parcel_add(p, *folder_fd, err) : status;
}

static enum pn_status add_files(struct sandbox *s, const struct sandbox_order *order,
                                struct parcel *p, struct pn_err *err)
{
    for (uint32_t i = 0; i < order->file_count; i++) {
        const struct sandbox_file *f = &order->files[i];
        s->files[i] = (struct order_file){.name = f->name, .folder = f->folder};
        int fd = -1;
        enum pn_status status = PN_OK;
        if (!f->folder) {
            status = bind_widen(f->fd, s->state.uid, f->executable, err);
        }
        if (status == PN_OK) {
            status = bind_reopen(s->root_fd, f->fd, &fd, err);
        }
        if (status != PN_OK) {
            pn_err_wrap(err, "file %.60s", f->name);
            return status;
        }
        parcel_add_take(p, fd);
    }
    return PN_OK;
}

static enum pn_status pack_order(struct sandbox *s, const struct sandbox_order *order,
                                 struct slice_run *run, struct parcel *p, struct pn_err *err)
{
    bool full = s->state.tier == SANDBOX_FULL;
    size_t len = 0;
    enum pn_status status =
        environment_build(&order->job, order->slice, order->slice_count, full ? "/work" : ".",
                          order->system, order->env, order->env_count, &s->environment, err);
    if (status != PN_OK) {
        return status;
    }
    if (order->program == PROGRAM_OWN &&
        (status = parcel_add(p, order->program_fd, err)) != PN_OK) {
        return status;
    }
    if (!full && (status = add_folder(s, run->id, p, &run->folder_fd, err)) != PN_OK) {
        return status;
    }
    if ((status = add_files(s, order, p, err)) != PN_OK) {
        return status;
    }
    const struct order o = {
        .kind = ORDER_RUN,
        .id = run->id,
        .program = (enum order_program)order->program,
        .system = order->system,
        .own_folder = !full,
        .low_priority = !s->options.normal_priority,
        .limits = caps_order(&order->limits),
        .args = order->args,
        .arg_count = order->arg_count,
        .env = s->environment.list,
        .env_count = s->environment.count,
        .files = s->files,
        .file_count = order->file_count,
        .outputs = order->outputs,
        .output_count = order->output_count,
    };
    assert(p->count == order_fd_count(&o));
    status = order_write(&o, s->packet, &len, err);
    p->packet = (struct pn_bytes){s->packet, len};
    return status;
}

/* At once, or when there is room. */
static enum pn_status send_order(struct sandbox *s, struct slice_run *run, struct parcel *p,
                                 struct pn_err *err)
{
    enum pn_status status = parcel_send(p, s->launcher->socket, err);
    if (status != PN_E_BUSY) {
        return status;
    }
    run->parcel = parcel_keep_take(p);
    if (run->parcel == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "sandbox: out of memory");
    }
    wait_for_room(s);
    return PN_OK;
}

enum pn_status sandbox_run(struct sandbox *s, const struct sandbox_order *order,
                           sandbox_on_line on_line, sandbox_on_end on_end, void *arg,
                           uint32_t *run_id, struct pn_err *err)
{
    static_assert((int)PROGRAM_OWN == (int)ORDER_PROGRAM_OWN &&
                      (int)PROGRAM_FILE == (int)ORDER_PROGRAM_FILE &&
                      (int)PROGRAM_SYSTEM == (int)ORDER_PROGRAM_SYSTEM,
                  "the launcher's names for the manifest's values");
    const struct slice_run_owner owner = {.sandbox = s, .on_over = on_over, .on_flood = kill_run};
    struct parcel p = {.count = 0};
    struct slice_run *run = NULL;
    enum pn_status status = check_order(s, order, err);
    if (status != PN_OK) {
        return status;
    }
    status = slice_run_open(s->loop, &owner, on_line, on_end, arg, p.fds, &run, err);
    if (status != PN_OK) {
        return status;
    }
    p.count = 2; /* the streams' other ends */
    run->id = ++s->next_id;
    status = pack_order(s, order, run, &p, err);
    if (status == PN_OK) {
        status = send_order(s, run, &p, err);
    }
    parcel_fini(&p);
    if (status != PN_OK) {
        slice_run_close(run);
        return status;
    }
    run->next = s->runs;
    s->runs = run;
    s->run_count++;
    run->weight = caps_weight(&order->limits, order->program, order->args[0]);
    s->weight += run->weight;
    *run_id = run->id;
    return PN_OK;
}
