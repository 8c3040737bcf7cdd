#include "tracker/server_uv.h"

#include "common/addr_sys.h"
#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "tracker/dialback_uv.h"
#include "tracker/proofs.h"
#include "tracker/switchboard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

enum {
    READ_BYTES = 2048, /* of a client in a turn of the loop: a few hundred requests */
    BACKLOG = 4096,
    DESCRIPTORS_KEPT = 32,               /* the loop, the listener, logs */
    CONGESTED = 65536,                   /* answers that wait: the client's requests wait as well */
    PENDING_MAX = 1024 * 1024,           /* more than it can ask for then: only pushes get there */
    PENDING_ALL_MAX = 256 * 1024 * 1024, /* then those who do not read are closed */
};

/* Answers on their way: one allocation with the bytes, owned by libuv until its callback. */
struct parcel {
    uv_write_t write;
    size_t len;
    char bytes[];
};

struct client {
    uv_tcp_t tcp;
    struct server *server;
    uint32_t link;      /* POOL_NONE: the switchboard has forgotten it */
    uint32_t read_turn; /* of the loop, when it was last read from */
    struct client *next_dirty;
    char *out; /* gathered answers, owned */
    size_t out_len;
    size_t out_cap;
    size_t in_flight; /* bytes that libuv still holds */
    uint8_t *held;    /* requests that wait for their answers to be taken, owned */
    size_t held_len;
    bool dirty;     /* in the server's list of those with something to do */
    bool finishing; /* nothing follows what is in out and in flight */
    bool ended;     /* the client has closed its side */
    bool failed;    /* to be closed by flush */
};

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t timer;
    uv_prepare_t before_wait;
    uv_signal_t signals[2];
    struct switchboard *switchboard;
    struct dialback *dialback;
    struct client **clients; /* by link; owned */
    uint32_t client_cap;
    struct client *dirty;
    size_t pending_all;
    uint64_t armed_ms; /* what the timer is set to */
    uint32_t turn;     /* of the loop */
    char read_buffer[READ_BYTES];
};

struct tracker_config tracker_config_default(void)
{
    return (struct tracker_config){
        .listen = addr_v4(0, 0, 0, 0, TRACKER_PORT),
        .registry = registry_config_default(),
    };
}

static void mark_dirty(struct client *c)
{
    if (!c->dirty) {
        c->dirty = true;
        c->next_dirty = c->server->dirty;
        c->server->dirty = c;
    }
}

/* --- closing --- */

static void on_client_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    free(c->out);
    free(c->held);
    free(c);
}

static void drop_out(struct client *c)
{
    c->server->pending_all -= c->out_len;
    c->out_len = 0;
}

/* Idempotent. A client in the dirty list stays until flush has passed it. */
static void client_close(struct client *c)
{
    if (c->link != POOL_NONE) {
        uint32_t link = c->link;
        c->server->clients[link] = NULL;
        c->link = POOL_NONE;
        switchboard_closed(c->server->switchboard, link, clock_now_ms());
    }
    drop_out(c);
    c->server->pending_all -= c->held_len;
    c->held_len = 0;
    c->failed = true;
    if (!c->dirty && !uv_is_closing((uv_handle_t *)&c->tcp)) {
        uv_close((uv_handle_t *)&c->tcp, on_client_closed);
    }
}

/* --- writing --- */

static void flush_client(struct client *c);
static void flush(struct server *s);

static void on_written(uv_write_t *write, int status)
{
    struct parcel *parcel = (struct parcel *)write;
    struct client *c = write->data;
    c->in_flight -= parcel->len;
    c->server->pending_all -= parcel->len;
    free(parcel);
    if (status < 0) {
        c->failed = true;
    }
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) {
        mark_dirty(c);
        flush(c->server);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);

/* What the kernel did not take at once goes to libuv, and reading waits for it. */
static bool send_later(struct client *c, size_t sent)
{
    size_t len = c->out_len - sent;
    struct parcel *parcel = malloc(sizeof *parcel + len);
    if (parcel == NULL) {
        return false;
    }
    memcpy(parcel->bytes, c->out + sent, len);
    parcel->len = len;
    parcel->write.data = c;
    uv_buf_t buf = uv_buf_init(parcel->bytes, (unsigned)len);
    if (uv_write(&parcel->write, (uv_stream_t *)&c->tcp, &buf, 1, on_written) != 0) {
        free(parcel);
        return false;
    }
    c->in_flight += len;
    c->server->pending_all += len;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    return true;
}

static bool send_now(struct client *c)
{
    uv_buf_t buf = uv_buf_init(c->out, (unsigned)c->out_len);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
    if (sent == UV_EAGAIN) {
        sent = 0;
    }
    bool good = sent >= 0 && ((size_t)sent == c->out_len || send_later(c, (size_t)sent));
    drop_out(c);
    free(c->out);
    c->out = NULL;
    c->out_cap = 0;
    return good;
}

/* Our side is done: the client learns it from the stream's end, and closes its own. */
static void send_end(struct client *c)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        (void)shutdown(fd, SHUT_WR);
    }
}

/* Lets the switchboard have bytes, and holds what should wait. */
static void give(struct client *c, struct pn_bytes bytes)
{
    struct server *s = c->server;
    size_t used = switchboard_received(s->switchboard, c->link, bytes, clock_now_ms());
    if (used == bytes.len) {
        return;
    }
    c->held_len = bytes.len - used;
    c->held = malloc(c->held_len);
    if (c->held == NULL) {
        c->held_len = 0;
        c->failed = true;
        return;
    }
    memcpy(c->held, bytes.ptr + used, c->held_len);
    s->pending_all += c->held_len;
}

static void give_held(struct client *c)
{
    uint8_t *held = c->held;
    const struct pn_bytes bytes = {held, c->held_len};
    c->server->pending_all -= c->held_len;
    c->held = NULL;
    c->held_len = 0;
    mark_dirty(c);
    give(c, bytes);
    free(held);
}

static void flush_client(struct client *c)
{
    if (!c->failed && c->in_flight == 0 && c->out_len > 0) {
        c->failed = !send_now(c);
    }
    if (c->failed || c->in_flight > 0) {
        return;
    }
    if (c->held != NULL) {
        give_held(c);
    } else if (!c->finishing) {
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    } else if (c->ended) {
        c->failed = true; /* both sides are done */
    } else {
        send_end(c);
    }
}

/* Too much memory waits for clients that do not read: they go, and nobody else. */
static void drop_the_congested(struct server *s)
{
    for (uint32_t link = 0; link < s->client_cap; link++) {
        struct client *c = s->clients[link];
        if (c != NULL && c->in_flight > 0) {
            c->failed = true;
            mark_dirty(c);
        }
    }
}

/* Carries out what the switchboard asked for since the last flush: one write per client. */
static void flush(struct server *s)
{
    if (s->pending_all > PENDING_ALL_MAX) {
        drop_the_congested(s);
    }
    while (s->dirty != NULL) {
        struct client *c = s->dirty;
        s->dirty = c->next_dirty;
        c->dirty = false;
        flush_client(c);
        if (c->failed) {
            client_close(c);
        }
    }
}

/* --- what the switchboard asks for --- */

static bool reserve_out(struct client *c, size_t len)
{
    if (len <= c->out_cap - c->out_len) {
        return true;
    }
    size_t cap = c->out_cap == 0 ? 512 : c->out_cap * 2;
    while (cap < c->out_len + len) {
        cap *= 2;
    }
    char *out = realloc(c->out, cap);
    if (out == NULL) {
        return false;
    }
    c->out = out;
    c->out_cap = cap;
    return true;
}

static bool op_send(void *arg, uint32_t link, struct pn_bytes bytes)
{
    struct server *s = arg;
    struct client *c = s->clients[link];
    mark_dirty(c);
    if (c->failed || c->out_len + c->in_flight + bytes.len > PENDING_MAX ||
        !reserve_out(c, bytes.len)) {
        c->failed = true;
        return false;
    }
    memcpy(c->out + c->out_len, bytes.ptr, bytes.len);
    c->out_len += bytes.len;
    s->pending_all += bytes.len;
    return c->out_len < CONGESTED;
}

static void op_finish(void *arg, uint32_t link, bool quiet)
{
    struct client *c = ((struct server *)arg)->clients[link];
    c->finishing = true;
    c->ended = c->ended || quiet;
    mark_dirty(c);
}

static void op_drop(void *arg, uint32_t link)
{
    struct server *s = arg;
    struct client *c = s->clients[link];
    s->clients[link] = NULL;
    c->link = POOL_NONE;
    c->failed = true;
    mark_dirty(c);
}

static void op_dial(void *arg, const struct addr *addr)
{
    dialback_dial(((struct server *)arg)->dialback, addr);
}

static void on_dialled(void *arg, const struct addr *addr, uint64_t token)
{
    struct server *s = arg;
    switchboard_dialled(s->switchboard, addr, token, clock_now_ms());
    flush(s);
}

/* --- reading --- */

/*
 * libuv reads a busy stream up to 32 times before it looks at the next one. Without a buffer it
 * goes on to that at once, so whoever sends without end has one read in a turn like everybody else.
 */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct client *c = handle->data;
    bool again = c->read_turn == c->server->turn;
    c->read_turn = c->server->turn;
    *buf = uv_buf_init(again ? NULL : c->server->read_buffer, again ? 0 : READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct client *c = stream->data;
    struct server *s = c->server;
    if (count == 0 || count == UV_ENOBUFS) {
        return; /* in the next turn */
    }
    if (count > 0) {
        give(c, (struct pn_bytes){(const uint8_t *)buf->base, (size_t)count});
    } else if (count == UV_EOF) {
        c->ended = true;
        switchboard_ended(s->switchboard, c->link, clock_now_ms());
        mark_dirty(c);
        (void)uv_read_stop(stream);
    } else {
        c->failed = true;
        mark_dirty(c);
    }
    flush(s);
}

/* --- accepting --- */

static bool reserve_client(struct server *s, uint32_t link)
{
    if (link < s->client_cap) {
        return true;
    }
    uint32_t cap = link + link / 2 + 64;
    struct client **clients = realloc(s->clients, cap * sizeof *clients);
    if (clients == NULL) {
        return false;
    }
    memset(clients + s->client_cap, 0, (cap - s->client_cap) * sizeof *clients);
    s->clients = clients;
    s->client_cap = cap;
    return true;
}

/* Admits the accepted socket, or says why not. */
static enum pn_status admit(struct client *c, struct pn_err *err)
{
    struct server *s = c->server;
    struct sockaddr_storage storage;
    int len = sizeof storage;
    struct addr addr;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&storage, &len) != 0 ||
        addr_from_sockaddr((struct sockaddr *)&storage, &addr) != PN_OK) {
        return pn_fail(err, PN_E_CLOSED, "gone already");
    }
    uint32_t link;
    enum pn_status status =
        switchboard_connected(s->switchboard, &addr, clock_now_ms(), &link, err);
    if (status != PN_OK) {
        return status;
    }
    if (!reserve_client(s, link)) {
        switchboard_closed(s->switchboard, link, clock_now_ms());
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    s->clients[link] = c;
    c->link = link;
    return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) == 0
               ? PN_OK
               : pn_fail(err, PN_E_SYSTEM, "cannot read");
}

/*
 * When descriptors run out libuv gives up one that it keeps in reserve, accepts with it and closes:
 * the client is turned away and the loop does not spin.
 */
static void on_connection(uv_stream_t *listener, int status)
{
    struct server *s = listener->data;
    struct client *c = status == 0 ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        return;
    }
    c->server = s;
    c->link = POOL_NONE;
    if (uv_tcp_init(&s->loop, &c->tcp) != 0) {
        free(c);
        return;
    }
    c->tcp.data = c;
    struct pn_err err;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0) {
        client_close(c);
    } else if (admit(c, &err) != PN_OK) {
        log_write(LOG_DEBUG, "tracker", "turned a client away: %s", err.text);
        client_close(c);
    }
}

/* --- the loop --- */

static void on_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    s->armed_ms = UINT64_MAX;
    switchboard_tick(s->switchboard, clock_now_ms());
    flush(s);
}

/* Before the loop sleeps: the one timer follows the switchboard's deadline. */
static void on_before_wait(uv_prepare_t *prepare)
{
    struct server *s = prepare->data;
    s->turn++;
    uint64_t due_ms = switchboard_deadline_ms(s->switchboard);
    if (due_ms == s->armed_ms) {
        return;
    }
    s->armed_ms = due_ms;
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&s->timer);
        return;
    }
    uint64_t now_ms = clock_now_ms();
    (void)uv_timer_start(&s->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* Outside of callbacks of clients: nobody is in the dirty list. */
static void close_all(struct server *s)
{
    for (uint32_t link = 0; link < s->client_cap; link++) {
        if (s->clients[link] != NULL) {
            client_close(s->clients[link]);
        }
    }
    dialback_close(s->dialback);
    close_handle((uv_handle_t *)&s->listener);
    close_handle((uv_handle_t *)&s->timer);
    close_handle((uv_handle_t *)&s->before_wait);
    for (size_t i = 0; i < sizeof s->signals / sizeof s->signals[0]; i++) {
        close_handle((uv_handle_t *)&s->signals[i]);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;
    log_write(LOG_INFO, "tracker", "ending on signal %d", number);
    close_all(s);
}

static uint32_t raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 1000000 ? 1000000 : (uint32_t)limit.rlim_cur;
}

static enum pn_status listen_on(struct server *s, const struct addr *addr, struct pn_err *err)
{
    char text[ADDR_TEXT_BYTES];
    struct sockaddr_storage storage;
    (void)addr_to_sockaddr(addr, &storage);
    int status = uv_tcp_bind(&s->listener, (const struct sockaddr *)&storage, 0);
    if (status == 0) {
        (void)uv_tcp_nodelay(&s->listener, 1); /* the accepted inherit it: a call less each */
        status = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    }
    if (status != 0) {
        return pn_fail(err, PN_E_SYSTEM, "cannot listen on %s: %s", addr_text(addr, text),
                       uv_strerror(status));
    }
    struct addr real = *addr;
    int len = sizeof storage;
    if (uv_tcp_getsockname(&s->listener, (struct sockaddr *)&storage, &len) == 0) {
        (void)addr_from_sockaddr((struct sockaddr *)&storage, &real);
    }
    (void)printf("preon tracker: listening on %s\n", addr_text(&real, text));
    (void)fflush(stdout);
    return PN_OK;
}

static void start_handles(struct server *s)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT};
    (void)uv_tcp_init(&s->loop, &s->listener);
    (void)uv_timer_init(&s->loop, &s->timer);
    (void)uv_prepare_init(&s->loop, &s->before_wait);
    s->listener.data = s;
    s->timer.data = s;
    s->before_wait.data = s;
    (void)uv_prepare_start(&s->before_wait, on_before_wait);
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++) {
        (void)uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        (void)uv_signal_start(&s->signals[i], on_signal, SIGNALS[i]);
    }
}

enum pn_status tracker_run(const struct tracker_config *config, struct pn_err *err)
{
    static const struct switchboard_ops OPS = {
        .send = op_send, .finish = op_finish, .drop = op_drop, .dial = op_dial};
    struct registry_config registry = config->registry;
    uint32_t descriptors = raise_descriptor_limit();
    if (registry.dial_count_max > descriptors / 8) {
        registry.dial_count_max = descriptors / 8;
    }
    uint32_t kept = DESCRIPTORS_KEPT + registry.dial_count_max;
    uint32_t served = descriptors > kept ? descriptors - kept : 1;
    if (registry.connection_count_max > served) {
        registry.connection_count_max = served;
    }
    if (registry.seed == 0) {
        registry.seed = random_fresh_seed();
    }
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    s->armed_ms = UINT64_MAX;
    s->switchboard = switchboard_new(&registry, &OPS, s, clock_now_ms());
    if (s->switchboard == NULL || uv_loop_init(&s->loop) != 0) {
        switchboard_free(s->switchboard);
        free(s);
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    start_handles(s);
    enum pn_status status =
        dialback_open(&s->loop, registry.dial_count_max, on_dialled, s, &s->dialback, err);
    if (status == PN_OK) {
        status = listen_on(s, &config->listen, err);
    }
    if (status != PN_OK) {
        close_all(s);
    }
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    dialback_free(s->dialback);
    (void)uv_loop_close(&s->loop);
    switchboard_free(s->switchboard);
    free(s->clients);
    free(s);
    return status;
}
