/* Orders and reports between daemon and launcher: round trips, and everything that is refused. */
#include "unit.h"

#include <stdio.h>

#include "peer/sandbox/order.h"
#include "peer/sandbox/report.h"

static struct order_room room;
static uint8_t packet[ORDER_BYTES_MAX];

static struct order example(void)
{
    static const char *const args[] = {"crunch.sh", "", "a b\n", NULL};
    static const char *const env[] = {"PREON_SLICE=1", NULL};
    static const struct order_file files[] = {{"bin/tool", false}, {"", true}};
    static const char *const outputs[] = {"a/b.txt"};
    return (struct order){
        .kind = ORDER_RUN,
        .id = 77,
        .program = ORDER_PROGRAM_OWN,
        .system = true,
        .low_priority = true,
        .limits = {.memory_bytes = 1ULL << 40,
                   .output_bytes = 2,
                   .tmp_bytes = 3,
                   .time_ms = 4,
                   .cpu_s = 5,
                   .process_count = 6,
                   .inode_count = 7,
                   .open_file_count = 8},
        .args = args,
        .arg_count = 3,
        .env = env,
        .env_count = 1,
        .files = files,
        .file_count = 2,
        .outputs = outputs,
        .output_count = 1,
    };
}

static void order_comes_back(void **state)
{
    (void)state;
    struct order o = example();
    struct order got;
    size_t len = 0;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_OK);
    assert_int_equal(order_parse((struct pn_bytes){packet, len}, &room, &got, NULL), PN_OK);
    assert_int_equal(got.id, 77);
    assert_true(got.system && got.low_priority && !got.own_folder);
    assert_memory_equal(&got.limits, &o.limits, sizeof o.limits);
    assert_int_equal(got.arg_count, 3);
    assert_string_equal(got.args[1], "");
    assert_string_equal(got.args[2], "a b\n");
    assert_null(got.args[3]);
    assert_string_equal(got.env[0], "PREON_SLICE=1");
    assert_null(got.env[1]);
    assert_string_equal(got.files[0].name, "bin/tool");
    assert_true(got.files[1].folder);
    assert_string_equal(got.outputs[0], "a/b.txt");
    assert_int_equal(order_fd_count(&got), 2 + 1 + 2);
    uint8_t *again = malloc(ORDER_BYTES_MAX);
    size_t again_len = 0;
    assert_int_equal(order_write(&got, again, &again_len, NULL), PN_OK);
    assert_int_equal(again_len, len);
    assert_memory_equal(again, packet, len);
    free(again);
}

static void order_refuses_other_lengths(void **state)
{
    (void)state;
    struct order o = example();
    struct order got;
    size_t len = 0;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_OK);
    for (size_t n = 0; n < len; n++) {
        uint8_t *prefix = unit_exact(packet, n);
        assert_int_not_equal(order_parse((struct pn_bytes){prefix, n}, &room, &got, NULL), PN_OK);
        free(prefix);
    }
    packet[len] = 0;
    assert_int_equal(order_parse((struct pn_bytes){packet, len + 1}, &room, &got, NULL),
                     PN_E_MALFORMED);
}

/* One changed byte is refused, or read as an order that writes the same bytes again. */
static void order_has_one_encoding(void **state)
{
    (void)state;
    struct order o = example();
    struct order got;
    size_t len = 0;
    uint8_t *again = malloc(ORDER_BYTES_MAX);
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_OK);
    for (size_t at = 0; at < len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            uint8_t *changed = unit_exact(packet, len);
            changed[at] ^= (uint8_t)(1 << bit);
            if (order_parse((struct pn_bytes){changed, len}, &room, &got, NULL) == PN_OK) {
                size_t again_len = 0;
                assert_int_equal(order_write(&got, again, &again_len, NULL), PN_OK);
                assert_int_equal(again_len, len);
                assert_memory_equal(again, changed, len);
            }
            free(changed);
        }
    }
    free(again);
}

static void order_refuses_bad_values(void **state)
{
    (void)state;
    static const char *const bad_names[] = {"/etc",   "a//b", "a/", ".",   "..",
                                            "a/../b", "./a",  "",   "a\nb"};
    size_t len = 0;
    struct order o = example();
    o.arg_count = 0;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_E_RANGE);
    o = example();
    o.limits.cpu_s = 0;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_E_RANGE);
    o = example();
    o.file_count = ORDER_FILES_MAX + 1;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_E_TOO_BIG);
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++) {
        const struct order_file file = {.name = bad_names[i]};
        o = example();
        o.files = &file;
        o.file_count = 1;
        assert_int_equal(order_write(&o, packet, &len, NULL), PN_E_RANGE);
        o = example();
        o.outputs = &bad_names[i];
        assert_int_equal(order_write(&o, packet, &len, NULL), PN_E_RANGE);
    }
    assert_true(order_name_valid("..."));
    assert_true(order_name_valid("a/.b/c.."));
    char name[ORDER_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[ORDER_NAME_MAX] = '\0';
    assert_true(order_name_valid(name));
    name[ORDER_NAME_MAX] = 'x';
    name[ORDER_NAME_MAX + 1] = '\0';
    assert_false(order_name_valid(name));
}

static void order_says_when_it_is_too_long(void **state)
{
    (void)state;
    struct order o = example();
    struct pn_err err;
    size_t len = 0;
    char *word = malloc(60001);
    memset(word, 'w', 60000);
    word[60000] = '\0';
    const char *const args[] = {word, word, word, NULL};
    o.args = args;
    assert_int_equal(order_write(&o, packet, &len, &err), PN_E_TOO_BIG);
    assert_string_equal(err.text, "order: arguments and environment over 131072 bytes, or one over "
                                  "65534");
    free(word);
}

static void kill_is_an_order(void **state)
{
    (void)state;
    struct order o = {.kind = ORDER_KILL, .id = 9};
    struct order got;
    size_t len = 0;
    assert_int_equal(order_write(&o, packet, &len, NULL), PN_OK);
    assert_int_equal(len, 5);
    assert_int_equal(order_parse((struct pn_bytes){packet, len}, &room, &got, NULL), PN_OK);
    assert_int_equal(got.kind, ORDER_KILL);
    assert_int_equal(got.id, 9);
    assert_int_equal(order_fd_count(&got), 0);
}

static void check_report(const struct report *r)
{
    uint8_t bytes[REPORT_BYTES_MAX];
    struct report got;
    size_t len = report_write(r, bytes);
    for (size_t n = 0; n < len; n++) {
        uint8_t *prefix = unit_exact(bytes, n);
        assert_int_equal(report_parse((struct pn_bytes){prefix, n}, &got, NULL), PN_E_MALFORMED);
        free(prefix);
    }
    bytes[len] = 0;
    assert_int_equal(report_parse((struct pn_bytes){bytes, len + 1}, &got, NULL), PN_E_MALFORMED);
    uint8_t *exact = unit_exact(bytes, len);
    assert_int_equal(report_parse((struct pn_bytes){exact, len}, &got, NULL), PN_OK);
    free(exact);
    uint8_t again[REPORT_BYTES_MAX];
    assert_int_equal(report_write(&got, again), len);
    assert_memory_equal(again, bytes, len);
}

static void reports_come_back(void **state)
{
    (void)state;
    struct report ready = {.kind = REPORT_READY};
    ready.ready.tier = SANDBOX_REDUCED;
    ready.ready.uid = 65534;
    memset(ready.ready.reason, 'r', sizeof ready.ready.reason - 1);
    memset(ready.ready.remedy, 'm', sizeof ready.ready.remedy - 1);
    check_report(&ready);
    struct report ended = {.kind = REPORT_ENDED};
    ended.ended.id = 5;
    ended.ended.outcome = (struct outcome){OUTCOME_SIGNALLED, 11};
    ended.ended.peak_bytes = 1ULL << 50;
    ended.ended.folder = true;
    memset(ended.ended.text, 't', sizeof ended.ended.text - 1);
    check_report(&ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_comes_back),
        cmocka_unit_test(order_refuses_other_lengths),
        cmocka_unit_test(order_has_one_encoding),
        cmocka_unit_test(order_refuses_bad_values),
        cmocka_unit_test(order_says_when_it_is_too_long),
        cmocka_unit_test(kill_is_an_order),
        cmocka_unit_test(reports_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
