/* The fetching core, event by event: whom it asks, whom it leaves, when it is done. */
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/swarm/spread.h"
#include "peer/swarm/swarm.h"

static struct layout layout;
static struct swarm *swarm;
static struct swarm_actions actions;
static uint64_t now;
static char trace[4096];

static void note(const struct swarm_action *a)
{
    static const char *const names[] = {"leaves", "block", "any", "stop", "drop", "done"};
    size_t len = strlen(trace);
    (void)snprintf(trace + len, sizeof trace - len, "%llu %s from %u: %u+%u\n",
                   (unsigned long long)now, names[a->kind], a->source,
                   a->kind == SWARM_ASK_LEAVES ? a->file : a->first, a->count);
}

/* Applies an event and writes down what it led to. */
static void feed(enum swarm_event_kind kind, uint32_t source, uint32_t tag, uint32_t first,
                 uint32_t count)
{
    struct swarm_event ev = {kind, now, source, tag, first, count};
    trace[0] = '\0';
    swarm_step(swarm, &ev, &actions);
    for (uint32_t i = 0; i < actions.count; i++) {
        note(&actions.items[i]);
    }
}

static void begin(const uint64_t *sizes, const struct swarm_file *files, uint32_t count)
{
    now = 1000;
    assert_int_equal(layout_init(&layout, sizes, count), PN_OK);
    swarm = swarm_new(&layout, files, 5);
    assert_non_null(swarm);
    feed(SWARM_TICK, 0, 0, 0, 0);
}

static void end(void)
{
    swarm_free(swarm);
    layout_fini(&layout);
}

/* The whole answer to the request that action i made, from its first byte to its check. */
static void answer(uint32_t i)
{
    struct swarm_action a = actions.items[i];
    uint32_t block = a.first;
    if (a.kind == SWARM_ASK_LEAVES) {
        feed(SWARM_BYTES, a.source, a.tag, 0, a.count * 32);
        feed(SWARM_ARRIVED, a.source, a.tag, 0, 0);
        return;
    }
    if (a.kind == SWARM_ASK_ANY) {
        feed(SWARM_BEGUN, a.source, a.tag, block, 0);
    }
    feed(SWARM_BYTES, a.source, a.tag, 0, layout_block_length(&layout, block));
    feed(SWARM_ARRIVED, a.source, a.tag, 0, 0);
    feed(SWARM_BLOCK_GOOD, a.source, 0, block, 0);
}

static void nothing_to_fetch_is_done_at_once(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0};
    const struct swarm_file files[] = {{0, false}};
    begin(sizes, files, 1);
    assert_string_equal(trace, "1000 done from 0: 0+0\n");
    assert_true(swarm_deadline_ms(swarm) == UINT64_MAX);
    end();
}

static void leaves_come_first_and_the_commands_files_before_the_rest(void **state)
{
    (void)state;
    const uint64_t sizes[] = {3 * BLOCK_BYTES_MIN, 100, 2 * BLOCK_BYTES_MIN};
    const struct swarm_file files[] = {{1, false}, {0, false}, {0, false}};
    begin(sizes, files, 3);
    assert_string_equal(trace, "");
    feed(SWARM_SOURCE_ADDED, 7, 0, 0, 0);
    assert_string_equal(trace, ""); /* it has told of nothing yet */
    feed(SWARM_HAVE_ALL, 7, 0, 0, 0);
    assert_string_equal(trace, "1000 leaves from 7: 2+2\n"
                               "1000 leaves from 7: 0+3\n"
                               "1000 any from 7: 3+3\n"); /* the command's small file */
    struct swarm_action any = actions.items[2];
    answer(0);
    feed(SWARM_LEAVES_GOOD, 0, 0, 2, 0);
    assert_string_equal(trace, "1000 any from 7: 3+3\n" /* two more are open now */
                               "1000 any from 7: 3+3\n");
    feed(SWARM_BEGUN, 7, any.tag, 3, 0);
    assert_string_equal(trace, ""); /* as many on their way as are open */
    uint8_t bits;
    swarm_held(swarm, 4, 2, &bits);
    assert_int_equal(bits, 0xfc);
    end();
}

static void wrong_leaves_and_wrong_blocks_cost_the_source(void **state)
{
    (void)state;
    const uint64_t sizes[] = {2 * BLOCK_BYTES_MIN};
    const struct swarm_file files[] = {{0, false}};
    begin(sizes, files, 1);
    feed(SWARM_SOURCE_ADDED, 1, 0, 0, 0);
    feed(SWARM_SOURCE_ADDED, 2, 0, 0, 0);
    feed(SWARM_HAVE, 2, 0, 0, 2);
    assert_string_equal(trace, "1000 leaves from 2: 0+2\n");
    feed(SWARM_HAVE, 1, 0, 0, 2);
    feed(SWARM_ARRIVED, 2, 0, 0, 0);
    feed(SWARM_LEAVES_BAD, 2, 0, 0, 0);
    assert_string_equal(trace, "1000 drop from 2: 0+0\n"
                               "1000 leaves from 1: 0+2\n");
    feed(SWARM_ARRIVED, 1, actions.items[1].tag, 0, 0);
    feed(SWARM_LEAVES_GOOD, 0, 0, 0, 0);
    assert_int_equal(actions.count, 2);
    struct swarm_action first = actions.items[0];
    feed(SWARM_SOURCE_ADDED, 3, 0, 0, 0);
    feed(SWARM_HAVE, 3, 0, 0, 2);
    assert_string_equal(trace, ""); /* both blocks are asked for */
    feed(SWARM_BEGUN, 1, first.tag, 1, 0);
    feed(SWARM_ARRIVED, 1, first.tag, 0, 0);
    feed(SWARM_BLOCK_BAD, 1, 0, 1, 0);
    assert_string_equal(trace, "1000 drop from 1: 0+0\n"
                               "1000 any from 3: 0+2\n"
                               "1000 any from 3: 0+2\n");
    answer(1);
    assert_false(swarm_done(swarm));
    end();
}

static void a_silent_source_loses_its_requests(void **state)
{
    (void)state;
    const uint64_t sizes[] = {BLOCK_BYTES_MIN, 5};
    const struct swarm_file files[] = {{0, false}, {0, false}};
    begin(sizes, files, 2);
    feed(SWARM_SOURCE_ADDED, 1, 0, 0, 0);
    feed(SWARM_HAVE_ALL, 1, 0, 0, 0);
    assert_int_equal(actions.count, 2);
    now = swarm_deadline_ms(swarm);
    for (int i = 0; now < 1000 + SWARM_STALL_MS; i++) {
        assert_true(i < 100); /* looks for slow blocks, but not all the time */
        feed(SWARM_TICK, 0, 0, 0, 0);
        now = swarm_deadline_ms(swarm);
    }
    assert_true(now == 1000 + SWARM_STALL_MS);
    feed(SWARM_TICK, 0, 0, 0, 0);
    assert_string_equal(trace, "16000 stop from 1: 0+0\n16000 stop from 1: 0+0\n");
    now = swarm_deadline_ms(swarm);
    assert_true(now == 16000 + SWARM_SLEEP_MS);
    feed(SWARM_TICK, 0, 0, 0, 0);
    assert_int_equal(actions.count, 2); /* asked again */
    end();
}

static void a_busy_source_is_left_alone_until_it_said(void **state)
{
    (void)state;
    const uint64_t sizes[] = {100};
    const struct swarm_file files[] = {{0, false}};
    begin(sizes, files, 1);
    feed(SWARM_SOURCE_ADDED, 1, 0, 0, 0);
    feed(SWARM_HAVE_ALL, 1, 0, 0, 0);
    feed(SWARM_BUSY, 1, actions.items[0].tag, 0, 4000);
    assert_string_equal(trace, "");
    now = swarm_deadline_ms(swarm);
    assert_true(now >= 5000 && now <= 6000);
    feed(SWARM_TICK, 0, 0, 0, 0);
    assert_int_equal(actions.count, 1);
    answer(0);
    assert_int_equal(actions.items[0].kind, SWARM_DONE);
    end();
}

/* The last block crawls in from a slow source: a fast one is asked as well, the slow one stopped.
 */
static void the_last_block_is_taken_from_somebody_faster(void **state)
{
    (void)state;
    const uint64_t sizes[] = {BLOCK_BYTES_MIN, BLOCK_BYTES_MIN};
    const struct swarm_file files[] = {{0, false}, {1, false}};
    begin(sizes, files, 2);
    feed(SWARM_SOURCE_ADDED, 1, 0, 0, 0);
    feed(SWARM_HAVE, 1, 0, 0, 1);
    struct swarm_action slow = actions.items[0];
    feed(SWARM_SOURCE_ADDED, 2, 0, 0, 0);
    feed(SWARM_HAVE, 2, 0, 0, 2);
    struct swarm_action fast = actions.items[0];
    feed(SWARM_BEGUN, 2, fast.tag, 1, 0);
    now += 300; /* 100 bytes per ms against 800 */
    feed(SWARM_BYTES, 1, slow.tag, 0, 30000);
    feed(SWARM_BYTES, 2, fast.tag, 0, BLOCK_BYTES_MIN);
    assert_string_equal(trace, "");
    feed(SWARM_ARRIVED, 2, fast.tag, 0, 0);
    assert_string_equal(trace, "1300 block from 2: 0+0\n");
    fast = actions.items[0];
    feed(SWARM_BLOCK_GOOD, 2, 0, 1, 0);
    now += 300;
    feed(SWARM_BYTES, 1, slow.tag, 0, 30000);
    assert_string_equal(trace, ""); /* nobody else is asked a third time */
    feed(SWARM_BYTES, 2, fast.tag, 0, BLOCK_BYTES_MIN);
    feed(SWARM_ARRIVED, 2, fast.tag, 0, 0);
    feed(SWARM_BLOCK_GOOD, 2, 0, 0, 0);
    assert_string_equal(trace, "1600 stop from 1: 0+0\n1600 done from 0: 0+0\n");
    end();
}

static void any_is_answered_with_what_was_sent_least(void **state)
{
    (void)state;
    struct spread s;
    uint8_t held[2] = {0x01, 0xfc};
    struct data_block_ask ask = {.any = true, .first = 0, .count = 10, .held = {held, 2}};
    assert_true(spread_init(&s, 9)); /* fewer than the window */
    assert_int_equal(spread_pick(&s, &ask, NULL, NULL, 0), 1);
    spread_count(&s, 1);
    uint32_t given[] = {2};
    assert_int_equal(spread_pick(&s, &ask, NULL, given, 1), 3);
    struct bitset had;
    assert_true(bitset_init(&had, 9));
    bitset_add(&had, 1);
    bitset_add(&had, 2);
    assert_int_equal(spread_pick(&s, &ask, &had, given, 1), 1);
    bitset_remove(&had, 1);
    assert_int_equal(spread_pick(&s, &ask, &had, given, 1), SPREAD_NONE);
    bitset_fini(&had);
    spread_fini(&s);
}

static void blocks_are_numbered_through(void **state)
{
    (void)state;
    const uint64_t sizes[] = {0, 3 * BLOCK_BYTES_MIN, 0, 0, 10, 0};
    struct layout l;
    uint32_t index;
    assert_int_equal(layout_init(&l, sizes, 6), PN_OK);
    assert_int_equal(l.block_count, 4);
    assert_int_equal(layout_file(&l, 0, &index), 1);
    assert_int_equal(layout_file(&l, 2, &index), 1);
    assert_int_equal(index, 2);
    assert_int_equal(layout_file(&l, 3, &index), 4);
    assert_int_equal(index, 0);
    assert_int_equal(layout_block_length(&l, 3), 10);
    layout_fini(&l);
    const uint64_t huge[] = {FILE_BYTES_MAX + 1};
    assert_int_equal(layout_init(&l, huge, 1), PN_E_TOO_BIG);
}

/* What cannot be made is not made; a source whose blocks cannot be noted is just not asked. */
static void memory_may_be_short(void **state)
{
    (void)state;
    const uint64_t sizes[] = {2 * BLOCK_BYTES_MIN, 5};
    const struct swarm_file files[] = {{0, true}, {0, true}};
    for (alloc_fail_at(1);; alloc_fail_next()) {
        struct layout l;
        struct swarm *s = NULL;
        bool made = layout_init(&l, sizes, 2) == PN_OK;
        if (made) {
            s = swarm_new(&l, files, 1);
        }
        if (s != NULL) {
            struct swarm_event ev = {.kind = SWARM_SOURCE_ADDED, .source = 1};
            swarm_step(s, &ev, &actions);
            ev = (struct swarm_event){.kind = SWARM_HAVE, .source = 1, .count = 1};
            swarm_step(s, &ev, &actions);
        }
        bool asked = s != NULL && actions.count == 1;
        swarm_free(s);
        layout_fini(&l);
        if (asked) {
            break;
        }
    }
    alloc_fail_never();
    assert_true(alloc_turn > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_fetch_is_done_at_once),
        cmocka_unit_test(leaves_come_first_and_the_commands_files_before_the_rest),
        cmocka_unit_test(wrong_leaves_and_wrong_blocks_cost_the_source),
        cmocka_unit_test(a_silent_source_loses_its_requests),
        cmocka_unit_test(a_busy_source_is_left_alone_until_it_said),
        cmocka_unit_test(the_last_block_is_taken_from_somebody_faster),
        cmocka_unit_test(any_is_answered_with_what_was_sent_least),
        cmocka_unit_test(blocks_are_numbered_through),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
