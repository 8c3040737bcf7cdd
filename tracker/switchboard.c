#include "tracker/switchboard.h"

#include "tracker/caller.h"
#include "tracker/fifo.h"

#include <stdlib.h>

struct line {
    struct fifo_link waiting; /* in the queue of its state */
    uint64_t since_ms;
    uint32_t conn; /* in the registry */
    struct caller caller;
};

enum { STATES = CALLER_LINGERING + 1 };

struct switchboard {
    struct switchboard_ops ops;
    void *arg;
    struct registry *registry;
    struct registry_actions actions;
    struct pool lines;
    struct fifo waiting[STATES]; /* by enum caller_state: who waits longest comes first */
    uint32_t congested;          /* the last link whose answers are not taken */
    uint32_t *link_of;           /* by connection in the registry; owned */
    uint32_t link_of_cap;
};

static struct line *line_at(const struct switchboard *s, uint32_t link)
{
    return pool_at(&s->lines, link);
}

struct switchboard *switchboard_new(const struct registry_config *config,
                                    const struct switchboard_ops *ops, void *arg, uint64_t now_ms)
{
    struct switchboard *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->ops = *ops;
    s->arg = arg;
    pool_init(&s->lines, sizeof(struct line), config->connection_count_max);
    for (int state = 0; state < STATES; state++) {
        fifo_init(&s->waiting[state], &s->lines, offsetof(struct line, waiting));
    }
    struct registry_config kept = *config;
    kept.list_unverified = config->list_unverified || ops->dial == NULL;
    s->registry = registry_new(&kept, now_ms);
    if (s->registry == NULL) {
        switchboard_free(s);
        return NULL;
    }
    return s;
}

void switchboard_free(struct switchboard *s)
{
    if (s == NULL) {
        return;
    }
    for (int state = 0; state < STATES; state++) {
        struct fifo *queue = &s->waiting[state];
        for (uint32_t link = queue->first; link != POOL_NONE; link = fifo_next(queue, link)) {
            caller_fini(&line_at(s, link)->caller);
        }
    }
    registry_free(s->registry);
    pool_fini(&s->lines);
    free(s->link_of);
    free(s);
}

static void send_line(struct switchboard *s, uint32_t link, enum trackline_manner manner,
                      const struct trackline *line)
{
    char text[TRACKLINE_TEXT_BYTES];
    size_t len = trackline_write(manner, line, text);
    if (!s->ops.send(s->arg, link, (struct pn_bytes){(const uint8_t *)text, len})) {
        s->congested = link;
    }
}

/* Lets the registry take one event and carries out what it says. */
static void step(struct switchboard *s, const struct registry_event *ev)
{
    registry_step(s->registry, ev, &s->actions);
    for (size_t i = 0; i < s->actions.says.count; i++) {
        const struct say *say = &s->actions.says.say[i];
        send_line(s, s->link_of[say->conn], say->manner, &say->line);
    }
    if (s->actions.dial_back) {
        s->ops.dial(s->arg, &s->actions.dial);
    }
}

static void wait_anew(struct switchboard *s, uint32_t link, enum caller_state from, uint64_t now_ms)
{
    struct line *line = line_at(s, link);
    fifo_remove(&s->waiting[from], link);
    fifo_push(&s->waiting[line->caller.state], link);
    line->since_ms = now_ms;
}

/* It is forgotten when its answer is out. Its socket is open until then, and counts. */
static void linger(struct switchboard *s, uint32_t link, enum caller_state from, bool quiet,
                   uint64_t now_ms)
{
    struct line *line = line_at(s, link);
    step(s,
         &(struct registry_event){.kind = REGISTRY_FINISH, .now_ms = now_ms, .conn = line->conn});
    line->caller.state = CALLER_LINGERING;
    wait_anew(s, link, from, now_ms);
    s->ops.finish(s->arg, link, quiet);
}

static void forget(struct switchboard *s, uint32_t link, uint64_t now_ms)
{
    struct line *line = line_at(s, link);
    step(s, &(struct registry_event){
                .kind = REGISTRY_DISCONNECT, .now_ms = now_ms, .conn = line->conn});
    fifo_remove(&s->waiting[line->caller.state], link);
    caller_fini(&line->caller);
    pool_give(&s->lines, link);
}

/* Room to find a connection's link: as many as the pool of links could hold. */
static enum pn_status reserve_link_of(struct switchboard *s)
{
    if (s->link_of_cap >= s->lines.cap && s->link_of != NULL) {
        return PN_OK;
    }
    uint32_t *grown = realloc(s->link_of, s->lines.cap * sizeof *grown);
    if (grown == NULL) {
        return PN_E_NO_MEMORY;
    }
    s->link_of = grown;
    s->link_of_cap = s->lines.cap;
    return PN_OK;
}

enum pn_status switchboard_connected(struct switchboard *s, const struct addr *addr,
                                     uint64_t now_ms, uint32_t *link, struct pn_err *err)
{
    enum pn_status status = pool_take(&s->lines, link);
    if (status != PN_OK) {
        return pn_fail(err, status, "the tracker is full");
    }
    status = reserve_link_of(s);
    if (status == PN_OK) {
        step(s,
             &(struct registry_event){.kind = REGISTRY_CONNECT, .now_ms = now_ms, .addr = *addr});
        if (s->actions.refused) {
            status = pn_fail(err, PN_E_BUSY, "%s", s->actions.says.err.text);
        }
    }
    if (status != PN_OK) {
        pool_give(&s->lines, *link);
        return status;
    }
    struct line *line = line_at(s, *link);
    caller_init(&line->caller);
    line->conn = s->actions.conn;
    line->since_ms = now_ms;
    s->link_of[line->conn] = *link;
    fifo_push(&s->waiting[CALLER_FIRST], *link);
    return PN_OK;
}

static void answer_wrong(struct switchboard *s, uint32_t link, enum caller_state from,
                         const struct pn_err *err)
{
    const struct trackline line = {.kind = TRACKLINE_ERROR, .text = pn_bytes_str(err->text)};
    send_line(s, link, from == CALLER_FIRST ? TRACKLINE_ONE_SHOT_ANSWER : TRACKLINE_ANSWER, &line);
}

size_t switchboard_received(struct switchboard *s, uint32_t link, struct pn_bytes bytes,
                            uint64_t now_ms)
{
    const size_t len = bytes.len;
    s->congested = POOL_NONE;
    while (s->congested != link) {
        /* looked up again each time: an answer may have dropped this link or moved the pool */
        struct line *line = line_at(s, link);
        const enum caller_state from = line->caller.state;
        if (from == CALLER_LINGERING) {
            return len;
        }
        struct trackline said;
        enum trackline_manner manner;
        struct pn_err err;
        switch (caller_take(&line->caller, &bytes, &said, &manner, &err)) {
        case CALLER_MORE:
            return len;
        case CALLER_WRONG:
            answer_wrong(s, link, from, &err);
            linger(s, link, from, false, now_ms);
            return len;
        case CALLER_LINE:
            break;
        }
        wait_anew(s, link, from, now_ms);
        step(s, &(struct registry_event){.kind = REGISTRY_LINE,
                                         .now_ms = now_ms,
                                         .conn = line->conn,
                                         .manner = manner,
                                         .line = &said});
        if (line_at(s, link)->caller.state == CALLER_FIRST) { /* and its last */
            bool quiet = line_at(s, link)->caller.ended_line && bytes.len == 0;
            linger(s, link, from, quiet, now_ms);
        }
    }
    return len - bytes.len;
}

void switchboard_ended(struct switchboard *s, uint32_t link, uint64_t now_ms)
{
    enum caller_state state = line_at(s, link)->caller.state;
    if (state != CALLER_LINGERING) {
        linger(s, link, state, true, now_ms);
    }
}

void switchboard_closed(struct switchboard *s, uint32_t link, uint64_t now_ms)
{
    forget(s, link, now_ms);
}

void switchboard_dialled(struct switchboard *s, const struct addr *addr, uint64_t token,
                         uint64_t now_ms)
{
    step(s, &(struct registry_event){
                .kind = REGISTRY_DIALLED, .now_ms = now_ms, .addr = *addr, .token = token});
}

static uint64_t due_ms(const struct switchboard *s, enum caller_state state)
{
    uint32_t first = s->waiting[state].first;
    return first == POOL_NONE ? UINT64_MAX
                              : line_at(s, first)->since_ms + caller_patience_ms(state);
}

void switchboard_tick(struct switchboard *s, uint64_t now_ms)
{
    for (int state = 0; state < STATES; state++) {
        while (due_ms(s, (enum caller_state)state) <= now_ms) {
            uint32_t link = s->waiting[state].first;
            forget(s, link, now_ms);
            s->ops.drop(s->arg, link);
        }
    }
    if (registry_deadline_ms(s->registry) <= now_ms) {
        step(s, &(struct registry_event){.kind = REGISTRY_TICK, .now_ms = now_ms});
    }
}

uint64_t switchboard_deadline_ms(const struct switchboard *s)
{
    uint64_t deadline = registry_deadline_ms(s->registry);
    for (int state = 0; state < STATES; state++) {
        uint64_t due = due_ms(s, (enum caller_state)state);
        deadline = due < deadline ? due : deadline;
    }
    return deadline;
}

struct registry_stats switchboard_stats(const struct switchboard *s)
{
    return registry_stats(s->registry);
}
