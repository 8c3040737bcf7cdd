#include "peer/control/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "common/log_sys.h"
#include "peer/control/control_request_sys.h"

enum {
    SOCKET_BACKLOG = 64,
    TICK_MS = 100, /* a follower hears of changes at most this often */
    CONNECTION_TIMEOUT_S = 120,
    CONNECTION_MEMORY_BYTES = 96 * 1024,
    ACCEPT_PAUSE_MS = 200, /* when no descriptor is left */
};

static const char SOCKET_NAME[] = "control.sock";

/*
 * libmicrohttpd does its own epoll; its descriptor is readable when it has something to do, so the
 * loop polls that and calls MHD_run. MHD_run is never called from anywhere but here, so that
 * neither library is entered twice.
 */
struct control_shell {
    struct control control; /* first: they are freed together */
    uv_poll_t listening;
    uv_poll_t work;
    uv_timer_t deadline; /* libmicrohttpd's own */
    uv_timer_t tick;     /* of followers */
    uv_timer_t pause;    /* of accepting */
    int handles_open;
    int listen_fd;
    int dir_fd;
    bool running; /* inside MHD_run */
    bool woken;   /* a request was resumed since it was last called */
    void (*on_stopped)(void *arg);
    void *stopped_arg;
};

static void on_deadline(uv_timer_t *timer);

static void run(struct control_shell *s)
{
    assert(!s->running);
    s->running = true;
    s->woken = false;
    (void)MHD_run(s->control.daemon);
    s->running = false;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    if (s->woken || MHD_get_timeout(s->control.daemon, &wait_ms) == MHD_YES) {
        (void)uv_timer_start(&s->deadline, on_deadline, wait_ms, 0);
    } else {
        (void)uv_timer_stop(&s->deadline);
    }
}

static void on_deadline(uv_timer_t *timer) { run(timer->data); }

static void on_work(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_tick(uv_timer_t *timer)
{
    struct control_shell *s = timer->data;
    if (!stream_followed(&s->control)) {
        (void)uv_timer_stop(timer);
        return;
    }
    stream_tick(&s->control, uv_now(timer->loop));
    run(s);
}

void control_woken(struct control *c)
{
    c->shell->woken = true;
    if (!c->stopping && !c->shell->running) {
        (void)uv_timer_start(&c->shell->deadline, on_deadline, 0, 0);
    }
}

void control_followed(struct control *c)
{
    struct control_shell *s = c->shell;
    if (!uv_is_active((uv_handle_t *)&s->tick)) {
        (void)uv_timer_start(&s->tick, on_tick, 0, TICK_MS);
    }
}

/* --- who comes in --- */

/* Says no in HTTP, so that the command can say why, and without reading a byte. */
static void turn_away(int fd, const char *http_status, const char *error, enum pn_status status)
{
    char body[256];
    char answer[512];
    int body_len =
        snprintf(body, sizeof body, "{\"schema\":1,\"error\":\"%s\",\"status\":\"%s\"}\n", error,
                 pn_status_text(status));
    int len = snprintf(answer, sizeof answer,
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       http_status, body_len, body);
    assert(len > 0 && (size_t)len < sizeof answer);
    (void)send(fd, answer, (size_t)len, MSG_NOSIGNAL);
    (void)close(fd);
}

static bool is_full(const struct control_shell *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->control.daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL && info->num_connections >= CONTROL_CONNECTIONS_MAX;
}

static bool is_ours(int fd)
{
    struct ucred who;
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct control_shell *s = timer->data;
    (void)uv_poll_start(&s->listening, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct control_shell *s = poll->data;
    (void)status;
    (void)events;
    for (;;) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log_write(LOG_WARN, "control", "accept: %s", strerror(errno));
                (void)uv_poll_stop(&s->listening);
                (void)uv_timer_start(&s->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
            }
            break;
        }
        if (!is_ours(fd)) {
            turn_away(fd, "403 Forbidden", "this peer belongs to another user", PN_E_DENIED);
            continue;
        }
        if (is_full(s)) {
            turn_away(fd, "503 Service Unavailable", "too many commands ask this peer at a time",
                      PN_E_BUSY);
            continue;
        }
        const struct sockaddr_un nameless = {.sun_family = AF_UNIX};
        /* Closes fd when it fails. */
        (void)MHD_add_connection(s->control.daemon, fd, (const struct sockaddr *)&nameless,
                                 sizeof nameless.sun_family);
    }
    run(s);
}

/* --- start and stop --- */

/*
 * The address of the socket. A path too long for one is reached through the folder's descriptor.
 */
static bool socket_address(const char *data_dir, int dir_fd, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", data_dir, SOCKET_NAME);
    if (len < 0 || (size_t)len >= sizeof out->sun_path) {
        len = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", dir_fd,
                       SOCKET_NAME);
    }
    return len > 0 && (size_t)len < sizeof out->sun_path;
}

static enum pn_status open_socket(struct control_shell *s, const char *data_dir, struct pn_err *err)
{
    struct sockaddr_un address;
    s->dir_fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        return pn_fail(err, PN_E_SYSTEM, "%s: %s", data_dir, strerror(errno));
    }
    if (!socket_address(data_dir, s->dir_fd, &address)) {
        return pn_fail(err, PN_E_TOO_BIG, "%s: the path is too long", data_dir);
    }
    if (unlinkat(s->dir_fd, SOCKET_NAME, 0) != 0 && errno != ENOENT) {
        return pn_fail(err, PN_E_SYSTEM, "%s/%s: %s", data_dir, SOCKET_NAME, strerror(errno));
    }
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The mode of an unbound socket becomes the file's: no moment at which it is wider. */
    if (s->listen_fd < 0 || fchmod(s->listen_fd, 0600) != 0 ||
        bind(s->listen_fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s->listen_fd, SOCKET_BACKLOG) != 0) {
        return pn_fail(err, PN_E_SYSTEM, "%s/%s: %s", data_dir, SOCKET_NAME, strerror(errno));
    }
    return PN_OK;
}

static void log_line(void *arg, const char *format, va_list args)
{
    char text[256];
    (void)arg;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_write(LOG_DEBUG, "control", "%s", text);
}

static enum pn_status start_daemon(struct control_shell *s, struct pn_err *err)
{
    s->control.daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, request_handle, &s->control, MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, request_completed, &s->control, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONTROL_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    return s->control.daemon != NULL ? PN_OK
                                     : pn_fail(err, PN_E_SYSTEM, "control: cannot serve HTTP");
}

static void free_shell(struct control_shell *s)
{
    if (s->control.daemon != NULL) {
        MHD_stop_daemon(s->control.daemon);
    }
    if (s->listen_fd >= 0) {
        (void)unlinkat(s->dir_fd, SOCKET_NAME, 0);
        (void)close(s->listen_fd);
    }
    if (s->dir_fd >= 0) {
        (void)close(s->dir_fd);
    }
    free(s);
}

enum pn_status control_start(struct uv_loop_s *loop, const char *data_dir,
                             const struct control_ops *ops, void *arg, struct control **out,
                             struct pn_err *err)
{
    struct control_shell *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "control: out of memory");
    }
    s->control = (struct control){.ops = ops, .arg = arg, .shell = s};
    s->listen_fd = -1;
    s->dir_fd = -1;
    enum pn_status status = open_socket(s, data_dir, err);
    if (status == PN_OK) {
        status = start_daemon(s, err);
    }
    if (status != PN_OK) {
        free_shell(s);
        return status;
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->control.daemon, MHD_DAEMON_INFO_EPOLL_FD);
    assert(info != NULL);
    /* These fail only for descriptors that cannot be polled, which ours can. */
    int failed = uv_poll_init(loop, &s->listening, s->listen_fd);
    assert(failed == 0);
    failed = uv_poll_init(loop, &s->work, info->epoll_fd);
    assert(failed == 0);
    (void)uv_timer_init(loop, &s->deadline);
    (void)uv_timer_init(loop, &s->tick);
    (void)uv_timer_init(loop, &s->pause);
    s->handles_open = 5;
    s->listening.data = s->work.data = s->deadline.data = s->tick.data = s->pause.data = s;
    (void)uv_poll_start(&s->listening, UV_READABLE, on_connection);
    (void)uv_poll_start(&s->work, UV_READABLE, on_work);
    *out = &s->control;
    return PN_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct control_shell *s = handle->data;
    if (--s->handles_open > 0) {
        return;
    }
    void (*on_stopped)(void *arg) = s->on_stopped;
    void *arg = s->stopped_arg;
    free_shell(s);
    on_stopped(arg);
}

void control_stop(struct control *c, void (*on_stopped)(void *arg), void *arg)
{
    if (c == NULL) {
        on_stopped(arg);
        return;
    }
    struct control_shell *s = c->shell;
    assert(!s->running && !c->stopping); /* not from within an op */
    s->on_stopped = on_stopped;
    s->stopped_arg = arg;
    c->stopping = true;
    for (struct request *r = c->requests; r != NULL; r = r->next) {
        request_wake(r); /* libmicrohttpd does not stop with sleepers */
    }
    /* The polls must let go of the descriptors before these are closed. */
    (void)uv_poll_stop(&s->listening);
    (void)uv_poll_stop(&s->work);
    MHD_stop_daemon(c->daemon); /* ends every request: puts are aborted */
    c->daemon = NULL;
    uv_handle_t *const handles[] = {(uv_handle_t *)&s->listening, (uv_handle_t *)&s->work,
                                    (uv_handle_t *)&s->deadline, (uv_handle_t *)&s->tick,
                                    (uv_handle_t *)&s->pause};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        uv_close(handles[i], on_closed);
    }
}
