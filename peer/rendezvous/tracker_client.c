#include "peer/rendezvous/tracker_client.h"

#include "peer/rendezvous/tracker_wants.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    NAME_BYTES = 128,
    PENDING_MAX = 2048, /* requests without an answer; more are said when these are answered */
    KEEPALIVE_S_MIN = 5,
    KEEPALIVE_S_MAX = 60, /* NATs forget earlier than some trackers think */
    LOST_EXPONENT = 2,    /* a lost connection: everybody else lost theirs too, spread over 4 s */
};

struct tracker_client {
    char name[NAME_BYTES];
    struct tracker_client_ops ops;
    void *arg;
    struct random random;
    uint64_t proof;

    enum tracker_client_state state;
    uint64_t dialled_ms;  /* when the last dial began */
    uint64_t deadline_ms; /* of this state; READY: when PING or its answer is due */
    uint64_t since_ms;    /* when it began to answer, or not to */
    uint32_t failures;    /* in a row */
    bool started;
    bool strange; /* the last failure: it answered, but not as a tracker */
    bool pinged;
    bool calling; /* in a callback: what is stated is said afterwards */
    char reason[PN_ERR_TEXT_BYTES];
    char refusal[PN_ERR_TEXT_BYTES]; /* the last BUSY, until an OK */

    struct tracker_wants wants;
    uint64_t keepalive_ms;
    uint64_t ttl_ms;     /* granted */
    uint64_t renew_ms;   /* when the entries are informed anew */
    uint64_t restate_ms; /* when unmet demand is stated anew */
    uint32_t idle_peers;

    uint8_t pending[PENDING_MAX]; /* kinds of the requests that wait for an answer: a ring */
    uint32_t pending_first;
    uint32_t pending_count;

    char line[TRACKLINE_TEXT_BYTES];
    size_t line_len;
    struct addr peers[TRACKER_CLIENT_PEERS_MAX]; /* the list that is arriving */
    size_t peer_count;
};

struct tracker_client *tracker_client_new(const char *name, uint64_t proof,
                                          const struct tracker_client_ops *ops, void *arg,
                                          uint64_t seed)
{
    struct tracker_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    c->ops = *ops;
    c->arg = arg;
    c->proof = proof;
    random_seed(&c->random, seed);
    tracker_wants_init(&c->wants);
    (void)snprintf(c->reason, sizeof c->reason, "not asked yet");
    return c;
}

void tracker_client_free(struct tracker_client *c)
{
    if (c != NULL) {
        tracker_wants_fini(&c->wants);
        free(c);
    }
}

/* --- saying --- */

static void say(struct tracker_client *c, enum trackline_manner manner,
                const struct trackline *line)
{
    char text[TRACKLINE_TEXT_BYTES];
    size_t len = trackline_write(manner, line, text);
    c->ops.send(c->arg, (struct pn_bytes){(const uint8_t *)text, len});
}

/* A request: it will be answered. */
static void request(struct tracker_client *c, const struct trackline *line)
{
    assert(c->pending_count < PENDING_MAX);
    c->pending[(c->pending_first + c->pending_count++) % PENDING_MAX] = (uint8_t)line->kind;
    say(c, TRACKLINE_REQUEST, line);
}

/* Brings the tracker up to date; what is too much now is said when answers have come. */
static void update(struct tracker_client *c)
{
    struct trackline line;
    if (c->state != TRACKER_CLIENT_READY || c->calling) {
        return;
    }
    /* the last place is for PING */
    while (c->pending_count < PENDING_MAX - 1 && tracker_wants_next(&c->wants, &line)) {
        line.ttl_s = TRACKER_CLIENT_TTL_S;
        line.count = TRACKER_CLIENT_PEERS_MAX;
        request(c, &line);
    }
}

/* --- the connection --- */

static void dial(struct tracker_client *c, uint64_t now_ms)
{
    c->state = TRACKER_CLIENT_DIALLING;
    c->dialled_ms = now_ms;
    c->deadline_ms = now_ms + TRACKER_CLIENT_ANSWER_MS;
    c->ops.dial(c->arg);
}

void tracker_client_start(struct tracker_client *c, uint64_t now_ms)
{
    c->started = true;
    c->since_ms = now_ms;
    dial(c, now_ms);
}

static void pause_for(struct tracker_client *c, const char *reason, uint64_t now_ms)
{
    bool was_ready = c->state == TRACKER_CLIENT_READY;
    uint32_t exponent = was_ready ? LOST_EXPONENT : c->failures;
    if (was_ready) {
        c->since_ms = now_ms;
        c->failures = LOST_EXPONENT;
    }
    c->failures += c->failures < 16;
    c->strange = false;
    (void)snprintf(c->reason, sizeof c->reason, "%s", reason);
    c->state = TRACKER_CLIENT_PAUSING;
    /* A dial in vain is part of the pause: a tracker that is back waits for neither's end. */
    uint64_t due_ms = (was_ready ? now_ms : c->dialled_ms) +
                      random_backoff(&c->random, TRACKER_CLIENT_BACKOFF_MS, exponent,
                                     TRACKER_CLIENT_BACKOFF_MAX_MS);
    c->deadline_ms = due_ms > now_ms ? due_ms : now_ms;
    c->pending_count = 0;
    c->line_len = 0;
    c->peer_count = 0;
    c->pinged = false;
    tracker_wants_reask(&c->wants);
}

void tracker_client_lost(struct tracker_client *c, const char *reason, uint64_t now_ms)
{
    if (c->state != TRACKER_CLIENT_PAUSING) {
        pause_for(c, reason, now_ms);
    }
}

static void give_up(struct tracker_client *c, const char *reason, uint64_t now_ms)
{
    const bool strange = c->state != TRACKER_CLIENT_DIALLING;
    c->ops.hang_up(c->arg);
    pause_for(c, reason, now_ms);
    c->strange = strange;
}

void tracker_client_connected(struct tracker_client *c, uint64_t now_ms)
{
    assert(c->state == TRACKER_CLIENT_DIALLING);
    c->state = TRACKER_CLIENT_GREETING;
    c->deadline_ms = now_ms + TRACKER_CLIENT_ANSWER_MS;
    char proof[TRACKLINE_WORD_BYTES];
    struct trackline hello = {.kind = TRACKLINE_HELLO};
    if (c->proof != 0) {
        (void)snprintf(proof, sizeof proof, "proof=%llu", (unsigned long long)c->proof);
        hello.words = pn_bytes_str(proof);
    }
    say(c, TRACKLINE_ONE_SHOT, &hello); /* a connection's first line */
}

/* The connection is good: everything is said anew. */
static void greeted(struct tracker_client *c, const struct trackline *hello, uint64_t now_ms)
{
    uint64_t keepalive_s = hello->keepalive_s;
    keepalive_s = keepalive_s < KEEPALIVE_S_MIN ? KEEPALIVE_S_MIN : keepalive_s;
    keepalive_s = keepalive_s > KEEPALIVE_S_MAX ? KEEPALIVE_S_MAX : keepalive_s;
    uint64_t ttl_s = hello->ttl_s < TRACKER_CLIENT_TTL_S ? hello->ttl_s : TRACKER_CLIENT_TTL_S;
    c->ttl_ms = ttl_s * 1000;
    c->state = TRACKER_CLIENT_READY;
    c->since_ms = now_ms;
    c->failures = 0;
    c->keepalive_ms = keepalive_s * 1000;
    c->deadline_ms = now_ms + c->keepalive_ms;
    c->renew_ms = now_ms + c->ttl_ms / 3;
    c->restate_ms = now_ms + TRACKER_CLIENT_RESTATE_MS;
    c->refusal[0] = '\0';
    tracker_wants_retell(&c->wants);
    if (c->ops.on_address != NULL) {
        c->ops.on_address(c->arg, &hello->addr);
    }
}

/* --- hearing --- */

static bool pending_is(const struct tracker_client *c, enum trackline_kind kind)
{
    return c->pending_count > 0 && c->pending[c->pending_first] == (uint8_t)kind;
}

static void pending_pop(struct tracker_client *c)
{
    c->pending_first = (c->pending_first + 1) % PENDING_MAX;
    c->pending_count--;
}

/* The first query was asked first: its answer is here, or there is none. */
static void answer_query(struct tracker_client *c, uint32_t known)
{
    struct digest job = tracker_wants_answered(&c->wants);
    size_t count = c->peer_count;
    pending_pop(c);
    c->peer_count = 0;
    c->ops.on_peers(c->arg, &job, c->peers, count, known);
}

static bool hear_ok(struct tracker_client *c, uint32_t count)
{
    if (c->pending_count == 0 || pending_is(c, TRACKLINE_QUERY)) {
        return false;
    }
    if (pending_is(c, TRACKLINE_DEMAND)) {
        c->idle_peers = count;
        c->refusal[0] = '\0';
    }
    pending_pop(c);
    return true;
}

/* Refused for now: everything is stated again with the next renewal at the latest. */
static bool hear_busy(struct tracker_client *c, const struct trackline *line, uint64_t now_ms)
{
    if (c->pending_count == 0) {
        return false;
    }
    (void)snprintf(c->refusal, sizeof c->refusal, "%.*s", (int)line->text.len,
                   (const char *)line->text.ptr);
    uint64_t again_ms = now_ms + (uint64_t)line->seconds * 1000;
    c->renew_ms = again_ms < c->renew_ms ? again_ms : c->renew_ms;
    if (pending_is(c, TRACKLINE_QUERY)) {
        answer_query(c, 0);
    } else {
        pending_pop(c);
    }
    return true;
}

static void hear_hire(struct tracker_client *c, const struct trackline *line)
{
    bool take = c->ops.on_hire(c->arg, &line->addr, &line->job.id);
    say(c, TRACKLINE_REQUEST,
        &(struct trackline){.kind = take ? TRACKLINE_TAKE : TRACKLINE_PASS, .token = line->token});
}

static bool hear_peer(struct tracker_client *c, const struct trackline *line)
{
    if (!pending_is(c, TRACKLINE_QUERY) || c->peer_count == TRACKER_CLIENT_PEERS_MAX) {
        return false;
    }
    c->peers[c->peer_count++] = line->addr;
    return true;
}

/* False: it makes no sense here. */
static bool hear(struct tracker_client *c, const struct trackline *line, uint64_t now_ms)
{
    if (c->state == TRACKER_CLIENT_GREETING) {
        if (line->kind == TRACKLINE_HELLO) {
            greeted(c, line, now_ms);
        }
        return line->kind == TRACKLINE_HELLO;
    }
    switch (line->kind) {
    case TRACKLINE_OK:
        return hear_ok(c, line->count);
    case TRACKLINE_PEER:
        return hear_peer(c, line);
    case TRACKLINE_END:
        if (pending_is(c, TRACKLINE_QUERY)) {
            answer_query(c, line->known);
            return true;
        }
        return false;
    case TRACKLINE_HIRE:
        hear_hire(c, line);
        return true;
    case TRACKLINE_PONG:
        if (pending_is(c, TRACKLINE_PING)) {
            pending_pop(c);
            return true;
        }
        return false;
    case TRACKLINE_BUSY:
        return hear_busy(c, line, now_ms);
    case TRACKLINE_WANT: /* the answer to a question that we do not ask */
    case TRACKLINE_HELLO:
    case TRACKLINE_ERROR: /* see hear_line */
    case TRACKLINE_INFORM:
    case TRACKLINE_DELETE:
    case TRACKLINE_QUERY:
    case TRACKLINE_IDLE:
    case TRACKLINE_DEMAND:
    case TRACKLINE_TAKE:
    case TRACKLINE_PASS:
    case TRACKLINE_PING:
        break;
    }
    return false;
}

static void hear_line(struct tracker_client *c, struct pn_bytes text, uint64_t now_ms)
{
    struct trackline line;
    struct pn_err err;
    if (trackline_parse(TRACKLINE_ANSWER, text, &line, &err) != PN_OK) {
        pn_err_wrap(&err, "answers garbage");
        give_up(c, err.text, now_ms);
        return;
    }
    if (line.kind == TRACKLINE_ERROR) {
        (void)pn_fail(&err, PN_E_DENIED, "refuses: %.*s", (int)line.text.len,
                      (const char *)line.text.ptr);
        give_up(c, err.text, now_ms);
        return;
    }
    c->calling = true;
    bool good = hear(c, &line, now_ms);
    c->calling = false;
    if (!good) {
        (void)pn_fail(&err, PN_E_MALFORMED, "answers what was not asked: %.*s",
                      (int)(text.len < 40 ? text.len : 40), (const char *)text.ptr);
        give_up(c, err.text, now_ms);
        return;
    }
    if (c->state == TRACKER_CLIENT_READY) {
        c->pinged = false;
        c->deadline_ms = now_ms + c->keepalive_ms;
    }
}

void tracker_client_received(struct tracker_client *c, struct pn_bytes bytes, uint64_t now_ms)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (c->state != TRACKER_CLIENT_GREETING && c->state != TRACKER_CLIENT_READY) {
            return; /* it was given up in the middle */
        }
        if (bytes.ptr[i] == '\n') {
            size_t len = c->line_len;
            c->line_len = 0;
            hear_line(c, (struct pn_bytes){(const uint8_t *)c->line, len}, now_ms);
        } else if (c->line_len == TRACKLINE_BYTES_MAX) {
            give_up(c, "answers garbage: a line without end", now_ms);
        } else {
            c->line[c->line_len++] = (char)bytes.ptr[i];
        }
    }
    update(c);
}

/* --- stating --- */

enum pn_status tracker_client_serve(struct tracker_client *c, const struct digest *job,
                                    uint16_t port)
{
    enum pn_status status = tracker_wants_serve(&c->wants, job, port);
    update(c);
    return status;
}

enum pn_status tracker_client_idle(struct tracker_client *c, uint16_t slots,
                                   struct pn_bytes abilities)
{
    enum pn_status status = tracker_wants_idle(&c->wants, slots, abilities);
    update(c);
    return status;
}

enum pn_status tracker_client_demand(struct tracker_client *c, const struct digest *job,
                                     uint16_t port, uint16_t slots, struct pn_bytes needs,
                                     uint64_t now_ms)
{
    enum pn_status status = tracker_wants_demand(&c->wants, job, port, slots, needs, now_ms);
    update(c);
    return status;
}

enum pn_status tracker_client_query(struct tracker_client *c, const struct digest *job)
{
    enum pn_status status = tracker_wants_query(&c->wants, job);
    update(c);
    return status;
}

/* --- time --- */

static void ping(struct tracker_client *c, uint64_t now_ms)
{
    if (c->pinged) {
        give_up(c, "does not answer any more", now_ms);
        return;
    }
    request(c, &(struct trackline){.kind = TRACKLINE_PING});
    c->pinged = true;
    c->deadline_ms = now_ms + TRACKER_CLIENT_ANSWER_MS;
}

static void tick_ready(struct tracker_client *c, uint64_t now_ms)
{
    if (c->renew_ms <= now_ms) {
        uint64_t third_ms = c->ttl_ms / 3;
        c->renew_ms = now_ms + third_ms - random_below(&c->random, third_ms / 4 + 1);
        tracker_wants_retell(&c->wants);
    }
    if (c->restate_ms <= now_ms) {
        c->restate_ms = now_ms + TRACKER_CLIENT_RESTATE_MS;
        tracker_wants_retell_demands(&c->wants);
    }
    update(c);
    if (c->deadline_ms <= now_ms) {
        ping(c, now_ms);
    }
}

void tracker_client_tick(struct tracker_client *c, uint64_t now_ms)
{
    if (now_ms < tracker_client_deadline_ms(c)) {
        return;
    }
    switch (c->state) {
    case TRACKER_CLIENT_PAUSING:
        dial(c, now_ms);
        return;
    case TRACKER_CLIENT_DIALLING:
        give_up(c, "does not answer", now_ms);
        return;
    case TRACKER_CLIENT_GREETING:
        give_up(c, "does not answer HELLO; is it a Preon tracker?", now_ms);
        return;
    case TRACKER_CLIENT_READY:
        tick_ready(c, now_ms);
        return;
    }
}

uint64_t tracker_client_deadline_ms(const struct tracker_client *c)
{
    if (!c->started) {
        return UINT64_MAX;
    }
    uint64_t due = c->deadline_ms;
    if (c->state == TRACKER_CLIENT_READY) {
        due = c->renew_ms < due ? c->renew_ms : due;
        due = c->restate_ms < due && c->wants.demands.count > 0 ? c->restate_ms : due;
    }
    return due;
}

/* --- telling --- */

enum tracker_client_state tracker_client_state(const struct tracker_client *c) { return c->state; }

void tracker_client_why(const struct tracker_client *c, const struct digest *job, uint64_t now_ms,
                        struct tracker_why *out)
{
    uint64_t since_ms = c->since_ms;
    *out = (struct tracker_why){.for_ms = 0};
    if (c->state != TRACKER_CLIENT_READY) {
        out->strange = c->strange;
        (void)snprintf(out->cause, sizeof out->cause, "tracker %s: %s", c->name,
                       c->reason[0] != '\0' ? c->reason : "has not answered yet");
        (void)snprintf(out->remedy, sizeof out->remedy, "%s",
                       strstr(c->reason, "refused") != NULL ? "start `preon tracker` there" : "");
    } else if (job != NULL && !tracker_wants_waiting(&c->wants, job, &since_ms)) {
        return;
    } else if (job != NULL && c->refusal[0] != '\0') {
        (void)snprintf(out->cause, sizeof out->cause, "tracker %s refuses for now: %s", c->name,
                       c->refusal);
    } else if (job != NULL && c->idle_peers == 0) {
        (void)snprintf(out->cause, sizeof out->cause, "no idle peer at tracker %s", c->name);
        (void)snprintf(out->remedy, sizeof out->remedy, "start `preon peer`");
    } else if (job != NULL) {
        (void)snprintf(out->cause, sizeof out->cause,
                       "%u idle peer%s at tracker %s, but none has taken the job", c->idle_peers,
                       c->idle_peers == 1 ? "" : "s", c->name);
        (void)snprintf(out->remedy, sizeof out->remedy,
                       "do they allow it, and its limits, and can they reach this machine?");
    }
    out->for_ms = now_ms > since_ms ? now_ms - since_ms : 0;
}
