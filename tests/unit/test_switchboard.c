/* Bytes in, bytes out: every way of cutting a conversation, deadlines, congestion, short memory. */
#include "tests/unit/unit.h"

#include "tests/unit/alloc.h"

#include <stdio.h>

#include "tracker/caller.h"
#include "tracker/switchboard.h"

#define JOB "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

enum { LINKS = 8 };

struct exchange {
    struct switchboard *board;
    char out[LINKS][8192];
    size_t out_len[LINKS];
    bool finished[LINKS];
    bool dropped[LINKS];
    bool congested;
    bool quiet; /* of the last that finished */
    struct addr dialled;
};

static struct exchange x;

static bool on_send(void *arg, uint32_t link, struct pn_bytes bytes)
{
    (void)arg;
    assert_true(link < LINKS && !x.finished[link] && !x.dropped[link]);
    assert_true(bytes.len < sizeof x.out[link] - x.out_len[link]);
    memcpy(x.out[link] + x.out_len[link], bytes.ptr, bytes.len);
    x.out_len[link] += bytes.len;
    x.out[link][x.out_len[link]] = '\0';
    return !x.congested;
}

static void on_finish(void *arg, uint32_t link, bool quiet)
{
    x.quiet = quiet;
    (void)arg;
    assert_false(x.finished[link]);
    x.finished[link] = true;
}

static void on_drop(void *arg, uint32_t link)
{
    (void)arg;
    x.dropped[link] = true;
}

static void on_dial(void *arg, const struct addr *addr)
{
    (void)arg;
    x.dialled = *addr;
}

static bool open_board_that(void (*dials)(void *arg, const struct addr *addr))
{
    const struct switchboard_ops ops = {
        .send = on_send, .finish = on_finish, .drop = on_drop, .dial = dials};
    struct registry_config config = registry_config_default();
    memset(&x, 0, sizeof x);
    x.board = switchboard_new(&config, &ops, NULL, 0);
    return x.board != NULL;
}

static bool open_board(void) { return open_board_that(NULL); }

static uint32_t dial(uint8_t host, uint64_t now_ms)
{
    const struct addr addr = addr_v4(192, 0, 2, host, 0);
    uint32_t link;
    return switchboard_connected(x.board, &addr, now_ms, &link, NULL) == PN_OK ? link : UINT32_MAX;
}

/* In pieces of step bytes, each in a block of exactly its size. */
static void give(uint32_t link, const char *text, size_t step, uint64_t now_ms)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += step) {
        size_t piece = len - at < step ? len - at : step;
        uint8_t *exact = __real_malloc(piece); /* the test itself is never short */
        assert_non_null(exact);
        memcpy(exact, text + at, piece);
        assert_int_equal(
            switchboard_received(x.board, link, (struct pn_bytes){exact, piece}, now_ms), piece);
        free(exact);
    }
}

/* With somebody to dial back, entries are listed when their listener has said its token. */
static void a_dial_back_decides_who_is_listed(void **state)
{
    (void)state;
    assert_true(open_board_that(on_dial));
    uint32_t peer = dial(1, 0);
    uint32_t asker = dial(2, 0);
    char text[ADDR_TEXT_BYTES];
    give(peer, "HELLO preon/1 proof=12\nINFORM 4000 " JOB " 30\n", 999, 0);
    assert_string_equal(addr_text(&x.dialled, text), "192.0.2.1:4000");
    give(asker, "HELLO preon/1\nQUERY " JOB " 9\n", 999, 0);
    switchboard_dialled(x.board, &x.dialled, 12, 5);
    give(asker, "QUERY " JOB " 9\n", 999, 5);
    assert_string_equal(x.out[asker], "HELLO preon/1 192.0.2.2 1800 45\nEND 0 1\n"
                                      "PEER 192.0.2.1 4000\nEND 1 1\n");
    switchboard_free(x.board);
}

static void every_cut_gives_the_same_answers(void **state)
{
    (void)state;
    static const char SAID[] = "HELLO preon/1 proof=12\r\nINFORM 4000 " JOB " 30\nPING\r\n"
                               "QUERY " JOB " 9\nQUERY idle 0\nnonsense\nPING\n";
    static const char HEARD[] = "HELLO preon/1 192.0.2.1 1800 45\nOK 30\nPONG\nEND 0 1\nEND 0 0\n"
                                "ERROR unknown word at the start of the line\n";
    for (size_t step = 1; step <= sizeof SAID; step++) {
        assert_true(open_board());
        uint32_t link = dial(1, 0);
        give(link, SAID, step, 0);
        assert_string_equal(x.out[link], HEARD);
        assert_true(x.finished[link]);
        switchboard_free(x.board);
    }
}

static void one_shot_needs_no_end_of_line(void **state)
{
    (void)state;
    static const char *const SAID[] = {"INFORM 4000 idle", "INFORM 4000 idle\n",
                                       "INFORM 4000 " JOB "\r\n", "DELETE 4000 " JOB};
    for (size_t i = 0; i < sizeof SAID / sizeof SAID[0]; i++) {
        for (size_t step = 1; step <= strlen(SAID[i]); step++) {
            assert_true(open_board());
            uint32_t link = dial(1, 0);
            give(link, SAID[i], step, 0);
            assert_string_equal(x.out[link], "OK\n");
            assert_true(x.finished[link]);
            /* A request that was whole before its LF may still be followed by one: do not close. */
            size_t len = strcspn(SAID[i], "\r\n");
            assert_int_equal(x.quiet, SAID[i][len] != '\0' && len % step != 0);
            switchboard_free(x.board);
        }
    }
}

static void too_long_is_noticed_before_its_end(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'A', sizeof text);
    assert_true(open_board());
    uint32_t shot = dial(1, 0);
    uint32_t line = dial(2, 0);
    text[127] = '\0';
    give(shot, text, 1, 0);
    assert_string_equal(x.out[shot], "");
    give(shot, "A", 1, 0);
    assert_string_equal(x.out[shot], "ERROR a line of more than 127 bytes\n");
    give(line, "HELLO preon/1\n", 99, 0);
    text[127] = 'A';
    text[255] = '\0';
    x.out_len[line] = 0;
    x.out[line][0] = '\0';
    give(line, text, 50, 0);
    assert_string_equal(x.out[line], "");
    give(line, "A", 1, 0);
    assert_string_equal(x.out[line], "ERROR a line of more than 255 bytes\n");
    switchboard_free(x.board);
}

/* Only whole lines renew: not connecting, not half lines. */
static void deadlines_are_absolute(void **state)
{
    (void)state;
    assert_true(open_board());
    uint32_t silent = dial(1, 0);
    uint32_t drip = dial(2, 0);
    uint32_t shot = dial(3, 0);
    uint32_t good = dial(4, 0);
    give(shot, "QUERY idle\n", 99, 1000);
    give(good, "HELLO preon/1\n", 99, 1000);
    for (uint64_t s = 1; s < 10; s++) {
        give(drip, "I", 1, s * 1000);
    }
    switchboard_tick(x.board, 2999);
    assert_false(x.dropped[shot]);
    assert_true(switchboard_deadline_ms(x.board) == 3000);
    switchboard_tick(x.board, 3000); /* answered, but it does not close */
    assert_true(x.dropped[shot]);
    assert_true(switchboard_deadline_ms(x.board) == 10000);
    switchboard_tick(x.board, 9999);
    assert_false(x.dropped[silent] || x.dropped[drip]);
    switchboard_tick(x.board, 10000);
    assert_true(x.dropped[silent] && x.dropped[drip] && !x.dropped[good]);
    give(good, "PING\n", 9, 100000);
    give(good, "PI", 9, 200000);
    switchboard_tick(x.board, 249999);
    assert_false(x.dropped[good]);
    switchboard_tick(x.board, 250000);
    assert_true(x.dropped[good]);
    assert_true(switchboard_deadline_ms(x.board) == UINT64_MAX);
    assert_int_equal(switchboard_stats(x.board).connections, 0);
    switchboard_free(x.board);
}

static void requests_wait_for_those_who_do_not_read(void **state)
{
    (void)state;
    static const char SAID[] = "PING\nPING\nPING\n";
    assert_true(open_board());
    uint32_t link = dial(1, 0);
    give(link, "HELLO preon/1\n", 99, 0);
    x.congested = true;
    assert_int_equal(switchboard_received(x.board, link, pn_bytes_str(SAID), 0), 5);
    x.congested = false;
    assert_int_equal(switchboard_received(x.board, link, pn_bytes_str(SAID + 5), 0), 10);
    assert_string_equal(x.out[link], "HELLO preon/1 192.0.2.1 1800 45\nPONG\nPONG\nPONG\n");
    switchboard_free(x.board);
}

static void hire_reaches_the_other_link(void **state)
{
    (void)state;
    assert_true(open_board());
    uint32_t worker = dial(1, 0);
    uint32_t master = dial(2, 0);
    give(worker, "HELLO preon/1\nIDLE 4\n", 99, 0);
    give(master, "HELLO preon/1\nDEMAND 5000 " JOB " 8\n", 99, 0);
    assert_non_null(strstr(x.out[worker], "HIRE "));
    assert_non_null(strstr(x.out[worker], " 192.0.2.2 5000 " JOB "\n"));
    switchboard_ended(x.board, worker, 0); /* half closed: not idle any more, not yet gone */
    assert_true(x.finished[worker]);
    assert_int_equal(switchboard_stats(x.board).idle_peers, 0);
    give(master, "DEMAND 5000 " JOB " 8\n", 99, 0);
    switchboard_closed(x.board, worker, 0);
    switchboard_closed(x.board, master, 0);
    assert_int_equal(switchboard_stats(x.board).demands, 0);
    switchboard_free(x.board);
}

/* A day in short: false when memory was short somewhere, which must have harmed nothing else. */
static bool a_day(void)
{
    if (!open_board()) {
        return false;
    }
    bool whole = true;
    for (uint8_t host = 1; host <= 4; host++) {
        uint32_t link = dial(host, 0);
        if (link == UINT32_MAX) {
            whole = false;
            continue;
        }
        give(link, "HELLO preon/1\nINFORM 4000 " JOB " 30\nINFORM 4001 " JOB " 30\nIDLE 4 a\n", 7,
             0);
        give(link, "DEMAND 4000 " JOB " 9 a\nQUERY " JOB " 9\nPING\n", 7, 0);
        whole = whole && strstr(x.out[link], "BUSY") == NULL && !x.finished[link];
        if (!x.finished[link]) {
            assert_non_null(strstr(x.out[link], "\nPONG\n"));
            assert_non_null(strstr(x.out[link], "\nEND "));
        }
    }
    switchboard_tick(x.board, 40000);
    assert_int_equal(switchboard_stats(x.board).entries, 0);
    switchboard_tick(x.board, 200000);
    assert_int_equal(switchboard_stats(x.board).connections, 0);
    assert_int_equal(switchboard_stats(x.board).demands, 0);
    switchboard_free(x.board);
    return whole;
}

/* An answered client that does not close has a socket of ours, and counts until it has not. */
static void who_lingers_counts_for_its_address(void **state)
{
    (void)state;
    assert_true(open_board());
    uint32_t link = dial(1, 0);
    give(link, "HELLO preon/1\nIDLE 4\nDEMAND 4000 " JOB " 9\nnonsense\n", 99, 0);
    assert_true(x.finished[link]);
    assert_int_equal(switchboard_stats(x.board).connections, 1);
    assert_int_equal(switchboard_stats(x.board).idle_peers, 0); /* nothing is sent to it any more */
    assert_int_equal(switchboard_stats(x.board).demands, 0);
    switchboard_tick(x.board, 2000);
    assert_true(x.dropped[link]);
    assert_int_equal(switchboard_stats(x.board).connections, 0);
    switchboard_free(x.board);
}

static void short_memory_harms_nobody_else(void **state)
{
    (void)state;
    enum { ALLOCATIONS = 120 }; /* more than a day needs; a few may fail without being missed */
    int failures = 0;
    for (unsigned long n = 1; n <= ALLOCATIONS; n++) {
        alloc_fail_at(n);
        failures += !a_day();
    }
    alloc_fail_never();
    assert_true(a_day());
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same_answers),
        cmocka_unit_test(a_dial_back_decides_who_is_listed),
        cmocka_unit_test(one_shot_needs_no_end_of_line),
        cmocka_unit_test(too_long_is_noticed_before_its_end),
        cmocka_unit_test(deadlines_are_absolute),
        cmocka_unit_test(requests_wait_for_those_who_do_not_read),
        cmocka_unit_test(hire_reaches_the_other_link),
        cmocka_unit_test(who_lingers_counts_for_its_address),
        cmocka_unit_test(short_memory_harms_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
