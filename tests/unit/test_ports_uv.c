/* Ports over real links: who may stay, how their sockets are set, who is named to others. */
#include "tests/unit/unit.h"

#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "common/log_sys.h"
#include "peer/rendezvous/mates_uv.h"

enum { HOST, GUEST, SIDES, WAIT_MS = 20000, UNUSED_MS = 400, TAG = 5 };

/* One peer's ports, and what it heard of them. */
struct side {
    struct link_context *context;
    struct ports *ports;
    struct port *up[4];
    int up_count;
    int frame_count;
    int down_count;
    char reason[128]; /* of the last that went down */
    bool closed;
};

struct bed {
    uv_loop_t loop;
    struct side sides[SIDES];
    struct addr addr; /* the host's */
};

static struct bed b;
static struct mates *mates; /* the guest's, in one test */

static void on_up(void *arg, struct port *p, const struct hello *hello, uint64_t tag)
{
    struct side *s = arg;
    if (mates != NULL && s == &b.sides[GUEST]) {
        mates_up(mates, p, tag);
    } else {
        assert_int_equal(tag, s == &b.sides[HOST] ? 0 : TAG);
    }
    assert_non_null(hello);
    assert_int_equal(addr_class(&p->remote), ADDR_LOOPBACK);
    s->up[s->up_count++] = p;
}

static enum pn_status on_frame(void *arg, struct port *p, const struct frame *f, struct pn_err *err)
{
    (void)p;
    (void)f;
    (void)err;
    ((struct side *)arg)->frame_count++;
    return PN_OK;
}

static void on_drain(void *arg, struct port *p)
{
    (void)arg;
    (void)p;
}

static void on_down(void *arg, struct port *p, bool was_up, uint64_t tag, const char *reason)
{
    struct side *s = arg;
    (void)p;
    (void)tag;
    assert_true(was_up);
    s->down_count++;
    (void)snprintf(s->reason, sizeof s->reason, "%s", reason);
}

static bool on_lan(void *arg)
{
    (void)arg;
    return true;
}

static void on_ports_closed(void *arg) { ((struct side *)arg)->closed = true; }

static int open_both(void **state)
{
    (void)state;
    struct pn_err err;
    memset(&b, 0, sizeof b);
    assert_int_equal(uv_loop_init(&b.loop), 0);
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &b.sides[i];
        const uint8_t seed[SECRET_SEED_BYTES] = {(uint8_t)(i + 1)};
        struct key_pair *key = key_pair_new(seed);
        assert_non_null(key);
        assert_int_equal(link_context_new(key, &s->context, &err), PN_OK);
        key_pair_free(key);
        const struct hello hello = {.version = 1, .machine_class = "test"};
        link_context_set_hello(s->context, &hello);
        const struct ports_hooks hooks = {on_up, on_frame, on_drain, on_down, on_lan, s};
        s->ports = ports_new(&b.loop, s->context, &hooks);
        assert_non_null(s->ports);
    }
    const struct addr any = addr_v4(127, 0, 0, 1, 0);
    assert_int_equal(ports_listen(b.sides[HOST].ports, &any, 1, &b.addr, &err), PN_OK);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        if (b.sides[i].ports != NULL) {
            ports_close(b.sides[i].ports, on_ports_closed, &b.sides[i]);
        }
    }
    (void)uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&b.loop), 0);
    for (int i = 0; i < SIDES; i++) {
        assert_true(b.sides[i].closed);
        link_context_free(b.sides[i].context);
    }
    return 0;
}

static void run_until(const int *count, int wanted)
{
    uint64_t begin = uv_hrtime();
    while (*count < wanted) {
        (void)uv_run(&b.loop, UV_RUN_ONCE);
        assert_true(uv_hrtime() - begin < (uint64_t)WAIT_MS * 1000000);
    }
}

static void dial(void)
{
    struct side *guest = &b.sides[GUEST];
    int before = guest->up_count;
    assert_int_equal(ports_dial(guest->ports, &b.addr, NULL, DIALLING_WORK, TAG, NULL), PN_OK);
    run_until(&guest->up_count, before + 1);
}

/* Whoever only keeps a link alive is sent away; who asked for something once may stay. */
static void a_guest_that_asks_for_nothing_is_sent_away(void **state)
{
    (void)state;
    struct side *host = &b.sides[HOST];
    const struct frame join = {.type = FRAME_JOIN};
    ports_set_unused_ms(host->ports, UNUSED_MS);
    uint64_t begin = uv_hrtime();
    dial();
    dial();
    struct port *busy = b.sides[GUEST].up[1];
    assert_int_equal(busy->send(busy, SESSION_CONTROL, &join), PN_OK);
    run_until(&host->frame_count, 1);
    run_until(&host->down_count, 1);
    assert_true(uv_hrtime() - begin >= (uint64_t)UNUSED_MS * 1000000);
    assert_string_equal(host->reason, "it asks for nothing");
    run_until(&b.sides[GUEST].down_count, 1);

    uv_sleep(UNUSED_MS);
    for (int i = 0; i < 100; i++) {
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
        uv_sleep(10);
    }
    assert_int_equal(host->down_count, 1);
    assert_int_equal(ports_count(host->ports), 1);
    assert_int_equal(b.sides[GUEST].down_count, 1); /* whom it dialled, the guest sends not away */
}

static void look_at_socket(uv_handle_t *handle, void *arg)
{
    int *links = arg;
    struct sockaddr_storage peer;
    int peer_len = sizeof peer;
    uv_os_fd_t fd;
    if (handle->type != UV_TCP ||
        uv_tcp_getpeername((const uv_tcp_t *)handle, (struct sockaddr *)&peer, &peer_len) != 0) {
        return;
    }
    int no_delay = 0;
    unsigned low_mark = 0;
    socklen_t len = sizeof no_delay;
    assert_int_equal(uv_fileno(handle, &fd), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_mark, &len), 0);
    assert_true(no_delay);
    assert_int_equal(low_mark, 32 * 1024);
    (*links)++;
}

/* Small frames go at once, and little is queued in the kernel before them. */
static void both_ends_of_a_link_are_quick(void **state)
{
    (void)state;
    int links = 0;
    dial();
    run_until(&b.sides[HOST].up_count, 1);
    uv_walk(&b.loop, look_at_socket, &links);
    assert_int_equal(links, SIDES);
}

static bool may_read(void *arg, const struct port *p, const struct file_set *set)
{
    (void)arg;
    (void)p;
    (void)set;
    return false;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static uint32_t named_to(struct addr remote, uint32_t id, const struct digest *job)
{
    const struct port asker = {.id = id, .remote = remote};
    struct addr out[4];
    uint32_t count = mates_others(mates, job, &asker, out, 4);
    assert_true(count <= 1);
    assert_true(count == 0 || addr_equal(&out[0], &b.addr));
    return count;
}

/* Whom a busy source names: proven mates of that job, never to themselves, a lan's to the lan. */
static void mates_are_named_once_proven(void **state)
{
    (void)state;
    const struct transfer_hooks hooks = {.may_read = may_read};
    const struct trackers_callbacks callbacks = {NULL, NULL};
    const struct digest job = {{1}};
    const struct digest other = {{2}};
    const struct addr near = addr_v4(127, 0, 0, 1, 9);
    const struct addr afar = addr_v4(198, 51, 100, 1, 9);
    char dir[] = "/tmp/preon-test-XXXXXX";
    struct side *guest = &b.sides[GUEST];
    struct mates_config config = {.loop = &b.loop, .ports = guest->ports};
    struct trackers *trackers;
    struct store *store;
    struct pn_err err;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(dir, &store, &err), PN_OK);
    assert_int_equal(transfer_new(&b.loop, store, &hooks, &config.transfer, &err), PN_OK);
    assert_int_equal(trackers_open(&b.loop, NULL, 0, 1, &callbacks, NULL, &trackers, &err), PN_OK);
    mates = mates_new(&config);
    assert_non_null(mates);
    mates_set_trackers(mates, trackers, 4000);

    mates_found(mates, &job, &b.addr, 1); /* of a job whose files nobody wants */
    mates_want(mates, &job, true);
    mates_found(mates, &job, &b.addr, 1);
    assert_int_equal(named_to(near, 999, &job), 0); /* a stranger's word so far */
    run_until(&guest->up_count, 1);
    assert_int_equal(named_to(near, 999, &job), 1);
    assert_int_equal(named_to(near, guest->up[0]->id, &job), 0);
    assert_int_equal(named_to(near, 999, &other), 0);
    assert_int_equal(named_to(afar, 999, &job), 0);
    assert_int_equal(guest->up_count, 1);

    mates_free(mates);
    mates = NULL;
    transfer_free(config.transfer);
    trackers_close(trackers);
    ports_close(guest->ports, on_ports_closed, guest);
    while (!guest->closed) {
        (void)uv_run(&b.loop, UV_RUN_ONCE);
    }
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    guest->ports = NULL;
    store_close(store);
    (void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    log_set_level(LOG_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)
    const struct CMUnitTest tests[] = {
        TEST(a_guest_that_asks_for_nothing_is_sent_away),
        TEST(both_ends_of_a_link_are_quick),
        TEST(mates_are_named_once_proven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
