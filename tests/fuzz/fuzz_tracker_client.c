/*
 * A peer's side of a tracker that says anything, in pieces and at moments that the first bytes
 * decide: what is sent are good request lines, what is passed on is within its limits.
 */
#include <stdio.h>

#include "peer/rendezvous/tracker_client.h"
#include "tests/fuzz/fuzz.h"

static const struct digest JOB = {{0x11}};

struct side {
    struct tracker_client *client;
    bool open; /* connected, as far as the client knows */
    uint8_t wish;
};

static void on_dial(void *arg)
{
    struct side *s = arg;
    assert(!s->open);
}

static void on_hang_up(void *arg) { ((struct side *)arg)->open = false; }

static void on_send(void *arg, struct pn_bytes bytes)
{
    struct side *s = arg;
    struct pn_bytes line;
    struct trackline parsed;
    assert(s->open && bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\n');
    while (fuzz_line(&bytes, &line)) {
        bool good = trackline_parse(TRACKLINE_REQUEST, line, &parsed, NULL) == PN_OK ||
                    trackline_parse(TRACKLINE_ONE_SHOT, line, &parsed, NULL) == PN_OK;
        assert(good);
    }
}

static bool on_hire(void *arg, const struct addr *master, const struct digest *job)
{
    struct side *s = arg;
    (void)job;
    assert(master->port != 0 && master->family != ADDR_NONE);
    if (s->wish % 2 == 0) { /* as a worker does whose slots are taken by it */
        (void)tracker_client_idle(s->client, 1, pn_bytes_str("nonce@1"));
    }
    return s->wish % 3 != 0;
}

static void on_peers(void *arg, const struct digest *job, const struct addr *peers, size_t count,
                     uint32_t known)
{
    struct side *s = arg;
    (void)known;
    assert(count <= TRACKER_CLIENT_PEERS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(peers[i].port != 0);
    }
    if (s->wish % 5 == 0) {
        (void)tracker_client_query(s->client, job);
    }
}

static void on_address(void *arg, const struct addr *ours)
{
    (void)arg;
    assert(ours->family != ADDR_NONE);
}

static void state_wishes(struct side *s, uint64_t now_ms)
{
    struct tracker_client *c = s->client;
    if (s->wish & 1) {
        (void)tracker_client_serve(c, &JOB, 4000);
    }
    if (s->wish & 2) {
        (void)tracker_client_idle(c, 4, pn_bytes_str("tier=full nonce@1"));
    }
    if (s->wish & 4) {
        (void)tracker_client_demand(c, &JOB, 4000, 7, pn_bytes_str("tier=full"), now_ms);
    }
    if (s->wish & 8) {
        (void)tracker_client_query(c, &JOB);
        (void)tracker_client_query(c, &(struct digest){{0x22}});
    }
}

static void check_words(const struct side *s, uint64_t now_ms)
{
    const struct digest *const jobs[] = {&JOB, NULL};
    for (size_t i = 0; i < 2; i++) {
        struct tracker_why why;
        tracker_client_why(s->client, jobs[i], now_ms, &why);
        assert(memchr(why.cause, '\0', sizeof why.cause) != NULL);
        assert(memchr(why.remedy, '\0', sizeof why.remedy) != NULL);
        assert(why.for_ms <= now_ms);
    }
}

/* Whole lines, as from a tracker that answers what it was asked, or any pieces. */
static size_t piece_length(uint8_t cut, struct pn_bytes in)
{
    const uint8_t *end = memchr(in.ptr, '\n', in.len);
    size_t len = cut < 128 && end != NULL ? (size_t)(end - in.ptr) + 1 : 1 + cut / 2u;
    return len < in.len ? len : in.len;
}

static void listen_to(struct side *s, const uint8_t *cuts, struct pn_bytes in)
{
    uint64_t now_ms = 1000;
    for (size_t i = 0; in.len > 0 && i < 4096; i++) {
        uint8_t cut = cuts[i % 4];
        if (now_ms >= tracker_client_deadline_ms(s->client)) {
            tracker_client_tick(s->client, now_ms);
        }
        if (tracker_client_state(s->client) == TRACKER_CLIENT_DIALLING) {
            s->open = true;
            tracker_client_connected(s->client, now_ms);
        }
        size_t len = piece_length(cut, in);
        struct pn_bytes piece = fuzz_exact(in.ptr, len);
        tracker_client_received(s->client, piece, now_ms);
        fuzz_free(piece);
        in = (struct pn_bytes){in.ptr + len, in.len - len};
        if (cut % 2 == 1) {
            now_ms += 10000;
        }
        check_words(s, now_ms);
    }
    if (tracker_client_state(s->client) != TRACKER_CLIENT_PAUSING && s->wish & 16) {
        s->open = false;
        tracker_client_lost(s->client, "connection reset", now_ms);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tracker_client_ops OPS = {.dial = on_dial,
                                                  .hang_up = on_hang_up,
                                                  .send = on_send,
                                                  .on_hire = on_hire,
                                                  .on_peers = on_peers,
                                                  .on_address = on_address};
    enum { CHOICES = 5 };
    if (size < CHOICES) {
        return 0;
    }
    struct side s = {.wish = data[0]};
    s.client = tracker_client_new("192.0.2.9:7600", 77, &OPS, &s, data[0]);
    assert(s.client != NULL);
    state_wishes(&s, 0);
    tracker_client_start(s.client, 1000);
    listen_to(&s, data + 1, (struct pn_bytes){data + CHOICES, size - CHOICES});
    tracker_client_free(s.client);
    return 0;
}
