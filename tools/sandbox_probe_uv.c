#include "tools/sandbox_probe_uv.h"

enum { ANSWER_WITHIN_MS = 5000 };

struct probe {
    uv_timer_t deadline;
    struct sandbox *sandbox;
    struct sandbox_state state;
};

static void finish(struct probe *p)
{
    sandbox_close(p->sandbox);
    p->sandbox = NULL;
    uv_close((uv_handle_t *)&p->deadline, NULL);
}

static void on_state(void *arg, const struct sandbox_state *state)
{
    struct probe *p = arg;
    if (state->ready) {
        p->state = *state;
        finish(p);
    }
}

static void on_deadline(uv_timer_t *timer) { finish(timer->data); }

enum pn_status sandbox_probe(const char *launcher_path, struct sandbox_state *out,
                             struct pn_err *err)
{
    uv_loop_t loop;
    struct probe p = {.sandbox = NULL};
    const struct sandbox_options options = {.launcher_path = launcher_path,
                                            .tier_most = SANDBOX_FULL,
                                            .slot_count = 1,
                                            .caps = LIMITS_MAX};
    int rc = uv_loop_init(&loop);
    if (rc != 0) {
        return pn_fail(err, PN_E_SYSTEM, "sandbox: %s", uv_strerror(rc));
    }
    enum pn_status status = sandbox_new(&loop, &options, on_state, &p, &p.sandbox, err);
    if (status == PN_OK) {
        (void)uv_timer_init(&loop, &p.deadline);
        p.deadline.data = &p;
        (void)uv_timer_start(&p.deadline, on_deadline, ANSWER_WITHIN_MS, 0);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    if (status == PN_OK && !p.state.ready) {
        status = pn_fail(err, PN_E_TIMEOUT, "%.100s: does not say what it can do", launcher_path);
    }
    if (status == PN_OK) {
        *out = p.state;
    }
    return status;
}
