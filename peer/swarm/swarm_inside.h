/*
 * swarm_inside -- the state of a fetch, for swarm.c (events) and pick.c (what to ask next).
 */
#ifndef PREON_PEER_SWARM_SWARM_INSIDE_H
#define PREON_PEER_SWARM_SWARM_INSIDE_H

#include "peer/swarm/source.h"
#include "peer/swarm/swarm.h"

enum {
    ASKS_PER_STEP = SWARM_ACTIONS_MAX - SOURCE_REQUESTS_MAX, /* the rest is kept for stops */
    ENDGAME_MS = 250, /* how often slow blocks are looked at when there is nothing else to ask */
};

enum leaves_state { LEAVES_WANTED, LEAVES_ASKED, LEAVES_CHECKED, LEAVES_HERE };

struct swarm_leaves {
    enum leaves_state state;
    uint32_t next; /* the first leaf that has not come yet */
    uint32_t source;
};

struct swarm {
    const struct layout *layout;
    struct random random;
    struct swarm_file *files;
    struct swarm_leaves *leaves;  /* of each file */
    uint32_t leaves_wanted_count; /* files in LEAVES_WANTED */
    uint32_t leaves_under_way;    /* files in LEAVES_ASKED */
    struct bitset had;
    struct bitset open[SWARM_NEED_COUNT]; /* wanted, with leaves, and asked of nobody */
    uint8_t *asked;                       /* of how many each block is asked, or being checked */
    uint16_t *copies;                     /* sources that told of the block, not counting has_all */
    uint32_t any_count;                   /* requests whose block is not known yet */
    struct source sources[SWARM_SOURCES_MAX];
    uint32_t source_count;
    uint32_t turn; /* whose turn it is to be asked first */
    uint32_t tag_serial;
    uint32_t duplicates;
    uint64_t bytes_had;
    uint32_t block_bytes;   /* of the largest block */
    uint64_t now_ms;        /* of the last step */
    uint64_t endgame_at_ms; /* when to look next; UINT64_MAX when not in the endgame */
    bool more;              /* there was no room for all actions */
    bool done_told;
};

static inline uint8_t swarm_need(const struct swarm *s, uint32_t block)
{
    uint32_t index;
    return s->files[layout_file(s->layout, block, &index)].need;
}

/* Adds an action; the bounds make sure that there is room. */
void swarm_act(struct swarm_actions *out, struct swarm_action a);

/* Asks src for the next leaves of a file that is in LEAVES_ASKED. */
void swarm_ask_leaves(struct swarm *s, struct source *src, uint32_t file, uint64_t now_ms,
                      struct swarm_actions *out);

/* Fills the sources' windows with requests. */
void swarm_ask(struct swarm *s, uint64_t now_ms, struct swarm_actions *out);

#endif
