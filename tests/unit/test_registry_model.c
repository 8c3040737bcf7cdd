/*
 * The registry against a plain model, driven at random: lists, counts, whom it hires for whom, whom
 * it dials back and whom it lists then.
 */
#include "tests/unit/registry_fixture.h"

#include "common/random.h"

enum { CONNS = 24, JOBS = 6, PORTS = 3, HOSTS = 8, STEPS = 30000, TOKENS = 4 };

struct model_conn {
    bool open;
    uint32_t number;
    int host;
    int port;       /* informed last, -1: none */
    uint64_t proof; /* told in HELLO, 0: none */
    uint16_t idle_slots;
    bool offered; /* a HIRE that it has not answered and that cannot have timed out */
    uint64_t offered_ms;
    uint32_t token;
    uint16_t demand_slots[JOBS]; /* as stated: an upper bound of what is wanted */
};

/* What is known of a port: who answered there, or which tokens the jobs that wait claimed. */
struct model_proof {
    bool asked;
    bool under_way;
    uint64_t since_ms;
    uint64_t answer;
    uint64_t claims[JOBS];
};

struct model {
    struct fixture f;
    struct random random;
    struct model_conn conns[CONNS];
    uint64_t expires_ms[JOBS][HOSTS][PORTS];
    bool verified[JOBS][HOSTS][PORTS];
    struct model_proof proofs[HOSTS][PORTS];
};

static struct model m;

static void host_ip(int host, char ip[ADDR_IP_TEXT_BYTES])
{
    (void)snprintf(ip, ADDR_IP_TEXT_BYTES, "%d.0.2.1", 60 + host);
}

static int host_of(const struct addr *addr) { return addr->ip[0] - 60; }

static struct model_conn *conn_of(uint32_t number)
{
    for (int i = 0; i < CONNS; i++) {
        if (m.conns[i].open && m.conns[i].number == number) {
            return &m.conns[i];
        }
    }
    return NULL;
}

static int job_index(const struct digest *id) { return id->b[0] >> 4; }

static void check_hire(uint32_t conn, const struct trackline *line)
{
    struct model_conn *worker = conn_of(conn);
    int job = job_index(&line->job.id);
    bool wanted = false;
    assert_non_null(worker);
    assert_true(worker->idle_slots > 0);
    assert_true(!worker->offered || m.f.now_ms >= worker->offered_ms + 10000);
    for (int i = 0; i < CONNS; i++) {
        const struct model_conn *master = &m.conns[i];
        wanted = wanted || (master->open && master != worker && master->demand_slots[job] > 0 &&
                            master->host == host_of(&line->addr));
    }
    assert_true(wanted);
    worker->offered = true;
    worker->offered_ms = m.f.now_ms;
    worker->token = line->token;
}

static void check_hires(void)
{
    for (size_t i = 0; i < m.f.actions.says.count; i++) {
        const struct say *say = &m.f.actions.says.say[i];
        if (say->line.kind == TRACKLINE_HIRE) {
            check_hire(say->conn, &say->line);
        }
    }
    fixture_forget(&m.f);
}

static uint32_t count_entries(int job)
{
    uint32_t count = 0;
    for (int host = 0; host < HOSTS; host++) {
        for (int port = 0; port < PORTS; port++) {
            count += m.expires_ms[job][host][port] > m.f.now_ms;
        }
    }
    return count;
}

static void say(const struct model_conn *conn, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct model_conn *conn, const char *format, ...)
{
    char line[TRACKLINE_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fixture_say(&m.f, conn->number, line);
}

static bool is_listed(const struct model_conn *asker, int job, int host, int port)
{
    return m.expires_ms[job][host][port] > m.f.now_ms && m.verified[job][host][port] &&
           !(host == asker->host && port == asker->port);
}

/* Small sets are listed whole: exactly the model's, without the asker's own last port. */
static void query(const struct model_conn *conn, int job)
{
    say(conn, "QUERY #%d 100", job);
    const struct says *says = &m.f.actions.says;
    const struct trackline *end = NULL;
    uint32_t listed = 0;
    for (size_t i = 0; i < says->count && end == NULL; i++) {
        const struct trackline *line = &says->say[i].line;
        if (line->kind == TRACKLINE_END) {
            end = line;
        } else {
            assert_int_equal(line->kind, TRACKLINE_PEER);
            assert_true(is_listed(conn, job, host_of(&line->addr), line->addr.port - 4000));
            listed++;
        }
    }
    assert_non_null(end);
    if (end == NULL) {
        return; /* said for the analyzer: the line above does not return */
    }
    assert_int_equal(end->known, count_entries(job));
    assert_int_equal(end->count, listed);
    for (int place = 0; place < HOSTS * PORTS; place++) {
        listed -= is_listed(conn, job, place / PORTS, place % PORTS);
    }
    assert_int_equal(listed, 0);
    check_hires();
}

static void connect_or_leave(struct model_conn *conn)
{
    if (conn->open) {
        fixture_disconnect(&m.f, conn->number);
        conn->open = false;
        return;
    }
    char ip[ADDR_IP_TEXT_BYTES];
    memset(conn, 0, sizeof *conn);
    conn->host = (int)random_below(&m.random, HOSTS);
    host_ip(conn->host, ip);
    conn->number = fixture_connect(&m.f, ip);
    assert_int_not_equal(conn->number, POOL_NONE);
    assert_null(conn_of(conn->number));
    conn->open = true;
    conn->port = -1;
    conn->proof = random_below(&m.random, TOKENS);
    char hello[64];
    (void)snprintf(hello, sizeof hello, "HELLO preon/1 proof=%llu",
                   (unsigned long long)conn->proof);
    fixture_line(&m.f, conn->number, TRACKLINE_ONE_SHOT, hello);
}

/* The port is dialled back when nobody has asked it for ten minutes, else what is known counts.
 * Who is being asked is not asked again. */
static void claim(const struct model_conn *conn, int job, int port)
{
    struct model_proof *proof = &m.proofs[conn->host][port];
    if (proof->asked && !proof->under_way && m.f.now_ms >= proof->since_ms + 600000) {
        *proof = (struct model_proof){0};
    }
    bool dials = conn->proof != 0 && !proof->asked;
    assert_int_equal(m.f.actions.dial_back, dials);
    if (dials) {
        assert_int_equal(host_of(&m.f.actions.dial), conn->host);
        assert_int_equal(m.f.actions.dial.port, 4000 + port);
        *proof = (struct model_proof){.asked = true, .under_way = true};
    }
    if (conn->proof != 0 && proof->under_way) {
        proof->claims[job] = conn->proof;
    } else {
        m.verified[job][conn->host][port] = conn->proof != 0 && conn->proof == proof->answer;
    }
}

static void answer_dial(int host, int port)
{
    struct model_proof *proof = &m.proofs[host][port];
    if (!proof->under_way) {
        return;
    }
    char ip[ADDR_IP_TEXT_BYTES];
    struct registry_event ev = {.kind = REGISTRY_DIALLED};
    host_ip(host, ip);
    assert_true(addr_parse_ip(pn_bytes_str(ip), &ev.addr));
    ev.addr.port = (uint16_t)(4000 + port);
    ev.token = random_below(&m.random, TOKENS);
    fixture_step(&m.f, ev);
    proof->under_way = false;
    proof->since_ms = m.f.now_ms;
    proof->answer = ev.token;
    for (int job = 0; job < JOBS; job++) {
        if (proof->claims[job] != 0) {
            m.verified[job][host][port] = proof->claims[job] == ev.token;
        }
    }
}

static void inform(struct model_conn *conn, int job, int port)
{
    uint64_t ttl_s = 1 + random_below(&m.random, 60);
    if (m.expires_ms[job][conn->host][port] <= m.f.now_ms) {
        m.verified[job][conn->host][port] = false;
    }
    say(conn, "INFORM %d #%d %d", 4000 + port, job, (int)ttl_s);
    claim(conn, job, port);
    conn->port = port;
    m.expires_ms[job][conn->host][port] = (m.f.now_ms + 999) / 1000 * 1000 + ttl_s * 1000;
    check_hires();
}

/* As fixture_wait, with every HIRE checked. */
static void pass(uint64_t ms)
{
    uint64_t until = m.f.now_ms + ms;
    while (registry_deadline_ms(m.f.registry) <= until) {
        uint64_t due = registry_deadline_ms(m.f.registry);
        m.f.now_ms = due > m.f.now_ms ? due : m.f.now_ms;
        fixture_step(&m.f, (struct registry_event){.kind = REGISTRY_TICK});
        check_hires();
    }
    m.f.now_ms = until;
}

static void step(void)
{
    struct model_conn *conn = &m.conns[random_below(&m.random, CONNS)];
    int job = (int)random_below(&m.random, JOBS);
    int port = (int)random_below(&m.random, PORTS);
    uint64_t what = random_below(&m.random, 100);
    if (!conn->open || what < 4) {
        connect_or_leave(conn);
        check_hires();
    } else if (what < 22) {
        inform(conn, job, port);
    } else if (what < 25) {
        answer_dial(conn->host, port);
    } else if (what < 32) {
        say(conn, "DELETE %d #%d", 4000 + port, job);
        m.expires_ms[job][conn->host][port] = 0;
        check_hires();
    } else if (what < 50) {
        query(conn, job);
    } else if (what < 65) {
        conn->idle_slots = (uint16_t)random_below(&m.random, 4);
        conn->offered = conn->offered && conn->idle_slots > 0;
        say(conn, "IDLE %d a%s", conn->idle_slots, port == 0 ? "" : " b");
        check_hires();
    } else if (what < 75) {
        conn->demand_slots[job] = (uint16_t)random_below(&m.random, 30);
        say(conn, "DEMAND 5000 #%d %d%s", job, conn->demand_slots[job], port == 0 ? " b" : "");
        check_hires();
    } else if (what < 90 && conn->offered) {
        conn->offered = false;
        say(conn, "%s %u", what < 80 ? "TAKE" : "PASS", conn->token);
        check_hires();
    } else {
        pass(random_below(&m.random, 3000));
    }
}

static void check_stats(void)
{
    struct registry_stats stats = registry_stats(m.f.registry);
    uint32_t conns = 0;
    uint32_t idle = 0;
    uint32_t demands = 0;
    uint32_t entries = 0;
    for (int i = 0; i < CONNS; i++) {
        conns += m.conns[i].open;
        idle += m.conns[i].open && m.conns[i].idle_slots > 0;
        for (int job = 0; job < JOBS; job++) {
            demands += m.conns[i].open && m.conns[i].demand_slots[job] > 0;
        }
    }
    for (int job = 0; job < JOBS; job++) {
        entries += count_entries(job);
    }
    assert_int_equal(stats.connections, conns);
    assert_int_equal(stats.idle_peers, idle);
    assert_int_equal(stats.demands, demands);
    assert_int_equal(stats.entries, entries);
}

static void run(uint64_t seed)
{
    struct registry_config config = registry_config_default();
    config.seed = seed;
    memset(&m, 0, sizeof m);
    random_seed(&m.random, seed);
    fixture_open(&m.f, &config);
    for (int i = 0; i < STEPS; i++) {
        step();
        if (i % 16 == 0) {
            pass(0);
            check_stats();
        }
    }
    for (int i = 0; i < CONNS; i++) {
        if (m.conns[i].open) {
            connect_or_leave(&m.conns[i]);
            fixture_forget(&m.f);
        }
    }
    fixture_wait(&m.f, 700000);
    check_stats();
    assert_true(registry_deadline_ms(m.f.registry) == UINT64_MAX);
    fixture_close(&m.f);
}

static void the_registry_behaves_like_its_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_registry_behaves_like_its_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
