#include "tracker/dialback_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/key.h"
#include "common/link_uv.h"
#include "common/log_sys.h"
#include "common/random_sys.h"

/* One address being asked. */
struct call {
    struct dialback *of;
    struct link *link; /* NULL: it could not even begin, which is to be told from the loop */
    struct addr addr;
    uint64_t token;
    bool used;
};

struct dialback {
    uv_loop_t *loop;
    struct link_context *context;
    dialback_on_done *on_done;
    void *arg;
    uv_idle_t tell;
    bool closing;
    uint32_t call_count;
    struct call calls[];
};

static void on_up(struct link *l, void *arg, const struct digest *peer, const struct hello *hello)
{
    struct call *c = arg;
    (void)peer;
    c->token = hello->token;
    link_close(l);
}

static enum pn_status on_frame(struct link *l, void *arg, const struct frame *f, struct pn_err *err)
{
    (void)l;
    (void)arg;
    (void)f;
    (void)err;
    return PN_OK; /* it does not know that we are about to leave */
}

static void done(struct call *c)
{
    struct dialback *d = c->of;
    const struct addr addr = c->addr;
    const uint64_t token = c->token;
    c->used = false;
    if (!d->closing) {
        d->on_done(d->arg, &addr, token);
    }
}

static void on_closed(struct link *l, void *arg, enum pn_status why, const char *reason)
{
    struct call *c = arg;
    char text[ADDR_TEXT_BYTES];
    (void)l;
    if (why != PN_OK) {
        log_write(LOG_DEBUG, "tracker", "dial-back to %s: %s", addr_text(&c->addr, text), reason);
    }
    done(c);
}

static void tell_failed(uv_idle_t *idle)
{
    struct dialback *d = idle->data;
    (void)uv_idle_stop(idle);
    for (uint32_t i = 0; i < d->call_count; i++) {
        if (d->calls[i].used && d->calls[i].link == NULL) {
            done(&d->calls[i]); /* which may begin the next call, in this very place */
        }
    }
}

void dialback_dial(struct dialback *d, const struct addr *addr)
{
    static const struct link_callbacks CALLBACKS = {
        .on_up = on_up, .on_frame = on_frame, .on_closed = on_closed};
    struct call *c = d->calls;
    while (c->used) {
        c++;
        assert(c < d->calls + d->call_count);
    }
    *c = (struct call){.of = d, .addr = *addr, .used = true};
    struct pn_err err;
    if (link_dial(d->context, d->loop, addr, NULL, 0, &CALLBACKS, c, &c->link, &err) != PN_OK) {
        log_write(LOG_DEBUG, "tracker", "dial-back: %s", err.text);
        c->link = NULL;
        (void)uv_idle_start(&d->tell, tell_failed);
    }
}

static enum pn_status make_context(struct dialback *d, struct pn_err *err)
{
    uint8_t seed[SECRET_SEED_BYTES];
    random_fill(seed, sizeof seed);
    struct key_pair *key = key_pair_new(seed);
    explicit_bzero(seed, sizeof seed);
    if (key == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    enum pn_status status = link_context_new(key, &d->context, err);
    key_pair_free(key);
    if (status != PN_OK) {
        return status;
    }
    const struct hello hello = {
        .version = HELLO_VERSION, .roles = HELLO_TRACKER, .machine_class = "tracker"};
    const struct link_times times = {
        .connect_ms = DIALBACK_CONNECT_MS,
        .session = {.hello_ms = DIALBACK_HELLO_MS,
                    .frame_ms = DIALBACK_HELLO_MS,
                    .keepalive_ms = SESSION_KEEPALIVE_MS,
                    .dead_ms = SESSION_DEAD_MS},
    };
    link_context_set_hello(d->context, &hello);
    link_context_set_times(d->context, &times);
    return PN_OK;
}

enum pn_status dialback_open(uv_loop_t *loop, uint32_t calls_max, dialback_on_done *on_done,
                             void *arg, struct dialback **out, struct pn_err *err)
{
    struct dialback *d = calloc(1, sizeof *d + calls_max * sizeof d->calls[0]);
    if (d == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    d->loop = loop;
    d->on_done = on_done;
    d->arg = arg;
    d->call_count = calls_max;
    enum pn_status status = make_context(d, err);
    if (status != PN_OK) {
        free(d);
        return status;
    }
    (void)uv_idle_init(loop, &d->tell);
    d->tell.data = d;
    *out = d;
    return PN_OK;
}

void dialback_close(struct dialback *d)
{
    if (d == NULL || d->closing) {
        return;
    }
    d->closing = true;
    for (uint32_t i = 0; i < d->call_count; i++) {
        if (d->calls[i].used && d->calls[i].link != NULL) {
            link_close(d->calls[i].link);
        }
    }
    uv_close((uv_handle_t *)&d->tell, NULL);
}

void dialback_free(struct dialback *d)
{
    if (d != NULL) {
        link_context_free(d->context);
        free(d);
    }
}
