/* Real links on loopback: identity, order, amount, endings. */
#include "tests/unit/link_bed.h"

#include <sys/resource.h>

/* ThreadSanitizer keeps four bytes and more beside each one. */
#ifdef __SANITIZE_THREAD__
enum { MEMORY_FACTOR = 20 };
#else
enum { MEMORY_FACTOR = 2 };
#endif

/* --- who is there --- */

static void each_proves_its_identity(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    for (int i = 0; i < SIDES; i++) {
        assert_true(digest_equal(&b.ends[i].peer, link_context_peer_id(b.contexts[SIDES - 1 - i])));
        assert_int_equal(b.ends[i].hello.slots, 100 + SIDES - 1 - i);
    }
    assert_true(b.ends[LISTENER].hello.token == 11 && b.ends[DIALLER].hello.token == 22);
    assert_true(addr_equal(link_remote(b.ends[DIALLER].link), &b.addr));
    close_bed(&b);
}

static void the_pinned_peer_is_accepted(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[DIALLER], link_context_peer_id(b.contexts[LISTENER]));
    run_until(&b, both_up);
    close_bed(&b);
}

static void another_than_the_pinned_peer_is_refused(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[DIALLER], link_context_peer_id(b.contexts[DIALLER]));
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_MISMATCH);
    assert_non_null(strstr(b.ends[DIALLER].reason, "the other side is peer "));
    assert_int_equal(b.ends[LISTENER].why, PN_E_DENIED); /* by the alert */
    assert_int_equal(b.ends[DIALLER].up_count + b.ends[LISTENER].up_count, 0);
    close_bed(&b);
}

static void we_do_not_talk_to_ourselves(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial_as(&b, b.contexts[LISTENER], NULL);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_DENIED);
    assert_non_null(strstr(b.ends[DIALLER].reason, "ourselves"));
    assert_int_equal(b.ends[DIALLER].up_count + b.ends[LISTENER].up_count, 0);
    close_bed(&b);
}

/* --- what passes --- */

static bool assign_arrived(const struct bed *b) { return b->ends[LISTENER].assign_after > 0; }

static void control_overtakes_queued_data(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    struct end *e = &b.ends[DIALLER];
    uint32_t queued = 0;
    while (link_data_room(e->link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        send_frame(e, SESSION_DATA, FRAME_BLOCK, FRAME_BODY_MAX);
        queued++;
    }
    assert_true(queued * FRAME_BODY_MAX > SESSION_DATA_QUEUE_MAX / 10 * 9);
    send_frame(e, SESSION_CONTROL, FRAME_ASSIGN, 10);
    run_until(&b, assign_arrived);
    /* Before it went what libuv had (64 KiB), and the rest of the block that had been begun. */
    assert_true(b.ends[LISTENER].assign_after <= 2);
    close_bed(&b);
}

static bool all_poured(const struct bed *b) { return b->ends[LISTENER].bytes == POUR_BYTES; }

static void much_passes_in_little_memory(void **state)
{
    (void)state;
    struct bed b;
    struct rusage before;
    struct rusage after;
    open_pair(&b);
    (void)getrusage(RUSAGE_SELF, &before);
    b.ends[DIALLER].to_send = POUR_BYTES;
    pour(&b.ends[DIALLER]);
    run_until(&b, all_poured);
    (void)getrusage(RUSAGE_SELF, &after);
    assert_int_equal(b.ends[LISTENER].sum, b.ends[DIALLER].sent_sum);
    assert_true(b.ends[DIALLER].drain_count >= POUR_BYTES / SESSION_DATA_QUEUE_MAX);
    /* KiB: the queue, twice; ASan's quarantine (256 MiB) is the rest where it runs. */
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(after.ru_maxrss - before.ru_maxrss < MEMORY_FACTOR * SESSION_DATA_QUEUE_MAX / 1024);
#endif
    close_bed(&b);
}

static bool some_arrived(const struct bed *b) { return b->ends[LISTENER].bytes > 0; }

static void a_paused_link_takes_nothing(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    link_pause(b.ends[LISTENER].link, true);
    send_frame(&b.ends[DIALLER], SESSION_DATA, FRAME_BLOCK, 1000);
    uint64_t end_ms = clock_now_ms() + 50;
    while (clock_now_ms() < end_ms) {
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(b.ends[LISTENER].frame_count, 0);
    link_pause(b.ends[LISTENER].link, false);
    run_until(&b, some_arrived);
    close_bed(&b);
}

static void a_full_data_lane_says_so(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    static const uint8_t BODY[FRAME_BODY_MAX];
    const struct frame f = {.type = FRAME_BLOCK, .body = {BODY, sizeof BODY}};
    while (link_data_room(b.ends[DIALLER].link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        assert_int_equal(link_send(b.ends[DIALLER].link, SESSION_DATA, &f), PN_OK);
    }
    assert_int_equal(link_send(b.ends[DIALLER].link, SESSION_DATA, &f), PN_E_FULL);
    assert_int_equal(b.ends[DIALLER].closed_count, 0);
    close_bed(&b);
}

/* --- endings --- */

static void closing_in_on_up(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        struct bed b;
        open_bed(&b);
        b.ends[i].close_on_up = true;
        dial(&b);
        run_until(&b, both_closed);
        assert_int_equal(b.ends[i].why, PN_OK);
        assert_int_equal(b.ends[SIDES - 1 - i].why, PN_E_CLOSED);
        close_bed(&b);
    }
}

static void closing_in_on_frame(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[LISTENER].close_on_frame = true;
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 1);
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 2);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[LISTENER].frame_count, 1);
    assert_int_equal(b.ends[LISTENER].why, PN_OK);
    assert_int_equal(b.ends[DIALLER].why, PN_E_CLOSED);
    close_bed(&b);
}

static void closing_in_on_drain(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[DIALLER].close_on_drain = true;
    b.ends[DIALLER].to_send = POUR_BYTES;
    pour(&b.ends[DIALLER]);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[DIALLER].drain_count, 1);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    close_bed(&b);
}

static void closing_right_after_dialling(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    dial(&b);
    link_close(b.ends[DIALLER].link);
    link_close(b.ends[DIALLER].link);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].up_count, 0);
    assert_int_equal(b.ends[DIALLER].why, PN_OK);
    close_bed(&b);
}

static void a_refused_frame_closes_with_its_reason(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    b.ends[LISTENER].refuse_frames = true;
    send_frame(&b.ends[DIALLER], SESSION_CONTROL, FRAME_ASSIGN, 1);
    run_until(&b, both_closed);
    assert_int_equal(b.ends[LISTENER].why, PN_E_RANGE);
    assert_string_equal(b.ends[LISTENER].reason, "refused by the test");
    close_bed(&b);
}

/* Its kernel says that it is there, it even speaks, but it takes nothing: that has an end too. */
static void who_takes_nothing_is_closed(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    link_context_set_times(b.contexts[DIALLER],
                           &(struct link_times){5000, {5000, 5000, 100000, 2000}});
    link_context_set_times(b.contexts[LISTENER],
                           &(struct link_times){5000, {5000, 5000, 200, 100000}});
    dial(&b);
    run_until(&b, both_up);
    link_pause(b.ends[LISTENER].link, true); /* it goes on to PING */
    b.ends[DIALLER].to_send = POUR_BYTES;
    pour(&b.ends[DIALLER]);
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_TIMEOUT);
    assert_string_equal(b.ends[DIALLER].reason, "nothing was taken for 2000 ms");
    close_bed(&b);
}

/* The other side has gone; what we write raises SIGPIPE where nobody has seen to it. */
static void writing_to_the_gone_closes(void **state)
{
    (void)state;
    struct bed b;
    open_pair(&b);
    link_pause(b.ends[DIALLER].link, true);
    link_close(b.ends[LISTENER].link);
    run_until(&b, listener_closed);
    while (b.ends[DIALLER].link != NULL &&
           link_data_room(b.ends[DIALLER].link) >= FRAME_HEADER_BYTES + FRAME_BODY_MAX) {
        send_frame(&b.ends[DIALLER], SESSION_DATA, FRAME_BLOCK, FRAME_BODY_MAX);
    }
    run_until(&b, dialler_closed);
    assert_int_equal(b.ends[DIALLER].why, PN_E_CLOSED);
    close_bed(&b);
}

static void many_links_come_and_go(void **state)
{
    (void)state;
    struct bed b;
    open_bed(&b);
    for (int i = 0; i < 500; i++) {
        for (int side = 0; side < SIDES; side++) {
            b.ends[side] = (struct end){.bed = &b};
        }
        dial(&b);
        run_until(&b, both_up);
        link_close(b.ends[i % SIDES].link);
        run_until(&b, both_closed);
    }
    assert_int_equal(b.accept_count, 500);
    close_bed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_proves_its_identity),
        cmocka_unit_test(the_pinned_peer_is_accepted),
        cmocka_unit_test(another_than_the_pinned_peer_is_refused),
        cmocka_unit_test(we_do_not_talk_to_ourselves),
        cmocka_unit_test(control_overtakes_queued_data),
        cmocka_unit_test(much_passes_in_little_memory),
        cmocka_unit_test(a_paused_link_takes_nothing),
        cmocka_unit_test(a_full_data_lane_says_so),
        cmocka_unit_test(closing_in_on_up),
        cmocka_unit_test(closing_in_on_frame),
        cmocka_unit_test(closing_in_on_drain),
        cmocka_unit_test(closing_right_after_dialling),
        cmocka_unit_test(a_refused_frame_closes_with_its_reason),
        cmocka_unit_test(who_takes_nothing_is_closed),
        cmocka_unit_test(writing_to_the_gone_closes),
        cmocka_unit_test(many_links_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
