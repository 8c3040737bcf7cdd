/*
 * transfer_bed -- peers with stores, joined by memory links, and a job for them to share. For
 * tests.
 */
#ifndef PREON_TESTS_TRANSFER_BED_H
#define PREON_TESTS_TRANSFER_BED_H

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/random.h"
#include "peer/swarm/transfer_inside.h"
#include "tests/unit/memory_link.h"

enum {
    PEERS = 3,
    FILES = 5,
    DEADLINE_MS = 20 * 1000,
};

static uv_loop_t loop;
static uv_idle_t pump;
static uv_timer_t deadline;
static char dirs[PEERS][64];
static struct store *stores[PEERS];
static struct transfer *transfers[PEERS];
static bool readable;      /* what may_read says */
static uint64_t cut_after; /* frames to deliver before all links are closed; 0: never */
static struct pn_err err;

static time_t hours_later_s; /* how far our clock is ahead; not libuv's */

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += clock == CLOCK_BOOTTIME ? hours_later_s : 0;
    return result;
}

/* As the peer shell does: the rooms hear of a closed link later, once. */
static inline void bury(struct end *e)
{
    if (e->owner != UINT32_MAX) {
        uint32_t owner = e->owner;
        e->owner = UINT32_MAX;
        e->closed = true;
        empty_inbox(e);
        transfer_port_closed(transfers[owner], &e->port);
    }
}

static enum pn_status last_status;

static inline void deliver_one(struct end *e)
{
    struct queued *q = e->inbox;
    if (q == NULL || e->owner == UINT32_MAX) {
        return;
    }
    e->inbox = q->next;
    if (e->inbox == NULL) {
        e->inbox_tail = &e->inbox;
    }
    if (q->lane == SESSION_DATA) {
        e->other->data_bytes -= q->frame.body.len;
    }
    struct pn_err why;
    enum pn_status status = transfer_frame(transfers[e->owner], &e->port, &q->frame, &why);
    free(q);
    if (status != PN_OK) {
        last_status = status;
        e->closed = true;
    }
    struct end *o = e->other;
    if (o->full && o->data_bytes < LANE_BYTES / 2 && o->owner != UINT32_MAX) {
        o->full = false;
        transfer_port_drained(transfers[o->owner], &o->port);
    }
}

static inline void on_pump(uv_idle_t *handle)
{
    (void)handle;
    for (uint32_t i = 0; i < end_count; i++) {
        if (ends[i]->closed || ends[i]->other->closed) {
            bury(ends[i]);
        } else {
            deliver_one(ends[i]);
            if (cut_after > 0 && ends[i]->inbox != NULL && --cut_after == 0) {
                for (uint32_t k = 0; k < end_count; k++) {
                    ends[k]->closed = true;
                }
            }
        }
    }
}

/* --- peers --- */

static inline bool may_read(void *arg, const struct port *p, const struct file_set *set)
{
    (void)arg;
    (void)p;
    (void)set;
    return readable;
}

static inline void on_pressure(void *arg, bool stop_reading)
{
    (void)arg;
    (void)stop_reading;
}

/* Peer 0 knows of another source. */
static const struct addr other = {.family = ADDR_V4, .ip = {198, 51, 100, 7}, .port = 4000};
static uint32_t named_count; /* how often others heard of it */

static inline uint32_t others(void *arg, const struct port *p, const struct file_set *set,
                              struct addr addrs[DATA_ERROR_ADDRS_MAX])
{
    (void)arg;
    (void)p;
    assert_int_equal(set->kind, SET_OF_JOB);
    addrs[0] = other;
    return 1;
}

static inline void named(void *arg, const struct file_set *set, const struct addr *addrs,
                         uint32_t count)
{
    (void)arg;
    assert_int_equal(set->kind, SET_OF_JOB);
    assert_int_equal(count, 1);
    assert_true(addr_equal(&addrs[0], &other));
    named_count++;
}

static inline void on_deadline(uv_timer_t *t)
{
    (void)t;
    fail_msg("nothing happened for too long");
}

static inline int set_up(void **state)
{
    (void)state;
    const struct transfer_hooks hooks = {
        .may_read = may_read, .on_pressure = on_pressure, .others = others, .named = named};
    assert_int_equal(uv_loop_init(&loop), 0);
    (void)uv_idle_init(&loop, &pump);
    (void)uv_idle_start(&pump, on_pump);
    (void)uv_timer_init(&loop, &deadline);
    (void)uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    readable = true;
    hours_later_s = 0;
    named_count = 0;
    cut_after = 0;
    end_count = 0;
    last_status = PN_OK;
    for (uint32_t i = 0; i < PEERS; i++) {
        (void)snprintf(dirs[i], sizeof dirs[i], "/tmp/preon-test-transfer-XXXXXX");
        assert_non_null(mkdtemp(dirs[i]));
        assert_int_equal(store_open(dirs[i], &stores[i], &err), PN_OK);
        assert_int_equal(transfer_new(&loop, stores[i], &hooks, &transfers[i], &err), PN_OK);
    }
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PEERS; i++) {
        transfer_free(transfers[i]);
    }
    uv_close((uv_handle_t *)&pump, NULL);
    uv_close((uv_handle_t *)&deadline, NULL);
    while (uv_run(&loop, UV_RUN_DEFAULT) != 0) {
    }
    assert_int_equal(uv_loop_close(&loop), 0);
    for (uint32_t i = 0; i < PEERS; i++) {
        store_close(stores[i]);
        (void)nftw(dirs[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
    for (uint32_t i = 0; i < end_count; i++) {
        empty_inbox(ends[i]);
        free(ends[i]);
    }
    return 0;
}

/* --- a job --- */

static const uint64_t sizes[FILES] = {5 * BLOCK_BYTES_MIN + 17, 0, 1000, 3 * BLOCK_BYTES_MIN, 1};
static uint8_t *contents[FILES];
static struct digest roots[FILES];
static struct buffer manifest;
static struct digest job;

static inline void make_job(uint32_t owner)
{
    static const char *const args[] = {"f2", NULL};
    struct random random;
    struct manifest m;
    struct signature signature = {{3}};
    random_seed(&random, 1);
    manifest_init(&m, MANIFEST_JOB);
    (void)snprintf(m.name, sizeof m.name, "test");
    m.slice_count = 1;
    m.quorum = 2;
    for (uint32_t i = 0; i < FILES; i++) {
        contents[i] = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++) { /* file 3 is text-like, the others random */
            contents[i][k] = (uint8_t)(i == 3 ? (uint64_t)(k / 7 % 6) : random_u64(&random));
        }
        struct hash_stream *h = hash_stream_new(sizes[i]);
        const struct digest *leaves;
        assert_true(hash_stream_update(h, (struct pn_bytes){contents[i], sizes[i]}));
        assert_true(hash_stream_final(h, &roots[i], &leaves));
        hash_stream_free(h);
        char name[8];
        (void)snprintf(name, sizeof name, "f%u", i);
        assert_int_equal(manifest_add_file(&m, name, sizes[i], &roots[i], i == 2, &err), PN_OK);
    }
    assert_int_equal(manifest_set_command(&m, PROGRAM_FILE, args, 1, &err), PN_OK);
    buffer_init(&manifest, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_write(&m, &manifest, &err), PN_OK);
    manifest_fini(&m);
    assert_int_equal(
        store_job_put(stores[owner], buffer_bytes(&manifest), &signature, NULL, &job, &err), PN_OK);
    for (uint32_t i = 0; i < FILES; i++) {
        struct store_put *put;
        assert_int_equal(store_put_begin(stores[owner], sizes[i], &roots[i], &put, &err), PN_OK);
        assert_int_equal(store_put_write(put, (struct pn_bytes){contents[i], sizes[i]}, &err),
                         PN_OK);
        assert_int_equal(store_put_finish(put, &err), PN_OK);
    }
}

static inline void free_job(void)
{
    for (uint32_t i = 0; i < FILES; i++) {
        free(contents[i]);
    }
    buffer_fini(&manifest);
}

static inline void know_job(uint32_t peer)
{
    struct signature signature = {{3}};
    struct digest same;
    assert_int_equal(
        store_job_put(stores[peer], buffer_bytes(&manifest), &signature, NULL, &same, &err), PN_OK);
    assert_true(digest_equal(&same, &job));
}

static inline void check_files(uint32_t peer)
{
    for (uint32_t i = 0; i < FILES; i++) {
        int fd = -1;
        assert_int_equal(store_file_fd(stores[peer], &roots[i], &fd, &err), PN_OK);
        uint8_t *read_back = malloc(sizes[i] + 1);
        assert_int_equal(pread(fd, read_back, sizes[i] + 1, 0), (ssize_t)sizes[i]);
        assert_memory_equal(read_back, contents[i], sizes[i]);
        free(read_back);
        (void)close(fd);
    }
}

/* --- waiting --- */

struct waiting {
    uint32_t left;
    enum pn_status status;
    char text[PN_ERR_TEXT_BYTES];
};

static inline void on_done(void *arg, enum pn_status status, const struct pn_err *why)
{
    struct waiting *w = arg;
    assert_true(w->left > 0);
    w->left--;
    w->status = status;
    (void)snprintf(w->text, sizeof w->text, "%s", status != PN_OK ? why->text : "");
}

static inline void on_manifest(void *arg, enum pn_status status, struct pn_bytes text,
                               const struct pn_err *why)
{
    on_done(arg, status, why);
    if (status == PN_OK) {
        assert_true(pn_bytes_equal(text, buffer_bytes(&manifest)));
    }
}

static inline void wait_for(struct waiting *w)
{
    while (w->left > 0) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static inline void run_rounds(int rounds)
{
    while (rounds-- > 0) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static inline struct transfer_fetch *fetch(uint32_t peer, struct waiting *w)
{
    struct transfer_fetch *f;
    assert_int_equal(transfer_fetch_files(transfers[peer], &job, on_done, w, &f, &err), PN_OK);
    return f;
}

#endif
