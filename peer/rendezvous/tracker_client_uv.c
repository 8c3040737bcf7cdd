#include "peer/rendezvous/tracker_client_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/addr_sys.h"
#include "common/buffer.h"
#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "common/random_sys.h"

enum { OUT_BYTES_MAX = 1024 * 1024, READ_BYTES = 4096 };

/* One connection, or the attempt at one. It outlives its tracker's interest by its own callbacks.
 */
struct wire {
    uv_tcp_t tcp;
    uv_connect_t connect;
    struct tracker *tracker; /* NULL: given up */
    bool up;
    bool writing; /* what is said meanwhile waits in tracker.out, which is bounded */
    char read_buffer[READ_BYTES];
};

struct lookup {
    uv_getaddrinfo_t request;
    struct tracker *tracker; /* NULL: nobody waits for it any more */
};

/* Bytes under way: one allocation, owned by libuv until its callback. */
struct parcel {
    uv_write_t write;
    char bytes[];
};

struct tracker {
    struct trackers *all;
    struct tracker_client *core;
    const char *host;
    uint16_t port;
    struct lookup *lookup;
    struct wire *wire;
    struct addrinfo *found; /* by the last lookup; owned, freed by uv_freeaddrinfo */
    const struct addrinfo *next;
    struct addr remote;
    struct buffer out;
    const char *trouble; /* to be told to the core as soon as it is not calling us */
    bool told_once;
    char told[TRACKER_CLIENT_WHY_BYTES]; /* what was logged last */
};

struct trackers {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct trackers_callbacks callbacks;
    void *arg;
    bool calling; /* in the owner's callback: what it states goes out afterwards */
    uint32_t count;
    struct tracker list[PEER_TRACKERS_MAX];
};

static void settle(struct trackers *t);

static void on_wire_closed(uv_handle_t *handle) { free(handle->data); }

static void wire_close(struct wire *w)
{
    w->tracker = NULL;
    if (!uv_is_closing((uv_handle_t *)&w->tcp)) {
        uv_close((uv_handle_t *)&w->tcp, on_wire_closed);
    }
}

/* Ends whatever is under way: a lookup, an attempt, a connection. */
static void leave(struct tracker *t)
{
    if (t->lookup != NULL) {
        t->lookup->tracker = NULL;
        (void)uv_cancel((uv_req_t *)&t->lookup->request);
        t->lookup = NULL;
    }
    if (t->wire != NULL) {
        wire_close(t->wire);
        t->wire = NULL;
    }
    uv_freeaddrinfo(t->found);
    t->found = NULL;
    t->next = NULL;
    t->out.len = 0;
}

static void lost(struct tracker *t, const char *reason)
{
    leave(t);
    tracker_client_lost(t->core, reason, clock_now_ms());
}

/* --- reading and writing --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct wire *w = handle->data;
    *buf = uv_buf_init(w->read_buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct wire *w = stream->data;
    struct tracker *t = w->tracker;
    if (t == NULL || count == 0) {
        return;
    }
    struct trackers *all = t->all;
    if (count > 0) {
        const struct pn_bytes bytes = {(const uint8_t *)buf->base, (size_t)count};
        all->calling = true;
        tracker_client_received(t->core, bytes, clock_now_ms());
        all->calling = false;
    } else {
        lost(t, count == UV_EOF ? "closed the connection" : uv_strerror((int)count));
    }
    settle(all);
}

static void on_written(uv_write_t *write, int status)
{
    struct wire *w = write->handle->data;
    free(write);
    w->writing = false;
    if (w->tracker != NULL) {
        struct trackers *all = w->tracker->all;
        if (status < 0) {
            lost(w->tracker, uv_strerror(status));
        }
        settle(all);
    }
}

static void flush(struct tracker *t)
{
    if (t->out.len == 0 || t->wire == NULL || !t->wire->up || t->wire->writing) {
        return;
    }
    struct parcel *parcel = malloc(sizeof *parcel + t->out.len);
    if (parcel == NULL) {
        t->trouble = "out of memory";
        return;
    }
    memcpy(parcel->bytes, t->out.ptr, t->out.len);
    uv_buf_t buf = uv_buf_init(parcel->bytes, (unsigned)t->out.len);
    t->out.len = 0;
    if (uv_write(&parcel->write, (uv_stream_t *)&t->wire->tcp, &buf, 1, on_written) != 0) {
        free(parcel);
        t->trouble = "cannot write";
        return;
    }
    t->wire->writing = true;
}

/* --- dialling --- */

static void dial_next(struct tracker *t);

static void on_connected(uv_connect_t *request, int status)
{
    struct wire *w = request->data;
    struct tracker *t = w->tracker;
    if (t == NULL) {
        return;
    }
    struct trackers *all = t->all;
    if (status == 0) {
        status = uv_read_start((uv_stream_t *)&w->tcp, on_alloc, on_read);
    }
    if (status == 0) {
        w->up = true;
        (void)uv_tcp_nodelay(&w->tcp, 1);
        tracker_client_connected(t->core, clock_now_ms());
    } else if (t->next != NULL) {
        wire_close(w);
        t->wire = NULL;
        dial_next(t);
    } else {
        lost(t, uv_strerror(status));
    }
    settle(all);
}

static void dial_addr(struct tracker *t, const struct addr *addr)
{
    struct sockaddr_storage storage;
    struct wire *w = calloc(1, sizeof *w);
    if (w == NULL || uv_tcp_init(t->all->loop, &w->tcp) != 0) {
        free(w);
        t->trouble = "out of memory";
        return;
    }
    w->tcp.data = w;
    w->connect.data = w;
    w->tracker = t;
    t->wire = w;
    t->remote = *addr;
    (void)addr_to_sockaddr(addr, &storage);
    int status =
        uv_tcp_connect(&w->connect, &w->tcp, (const struct sockaddr *)&storage, on_connected);
    if (status != 0) {
        t->trouble = uv_strerror(status);
    }
}

static void dial_next(struct tracker *t)
{
    struct addr addr;
    while (t->next != NULL) {
        const struct addrinfo *info = t->next;
        t->next = info->ai_next;
        if (addr_from_sockaddr(info->ai_addr, &addr) == PN_OK) {
            addr.port = t->port;
            dial_addr(t, &addr);
            return;
        }
    }
    t->trouble = "has no address";
}

static void on_looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct lookup *lookup = request->data;
    struct tracker *t = lookup->tracker;
    free(lookup);
    if (t == NULL) {
        uv_freeaddrinfo(found);
        return;
    }
    t->lookup = NULL;
    t->found = found;
    t->next = found;
    if (status == 0) {
        dial_next(t);
    } else {
        lost(t, status == UV_EAI_NONAME ? "no such host" : uv_strerror(status));
    }
    settle(t->all);
}

static void look_up(struct tracker *t)
{
    static const struct addrinfo HINTS = {.ai_socktype = SOCK_STREAM};
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL) {
        t->trouble = "out of memory";
        return;
    }
    lookup->request.data = lookup;
    lookup->tracker = t;
    t->lookup = lookup;
    int status =
        uv_getaddrinfo(t->all->loop, &lookup->request, on_looked_up, t->host, NULL, &HINTS);
    if (status != 0) {
        t->lookup = NULL;
        free(lookup);
        t->trouble = uv_strerror(status);
    }
}

/* --- what the core asks for --- */

static void op_dial(void *arg)
{
    struct tracker *t = arg;
    struct addr addr;
    t->out.len = 0;
    if (addr_parse_ip(pn_bytes_str(t->host), &addr)) {
        addr.port = t->port;
        dial_addr(t, &addr);
    } else {
        look_up(t);
    }
}

static void op_hang_up(void *arg) { leave(arg); }

static void op_send(void *arg, struct pn_bytes bytes)
{
    struct tracker *t = arg;
    if (buffer_append(&t->out, bytes) != PN_OK) {
        t->trouble = "does not read";
    }
}

static bool op_on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    const struct trackers *all = ((struct tracker *)arg)->all;
    return all->callbacks.on_hire(all->arg, master, job);
}

static void op_on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count,
                        uint32_t known)
{
    const struct trackers *all = ((struct tracker *)arg)->all;
    (void)known;
    all->callbacks.on_peers(all->arg, job, peers, count);
}

/* --- all of them --- */

static void on_timer(uv_timer_t *timer)
{
    struct trackers *all = timer->data;
    for (uint32_t i = 0; i < all->count; i++) {
        tracker_client_tick(all->list[i].core, clock_now_ms());
    }
    settle(all);
}

/* Operators read in the log when a tracker comes and goes, once for each reason. */
static void tell_change(struct tracker *t)
{
    struct tracker_why why;
    const enum tracker_client_state state = tracker_client_state(t->core);
    if (state != TRACKER_CLIENT_READY && state != TRACKER_CLIENT_PAUSING) {
        return; /* on its way */
    }
    tracker_client_why(t->core, NULL, clock_now_ms(), &why);
    if (strcmp(why.cause, t->told) == 0 && t->told_once) {
        return;
    }
    t->told_once = true;
    memcpy(t->told, why.cause, sizeof t->told);
    if (why.cause[0] == '\0') {
        log_write(LOG_INFO, "peer", "tracker %s:%u: connected", t->host, t->port);
    } else {
        log_write(why.strange ? LOG_WARN : LOG_INFO, "peer", "%s%s%s", why.cause,
                  why.remedy[0] != '\0' ? "; " : "", why.remedy);
    }
}

/* After every event: what went wrong is told, what was said goes out, the timer follows. */
static void settle(struct trackers *all)
{
    uint64_t due_ms = UINT64_MAX;
    if (all->calling) {
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        struct tracker *t = &all->list[i];
        flush(t);
        if (t->trouble != NULL) {
            const char *reason = t->trouble;
            t->trouble = NULL;
            lost(t, reason);
        }
        tell_change(t);
        uint64_t its_ms = tracker_client_deadline_ms(t->core);
        due_ms = its_ms < due_ms ? its_ms : due_ms;
    }
    if (due_ms != UINT64_MAX) {
        uint64_t now_ms = clock_now_ms();
        uv_update_time(all->loop);
        (void)uv_timer_start(&all->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    }
}

static void on_all_closed(uv_handle_t *handle) { free(handle->data); }

void trackers_close(struct trackers *all)
{
    if (all == NULL) {
        return;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        leave(&all->list[i]);
        buffer_fini(&all->list[i].out);
        tracker_client_free(all->list[i].core);
    }
    all->count = 0;
    uv_close((uv_handle_t *)&all->timer, on_all_closed);
}

static enum pn_status add(struct trackers *all, const struct peer_tracker *said, uint64_t proof)
{
    static const struct tracker_client_ops OPS = {.dial = op_dial,
                                                  .hang_up = op_hang_up,
                                                  .send = op_send,
                                                  .on_hire = op_on_hire,
                                                  .on_peers = op_on_peers};
    struct tracker *t = &all->list[all->count];
    *t = (struct tracker){.all = all, .host = said->host, .port = said->port};
    buffer_init(&t->out, OUT_BYTES_MAX);
    t->core = tracker_client_new(said->name, proof, &OPS, t, random_fresh_seed());
    if (t->core == NULL) {
        return PN_E_NO_MEMORY;
    }
    all->count++;
    return PN_OK;
}

enum pn_status trackers_open(uv_loop_t *loop, const struct peer_tracker *list, uint32_t count,
                             uint64_t proof, const struct trackers_callbacks *callbacks, void *arg,
                             struct trackers **out, struct pn_err *err)
{
    if (count > PEER_TRACKERS_MAX) {
        return pn_fail(err, PN_E_RANGE, "%u trackers, at most %d", count, PEER_TRACKERS_MAX);
    }
    struct trackers *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    all->loop = loop;
    all->callbacks = *callbacks;
    all->arg = arg;
    (void)uv_timer_init(loop, &all->timer);
    all->timer.data = all;
    for (uint32_t i = 0; i < count; i++) {
        if (add(all, &list[i], proof) != PN_OK) {
            trackers_close(all);
            return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        tracker_client_start(all->list[i].core, clock_now_ms());
    }
    settle(all);
    *out = all;
    return PN_OK;
}

enum pn_status trackers_serve(struct trackers *all, const struct digest *job, uint16_t port)
{
    enum pn_status last = PN_OK;
    for (uint32_t i = 0; i < all->count; i++) {
        enum pn_status status = tracker_client_serve(all->list[i].core, job, port);
        last = status != PN_OK ? status : last;
    }
    settle(all);
    return last;
}

enum pn_status trackers_idle(struct trackers *all, uint16_t slots, struct pn_bytes abilities)
{
    enum pn_status last = PN_OK;
    for (uint32_t i = 0; i < all->count; i++) {
        enum pn_status status = tracker_client_idle(all->list[i].core, slots, abilities);
        last = status != PN_OK ? status : last;
    }
    settle(all);
    return last;
}

enum pn_status trackers_demand(struct trackers *all, const struct digest *job, uint16_t port,
                               uint16_t slots, struct pn_bytes needs)
{
    enum pn_status last = PN_OK;
    for (uint32_t i = 0; i < all->count; i++) {
        enum pn_status status =
            tracker_client_demand(all->list[i].core, job, port, slots, needs, clock_now_ms());
        last = status != PN_OK ? status : last;
    }
    settle(all);
    return last;
}

enum pn_status trackers_query(struct trackers *all, const struct digest *job)
{
    enum pn_status last = PN_OK;
    for (uint32_t i = 0; i < all->count; i++) {
        enum pn_status status = tracker_client_query(all->list[i].core, job);
        last = status != PN_OK ? status : last;
    }
    settle(all);
    return last;
}

uint32_t trackers_count(const struct trackers *all) { return all->count; }

static bool is_ready(const struct tracker *t)
{
    return tracker_client_state(t->core) == TRACKER_CLIENT_READY;
}

uint32_t trackers_ready_count(const struct trackers *all)
{
    uint32_t ready = 0;
    for (uint32_t i = 0; i < all->count; i++) {
        ready += is_ready(&all->list[i]);
    }
    return ready;
}

uint32_t trackers_best(const struct trackers *all)
{
    uint32_t i = 0;
    while (i < all->count && !is_ready(&all->list[i])) {
        i++;
    }
    return i < all->count ? i : 0;
}

bool trackers_on_lan(const struct trackers *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        if (is_ready(&all->list[i]) && addr_is_lan(&all->list[i].remote)) {
            return true;
        }
    }
    return false;
}

void trackers_why(const struct trackers *all, uint32_t index, const struct digest *job,
                  struct tracker_why *out)
{
    assert(index < all->count);
    tracker_client_why(all->list[index].core, job, clock_now_ms(), out);
}
