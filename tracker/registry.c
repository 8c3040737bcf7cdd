#include "tracker/registry.h"

#include "tracker/hiring.h"
#include "tracker/proofs.h"
#include "tracker/sets.h"

#include <stdlib.h>

/* A connection: 24 bytes here, the caller's come on top. */
struct conn {
    uint64_t proof; /* the token by which its listener is known, 0: none */
    uint32_t host;
    uint32_t idle;    /* in hiring, or POOL_NONE */
    uint32_t demands; /* head of its list in hiring, or POOL_NONE */
    uint16_t port;    /* last one informed: not listed to itself */
};

struct registry {
    struct registry_config config;
    struct random random;
    struct hosts hosts;
    struct pool conns;
    struct sets sets;   /* persistent clients' entries */
    struct sets legacy; /* one-shot clients': listed to one-shot clients only, never hired */
    struct hiring hiring;
    struct proofs proofs;
};

struct registry_config registry_config_default(void)
{
    return (struct registry_config){
        .connection_count_max = 100000,
        .entry_count_max = 1000000,
        .legacy_count_max = 100000,
        .demand_count_max = 20000,
        .dial_count_max = PROOFS_UNDER_WAY_MAX,
        .ttl_s_max = 1800,
        .legacy_ttl_s = 3600,
        .keepalive_s = 45,
        .limits =
            {
                .host_max = {256, 1024, 64},
                .net_max = {1024, 8192, 256},
            },
    };
}

struct registry *registry_new(const struct registry_config *config, uint64_t now_ms)
{
    struct registry *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->config = *config;
    random_seed(&r->random, config->seed);
    hosts_init(&r->hosts, &config->limits,
               config->connection_count_max + config->entry_count_max + config->legacy_count_max,
               random_u64(&r->random));
    pool_init(&r->conns, sizeof(struct conn), config->connection_count_max);
    hiring_init(&r->hiring, &r->hosts, &r->random, config->connection_count_max,
                config->demand_count_max, random_u64(&r->random));
    proofs_init(&r->proofs, config->dial_count_max, random_u64(&r->random));
    uint64_t seed = random_u64(&r->random);
    /* both, so that registry_free finds both */
    enum pn_status status = sets_init(&r->sets, &r->hosts, config->entry_count_max, seed, now_ms);
    enum pn_status legacy_status =
        sets_init(&r->legacy, &r->hosts, config->legacy_count_max, ~seed, now_ms);
    if (status != PN_OK || legacy_status != PN_OK) {
        registry_free(r);
        return NULL;
    }
    return r;
}

void registry_free(struct registry *r)
{
    if (r == NULL) {
        return;
    }
    sets_fini(&r->sets);
    sets_fini(&r->legacy);
    hiring_fini(&r->hiring);
    proofs_fini(&r->proofs);
    pool_fini(&r->conns);
    hosts_fini(&r->hosts);
    free(r);
}

static struct conn *conn_at(const struct registry *r, uint32_t conn)
{
    return pool_at(&r->conns, conn);
}

/* The connection's address with the port that a line names: never an address from the text. */
static struct addr said_addr(const struct registry *r, uint32_t conn, uint16_t port)
{
    struct addr addr = hosts_addr(&r->hosts, conn_at(r, conn)->host);
    addr.port = port;
    return addr;
}

static void connect(struct registry *r, const struct registry_event *ev,
                    struct registry_actions *out)
{
    uint32_t host;
    enum pn_status status =
        hosts_use(&r->hosts, &ev->addr, HOSTS_CONNECTION, &host, &out->says.err);
    if (status == PN_OK) {
        status = pool_take(&r->conns, &out->conn);
        if (status != PN_OK) {
            hosts_release(&r->hosts, host, HOSTS_CONNECTION);
            (void)pn_fail(&out->says.err, status, "the tracker is full");
        }
    }
    out->refused = status != PN_OK;
    if (status == PN_OK) {
        *conn_at(r, out->conn) =
            (struct conn){.host = host, .idle = POOL_NONE, .demands = POOL_NONE};
    }
}

/* Nothing more comes from it and nothing new goes to it; it still counts for its address. */
static void finish(struct registry *r, uint32_t number)
{
    struct conn *conn = conn_at(r, number);
    if (conn->idle != POOL_NONE) {
        hiring_gone(&r->hiring, conn->idle);
    }
    hiring_withdraw(&r->hiring, conn->demands);
    conn->idle = POOL_NONE;
    conn->demands = POOL_NONE;
}

static void disconnect(struct registry *r, uint32_t number)
{
    struct conn *conn = conn_at(r, number);
    finish(r, number);
    hosts_release(&r->hosts, conn->host, HOSTS_CONNECTION);
    pool_give(&r->conns, number);
}

/* How long a client that was refused should wait. */
enum { BUSY_S = 60 };

static void say_ok(struct says *says, const struct registry_event *ev, uint32_t count)
{
    enum trackline_manner manner =
        ev->manner == TRACKLINE_ONE_SHOT ? TRACKLINE_ONE_SHOT_ANSWER : TRACKLINE_ANSWER;
    says_add(says, ev->conn, manner, TRACKLINE_OK)->count = count;
}

/* The one-shot manner has no BUSY. */
static void say_busy(struct says *says, const struct registry_event *ev)
{
    bool one_shot = ev->manner == TRACKLINE_ONE_SHOT;
    struct trackline *line =
        one_shot ? says_add(says, ev->conn, TRACKLINE_ONE_SHOT_ANSWER, TRACKLINE_ERROR)
                 : says_add(says, ev->conn, TRACKLINE_ANSWER, TRACKLINE_BUSY);
    line->seconds = one_shot ? 0 : BUSY_S;
    line->text = pn_bytes_str(says->err.text);
}

static void inform_legacy(struct registry *r, const struct registry_event *ev, struct says *says)
{
    struct addr addr = said_addr(r, ev->conn, ev->line->port);
    if (sets_add(&r->legacy, &ev->line->job, &addr, r->config.legacy_ttl_s, ev->now_ms,
                 &says->err) == PN_OK) {
        say_ok(says, ev, 0);
    } else {
        say_busy(says, ev);
    }
}

static void inform(struct registry *r, const struct registry_event *ev,
                   struct registry_actions *out)
{
    struct addr addr = said_addr(r, ev->conn, ev->line->port);
    uint32_t ttl_s = ev->line->ttl_s < r->config.ttl_s_max ? ev->line->ttl_s : r->config.ttl_s_max;
    if (sets_add(&r->sets, &ev->line->job, &addr, ttl_s, ev->now_ms, &out->says.err) != PN_OK) {
        say_busy(&out->says, ev);
        return;
    }
    conn_at(r, ev->conn)->port = addr.port;
    if (!r->config.list_unverified) {
        uint64_t token = conn_at(r, ev->conn)->proof;
        enum proof proof = proofs_claim(&r->proofs, &addr, &ev->line->job.id, token, ev->now_ms);
        if (proof == PROOF_REACHED || proof == PROOF_UNREACHED) { /* else it stays what it was */
            sets_verify(&r->sets, &ev->line->job, &addr, proof == PROOF_REACHED);
        }
    }
    say_ok(&out->says, ev, ttl_s);
}

static void forget(struct registry *r, struct sets *sets, const struct registry_event *ev,
                   struct says *says)
{
    struct addr addr = said_addr(r, ev->conn, ev->line->port);
    sets_remove(sets, &ev->line->job, &addr);
    say_ok(says, ev, 0);
}

/* The addresses of a sample; returns how many there are in all. */
static uint32_t say_peers(struct registry *r, const struct sets *sets, enum trackline_manner manner,
                          const struct registry_event *ev, const struct sets_asker *asker,
                          uint32_t count_max, struct says *says)
{
    struct sets_sample sample;
    if (count_max > SETS_SAMPLE_MAX) {
        count_max = SETS_SAMPLE_MAX;
    }
    sets_sample(sets, &ev->line->job, count_max, asker, &r->random, &sample);
    for (uint32_t i = 0; i < sample.count; i++) {
        says_add(says, ev->conn, manner, TRACKLINE_PEER)->addr = sample.addrs[i];
    }
    return sample.known;
}

/* To the original's clients: everybody of their kind, themselves included, and no end mark. */
static void query_legacy(struct registry *r, const struct registry_event *ev, struct says *says)
{
    const struct sets_asker asker = {0};
    (void)say_peers(r, &r->legacy, TRACKLINE_ONE_SHOT_ANSWER, ev, &asker, SETS_SAMPLE_MAX, says);
}

static uint32_t idle_peers_beside(const struct registry *r, uint32_t conn)
{
    return hiring_idle_count(&r->hiring) - hiring_is_idle(&r->hiring, conn_at(r, conn)->idle);
}

static void query(struct registry *r, const struct registry_event *ev, struct says *says)
{
    const struct conn *conn = conn_at(r, ev->conn);
    uint32_t known = 0;
    switch (ev->line->job.kind) {
    case TRACKLINE_JOB: {
        struct addr addr = said_addr(r, ev->conn, conn->port);
        const struct sets_asker asker = {
            .addr = addr,
            .public_only = !hosts_is_lan(&r->hosts, conn->host),
            .verified_only = !r->config.list_unverified,
        };
        known = say_peers(r, &r->sets, TRACKLINE_ANSWER, ev, &asker, ev->line->count, says);
        break;
    }
    case TRACKLINE_JOB_IDLE: /* counted, not listed: they only dial out */
        known = idle_peers_beside(r, ev->conn);
        break;
    case TRACKLINE_JOB_HIRING:
        known = r->hiring.demands.count;
        (void)hiring_list(&r->hiring, ev->conn, conn->host,
                          ev->line->count < SETS_SAMPLE_MAX ? ev->line->count : SETS_SAMPLE_MAX,
                          says);
        break;
    }
    uint32_t listed = (uint32_t)says->count;
    struct trackline *end = says_add(says, ev->conn, TRACKLINE_ANSWER, TRACKLINE_END);
    end->count = listed;
    end->known = known;
}

static void idle(struct registry *r, const struct registry_event *ev, struct says *says)
{
    struct conn *conn = conn_at(r, ev->conn);
    if (ev->line->slots == 0) {
        if (conn->idle != POOL_NONE) {
            hiring_busy(&r->hiring, conn->idle);
        }
        say_ok(says, ev, 0);
        return;
    }
    const struct hiring_idle said = {
        .conn = ev->conn,
        .host = conn->host,
        .slots = ev->line->slots,
        .abilities = ev->line->words,
    };
    /* The answer goes before a HIRE that follows from it. */
    say_ok(says, ev, r->hiring.demands.count);
    enum pn_status status = hiring_idle(&r->hiring, &conn->idle, &said, ev->now_ms, says);
    if (status != PN_OK) {
        says->count = 0;
        (void)pn_fail(&says->err, status, "the tracker is full");
        say_busy(says, ev);
    }
}

static void demand(struct registry *r, const struct registry_event *ev, struct says *says)
{
    struct conn *conn = conn_at(r, ev->conn);
    const struct hiring_demand said = {
        .conn = ev->conn,
        .addr = said_addr(r, ev->conn, ev->line->port),
        .slots = ev->line->slots,
        .job = ev->line->job.id,
        .needs = ev->line->words,
    };
    say_ok(says, ev, idle_peers_beside(r, ev->conn));
    if (hiring_demand(&r->hiring, &conn->demands, &said, ev->now_ms, says, &says->err) != PN_OK) {
        says->count = 0;
        say_busy(says, ev);
    }
}

static void request(struct registry *r, const struct registry_event *ev,
                    struct registry_actions *out)
{
    uint32_t idle_number = conn_at(r, ev->conn)->idle;
    struct says *says = &out->says;
    switch (ev->line->kind) {
    case TRACKLINE_INFORM:
        inform(r, ev, out);
        break;
    case TRACKLINE_DELETE:
        forget(r, &r->sets, ev, says);
        break;
    case TRACKLINE_QUERY:
        query(r, ev, says);
        break;
    case TRACKLINE_IDLE:
        idle(r, ev, says);
        break;
    case TRACKLINE_DEMAND:
        demand(r, ev, says);
        break;
    case TRACKLINE_TAKE:
    case TRACKLINE_PASS:
        if (idle_number != POOL_NONE) {
            hiring_answer(&r->hiring, idle_number, ev->line->token,
                          ev->line->kind == TRACKLINE_TAKE, ev->now_ms, says);
        }
        break;
    case TRACKLINE_PING:
        (void)says_add(says, ev->conn, TRACKLINE_ANSWER, TRACKLINE_PONG);
        break;
    case TRACKLINE_HELLO:
    case TRACKLINE_OK:
    case TRACKLINE_PEER:
    case TRACKLINE_WANT:
    case TRACKLINE_END:
    case TRACKLINE_HIRE:
    case TRACKLINE_PONG:
    case TRACKLINE_BUSY:
    case TRACKLINE_ERROR:
        assert(!"not in the grammar of requests");
    }
    /* Whatever it says, it is there: offers may go to it again. */
    if (conn_at(r, ev->conn)->idle != POOL_NONE) {
        hiring_alive(&r->hiring, conn_at(r, ev->conn)->idle, ev->now_ms, says);
    }
}

static void hello(struct registry *r, const struct registry_event *ev, struct says *says)
{
    conn_at(r, ev->conn)->proof = trackline_proof(ev->line->words);
    struct trackline *line = says_add(says, ev->conn, TRACKLINE_ANSWER, TRACKLINE_HELLO);
    line->ttl_s = r->config.ttl_s_max;
    line->keepalive_s = r->config.keepalive_s;
    line->addr = registry_addr(r, ev->conn);
}

/* A connection's first line. */
static void first(struct registry *r, const struct registry_event *ev, struct says *says)
{
    assert(ev->manner == TRACKLINE_ONE_SHOT);
    if (ev->line->kind == TRACKLINE_HELLO) {
        hello(r, ev, says);
    } else if (ev->line->kind == TRACKLINE_INFORM) {
        inform_legacy(r, ev, says);
    } else if (ev->line->kind == TRACKLINE_DELETE) {
        forget(r, &r->legacy, ev, says);
    } else {
        assert(ev->line->kind == TRACKLINE_QUERY);
        query_legacy(r, ev, says);
    }
}

struct settling {
    struct sets *sets;
    const struct addr *addr;
};

static void settle(void *arg, const struct digest *id, bool reached)
{
    const struct settling *s = arg;
    const struct trackline_job job = {.kind = TRACKLINE_JOB, .id = *id};
    sets_verify(s->sets, &job, s->addr, reached);
}

static void dialled(struct registry *r, const struct registry_event *ev)
{
    struct settling settling = {&r->sets, &ev->addr};
    proofs_end(&r->proofs, &ev->addr, ev->token, ev->now_ms, settle, &settling);
}

static void tick(struct registry *r, uint64_t now_ms, struct says *says)
{
    sets_tick(&r->sets, now_ms);
    sets_tick(&r->legacy, now_ms);
    proofs_tick(&r->proofs, now_ms);
    hiring_tick(&r->hiring, now_ms, says);
}

void registry_step(struct registry *r, const struct registry_event *ev,
                   struct registry_actions *out)
{
    out->refused = false;
    out->conn = POOL_NONE;
    out->dial_back = false;
    out->says.count = 0;
    switch (ev->kind) {
    case REGISTRY_CONNECT:
        connect(r, ev, out);
        return;
    case REGISTRY_FINISH:
        finish(r, ev->conn);
        return;
    case REGISTRY_DISCONNECT:
        disconnect(r, ev->conn);
        return;
    case REGISTRY_LINE:
        if (ev->manner == TRACKLINE_REQUEST) {
            request(r, ev, out);
        } else {
            first(r, ev, &out->says);
        }
        break;
    case REGISTRY_DIALLED:
        dialled(r, ev);
        break;
    case REGISTRY_TICK:
        tick(r, ev->now_ms, &out->says);
        break;
    }
    out->dial_back = proofs_next(&r->proofs, &out->dial);
}

struct addr registry_addr(const struct registry *r, uint32_t conn)
{
    return hosts_addr(&r->hosts, conn_at(r, conn)->host);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t registry_deadline_ms(const struct registry *r)
{
    uint64_t sets = earlier(sets_deadline_ms(&r->sets), sets_deadline_ms(&r->legacy));
    return earlier(earlier(sets, proofs_deadline_ms(&r->proofs)), hiring_deadline_ms(&r->hiring));
}

struct registry_stats registry_stats(const struct registry *r)
{
    return (struct registry_stats){
        .connections = r->conns.count,
        .entries = r->sets.entries.count,
        .legacy_entries = r->legacy.entries.count,
        .idle_peers = hiring_idle_count(&r->hiring),
        .demands = r->hiring.demands.count,
        .bytes = sets_bytes(&r->sets) + sets_bytes(&r->legacy) + hosts_bytes(&r->hosts) +
                 hiring_bytes(&r->hiring) + proofs_bytes(&r->proofs) + pool_bytes(&r->conns),
    };
}
