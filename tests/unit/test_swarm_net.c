/*
 * Many fetching cores in virtual time: one source, peers that pass on what they have. The network
 * gives each node an uplink, shared in turns by those it sends to, and every message a delay.
 */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "peer/swarm/spread.h"
#include "peer/swarm/swarm.h"

enum {
    NODES_MAX = 34,
    CHUNK = 16 * 1024,
    SENDS_MAX = 128, /* answers a node owes */
    MESSAGES_MAX = 1 << 16,
};

enum message_kind { ASK, CHUNK_OF_BLOCK, HAVE, REFUSED, STOP };

struct message {
    uint64_t due_ms;
    enum message_kind kind;
    uint32_t from;
    uint32_t to;
    uint32_t tag;
    uint32_t block;
    uint32_t bytes;
    bool any, begins, ends;
    uint8_t held[DATA_ANY_BLOCKS_MAX / 8];
    uint32_t first, count;
};

struct send {
    uint32_t to;
    uint32_t tag;
    uint32_t block;
    uint32_t sent;
};

struct node {
    struct swarm *swarm; /* NULL: the source */
    struct spread spread;
    struct bitset had;
    struct send sends[SENDS_MAX];
    uint32_t send_count;
    uint32_t turn;
    double budget;
    double rate; /* bytes per ms */
    uint64_t bytes_sent;
    uint64_t done_ms;
    bool gone;
    bool lies;
};

static struct layout layout;
static struct node nodes[NODES_MAX];
static uint32_t node_count;
static struct message *messages; /* a ring, in the order of due times: the delay is constant */
static uint32_t message_head, message_tail;
static uint64_t now;
static uint32_t delay_ms;

static struct message *post(enum message_kind kind, uint32_t from, uint32_t to)
{
    struct message *m = &messages[message_tail++ % MESSAGES_MAX];
    assert_true(message_tail - message_head < MESSAGES_MAX);
    *m = (struct message){.due_ms = now + delay_ms, .kind = kind, .from = from, .to = to};
    return m;
}

static void obey(uint32_t self, const struct swarm_actions *actions);

static void tell(uint32_t self, struct swarm_event ev)
{
    struct swarm_actions actions;
    ev.now_ms = now;
    swarm_step(nodes[self].swarm, &ev, &actions);
    obey(self, &actions);
}

static void obey(uint32_t self, const struct swarm_actions *actions)
{
    for (uint32_t i = 0; i < actions->count; i++) {
        const struct swarm_action *a = &actions->items[i];
        struct message *m;
        switch (a->kind) {
        case SWARM_ASK_ANY:
        case SWARM_ASK_BLOCK:
            m = post(ASK, self, a->source);
            m->tag = a->tag;
            m->block = a->first;
            m->any = a->kind == SWARM_ASK_ANY;
            m->first = a->first;
            m->count = a->count;
            if (m->any) {
                swarm_held(nodes[self].swarm, a->first, a->count, m->held);
            }
            break;
        case SWARM_STOP:
            post(STOP, self, a->source)->tag = a->tag;
            break;
        case SWARM_DONE:
            nodes[self].done_ms = now;
            break;
        case SWARM_ASK_LEAVES:
        case SWARM_DROP_SOURCE:
            break;
        }
    }
}

static void take_ask(const struct message *m)
{
    struct node *n = &nodes[m->to];
    uint32_t given[SENDS_MAX];
    size_t given_count = 0;
    uint32_t block = m->block;
    if (m->any) {
        struct data_block_ask ask = {
            .any = true, .first = m->first, .count = m->count, .held = {m->held, sizeof m->held}};
        for (uint32_t i = 0; i < n->send_count; i++) {
            if (n->sends[i].to == m->from) {
                given[given_count++] = n->sends[i].block;
            }
        }
        block = spread_pick(&n->spread, &ask, &n->had, given, given_count);
    }
    if (block == SPREAD_NONE || n->send_count == SENDS_MAX) {
        post(REFUSED, m->to, m->from)->tag = m->tag;
        return;
    }
    assert_true(bitset_has(&n->had, block));
    spread_count(&n->spread, block);
    n->sends[n->send_count++] = (struct send){m->from, m->tag, block, 0};
}

static void take_chunk(const struct message *m)
{
    uint32_t self = m->to;
    if (m->begins) {
        tell(self, (struct swarm_event){
                       .kind = SWARM_BEGUN, .source = m->from, .tag = m->tag, .first = m->block});
    }
    tell(self, (struct swarm_event){
                   .kind = SWARM_BYTES, .source = m->from, .tag = m->tag, .count = m->bytes});
    if (!m->ends) {
        return;
    }
    tell(self, (struct swarm_event){.kind = SWARM_ARRIVED, .source = m->from, .tag = m->tag});
    if (nodes[m->from].lies) {
        tell(self,
             (struct swarm_event){.kind = SWARM_BLOCK_BAD, .source = m->from, .first = m->block});
        return;
    }
    bool news = !bitset_has(&nodes[self].had, m->block);
    bitset_add(&nodes[self].had, m->block);
    tell(self,
         (struct swarm_event){.kind = SWARM_BLOCK_GOOD, .source = m->from, .first = m->block});
    for (uint32_t i = 1; news && i < node_count; i++) {
        if (i != self) {
            struct message *have = post(HAVE, self, i);
            have->first = m->block;
            have->count = 1;
        }
    }
}

static void deliver(const struct message *m)
{
    struct node *n = &nodes[m->to];
    if (n->gone || (nodes[m->from].gone && m->kind != CHUNK_OF_BLOCK)) {
        return;
    }
    switch (m->kind) {
    case ASK:
        take_ask(m);
        break;
    case CHUNK_OF_BLOCK:
        take_chunk(m);
        break;
    case HAVE:
        tell(m->to,
             (struct swarm_event){
                 .kind = SWARM_HAVE, .source = m->from, .first = m->first, .count = m->count});
        break;
    case REFUSED:
        tell(m->to, (struct swarm_event){.kind = SWARM_BUSY, .source = m->from, .tag = m->tag});
        break;
    case STOP:
        for (uint32_t i = 0; i < n->send_count; i++) {
            if (n->sends[i].to == m->from && n->sends[i].tag == m->tag) {
                n->sends[i] = n->sends[--n->send_count];
                break;
            }
        }
        break;
    }
}

/* One millisecond of an uplink: a chunk for each in turn, the oldest answer of each first. */
static void transmit(uint32_t self)
{
    struct node *n = &nodes[self];
    n->budget = n->send_count == 0 ? 0 : n->budget + n->rate;
    while (n->budget >= CHUNK && n->send_count > 0) {
        uint32_t at = n->send_count;
        for (uint32_t step = 1; step <= node_count && at == n->send_count; step++) {
            uint32_t to = (n->turn + step) % node_count;
            for (at = 0; at < n->send_count && n->sends[at].to != to; at++) {
            }
            if (at < n->send_count) {
                n->turn = to;
            }
        }
        struct send *s = &n->sends[at];
        uint32_t total = layout_block_length(&layout, s->block);
        uint32_t bytes = total - s->sent < CHUNK ? total - s->sent : CHUNK;
        struct message *m = post(CHUNK_OF_BLOCK, self, s->to);
        m->tag = s->tag;
        m->block = s->block;
        m->bytes = bytes;
        m->begins = s->sent == 0;
        s->sent += bytes;
        m->ends = s->sent == total;
        n->bytes_sent += bytes;
        n->budget -= bytes;
        if (m->ends) { /* keeps the order of the others */
            n->send_count--;
            memmove(s, s + 1, (n->send_count - at) * sizeof *s);
        }
    }
}

static void begin(uint32_t peers, const uint64_t *sizes, uint32_t files, double source_rate,
                  double peer_rate, uint64_t seed)
{
    static const struct swarm_file ready[1024] = {[0 ... 1023] = {0, true}};
    now = 0;
    message_head = message_tail = 0;
    messages = calloc(MESSAGES_MAX, sizeof *messages);
    assert_non_null(messages);
    assert_int_equal(layout_init(&layout, sizes, files), PN_OK);
    node_count = peers + 1;
    for (uint32_t i = 0; i < node_count; i++) {
        nodes[i] = (struct node){.rate = i == 0 ? source_rate : peer_rate};
        assert_true(bitset_init(&nodes[i].had, layout.block_count));
        assert_true(spread_init(&nodes[i].spread, layout.block_count));
        if (i == 0) {
            bitset_fill(&nodes[i].had);
            continue;
        }
        nodes[i].swarm = swarm_new(&layout, ready, seed * 100 + i);
        assert_non_null(nodes[i].swarm);
    }
    for (uint32_t i = 1; i < node_count; i++) {
        for (uint32_t k = 0; k < node_count; k++) {
            if (k != i) {
                tell(i, (struct swarm_event){.kind = SWARM_SOURCE_ADDED, .source = k});
            }
        }
        tell(i, (struct swarm_event){.kind = SWARM_HAVE_ALL, .source = 0});
    }
}

static bool all_done(void)
{
    for (uint32_t i = 1; i < node_count; i++) {
        if (!nodes[i].gone && nodes[i].done_ms == 0) {
            return false;
        }
    }
    return true;
}

static void run_until(uint64_t end_ms)
{
    for (; now < end_ms && !all_done(); now++) {
        while (message_head != message_tail &&
               messages[message_head % MESSAGES_MAX].due_ms <= now) {
            struct message m = messages[message_head++ % MESSAGES_MAX];
            deliver(&m);
        }
        for (uint32_t i = 0; i < node_count; i++) {
            if (!nodes[i].gone) {
                transmit(i);
            }
            if (nodes[i].swarm != NULL && !nodes[i].gone &&
                swarm_deadline_ms(nodes[i].swarm) <= now) {
                tell(i, (struct swarm_event){.kind = SWARM_TICK});
                /* no busy loop: what is due is done, but for actions that did not fit */
                for (int round = 0; swarm_deadline_ms(nodes[i].swarm) <= now; round++) {
                    assert_true(round < 50);
                    tell(i, (struct swarm_event){.kind = SWARM_TICK});
                }
            }
        }
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < node_count; i++) {
        swarm_free(nodes[i].swarm);
        bitset_fini(&nodes[i].had);
        spread_fini(&nodes[i].spread);
    }
    layout_fini(&layout);
    free(messages);
}

/* Time over what the wire allows, and what the source sent over the size. */
static void check(const char *what, double limit_ms, double slower_max, double share_max)
{
    double slower = (double)now / limit_ms;
    double share = (double)nodes[0].bytes_sent / (double)layout.byte_count;
    print_message("%s: %.2f x the limit, the source sent %.3f x the size\n", what, slower, share);
    assert_true(all_done());
    assert_true(slower <= slower_max);
    assert_true(share <= share_max);
}

static const uint64_t size_64m = 64 << 20;

static void one_source_and_eight_peers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        delay_ms = 1;
        begin(8, &size_64m, 1, 12500, 125000, seed); /* 100 Mbit/s up at the source */
        run_until(60000);
        check("1 -> 8, 64 MiB", (double)size_64m / 12500, 1.1, 1.1);
        end();
    }
}

static void all_uplinks_equal_and_far_apart(void **state)
{
    (void)state;
    delay_ms = 20;
    begin(8, &size_64m, 1, 12500, 12500, 3);
    run_until(60000);
    check("1 -> 8, equal uplinks, 40 ms", (double)size_64m / 12500, 1.3, 1.3);
    end();
}

static void a_thousand_small_files(void **state)
{
    (void)state;
    static uint64_t sizes[1000];
    for (size_t i = 0; i < 1000; i++) {
        sizes[i] = 10 * 1024;
    }
    delay_ms = 1;
    begin(4, sizes, 1000, 12500, 125000, 4);
    run_until(60000);
    check("1 -> 4, 1000 files", 1000 * 10 * 1024 / 12500.0, 1.5, 1.3);
    end();
}

static void one_to_one_over_a_long_wire(void **state)
{
    (void)state;
    delay_ms = 20;
    begin(1, &size_64m, 1, 12500, 12500, 5);
    run_until(60000);
    check("1 -> 1, 41 ms", (double)size_64m / 12500, 1.1, 1.0);
    end();
}

/* Peers that vanish, one that lies: the rest has everything all the same. */
static void losses_and_lies_delay_but_do_not_stop(void **state)
{
    (void)state;
    delay_ms = 2;
    begin(8, &size_64m, 1, 12500, 125000, 6);
    nodes[3].lies = true;
    run_until(1500);
    nodes[1].gone = nodes[2].gone = true; /* silently: nobody is told */
    run_until(60000);
    check("1 -> 8, two vanish, one lies", (double)size_64m / 12500, 4.0, 1.5);
    end();
}

/* The source leaves when every block has left it once: the peers have all of it among them. */
static void the_source_leaves_early(void **state)
{
    (void)state;
    delay_ms = 1;
    begin(8, &size_64m, 1, 12500, 125000, 7);
    run_until((uint64_t)(1.08 * (double)size_64m / 12500));
    nodes[0].gone = true;
    for (uint32_t i = 1; i < node_count; i++) {
        tell(i, (struct swarm_event){.kind = SWARM_SOURCE_LOST, .source = 0});
    }
    run_until(60000);
    assert_true(all_done());
    end();
}

static void the_same_seed_does_the_same(void **state)
{
    (void)state;
    uint64_t sent[2];
    for (int i = 0; i < 2; i++) {
        delay_ms = 3;
        begin(5, &size_64m, 1, 12500, 50000, 9);
        run_until(60000);
        sent[i] = nodes[0].bytes_sent * 31 + nodes[3].bytes_sent * 7 + now;
        end();
    }
    assert_true(sent[0] == sent[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_source_and_eight_peers),
        cmocka_unit_test(all_uplinks_equal_and_far_apart),
        cmocka_unit_test(a_thousand_small_files),
        cmocka_unit_test(one_to_one_over_a_long_wire),
        cmocka_unit_test(losses_and_lies_delay_but_do_not_stop),
        cmocka_unit_test(the_source_leaves_early),
        cmocka_unit_test(the_same_seed_does_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
