/*
 * store_bed -- a store in a folder of its own, and one file of known content.
 */
#ifndef PREON_TESTS_STORE_BED_H
#define PREON_TESTS_STORE_BED_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer/store/store_sys.h"
#include "tests/unit/unit.h"

enum { SIZE = 3 * BLOCK_BYTES_MIN + 77, BLOCKS = 4 };

static char dir[64];
static uint8_t bytes[SIZE];
static struct digest leaves[BLOCKS];
static struct digest root;
static struct pn_err err;

#define OK(call) must_succeed(call)
static inline void must_succeed(enum pn_status status)
{
    if (status != PN_OK) {
        fail_msg("%s", err.text);
    }
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/preon-test-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 131 + i / 977);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        hash_leaf((struct pn_bytes){bytes + (size_t)i * BLOCK_BYTES_MIN, block_length(SIZE, i)},
                  &leaves[i]);
    }
    hash_root(SIZE, leaves, &root);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    return nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *path_of(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static inline const char *content_path(const char *suffix)
{
    char hex[DIGEST_HEX_BYTES];
    char name[128];
    digest_hex(&root, hex);
    (void)snprintf(name, sizeof name, "files/%s%s", hex, suffix);
    return path_of(name);
}

static inline bool there(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static inline void flip_bit(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

/* A stop without store_close, as seen by the next start. */
static inline void crash(struct store *s)
{
    store_close(s);
    int fd = open(path_of("running"), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static inline struct store *start(void)
{
    struct store *s = NULL;
    OK(store_open(dir, &s, &err));
    return s;
}

/* A job that names the test file, so that the store keeps it. */
static inline struct digest put_job(struct store *s)
{
    struct manifest m;
    struct buffer text;
    struct signature owner = {{1}};
    struct digest job;
    static const char *const args[] = {"crunch", NULL};
    manifest_init(&m, MANIFEST_JOB);
    (void)snprintf(m.name, sizeof m.name, "crunch");
    m.slice_count = 1;
    m.quorum = 2;
    OK(manifest_add_file(&m, "crunch", SIZE, &root, true, &err));
    OK(manifest_set_command(&m, PROGRAM_FILE, args, 1, &err));
    buffer_init(&text, MANIFEST_BYTES_MAX);
    OK(manifest_write(&m, &text, &err));
    OK(store_job_put(s, buffer_bytes(&text), &owner, NULL, &job, &err));
    buffer_fini(&text);
    manifest_fini(&m);
    return job;
}

static inline struct pn_bytes block(uint32_t i)
{
    return (struct pn_bytes){bytes + (size_t)i * BLOCK_BYTES_MIN, block_length(SIZE, i)};
}

static inline struct store_file *open_file(struct store *s)
{
    struct store_file *f = NULL;
    OK(store_file_open(s, &root, SIZE, true, &f, &err));
    return f;
}

static const struct file_set attempt = {
    .kind = SET_OF_ATTEMPT, .job = {{5}}, .run = {{6}}, .slice = 12, .attempt = 3};

static inline int file_with(const void *from, size_t len)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, from, len), (ssize_t)len);
    return fd;
}

#endif
