/* Outputs of attempts on a real disk: from the outbox, fetched, read, and gone with their job. */
#include "tests/unit/store_bed.h"

/* The attempt's job in one of the store's folders. */
static const char *job_folder(const char *in)
{
    char hex[DIGEST_HEX_BYTES];
    char name[128];
    digest_hex(&attempt.job, hex);
    (void)snprintf(name, sizeof name, "%s/%s", in, hex);
    return path_of(name);
}

/* Outputs of no job do not outlive a start. */
static void make_job_folder(void) { assert_int_equal(mkdir(job_folder("jobs"), 0700), 0); }

static uint32_t listed;

static void on_listed(void *arg, const struct file_set *set)
{
    (void)arg;
    assert_true(file_set_equal(set, &attempt));
    listed++;
}

/* Is it there, and of the size that all of ours have? */
static enum pn_status find_output(struct store *s, uint32_t index)
{
    struct buffer none;
    uint64_t size = SIZE;
    buffer_init(&none, 1);
    enum pn_status status = store_output_read(s, &attempt, index, 0, 0, &none, &size, &err);
    assert_int_equal(size, SIZE);
    buffer_fini(&none);
    return status;
}

static void outputs_go_from_outbox_to_own_master(void **state)
{
    (void)state;
    struct store *s = start();
    make_job_folder();
    struct store_adopt adopt[2] = {{.fd = file_with(bytes, SIZE), .index = 0},
                                   {.fd = file_with("7\n", 2), .index = 4}};
    assert_int_equal(store_outbox_adopt(s, &attempt, adopt, 2, SIZE + 1, &err), PN_E_TOO_BIG);
    OK(store_outbox_adopt(s, &attempt, adopt, 2, SIZE + 2, &err));
    assert_true(digest_equal(&adopt[0].root, &root));
    assert_true(adopt[1].size == 2);
    OK(store_outbox_list(s, on_listed, NULL, &err));
    assert_int_equal(listed, 0); /* no vote yet */
    OK(store_outbox_commit(s, &attempt, pn_bytes_str("my vote"), &err));
    assert_int_equal(store_outbox_adopt(s, &attempt, adopt, 2, SIZE + 2, &err), PN_E_EXISTS);
    (void)close(adopt[0].fd);
    (void)close(adopt[1].fd);
    crash(s);

    s = start();
    OK(store_outbox_list(s, on_listed, NULL, &err));
    assert_int_equal(listed, 1);
    struct buffer note;
    buffer_init(&note, STORE_NOTE_BYTES_MAX);
    OK(store_outbox_note(s, &attempt, &note, &err));
    assert_true(pn_bytes_equal(buffer_bytes(&note), pn_bytes_str("my vote")));
    buffer_fini(&note);

    struct store_file *f;
    OK(store_output_open(s, &attempt, 0, NULL, 0, false, &f, &err));
    assert_true(digest_equal(store_file_root(f), &root) && store_file_size(f) == SIZE);
    store_file_close(f);
    assert_int_equal(store_output_open(s, &attempt, 1, NULL, 0, false, &f, &err), PN_E_NOT_FOUND);

    OK(store_outbox_hand_over(s, &attempt, &err));
    OK(store_outbox_hand_over(s, &attempt, &err)); /* twice is fine */
    struct buffer text;
    uint64_t size;
    buffer_init(&text, 3);
    OK(store_output_read(s, &attempt, 4, 0, 9, &text, &size, &err));
    OK(store_output_read(s, &attempt, 4, 1, 9, &text, &size, &err)); /* appends, from there on */
    OK(store_output_read(s, &attempt, 4, 9, 9, &text, &size, &err)); /* beyond the end */
    assert_true(pn_bytes_equal(buffer_bytes(&text), pn_bytes_str("7\n\n")) && size == 2);
    assert_int_equal(store_output_read(s, &attempt, 4, 0, 9, &text, &size, &err), PN_E_TOO_BIG);
    buffer_fini(&text);
    OK(store_outputs_drop(s, &attempt, &err));
    OK(store_outputs_drop(s, &attempt, &err));
    OK(store_outbox_drop(s, &attempt, &err));
    assert_int_equal(find_output(s, 4), PN_E_NOT_FOUND);
    listed = 0;
    store_close(s);
}

static void fetched_outputs_are_resumed_and_then_final(void **state)
{
    (void)state;
    struct store *s = start();
    make_job_folder();
    struct store_file *f;
    OK(store_output_open(s, &attempt, 0, &root, SIZE, true, &f, &err));
    OK(store_file_put_leaves(f, leaves, &err));
    OK(store_file_write_block(f, 2, block(2), &err));
    store_file_close(f);
    crash(s);
    s = start();
    OK(store_output_open(s, &attempt, 0, &root, SIZE, true, &f, &err));
    assert_true(store_file_has_block(f, 2));
    for (uint32_t i = 0; i < BLOCKS; i++) {
        OK(store_file_write_block(f, i, block(i), &err));
    }
    assert_true(store_file_whole(f));
    store_file_close(f);
    assert_int_equal(find_output(s, 0), PN_E_NOT_FOUND);
    OK(store_outputs_finish(s, &attempt, &err));
    OK(store_outputs_finish(s, &attempt, &err));
    OK(find_output(s, 0));
    store_close(s);
}

/* Writes and commits an attempt of one output to the outbox. */
static void make(struct store *s, const char *text)
{
    struct store_adopt adopt = {.fd = file_with(text, strlen(text)), .index = 0};
    OK(store_outbox_adopt(s, &attempt, &adopt, 1, SIZE, &err));
    OK(store_outbox_commit(s, &attempt, pn_bytes_str("my vote"), &err));
    (void)close(adopt.fd);
}

static void expect_output(struct store *s, const char *text)
{
    struct buffer b;
    uint64_t size;
    buffer_init(&b, 16);
    OK(store_output_read(s, &attempt, 0, 0, 16, &b, &size, &err));
    assert_true(pn_bytes_equal(buffer_bytes(&b), pn_bytes_str(text)));
    buffer_fini(&b);
}

/* A kill left outputs that no vote names; the same attempt is made again, and differs: it counts.
 */
static void outputs_made_again_take_the_place_of_the_earlier_ones(void **state)
{
    (void)state;
    struct store *s = start();
    make_job_folder();
    make(s, "monday");
    OK(store_outbox_hand_over(s, &attempt, &err));
    crash(s);
    s = start();
    make(s, "tuesday");
    OK(store_outbox_hand_over(s, &attempt, &err));
    expect_output(s, "tuesday");
    OK(store_outbox_hand_over(s, &attempt, &err)); /* twice is fine */
    expect_output(s, "tuesday");

    struct store_file *f; /* and as fetched from elsewhere */
    OK(store_output_open(s, &attempt, 0, &root, SIZE, true, &f, &err));
    OK(store_file_put_leaves(f, leaves, &err));
    for (uint32_t i = 0; i < BLOCKS; i++) {
        OK(store_file_write_block(f, i, block(i), &err));
    }
    store_file_close(f);
    OK(store_outputs_finish(s, &attempt, &err));
    OK(find_output(s, 0));
    store_close(s);
}

static void outputs_go_when_a_removal_was_cut_short(void **state)
{
    (void)state;
    struct store *s = start();
    struct store_file *f;
    make_job_folder();
    OK(store_output_open(s, &attempt, 0, &root, SIZE, true, &f, &err));
    OK(store_file_put_leaves(f, leaves, &err));
    for (uint32_t i = 0; i < BLOCKS; i++) {
        OK(store_file_write_block(f, i, block(i), &err));
    }
    store_file_close(f);
    OK(store_outputs_finish(s, &attempt, &err));
    crash(s);
    s = start();
    OK(find_output(s, 0));
    crash(s);
    assert_int_equal(rmdir(job_folder("jobs")), 0); /* as far as store_job_remove has come */
    s = start();
    assert_int_equal(find_output(s, 0), PN_E_NOT_FOUND);
    assert_false(there(job_folder("outputs")));
    store_close(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outputs_go_from_outbox_to_own_master),
        TEST(fetched_outputs_are_resumed_and_then_final),
        TEST(outputs_made_again_take_the_place_of_the_earlier_ones),
        TEST(outputs_go_when_a_removal_was_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
