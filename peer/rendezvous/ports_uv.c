#include "peer/rendezvous/ports_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/addr_sys.h"
#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"
#include "common/table.h"
#include "peer/rendezvous/guests.h"

enum { BACKLOG = 256, MEMORY_QUEUE_MAX = 64 * 1024 * 1024 };

/* A port with what carries it: a link, or the other end in memory. */
struct wire {
    struct port port;
    struct ports *of;
    struct link *link;   /* NULL for memory */
    struct addr dialled; /* ADDR_NONE: they came to us */
    enum dialling_for why;
    struct wire *other;  /* memory: the other end */
    struct buffer queue; /* memory: frames that wait for the loop */
    uint64_t tag;
    bool up;
    bool is_guest;    /* they came to us, and are counted */
    bool heard;       /* a frame that is more than the session's own */
    uint64_t up_ms;   /* by the loop's clock */
    char reason[128]; /* of a close of our own */
};

struct ports {
    uv_loop_t *loop;
    struct link_context *context;
    struct ports_hooks hooks;
    struct dialling *dialling;
    struct guests guests;
    struct table by_id;
    uint32_t last_id;
    uv_tcp_t listener;
    bool listening;
    uint64_t token; /* of accepted links */
    uv_timer_t sweep;
    uint32_t unused_ms;
    uv_idle_t deliver;
    bool delivering;
    struct wire *own[2];
    bool paused;
    bool closing;
    int handles_open;
    void (*on_closed)(void *arg);
    void *on_closed_arg;
};

/* --- ports over links ------------------------------------------------------------------------- */

static struct wire *wire_of(const struct port *p)
{
    return (struct wire *)p; /* its first member */
}

static enum pn_status link_port_send(struct port *p, enum session_lane lane, const struct frame *f)
{
    struct wire *w = wire_of(p);
    enum pn_status status = link_send(w->link, lane, f);
    if (status != PN_OK && lane == SESSION_CONTROL) {
        p->close(p, "its control queue is full");
    }
    return status;
}

static size_t link_port_room(const struct port *p) { return link_data_room(wire_of(p)->link); }

static void link_port_close(struct port *p, const char *reason)
{
    struct wire *w = wire_of(p);
    if (w->reason[0] == '\0') {
        (void)snprintf(w->reason, sizeof w->reason, "%s", reason);
    }
    link_close(w->link);
}

static void finish_if_closed(struct ports *p)
{
    if (p->closing && p->by_id.count == 0 && p->handles_open == 0) {
        void (*on_closed)(void *arg) = p->on_closed;
        void *arg = p->on_closed_arg;
        table_fini(&p->by_id);
        guests_fini(&p->guests);
        dialling_free(p->dialling);
        free(p);
        on_closed(arg);
    }
}

/* The link that we dialled is up, or will never be. */
static void dial_ended(const struct wire *w)
{
    if (w->dialled.family != ADDR_NONE) {
        dialling_end(w->of->dialling, &w->dialled, w->why, w->up, clock_now_ms());
    }
}

static void on_link_up(struct link *l, void *arg, const struct digest *peer,
                       const struct hello *hello)
{
    struct wire *w = arg;
    w->up = true;
    w->up_ms = uv_now(w->of->loop);
    w->port.peer = *peer;
    w->port.remote = *link_remote(l);
    dial_ended(w);
    if (!w->of->closing) {
        w->of->hooks.on_up(w->of->hooks.arg, &w->port, hello, w->tag);
    }
}

static enum pn_status on_link_frame(struct link *l, void *arg, const struct frame *f,
                                    struct pn_err *err)
{
    (void)l;
    struct wire *w = arg;
    w->heard = true;
    return w->of->closing ? PN_OK : w->of->hooks.on_frame(w->of->hooks.arg, &w->port, f, err);
}

static void on_link_drain(struct link *l, void *arg)
{
    (void)l;
    struct wire *w = arg;
    if (!w->of->closing) {
        w->of->hooks.on_drain(w->of->hooks.arg, &w->port);
    }
}

static void on_link_closed(struct link *l, void *arg, enum pn_status why, const char *reason)
{
    (void)why;
    struct wire *w = arg;
    struct ports *p = w->of;
    (void)table_remove(&p->by_id, &w->port.id);
    if (w->is_guest) {
        guests_leave(&p->guests, link_remote(l));
    }
    if (!w->up) {
        dial_ended(w);
    }
    if (!p->closing) {
        p->hooks.on_down(p->hooks.arg, &w->port, w->up, w->tag,
                         w->reason[0] != '\0' ? w->reason : reason);
    }
    free(w);
    finish_if_closed(p);
}

static const struct link_callbacks LINK_CALLBACKS = {
    .on_up = on_link_up,
    .on_frame = on_link_frame,
    .on_drain = on_link_drain,
    .on_closed = on_link_closed,
};

static struct wire *wire_new(struct ports *p)
{
    struct wire *w = p->by_id.count < PORTS_MAX ? calloc(1, sizeof *w) : NULL;
    if (w == NULL) {
        return NULL;
    }
    w->of = p;
    w->port.id = ++p->last_id;
    w->port.send = link_port_send;
    w->port.data_room = link_port_room;
    w->port.close = link_port_close;
    if (table_put(&p->by_id, &w->port.id, w) != PN_OK) {
        free(w);
        return NULL;
    }
    return w;
}

static void wire_drop(struct wire *w)
{
    (void)table_remove(&w->of->by_id, &w->port.id);
    free(w);
}

enum dialling_verdict ports_may_dial(const struct ports *p, const struct addr *to,
                                     enum dialling_for why)
{
    return dialling_ask(p->dialling, to, why, p->hooks.on_lan(p->hooks.arg), clock_now_ms());
}

static enum pn_status allow(struct ports *p, const struct addr *to, enum dialling_for why,
                            struct pn_err *err)
{
    char text[ADDR_TEXT_BYTES];
    bool lan = p->hooks.on_lan(p->hooks.arg);
    switch (dialling_begin(p->dialling, to, why, lan, clock_now_ms())) {
    case DIALLING_NOW:
        return PN_OK;
    case DIALLING_SOON:
    case DIALLING_LATER:
        return pn_fail(err, PN_E_BUSY, "%s is not to be dialled again yet", addr_text(to, text));
    case DIALLING_NEVER:
        return pn_fail(err, PN_E_DENIED, "%s is not an address to dial", addr_text(to, text));
    }
    return PN_E_DENIED;
}

enum pn_status ports_dial(struct ports *p, const struct addr *to, const struct digest *expected,
                          enum dialling_for why, uint64_t tag, struct pn_err *err)
{
    struct wire *w = wire_new(p);
    if (w == NULL) {
        return pn_fail(err, PN_E_FULL, "no room for another link");
    }
    w->tag = tag;
    w->port.remote = *to;
    w->dialled = *to;
    w->why = why;
    enum pn_status status = allow(p, to, why, err);
    if (status != PN_OK) {
        wire_drop(w);
        return status;
    }
    status = link_dial(p->context, p->loop, to, expected, 0, &LINK_CALLBACKS, w, &w->link, err);
    if (status != PN_OK) {
        dialling_end(p->dialling, to, why, false, clock_now_ms());
        wire_drop(w);
        return status;
    }
    link_pause(w->link, p->paused);
    return PN_OK;
}

static void on_connection(uv_stream_t *listener, int uv_status)
{
    struct ports *p = listener->data;
    if (uv_status != 0) {
        return; /* nothing is there to be taken; the next connection brings us here again */
    }
    struct wire *w = p->closing ? NULL : wire_new(p);
    if (w == NULL) {
        link_refuse(p->context, listener);
        return;
    }
    struct pn_err err;
    if (link_accept(p->context, listener, p->token, &LINK_CALLBACKS, w, &w->link, &err) != PN_OK) {
        log_write(LOG_DEBUG, "peer", "accept: %s", err.text);
        wire_drop(w);
        return;
    }
    w->port.remote = *link_remote(w->link);
    w->is_guest = guests_enter(&p->guests, &w->port.remote, &err) == PN_OK;
    if (!w->is_guest) {
        port_close(&w->port, err.text);
        return;
    }
    link_pause(w->link, p->paused);
}

/* A worker joins, a source is asked at once: who does neither only takes a place. */
static void on_sweep(uv_timer_t *timer)
{
    struct ports *p = timer->data;
    size_t place = 0;
    for (struct wire *w; (w = table_next(&p->by_id, &place)) != NULL;) {
        if (w->is_guest && w->up && !w->heard && uv_now(p->loop) - w->up_ms >= p->unused_ms) {
            port_close(&w->port, "it asks for nothing");
        }
    }
}

void ports_set_unused_ms(struct ports *p, uint32_t unused_ms)
{
    p->unused_ms = unused_ms;
    (void)uv_timer_start(&p->sweep, on_sweep, unused_ms / 2, unused_ms / 2);
}

enum pn_status ports_listen(struct ports *p, const struct addr *at, uint64_t token,
                            struct addr *bound, struct pn_err *err)
{
    assert(!p->listening);
    p->token = token;
    struct sockaddr_storage sa;
    char text[ADDR_TEXT_BYTES];
    (void)addr_to_sockaddr(at, &sa);
    int rc = uv_tcp_init(p->loop, &p->listener);
    if (rc == 0) {
        p->listener.data = p;
        p->listening = true;
        p->handles_open++;
        rc = uv_tcp_bind(&p->listener, (const struct sockaddr *)&sa, 0);
    }
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&p->listener, BACKLOG, on_connection);
    }
    struct sockaddr_storage name;
    int len = sizeof name;
    if (rc == 0) {
        rc = uv_tcp_getsockname(&p->listener, (struct sockaddr *)&name, &len);
    }
    if (rc != 0) {
        return pn_fail(err, PN_E_SYSTEM, "cannot listen on %s: %s", addr_text(at, text),
                       uv_strerror(rc));
    }
    return addr_from_sockaddr((const struct sockaddr *)&name, bound) == PN_OK
               ? PN_OK
               : pn_fail(err, PN_E_SYSTEM, "cannot tell the address of the listening socket");
}

/* --- the link through memory ------------------------------------------------------------------ */

static void deliver(uv_idle_t *idle);

static enum pn_status memory_send(struct port *p, enum session_lane lane, const struct frame *f)
{
    (void)lane;
    struct wire *w = wire_of(p);
    enum pn_status status = frame_write(f, &w->other->queue);
    if (status == PN_OK && !w->of->delivering) {
        w->of->delivering = true;
        (void)uv_idle_start(&w->of->deliver, deliver);
    }
    return status;
}

static size_t memory_room(const struct port *p)
{
    const struct buffer *queue = &wire_of(p)->other->queue;
    return queue->max - queue->len;
}

static void memory_close(struct port *p, const char *reason)
{
    (void)p;
    log_write(LOG_ERROR, "peer", "a defect: our own worker and master disagree: %s", reason);
}

/* Takes what has come so far; what is sent meanwhile waits for the next turn of the loop. */
static void deliver_to(struct wire *w)
{
    struct buffer batch = w->queue;
    buffer_init(&w->queue, MEMORY_QUEUE_MAX);
    struct pn_bytes left = buffer_bytes(&batch);
    while (left.len > 0 && !w->of->closing) {
        struct frame f;
        size_t used;
        size_t need;
        struct pn_err err = {0};
        enum pn_status status = frame_parse(left, FRAME_BODY_MAX, &f, &used, &need, &err);
        assert(status == PN_OK && used > 0);
        status = w->of->hooks.on_frame(w->of->hooks.arg, &w->port, &f, &err);
        if (status != PN_OK) {
            memory_close(&w->port, err.text);
        }
        left.ptr += used;
        left.len -= used;
    }
    buffer_fini(&batch);
}

static void deliver(uv_idle_t *idle)
{
    struct ports *p = idle->data;
    deliver_to(p->own[0]);
    deliver_to(p->own[1]);
    if (p->own[0]->queue.len == 0 && p->own[1]->queue.len == 0) {
        (void)uv_idle_stop(idle);
        p->delivering = false;
    }
}

enum pn_status ports_own(struct ports *p, struct port **worker_end, struct port **master_end)
{
    for (int i = 0; i < 2; i++) {
        struct wire *w = wire_new(p);
        if (w == NULL) {
            return PN_E_NO_MEMORY;
        }
        w->up = true;
        w->port.own = true;
        w->port.peer = *link_context_peer_id(p->context);
        w->port.send = memory_send;
        w->port.data_room = memory_room;
        w->port.close = memory_close;
        buffer_init(&w->queue, MEMORY_QUEUE_MAX);
        p->own[i] = w;
    }
    p->own[0]->other = p->own[1];
    p->own[1]->other = p->own[0];
    *worker_end = &p->own[0]->port;
    *master_end = &p->own[1]->port;
    return PN_OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Store, ledger and sandboxes need descriptors as well: half of them is for guests at most. */
static uint32_t guests_max(void)
{
    struct rlimit files;
    const uint32_t most = PORTS_MAX - PORTS_KEPT;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < most
               ? (uint32_t)(files.rlim_cur / 2)
               : most;
}

struct ports *ports_new(uv_loop_t *loop, struct link_context *context,
                        const struct ports_hooks *hooks)
{
    struct ports *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->loop = loop;
    p->context = context;
    p->hooks = *hooks;
    p->dialling = dialling_new(random_fresh_seed());
    if (p->dialling == NULL) {
        free(p);
        return NULL;
    }
    table_init(&p->by_id, sizeof(uint32_t), PORTS_MAX, (uint64_t)(uintptr_t)p);
    guests_init(&p->guests, guests_max(), random_fresh_seed());
    (void)uv_idle_init(loop, &p->deliver);
    (void)uv_timer_init(loop, &p->sweep);
    p->deliver.data = p;
    p->sweep.data = p;
    p->handles_open = 2;
    ports_set_unused_ms(p, PORTS_UNUSED_MS);
    return p;
}

static void on_handle_closed(uv_handle_t *h)
{
    struct ports *p = h->data;
    p->handles_open--;
    finish_if_closed(p);
}

void ports_close(struct ports *p, void (*on_closed)(void *arg), void *arg)
{
    p->closing = true;
    p->on_closed = on_closed;
    p->on_closed_arg = arg;
    for (int i = 0; i < 2; i++) {
        if (p->own[i] != NULL) {
            buffer_fini(&p->own[i]->queue);
            wire_drop(p->own[i]);
            p->own[i] = NULL;
        }
    }
    size_t place = 0;
    for (struct wire *w; (w = table_next(&p->by_id, &place)) != NULL;) {
        link_close(w->link);
    }
    if (p->listening) {
        uv_close((uv_handle_t *)&p->listener, on_handle_closed);
    }
    uv_close((uv_handle_t *)&p->deliver, on_handle_closed);
    uv_close((uv_handle_t *)&p->sweep, on_handle_closed);
}

void ports_pause(struct ports *p, bool paused)
{
    p->paused = paused;
    size_t place = 0;
    for (struct wire *w; (w = table_next(&p->by_id, &place)) != NULL;) {
        if (w->link != NULL) {
            link_pause(w->link, paused);
        }
    }
}

struct port *ports_find(const struct ports *p, uint32_t id) { return table_get(&p->by_id, &id); }

struct port *ports_to(const struct ports *p, const struct digest *peer)
{
    size_t place = 0;
    for (struct wire *w; (w = table_next(&p->by_id, &place)) != NULL;) {
        if (w->up && w->link != NULL && digest_equal(&w->port.peer, peer)) {
            return &w->port;
        }
    }
    return NULL;
}

struct port *ports_dialled(const struct ports *p, const struct addr *to, uint64_t tag_without)
{
    size_t place = 0;
    for (struct wire *w; (w = table_next(&p->by_id, &place)) != NULL;) {
        if (w->up && w->tag != 0 && (w->tag & tag_without) == 0 && w->reason[0] == '\0' &&
            addr_equal(&w->port.remote, to)) {
            return &w->port;
        }
    }
    return NULL;
}

uint32_t ports_count(const struct ports *p)
{
    return (uint32_t)p->by_id.count - (p->own[0] != NULL ? 2 : 0);
}

void port_close(struct port *p, const char *reason)
{
    if (p != NULL) {
        p->close(p, reason);
    }
}
