/*
 * The ledger on a disk that fails, fills up or has been damaged, and under kill -9.
 *
 * The disk is SQLite's own behind a shim that fails the n-th write or sync of the writing process.
 */
#include "ledger_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <sqlite3.h>

/* ---- the shim ---- */

static atomic_int writes_left = -1;     /* the write after so many more fails: disk full */
static atomic_int syncs_left = -1;      /* likewise for syncs: I/O error */
static atomic_int file_syncs_left = -1; /* of the file itself, not its log: a checkpoint */
static atomic_int failed_count;         /* how many have failed, repeats included */

static bool runs_out(atomic_int *left)
{
    int now = atomic_load(left);
    if (now > 0) {
        atomic_store(left, now - 1);
    }
    if (now == 0) {
        atomic_fetch_add(&failed_count, 1);
    }
    return now == 0;
}

/* A file of the shim: our methods, then the real file. */
struct shim_file {
    sqlite3_file base;
    sqlite3_file *real;
    bool is_log;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f) { return ((struct shim_file *)f)->real; }

static int shim_close(sqlite3_file *f) { return real_of(f)->pMethods->xClose(real_of(f)); }
static int shim_read(sqlite3_file *f, void *to, int len, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), to, len, at);
}
static int shim_write(sqlite3_file *f, const void *from, int len, sqlite3_int64 at)
{
    if (runs_out(&writes_left)) {
        return SQLITE_FULL;
    }
    return real_of(f)->pMethods->xWrite(real_of(f), from, len, at);
}
static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), size);
}
static int shim_sync(sqlite3_file *f, int flags)
{
    bool is_log = ((struct shim_file *)f)->is_log;
    if (runs_out(&syncs_left) || (!is_log && runs_out(&file_syncs_left))) {
        return SQLITE_IOERR_FSYNC;
    }
    return real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int shim_size(sqlite3_file *f, sqlite3_int64 *out)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), out);
}
static int shim_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int shim_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int shim_sector(sqlite3_file *f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); }
static int shim_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}
static int shim_shm_lock(sqlite3_file *f, int at, int count, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), at, count, flags);
}
static void shim_shm_barrier(sqlite3_file *f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
static int shim_shm_unmap(sqlite3_file *f, int remove_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods shim_methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_shm_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_shm_barrier,
    .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    struct shim_file *s = (struct shim_file *)f;
    s->real = (sqlite3_file *)(s + 1);
    int code = real_vfs->xOpen(real_vfs, name, s->real, flags, out);
    s->is_log = (flags & SQLITE_OPEN_WAL) != 0;
    s->base.pMethods = code == SQLITE_OK ? &shim_methods : NULL;
    return code;
}

/* From here on every database of this process is behind the shim. */
static int install_shim(void **state)
{
    (void)state;
    static sqlite3_vfs shim;
    real_vfs = sqlite3_vfs_find(NULL);
    shim = *real_vfs;
    shim.zName = "shim";
    shim.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim.xOpen = shim_open;
    return sqlite3_vfs_register(&shim, 1);
}

/* ---- what is in it ---- */

enum { SLICES_MAX = 100000 };

struct finals {
    uint32_t count;
    bool seen[SLICES_MAX];
    uint32_t votes;
};

static enum pn_status on_record(void *arg, const struct record *r)
{
    struct finals *f = arg;
    if (r->kind == RECORD_FINAL) {
        assert_true(r->final.slice < SLICES_MAX);
        f->seen[r->final.slice] = true;
        f->count++;
    }
    f->votes += r->kind == RECORD_VOTE;
    return PN_OK;
}

static void read_finals(struct fixture *f, struct finals *out)
{
    struct ledger_reader *r = fixture_reader(f);
    struct pn_err err = {0};
    memset(out, 0, sizeof *out);
    assert_int_equal(ledger_load(r, &f->job, &f->run, on_record, out, &err), PN_OK);
    ledger_reader_close(r);
}

static struct finals finals;

/* Everything that was reported as committed is there after opening the file again. */
static void check_reported(struct fixture *f, const uint64_t *seq, const enum pn_status *status,
                           uint32_t count)
{
    read_finals(f, &finals);
    for (uint32_t i = 0; i < count; i++) {
        if (status[i] == PN_OK) {
            assert_true(finals.seen[seq[i]]);
        }
    }
    assert_int_equal(finals.votes, 0); /* a vote without its final would be half a batch */
}

/*
 * Commits batches of a vote and a final until one is reported as failed, then a few more; opens
 * the file again and looks. `left` is the shim's counter.
 */
static void fail_after(atomic_int *left, int n, enum pn_status expected)
{
    struct fixture *f = fixture_new();
    static uint64_t seq[FIXTURE_REPORTS_MAX];
    static enum pn_status status[FIXTURE_REPORTS_MAX];
    const enum pn_status no_failure = PN_OK;
    enum pn_status worst = no_failure;
    atomic_store(&failed_count, 0);
    atomic_store(left, n);
    uint32_t sent = 0;
    while (worst == PN_OK && sent < 5000) {
        for (uint32_t i = 0; i < 5; i++, sent++) {
            const struct record batch[] = {fixture_vote(sent, 1, 1), fixture_final(sent, 1)};
            assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, sent, batch, 2), PN_OK);
        }
        fixture_wait(f, sent);
        worst = f->report_status[sent - 1];
    }
    assert_int_equal(worst, expected);
    int failed = atomic_load(&failed_count);
    for (uint32_t i = 0; i < 20; i++, sent++) { /* the disk would work again: too late */
        atomic_store(left, -1);
        const struct record batch[] = {fixture_vote(sent, 1, 1), fixture_final(sent, 1)};
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, sent, batch, 2), PN_OK);
    }
    fixture_wait(f, sent);
    bool over = false;
    for (uint32_t i = 0; i < sent; i++) {
        assert_int_equal(f->report_seq[i], i);
        over = over || f->report_status[i] != PN_OK;
        assert_true(!over || f->report_status[i] == expected);
    }
    assert_true(failed >= 1);
    assert_non_null(strstr(f->report_text, "ledger: "));

    uint32_t count = f->report_count;
    memcpy(seq, f->report_seq, sizeof seq);
    memcpy(status, f->report_status, sizeof status);
    struct pn_err err = {0};
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    check_reported(f, seq, status, count);
    const struct record again = fixture_final(SLICES_MAX - 1, 1);
    assert_int_equal(fixture_commit(f, &again, 1), PN_OK);
    fixture_free(f);
}

static void test_full_disk(void **state)
{
    (void)state;
    for (int n = 0; n < 40; n++) {
        fail_after(&writes_left, n, PN_E_FULL);
    }
}

static void test_failed_sync(void **state)
{
    (void)state;
    for (int n = 0; n < 10; n++) {
        fail_after(&syncs_left, n, PN_E_SYSTEM);
    }
}

/* Rows of a removed job wait to be deleted: not in a session that has failed. */
static void test_no_sweep_after_a_failure(void **state)
{
    (void)state;
    enum { ROUNDS = 20, ROWS = 2000 };
    static struct record rows[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        rows[i] = fixture_final(i, 1);
    }
    for (int round = 0; round < ROUNDS; round++) { /* either may come first: batch or sweep */
        struct fixture *f = fixture_new();
        struct pn_err err = {0};
        assert_int_equal(fixture_commit(f, rows, ROWS), PN_OK);
        atomic_store(&failed_count, 0);
        assert_int_equal(ledger_remove_job(f->ledger, &f->job, &f->run, &err), PN_OK);
        atomic_store(&writes_left, 0);
        const struct ledger_job job = {.job = fixture_digest('j', 2), .run = f->run, .name = ""};
        assert_int_equal(ledger_add_job(f->ledger, &job, &err), PN_E_FULL);
        for (int i = 0; i < 10; i++) { /* time enough for the thread to try again */
            assert_int_equal(fixture_commit(f, NULL, 0), PN_E_FULL);
        }
        assert_int_equal(atomic_load(&failed_count), 1);
        atomic_store(&writes_left, -1);
        fixture_free(f);
    }
}

/* A checkpoint's failed sync ends the session too: SQLite alone would try again and believe it. */
static void test_failed_checkpoint(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint8_t bytes[4000] = {0};
    atomic_store(&file_syncs_left, 0);
    for (uint32_t i = 0; i < 2000; i++) { /* 8 MB: past the size at which the log is folded in */
        const struct record r = fixture_output(i, 1, 0, (struct pn_bytes){bytes, sizeof bytes});
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, i, &r, 1), PN_OK);
    }
    fixture_wait(f, 2000);
    for (int i = 0; i < 100 && fixture_commit(f, NULL, 0) == PN_OK; i++) {
    }
    atomic_store(&file_syncs_left, -1);
    assert_non_null(strstr(f->report_text, "ledger: "));
    assert_int_equal(strncmp(f->report_text, "checkpoint: ", 12), 0);
    struct pn_err err = {0};
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    const struct record r = fixture_final(1, 1);
    assert_int_equal(fixture_commit(f, &r, 1), PN_OK);
    fixture_free(f);
}

/*
 * The child's disk: a tmpfs of 1 MiB in a mount namespace of its own, or, when not root, files that
 * may not grow past 1 MiB. Returns what the failure is then called.
 */
static enum pn_status make_small_disk(const char *folder)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", folder, "tmpfs", 0, "size=1m") == 0) {
        return PN_E_FULL;
    }
    const struct rlimit limit = {1U << 20, 1U << 20};
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    return PN_E_SYSTEM;
}

static void finish(struct fixture *f, int line) { _exit(f->ledger != NULL ? line % 255 : 254); }

/* Fills the disk with outputs, then looks whether what was reported is there. Exits with 0. */
static void child_fills_disk(const char *folder)
{
    static struct fixture f;
    static uint8_t bytes[10000];
    struct pn_err err;
    enum pn_status expected = make_small_disk(folder);
    if (fixture_open_in(&f, folder, &err) != PN_OK) {
        finish(&f, __LINE__);
    }
    const struct ledger_job job = {.job = f.job, .run = f.run, .name = "fills"};
    if (ledger_add_job(f.ledger, &job, &err) != PN_OK) {
        finish(&f, __LINE__);
    }
    uint32_t sent = 0;
    do {
        const struct record batch[] = {
            fixture_vote(sent, 1, 1), fixture_final(sent, 1),
            fixture_output(sent, 1, 0, (struct pn_bytes){bytes, sizeof bytes})};
        (void)ledger_commit(f.ledger, &f.job, &f.run, sent++, batch, 3);
        while (f.report_count < sent) {
            (void)uv_run(&f.loop, UV_RUN_ONCE);
        }
    } while (f.report_status[sent - 1] == PN_OK && sent < 1000);
    if (f.report_status[sent - 1] != expected || sent < 10) {
        finish(&f, __LINE__);
    }
    uint32_t good = sent - 1;
    if (fixture_reopen(&f, &err) != PN_OK) {
        finish(&f, __LINE__);
    }
    struct ledger_reader *r = NULL;
    if (ledger_reader_open(f.path, &r, &err) != PN_OK ||
        ledger_load(r, &f.job, &f.run, on_record, &finals, &err) != PN_OK || finals.count < good ||
        finals.votes != 0) {
        finish(&f, __LINE__);
    }
    ledger_reader_close(r);
    fixture_close(&f);
    _exit(0);
}

static void test_really_full_disk(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    fixture_close(f);
    assert_int_equal(unlink(f->path), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        memset(&finals, 0, sizeof finals);
        child_fills_disk(f->folder);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    fixture_free(f);
}

/* Every sync of opening and making a new file may fail: a clear error, and it works afterwards. */
static void test_opening_on_a_bad_disk(void **state)
{
    (void)state;
    atomic_int *const counters[] = {&writes_left, &syncs_left};
    for (size_t c = 0; c < 2; c++) {
        bool opened = false;
        for (int n = 0; !opened; n++) {
            struct fixture *f = calloc(1, sizeof *f);
            struct pn_err err = {0};
            char folder[] = "/tmp/preon-ledger-XXXXXX";
            assert_non_null(f);
            assert_non_null(mkdtemp(folder));
            atomic_store(counters[c], n);
            enum pn_status status = fixture_open_in(f, folder, &err);
            atomic_store(counters[c], -1);
            opened = status == PN_OK;
            if (!opened) {
                assert_true(status == PN_E_FULL || status == PN_E_SYSTEM);
                assert_non_null(strstr(err.text, "ledger: "));
                fixture_close_unopened(f);
                assert_int_equal(fixture_open_in(f, folder, &err), PN_OK);
            }
            fixture_free(f);
            assert_true(n < 200);
        }
    }
}

/* ---- kill -9 ---- */

/* The child: commits batches for ever and writes the number of each reported one to the pipe. */
static void child_commits(const char *folder, int to_parent)
{
    static struct fixture f;
    struct pn_err err;
    uint32_t told = 0;
    uint32_t sent = 0;
    if (fixture_open_in(&f, folder, &err) != PN_OK) {
        _exit(1);
    }
    for (;;) {
        for (uint32_t i = 0; i < 7 && sent < FIXTURE_REPORTS_MAX - 1; i++, sent++) {
            const struct record batch[] = {fixture_vote(sent, 1, 1), fixture_final(sent, 1),
                                           fixture_output(sent, 1, 0, pn_bytes_str("bytes"))};
            (void)ledger_commit(f.ledger, &f.job, &f.run, sent, batch, 3);
        }
        (void)uv_run(&f.loop, UV_RUN_ONCE);
        for (; told < f.report_count; told++) {
            uint32_t number = f.report_status[told] == PN_OK ? told : UINT32_MAX;
            if (write(to_parent, &number, sizeof number) != sizeof number) {
                _exit(2);
            }
        }
        if (told == FIXTURE_REPORTS_MAX - 1) {
            (void)pause();
        }
    }
}

static void test_kill_at_any_moment(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 25; seed++) {
        struct fixture *f = fixture_new();
        fixture_close(f);
        int pipe_fds[2];
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(pipe_fds[0]);
            child_commits(f->folder, pipe_fds[1]);
        }
        (void)close(pipe_fds[1]);
        uint32_t wanted =
            seed * 23 % 400; /* by progress, not by time: machines are slow at times */
        static uint64_t seq[FIXTURE_REPORTS_MAX];
        static enum pn_status status[FIXTURE_REPORTS_MAX];
        uint32_t count = 0;
        uint32_t number;
        while (read(pipe_fds[0], &number, sizeof number) == sizeof number) {
            assert_int_equal(number, count);
            seq[count] = number;
            status[count++] = PN_OK;
            if (count == wanted + 1) {
                (void)usleep(seed * 797 % 5000);
                assert_int_equal(kill(child, SIGKILL), 0);
            }
        }
        (void)close(pipe_fds[0]);
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how));

        struct pn_err err = {0};
        assert_int_equal(fixture_reopen(f, &err), PN_OK);
        check_reported(f, seq, status, count);
        assert_true(finals.count >= count && count > wanted);
        fixture_free(f);
    }
}

/* ---- files that are refused ---- */

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_newer_is_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    fixture_close(f);
    run_sql(f->path, "PRAGMA user_version = 3");
    assert_int_equal(fixture_reopen(f, &err), PN_E_UNSUPPORTED);
    assert_string_equal(err.text, "ledger: written by a newer preon (schema 3, this one knows 2): "
                                  "use that version");
    fixture_close_unopened(f);
    run_sql(f->path, "PRAGMA user_version = 2");
    assert_int_equal(fixture_reopen(f, &err), PN_OK); /* nothing had been changed */
    fixture_free(f);
}

static enum pn_status on_migrated_job(void *arg, const struct ledger_job_row *row)
{
    struct ledger_job_row *out = arg;
    *out = *row;
    return PN_OK;
}

/* As version 1 left it; crashes in between leave either that or the new one, never a mixture. */
static void test_older_is_brought_up_to_date(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    const struct record votes[] = {fixture_vote(3, 1, 1)};
    assert_int_equal(fixture_commit(f, votes, 1), PN_OK);
    fixture_close(f);
    run_sql(f->path, "ALTER TABLE jobs DROP COLUMN slots_max;"
                     "ALTER TABLE jobs DROP COLUMN ran_ms;"
                     "PRAGMA user_version = 1");
    assert_int_equal(fixture_reopen(f, &err), PN_OK);
    assert_int_equal(fixture_reopen(f, &err), PN_OK); /* and once is enough */
    struct ledger_reader *r = fixture_reader(f);
    struct ledger_job_row row = {.job.slots_max = 99};
    assert_int_equal(ledger_list_jobs(r, on_migrated_job, &row, &err), PN_OK);
    assert_int_equal(row.job.slice_count, 1000000);
    assert_int_equal(row.job.slots_max, 0);
    ledger_reader_close(r);
    fixture_free(f);
}

static void test_foreign_is_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    fixture_close(f);
    assert_int_equal(unlink(f->path), 0);
    run_sql(f->path, "CREATE TABLE shopping (item)");
    assert_int_equal(fixture_reopen(f, &err), PN_E_MALFORMED);
    assert_string_equal(err.text, "ledger: a database, but not a ledger (schema 0)");
    fixture_close_unopened(f);
    fixture_free(f);
}

static void overwrite(const char *path, off_t at, const char *with)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, with, strlen(with), at), (ssize_t)strlen(with));
    assert_int_equal(close(fd), 0);
}

static void test_damaged_is_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct pn_err err = {0};
    for (uint64_t slice = 0; slice < 500; slice++) {
        const struct record batch[] = {fixture_vote(slice, 1, 1), fixture_final(slice, 1)};
        assert_int_equal(ledger_commit(f->ledger, &f->job, &f->run, slice, batch, 2), PN_OK);
    }
    fixture_wait(f, 500);
    fixture_close(f);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);

    /* The header itself. */
    overwrite(f->path, 0, "SQLite format 7");
    assert_int_equal(fixture_reopen(f, &err), PN_E_MALFORMED);
    assert_non_null(strstr(err.text, "ledger is damaged; to rescue what can be: sqlite3 "));
    fixture_close_unopened(f);
    overwrite(f->path, 0, "SQLite format 3");

    /* A page in the middle, found by the check after an unclean stop. */
    overwrite(f->path, st.st_size / 8192 * 4096, "this is not a page of a b-tree");
    char wal[128];
    (void)snprintf(wal, sizeof wal, "%s-wal", f->path);
    int fd = open(wal, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fixture_reopen(f, &err), PN_E_MALFORMED);
    assert_non_null(strstr(err.text, "ledger is damaged; to rescue what can be: sqlite3 "));
    fixture_close_unopened(f);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_at_any_moment), /* forks: before any thread but its own */
        cmocka_unit_test(test_really_full_disk),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_failed_sync),
        cmocka_unit_test(test_failed_checkpoint),
        cmocka_unit_test(test_opening_on_a_bad_disk),
        cmocka_unit_test(test_newer_is_refused),
        cmocka_unit_test(test_older_is_brought_up_to_date),
        cmocka_unit_test(test_foreign_is_refused),
        cmocka_unit_test(test_damaged_is_refused),
        cmocka_unit_test(test_no_sweep_after_a_failure),
    };
    return cmocka_run_group_tests(tests, install_shim, NULL);
}
