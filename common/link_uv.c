#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/addr_sys.h"
#include "common/clock_sys.h"
#include "common/link_internal.h"

enum { NOTSENT_LOWAT_BYTES = 32 * 1024 };

static void flush(struct link *l);

/* --- the end of a link --- */

static void link_free(struct link *l)
{
    tls_free(l->tls);
    session_free(l->session);
    buffer_fini(&l->flying);
    free(l);
}

static void on_tcp_closed(uv_handle_t *h)
{
    struct link *l = h->data;
    /* Before the callback, which may free the context with its last link. */
    link_context_leave(l->context, l);
    if (!l->silent) {
        l->callbacks.on_closed(l, l->arg, l->why.status, l->why.text);
    }
    link_free(l);
}

static void close_now(struct link *l)
{
    l->closing = true;
    uv_close((uv_handle_t *)&l->tcp, on_tcp_closed);
}

/* The first reason stands. */
__attribute__((format(printf, 3, 4))) static void fail(struct link *l, enum pn_status status,
                                                       const char *format, ...)
{
    if (l->closing) {
        return;
    }
    va_list args;
    va_start(args, format);
    l->why.status = status;
    (void)vsnprintf(l->why.text, sizeof l->why.text, format, args);
    va_end(args);
    if (l->connected && !l->is_flying && tls_output_bytes(l->tls) > 0) {
        /* An alert that tells the other side why; if it does not fit now, it may guess. */
        l->flying.len = 0;
        tls_output_swap(l->tls, &l->flying);
        uv_buf_t buf = uv_buf_init((char *)l->flying.ptr, (unsigned)l->flying.len);
        (void)uv_try_write((uv_stream_t *)&l->tcp, &buf, 1);
    }
    close_now(l);
}

static void fail_uv(struct link *l, const char *doing, int error)
{
    enum pn_status status = PN_E_SYSTEM;
    if (error == UV_ENOMEM || error == UV_ENOBUFS) {
        status = PN_E_NO_MEMORY;
    } else if (error == UV_ETIMEDOUT) {
        status = PN_E_TIMEOUT;
    } else if (error == UV_ECONNREFUSED || error == UV_ECONNRESET || error == UV_EPIPE) {
        status = PN_E_CLOSED;
    }
    fail(l, status, "%s: %s", doing, uv_strerror(error));
}

void link_close(struct link *l)
{
    if (!l->closing) {
        l->why = (struct pn_err){.status = PN_OK, .text = "closed by us"};
        close_now(l);
    }
}

/* --- out: session, TLS, libuv --- */

static void on_written(uv_write_t *request, int status)
{
    struct link *l = request->data;
    l->is_flying = false;
    l->flying.len = 0;
    if (l->closing) {
        return;
    }
    if (status < 0) {
        fail_uv(l, "write", status);
        return;
    }
    flush(l);
    if (!l->closing && l->drain_wanted &&
        session_queued(l->session, SESSION_DATA) < SESSION_DATA_QUEUE_MAX / 2) {
        l->drain_wanted = false;
        if (l->callbacks.on_drain != NULL) {
            l->callbacks.on_drain(l, l->arg);
        }
    }
}

static enum pn_status encrypt_queued(struct link *l, struct pn_err *err)
{
    uint64_t now_ms = clock_now_ms();
    while (tls_output_bytes(l->tls) < TLS_OUTPUT_BYTES_SOFT) {
        struct pn_bytes out = session_output(l->session, TLS_RECORD_BYTES);
        if (out.len == 0) {
            break;
        }
        enum pn_status status = tls_write(l->tls, out, err);
        if (status != PN_OK) {
            return status;
        }
        session_sent(l->session, now_ms, out.len);
    }
    return PN_OK;
}

static void flush(struct link *l)
{
    if (l->closing || !l->connected || l->is_flying || l->is_reading) {
        return;
    }
    struct pn_err err;
    /* Before the handshake is done TLS writes for itself only. */
    if (l->secured && encrypt_queued(l, &err) != PN_OK) {
        fail(l, err.status, "%s", err.text);
        return;
    }
    if (tls_output_bytes(l->tls) == 0) {
        buffer_fini(&l->flying); /* an idle link holds no memory */
        tls_output_swap(l->tls, &l->flying);
        buffer_fini(&l->flying);
        return;
    }
    tls_output_swap(l->tls, &l->flying);
    uv_buf_t buf = uv_buf_init((char *)l->flying.ptr, (unsigned)l->flying.len);
    int result = uv_write(&l->writing, (uv_stream_t *)&l->tcp, &buf, 1, on_written);
    if (result < 0) {
        fail_uv(l, "write", result);
        return;
    }
    l->is_flying = true;
    l->taken_due_ms = clock_now_ms() + l->context->times.session.dead_ms;
}

enum pn_status link_send(struct link *l, enum session_lane lane, const struct frame *f)
{
    if (!l->up || l->closing) {
        return PN_E_CLOSED;
    }
    enum pn_status status = session_send(l->session, lane, f);
    if (status != PN_OK && lane == SESSION_CONTROL) {
        fail(l, status, "control frames are not taken: %s", pn_status_text(status));
        return status;
    }
    if (lane == SESSION_DATA && (status != PN_OK || session_queued(l->session, SESSION_DATA) >=
                                                        SESSION_DATA_QUEUE_MAX / 2)) {
        l->drain_wanted = true;
    }
    flush(l);
    return status;
}

size_t link_data_room(const struct link *l)
{
    return SESSION_DATA_QUEUE_MAX - session_queued(l->session, SESSION_DATA);
}

/* --- in: libuv, TLS, session --- */

static enum pn_status on_hello(void *arg, const struct hello *hello, struct pn_err *err)
{
    struct link *l = arg;
    l->up = true;
    l->callbacks.on_up(l, l->arg, tls_peer(l->tls), hello);
    return l->closing ? pn_fail(err, PN_E_CLOSED, "closed by us") : PN_OK;
}

static enum pn_status on_frame(void *arg, const struct frame *f, struct pn_err *err)
{
    struct link *l = arg;
    enum pn_status status = l->callbacks.on_frame(l, l->arg, f, err);
    if (status == PN_OK && l->closing) {
        return pn_fail(err, PN_E_CLOSED, "closed by us");
    }
    return status;
}

/* Everything that came, through TLS into the session. */
static enum pn_status take(struct link *l, struct pn_bytes ciphertext, struct pn_err *err)
{
    uint64_t now_ms = clock_now_ms();
    tls_input(l->tls, ciphertext);
    if (!l->secured) {
        enum pn_status status = tls_handshake(l->tls, &l->secured, err);
        if (status != PN_OK || !l->secured) {
            return status;
        }
        l->due_ms = UINT64_MAX;
        session_start(l->session, now_ms);
    }
    for (;;) {
        size_t len;
        enum pn_status status =
            tls_read(l->tls, l->context->plaintext, sizeof l->context->plaintext, &len, err);
        if (status == PN_OK && len > 0) {
            status = session_input(l->session, now_ms,
                                   (struct pn_bytes){l->context->plaintext, len}, err);
        }
        if (status != PN_OK || len == 0) {
            return status;
        }
    }
}

static void on_allocate(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct link *l = h->data;
    *buf = uv_buf_init((char *)l->context->ciphertext, sizeof l->context->ciphertext);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct link *l = stream->data;
    if (l->closing || len == 0) {
        return;
    }
    if (len == UV_EOF) {
        fail(l, PN_E_CLOSED, "closed by the other side");
        return;
    }
    if (len < 0) {
        fail_uv(l, "read", (int)len);
        return;
    }
    struct pn_err err;
    l->is_reading = true;
    enum pn_status status =
        take(l, (struct pn_bytes){(const uint8_t *)buf->base, (size_t)len}, &err);
    l->is_reading = false;
    if (status != PN_OK) {
        fail(l, status, "%s", err.text);
        return;
    }
    flush(l);
}

static void read_or_stop(struct link *l)
{
    if (l->paused) {
        (void)uv_read_stop((uv_stream_t *)&l->tcp);
        return;
    }
    int result = uv_read_start((uv_stream_t *)&l->tcp, on_allocate, on_read);
    if (result < 0 && result != UV_EALREADY) {
        fail_uv(l, "read", result);
    }
}

void link_pause(struct link *l, bool paused)
{
    if (l->closing || l->paused == paused) {
        return;
    }
    uint64_t now_ms = clock_now_ms();
    l->paused = paused;
    session_pause(l->session, now_ms, paused);
    if (!paused && !l->secured) { /* the handshake could not go on: its whole time again */
        l->due_ms = now_ms + l->context->times.connect_ms;
    }
    if (l->connected) {
        read_or_stop(l);
    }
}

/* --- time --- */

void link_tick(struct link *l, uint64_t now_ms)
{
    struct pn_err err;
    if (l->closing) {
        return;
    }
    if (now_ms >= l->due_ms && (!l->paused || !l->connected)) {
        fail(l, PN_E_TIMEOUT, "%s within %u ms",
             l->connected ? "the handshake was not done" : "no connection",
             l->context->times.connect_ms);
    } else if (l->is_flying && now_ms >= l->taken_due_ms) {
        fail(l, PN_E_TIMEOUT, "nothing was taken for %u ms", l->context->times.session.dead_ms);
    } else if (now_ms >= session_deadline_ms(l->session)) {
        if (session_tick(l->session, now_ms, &err) != PN_OK) {
            fail(l, err.status, "%s", err.text);
        } else {
            flush(l);
        }
    }
}

/* --- the beginning of a link --- */

struct link_order {
    struct link_context *context;
    uv_loop_t *loop;
    enum tls_side side;
    const struct digest *expected;
    uint64_t token;
    const struct link_callbacks *callbacks;
    void *arg;
    unsigned family; /* AF_UNSPEC: the socket comes later */
};

/* A link whose handle is open and unconnected; NULL with *err filled. */
static struct link *link_new(const struct link_order *order, struct pn_err *err)
{
    struct link_context *c = order->context;
    struct link *l = calloc(1, sizeof *l);
    if (l == NULL) {
        (void)pn_fail(err, PN_E_NO_MEMORY, "no memory for a link");
        return NULL;
    }
    struct hello hello = c->hello;
    hello.token = order->token;
    l->session = session_new(&hello, &(struct session_events){on_hello, on_frame, l});
    if (l->session == NULL) {
        (void)pn_fail(err, PN_E_NO_MEMORY, "no memory for a link");
        goto failed;
    }
    session_set_times(l->session, &c->times.session);
    if (tls_new(c->identity, order->side, order->expected, &l->tls, err) != PN_OK) {
        goto failed;
    }
    if (link_context_enter(c, order->loop, l) != PN_OK) {
        (void)pn_fail(err, PN_E_NO_MEMORY, "no memory for a link");
        goto failed;
    }
    int result = uv_tcp_init_ex(order->loop, &l->tcp, order->family);
    if (result < 0) {
        (void)pn_fail(err, PN_E_SYSTEM, "socket: %s", uv_strerror(result));
        link_context_leave(c, l);
        goto failed;
    }
    buffer_init(&l->flying, TLS_OUTPUT_BYTES_MAX);
    l->tcp.data = l;
    l->writing.data = l;
    l->connecting.data = l;
    l->context = c;
    l->callbacks = *order->callbacks;
    l->arg = order->arg;
    l->outbound = order->side == TLS_CLIENT;
    l->due_ms = clock_now_ms() + c->times.connect_ms;
    return l;
failed:
    link_free(l);
    return NULL;
}

/* TCP is up: what both sides do then. */
static void begin(struct link *l)
{
    int lowat = NOTSENT_LOWAT_BYTES;
    uv_os_fd_t fd;
    l->connected = true;
    (void)uv_tcp_nodelay(&l->tcp, 1);
    if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    }
    if (!l->paused) {
        read_or_stop(l);
    }
    struct pn_err err;
    if (!l->closing && tls_handshake(l->tls, &l->secured, &err) != PN_OK) {
        fail(l, err.status, "%s", err.text);
    }
    flush(l);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct link *l = request->data;
    if (l->closing) {
        return;
    }
    if (status < 0) {
        fail_uv(l, "connect", status);
        return;
    }
    begin(l);
}

/* For a link that its maker never gets. */
static enum pn_status drop(struct link *l, struct pn_err *err, const char *doing, int error)
{
    l->silent = true;
    close_now(l);
    return pn_fail(err, PN_E_SYSTEM, "%s: %s", doing, uv_strerror(error));
}

enum pn_status link_dial(struct link_context *c, uv_loop_t *loop, const struct addr *to,
                         const struct digest *expected, uint64_t token,
                         const struct link_callbacks *callbacks, void *arg, struct link **out,
                         struct pn_err *err)
{
    struct pn_err reason;
    struct sockaddr_storage name;
    (void)addr_to_sockaddr(to, &name);
    struct link *l = link_new(&(struct link_order){.context = c,
                                                   .loop = loop,
                                                   .side = TLS_CLIENT,
                                                   .expected = expected,
                                                   .token = token,
                                                   .callbacks = callbacks,
                                                   .arg = arg,
                                                   .family = name.ss_family},
                              &reason);
    if (l == NULL) {
        return pn_fail(err, reason.status, "%s", reason.text);
    }
    l->remote = *to;
    int result =
        uv_tcp_connect(&l->connecting, &l->tcp, (const struct sockaddr *)&name, on_connected);
    if (result < 0) {
        return drop(l, err, "connect", result);
    }
    *out = l;
    return PN_OK;
}

static void on_refused(uv_handle_t *h) { free(h); }

void link_refuse(struct link_context *c, uv_stream_t *listener)
{
    uv_tcp_t *tcp = c->reserve != NULL ? c->reserve : calloc(1, sizeof *tcp);
    c->reserve = NULL;
    if (tcp != NULL && uv_tcp_init(listener->loop, tcp) == 0) {
        (void)uv_accept(listener, (uv_stream_t *)tcp);
        uv_close((uv_handle_t *)tcp, on_refused);
    } else {
        free(tcp);
    }
}

enum pn_status link_accept(struct link_context *c, uv_stream_t *listener, uint64_t token,
                           const struct link_callbacks *callbacks, void *arg, struct link **out,
                           struct pn_err *err)
{
    struct pn_err reason;
    struct link *l = link_new(&(struct link_order){.context = c,
                                                   .loop = listener->loop,
                                                   .side = TLS_SERVER,
                                                   .token = token,
                                                   .callbacks = callbacks,
                                                   .arg = arg,
                                                   .family = AF_UNSPEC},
                              &reason);
    if (l == NULL) {
        link_refuse(c, listener);
        return pn_fail(err, reason.status, "%s", reason.text);
    }
    if (c->reserve == NULL) {
        c->reserve = calloc(1, sizeof *c->reserve);
    }
    int result = uv_accept(listener, (uv_stream_t *)&l->tcp);
    if (result < 0) {
        return drop(l, err, "accept", result);
    }
    struct sockaddr_storage name;
    int name_len = sizeof name;
    result = uv_tcp_getpeername(&l->tcp, (struct sockaddr *)&name, &name_len);
    if (result < 0) {
        return drop(l, err, "accept", result); /* gone already */
    }
    (void)addr_from_sockaddr((const struct sockaddr *)&name, &l->remote);
    begin(l);
    *out = l;
    return PN_OK;
}

const struct addr *link_remote(const struct link *l) { return &l->remote; }

const struct digest *link_peer(const struct link *l)
{
    assert(l->up);
    return tls_peer(l->tls);
}

bool link_outbound(const struct link *l) { return l->outbound; }
