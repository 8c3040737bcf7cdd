/* What to ask of whom next. */
#include "peer/swarm/swarm_inside.h"

enum {
    PICK_LOOKED_AT_MAX = 8192, /* blocks compared for one request */
    LEAVES_UNDER_WAY_MAX = 8,
    SOLE_SOURCES_MAX = 2, /* with more that have all, none of them is precious */
    ENDGAME_WORTH_MS = 500,
};

static bool has_block(const struct source *src, uint32_t block)
{
    return src->has_all || (src->has.words != NULL && bitset_has(&src->has, block));
}

/* Leaves are asked of those who have, or have had to have, the list. */
static bool has_leaves(const struct swarm *s, const struct source *src, uint32_t file)
{
    return src->has_all ||
           (src->has.words != NULL &&
            bitset_next(&src->has, s->layout->first[file]) < s->layout->first[file + 1]);
}

static uint32_t ask(struct swarm *s, struct source *src, enum request_kind kind, uint32_t file,
                    uint32_t block, uint32_t bytes, uint64_t now_ms)
{
    uint32_t tag = s->tag_serial++;
    source_asked(src, &(struct request){.tag = tag,
                                        .kind = kind,
                                        .file = file,
                                        .block = block,
                                        .bytes = bytes,
                                        .asked_ms = now_ms});
    return tag;
}

void swarm_ask_leaves(struct swarm *s, struct source *src, uint32_t file, uint64_t now_ms,
                      struct swarm_actions *out)
{
    struct swarm_leaves *l = &s->leaves[file];
    uint32_t left = layout_file_blocks(s->layout, file) - l->next;
    uint32_t count = left < DATA_LEAVES_MAX ? left : DATA_LEAVES_MAX;
    uint32_t tag =
        ask(s, src, REQUEST_LEAVES, file, 0, count * (uint32_t)sizeof(struct digest), now_ms);
    swarm_act(out, (struct swarm_action){.kind = SWARM_ASK_LEAVES,
                                         .source = src->id,
                                         .tag = tag,
                                         .file = file,
                                         .first = l->next,
                                         .count = count});
}

/* The next file that needs its leaves, in the order of need. */
static bool pick_leaves(struct swarm *s, struct source *src, uint64_t now_ms,
                        struct swarm_actions *out)
{
    if (s->leaves_wanted_count == 0 || s->leaves_under_way >= LEAVES_UNDER_WAY_MAX) {
        return false;
    }
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        for (uint32_t i = 0; i < s->layout->file_count; i++) {
            struct swarm_leaves *l = &s->leaves[i];
            if (s->files[i].need == need && l->state == LEAVES_WANTED && has_leaves(s, src, i)) {
                *l = (struct swarm_leaves){.state = LEAVES_ASKED, .source = src->id};
                s->leaves_wanted_count--;
                s->leaves_under_way++;
                swarm_ask_leaves(s, src, i, now_ms, out);
                return true;
            }
        }
    }
    return false;
}

/* The rarest open block that the source has; ties at random, so that peers differ. */
static uint32_t rarest(struct swarm *s, const struct source *src)
{
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        const struct bitset *open = &s->open[need];
        uint32_t best = REQUEST_ANY;
        uint32_t ties = 0;
        uint32_t looked_at = 0;
        for (uint64_t b = bitset_next(open, 0); b != BITSET_NONE && looked_at < PICK_LOOKED_AT_MAX;
             b = bitset_next(open, b + 1), looked_at++) {
            if (!has_block(src, (uint32_t)b)) {
                continue;
            }
            if (best == REQUEST_ANY || s->copies[b] < s->copies[best]) {
                best = (uint32_t)b;
                ties = 1;
            } else if (s->copies[b] == s->copies[best] && random_below(&s->random, ++ties) == 0) {
                best = (uint32_t)b;
            }
        }
        if (best != REQUEST_ANY) {
            return best;
        }
    }
    return REQUEST_ANY;
}

static bool is_sole(const struct swarm *s, const struct source *src)
{
    uint32_t with_all = 0;
    for (uint32_t i = 0; i < s->source_count; i++) {
        with_all += s->sources[i].has_all;
    }
    return src->has_all && with_all <= SOLE_SOURCES_MAX;
}

static uint64_t open_count(const struct swarm *s)
{
    uint64_t count = 0;
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        count += s->open[need].member_count;
    }
    return count;
}

static bool ask_any(struct swarm *s, struct source *src, uint64_t now_ms, struct swarm_actions *out)
{
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        /* what is on its way without a name will turn out to be open blocks */
        if (s->open[need].member_count <= s->any_count) {
            continue;
        }
        uint32_t first = (uint32_t)bitset_next(&s->open[need], 0);
        uint32_t left = s->layout->block_count - first;
        uint32_t tag = ask(s, src, REQUEST_BLOCK, 0, REQUEST_ANY,
                           layout_block_length(s->layout, first), now_ms);
        s->any_count++;
        swarm_act(out, (struct swarm_action){
                           .kind = SWARM_ASK_ANY,
                           .source = src->id,
                           .tag = tag,
                           .first = first,
                           .count = left < DATA_ANY_BLOCKS_MAX ? left : DATA_ANY_BLOCKS_MAX});
        return true;
    }
    return false;
}

static void ask_block(struct swarm *s, struct source *src, uint32_t block, uint64_t now_ms,
                      struct swarm_actions *out)
{
    uint32_t tag =
        ask(s, src, REQUEST_BLOCK, 0, block, layout_block_length(s->layout, block), now_ms);
    s->asked[block]++;
    bitset_remove(&s->open[swarm_need(s, block)], block);
    swarm_act(out, (struct swarm_action){
                       .kind = SWARM_ASK_BLOCK, .source = src->id, .tag = tag, .first = block});
}

static bool pick_block(struct swarm *s, struct source *src, uint64_t now_ms,
                       struct swarm_actions *out)
{
    if (is_sole(s, src)) {
        return ask_any(s, src, now_ms, out);
    }
    uint32_t block = open_count(s) > s->any_count ? rarest(s, src) : REQUEST_ANY;
    if (block == REQUEST_ANY) {
        return false;
    }
    ask_block(s, src, block, now_ms, out);
    return true;
}

/* How much longer we are willing to wait for others than it takes src to send the block. */
static uint64_t patience_ms(const struct source *src, uint32_t bytes)
{
    uint64_t own = src->rate > 0 ? (uint64_t)(((double)src->owed + bytes) / src->rate) : 2000;
    return 3 * own > ENDGAME_WORTH_MS ? 3 * own : ENDGAME_WORTH_MS;
}

/* The block that is longest on its way from somebody slow, if src would be so much faster. */
static uint32_t slowest(const struct swarm *s, const struct source *src, uint64_t now_ms)
{
    bool budget = s->duplicates < 2 + s->layout->block_count / 100;
    uint64_t worst = 0;
    uint32_t block = REQUEST_ANY;
    for (uint32_t i = 0; i < s->source_count; i++) {
        const struct source *other = &s->sources[i];
        for (uint32_t k = 0; k < other->request_count && other != src; k++) {
            const struct request *r = &other->requests[k];
            if (r->kind != REQUEST_BLOCK || r->block == REQUEST_ANY || s->asked[r->block] > 1 ||
                !has_block(src, r->block)) {
                continue;
            }
            uint64_t eta = source_eta_ms(other, r, now_ms);
            if ((budget || eta == UINT64_MAX) && eta > worst && eta > patience_ms(src, r->bytes)) {
                worst = eta;
                block = r->block;
            }
        }
    }
    return block;
}

static bool pick_duplicate(struct swarm *s, struct source *src, uint64_t now_ms,
                           struct swarm_actions *out)
{
    uint32_t block = slowest(s, src, now_ms);
    if (block == REQUEST_ANY) {
        return false;
    }
    s->duplicates++;
    ask_block(s, src, block, now_ms, out);
    return true;
}

/* Fills one source's window. */
static void feed(struct swarm *s, struct source *src, bool endgame, uint64_t now_ms,
                 struct swarm_actions *out)
{
    uint64_t window = source_window(src, s->block_bytes);
    while (src->owed < window && src->request_count < SOURCE_REQUESTS_MAX) {
        if (out->count >= ASKS_PER_STEP) {
            s->more = true;
            return;
        }
        bool asked =
            !src->dry && (pick_leaves(s, src, now_ms, out) || pick_block(s, src, now_ms, out));
        src->dry = !asked;
        if (!asked && !(endgame && pick_duplicate(s, src, now_ms, out))) {
            return;
        }
    }
}

void swarm_ask(struct swarm *s, uint64_t now_ms, struct swarm_actions *out)
{
    bool endgame = open_count(s) == 0 && s->leaves_wanted_count == 0;
    s->more = false;
    for (uint32_t i = 0; i < s->source_count; i++) {
        struct source *src = &s->sources[(s->turn + i) % s->source_count];
        if (src->asleep_until_ms <= now_ms) {
            feed(s, src, endgame, now_ms, out);
        }
    }
    s->turn++;
    s->endgame_at_ms = endgame ? now_ms + ENDGAME_MS : UINT64_MAX;
}
