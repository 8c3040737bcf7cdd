/* What the registry keeps and lists: entries, their expiry, samples, budgets, dial-backs. */
#include "tests/unit/registry_fixture.h"

#include "tracker/proofs.h"

static struct fixture f;

static int open_default(void **state)
{
    (void)state;
    struct registry_config config = registry_config_default();
    config.list_unverified = true;
    config.seed = 7;
    fixture_open(&f, &config);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static void an_entry_is_listed_until_it_expires_or_is_deleted(void **state)
{
    (void)state;
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    uint32_t b = fixture_connect(&f, "198.51.100.2");
    fixture_say(&f, a, "INFORM 4000 #1 30");
    fixture_say(&f, b, "QUERY #1 50");
    fixture_wait(&f, 29999);
    fixture_say(&f, b, "QUERY #1 50");
    fixture_wait(&f, 1);
    fixture_say(&f, b, "QUERY #1 50");
    fixture_traced(&f, "0: OK 30\n"
                       "1: PEER 192.0.2.1 4000\n1: END 1 1\n"
                       "1: PEER 192.0.2.1 4000\n1: END 1 1\n"
                       "1: END 0 0\n");
    fixture_say(&f, a, "INFORM 4000 #1 30");
    fixture_say(&f, a, "DELETE 4001 #1");
    fixture_say(&f, a, "DELETE 4000 #2");
    fixture_say(&f, b, "DELETE 4000 #1"); /* its own address counts, not the entry's */
    fixture_say(&f, b, "QUERY #1 50");
    fixture_say(&f, a, "DELETE 4000 #1");
    fixture_say(&f, b, "QUERY #1 50");
    fixture_traced(&f, "0: OK 30\n0: OK 0\n0: OK 0\n1: OK 0\n"
                       "1: PEER 192.0.2.1 4000\n1: END 1 1\n"
                       "0: OK 0\n"
                       "1: END 0 0\n");
    assert_true(registry_deadline_ms(f.registry) > f.now_ms + 500000); /* no ticking for nothing */
}

static void renewing_moves_the_expiry_in_both_directions(void **state)
{
    (void)state;
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    fixture_say(&f, a, "INFORM 4000 #1 30");
    fixture_wait(&f, 20000);
    fixture_say(&f, a, "INFORM 4000 #1 30");
    fixture_wait(&f, 29000);
    assert_int_equal(registry_stats(f.registry).entries, 1);
    fixture_wait(&f, 1000);
    assert_int_equal(registry_stats(f.registry).entries, 0);
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    fixture_say(&f, a, "INFORM 4000 #1 10");
    fixture_wait(&f, 10000);
    assert_int_equal(registry_stats(f.registry).entries, 0);
}

static void a_time_to_live_is_cut_to_the_limit(void **state)
{
    (void)state;
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    fixture_say(&f, a, "INFORM 4000 #1 86400");
    fixture_traced(&f, "0: OK 1800\n");
    fixture_wait(&f, 1800000);
    assert_int_equal(registry_stats(f.registry).entries, 0);
}

/* The caller is not in its own sample; its neighbour behind the same address is. */
static void callers_do_not_hear_of_themselves(void **state)
{
    (void)state;
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    uint32_t b = fixture_connect(&f, "192.0.2.1");
    fixture_say(&f, a, "INFORM 4000 #1 60");
    fixture_say(&f, b, "INFORM 4001 #1 60");
    fixture_forget(&f);
    fixture_say(&f, a, "QUERY #1 50");
    fixture_say(&f, b, "QUERY #1 50");
    fixture_traced(&f, "0: PEER 192.0.2.1 4001\n0: END 1 2\n"
                       "1: PEER 192.0.2.1 4000\n1: END 1 2\n");
}

static void private_addresses_are_for_private_callers(void **state)
{
    (void)state;
    uint32_t lan = fixture_connect(&f, "192.168.1.5");
    uint32_t other = fixture_connect(&f, "10.0.0.1");
    uint32_t far = fixture_connect(&f, "192.0.2.1");
    fixture_say(&f, lan, "INFORM 4000 #1 60");
    fixture_forget(&f);
    fixture_say(&f, other, "QUERY #1 50");
    fixture_say(&f, far, "QUERY #1 50");
    fixture_traced(&f, "1: PEER 192.168.1.5 4000\n1: END 1 1\n2: END 0 1\n");
}

static void one_shot_entries_are_a_world_of_their_own(void **state)
{
    (void)state;
    uint32_t old = fixture_connect(&f, "192.0.2.1");
    uint32_t new = fixture_connect(&f, "192.0.2.2");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "INFORM 4000 #1");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "INFORM 4000 idle");
    fixture_say(&f, new, "INFORM 5000 #1 60");
    fixture_say(&f, new, "DEMAND 5000 #1 4");
    fixture_say(&f, new, "QUERY #1 50");
    fixture_say(&f, new, "QUERY idle 50");
    fixture_traced(&f, "0: OK\n0: OK\n1: OK 60\n1: OK 0\n1: END 0 1\n1: END 0 0\n");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "QUERY #1");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "QUERY idle");
    fixture_traced(&f, "0: 192.0.2.1 4000\n0: 192.0.2.1 4000\n");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "DELETE 5000 #1");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "DELETE 4000 #1");
    fixture_line(&f, old, TRACKLINE_ONE_SHOT, "QUERY #1");
    fixture_traced(&f, "0: OK\n0: OK\n");
    assert_int_equal(registry_stats(f.registry).entries, 1);
    assert_int_equal(registry_stats(f.registry).legacy_entries, 1);
    fixture_wait(&f, 3600000);
    assert_int_equal(registry_stats(f.registry).legacy_entries, 0);
}

static void fill(const char *format, int count, const char *line)
{
    for (int i = 0; i < count; i++) {
        char ip[ADDR_IP_TEXT_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(ip, sizeof ip, format, i / 250, i % 250 + 1);
#pragma GCC diagnostic pop
        uint32_t conn = fixture_connect(&f, ip);
        fixture_say(&f, conn, line);
        fixture_disconnect(&f, conn);
        fixture_forget(&f);
    }
}

/* 60 entries of one /16 against 60 others: at most a quarter of a list of 40 is from it. */
static void one_network_gets_a_quarter_while_others_are_found(void **state)
{
    (void)state;
    fill("203.0.%d.%d", 60, "INFORM 4000 #1 600");
    for (int i = 0; i < 60; i++) {
        char ip[ADDR_IP_TEXT_BYTES];
        (void)snprintf(ip, sizeof ip, "%d.7.7.7", i + 20);
        uint32_t conn = fixture_connect(&f, ip);
        fixture_say(&f, conn, "INFORM 4000 #1 600");
        fixture_disconnect(&f, conn);
    }
    uint32_t asker = fixture_connect(&f, "192.0.2.1");
    fixture_forget(&f);
    fixture_say(&f, asker, "QUERY #1 40");
    assert_int_equal(fixture_count(&f, "PEER"), 40);
    assert_true(fixture_count(&f, "PEER 203.0.") <= 10);
    /* where only they are left, they fill the list */
    fixture_forget(&f);
    fill("198.18.%d.%d", 30, "INFORM 4000 #2 600");
    fixture_say(&f, asker, "QUERY #2 40");
    assert_int_equal(fixture_count(&f, "PEER"), 30);
    /* private networks are not rationed */
    fill("10.1.%d.%d", 60, "INFORM 4000 #3 600");
    uint32_t lan = fixture_connect(&f, "10.1.2.3");
    fixture_forget(&f);
    fixture_say(&f, lan, "QUERY #3 40");
    assert_int_equal(fixture_count(&f, "PEER 10.1."), 40);
}

/* Every member of a large set is listed about equally often. */
static void samples_are_fair(void **state)
{
    (void)state;
    enum { MEMBERS = 1000, ROUNDS = 2000, EACH = 20 };
    static int seen[MEMBERS];
    memset(seen, 0, sizeof seen);
    fill("10.2.%d.%d", MEMBERS, "INFORM 4000 #1 1800");
    uint32_t asker = fixture_connect(&f, "10.9.9.9");
    for (int round = 0; round < ROUNDS; round++) {
        fixture_say(&f, asker, "QUERY #1 20");
        for (size_t i = 0; i + 1 < f.actions.says.count; i++) {
            const struct addr *a = &f.actions.says.say[i].line.addr;
            seen[a->ip[2] * 250 + a->ip[3] - 1]++;
        }
        fixture_forget(&f);
    }
    for (int i = 0; i < MEMBERS; i++) { /* 40 expected, six deviations either way */
        assert_true(seen[i] > 2 && seen[i] < 78);
    }
}

static void budgets_count_by_address_and_network(void **state)
{
    (void)state;
    fixture_close(&f);
    struct registry_config config = registry_config_default();
    config.limits = (struct hosts_limits){
        .host_max = {[HOSTS_CONNECTION] = 3, [HOSTS_ENTRY] = 2, [HOSTS_DEMAND] = 1},
        .net_max = {[HOSTS_CONNECTION] = 5, [HOSTS_ENTRY] = 3, [HOSTS_DEMAND] = 2},
    };
    fixture_open(&f, &config);
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    assert_int_not_equal(fixture_connect(&f, "192.0.2.1"), POOL_NONE);
    uint32_t third = fixture_connect(&f, "192.0.2.1");
    assert_int_equal(fixture_connect(&f, "192.0.2.1"), POOL_NONE);
    assert_string_equal(f.actions.says.err.text, "too many connections from your address");
    uint32_t b = fixture_connect(&f, "192.0.2.2");
    assert_int_not_equal(fixture_connect(&f, "192.0.2.3"), POOL_NONE);
    assert_int_equal(fixture_connect(&f, "192.0.2.4"), POOL_NONE);
    assert_string_equal(f.actions.says.err.text, "too many connections from your network");
    assert_int_not_equal(fixture_connect(&f, "192.0.3.4"), POOL_NONE);
    fixture_disconnect(&f, third);
    assert_int_not_equal(fixture_connect(&f, "192.0.2.4"), POOL_NONE);

    fixture_say(&f, a, "INFORM 4000 #1 60");
    fixture_say(&f, a, "INFORM 4001 #1 60");
    fixture_say(&f, a, "INFORM 4002 #1 60");
    fixture_say(&f, a, "INFORM 4001 #1 60"); /* renewing costs nothing */
    fixture_say(&f, b, "INFORM 4000 #1 60");
    fixture_say(&f, b, "INFORM 4001 #1 60");
    fixture_say(&f, a, "DELETE 4000 #1");
    fixture_say(&f, b, "INFORM 4001 #1 60");
    fixture_traced(&f, "0: OK 60\n0: OK 60\n"
                       "0: BUSY 60 too many entries from your address\n"
                       "0: OK 60\n"
                       "3: OK 60\n"
                       "3: BUSY 60 too many entries from your network\n"
                       "0: OK 0\n"
                       "3: OK 60\n");
    fixture_say(&f, a, "DEMAND 4000 #1 4");
    fixture_say(&f, a, "DEMAND 4000 #2 4");
    fixture_say(&f, a, "DEMAND 4000 #1 9");
    fixture_say(&f, a, "DEMAND 4000 #1 0");
    fixture_say(&f, a, "DEMAND 4000 #2 4");
    fixture_traced(&f, "0: OK 0\n0: BUSY 60 too many demands from your address\n"
                       "0: OK 0\n0: OK 0\n0: OK 0\n");
    /* expiry gives the budget back */
    fixture_wait(&f, 60000);
    fixture_say(&f, a, "INFORM 4005 #1 60");
    fixture_traced(&f, "0: OK 60\n");
}

static void the_tracker_has_a_size(void **state)
{
    (void)state;
    fixture_close(&f);
    struct registry_config config = registry_config_default();
    config.connection_count_max = 2;
    config.entry_count_max = 3;
    config.legacy_count_max = 1;
    fixture_open(&f, &config);
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    uint32_t b = fixture_connect(&f, "192.0.3.1");
    assert_int_equal(fixture_connect(&f, "192.0.4.1"), POOL_NONE);
    fixture_say(&f, a, "INFORM 1 #1 60");
    fixture_say(&f, a, "INFORM 2 #2 60");
    fixture_say(&f, b, "INFORM 3 #3 60");
    fixture_say(&f, b, "INFORM 4 #4 60");
    fixture_line(&f, a, TRACKLINE_ONE_SHOT, "INFORM 4 idle");
    fixture_line(&f, b, TRACKLINE_ONE_SHOT, "INFORM 4 idle");
    fixture_traced(&f, "0: OK 60\n0: OK 60\n1: OK 60\n1: BUSY 60 the tracker is full\n"
                       "0: OK\n1: ERROR the tracker is full\n");
    fixture_wait(&f, 60000);
    fixture_say(&f, b, "INFORM 4 #4 60");
    fixture_traced(&f, "1: OK 60\n");
}

/* --- dial-backs: a client says HELLO with the token by which its listener is known --- */

static void open_strict(void)
{
    fixture_close(&f);
    struct registry_config config = registry_config_default();
    fixture_open(&f, &config);
}

static uint32_t greet(const char *ip, const char *hello)
{
    uint32_t conn = fixture_connect(&f, ip);
    fixture_line(&f, conn, TRACKLINE_ONE_SHOT, hello);
    fixture_forget(&f);
    return conn;
}

static void answer(const char *addr, uint64_t token)
{
    struct registry_event ev = {.kind = REGISTRY_DIALLED, .token = token};
    assert_int_equal(addr_parse(pn_bytes_str(addr), 0, &ev.addr, NULL), PN_OK);
    fixture_step(&f, ev);
}

/* The address that the last step wants dialled, "" when none. */
static const char *dial(void)
{
    static char text[ADDR_TEXT_BYTES];
    return f.actions.dial_back ? addr_text(&f.actions.dial, text) : "";
}

static void listed(uint32_t asker, const char *query, const char *wanted)
{
    fixture_forget(&f);
    fixture_say(&f, asker, query);
    fixture_traced(&f, wanted);
}

static void only_who_answers_with_its_token_is_listed(void **state)
{
    (void)state;
    open_strict();
    uint32_t a = greet("192.0.2.1", "HELLO preon/1 later=x proof=18446744073709551615");
    uint32_t b = greet("192.0.3.1", "HELLO preon/1 proof=7");
    fixture_say(&f, a, "INFORM 4000 #1 600");
    assert_string_equal(dial(), "192.0.2.1:4000");
    fixture_say(&f, a, "INFORM 4000 #2 600");
    fixture_say(&f, a, "INFORM 4000 #2 600");
    assert_string_equal(dial(), ""); /* it is under way */
    listed(b, "QUERY #1 9", "1: END 0 1\n");
    answer("192.0.2.1:4000", UINT64_MAX);
    listed(b, "QUERY #1 9", "1: PEER 192.0.2.1 4000\n1: END 1 1\n");
    listed(b, "QUERY #2 9", "1: PEER 192.0.2.1 4000\n1: END 1 1\n"); /* it had waited as well */
    fixture_say(&f, a, "INFORM 4000 #3 600");
    assert_string_equal(dial(), ""); /* known: counts for all its jobs */
    listed(b, "QUERY #3 9", "1: PEER 192.0.2.1 4000\n1: END 1 1\n");

    fixture_say(&f, b, "INFORM 4000 #1 600");
    assert_string_equal(dial(), "192.0.3.1:4000");
    answer("192.0.3.1:4000", 8); /* somebody else is there */
    listed(a, "QUERY #1 9", "0: END 0 2\n");
    fixture_say(&f, b, "INFORM 4001 #1 600");
    assert_string_equal(dial(), "192.0.3.1:4001");
    answer("192.0.3.1:4001", 0); /* nobody is there */
    answer("192.0.3.1:4001", 7); /* late, or not asked */
    answer("192.0.3.1:4002", 7);
    listed(a, "QUERY #1 9", "0: END 0 3\n");
}

static void a_wrong_claim_takes_nothing_from_the_true_owner(void **state)
{
    (void)state;
    open_strict();
    uint32_t liar = greet("192.0.2.1", "HELLO preon/1 proof=66");
    uint32_t honest = greet("192.0.2.1", "HELLO preon/1 proof=7");
    uint32_t other = greet("192.0.3.1", "HELLO preon/1");
    fixture_say(&f, liar, "INFORM 4000 #1 600");
    assert_string_equal(dial(), "192.0.2.1:4000");
    answer("192.0.2.1:4000", 7); /* what the honest one's listener says */
    listed(other, "QUERY #1 9", "2: END 0 1\n");
    fixture_say(&f, honest, "INFORM 4000 #2 600");
    assert_string_equal(dial(), "");
    listed(other, "QUERY #2 9", "2: PEER 192.0.2.1 4000\n2: END 1 1\n");
    fixture_say(&f, liar, "INFORM 4000 #3 600");
    listed(other, "QUERY #3 9", "2: END 0 1\n");
}

static void without_a_token_nobody_is_dialled(void **state)
{
    (void)state;
    static const char *const HELLOS[] = {
        "HELLO preon/1",          "HELLO preon/1 proof=0",
        "HELLO preon/1 proof=",   "HELLO preon/1 proof=18446744073709551616",
        "HELLO preon/1 proof=-1", "HELLO preon/1 proof=1x",
        "HELLO preon/1 xproof=1",
    };
    open_strict();
    for (size_t i = 0; i < sizeof HELLOS / sizeof HELLOS[0]; i++) {
        uint32_t a = greet("192.0.2.1", HELLOS[i]);
        fixture_say(&f, a, "INFORM 4000 #1 600");
        assert_string_equal(dial(), "");
    }
    uint32_t a = greet("192.0.2.1", "HELLO preon/1 proof=1");
    fixture_say(&f, a, "INFORM 1023 #1 600"); /* other people's services */
    assert_string_equal(dial(), "");
    fixture_line(&f, fixture_connect(&f, "192.0.2.1"), TRACKLINE_ONE_SHOT, "INFORM 4000 #1");
    assert_string_equal(dial(), ""); /* the original's */
    fixture_say(&f, a, "INFORM 1024 #1 600");
    assert_string_equal(dial(), "192.0.2.1:1024");
}

/* An answer counts for ten minutes, good or bad; then it is asked anew, and may be another. */
static void an_answer_counts_for_ten_minutes(void **state)
{
    (void)state;
    open_strict();
    uint32_t a = greet("192.0.2.1", "HELLO preon/1 proof=7");
    uint32_t b = greet("192.0.3.1", "HELLO preon/1 proof=8");
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    answer("192.0.2.1:4000", 7);
    fixture_wait(&f, 599999);
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    assert_string_equal(dial(), "");
    fixture_wait(&f, 1);
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    assert_string_equal(dial(), "192.0.2.1:4000");
    listed(b, "QUERY #1 9", "1: PEER 192.0.2.1 4000\n1: END 1 1\n"); /* until it is known better */
    answer("192.0.2.1:4000", 0);
    listed(b, "QUERY #1 9", "1: END 0 1\n");
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    assert_string_equal(dial(), "");
    fixture_wait(&f, 600000);
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    assert_string_equal(dial(), "192.0.2.1:4000");
}

/* A machine that slept: its dials' own deadlines are still to come, and their places are taken. */
static void a_dial_is_under_way_until_it_has_ended(void **state)
{
    (void)state;
    open_strict();
    char line[64];
    uint32_t a = greet("10.0.0.1", "HELLO preon/1 proof=7");
    uint32_t b = greet("10.0.0.2", "HELLO preon/1");
    for (int port = 0; port < PROOFS_UNDER_WAY_MAX; port++) {
        (void)snprintf(line, sizeof line, "INFORM %d #1 1800", 5000 + port);
        fixture_say(&f, a, line);
        assert_true(f.actions.dial_back);
    }
    fixture_wait(&f, 660000);
    for (int port = 0; port < PROOFS_UNDER_WAY_MAX; port++) {
        (void)snprintf(line, sizeof line, "INFORM %d #1 1800", 5000 + port);
        fixture_say(&f, a, line);
        assert_false(f.actions.dial_back);
        fixture_forget(&f);
    }
    answer("10.0.0.1:5010", 7);
    listed(b, "QUERY #1 9", "1: PEER 10.0.0.1 5010\n1: END 1 1024\n");
}

/* What cannot be asked now is not known to be worse than it was. */
static void a_budget_that_is_used_up_unlists_nobody(void **state)
{
    (void)state;
    open_strict();
    char line[64];
    uint32_t a = greet("192.0.2.1", "HELLO preon/1 proof=7");
    uint32_t neighbour = greet("192.0.2.1", "HELLO preon/1 proof=66");
    uint32_t b = greet("192.0.3.1", "HELLO preon/1");
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    answer("192.0.2.1:4000", 7);
    fixture_wait(&f, 600000);
    for (int port = 0; port < 20; port++) {
        (void)snprintf(line, sizeof line, "INFORM %d #2 1800", 5000 + port);
        fixture_say(&f, neighbour, line);
    }
    fixture_say(&f, a, "INFORM 4000 #1 1800");
    assert_string_equal(dial(), "");
    listed(b, "QUERY #1 9", "2: PEER 192.0.2.1 4000\n2: END 1 1\n");
}

/* Nobody makes us a port scanner. */
static void few_ports_of_an_address_and_of_a_network_are_dialled(void **state)
{
    (void)state;
    open_strict();
    int dials = 0;
    uint32_t conn = greet("192.0.2.1", "HELLO preon/1 proof=7");
    for (int port = 0; port < 20; port++) {
        char line[64];
        (void)snprintf(line, sizeof line, "INFORM %d #1 600", 5000 + port);
        fixture_say(&f, conn, line);
        dials += f.actions.dial_back;
        if (f.actions.dial_back) {
            answer(dial(), 0);
        }
    }
    assert_int_equal(dials, PROOFS_HOST_MAX);
    for (int host = 2; host < 100; host++) {
        char ip[ADDR_IP_TEXT_BYTES];
        (void)snprintf(ip, sizeof ip, "192.0.2.%d", host);
        fixture_say(&f, greet(ip, "HELLO preon/1 proof=7"), "INFORM 4000 #1 600");
        dials += f.actions.dial_back;
        if (f.actions.dial_back) {
            answer(dial(), 0);
        }
    }
    assert_int_equal(dials, PROOFS_NET_MAX);
    fixture_wait(&f, 600000);
    fixture_say(&f, conn, "INFORM 6000 #1 600");
    assert_string_equal(dial(), "192.0.2.1:6000");
    conn = greet("127.0.0.1", "HELLO preon/1 proof=7"); /* many peers may share this machine */
    for (int port = 0; port < 20; port++) {
        char line[64];
        (void)snprintf(line, sizeof line, "INFORM %d #1 600", 5000 + port);
        fixture_say(&f, conn, line);
        assert_true(f.actions.dial_back);
    }
}

/* Ports that hang hold their places, no more; who came later is dialled as soon as one is free. */
static void so_many_are_dialled_at_a_time(void **state)
{
    (void)state;
    open_strict();
    char line[64];
    uint32_t a = greet("10.0.0.1", "HELLO preon/1 proof=7");
    uint32_t b = greet("10.0.0.2", "HELLO preon/1 proof=8");
    for (int port = 0; port < PROOFS_UNDER_WAY_MAX + 2; port++) {
        (void)snprintf(line, sizeof line, "INFORM %d #1 600", 5000 + port);
        fixture_say(&f, a, line);
        assert_int_equal(f.actions.dial_back, port < PROOFS_UNDER_WAY_MAX);
        fixture_forget(&f);
    }
    fixture_say(&f, b, "INFORM 4000 #2 600");
    fixture_say(&f, a, "PING");
    assert_string_equal(dial(), "");
    answer("10.0.0.1:5010", 0);
    assert_string_equal(dial(), "10.0.0.1:6024"); /* in the order in which they came */
    answer("10.0.0.1:5012", 7);
    assert_string_equal(dial(), "10.0.0.1:6025");
    answer("10.0.0.1:5011", 0);
    assert_string_equal(dial(), "10.0.0.2:4000");
    answer("10.0.0.2:4000", 8);
    assert_string_equal(dial(), "");
    listed(a, "QUERY #2 9", "0: PEER 10.0.0.2 4000\n0: END 1 1\n");
    listed(b, "QUERY #1 9", "1: PEER 10.0.0.1 5012\n1: END 1 1026\n");
}

/* Whoever fills a job's set with ports that nobody can reach hides nobody. */
static void the_reached_are_found_among_many_that_are_not(void **state)
{
    (void)state;
    open_strict();
    uint32_t flood = greet("10.0.0.1", "HELLO preon/1");
    uint32_t good = greet("10.0.0.2", "HELLO preon/1 proof=7");
    char line[64];
    for (int port = 0; port < 10000; port++) {
        (void)snprintf(line, sizeof line, "INFORM %d #1 %d", 2000 + port, 300 + port % 300);
        fixture_say(&f, flood, line);
        if (port % 2500 == 0) {
            (void)snprintf(line, sizeof line, "INFORM %d #1 600", 4000 + port / 2500);
            fixture_say(&f, good, line);
            answer(dial(), 7);
        }
        fixture_forget(&f);
    }
    for (uint32_t count = 4; count > 0; count--) {
        (void)snprintf(line, sizeof line, "DELETE %u #1", 4000 + count);
        fixture_say(&f, good, line); /* the fifth is not there */
        fixture_forget(&f);
        fixture_say(&f, flood, "QUERY #1 9");
        assert_int_equal(fixture_count(&f, "PEER 10.0.0.2 400"), count);
        assert_int_equal(fixture_count(&f, "PEER "), count);
        fixture_wait(&f, 60000); /* others expire around them */
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_default, close_fixture)
    const struct CMUnitTest tests[] = {
        CASE(an_entry_is_listed_until_it_expires_or_is_deleted),
        CASE(renewing_moves_the_expiry_in_both_directions),
        CASE(a_time_to_live_is_cut_to_the_limit),
        CASE(callers_do_not_hear_of_themselves),
        CASE(private_addresses_are_for_private_callers),
        CASE(one_shot_entries_are_a_world_of_their_own),
        CASE(one_network_gets_a_quarter_while_others_are_found),
        CASE(samples_are_fair),
        CASE(budgets_count_by_address_and_network),
        CASE(the_tracker_has_a_size),
        CASE(only_who_answers_with_its_token_is_listed),
        CASE(a_wrong_claim_takes_nothing_from_the_true_owner),
        CASE(without_a_token_nobody_is_dialled),
        CASE(an_answer_counts_for_ten_minutes),
        CASE(a_dial_is_under_way_until_it_has_ended),
        CASE(a_budget_that_is_used_up_unlists_nobody),
        CASE(few_ports_of_an_address_and_of_a_network_are_dialled),
        CASE(so_many_are_dialled_at_a_time),
        CASE(the_reached_are_found_among_many_that_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
