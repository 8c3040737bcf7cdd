/* What the links of a process share, and the one timer that minds their deadlines. */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "common/clock_sys.h"
#include "common/link_internal.h"

enum {
    CONNECT_MS = 10 * 1000,
    SWEEP_MS = 250, /* how late a deadline may be noticed */
};

/* One timer for all links: a sweep over them costs less than a timer each. */
struct sweep {
    uv_timer_t timer;
    struct link_context *context;
};

/* --- the links and their deadlines --- */

/* A link that fails in its turn stays in the list until its handle is closed, in a later turn. */
static void on_sweep(uv_timer_t *timer)
{
    const struct sweep *sweep = timer->data;
    uint64_t now_ms = clock_now_ms();
    for (struct link *l = sweep->context->links; l != NULL; l = l->next) {
        link_tick(l, now_ms);
    }
}

static enum pn_status start_sweep(struct link_context *c, uv_loop_t *loop)
{
    if (c->sweep != NULL) {
        assert(c->sweep->timer.loop == loop);
        return PN_OK;
    }
    struct sweep *sweep = calloc(1, sizeof *sweep);
    if (sweep == NULL) {
        return PN_E_NO_MEMORY;
    }
    sweep->context = c;
    (void)uv_timer_init(loop, &sweep->timer);
    sweep->timer.data = sweep;
    (void)uv_timer_start(&sweep->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    c->sweep = sweep;
    return PN_OK;
}

static void on_sweep_closed(uv_handle_t *h) { free(h->data); }

static void stop_sweep(struct link_context *c)
{
    uv_close((uv_handle_t *)&c->sweep->timer, on_sweep_closed);
    c->sweep = NULL;
}

enum pn_status link_context_enter(struct link_context *c, uv_loop_t *loop, struct link *l)
{
    if (start_sweep(c, loop) != PN_OK) {
        return PN_E_NO_MEMORY;
    }
    l->next = c->links;
    if (l->next != NULL) {
        l->next->previous = l;
    }
    c->links = l;
    return PN_OK;
}

void link_context_leave(struct link_context *c, struct link *l)
{
    if (l->previous == NULL) {
        c->links = l->next;
    } else {
        l->previous->next = l->next;
    }
    if (l->next != NULL) {
        l->next->previous = l->previous;
    }
    if (c->links == NULL) {
        stop_sweep(c);
    }
}

/* --- what links share --- */

enum pn_status link_context_new(const struct key_pair *key, struct link_context **out,
                                struct pn_err *err)
{
    struct link_context *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "no memory for links");
    }
    enum pn_status status = tls_identity_new(key, &c->identity, err);
    if (status != PN_OK) {
        free(c);
        return status;
    }
    c->hello.version = HELLO_VERSION;
    c->times = (struct link_times){
        CONNECT_MS,
        {SESSION_HELLO_MS, SESSION_FRAME_MS, SESSION_KEEPALIVE_MS, SESSION_DEAD_MS},
    };
    (void)signal(SIGPIPE, SIG_IGN);
    *out = c;
    return PN_OK;
}

void link_context_free(struct link_context *c)
{
    if (c == NULL) {
        return;
    }
    assert(c->links == NULL);
    tls_identity_free(c->identity);
    free(c->reserve);
    free(c);
}

const struct digest *link_context_peer_id(const struct link_context *c)
{
    return tls_identity_peer_id(c->identity);
}

void link_context_set_hello(struct link_context *c, const struct hello *hello)
{
    c->hello = *hello;
}

void link_context_set_times(struct link_context *c, const struct link_times *times)
{
    c->times = *times;
}
