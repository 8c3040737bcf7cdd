/* The master's own run: when it is asked for, and what follows when this machine cannot give it. */
#include "tests/unit/alloc.h"
#include "tests/unit/master_bed.h"

/* Another try each time its back-off has passed, which is a minute at most. */
static void own_gives_up(int times)
{
    for (int i = 0; i < times; i++) {
        expect("1<0 ");
        (void)give_up(1, 0, WORK_CANNOT_RUN);
        ticks(60);
    }
}

/* A full disk, a launcher that has died: it passes, and the slice is not lost for that. */
static void our_own_trouble_passes(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 1);
    own_gives_up(PLAN_GIVE_UPS_MAX); /* once as any worker, then because nobody else is here */
    expect("1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .says = 'a'});
    expect("(vote) (output) (final) ");
}

/* A vote stands whose outputs have gone with its worker: the own run is tried for as long as that
 * lasts, for nobody else may ever come. */
static void our_own_trouble_passes_late(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 0);
    (void)enlist(2, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a', .big = true});
    expect("2<0 (vote) pull ");
    link_down(2);
    pulled(2, 0, PN_E_CLOSED);
    ticks(60);
    own_gives_up(PLAN_GIVE_UPS_MAX);
    ticks(8 * 60);
    expect("");
    ticks(60);
    expect("1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .says = 'a', .big = true});
    pulled(1, 0, PN_OK);
    expect("(vote) pull (output) (final) ");
}

static void what_nobody_can_run_ends(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 1);
    own_gives_up(1 + PLAN_GIVE_UPS_MAX);
    expect("(final) ");
}

/* The run is over: what is said then seals nothing, or a resume would find the slice failed. */
static void a_give_up_that_crosses_a_cancel(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 1);
    own_gives_up(PLAN_GIVE_UPS_MAX);
    (void)step((struct master_event){.kind = MASTER_CANCEL, .reason = "cancelled"});
    expect("1<0 (state) 1<ended ");
    (void)give_up(1, 0, WORK_CANNOT_RUN);
    expect("");
}

/* Two disagree, and the master has not got what it takes: a quorum does, when there is one. */
static void a_dispute_that_we_cannot_settle(void **state)
{
    (void)state;
    open_master(2, 1);
    start();
    (void)enlist(1, 0);
    (void)enlist(2, 1);
    (void)enlist(3, 1);
    (void)vote((struct ballot_paper){.link = 2, .says = 'a'});
    (void)vote((struct ballot_paper){.link = 3, .says = 'b'});
    expect("2<0 3<0 (vote) (output) (vote) (output) 1<0 ");
    for (int i = 1; i < PLAN_GIVE_UPS_MAX; i++) {
        (void)vote((struct ballot_paper){.link = 1, .no_program = true});
        ticks(60);
        expect("1<drop 1<0 ");
    }
    (void)vote((struct ballot_paper){.link = 1, .no_program = true});
    expect("1<drop ");
    (void)enlist(4, 1);
    ticks(60);
    expect("4<0 ");
    (void)vote((struct ballot_paper){.link = 4, .says = 'b'});
    expect("(vote) (output) (final) ");
}

/* This machine lacks the program: that fails no slice that somebody else may run. */
static void a_program_that_is_missing_here(void **state)
{
    (void)state;
    open_master(1, 3);
    start();
    (void)enlist(2, 1);
    (void)enlist(1, 1);
    expect("2<0 2<1 1<2 ");
    (void)vote((struct ballot_paper){.link = 1, .slice = 2, .no_program = true});
    expect("1<drop ");
    (void)vote((struct ballot_paper){.link = 2, .slice = 0, .says = 'a'});
    expect("(vote) (output) (final) ");
    ticks(1);
    expect("2<2 ");
}

/* Nobody else is here: after a while it is how the slice ends, with its reason. */
static void a_program_that_is_missing_everywhere(void **state)
{
    (void)state;
    open_master(1, 1);
    start();
    (void)enlist(1, 1);
    (void)vote((struct ballot_paper){.link = 1, .no_program = true});
    expect("1<0 1<drop ");
    ticks(13);
    expect("1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .no_program = true});
    expect("(vote) (final) ");
}

/* Where voters have been missing for a while, what comes to want them does not wait as long again.
 */
static void a_lasting_shortage(void **state)
{
    (void)state;
    open_master(1, 2);
    start();
    (void)enlist(1, 0);
    (void)enlist(2, 1);
    (void)give_up(2, 0, WORK_CANNOT_RUN);
    ticks(9);
    (void)give_up(2, 1, WORK_CANNOT_RUN);
    expect("2<0 2<1 ");
    ticks(3);
    expect("1<0 ");
    (void)vote((struct ballot_paper){.link = 1, .says = 'a'});
    expect("(vote) (output) (final) 1<1 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(our_own_trouble_passes),
        TEST(our_own_trouble_passes_late),
        TEST(what_nobody_can_run_ends),
        TEST(a_give_up_that_crosses_a_cancel),
        TEST(a_dispute_that_we_cannot_settle),
        TEST(a_program_that_is_missing_here),
        TEST(a_program_that_is_missing_everywhere),
        TEST(a_lasting_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
