/*
 * Offers over links that are there: which worker is offered which job, as text
 * ("link:job" for each offer). Jobs are named by their ID's first byte.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "common/random.h"
#include "peer/master/crew.h"
#include "tests/unit/alloc.h"

static struct crew *crew;
static uint64_t now_ms;
static char trace[512];
static uint32_t requests[64]; /* by link * 8 + job, of the last offer */
static uint32_t unsuited_link;

static uint32_t changes;

static void on_held(void *arg, const struct digest *job)
{
    (void)arg;
    (void)job;
    changes++;
}

static bool suits(void *arg, const struct digest *job, uint32_t link)
{
    (void)arg;
    (void)job;
    return link != unsuited_link;
}

static int set_up(void **state)
{
    (void)state;
    const struct crew_hooks hooks = {suits, on_held, NULL};
    crew = crew_new(1, &hooks);
    changes = 0;
    assert_non_null(crew);
    now_ms = 1000;
    unsuited_link = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    crew_free(crew);
    return 0;
}

static const struct digest *job(uint8_t number)
{
    static struct digest id;
    id = (struct digest){{number}};
    return &id;
}

static const char *offers(void)
{
    struct crew_offer o;
    size_t len = 0;
    trace[0] = '\0';
    while (crew_next(crew, now_ms, &o)) {
        len += (size_t)snprintf(trace + len, sizeof trace - len, "%u:%u ", o.link, o.job.b[0]);
        requests[(o.link * 8 + o.job.b[0]) % 64] = o.request;
    }
    return trace;
}

static void idle(uint32_t link, uint16_t slots)
{
    assert_int_equal(crew_idle(crew, link, slots), PN_OK);
}

static void want(uint8_t number, uint32_t slots)
{
    assert_int_equal(crew_want(crew, job(number), slots), PN_OK);
}

static void reply(uint32_t link, uint8_t number, enum hire_reply r)
{
    crew_reply(crew, link, requests[link * 8 + number], r, now_ms);
}

/* --- traces ----------------------------------------------------------------------------------- */

static void whoever_comes_later_is_matched(void **state)
{
    (void)state;
    idle(1, 2);
    assert_string_equal(offers(), "");
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    want(6, 3);
    assert_string_equal(offers(), "1:6 "); /* the one slot left */
    idle(2, 8);
    assert_string_equal(offers(), "2:6 ");
    assert_int_equal(crew_offered(crew, job(6)), 3);
}

static void jobs_take_turns_and_workers_too(void **state)
{
    (void)state;
    want(5, 2);
    want(6, 2);
    idle(1, 1);
    idle(2, 1);
    idle(3, 1);
    assert_string_equal(offers(), "1:5 2:6 3:5 ");
}

/* What was said before the offer was heard does not count twice. */
static void idle_crosses_an_offer(void **state)
{
    (void)state;
    idle(1, 2);
    want(5, 2);
    assert_string_equal(offers(), "1:5 ");
    want(6, 1);
    idle(1, 2); /* said before it heard of job 5 */
    assert_string_equal(offers(), "");
    reply(1, 5, HIRE_TAKE);
    assert_string_equal(offers(), "");
    idle(1, 1); /* said after */
    assert_string_equal(offers(), "1:6 ");
}

static void taken_until_enlisted(void **state)
{
    (void)state;
    idle(1, 4);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    reply(1, 5, HIRE_TAKE);
    assert_int_equal(crew_offered(crew, job(5)), 1);
    assert_int_equal(changes, 1);
    want(5, 0); /* its slice is assigned */
    crew_enlisted(crew, 1, job(5));
    assert_int_equal(crew_offered(crew, job(5)), 0);
    assert_int_equal(changes, 2);
    assert_int_equal(crew_deadline_ms(crew), UINT64_MAX);
}

static void not_now_means_until_it_says_so(void **state)
{
    (void)state;
    idle(1, 2);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    reply(1, 5, HIRE_NOT_NOW);
    assert_string_equal(offers(), "");
    idle(1, 1);
    assert_string_equal(offers(), "1:5 ");
}

static void never_means_never_on_this_link(void **state)
{
    (void)state;
    idle(1, 2);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    reply(1, 5, HIRE_NEVER);
    now_ms += 1000 * 1000;
    idle(1, 2);
    assert_string_equal(offers(), "");
    want(6, 1);
    assert_string_equal(offers(), "1:6 ");
    crew_gone(crew, 1);
    idle(2, 1);
    assert_string_equal(offers(), "2:5 ");
}

static void a_worker_that_left_is_asked_again_later(void **state)
{
    (void)state;
    idle(1, 2);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    reply(1, 5, HIRE_TAKE);
    crew_left(crew, 1, job(5), false, now_ms);
    idle(1, 2);
    assert_string_equal(offers(), "");
    now_ms += CREW_AGAIN_MS;
    assert_string_equal(offers(), "1:5 ");
    reply(1, 5, HIRE_TAKE);
    crew_left(crew, 1, job(5), true, now_ms);
    now_ms += 100 * CREW_AGAIN_MS;
    idle(1, 2);
    assert_string_equal(offers(), "");
}

static void the_silent_hold_nothing_for_long(void **state)
{
    (void)state;
    idle(1, 1);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
    assert_int_equal(crew_deadline_ms(crew), now_ms + CREW_ANSWER_MS);
    now_ms += CREW_ANSWER_MS;
    crew_tick(crew, now_ms);
    assert_int_equal(crew_offered(crew, job(5)), 0);
    assert_string_equal(offers(), ""); /* it must say something first */
    reply(1, 5, HIRE_TAKE);            /* too late */
    idle(2, 1);
    assert_string_equal(offers(), "2:5 ");
}

static void who_goes_holds_nothing(void **state)
{
    (void)state;
    idle(1, 2);
    want(5, 1);
    want(6, 1);
    assert_string_equal(offers(), "1:5 1:6 ");
    crew_gone(crew, 1);
    assert_int_equal(crew_offered(crew, job(5)), 0);
    crew_gone(crew, 1);
    idle(2, 2);
    assert_string_equal(offers(), "2:6 2:5 ");
}

static void who_does_not_suit_is_passed_over(void **state)
{
    (void)state;
    idle(1, 1);
    idle(2, 1);
    unsuited_link = 1;
    want(5, 2);
    assert_string_equal(offers(), "2:5 ");
    unsuited_link = 0;
    assert_string_equal(offers(), "1:5 ");
}

/* Who takes everything and enlists for nothing keeps a bounded number of jobs waiting. */
static void a_link_has_so_many_offers(void **state)
{
    (void)state;
    idle(1, 4096);
    for (uint8_t n = 1; n <= CREW_LINK_OFFERS_MAX + 2; n++) {
        want(n, 1);
    }
    struct crew_offer o;
    uint32_t count = 0;
    while (crew_next(crew, now_ms, &o)) {
        crew_reply(crew, 1, o.request, HIRE_TAKE, now_ms);
        count++;
    }
    assert_int_equal(count, CREW_LINK_OFFERS_MAX);
    want(1, 0);
    crew_enlisted(crew, 1, job(1));
    assert_true(crew_next(crew, now_ms, &o));
    assert_false(crew_next(crew, now_ms, &o));
    idle(2, 1);
    assert_true(crew_next(crew, now_ms, &o));
    assert_int_equal(o.link, 2);
}

/* Whatever happens: no more is held than was said, and in the end nothing is. */
static void any_order_of_events(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 7);
    for (int i = 0; i < 50000; i++) {
        uint32_t link = 1 + (uint32_t)random_below(&r, 5);
        uint8_t number = (uint8_t)(1 + random_below(&r, 7));
        now_ms += random_below(&r, 200);
        switch (random_below(&r, 9)) {
        case 0:
        case 1:
            idle(link, (uint16_t)random_below(&r, 4));
            break;
        case 2:
        case 3:
            want(number, (uint32_t)random_below(&r, 4));
            break;
        case 4:
            crew_gone(crew, link);
            break;
        case 5:
            crew_enlisted(crew, link, job(number));
            break;
        case 6:
            crew_left(crew, link, job(number), random_below(&r, 50) == 0, now_ms);
            break;
        default:
            reply(link, number, (enum hire_reply)(1 + random_below(&r, 3)));
            break;
        }
        if (crew_deadline_ms(crew) <= now_ms) {
            crew_tick(crew, now_ms);
        }
        (void)offers();
        for (uint8_t n = 1; n <= 7; n++) {
            assert_true(crew_offered(crew, job(n)) <= 5 * 4);
        }
    }
    for (uint32_t link = 1; link <= 5; link++) {
        crew_gone(crew, link);
    }
    for (uint8_t n = 1; n <= 7; n++) {
        want(n, 0);
        assert_int_equal(crew_offered(crew, job(n)), 0);
    }
    assert_int_equal(crew_deadline_ms(crew), UINT64_MAX);
}

static void memory_is_short(void **state)
{
    (void)state;
    alloc_fail_at(1);
    assert_int_equal(crew_idle(crew, 1, 1), PN_E_NO_MEMORY);
    alloc_fail_at(2);
    assert_int_equal(crew_idle(crew, 1, 1), PN_E_NO_MEMORY);
    alloc_fail_at(1);
    assert_int_equal(crew_want(crew, job(5), 1), PN_E_NO_MEMORY);
    alloc_fail_at(2);
    assert_int_equal(crew_want(crew, job(5), 1), PN_E_NO_MEMORY);
    alloc_fail_never();
    idle(1, 1);
    want(5, 1);
    assert_string_equal(offers(), "1:5 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(whoever_comes_later_is_matched),
        TEST(jobs_take_turns_and_workers_too),
        TEST(idle_crosses_an_offer),
        TEST(taken_until_enlisted),
        TEST(not_now_means_until_it_says_so),
        TEST(never_means_never_on_this_link),
        TEST(a_worker_that_left_is_asked_again_later),
        TEST(the_silent_hold_nothing_for_long),
        TEST(who_goes_holds_nothing),
        TEST(who_does_not_suit_is_passed_over),
        TEST(a_link_has_so_many_offers),
        TEST(any_order_of_events),
        TEST(memory_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
