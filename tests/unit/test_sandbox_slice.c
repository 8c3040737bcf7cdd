/* What is kept of a slice's streams, what it finds in its environment, and what it may have. */
#include "unit.h"

#include <stdio.h>

#include "peer/sandbox/caps.h"
#include "peer/sandbox/environment.h"
#include "peer/sandbox/lines.h"
#include "peer/sandbox/tail.h"

/* Whatever the pieces it comes in, the same is kept: compared with the whole text cut by hand. */
static void tail_keeps_both_ends(void **state)
{
    (void)state;
    static const size_t totals[] = {0,
                                    1,
                                    TAIL_FIRST_BYTES,
                                    TAIL_FIRST_BYTES + 1,
                                    TAIL_FIRST_BYTES + TAIL_LAST_BYTES,
                                    TAIL_FIRST_BYTES + TAIL_LAST_BYTES + 1,
                                    50000};
    static const size_t pieces[] = {1, 7, 1000, TAIL_LAST_BYTES, 50000};
    enum { MOST = 50000 };
    uint8_t *text = malloc(MOST);
    for (size_t i = 0; i < MOST; i++) {
        text[i] = (uint8_t)('a' + i % 23);
    }
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            struct tail *t = calloc(1, sizeof *t);
            uint8_t got[TAIL_TEXT_BYTES];
            uint8_t want[TAIL_TEXT_BYTES];
            size_t total = totals[i];
            for (size_t at = 0; at < total; at += pieces[k]) {
                size_t n = total - at < pieces[k] ? total - at : pieces[k];
                tail_add(t, (struct pn_bytes){text + at, n});
            }
            size_t want_len = total;
            if (total <= TAIL_FIRST_BYTES + TAIL_LAST_BYTES) {
                memcpy(want, text, total);
            } else {
                memcpy(want, text, TAIL_FIRST_BYTES);
                want_len = TAIL_FIRST_BYTES;
                want_len += (size_t)snprintf((char *)want + want_len, 64,
                                             "\n[... %zu bytes left out ...]\n",
                                             total - TAIL_FIRST_BYTES - TAIL_LAST_BYTES);
                memcpy(want + want_len, text + total - TAIL_LAST_BYTES, TAIL_LAST_BYTES);
                want_len += TAIL_LAST_BYTES;
            }
            assert_int_equal(tail_text(t, got), want_len);
            assert_memory_equal(got, want, want_len);
            free(t);
        }
    }
    free(text);
}

struct heard {
    char text[64];
    size_t count;
    size_t longest;
};

static void on_line(void *arg, struct pn_bytes line)
{
    struct heard *h = arg;
    size_t used = strlen(h->text);
    (void)snprintf(h->text + used, sizeof h->text - used, "%.*s|", (int)line.len,
                   (const char *)line.ptr);
    h->count++;
    h->longest = line.len > h->longest ? line.len : h->longest;
}

static void lines_come_when_complete(void **state)
{
    (void)state;
    struct lines *l = calloc(1, sizeof *l);
    struct heard h = {.count = 0};
    lines_add(l, pn_bytes_str("one\ntw"), on_line, &h);
    assert_string_equal(h.text, "one|");
    lines_add(l, pn_bytes_str("o\n\nthr"), on_line, &h);
    assert_string_equal(h.text, "one|two||");
    char *big = malloc(3 * LINES_BYTES_MAX);
    memset(big, 'x', (size_t)3 * LINES_BYTES_MAX);
    lines_add(l, (struct pn_bytes){(uint8_t *)big, (size_t)3 * LINES_BYTES_MAX}, on_line, &h);
    assert_int_equal(h.count, 3);
    lines_add(l, pn_bytes_str("\nend\n"), on_line, &h);
    assert_int_equal(h.count, 5);
    assert_int_equal(h.longest, LINES_BYTES_MAX);
    free(big);
    free(l);
}

static bool has(const struct environment *e, const char *entry)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (strcmp(e->list[i], entry) == 0) {
            return true;
        }
    }
    return false;
}

static void environment_is_ours_first(void **state)
{
    (void)state;
    static const char *const own[] = {"A=1", "HOME=/work", "PREON_SLICE=9"};
    struct environment *e = malloc(sizeof *e);
    struct digest job = {{0xab}};
    assert_int_equal(environment_build(&job, 3, 8, "/work", false, own, 3, e, NULL), PN_OK);
    assert_true(has(e, "PREON_SLICE=3"));
    assert_false(has(e, "PREON_SLICE=9"));
    assert_true(has(e, "PREON_SLICES=8"));
    assert_true(has(e, "PREON_OUT=/work"));
    assert_true(has(e, "PREON_JOB=ab000000000000000000000000000000"
                       "00000000000000000000000000000000"));
    assert_true(has(e, "HOME=/work"));
    assert_false(has(e, "HOME=/tmp"));
    assert_true(has(e, "LC_ALL=C"));
    assert_true(has(e, "A=1"));
    assert_int_equal(e->count, 8);
    assert_null(e->list[8]);
    assert_int_equal(environment_build(&job, 3, 8, "/work", true, own, 1, e, NULL), PN_OK);
    assert_int_equal(e->count, 9); /* and PATH */
    assert_int_equal(environment_build(&job, 3, 8, "/work", true, own, ORDER_ENV_MAX, e, NULL),
                     PN_E_TOO_BIG);
    free(e);
}

/* What a plain manifest asks for runs on any machine, and what is over it is refused. */
static void caps_follow_the_machine(void **state)
{
    (void)state;
    static const uint64_t GIB = 1 << 30;
    static const uint64_t rams[] = {0, 1 << 28, 1 << 30, (uint64_t)64 << 30, UINT64_MAX};
    struct pn_err err;
    for (size_t i = 0; i < sizeof rams / sizeof rams[0]; i++) {
        struct limits caps = caps_of_machine(rams[i]);
        assert_int_equal(caps_check(&LIMITS_DEFAULT, &caps, &err), PN_OK);
        assert_int_equal(caps_check(&caps, &LIMITS_MAX, &err), PN_OK);
    }
    struct limits caps = caps_of_machine(8 * GIB);
    assert_int_equal(caps.memory_bytes, 6 * GIB);
    assert_int_equal(caps.output_bytes, GIB);
    assert_int_equal(caps_check(&LIMITS_MAX, &caps, &err), PN_E_DENIED);
    /* Sixteen slots of our own programs beside each other, as ever; foreign ones when they fit. */
    const uint64_t nonce = caps_weight(&LIMITS_DEFAULT, PROGRAM_OWN, "nonce@1");
    const uint64_t foreign = caps_weight(&LIMITS_DEFAULT, PROGRAM_FILE, "nonce@1");
    assert_true(16 * nonce <= caps_budget(GIB)); /* what it may write is more than it ever does */
    assert_true(64 * nonce <= caps_budget(4 * GIB));
    assert_true(9 * foreign <= caps_budget(8 * GIB));
    assert_true(10 * foreign > caps_budget(8 * GIB));
    const struct limits little = {.output_bytes = 100};
    assert_true(caps_weight(&little, PROGRAM_OWN, "nonce@1") < nonce);
    assert_int_equal(caps_weight(&LIMITS_DEFAULT, PROGRAM_OWN, "another@1") -
                         caps_weight(&little, PROGRAM_OWN, "another@1"),
                     LIMITS_DEFAULT.output_bytes - 100);
}

static void caps_are_named(void **state)
{
    (void)state;
    const struct limits asked = {
        .time_s = 10, .cpu_s = 20, .memory_bytes = 1000, .process_count = 4, .output_bytes = 5000};
    struct limits caps = asked;
    struct pn_err err;
    assert_int_equal(caps_check(&asked, &caps, &err), PN_OK);
    caps.process_count = 0; /* none */
    assert_int_equal(caps_check(&asked, &caps, &err), PN_OK);
    caps.output_bytes = 4999;
    assert_int_equal(caps_check(&asked, &caps, &err), PN_E_DENIED);
    assert_string_equal(err.text, "limits: output = 5000 asked for, at most 4999 on this machine");
    struct order_limits got = caps_order(&asked);
    assert_int_equal(got.time_ms, 10000);
    assert_int_equal(got.memory_bytes, 1000);
    assert_true(got.inode_count > 0 && got.open_file_count > 0);
    assert_int_equal(got.output_bytes, 5000);
    const struct limits nothing = {.output_bytes = 0}; /* an order's limits are over 0 */
    assert_int_equal(caps_order(&nothing).output_bytes, 1);
    const struct limits longest = {.time_s = UINT32_MAX};
    assert_int_equal(caps_order(&longest).time_ms, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_keeps_both_ends),
        cmocka_unit_test(lines_come_when_complete),
        cmocka_unit_test(environment_is_ours_first),
        cmocka_unit_test(caps_follow_the_machine),
        cmocka_unit_test(caps_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
