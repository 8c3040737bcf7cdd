/* The store's cores: what the hashes say of a file, and which contents which jobs name. */
#include "tests/unit/alloc.h"
#include "tests/unit/unit.h"

#include "peer/store/attempt_name.h"
#include "peer/store/catalogue.h"
#include "peer/store/content.h"

enum { SIZE = 2 * BLOCK_BYTES_MIN + 1000, BLOCKS = 3 };

static uint8_t bytes[SIZE];

static struct pn_bytes block(uint32_t i)
{
    return (struct pn_bytes){bytes + (size_t)i * BLOCK_BYTES_MIN, block_length(SIZE, i)};
}

static void make(struct digest leaves[BLOCKS], struct digest *root)
{
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        hash_leaf(block(i), &leaves[i]);
    }
    hash_root(SIZE, leaves, root);
}

static void leaves_are_believed_only_under_their_root(void **state)
{
    (void)state;
    struct digest leaves[BLOCKS];
    struct digest root;
    struct content c;
    make(leaves, &root);
    assert_int_equal(content_init(&c, &root, SIZE), PN_OK);
    assert_false(content_has_leaves(&c));
    leaves[1].b[5] ^= 1;
    assert_int_equal(content_set_leaves(&c, leaves), PN_E_MISMATCH);
    assert_false(content_has_leaves(&c));
    leaves[1].b[5] ^= 1;
    assert_int_equal(content_set_leaves(&c, leaves), PN_OK);
    assert_true(content_is_block(&c, 1, block(1)));
    assert_false(content_is_block(&c, 0, block(1)));
    assert_false(content_is_block(&c, 2, (struct pn_bytes){block(2).ptr, 999}));
    bytes[SIZE - 1] ^= 1;
    assert_false(content_is_block(&c, 2, block(2)));
    bytes[SIZE - 1] ^= 1;
    content_fini(&c);
}

static void a_file_of_one_block_needs_no_leaves(void **state)
{
    (void)state;
    struct digest leaf;
    struct digest root;
    struct content c;
    hash_leaf(pn_bytes_str("hello"), &leaf);
    hash_root(5, &leaf, &root);
    assert_int_equal(content_init(&c, &root, 5), PN_OK);
    assert_true(content_has_leaves(&c));
    assert_true(content_is_block(&c, 0, pn_bytes_str("hello")));
    assert_false(content_is_block(&c, 0, pn_bytes_str("hellp")));
    content_fini(&c);
}

static void the_record_of_blocks_comes_back(void **state)
{
    (void)state;
    struct digest root = {{0}};
    struct content c;
    struct content again;
    uint64_t size = (uint64_t)11 * BLOCK_BYTES_MIN;
    assert_int_equal(content_init(&c, &root, size), PN_OK);
    bitset_add(&c.had, 0);
    bitset_add(&c.had, 10);
    uint8_t record[2] = {content_record_byte(&c, 0), content_record_byte(&c, 1)};
    assert_int_equal(record[0], 1);
    assert_int_equal(record[1], 4);
    assert_int_equal(content_init(&again, &root, size), PN_OK);
    assert_true(content_read_record(&again, (struct pn_bytes){record, 2}));
    assert_true(bitset_has(&again.had, 10) && again.had.member_count == 2);
    content_fini(&again);
    assert_int_equal(content_init(&again, &root, size), PN_OK);
    record[1] = 0x0c; /* a twelfth block */
    assert_false(content_read_record(&again, (struct pn_bytes){record, 2}));
    assert_false(content_read_record(&again, (struct pn_bytes){record, 1}));
    assert_true(again.had.member_count == 0);
    content_fini(&again);
    content_fini(&c);
    assert_int_equal(content_init(&c, &root, FILE_BYTES_MAX + 1), PN_E_TOO_BIG);
}

static uint32_t orphan_count;

static void on_orphan(void *arg, const struct digest *root)
{
    assert_memory_equal(root->b, ((const struct digest *)arg)->b, DIGEST_BYTES);
    orphan_count++;
}

/* A file that two jobs share goes with the second; one that a job lists twice goes once. */
static void contents_go_with_the_last_job_that_names_them(void **state)
{
    (void)state;
    struct catalogue x;
    struct manifest_file files[2] = {{.root = {{7}}}, {.root = {{7}}}};
    struct manifest m = {.files = files, .file_count = 2};
    struct digest a = {{1}};
    struct digest b = {{2}};
    catalogue_init(&x, 1);
    assert_int_equal(catalogue_add_job(&x, &a, &m), PN_OK);
    assert_int_equal(catalogue_add_job(&x, &a, &m), PN_E_EXISTS);
    assert_int_equal(catalogue_add_job(&x, &b, &m), PN_OK);
    assert_false(catalogue_here(&x, &files[0].root));
    assert_int_equal(catalogue_set_here(&x, &files[0].root, false), PN_OK);
    assert_true(catalogue_here(&x, &files[0].root));
    assert_false(catalogue_proven(&x, &files[0].root));
    orphan_count = 0;
    assert_true(catalogue_remove_job(&x, &a, on_orphan, &files[0].root));
    assert_int_equal(orphan_count, 0);
    assert_true(catalogue_named(&x, &files[0].root));
    assert_true(catalogue_remove_job(&x, &b, on_orphan, &files[0].root));
    assert_int_equal(orphan_count, 1);
    assert_false(catalogue_here(&x, &files[0].root));
    assert_false(catalogue_remove_job(&x, &b, on_orphan, &files[0].root));
    assert_int_equal(x.contents.count, 0);
    catalogue_fini(&x);
}

/* Whichever allocation fails: said so, nothing leaks, nothing half added stays. */
/* The name of an attempt's folder has one spelling; every strict prefix is another name or none. */
static void an_attempts_name_is_read_as_written(void **state)
{
    (void)state;
    static const char *const NOT_OURS[] = {
        "",
        ".",
        "5",
        "5.",
        ".5",
        "05.1",
        "5.01",
        "5.1 ",
        "5.1.part",
        "-5.1",
        "+5.1",
        " 5.1",
        "18446744073709551616.1",
        "1.18446744073709551616",
        "note",
        "5,1",
    };
    char name[ATTEMPT_NAME_BYTES];
    uint64_t slice = 7;
    uint64_t attempt = 7;
    for (size_t i = 0; i < sizeof NOT_OURS / sizeof NOT_OURS[0]; i++) {
        char *exact = (char *)unit_exact(NOT_OURS[i], strlen(NOT_OURS[i]) + 1);
        assert_false(attempt_name_parse(exact, &slice, &attempt));
        assert_true(slice == 7 && attempt == 7);
        free(exact);
    }
    const char *whole = attempt_name_write(UINT64_MAX, 4294967297, name);
    assert_string_equal(whole, "18446744073709551615.4294967297");
    for (size_t len = 0; len <= strlen(whole); len++) {
        char *cut = (char *)unit_exact(whole, len + 1);
        char again[ATTEMPT_NAME_BYTES];
        cut[len] = '\0';
        bool dotted = len > strlen("18446744073709551615.");
        assert_int_equal(attempt_name_parse(cut, &slice, &attempt), dotted);
        assert_true(!dotted || strcmp(attempt_name_write(slice, attempt, again), cut) == 0);
        free(cut);
    }
    assert_true(attempt_name_parse("0.0", &slice, &attempt) && slice == 0 && attempt == 0);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct digest leaves[BLOCKS];
    struct digest root;
    struct content c;
    enum pn_status status;
    make(leaves, &root);
    for (alloc_fail_at(1);; alloc_fail_next()) {
        status = content_init(&c, &root, SIZE);
        status = status == PN_OK ? content_set_leaves(&c, leaves) : status;
        content_fini(&c);
        if (status != PN_E_NO_MEMORY) {
            break;
        }
    }
    assert_int_equal(status, PN_OK);
    assert_true(alloc_turn > 2);

    struct manifest_file files[3] = {{.root = {{7}}}, {.root = {{8}}}, {.root = {{7}}}};
    struct manifest m = {.files = files, .file_count = 3};
    struct digest job = {{1}};
    for (alloc_fail_at(1);; alloc_fail_next()) {
        struct catalogue x;
        catalogue_init(&x, 1);
        status = catalogue_add_job(&x, &job, &m);
        assert_int_equal(x.contents.count, status == PN_OK ? 2 : 0);
        catalogue_fini(&x);
        if (status != PN_E_NO_MEMORY) {
            break;
        }
    }
    alloc_fail_never();
    assert_int_equal(status, PN_OK);
    assert_true(alloc_turn > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_believed_only_under_their_root),
        cmocka_unit_test(a_file_of_one_block_needs_no_leaves),
        cmocka_unit_test(the_record_of_blocks_comes_back),
        cmocka_unit_test(contents_go_with_the_last_job_that_names_them),
        cmocka_unit_test(an_attempts_name_is_read_as_written),
        cmocka_unit_test(memory_may_be_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
