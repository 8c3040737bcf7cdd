/* Transfers between stores over memory ports: the way of manifests, files and outputs. */
#include "tests/unit/transfer_bed.h"

static void a_job_goes_from_its_master_to_a_worker(void **state)
{
    (void)state;
    make_job(0);
    struct end *e = join(1, 0);
    struct waiting w = {.left = 1};
    struct transfer_fetch *f;
    assert_int_equal(
        transfer_fetch_manifest(transfers[1], &e->port, &job, on_manifest, &w, &f, &err), PN_OK);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    know_job(1);
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    w = (struct waiting){.left = 2}; /* two who want the same share the work */
    (void)fetch(1, &w);
    (void)fetch(1, &w);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(1);
    struct transfer_counts counts;
    transfer_counts(transfers[0], &counts);
    /* the compressible file shrinks, nothing is sent twice */
    assert_true(counts.bytes_sent < sizes[0] + sizes[3] / 4 + 2000);
    transfer_counts(transfers[1], &counts);
    assert_true(counts.bytes_twice == 0 && counts.blocks_bad == 0);
    w = (struct waiting){.left = 1}; /* and again: all is here */
    (void)fetch(1, &w);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    free_job();
}

/* 2 knows only 1, which fetches from 0 meanwhile: blocks are passed on as they arrive. */
static void a_peer_passes_on_what_it_gets(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    know_job(2);
    struct end *a = join(1, 0);
    struct end *b = join(2, 1);
    struct waiting w = {.left = 2};
    (void)fetch(2, &w);
    (void)fetch(1, &w);
    assert_int_equal(transfer_add_source(transfers[2], &job, &b->port), PN_OK);
    run_rounds(50);
    assert_int_equal(transfer_add_source(transfers[1], &job, &a->port), PN_OK);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(2);
    free_job();
}

static void a_cut_link_loses_nothing_that_arrived(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    struct waiting w = {.left = 1};
    struct transfer_fetch *f = fetch(1, &w);
    struct transfer_status status;
    struct end *e = join(1, 0);
    cut_after = 40;
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    while (e->owner != UINT32_MAX) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    run_rounds(200);
    transfer_status(f, &status);
    assert_int_equal(w.left, 1);
    assert_true(status.bytes_had > 0 && status.bytes_had < status.bytes_total);
    assert_int_equal(status.source_count, 0);
    assert_non_null(strstr(status.waiting, "no source"));
    e = join(1, 0);
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(1);
    free_job();
}

/* The master's shelf is opened while the owner still puts files in. */
static void files_that_come_later_are_found(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    know_job(2);
    struct end *a = join(2, 1);
    struct waiting w = {.left = 1};
    (void)fetch(2, &w);
    assert_int_equal(transfer_add_source(transfers[2], &job, &a->port), PN_OK);
    run_rounds(500);
    for (uint32_t i = 0; i < FILES; i++) {
        struct store_put *put;
        if (sizes[i] > 0) {
            assert_int_equal(store_put_begin(stores[1], sizes[i], &roots[i], &put, &err), PN_OK);
            assert_int_equal(store_put_write(put, (struct pn_bytes){contents[i], sizes[i]}, &err),
                             PN_OK);
            assert_int_equal(store_put_finish(put, &err), PN_OK);
        }
    }
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(2);
    free_job();
}

static void flip_byte(uint32_t peer, uint32_t file, off_t at)
{
    char hex[DIGEST_HEX_BYTES];
    char path[256];
    digest_hex(&roots[file], hex);
    (void)snprintf(path, sizeof path, "%s/files/%s", dirs[peer], hex);
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

/* A file that has changed on the source's disk is not served; another source has it right. */
static void a_changed_file_is_noticed_not_served(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    know_job(2);
    struct end *a = join(1, 0);
    struct waiting w = {.left = 1};
    (void)fetch(1, &w);
    assert_int_equal(transfer_add_source(transfers[1], &job, &a->port), PN_OK);
    wait_for(&w);
    flip_byte(0, 0, BLOCK_BYTES_MIN + 5);
    struct end *b = join(2, 0);
    w.left = 1;
    (void)fetch(2, &w);
    assert_int_equal(transfer_add_source(transfers[2], &job, &b->port), PN_OK);
    run_rounds(2000);
    assert_int_equal(w.left, 1);
    struct end *c = join(2, 1);
    assert_int_equal(transfer_add_source(transfers[2], &job, &c->port), PN_OK);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(2);
    struct transfer_counts counts;
    transfer_counts(transfers[2], &counts);
    assert_true(counts.blocks_bad == 0);
    free_job();
}

static struct file_set attempt = {.kind = SET_OF_ATTEMPT, .run = {{9}}, .slice = 4, .attempt = 77};
static struct store_adopt adopted[2];

/* Peer 1 has run a slice. */
static void make_outputs(void)
{
    make_job(1);
    attempt.job = job;
    for (uint32_t i = 0; i < 2; i++) {
        adopted[i] = (struct store_adopt){.index = i * 3};
        assert_int_equal(store_file_fd(stores[1], &roots[i], &adopted[i].fd, &err), PN_OK);
    }
    assert_int_equal(store_outbox_adopt(stores[1], &attempt, adopted, 2, 1 << 30, &err), PN_OK);
    assert_int_equal(store_outbox_commit(stores[1], &attempt, pn_bytes_str("vote"), &err), PN_OK);
    (void)close(adopted[0].fd);
    (void)close(adopted[1].fd);
}

static void start_pull(struct end *e, struct waiting *w)
{
    struct transfer_output outputs[2];
    struct transfer_fetch *f;
    for (uint32_t i = 0; i < 2; i++) {
        outputs[i] = (struct transfer_output){adopted[i].index, adopted[i].size, adopted[i].root};
    }
    assert_int_equal(
        transfer_fetch_outputs(transfers[0], &e->port, &attempt, outputs, 2, on_done, w, &f, &err),
        PN_OK);
}

static void pull(struct end *e, struct waiting *w)
{
    start_pull(e, w);
    wait_for(w);
}

static void outputs_are_pulled_and_durable(void **state)
{
    (void)state;
    make_outputs();
    struct waiting w = {.left = 1};
    pull(join(0, 1), &w);
    assert_string_equal(w.text, "");
    struct buffer none;
    uint64_t size;
    buffer_init(&none, 1);
    assert_int_equal(store_output_read(stores[0], &attempt, 0, 0, 0, &none, &size, &err), PN_OK);
    assert_true(size == sizes[0]);
    assert_int_equal(store_output_read(stores[0], &attempt, 3, 0, 9, &none, &size, &err), PN_OK);
    assert_true(size == 0);
    buffer_fini(&none);
    free_job();
}

static void who_may_not_read_is_told_so(void **state)
{
    (void)state;
    make_outputs();
    readable = false;
    struct waiting w = {.left = 1};
    pull(join(0, 1), &w);
    assert_int_equal(w.status, PN_E_DENIED);
    assert_non_null(strstr(w.text, "not for you"));
    free_job();
}

static void outputs_that_are_not_there_fail(void **state)
{
    (void)state;
    make_outputs();
    attempt.attempt++;
    struct waiting w = {.left = 1};
    pull(join(0, 1), &w);
    assert_int_equal(w.status, PN_E_NOT_FOUND);
    adopted[0].root.b[3] ^= 1; /* and those that are other than the vote says */
    attempt.attempt--;
    w.left = 1;
    pull(join(0, 1), &w);
    assert_int_equal(w.status, PN_E_CLOSED); /* the liar is thrown out */
    free_job();
}

/* A worker that votes and then keeps its outputs to itself, be it by silence or by "busy". */
static void outputs_that_never_come_are_given_up(void **state)
{
    (void)state;
    make_outputs();
    const struct data_error busy = {.code = DATA_E_BUSY, .retry_ms = 50};
    transfers[0]->pull_stall_ms = 400;
    for (int says_busy = 0; says_busy < 2; says_busy++) {
        struct waiting w = {.left = 1};
        struct end *e = join(0, 1);
        struct end *worker = e->other;
        worker->owner = UINT32_MAX; /* nothing is delivered there */
        start_pull(e, &w);
        uint32_t refused = 0;
        while (w.left > 0) {
            (void)uv_run(&loop, UV_RUN_ONCE);
            for (struct queued *q = worker->inbox; says_busy && q != NULL; q = q->next) {
                if (q->frame.type == FRAME_STOP || q->frame.request == 0) {
                    continue;
                }
                uint8_t body[DATA_BODY_BYTES_MAX];
                struct writer text = writer_of(body, sizeof body);
                data_error_write(&busy, &text);
                const struct frame f = {FRAME_ERROR, FRAME_ANSWER, q->frame.request,
                                        writer_done(&text)};
                assert_int_equal(end_send(&worker->port, SESSION_CONTROL, &f), PN_OK);
                refused++;
            }
            empty_inbox(worker);
        }
        assert_int_equal(w.status, PN_E_TIMEOUT);
        assert_true(says_busy == 0 || refused > 2);
    }
    assert_int_equal(last_status, PN_OK); /* its link may be of use for other things */
    free_job();
}

static void what_is_cancelled_is_not_heard_of_again(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    struct end *e = join(1, 0);
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    for (int rounds = 0; rounds < 60; rounds++) {
        struct waiting w = {.left = 0}; /* on_done would assert */
        struct transfer_fetch *f = fetch(1, &w);
        struct transfer_fetch *m;
        assert_int_equal(
            transfer_fetch_manifest(transfers[1], &e->port, &job, on_manifest, &w, &m, &err),
            PN_OK);
        run_rounds(rounds % 2);
        transfer_cancel(m);
        run_rounds(rounds % 20);
        transfer_cancel(f);
        run_rounds(3);
        if (store_has_file(stores[1], &roots[4]) && store_has_file(stores[1], &roots[0])) {
            break;
        }
    }
    assert_int_equal(last_status, PN_OK); /* no link was closed for it */
    free_job();
}

/* Who asks and takes back for ever has no more of the pool than who only asks. */
static void what_is_taken_back_keeps_its_place_until_read(void **state)
{
    (void)state;
    make_job(0);
    struct end *e = join(1, 0);
    struct end *server = e->other;
    e->owner = UINT32_MAX; /* answers stay in its inbox */
    enum { PAIRS = 500 };
    const struct data_block_ask ask = {.set = file_set_of_job(&job)};
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint8_t body[128];
        struct writer w = writer_of(body, sizeof body);
        data_block_ask_write(&ask, &w);
        struct frame f = {.type = FRAME_BLOCK,
                          .request = TRANSFER_REQUEST_BIT | (i + 1),
                          .body = writer_done(&w)};
        assert_int_equal(transfer_frame(transfers[0], &server->port, &f, &err), PN_OK);
        if (i == 0) { /* the shelf opens; then the pool has work */
            run_rounds(50);
        }
        w = writer_of(body, sizeof body);
        data_stop_write(TRANSFER_REQUEST_BIT | (i + 1), &w);
        f = (struct frame){.type = FRAME_STOP, .body = writer_done(&w)};
        assert_int_equal(transfer_frame(transfers[0], &server->port, &f, &err), PN_OK);
        assert_true(transfers[0]->serving_count <= 3); /* READ_AHEAD */
    }
    while (transfers[0]->serving_count > 0) {
        run_rounds(1);
    }
    uint32_t answers = 0;
    for (const struct queued *q = e->inbox; q != NULL; q = q->next) {
        answers += (q->frame.flags & FRAME_ANSWER) != 0 && (q->frame.flags & FRAME_MORE) == 0;
    }
    assert_int_equal(answers, PAIRS); /* each has exactly one */
    free_job();
}

/* A liar comes back under the same key: it is not asked before an hour is over. */
static void a_liar_is_no_source_for_an_hour(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    struct end *e = join(1, 0);
    struct waiting w = {.left = 1};
    struct transfer_fetch *f = fetch(1, &w);
    struct transfer_status status;
    transfer_ban(transfers[1], &e->port.peer, "lied");
    for (time_t later_s = 0; later_s < 3600; later_s += 3599) {
        hours_later_s = later_s;
        assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
        for (int i = 0; i < 100; i++) { /* the shelf opens on the thread pool */
            run_rounds(5);
            uv_sleep(2);
        }
        transfer_status(f, &status);
        assert_int_equal(w.left, 1);
        assert_int_equal(status.source_count, 0);
        e->closed = true;
        while (e->owner != UINT32_MAX) {
            run_rounds(1);
        }
        e = join(1, 0);
    }
    hours_later_s = 3601;
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(1);
    free_job();
}

/* Who is busy says when to come back, and where else to go meanwhile. */
static void a_busy_source_names_others(void **state)
{
    (void)state;
    make_job(0);
    know_job(1);
    struct end *e = join(1, 0);
    struct waiting w = {.left = 1};
    transfers[0]->serving_count += SERVING_MAX; /* all places are taken, by others */
    (void)fetch(1, &w);
    assert_int_equal(transfer_add_source(transfers[1], &job, &e->port), PN_OK);
    while (named_count == 0) {
        run_rounds(1);
    }
    assert_int_equal(w.left, 1);
    transfers[0]->serving_count -= SERVING_MAX;
    wait_for(&w);
    assert_int_equal(w.status, PN_OK);
    check_files(1);
    free_job();
}

static void answers_that_were_not_asked_for_close_the_link(void **state)
{
    (void)state;
    struct end *e = join(1, 0);
    uint8_t body[64];
    struct writer w = writer_of(body, sizeof body);
    data_block_write(&(struct data_block){0, 0, DATA_RAW, 5, pn_bytes_str("12345")}, &w);
    struct frame f = {
        .type = FRAME_BLOCK, .flags = FRAME_ANSWER, .request = 5, .body = {body, w.len}};
    assert_int_equal(transfer_frame(transfers[1], &e->port, &f, &err), PN_E_MALFORMED);
    f = (struct frame){.type = FRAME_BLOCK, .request = 5, .body = {body, 3}};
    assert_int_equal(transfer_frame(transfers[1], &e->port, &f, &err), PN_E_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_job_goes_from_its_master_to_a_worker),
        TEST(a_peer_passes_on_what_it_gets),
        TEST(a_cut_link_loses_nothing_that_arrived),
        TEST(files_that_come_later_are_found),
        TEST(a_changed_file_is_noticed_not_served),
        TEST(outputs_are_pulled_and_durable),
        TEST(who_may_not_read_is_told_so),
        TEST(outputs_that_are_not_there_fail),
        TEST(outputs_that_never_come_are_given_up),
        TEST(what_is_cancelled_is_not_heard_of_again),
        TEST(what_is_taken_back_keeps_its_place_until_read),
        TEST(a_liar_is_no_source_for_an_hour),
        TEST(a_busy_source_names_others),
        TEST(answers_that_were_not_asked_for_close_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
