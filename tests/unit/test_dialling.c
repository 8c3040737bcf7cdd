/* Which addresses a peer may dial, and how often: hosts of strangers, hosts that are peers, a lan.
 */
#include "tests/unit/unit.h"

#include "tests/unit/alloc.h"

#include <stdio.h>

#include "peer/rendezvous/dialling.h"

#define MINUTE ((uint64_t)DIALLING_MINUTE_MS)

static struct dialling *d;
static uint64_t now_ms;

static int open_empty(void **state)
{
    (void)state;
    now_ms = 1000;
    d = dialling_new(1);
    return d == NULL;
}

static int close_it(void **state)
{
    (void)state;
    dialling_free(d);
    return 0;
}

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(pn_bytes_str(text), 0, &a, NULL), PN_OK);
    return a;
}

/* Asking must never change the answer. */
static enum dialling_verdict begin_for(const char *text, enum dialling_for why, bool lan)
{
    const struct addr a = at(text);
    enum dialling_verdict asked = dialling_ask(d, &a, why, lan, now_ms);
    assert_int_equal(dialling_ask(d, &a, why, lan, now_ms), asked);
    assert_int_equal(dialling_begin(d, &a, why, lan, now_ms), asked);
    return asked;
}

static enum dialling_verdict begin(const char *text)
{
    return begin_for(text, DIALLING_WORK, true);
}

static void end(const char *text, bool valid)
{
    const struct addr a = at(text);
    dialling_end(d, &a, DIALLING_WORK, valid, now_ms);
}

static void some_addresses_are_never_dialled(void **state)
{
    (void)state;
    static const char *const NEVER[] = {"192.0.2.1:1023", "192.0.2.1:25", "224.0.0.1:4000",
                                        "0.0.0.0:4000",   "10.0.0.1:80",  "[ff02::1]:4000"};
    static const char *const LAN[] = {"127.0.0.1:4000",   "10.1.2.3:4000", "192.168.1.1:4000",
                                      "169.254.1.1:4000", "[::1]:4000",    "100.64.0.1:4000"};
    for (size_t i = 0; i < sizeof NEVER / sizeof NEVER[0]; i++) {
        assert_int_equal(begin(NEVER[i]), DIALLING_NEVER);
    }
    for (size_t i = 0; i < sizeof LAN / sizeof LAN[0]; i++) {
        assert_int_equal(begin_for(LAN[i], DIALLING_WORK, false), DIALLING_NEVER);
        assert_int_equal(begin_for(LAN[i], DIALLING_WORK, true), DIALLING_NOW);
        /* a master of ours: our own knowledge, whatever the trackers are by now */
        assert_int_equal(begin_for(LAN[i], DIALLING_AGAIN, false), DIALLING_NOW);
    }
}

static void a_host_that_is_no_peer_is_tried_ever_more_seldom(void **state)
{
    (void)state;
    uint64_t pause_ms = MINUTE;
    uint32_t tries = 0;
    uint64_t end_ms = now_ms + 10ULL * DIALLING_DAY_MS;
    while (now_ms < end_ms) {
        assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
        assert_int_equal(begin("192.0.2.1:4000"), DIALLING_SOON); /* it is being found out */
        assert_int_equal(begin("192.0.2.1:4001"),
                         DIALLING_LATER); /* the host counts, not the port */
        end("192.0.2.1:4000", false);
        end("192.0.2.1:4000", false); /* nobody asked: does not count */
        tries++;
        now_ms += pause_ms - 1;
        assert_int_equal(begin("192.0.2.1:4000"), DIALLING_LATER);
        now_ms++;
        pause_ms = pause_ms * 2 < DIALLING_DAY_MS ? pause_ms * 2 : DIALLING_DAY_MS;
    }
    assert_in_range(tries, 15, 22);
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", true);
    end("192.0.2.1:4000", true);
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW); /* a peer after all */
    end("192.0.2.1:4000", false);
    now_ms += MINUTE - 1; /* and not any more: from the beginning */
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_LATER);
    now_ms += 1;
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
}

/* It hangs up before its HELLO for as long as it is full; a day of that, and it is a stranger. */
static void a_peer_that_is_full_is_tried_again_soon(void **state)
{
    (void)state;
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", true);
    const uint64_t full_ms = now_ms;
    while (now_ms < full_ms + 12 * 60 * MINUTE) {
        assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
        end("192.0.2.1:4000", false);
        assert_int_equal(begin("192.0.2.1:4000"), DIALLING_LATER);
        now_ms += DIALLING_FULL_MS;
    }
    now_ms = full_ms + DIALLING_DAY_MS;
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", false);
    now_ms += 10 * DIALLING_FULL_MS;
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_LATER);
}

/* Two hundred jobs of one public master. */
static void a_proven_peer_is_dialled_often_but_not_at_will(void **state)
{
    (void)state;
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", true);
    uint32_t dials = 0;
    for (int i = 0; i < 1000; i++) {
        dials += begin("192.0.2.1:4000") == DIALLING_NOW;
    }
    assert_int_equal(dials, DIALLING_PROVEN_BURST);
    for (int ms = 0; ms < 10000; ms += 10) {
        now_ms += 10;
        dials += begin("192.0.2.1:4000") == DIALLING_NOW;
    }
    assert_int_equal(dials, DIALLING_PROVEN_BURST + 20);
    now_ms += 10 * MINUTE; /* nothing is saved up beyond the burst */
    for (int i = 0; i < 1000; i++) {
        dials += begin("192.0.2.1:4000") == DIALLING_NOW;
    }
    assert_int_equal(dials, 2 * DIALLING_PROVEN_BURST + 20);
    /* its other ports are as unknown as anybody's, and it takes nothing from others */
    assert_int_equal(begin("192.0.2.1:4001"), DIALLING_NOW);
    end("192.0.2.1:4001", false);
    now_ms += MINUTE - 1;
    assert_int_equal(begin("192.0.2.1:4001"), DIALLING_LATER);
    assert_int_equal(begin("192.0.2.1:4000"),
                     DIALLING_NOW); /* the liar's word took no proof away */
}

static void networks_and_the_whole_have_a_budget(void **state)
{
    (void)state;
    char text[64];
    uint32_t dials = 0;
    for (int host = 1; host < 200; host++) {
        (void)snprintf(text, sizeof text, "192.0.2.%d:4000", host);
        dials += begin(text) == DIALLING_NOW;
    }
    assert_int_equal(dials, DIALLING_NET_MAX);
    for (int net = 1; net < 200; net++) {
        (void)snprintf(text, sizeof text, "198.51.%d.1:4000", net);
        dials += begin_for(text, DIALLING_BLOCKS, false) == DIALLING_NOW;
    }
    assert_int_equal(dials, DIALLING_BLOCKS_MAX);
    for (int net = 1; net < 200; net++) {
        (void)snprintf(text, sizeof text, "203.0.%d.1:4000", net); /* work comes all the same */
        dials += begin(text) == DIALLING_NOW;
    }
    assert_int_equal(dials, DIALLING_ALL_MAX);
    /* an hour of it, with names as fast as they can be told */
    for (uint64_t s = 0; s < 3600; s++) {
        now_ms += 1000;
        for (uint32_t i = 0; i < 8; i++) {
            uint32_t n = (uint32_t)s * 8 + i;
            (void)snprintf(text, sizeof text, "192.%u.%u.1:4000", 1 + n / 250 % 150, n % 250);
            dials += begin(text) == DIALLING_NOW;
        }
    }
    assert_in_range(dials, 60 * DIALLING_ALL_MAX, 61 * DIALLING_ALL_MAX);
}

static void on_a_lan_each_port_counts_for_itself(void **state)
{
    (void)state;
    char text[64];
    for (int port = 0; port < 200; port++) { /* peers of one machine, restarted again and again */
        (void)snprintf(text, sizeof text, "127.0.0.1:%d", 4000 + port);
        assert_int_equal(begin(text), DIALLING_NOW);
        end(text, true);
    }
    for (int job = 0; job < 100000; job++) { /* many jobs of one master */
        assert_int_equal(begin("127.0.0.1:4000"), DIALLING_NOW);
    }
    uint64_t pause_ms = DIALLING_LAN_FIRST_MS;
    for (int i = 0; i < 12; i++) {
        assert_int_equal(begin("10.0.0.1:4000"), DIALLING_NOW);
        assert_int_equal(begin("10.0.0.1:4000"), DIALLING_NOW); /* another job of it, meanwhile */
        end("10.0.0.1:4000", false);
        end("10.0.0.1:4000", false); /* one failure */
        assert_int_equal(begin("10.0.0.1:4001"), DIALLING_NOW);
        end("10.0.0.1:4001", true);
        now_ms += pause_ms - 1;
        assert_int_equal(begin("10.0.0.1:4000"), DIALLING_LATER);
        now_ms++;
        pause_ms = pause_ms * 2 < MINUTE ? pause_ms * 2 : MINUTE;
    }
}

static void a_lan_is_not_scanned_through_us(void **state)
{
    (void)state;
    char text[64];
    uint32_t dials = 0;
    for (int s = 0; s < 60; s++) {
        now_ms += 1000;
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(text, sizeof text, "10.0.%d.%d:4000", s, i % 250);
            uint32_t known = begin(text) == DIALLING_NOW;
            dials += known;
            if (known) {
                end(text, false);
            }
        }
    }
    assert_in_range(dials, DIALLING_LAN_BURST, DIALLING_LAN_BURST + 600);
}

/* The master that we lost: its worker asks as often as it sees fit, and its return counts. */
static void a_lost_master_is_dialled_by_its_own_rule(void **state)
{
    (void)state;
    const struct addr master = at("192.0.2.1:4000");
    for (int i = 0; i < 100; i++) {
        assert_int_equal(begin_for("192.0.2.1:4000", DIALLING_AGAIN, false), DIALLING_NOW);
        dialling_end(d, &master, DIALLING_AGAIN, false, now_ms);
    }
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW); /* took nothing of the budget */
    end("192.0.2.1:4000", false);
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_LATER);
    dialling_end(d, &master, DIALLING_AGAIN, true, now_ms);
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
}

/* Looking for a master where another peer lives says nothing against that peer. */
static void a_search_proves_nothing(void **state)
{
    (void)state;
    const struct addr other = at("192.0.2.1:4000");
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", true);
    assert_int_equal(begin_for("192.0.2.1:4000", DIALLING_SEARCH, false), DIALLING_NOW);
    dialling_end(d, &other, DIALLING_SEARCH, false, now_ms);
    assert_int_equal(begin("192.0.2.1:4000"), DIALLING_NOW);
    end("192.0.2.1:4000", false);
    assert_int_equal(begin_for("192.0.2.1:4000", DIALLING_SEARCH, false), DIALLING_LATER);
}

/* Whoever names a million addresses makes us forget the oldest, and no memory is used up. */
static void so_many_are_remembered(void **state)
{
    (void)state;
    char text[64];
    uint32_t dials = 0;
    for (uint32_t i = 0; i < 3 * DIALLING_KNOWN_MAX; i++) {
        now_ms += 200;
        (void)snprintf(text, sizeof text, "10.%u.%u.%u:4000", i >> 16, i >> 8 & 255, i & 255);
        dials += begin(text) == DIALLING_NOW;
        end(text, true);
    }
    assert_int_equal(dials, 3 * DIALLING_KNOWN_MAX);
    assert_int_equal(begin("10.0.0.1:4000"), DIALLING_NOW);
}

static void without_memory_nobody_is_dialled(void **state)
{
    (void)state;
    const struct addr a = at("192.0.2.1:4000");
    enum dialling_verdict verdict;
    for (alloc_fail_at(1);
         (verdict = dialling_begin(d, &a, DIALLING_WORK, false, now_ms)) != DIALLING_NOW;
         alloc_fail_next()) {
        assert_int_equal(verdict, DIALLING_LATER);
    }
    alloc_fail_never();
    assert_true(alloc_turn > 2);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_empty, close_it)
    const struct CMUnitTest tests[] = {
        CASE(some_addresses_are_never_dialled),
        CASE(a_host_that_is_no_peer_is_tried_ever_more_seldom),
        CASE(a_peer_that_is_full_is_tried_again_soon),
        CASE(a_proven_peer_is_dialled_often_but_not_at_will),
        CASE(networks_and_the_whole_have_a_budget),
        CASE(on_a_lan_each_port_counts_for_itself),
        CASE(a_lan_is_not_scanned_through_us),
        CASE(a_lost_master_is_dialled_by_its_own_rule),
        CASE(a_search_proves_nothing),
        CASE(so_many_are_remembered),
        CASE(without_memory_nobody_is_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
