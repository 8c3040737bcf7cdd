/* The store on a real disk: what survives which stop, what is noticed, what is refused. */
#include "tests/unit/store_bed.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "peer/store/dir_sys.h"
#include "tests/lacks.h"

static unsigned syncs; /* of the whole file system, since a test began to count */
static unsigned file_syncs;
static bool sync_fails;

/* In the place of the C library's, as the next. */
int syncfs(int fd)
{
    syncs++;
    errno = EIO;
    return sync_fails ? -1 : (int)syscall(SYS_syncfs, fd);
}

int fsync(int fd)
{
    file_syncs++;
    return (int)syscall(SYS_fsync, fd);
}

/* Who was killed may have renamed what it had not synced: nothing is found before that is. */
static void an_unclean_stop_costs_one_sync(void **state)
{
    (void)state;
    struct store *s = start();
    syncs = 0;
    store_close(s);
    assert_int_equal(syncs, 1);
    s = start();
    assert_int_equal(syncs, 1); /* the last stop was clean */
    crash(s);
    syncs = 0;
    sync_fails = true;
    assert_int_equal(store_open(dir, &s, &err), PN_E_SYSTEM);
    sync_fails = false;
    assert_int_equal(syncs, 1);
    s = start(); /* and that it was not synced is not forgotten */
    assert_int_equal(syncs, 2);
    store_close(s);
    s = start();
    assert_int_equal(syncs, 3);
    store_close(s);
}

/* Somebody else's job that a loss of power tore: left out, and taken again. */
static void a_remembered_job_may_be_torn(void **state)
{
    (void)state;
    struct store *s = start();
    struct digest job = put_job(s);
    struct store_job j;
    OK(store_job_read(s, &job, &j, &err));
    OK(store_job_remove(s, &job, &err));
    struct grant grant = {.job = job, .serial = 1, .peer_count = 1};
    OK(store_job_remember(s, buffer_bytes(&j.manifest), &j.owner, &grant, &job, &err));
    crash(s);
    s = start();
    assert_true(store_has_job(s, &job));
    static const char *const papers[] = {"manifest", "owner", "grant"};
    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
        char hex[DIGEST_HEX_BYTES];
        char path[256];
        digest_hex(&job, hex);
        (void)snprintf(path, sizeof path, "%s/jobs/%s/%s", dir, hex, papers[i]);
        assert_int_equal(truncate(path, 3), 0);
        crash(s);
        s = start();
        assert_false(store_has_job(s, &job));
        OK(store_job_remember(s, buffer_bytes(&j.manifest), &j.owner, &grant, &job, &err));
        store_job_fini(&j);
        OK(store_job_read(s, &job, &j, &err));
        assert_true(j.granted);
    }
    store_job_fini(&j);
    store_close(s);
}

static void jobs_are_kept_and_removed(void **state)
{
    (void)state;
    struct store *s = start();
    struct digest job = put_job(s);
    crash(s);
    s = start();
    struct digest *jobs;
    size_t count;
    assert_int_equal(store_jobs(s, &jobs, &count), PN_OK);
    assert_int_equal(count, 1);
    assert_true(digest_equal(&jobs[0], &job));
    free(jobs);

    struct store_job j;
    OK(store_job_read(s, &job, &j, &err));
    assert_int_equal(j.owner.b[0], 1);
    assert_false(j.granted);
    store_job_fini(&j);

    struct grant grant = {.job = job, .serial = 3, .peer_count = 1};
    OK(store_job_read(s, &job, &j, &err));
    OK(store_job_put(s, buffer_bytes(&j.manifest), &j.owner, &grant, &job, &err));
    store_job_fini(&j);
    OK(store_job_read(s, &job, &j, &err));
    assert_true(j.granted && j.grant.serial == 3);
    store_job_fini(&j);

    OK(store_job_remove(s, &job, &err));
    assert_false(store_has_job(s, &job));
    assert_int_equal(store_job_read(s, &job, &j, &err), PN_E_NOT_FOUND);
    assert_int_equal(store_job_remove(s, &job, &err), PN_E_NOT_FOUND);
    store_close(s);
}

static void a_file_streams_in_and_is_read_back(void **state)
{
    (void)state;
    struct store *s = start();
    struct store_put *put;
    (void)put_job(s);
    OK(store_put_begin(s, SIZE, &root, &put, &err));
    for (size_t at = 0; at < SIZE; at += 10000) {
        size_t len = SIZE - at < 10000 ? SIZE - at : 10000;
        OK(store_put_write(put, (struct pn_bytes){bytes + at, len}, &err));
    }
    OK(store_put_finish(put, &err));
    assert_true(store_has_file(s, &root));
    assert_int_equal(store_put_begin(s, SIZE, &root, &put, &err), PN_E_EXISTS);
    store_close(s);

    s = start();
    assert_true(store_has_file(s, &root));
    int fd = -1;
    OK(store_file_fd(s, &root, &fd, &err));
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    (void)close(fd);
    struct store_file *f = open_file(s);
    assert_true(store_file_whole(f));
    uint8_t *out = malloc(BLOCK_BYTES_MIN);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        OK(store_file_read_block(f, i, out, block_length(SIZE, i), &err));
        assert_memory_equal(out, block(i).ptr, block(i).len);
    }
    struct digest told[BLOCKS];
    OK(store_file_leaves(f, 0, BLOCKS, told, &err));
    assert_memory_equal(told, leaves, sizeof told);
    assert_int_equal(store_file_leaves(f, 1, BLOCKS, told, &err), PN_E_RANGE);
    free(out);
    store_file_close(f);
    store_close(s);
}

static void other_bytes_than_the_manifest_names_are_refused(void **state)
{
    (void)state;
    struct store *s = start();
    struct store_put *put;
    (void)put_job(s);
    OK(store_put_begin(s, SIZE, &root, &put, &err));
    bytes[5] ^= 1;
    OK(store_put_write(put, (struct pn_bytes){bytes, SIZE}, &err));
    bytes[5] ^= 1;
    assert_int_equal(store_put_write(put, (struct pn_bytes){bytes, 1}, &err), PN_E_MISMATCH);
    assert_int_equal(store_put_finish(put, &err), PN_E_MISMATCH);
    OK(store_put_begin(s, SIZE, &root, &put, &err));
    OK(store_put_write(put, (struct pn_bytes){bytes, SIZE - 1}, &err));
    assert_int_equal(store_put_finish(put, &err), PN_E_MISMATCH);
    OK(store_put_begin(s, SIZE, &root, &put, &err));
    store_put_abort(put);
    assert_false(store_has_file(s, &root));
    store_close(s);
}

static void put_whole(struct store *s)
{
    struct store_put *put;
    OK(store_put_begin(s, SIZE, &root, &put, &err));
    OK(store_put_write(put, (struct pn_bytes){bytes, SIZE}, &err));
    OK(store_put_finish(put, &err));
}

static void put_small(struct store *s, uint8_t first, uint8_t count)
{
    for (uint8_t i = first; i < first + count; i++) {
        struct store_put *put;
        struct digest leaf;
        struct digest of;
        hash_leaf((struct pn_bytes){&i, 1}, &leaf);
        hash_root(1, &leaf, &of);
        OK(store_put_begin(s, 1, &of, &put, &err));
        OK(store_put_write(put, (struct pn_bytes){&i, 1}, &err));
        OK(store_put_finish(put, &err));
    }
}

/* A few files are synced as they come, many are promised together; what failed to be kept is not
 * promised later. */
static void one_sync_makes_many_files_durable(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    syncs = file_syncs = 0;
    OK(store_sync(s, &err));
    assert_int_equal(syncs + file_syncs, 0);
    put_small(s, 0, 3);
    assert_int_equal(file_syncs, 6); /* and the folder */
    OK(store_sync(s, &err));
    assert_int_equal(syncs, 0);
    file_syncs = 0;
    put_small(s, 3, 100);
    assert_int_equal(file_syncs, 32);
    OK(store_sync(s, &err));
    OK(store_sync(s, &err));
    assert_int_equal(file_syncs, 32);
    assert_int_equal(syncs, 1);
    store_close(s);
    assert_false(there(path_of("running")));

    s = start();
    put_small(s, 0, 100);
    sync_fails = true;
    assert_int_equal(store_sync(s, &err), PN_E_SYSTEM);
    sync_fails = false; /* the kernel tells it once */
    assert_int_equal(store_sync(s, &err), PN_E_SYSTEM);
    assert_non_null(strstr(err.text, "start the peer again"));
    store_close(s);
    assert_true(there(path_of("running"))); /* the next start believes nothing */
}

/* Nothing is on the disk before the first bytes, and nothing after an abort. */
static void a_put_that_is_aborted_leaves_nothing(void **state)
{
    (void)state;
    struct store *s = start();
    struct store_put *put;
    (void)put_job(s);
    for (int written = 0; written < 2; written++) {
        OK(store_put_begin(s, SIZE, &root, &put, &err));
        assert_int_equal(rmdir(path_of("tmp")), 0); /* it is empty */
        assert_int_equal(mkdir(path_of("tmp"), 0700), 0);
        if (written == 1) {
            OK(store_put_write(put, (struct pn_bytes){bytes, 1}, &err));
            assert_int_equal(rmdir(path_of("tmp")), -1);
        }
        store_put_abort(put);
    }
    assert_int_equal(rmdir(path_of("tmp")), 0);
    store_close(s);
}

static void blocks_make_a_file(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    struct store_file *f = open_file(s);
    assert_int_equal(store_file_write_block(f, 0, block(0), &err), PN_E_NOT_FOUND);
    leaves[2].b[0] ^= 1;
    assert_int_equal(store_file_put_leaves(f, leaves, &err), PN_E_MISMATCH);
    leaves[2].b[0] ^= 1;
    OK(store_file_put_leaves(f, leaves, &err));
    assert_int_equal(store_file_write_block(f, 1, block(2), &err), PN_E_MISMATCH);
    assert_int_equal(store_file_write_block(f, BLOCKS, block(2), &err), PN_E_RANGE);
    for (uint32_t i = BLOCKS; i > 0; i--) {
        assert_false(store_file_whole(f));
        OK(store_file_write_block(f, i - 1, block(i - 1), &err));
        OK(store_file_write_block(f, i - 1, block(i - 1), &err)); /* twice is fine */
    }
    assert_true(store_file_whole(f));
    assert_true(store_has_file(s, &root));
    assert_true(there(content_path("")));
    assert_false(there(content_path(".part")));
    assert_false(there(content_path(".had")));
    store_file_close(f);
    store_close(s);
}

/* After a clean stop the record is believed; after a crash every recorded block is hashed. */
static void a_flipped_bit_in_a_recorded_block_is_noticed(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    struct store_file *f = open_file(s);
    OK(store_file_put_leaves(f, leaves, &err));
    OK(store_file_write_block(f, 0, block(0), &err));
    OK(store_file_write_block(f, 1, block(1), &err));
    store_file_close(f);
    crash(s);
    flip_bit(content_path(".part"), BLOCK_BYTES_MIN + 9);

    s = start();
    f = open_file(s);
    assert_true(store_file_has_leaves(f));
    assert_true(store_file_has_block(f, 0));
    assert_false(store_file_has_block(f, 1));
    assert_false(store_file_has_block(f, 2));
    for (uint32_t i = 1; i < BLOCKS; i++) {
        OK(store_file_write_block(f, i, block(i), &err));
    }
    assert_true(store_file_whole(f));
    store_file_close(f);
    store_close(s);
}

/* The record is longer than what was written: the crash took the last block's bytes. */
static void a_torn_part_is_noticed(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    struct store_file *f = open_file(s);
    OK(store_file_put_leaves(f, leaves, &err));
    OK(store_file_write_block(f, 0, block(0), &err));
    OK(store_file_write_block(f, 3, block(3), &err));
    store_file_close(f);
    crash(s);
    assert_int_equal(truncate(content_path(".part"), BLOCK_BYTES_MIN), 0);
    s = start();
    f = open_file(s);
    assert_true(store_file_has_block(f, 0));
    assert_false(store_file_has_block(f, 3));
    store_file_close(f);
    store_close(s);
}

static void a_whole_file_that_changed_is_fetched_again_in_part(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    put_whole(s);
    crash(s);
    flip_bit(content_path(""), 2 * BLOCK_BYTES_MIN);

    s = start();
    assert_true(store_has_file(s, &root)); /* nobody has looked yet */
    int fd = -1;
    assert_int_equal(store_file_fd(s, &root, &fd, &err), PN_E_MISMATCH);
    assert_false(store_has_file(s, &root));
    struct store_file *f = open_file(s);
    assert_false(store_file_whole(f));
    assert_true(store_file_has_block(f, 1));
    assert_false(store_file_has_block(f, 2));
    OK(store_file_write_block(f, 2, block(2), &err));
    assert_true(store_has_file(s, &root));
    OK(store_file_fd(s, &root, &fd, &err));
    (void)close(fd);
    store_file_close(f);
    store_close(s);
}

static void a_file_that_changes_while_it_is_served_is_noticed(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    put_whole(s);
    struct store_file *f = open_file(s);
    uint8_t *out = malloc(BLOCK_BYTES_MIN);
    OK(store_file_read_block(f, 1, out, block_length(SIZE, 1), &err));
    OK(store_file_read_block(f, 1, out, block_length(SIZE, 1), &err));
    flip_bit(content_path(""), BLOCK_BYTES_MIN + 1);
    assert_int_equal(store_file_read_block(f, 1, out, block_length(SIZE, 1), &err), PN_E_MISMATCH);
    OK(store_file_read_block(f, 0, out, block_length(SIZE, 0), &err));
    free(out);
    store_file_close(f);
    store_close(s);
}

/* The folder holds the contents under the job's names, and goes without taking them along. */
static void a_tree_shows_all_files_by_name(void **state)
{
    (void)state;
    struct digest missing = {{1}};
    struct store *s = start();
    struct store_tree *tree = NULL;
    struct manifest m;
    struct stat st;
    (void)put_job(s);
    put_whole(s);
    manifest_init(&m, MANIFEST_JOB);
    OK(manifest_add_file(&m, "a/b/tool", SIZE, &root, true, &err));
    OK(manifest_add_file(&m, "a/copy", SIZE, &root, false, &err));
    OK(store_tree_make(s, &m, &tree, &err));
    assert_int_equal(fstatat(store_tree_fd(tree), "a/b/tool", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_size, SIZE);
    assert_int_equal(st.st_mode & 0555, 0555);
    assert_int_equal(st.st_nlink, 3);
    assert_int_equal(fstatat(store_tree_fd(tree), "a/copy", &st, AT_SYMLINK_NOFOLLOW), 0);
    store_tree_remove(tree);
    assert_int_equal(stat(content_path(""), &st), 0);
    assert_int_equal(st.st_nlink, 1);
    OK(manifest_add_file(&m, "gone", SIZE, &missing, false, &err));
    assert_int_equal(store_tree_make(s, &m, &tree, &err), PN_E_NOT_FOUND);
    assert_int_equal(stat(content_path(""), &st), 0);
    assert_int_equal(st.st_nlink, 1); /* what had been made is gone again */
    manifest_fini(&m);
    store_tree_remove(NULL);
    store_close(s);
}

static void an_empty_file_is_whole_at_once(void **state)
{
    (void)state;
    struct store *s = start();
    struct digest empty;
    struct store_file *f;
    hash_root(0, NULL, &empty);
    OK(store_file_open(s, &empty, 0, true, &f, &err));
    assert_true(store_file_whole(f));
    store_file_close(f);
    assert_int_equal(store_file_open(s, &root, 0, true, &f, &err), PN_E_MISMATCH);
    store_close(s);
}

/* What somebody else's job leaves here goes one day; what is owed to it, and what is ours, stays.
 */
static void old_jobs_of_others_are_forgotten(void **state)
{
    (void)state;
    enum { NEW, OLD, OLD_DELIVERED, OLD_OWED, OLD_THEN_OURS, CASES };
    for (int i = 0; i < CASES; i++) {
        struct store *s = start();
        struct digest job = put_job(s);
        put_whole(s);
        struct store_job j;
        OK(store_job_read(s, &job, &j, &err));
        OK(store_job_remove(s, &job, &err));
        OK(store_job_remember(s, buffer_bytes(&j.manifest), &j.owner, NULL, &job, &err));
        put_whole(s);
        const struct file_set owed = {.kind = SET_OF_ATTEMPT, .job = job};
        if (i == OLD_OWED || i == OLD_DELIVERED) {
            OK(store_outbox_commit(s, &owed, pn_bytes_str("note"), &err));
        }
        if (i == OLD_DELIVERED) {
            OK(store_outbox_drop(s, &owed, &err));
        } else if (i == OLD_THEN_OURS) {
            OK(store_job_put(s, buffer_bytes(&j.manifest), &j.owner, NULL, &job, &err));
        }
        store_job_fini(&j);
        store_close(s);

        char hex[DIGEST_HEX_BYTES];
        char path[256];
        digest_hex(&job, hex);
        (void)snprintf(path, sizeof path, "%s/jobs/%s/borrowed", dir, hex);
        const struct timespec days[2] = {{.tv_nsec = UTIME_OMIT},
                                         {.tv_sec = time(NULL) - STORE_BORROWED_S - 1}};
        assert_int_equal(utimensat(AT_FDCWD, path, i == NEW ? NULL : days, 0),
                         i == OLD_THEN_OURS ? -1 : 0);
        s = start();
        bool goes = i == OLD || i == OLD_DELIVERED;
        assert_int_equal(store_has_job(s, &job), !goes);
        assert_int_equal(store_has_file(s, &root), !goes);
        if (!goes) {
            OK(store_job_remove(s, &job, &err));
        }
        store_close(s);
    }
}

/* --- a size is a stranger's word --- */

/* With create and without; whoever names the true size has the file open, or nobody. */
static void other_sizes_are_refused(struct store *s)
{
    static const uint64_t others[] = {0, 1, BLOCK_BYTES_MIN, SIZE - 1, SIZE + 1, 100 * SIZE};
    struct store_file *f;
    for (size_t i = 0; i < 2 * sizeof others / sizeof others[0]; i++) {
        enum pn_status status = store_file_open(s, &root, others[i / 2], i % 2 == 0, &f, &err);
        assert_int_equal(status, PN_E_MISMATCH);
    }
}

static void a_wrong_size_costs_nobody_a_file(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    put_whole(s);
    other_sizes_are_refused(s);
    struct store_file *f = open_file(s);
    other_sizes_are_refused(s);
    uint8_t *out = malloc(BLOCK_BYTES_MIN);
    OK(store_file_read_block(f, 0, out, BLOCK_BYTES_MIN, &err));
    assert_int_equal(store_file_read_block(f, 0, out, 1, &err), PN_E_MISMATCH);
    free(out);
    store_file_close(f);
    assert_true(store_has_file(s, &root));

    /* Nor where the leaves are lost, and the file itself must tell. */
    assert_int_equal(unlink(content_path(".leaves")), 0);
    other_sizes_are_refused(s);
    f = open_file(s);
    assert_true(store_file_whole(f));
    store_file_close(f);
    store_close(s);
}

static void a_file_is_fetched_beside_a_wrong_size(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    struct store_file *liar;
    OK(store_file_open(s, &root, 1, true, &liar, &err));
    assert_int_equal(store_file_write_block(liar, 0, (struct pn_bytes){bytes, 1}, &err),
                     PN_E_MISMATCH);
    struct store_file *f = open_file(s);
    OK(store_file_put_leaves(f, leaves, &err));
    for (uint32_t i = 0; i < BLOCKS; i++) {
        OK(store_file_write_block(f, i, block(i), &err));
    }
    assert_true(store_file_whole(f));
    assert_false(store_file_has_block(liar, 0));
    store_file_close(liar);
    store_file_close(f);
    store_close(s);
}

/* The last block may come from two sources at a time, and again when all is here. */
static void a_block_that_comes_again_makes_no_second_file(void **state)
{
    (void)state;
    struct store *s = start();
    (void)put_job(s);
    struct store_file *f = open_file(s);
    OK(store_file_put_leaves(f, leaves, &err));
    for (uint32_t i = 0; i < 2 * BLOCKS; i++) {
        OK(store_file_write_block(f, i % BLOCKS, block(i % BLOCKS), &err));
    }
    assert_true(store_file_whole(f));
    assert_false(there(content_path(".part")));
    store_file_close(f);
    store_close(s);
}

/* --- refusals --- */

static void a_folder_in_use_is_refused(void **state)
{
    (void)state;
    struct store *s = start();
    struct store *second;
    assert_int_equal(store_open(dir, &second, &err), PN_E_BUSY);
    assert_non_null(strstr(err.text, "in use by another peer"));
    assert_true(there(path_of("running")));
    store_close(s);
    assert_false(there(path_of("running")));
    struct stat st;
    assert_int_equal(stat(path_of("files"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void a_newer_version_is_refused(void **state)
{
    (void)state;
    store_close(start());
    int fd = open(path_of("format"), O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, "preon data 2\n", 13), 13);
    (void)close(fd);
    struct store *s;
    assert_int_equal(store_open(dir, &s, &err), PN_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "newer version"));
}

static void files_that_no_job_names_are_forgotten(void **state)
{
    (void)state;
    struct store *s = start();
    put_whole(s);
    store_close(s);
    s = start();
    assert_false(store_has_file(s, &root));
    assert_false(there(content_path("")));
    assert_false(there(content_path(".leaves")));
    store_close(s);
}

static bool tell_kernel(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    return f != NULL && fputs(text, f) >= 0 && fclose(f) == 0;
}

/* An ordinary user gets a user namespace in which it may mount, and is who it was. */
static bool own_mounts(void)
{
    char users[32];
    char groups[32];
    (void)snprintf(users, sizeof users, "%u %u 1", geteuid(), geteuid());
    (void)snprintf(groups, sizeof groups, "%u %u 1", getegid(), getegid());
    if (geteuid() == 0) {
        return unshare(CLONE_NEWNS) == 0;
    }
    return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
           tell_kernel("/proc/self/setgroups", "deny") &&
           tell_kernel("/proc/self/uid_map", users) && tell_kernel("/proc/self/gid_map", groups);
}

/* On a file system of 256 KiB in a mount namespace of its own; the child's exit code tells. */
static int full_disk(void)
{
    struct store *s;
    struct store_file *f;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("preon-test", dir, "tmpfs", 0, "size=256k") != 0) {
        return 2;
    }
    if (store_open(dir, &s, &err) != PN_OK) {
        return 3;
    }
    (void)put_job(s);
    if (store_file_open(s, &root, SIZE, true, &f, &err) != PN_OK ||
        store_file_put_leaves(f, leaves, &err) != PN_OK) {
        return 4;
    }
    if (store_file_write_block(f, 0, block(0), &err) != PN_E_FULL ||
        strstr(err.text, "disk is full") == NULL) {
        return 5;
    }
    store_file_close(f);
    struct store_adopt adopt = {.fd = file_with(bytes, SIZE)};
    if (store_outbox_adopt(s, &attempt, &adopt, 1, SIZE, &err) != PN_E_FULL) {
        return 6;
    }
    struct store_put *put;
    if (store_put_begin(s, SIZE, &root, &put, &err) != PN_E_FULL) {
        return 7;
    }
    store_close(s);
    return 0;
}

static void a_full_disk_is_said_to_be_full(void **state)
{
    (void)state;
    assert_int_equal(dir_write_file(AT_FDCWD, "/dev/full", pn_bytes_str("x"), false, &err),
                     PN_E_FULL);
    if (lacks("mounts")) {
        skip(); /* only /dev/full was tried */
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(own_mounts() ? full_disk() : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(old_jobs_of_others_are_forgotten),
        TEST(jobs_are_kept_and_removed),
        TEST(an_unclean_stop_costs_one_sync),
        TEST(a_remembered_job_may_be_torn),
        TEST(a_file_streams_in_and_is_read_back),
        TEST(other_bytes_than_the_manifest_names_are_refused),
        TEST(one_sync_makes_many_files_durable),
        TEST(a_put_that_is_aborted_leaves_nothing),
        TEST(blocks_make_a_file),
        TEST(a_flipped_bit_in_a_recorded_block_is_noticed),
        TEST(a_torn_part_is_noticed),
        TEST(a_whole_file_that_changed_is_fetched_again_in_part),
        TEST(a_file_that_changes_while_it_is_served_is_noticed),
        TEST(a_tree_shows_all_files_by_name),
        TEST(an_empty_file_is_whole_at_once),
        TEST(a_wrong_size_costs_nobody_a_file),
        TEST(a_file_is_fetched_beside_a_wrong_size),
        TEST(a_block_that_comes_again_makes_no_second_file),
        TEST(a_folder_in_use_is_refused),
        TEST(a_newer_version_is_refused),
        TEST(files_that_no_job_names_are_forgotten),
        TEST(a_full_disk_is_said_to_be_full),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return lacks("mounts") ? lacks_exit(failed, "the small disk", "mounts") : failed;
}
