/* Demand and idle peers: whichever comes later, needs, answers, silence, fairness. */
#include "tests/unit/registry_fixture.h"

#include "tracker/hiring.h"

static struct fixture f;

static int open_default(void **state)
{
    (void)state;
    struct registry_config config = registry_config_default();
    config.seed = 11;
    fixture_open(&f, &config);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static void answer(uint32_t conn, const char *word, uint32_t token)
{
    char line[32];
    (void)snprintf(line, sizeof line, "%s %u", word, token);
    fixture_say(&f, conn, line);
}

/* A HIRE line with its token blanked out, so that traces can be compared. */
static void traced(const char *wanted)
{
    char *to = f.trace;
    for (const char *from = f.trace; *from != '\0';) {
        if (strncmp(from, "HIRE ", 5) == 0) {
            memmove(to, "HIRE ", 5);
            to += 5;
            from += 5;
            from += strspn(from, "0123456789");
            *to++ = 'T';
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
    fixture_traced(&f, wanted);
}

static void the_later_side_is_matched_at_once(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t early = fixture_connect(&f, "198.51.100.1");
    uint32_t late = fixture_connect(&f, "198.51.100.2");
    fixture_say(&f, early, "IDLE 4 full nonce@1");
    fixture_say(&f, master, "DEMAND 4000 #1 16 nonce@1");
    fixture_say(&f, late, "IDLE 8 nonce@1");
    traced("1: OK 0\n"
           "0: OK 1\n1: HIRE T 192.0.2.1 4000 #1\n"
           "2: OK 1\n2: HIRE T 192.0.2.1 4000 #1\n");
}

static void needs_are_met_by_abilities(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t plain = fixture_connect(&f, "198.51.100.1");
    uint32_t able = fixture_connect(&f, "198.51.100.2");
    fixture_say(&f, plain, "IDLE 4 nonce@1");
    fixture_say(&f, able, "IDLE 4 full system nonce@1");
    fixture_say(&f, master, "DEMAND 4000 #1 16 system full");
    traced("1: OK 0\n2: OK 0\n0: OK 2\n2: HIRE T 192.0.2.1 4000 #1\n");
    fixture_say(&f, plain, "IDLE 4 nonce@1 full system"); /* it has learnt */
    traced("1: OK 1\n1: HIRE T 192.0.2.1 4000 #1\n");
}

static void no_more_are_hired_than_are_wanted(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    for (int i = 0; i < 5; i++) {
        fixture_say(&f, fixture_connect(&f, "198.51.100.1"), "IDLE 4");
    }
    fixture_forget(&f);
    fixture_say(&f, master, "DEMAND 4000 #1 7");
    assert_int_equal(fixture_count(&f, "HIRE"), 2); /* 4 + 4 slots cover 7 */
    fixture_forget(&f);
    fixture_say(&f, master, "DEMAND 4000 #1 9");
    assert_int_equal(fixture_count(&f, "HIRE"), 1);
    fixture_forget(&f);
    fixture_say(&f, master, "DEMAND 4000 #1 0");
    fixture_say(&f, fixture_connect(&f, "198.51.100.2"), "IDLE 4");
    assert_int_equal(fixture_count(&f, "HIRE"), 0);
}

static void a_pass_goes_to_the_next_and_is_remembered(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    uint32_t token = fixture_token(&f);
    fixture_forget(&f);
    uint32_t b = fixture_connect(&f, "198.51.100.2");
    fixture_say(&f, b, "IDLE 4"); /* covered for now */
    traced("2: OK 1\n");
    answer(a, "PASS", token + 1); /* nobody's token */
    traced("");
    answer(a, "PASS", token);
    traced("2: HIRE T 192.0.2.1 4000 #1\n");
    fixture_disconnect(&f, b);
    traced(""); /* the offer went with it; a is not asked again … */
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    fixture_wait(&f, 590000);
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    traced("0: OK 1\n0: OK 1\n");
    fixture_say(&f, master, "DEMAND 4000 #2 4"); /* … but about another job … */
    traced("0: OK 1\n1: HIRE T 192.0.2.1 4000 #2\n");
    fixture_wait(&f, 11000);
    fixture_say(&f, master, "DEMAND 4000 #2 0");
    fixture_say(&f, a, "PING"); /* … and ten minutes later also about this one */
    traced("0: OK 1\n1: PONG\n1: HIRE T 192.0.2.1 4000 #1\n");
}

static void who_took_is_left_alone_until_it_says_more(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t other = fixture_connect(&f, "192.0.3.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 8");
    answer(a, "TAKE", fixture_token(&f));
    fixture_forget(&f);
    fixture_say(&f, other, "DEMAND 4000 #2 4");
    traced("1: OK 1\n");
    fixture_say(&f, a, "IDLE 1"); /* three slots found work: the fourth is free */
    traced("2: OK 2\n2: HIRE T 192.0.3.1 4000 #2\n");
    fixture_say(&f, a, "IDLE 0");
    fixture_say(&f, other, "DEMAND 4000 #2 4");
    fixture_say(&f, other, "QUERY idle 0");
    traced("2: OK 0\n1: OK 0\n1: END 0 0\n");
}

/* A master that gives nothing: the peer is still idle, and offered to others after ten seconds. */
static void who_took_in_vain_is_offered_again(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t other = fixture_connect(&f, "192.0.3.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    answer(a, "TAKE", fixture_token(&f));
    fixture_say(&f, other, "DEMAND 4000 #2 8");
    fixture_forget(&f);
    fixture_wait(&f, 9999);
    traced("");
    fixture_wait(&f, 1);
    traced("2: HIRE T 192.0.3.1 4000 #2\n");
}

/* The same job again to who took it: after a second, then two, then four, … up to a minute. */
static void what_came_to_nothing_is_offered_ever_more_rarely(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    for (unsigned wait_ms = 1000; wait_ms <= 120000; wait_ms *= 2) {
        answer(a, "TAKE", fixture_token(&f));
        fixture_say(&f, a, "IDLE 4"); /* it came to nothing */
        fixture_say(&f, master, "DEMAND 4000 #1 4");
        fixture_forget(&f);
        fixture_wait(&f, (wait_ms < 60000 ? wait_ms : 60000) - 1);
        traced("");
        fixture_wait(&f, 1);
        assert_int_equal(fixture_count(&f, "HIRE"), 1);
    }
}

/* A peer with one slot is busy from TAKE until it is turned away: what it shuns outlives that. */
static void who_is_turned_away_is_not_hired_in_a_circle(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t other = fixture_connect(&f, "192.0.3.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 1");
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    answer(a, "TAKE", fixture_token(&f));
    fixture_say(&f, a, "IDLE 0");
    fixture_forget(&f);
    fixture_say(&f, master, "QUERY idle 0");
    traced("0: END 0 0\n"); /* it does not count while it is busy */
    fixture_say(&f, a, "IDLE 1");
    fixture_say(&f, other, "DEMAND 4000 #2 1");
    traced("2: OK 1\n1: OK 1\n2: HIRE T 192.0.3.1 4000 #2\n"); /* another job is welcome */
}

static void silence_is_an_answer_after_ten_seconds(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 4");
    uint32_t token = fixture_token(&f);
    uint32_t b = fixture_connect(&f, "198.51.100.2");
    fixture_say(&f, b, "IDLE 4");
    fixture_forget(&f);
    fixture_wait(&f, 10000);
    traced("2: HIRE T 192.0.2.1 4000 #1\n");
    answer(a, "TAKE", token); /* too late: ignored, but a sign of life */
    traced("");
    fixture_say(&f, master, "DEMAND 4000 #2 8");
    traced("0: OK 2\n1: HIRE T 192.0.2.1 4000 #2\n");
}

/* An offer that goes with its peer is somebody else's at once, for each of a hirer's jobs. */
static void a_freed_offer_goes_to_another_at_once(void **state)
{
    (void)state;
    for (int busy = 0; busy < 2; busy++) {
        uint32_t master = fixture_connect(&f, "192.0.2.1");
        uint32_t a = fixture_connect(&f, "198.51.100.1");
        uint32_t b = fixture_connect(&f, "198.51.100.2");
        fixture_say(&f, a, "IDLE 1");
        fixture_say(&f, master, "DEMAND 4000 #1 1");
        fixture_say(&f, master, "DEMAND 4000 #2 1 rare");
        fixture_say(&f, b, "IDLE 1");
        assert_int_equal(fixture_count(&f, "HIRE"), 1);
        fixture_forget(&f);
        if (busy == 1) {
            fixture_say(&f, a, "IDLE 0");
        }
        fixture_disconnect(&f, a);
        fixture_forget(&f);
        fixture_wait(&f, 0);
        assert_int_equal(fixture_count(&f, "HIRE"), 1);
        fixture_disconnect(&f, b);
        fixture_disconnect(&f, master);
        fixture_forget(&f);
    }
}

/* A peer that came while it shunned the only job that there is. */
static void who_comes_while_it_shuns_is_offered_when_that_ends(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 1");
    fixture_say(&f, master, "DEMAND 4000 #1 9");
    answer(a, "TAKE", fixture_token(&f));
    fixture_say(&f, a, "IDLE 0");
    fixture_say(&f, a, "IDLE 1");
    fixture_forget(&f);
    fixture_wait(&f, 1000);
    traced("1: HIRE T 192.0.2.1 4000 #1\n");
}

static void nobody_meets_a_great_demand_by_its_word_alone(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t liar = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, liar, "IDLE 65535");
    fixture_say(&f, master, "DEMAND 4000 #1 65535");
    answer(liar, "TAKE", fixture_token(&f));
    fixture_forget(&f);
    for (int i = 0; i < 50; i++) {
        fixture_say(&f, fixture_connect(&f, "10.0.0.1"), "IDLE 4");
    }
    assert_int_equal(fixture_count(&f, "HIRE"), 50);
}

static void a_vanished_master_hires_nobody(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t a = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "IDLE 4");
    fixture_say(&f, master, "DEMAND 4000 #1 400");
    uint32_t token = fixture_token(&f);
    fixture_disconnect(&f, master);
    fixture_forget(&f);
    uint32_t next = fixture_connect(&f, "192.0.2.9"); /* takes over the records */
    fixture_say(&f, next, "DEMAND 4000 #3 400");
    answer(a, "TAKE", token);
    fixture_say(&f, fixture_connect(&f, "198.51.100.3"), "IDLE 4");
    traced("0: OK 1\n2: OK 1\n2: HIRE T 192.0.2.9 4000 #3\n");
    assert_int_equal(registry_stats(f.registry).demands, 1);
}

static void nobody_is_hired_by_itself_or_out_of_reach(void **state)
{
    (void)state;
    uint32_t both = fixture_connect(&f, "192.0.2.1");
    fixture_say(&f, both, "IDLE 4");
    fixture_say(&f, both, "DEMAND 4000 #1 4");
    traced("0: OK 0\n0: OK 0\n");
    uint32_t local = fixture_connect(&f, "127.0.0.1");
    uint32_t home = fixture_connect(&f, "192.168.1.2");
    fixture_say(&f, local, "DEMAND 4000 #2 4");
    fixture_say(&f, home, "IDLE 4");
    traced("1: OK 1\n2: OK 2\n2: HIRE T 192.0.2.1 4000 #1\n");
    uint32_t neighbour = fixture_connect(&f, "127.0.0.2");
    fixture_say(&f, neighbour, "IDLE 4");
    traced("3: OK 2\n3: HIRE T 127.0.0.1 4000 #2\n");
}

static void hirers_are_served_alike_however_many_jobs_they_have(void **state)
{
    (void)state;
    uint32_t greedy = fixture_connect(&f, "192.0.2.1");
    uint32_t modest = fixture_connect(&f, "192.0.3.1");
    for (int i = 0; i < 60; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "DEMAND 4000 %064d 60000", i);
        fixture_say(&f, greedy, line);
    }
    fixture_say(&f, modest, "DEMAND 5000 #2 60000");
    fixture_forget(&f);
    for (int i = 0; i < 400; i++) {
        uint32_t a = fixture_connect(&f, "10.0.0.1");
        fixture_say(&f, a, "IDLE 1");
        answer(a, "TAKE", fixture_token(&f));
        fixture_disconnect(&f, a);
    }
    int to_modest = fixture_count(&f, " 192.0.3.1 5000 ");
    assert_true(to_modest > 140 && to_modest < 260); /* half of 400, six deviations */
}

static void unanswered_offers_are_bounded(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    for (int i = 0; i < 150; i++) {
        fixture_say(&f, fixture_connect(&f, "10.0.0.1"), "IDLE 1");
    }
    fixture_forget(&f);
    fixture_say(&f, master, "DEMAND 4000 #1 60000");
    assert_int_equal(fixture_count(&f, "HIRE"), 100);
    fixture_wait(&f, 9000);
    assert_int_equal(fixture_count(&f, "HIRE"), 100);
    fixture_wait(&f, 1000); /* nobody answered: the next */
    assert_int_equal(fixture_count(&f, "HIRE"), 150);
}

/* Everybody who is hired takes at once, and so do those who are hired in their wake. */
static uint32_t take_all(void)
{
    static char heard[FIXTURE_TRACE_BYTES];
    uint32_t taken = 0;
    while (strstr(f.trace, "HIRE ") != NULL) {
        memcpy(heard, f.trace, sizeof heard);
        fixture_forget(&f);
        for (const char *line = heard; *line != '\0'; line = strchr(line, '\n') + 1) {
            const char *hire = strstr(line, ": HIRE ");
            if (hire != NULL && hire < strchr(line, '\n')) {
                answer((uint32_t)strtoul(line, NULL, 10), "TAKE",
                       (uint32_t)strtoul(hire + 7, NULL, 10));
                taken++;
            }
        }
    }
    return taken;
}

/* A master is hired for at a pace that it can greet; a small pool does not notice. */
static void a_large_pool_is_hired_by_and_by(void **state)
{
    (void)state;
    enum { PEERS = 2000 };
    uint32_t peers[PEERS];
    for (int i = 0; i < PEERS; i++) {
        peers[i] = fixture_connect(&f, "10.0.0.1");
        fixture_say(&f, peers[i], "IDLE 1");
    }
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    uint32_t other = fixture_connect(&f, "192.0.3.1");
    uint32_t taken = 0;
    uint64_t started_ms = f.now_ms;
    fixture_forget(&f);
    fixture_say(&f, master, "DEMAND 4000 #1 60000");
    while (taken < PEERS - 1) {
        taken += take_all();
        assert_true(taken <= HIRING_BURST + (f.now_ms - started_ms) / HIRING_PACE_MS + 1);
        if (taken > PEERS / 2 && other != POOL_NONE) { /* it holds nobody else up */
            fixture_say(&f, other, "DEMAND 5000 #2 1");
            assert_int_equal(fixture_count(&f, "HIRE"), 1);
            fixture_forget(&f);
            other = POOL_NONE;
        }
        fixture_wait(&f, 10);
        assert_true(f.now_ms - started_ms < 5000);
    }
    assert_true(f.now_ms - started_ms > 3000);
}

/* One able peer among thousands that are not is found, if not in the first go. */
static void the_needle_is_found_in_time(void **state)
{
    (void)state;
    uint32_t master = fixture_connect(&f, "192.0.2.1");
    for (int i = 0; i < 3000; i++) {
        fixture_say(&f, fixture_connect(&f, "10.0.0.1"), i == 1500 ? "IDLE 1 rare" : "IDLE 1");
        fixture_forget(&f);
    }
    fixture_say(&f, master, "DEMAND 4000 #1 1 rare");
    fixture_wait(&f, 10000);
    assert_int_equal(fixture_count(&f, "HIRE"), 1);
    assert_true(registry_deadline_ms(f.registry) - f.now_ms > 100);
}

static void wanted_work_can_be_asked_for(void **state)
{
    (void)state;
    uint32_t a = fixture_connect(&f, "192.0.2.1");
    uint32_t b = fixture_connect(&f, "192.0.3.1");
    uint32_t local = fixture_connect(&f, "127.0.0.1");
    uint32_t asker = fixture_connect(&f, "198.51.100.1");
    fixture_say(&f, a, "DEMAND 4000 #1 16");
    fixture_say(&f, a, "DEMAND 4000 #2 8");
    fixture_say(&f, local, "DEMAND 4000 #4 8");
    fixture_forget(&f);
    fixture_say(&f, asker, "QUERY hiring 9");
    fixture_say(&f, asker, "QUERY hiring 9"); /* an address's jobs take turns */
    traced("3: WANT 192.0.2.1 4000 #1 16\n3: END 1 3\n"
           "3: WANT 192.0.2.1 4000 #2 8\n3: END 1 3\n");
    fixture_say(&f, b, "DEMAND 4000 #3 8");
    fixture_forget(&f);
    fixture_say(&f, asker, "QUERY hiring 9");
    assert_int_equal(fixture_count(&f, "WANT"), 2);
    fixture_forget(&f);
    fixture_say(&f, asker, "QUERY hiring 0");
    traced("3: END 0 4\n");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_default, close_fixture)
    const struct CMUnitTest tests[] = {
        CASE(the_later_side_is_matched_at_once),
        CASE(needs_are_met_by_abilities),
        CASE(no_more_are_hired_than_are_wanted),
        CASE(a_pass_goes_to_the_next_and_is_remembered),
        CASE(who_took_is_left_alone_until_it_says_more),
        CASE(who_took_in_vain_is_offered_again),
        CASE(what_came_to_nothing_is_offered_ever_more_rarely),
        CASE(who_is_turned_away_is_not_hired_in_a_circle),
        CASE(silence_is_an_answer_after_ten_seconds),
        CASE(a_freed_offer_goes_to_another_at_once),
        CASE(who_comes_while_it_shuns_is_offered_when_that_ends),
        CASE(nobody_meets_a_great_demand_by_its_word_alone),
        CASE(a_vanished_master_hires_nobody),
        CASE(nobody_is_hired_by_itself_or_out_of_reach),
        CASE(hirers_are_served_alike_however_many_jobs_they_have),
        CASE(unanswered_offers_are_bounded),
        CASE(a_large_pool_is_hired_by_and_by),
        CASE(the_needle_is_found_in_time),
        CASE(wanted_work_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
