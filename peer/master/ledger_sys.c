#include "peer/master/ledger_sys.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock_sys.h"
#include "common/log_sys.h"
#include "peer/master/ledger_file_sys.h"
#include "peer/master/ledger_rows_sys.h"

enum {
    CHECKPOINT_PAGES = 1000, /* 4 MiB of log */
};

enum item_kind { ITEM_BATCH, ITEM_ADD_JOB, ITEM_REMOVE_JOB, ITEM_TRY };

/* What waits for the thread: a batch on the heap, or an order on its caller's stack. */
struct item {
    struct item *next;
    enum item_kind kind;
    struct digest job;
    struct run run;
    enum pn_status status;
    struct pn_err err;
    /* ITEM_BATCH */
    uint64_t seq;
    struct record *records; /* in the same heap block, like the bytes they point to */
    uint32_t record_count;
    size_t bytes;
    /* orders */
    const struct ledger_job *new_job;
    bool served;
};

struct item_list {
    struct item *first;
    struct item **last; /* where the next one goes */
};

struct ledger {
    /* The loop's thread only. */
    uv_async_t async;
    ledger_on_committed *on_committed;
    void *arg;
    bool closed;
    bool pressed;

    uv_thread_t thread;
    uv_mutex_t lock; /* for all down to the next comment */
    uv_cond_t wake;  /* the thread has something to do */
    uv_cond_t served;
    struct item_list waiting;
    struct item_list done;
    size_t queued_bytes; /* of batches not yet reported */
    size_t queued_batches;
    bool urgent; /* somebody stands and waits */
    bool closing;
    bool locked; /* another program holds the file: orders are refused */
    uint64_t batch_count;
    uint64_t transaction_count;

    /* The ledger's thread only. */
    sqlite3 *db;
    struct ledger_rows rows;
    int wal_pages;
    bool sweeping;
    bool failed;
    struct pn_err failure;
};

static void list_init(struct item_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_push(struct item_list *list, struct item *item)
{
    item->next = NULL;
    *list->last = item;
    list->last = &item->next;
}

static struct item *list_take_all(struct item_list *list)
{
    struct item *first = list->first;
    list_init(list);
    return first;
}

static void list_move(struct item_list *from, struct item_list *to)
{
    list_init(to);
    if (from->first != NULL) {
        *to = *from;
        list_init(from);
    }
}

/* ---- the thread ---- */

static void fail_session(struct ledger *l, const struct pn_err *err)
{
    l->failed = true;
    l->failure = *err;
    l->sweeping = false; /* that would be another try */
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct ledger *l = arg;
    (void)db;
    (void)name;
    l->wal_pages = pages;
    return SQLITE_OK;
}

/* Takes the orders off a list and answers them: nobody stands and waits for another program. */
static void refuse_orders(struct item_list *list)
{
    struct item *item = list_take_all(list);
    for (struct item *next; item != NULL; item = next) {
        next = item->next;
        if (item->kind == ITEM_BATCH) {
            list_push(list, item);
            continue;
        }
        item->status =
            pn_fail(&item->err, PN_E_BUSY,
                    "ledger.db is locked by another program; try again when it has ended");
        item->served = true; /* its caller's again */
    }
}

/*
 * Somebody's sqlite3 may hold the write lock: nothing is wrong yet. Batches wait and it is said;
 * PN_E_BUSY when none of items is left, or the ledger is closing. items NULL: for the thread
 * itself.
 */
static enum pn_status begin(struct ledger *l, struct item_list *items, struct pn_err *err)
{
    for (uint32_t times = 1;; times++) {
        enum pn_status status = ledger_file_run(l->db, "BEGIN IMMEDIATE", err);
        uv_mutex_lock(&l->lock);
        l->locked = status == PN_E_BUSY;
        if (l->locked) {
            refuse_orders(&l->waiting);
            if (items != NULL) {
                refuse_orders(items);
            }
            uv_cond_broadcast(&l->served);
        }
        bool over = !l->locked || l->closing || (items != NULL && items->first == NULL);
        l->locked = l->locked && !over;
        uv_mutex_unlock(&l->lock);
        if (over) {
            return status;
        }
        if ((times & (times - 1)) == 0) {
            log_write(LOG_WARN, "ledger", "waiting for %u s: another program is writing to it",
                      times * LEDGER_BUSY_MS / 1000);
        }
    }
}

static enum pn_status apply_batch(struct ledger *l, struct item *item, int64_t job_no)
{
    enum pn_status status = PN_OK;
    for (uint32_t i = 0; i < item->record_count && status == PN_OK; i++) {
        status = ledger_rows_write(&l->rows, job_no, &item->records[i], &item->err);
    }
    return status;
}

static enum pn_status apply(struct ledger *l, struct item *item)
{
    int64_t job_no = 0;
    if (item->kind == ITEM_TRY) {
        return ledger_file_write_nothing(l->db, &item->err);
    }
    if (item->kind == ITEM_ADD_JOB) {
        return ledger_rows_add_job(&l->rows, item->new_job, &item->err);
    }
    enum pn_status status =
        ledger_rows_find_job(&l->rows, &item->job, &item->run, &job_no, &item->err);
    if (status != PN_OK) {
        return status;
    }
    switch (item->kind) {
    case ITEM_BATCH:
        return apply_batch(l, item, job_no);
    case ITEM_REMOVE_JOB:
        l->sweeping = true;
        return ledger_rows_remove_job(&l->rows, job_no, &item->err);
    case ITEM_ADD_JOB:
    case ITEM_TRY:
        break;
    }
    return status;
}

/* One transaction for all items, in their order. */
static enum pn_status commit_items(struct ledger *l, struct item_list *items, struct pn_err *err)
{
    enum pn_status status = begin(l, items, err);
    for (struct item *item = items->first; item != NULL && status == PN_OK; item = item->next) {
        item->status = apply(l, item);
        /* These two are this item's own misfortune; nothing has been written for it. */
        if (item->status != PN_OK && item->status != PN_E_NOT_FOUND &&
            item->status != PN_E_EXISTS) {
            status = item->status;
            *err = item->err;
        }
    }
    if (status == PN_OK) {
        status = ledger_file_run(l->db, "COMMIT", err);
    }
    return status;
}

static void roll_back(struct ledger *l)
{
    if (sqlite3_get_autocommit(l->db) == 0) {
        (void)ledger_file_run(l->db, "ROLLBACK", NULL); /* the session is over either way */
    }
}

static uint64_t serve(struct ledger *l, struct item_list *items)
{
    struct pn_err err;
    uint64_t batches = 0;
    if (!l->failed && commit_items(l, items, &err) != PN_OK) {
        if (items->first == NULL) {
            return 0; /* orders only, and refused */
        }
        roll_back(l);
        fail_session(l, &err);
    }
    for (struct item *item = items->first; item != NULL; item = item->next) {
        if (l->failed) {
            item->status = l->failure.status;
            item->err = l->failure;
        }
        batches += item->kind == ITEM_BATCH;
    }
    return l->failed ? 0 : batches;
}

/* Deletes a piece of removed jobs; a transaction of its own, as nobody waits for it. */
static void sweep(struct ledger *l)
{
    struct pn_err err;
    bool more = false;
    enum pn_status status = begin(l, NULL, &err);
    if (status == PN_OK) {
        status = ledger_rows_sweep(&l->rows, &more, &err);
    }
    if (status == PN_OK) {
        status = ledger_file_run(l->db, "COMMIT", &err);
    }
    if (status != PN_OK) {
        roll_back(l);
        fail_session(l, &err);
    }
    l->sweeping = more && !l->failed;
}

/*
 * Copies the log into the file. SQLite's automatic checkpoint ignores a failed sync and, told that
 * all is well by a second one, would then forget the log, which held the only sound copy.
 */
static void checkpoint(struct ledger *l)
{
    if (l->failed || l->wal_pages < CHECKPOINT_PAGES) {
        return;
    }
    struct pn_err err;
    int code = sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
        (void)ledger_file_error(l->db, &err);
        pn_err_wrap(&err, "checkpoint");
        fail_session(l, &err);
    }
    l->wal_pages = 0;
}

/* Returns with the lock held; there is work, or the end has come, or there is time to sweep. */
static void wait_for_work(struct ledger *l, uint64_t last_ms)
{
    uv_mutex_lock(&l->lock);
    while (l->waiting.first == NULL && !l->closing && !l->sweeping) {
        uv_cond_wait(&l->wake, &l->lock);
    }
    while (l->waiting.first != NULL && !l->urgent && !l->closing) {
        uint64_t since_ms = clock_now_ms() - last_ms;
        if (since_ms >= LEDGER_GROUP_MS) {
            break;
        }
        (void)uv_cond_timedwait(&l->wake, &l->lock, (LEDGER_GROUP_MS - since_ms) * 1000000);
    }
}

/* Batches go back to the loop; an order belongs to its caller again as soon as it is marked. */
static void hand_back(struct ledger *l, struct item *first)
{
    struct item *next;
    for (struct item *item = first; item != NULL; item = next) {
        next = item->next;
        if (item->kind == ITEM_BATCH) {
            list_push(&l->done, item);
        } else {
            item->served = true;
        }
    }
    uv_cond_broadcast(&l->served);
    (void)uv_async_send(&l->async);
}

static void thread_main(void *arg)
{
    struct ledger *l = arg;
    uint64_t last_ms = 0;
    for (;;) {
        wait_for_work(l, last_ms);
        bool closing = l->closing;
        struct item_list items;
        list_move(&l->waiting, &items);
        l->urgent = false;
        uv_mutex_unlock(&l->lock);
        if (items.first == NULL) {
            if (closing) {
                break;
            }
            sweep(l);
            checkpoint(l);
            continue;
        }
        last_ms = clock_now_ms();
        uint64_t batches = serve(l, &items);
        uv_mutex_lock(&l->lock);
        l->batch_count += batches;
        l->transaction_count += batches > 0;
        hand_back(l, items.first);
        uv_mutex_unlock(&l->lock);
        checkpoint(l); /* after the reports: nobody waits for it */
    }
    ledger_rows_fini(&l->rows);
    ledger_file_close(l->db, !l->failed);
}

/* ---- the loop's side ---- */

static void on_async(uv_async_t *async)
{
    struct ledger *l = async->data;
    uv_mutex_lock(&l->lock);
    struct item *item = list_take_all(&l->done);
    uv_mutex_unlock(&l->lock);
    while (item != NULL) {
        struct item *next = item->next;
        uv_mutex_lock(&l->lock);
        l->queued_bytes -= item->bytes;
        l->queued_batches--;
        uv_mutex_unlock(&l->lock);
        if (!l->closed) {
            l->on_committed(l->arg, &item->job, &item->run, item->seq, item->status,
                            item->status == PN_OK ? NULL : &item->err);
        }
        free(item);
        item = next;
    }
}

static void on_async_closed(uv_handle_t *handle)
{
    struct ledger *l = handle->data;
    uv_cond_destroy(&l->served);
    uv_cond_destroy(&l->wake);
    uv_mutex_destroy(&l->lock);
    free(l);
}

static enum pn_status system_error(int code, const char *what, struct pn_err *err)
{
    return pn_fail(err, PN_E_SYSTEM, "ledger: %s: %s", what, uv_strerror(code));
}

/* The three that libuv makes; on failure none is left. */
static enum pn_status make_locks(struct ledger *l, struct pn_err *err)
{
    int code = uv_mutex_init(&l->lock);
    if (code != 0) {
        return system_error(code, "mutex", err);
    }
    code = uv_cond_init(&l->wake);
    if (code == 0) {
        code = uv_cond_init(&l->served);
        if (code == 0) {
            return PN_OK;
        }
        uv_cond_destroy(&l->wake);
    }
    uv_mutex_destroy(&l->lock);
    return system_error(code, "condition", err);
}

static enum pn_status open_rows(struct ledger *l, const char *path, struct pn_err *err)
{
    enum pn_status status = ledger_file_open(path, &l->db, err);
    if (status == PN_OK) {
        status = ledger_rows_init(&l->rows, l->db, err);
        if (status != PN_OK) {
            ledger_rows_fini(&l->rows);
            ledger_file_close(l->db, false);
        }
    }
    return status;
}

enum pn_status ledger_open(const char *path, uv_loop_t *loop, ledger_on_committed *on_committed,
                           void *arg, struct ledger **out, struct pn_err *err)
{
    struct ledger *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "ledger: out of memory");
    }
    l->on_committed = on_committed;
    l->arg = arg;
    l->sweeping = true; /* what an earlier session did not get to */
    list_init(&l->waiting);
    list_init(&l->done);

    enum pn_status status = make_locks(l, err);
    if (status != PN_OK) {
        free(l);
        return status;
    }
    int code = uv_async_init(loop, &l->async, on_async);
    if (code != 0) {
        uv_cond_destroy(&l->served);
        uv_cond_destroy(&l->wake);
        uv_mutex_destroy(&l->lock);
        free(l);
        return system_error(code, "async", err);
    }
    l->async.data = l;
    status = open_rows(l, path, err);
    if (status == PN_OK) {
        (void)sqlite3_wal_hook(l->db, on_wal, l);
        code = uv_thread_create(&l->thread, thread_main, l);
        if (code != 0) {
            ledger_rows_fini(&l->rows);
            ledger_file_close(l->db, false);
            status = system_error(code, "thread", err);
        }
    }
    if (status != PN_OK) {
        uv_close((uv_handle_t *)&l->async, on_async_closed);
        return status;
    }
    *out = l;
    return PN_OK;
}

void ledger_close(struct ledger *l)
{
    if (l == NULL || l->closed) {
        return;
    }
    l->closed = true;
    uv_mutex_lock(&l->lock);
    l->closing = true;
    uv_cond_signal(&l->wake);
    uv_mutex_unlock(&l->lock);
    (void)uv_thread_join(&l->thread);
    on_async(&l->async); /* frees what is left; closed, so nobody is called */
    uv_close((uv_handle_t *)&l->async, on_async_closed);
}

/* Hands an order to the thread and waits until it is committed, or refused: LEDGER_BUSY_MS. */
static enum pn_status carry_out(struct ledger *l, struct item *order, struct pn_err *err)
{
    uv_mutex_lock(&l->lock);
    list_push(&l->waiting, order);
    if (l->locked) {
        refuse_orders(&l->waiting); /* at once: the loop must not stand still for each of them */
    }
    l->urgent = true;
    uv_cond_signal(&l->wake);
    while (!order->served) {
        uv_cond_wait(&l->served, &l->lock);
    }
    uv_mutex_unlock(&l->lock);
    if (order->status != PN_OK && err != NULL) {
        *err = order->err;
    }
    return order->status;
}

enum pn_status ledger_add_job(struct ledger *l, const struct ledger_job *job, struct pn_err *err)
{
    if (strlen(job->name) > LEDGER_NAME_BYTES_MAX || job->grant.len > LEDGER_GRANT_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "ledger: name of %zu or grant of %zu bytes",
                       strlen(job->name), job->grant.len);
    }
    struct item order = {.kind = ITEM_ADD_JOB, .new_job = job};
    return carry_out(l, &order, err);
}

enum pn_status ledger_remove_job(struct ledger *l, const struct digest *job, const struct run *run,
                                 struct pn_err *err)
{
    struct item order = {.kind = ITEM_REMOVE_JOB, .job = *job, .run = *run};
    return carry_out(l, &order, err);
}

enum pn_status ledger_try(struct ledger *l, struct pn_err *err)
{
    struct item order = {.kind = ITEM_TRY};
    return carry_out(l, &order, err);
}

/* Bytes that a record points to. */
static size_t record_extra(const struct record *r)
{
    switch (r->kind) {
    case RECORD_VOTE:
        return r->vote.stdout_tail.len + r->vote.stderr_tail.len;
    case RECORD_OUTPUT:
        return r->output.in_file ? 0 : r->output.bytes.len;
    case RECORD_FINAL:
    case RECORD_LIE:
    case RECORD_JOB_STATE:
        break;
    }
    return 0;
}

static void move_bytes(struct pn_bytes *bytes, uint8_t **at)
{
    if (bytes->len > 0) {
        memcpy(*at, bytes->ptr, bytes->len);
    }
    bytes->ptr = *at;
    *at += bytes->len;
}

/* A batch in one heap block: item, records, then the bytes that they point to. */
static struct item *copy_batch(const struct record *records, uint32_t count, size_t bytes)
{
    struct item *item = malloc(bytes);
    if (item == NULL) {
        return NULL;
    }
    *item = (struct item){.kind = ITEM_BATCH, .record_count = count, .bytes = bytes};
    item->records = (struct record *)(item + 1);
    uint8_t *at = (uint8_t *)(item->records + count);
    if (count > 0) {
        memcpy(item->records, records, count * sizeof *records);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = &item->records[i];
        if (r->kind == RECORD_VOTE) {
            move_bytes(&r->vote.stdout_tail, &at);
            move_bytes(&r->vote.stderr_tail, &at);
        } else if (r->kind == RECORD_OUTPUT && !r->output.in_file) {
            move_bytes(&r->output.bytes, &at);
        }
    }
    return item;
}
_Static_assert(_Alignof(struct record) <= _Alignof(struct item) &&
                   sizeof(struct item) % _Alignof(struct record) == 0,
               "records follow their item");

enum pn_status ledger_commit(struct ledger *l, const struct digest *job, const struct run *run,
                             uint64_t seq, const struct record *records, uint32_t count)
{
    size_t bytes = sizeof(struct item) + count * sizeof *records;
    for (uint32_t i = 0; i < count; i++) {
        bytes += record_extra(&records[i]);
    }
    uv_mutex_lock(&l->lock);
    /* A batch that is larger than the whole queue goes alone. */
    bool full = l->queued_batches > 0 && (l->queued_batches >= LEDGER_QUEUE_BATCHES_MAX ||
                                          l->queued_bytes + bytes > LEDGER_QUEUE_BYTES_MAX);
    uv_mutex_unlock(&l->lock);
    if (full) {
        return PN_E_FULL;
    }
    struct item *item = copy_batch(records, count, bytes);
    if (item == NULL) {
        return PN_E_NO_MEMORY;
    }
    item->job = *job;
    item->run = *run;
    item->seq = seq;
    uv_mutex_lock(&l->lock);
    list_push(&l->waiting, item);
    l->queued_bytes += bytes;
    l->queued_batches++;
    uv_cond_signal(&l->wake);
    uv_mutex_unlock(&l->lock);
    return PN_OK;
}

bool ledger_pressed(struct ledger *l)
{
    const size_t part = l->pressed ? 4 : 2;
    uv_mutex_lock(&l->lock);
    l->pressed = l->queued_bytes > LEDGER_QUEUE_BYTES_MAX / part ||
                 l->queued_batches > LEDGER_QUEUE_BATCHES_MAX / part;
    uv_mutex_unlock(&l->lock);
    return l->pressed;
}

void ledger_figures(struct ledger *l, struct ledger_figures *out)
{
    uv_mutex_lock(&l->lock);
    *out = (struct ledger_figures){
        .batch_count = l->batch_count,
        .transaction_count = l->transaction_count,
        .queued_bytes = l->queued_bytes,
    };
    uv_mutex_unlock(&l->lock);
}
