/*
 * swarm -- which block from whom: fetches one set of files from several sources at once.
 *
 * A core: events in, actions out, no I/O. The shell (transfer_uv.c) and the simulator send what it
 * orders and tell it what happened. Rules, with their reasons in figures of our own and others':
 *
 * - A sole source (one that has all, while hardly anybody else does) is asked for "any I lack": it
 *   gives what it has sent least. Among the rest the rarest block is asked for, ties at random.
 * - A file of several blocks needs its leaves first, from one source; files are taken in the order
 *   of their need.
 * - What a source owes at most: source.h. A source that sends nothing for a while, or says it is
 *   busy, loses its requests and sleeps; others take over.
 * - A wrong block or list is its one source's fault: the source is dropped.
 * - At the end, a block that crawls in is also asked of somebody three times as fast; the loser is
 *   stopped. About one in a hundred blocks at most.
 */
#ifndef PREON_PEER_SWARM_SWARM_H
#define PREON_PEER_SWARM_SWARM_H

#include "common/random.h"
#include "peer/swarm/layout.h"
#include "peer/wire/data.h"

enum {
    SWARM_SOURCES_MAX = 32,
    SWARM_ACTIONS_MAX = 160,
    SWARM_NEED_COUNT = 2,
    SWARM_STALL_MS = 15 * 1000, /* a source that owes and sends nothing for so long sleeps */
    SWARM_SLEEP_MS = 5 * 1000,  /* first; doubles */
    SWARM_SLEEP_MAX_MS = 5 * 60 * 1000,
};

struct swarm;

struct swarm_file {
    uint8_t need;    /* below SWARM_NEED_COUNT; 0 is fetched first */
    bool has_leaves; /* or needs none */
};

enum swarm_event_kind {
    SWARM_SOURCE_ADDED, /* source. PN_E_FULL is silent: it is not used */
    SWARM_SOURCE_LOST,  /* source */
    SWARM_HAVE,         /* source has blocks first .. first + count - 1 */
    SWARM_HAVE_PART,    /* the same, and more of it is told at once: nobody is asked yet */
    SWARM_HAVE_ALL,     /* source */
    SWARM_BEGUN,        /* source, tag: "any" is answered with block `first` */
    SWARM_BYTES,        /* source, tag: count bytes of the answer have come */
    SWARM_ARRIVED,      /* source, tag: the answer is whole (and now being checked) */
    SWARM_BUSY,         /* source, tag: refused; come back after count ms (0: no such word) */
    SWARM_BLOCK_GOOD,   /* block `first` hashes right and is stored */
    SWARM_BLOCK_BAD,    /* source sent a wrong block `first` */
    SWARM_LEAVES_GOOD,  /* file `first` has its leaves now */
    SWARM_LEAVES_BAD,   /* source sent wrong leaves of file `first` */
    SWARM_TICK,
};

struct swarm_event {
    enum swarm_event_kind kind;
    uint64_t now_ms;
    uint32_t source; /* chosen by the shell, e.g. the port's ID */
    uint32_t tag;
    uint32_t first;
    uint32_t count;
};

enum swarm_action_kind {
    SWARM_ASK_LEAVES,  /* source, tag, file, first, count */
    SWARM_ASK_BLOCK,   /* source, tag, first: the block */
    SWARM_ASK_ANY,     /* source, tag, first, count: the window; swarm_held has its bits */
    SWARM_STOP,        /* source, tag: the answer is no longer wanted; nothing more is told of it */
    SWARM_DROP_SOURCE, /* source: it lied; forget it for an hour */
    SWARM_DONE,        /* every block is here; nothing that was asked for is wanted any more */
};

struct swarm_action {
    enum swarm_action_kind kind;
    uint32_t source;
    uint32_t tag;
    uint32_t file;
    uint32_t first;
    uint32_t count;
};

struct swarm_actions {
    uint32_t count;
    struct swarm_action items[SWARM_ACTIONS_MAX];
};

/*
 * layout is borrowed and outlives the swarm; files: layout->file_count of them, copied. NULL when
 * memory is short.
 */
struct swarm *swarm_new(const struct layout *layout, const struct swarm_file *files, uint64_t seed);
void swarm_free(struct swarm *s); /* NULL is fine */

/* A block that is here from the start; before the first step. */
void swarm_had(struct swarm *s, uint32_t block);

/*
 * Applies one event; overwrites *out with what the shell must now do, in order. Events about tags
 * and sources that the swarm has given up are ignored.
 */
void swarm_step(struct swarm *s, const struct swarm_event *ev, struct swarm_actions *out);

/* When the next SWARM_TICK is due, UINT64_MAX if never. May be in the past: at once. */
uint64_t swarm_deadline_ms(const struct swarm *s);

/* For SWARM_ASK_ANY: the bits of data_block_ask.held for its window; (count + 7) / 8 bytes. */
void swarm_held(const struct swarm *s, uint32_t first, uint32_t count, uint8_t *bits);

bool swarm_done(const struct swarm *s);

/* For people. */
struct swarm_stats {
    uint64_t bytes_had;
    uint64_t bytes_per_s;
    uint32_t source_count;
    uint32_t asleep_count; /* of them */
    uint32_t duplicates;   /* blocks asked for twice */
};
void swarm_stats(const struct swarm *s, uint64_t now_ms, struct swarm_stats *out);

#endif
