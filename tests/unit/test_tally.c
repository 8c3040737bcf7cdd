/* Votes of one slice, as text: who said what, and what follows. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/master/tally.h"
#include "tests/unit/alloc.h"

static struct tally tally;
static uint64_t next_attempt;

static int set_up(void **state)
{
    (void)state;
    tally = (struct tally){0};
    next_attempt = 1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tally_fini(&tally);
    return 0;
}

/* says: a letter for the outcome; '!' is exit 1. */
static enum pn_status add(uint32_t worker, uint32_t prefix, char says, enum tally_copy copy)
{
    struct ballot b = {.attempt = next_attempt++,
                       .worker = worker,
                       .prefix = prefix,
                       .outputs = {{(uint8_t)says}},
                       .code = says == '!',
                       .own = worker == 0,
                       .copy = copy};
    return tally_add_take(&tally, &b);
}

static void vote(uint32_t worker, uint32_t prefix, char says)
{
    assert_int_equal(add(worker, prefix, says, COPY_AT_WORKER), PN_OK);
}

static void expect(uint8_t quorum, bool proof, const char *text)
{
    static const char *const bases[] = {
        [BASIS_QUORUM] = "quorum", [BASIS_PROOF] = "proof", [BASIS_OWN_RUN] = "own run"};
    const struct tally_rule rule = {quorum, proof};
    struct tally_decision d;
    char line[64];
    tally_decide(&tally, &rule, &d);
    switch (d.verdict) {
    case TALLY_OPEN:
        (void)snprintf(line, sizeof line, "open, %u missing", d.missing);
        break;
    case TALLY_AGREED:
        (void)snprintf(line, sizeof line, "%c by %s, copy %llu",
                       tally.ballots[d.index].outputs.b[0], bases[d.basis],
                       (unsigned long long)tally.ballots[d.index].attempt);
        break;
    case TALLY_DISPUTED:
        (void)snprintf(line, sizeof line, "disputed, %u missing", d.missing);
        break;
    }
    assert_string_equal(line, text);
}

static void a_quorum(void **state)
{
    (void)state;
    expect(2, false, "open, 2 missing");
    vote(1, 11, 'a');
    expect(2, false, "open, 1 missing");
    vote(2, 12, 'a');
    expect(2, false, "a by quorum, copy 1");
}

static void one_identity_has_one_vote(void **state)
{
    (void)state;
    vote(1, 11, 'a');
    assert_int_equal(add(1, 12, 'a', COPY_HERE), PN_E_EXISTS);
    assert_int_equal(add(1, 12, 'b', COPY_HERE), PN_E_EXISTS);
    expect(2, false, "open, 1 missing");
}

static void one_network_has_one_vote(void **state)
{
    (void)state;
    vote(1, 11, 'a');
    vote(2, 11, 'a');
    expect(2, false, "open, 1 missing");
    vote(3, 0, 'a'); /* exempt networks: everybody for himself */
    vote(4, 0, 'a');
    expect(3, false, "a by quorum, copy 1");
    expect(4, false, "open, 1 missing");
}

static void a_dispute_is_not_settled_by_majority(void **state)
{
    (void)state;
    vote(1, 11, 'a');
    vote(2, 12, 'b');
    expect(2, false, "disputed, 1 missing");
    vote(3, 13, 'b');
    expect(2, false, "disputed, 0 missing");
    vote(0, 0, 'a');
    expect(2, false, "a by own run, copy 4");
}

static void the_nearest_copy(void **state)
{
    (void)state;
    assert_int_equal(add(1, 11, 'a', COPY_LOST), PN_OK);
    assert_int_equal(add(2, 12, 'a', COPY_AT_WORKER), PN_OK);
    assert_int_equal(add(3, 13, 'a', COPY_HERE), PN_OK);
    expect(2, false, "a by quorum, copy 3");
}

static void what_proves_itself_needs_one_vote(void **state)
{
    (void)state;
    vote(1, 11, 'a');
    expect(1, true, "a by proof, copy 1");
}

/* A failure needs two identities, and hides no good outcome however many claim it. */
static void failures_beside_a_proof(void **state)
{
    (void)state;
    vote(1, 11, '!');
    expect(1, true, "open, 1 missing");
    vote(2, 12, 'a');
    expect(1, true, "a by proof, copy 2");
    vote(3, 13, '!');
    expect(1, true, "a by proof, copy 2");
    assert_true(tally_strike(&tally, 2));
    expect(1, true, "! by quorum, copy 1");
}

static void struck_and_removed(void **state)
{
    (void)state;
    vote(1, 11, 'a');
    vote(2, 12, 'a');
    assert_false(tally_strike(&tally, 9));
    assert_true(tally_strike(&tally, 1));
    assert_false(tally_has_worker(&tally, 1));
    expect(2, false, "open, 1 missing");
    tally_remove(&tally, tally_find(&tally, 2));
    assert_null(tally_find(&tally, 2));
    expect(2, false, "open, 2 missing");
    vote(0, 0, 'a');
    assert_false(tally_strike(&tally, 0)); /* the own run is nobody's lie */
}

static void full_or_out_of_memory(void **state)
{
    (void)state;
    alloc_fail_at(1);
    assert_int_equal(add(1, 0, 'a', COPY_HERE), PN_E_NO_MEMORY);
    alloc_fail_never();
    assert_int_equal(tally.count, 0);
    for (uint32_t i = 1; i <= TALLY_BALLOTS_MAX; i++) {
        vote(i, 0, (char)i);
    }
    assert_int_equal(add(TALLY_BALLOTS_MAX + 1, 0, 'a', COPY_HERE), PN_E_FULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_quorum),
        TEST(one_identity_has_one_vote),
        TEST(one_network_has_one_vote),
        TEST(a_dispute_is_not_settled_by_majority),
        TEST(the_nearest_copy),
        TEST(what_proves_itself_needs_one_vote),
        TEST(failures_beside_a_proof),
        TEST(struck_and_removed),
        TEST(full_or_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
