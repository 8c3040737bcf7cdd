/* Links that others dialled: one network does not take all, all do not take everything. */
#include "tests/unit/unit.h"

#include "tests/unit/alloc.h"

#include "peer/rendezvous/guests.h"

enum { ALL = 3000 };

static struct guests guests;

static int open_guests(void **state)
{
    (void)state;
    guests_init(&guests, ALL, 7);
    return 0;
}

static int close_guests(void **state)
{
    (void)state;
    guests_fini(&guests);
    return 0;
}

static enum pn_status enter(uint8_t net, int host)
{
    const struct addr from = addr_v4(192, 0, net, (uint8_t)host, 4000);
    return guests_enter(&guests, &from, NULL);
}

static void leave(uint8_t net, int host)
{
    const struct addr from = addr_v4(192, 0, net, (uint8_t)host, 5000); /* ports do not matter */
    guests_leave(&guests, &from);
}

static void one_network_takes_its_share(void **state)
{
    (void)state;
    for (int i = 0; i < GUESTS_NET_MAX; i++) {
        assert_int_equal(enter(2, i), PN_OK);
    }
    assert_int_equal(enter(2, 9), PN_E_BUSY);
    assert_int_equal(guests.count, GUESTS_NET_MAX);
    assert_int_equal(enter(3, 9), PN_OK);
    leave(2, 200);
    assert_int_equal(enter(2, 9), PN_OK);
    assert_int_equal(enter(2, 10), PN_E_BUSY);
}

static void all_leave_room(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(enter((uint8_t)(1 + i % 100), 1), PN_OK);
    }
    assert_int_equal(enter(101, 1), PN_E_FULL);
    for (int i = 0; i < ALL; i++) {
        leave((uint8_t)(1 + i % 100), 1);
    }
    assert_int_equal(guests.count, 0);
    assert_int_equal(guests.nets.count, 0);
}

static void a_lan_is_one_network_of_many(void **state)
{
    (void)state;
    const struct addr near = addr_v4(127, 0, 0, 1, 4000);
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(guests_enter(&guests, &near, NULL), PN_OK);
    }
    assert_int_equal(guests_enter(&guests, &near, NULL), PN_E_FULL);
    assert_int_equal(guests.nets.count, 0);
    guests_leave(&guests, &near);
    assert_int_equal(enter(2, 1), PN_OK);
}

static void short_memory_counts_nobody(void **state)
{
    (void)state;
    unsigned long n = 1;
    for (enum pn_status status = PN_E_NO_MEMORY; status != PN_OK; n++) {
        alloc_fail_at(n);
        status = enter(2, 1);
        alloc_fail_never();
        assert_true(status == PN_OK || (status == PN_E_NO_MEMORY && guests.count == 0));
    }
    assert_true(n > 2);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, open_guests, close_guests)
    const struct CMUnitTest tests[] = {
        CASE(one_network_takes_its_share),
        CASE(all_leave_room),
        CASE(a_lan_is_one_network_of_many),
        CASE(short_memory_counts_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
