/* What the registry keeps and lists: entries, their expiry, samples, budgets, dial-backs. */
#include "tests/unit/registry_fixture.h"

static struct fixture f;

static int open_default(void **state)
{
    (void)state;
    struct registry_config config = registry_config_default();
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

static void a_claimed_port_is_dialled_back_once(void **state)
{
    (void)state;
    fixture_close(&f);
    struct registry_config config = registry_config_default();
    config.list_unverified = false;
    fixture_open(&f, &config);
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    uint32_t b = fixture_connect(&f, "192.0.3.1");
    fixture_say(&f, a, "INFORM 4000 #1 600");
    assert_true(f.actions.dial_back);
    struct registry_dial dial = f.actions.dial;
    char text[ADDR_TEXT_BYTES];
    assert_string_equal(addr_text(&dial.addr, text), "192.0.2.1:4000");
    fixture_say(&f, a, "INFORM 4000 #2 600");
    assert_false(f.actions.dial_back); /* it is under way */
    fixture_forget(&f);
    fixture_say(&f, b, "QUERY #1 9");
    fixture_traced(&f, "1: END 0 1\n");
    fixture_step(&f,
                 (struct registry_event){.kind = REGISTRY_DIALLED, .dial = dial, .reached = true});
    fixture_say(&f, b, "QUERY #1 9");
    fixture_traced(&f, "1: PEER 192.0.2.1 4000\n1: END 1 1\n");
    fixture_say(&f, a, "INFORM 4000 #2 600"); /* renewed: the proof counts for all its jobs */
    fixture_forget(&f);
    fixture_say(&f, b, "QUERY #2 9");
    fixture_traced(&f, "1: PEER 192.0.2.1 4000\n1: END 1 1\n");
    for (int port = 0; port < 20; port++) { /* nobody makes us a port scanner */
        char line[64];
        (void)snprintf(line, sizeof line, "INFORM %d #1 600", 5000 + port);
        fixture_say(&f, a, line);
        assert_int_equal(f.actions.dial_back, port < 3);
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
        CASE(a_claimed_port_is_dialled_back_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
