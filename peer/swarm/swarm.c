#include "peer/swarm/swarm.h"

#include <assert.h>
#include <stdlib.h>

#include "peer/swarm/swarm_inside.h"

enum { NAP_MS = 1000, NAP_MIN_MS = 50 };

void swarm_act(struct swarm_actions *out, struct swarm_action a)
{
    assert(out->count < SWARM_ACTIONS_MAX);
    out->items[out->count++] = a;
}

static bool allocate(struct swarm *s)
{
    uint32_t blocks = s->layout->block_count;
    bool ok = bitset_init(&s->had, blocks > 0 ? blocks : 1);
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        ok = bitset_init(&s->open[need], blocks > 0 ? blocks : 1) && ok;
    }
    s->files = calloc((size_t)s->layout->file_count + 1, sizeof *s->files);
    s->leaves = calloc((size_t)s->layout->file_count + 1, sizeof *s->leaves);
    s->asked = calloc((size_t)blocks + 1, sizeof *s->asked);
    s->copies = calloc((size_t)blocks + 1, sizeof *s->copies);
    return ok && s->files != NULL && s->leaves != NULL && s->asked != NULL && s->copies != NULL;
}

/* The file's blocks may be asked for from now on. */
static void open_file(struct swarm *s, uint32_t file)
{
    s->leaves[file].state = LEAVES_HERE;
    for (uint32_t b = s->layout->first[file]; b < s->layout->first[file + 1]; b++) {
        if (!bitset_has(&s->had, b)) {
            bitset_add(&s->open[s->files[file].need], b);
        }
    }
}

struct swarm *swarm_new(const struct layout *layout, const struct swarm_file *files, uint64_t seed)
{
    struct swarm *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->layout = layout;
    s->endgame_at_ms = UINT64_MAX;
    random_seed(&s->random, seed);
    if (!allocate(s)) {
        swarm_free(s);
        return NULL;
    }
    for (uint32_t i = 0; i < layout->file_count; i++) {
        assert(files[i].need < SWARM_NEED_COUNT);
        s->files[i] = files[i];
        uint32_t bytes = layout->sizes[i] > 0 ? block_length(layout->sizes[i], 0) : 0;
        s->block_bytes = bytes > s->block_bytes ? bytes : s->block_bytes;
        if (files[i].has_leaves || layout_file_blocks(layout, i) <= 1) {
            open_file(s, i);
        } else {
            s->leaves_wanted_count++;
        }
    }
    return s;
}

void swarm_free(struct swarm *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->source_count; i++) {
        source_fini(&s->sources[i]);
    }
    bitset_fini(&s->had);
    for (uint8_t need = 0; need < SWARM_NEED_COUNT; need++) {
        bitset_fini(&s->open[need]);
    }
    free(s->files);
    free(s->leaves);
    free(s->asked);
    free(s->copies);
    free(s);
}

static void take_block(struct swarm *s, uint32_t block)
{
    if (!bitset_has(&s->had, block)) {
        bitset_add(&s->had, block);
        bitset_remove(&s->open[swarm_need(s, block)], block);
        s->bytes_had += layout_block_length(s->layout, block);
    }
}

void swarm_had(struct swarm *s, uint32_t block) { take_block(s, block); }

bool swarm_done(const struct swarm *s) { return s->had.member_count == s->layout->block_count; }

/* --- sources --- */

static struct source *find(struct swarm *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        if (s->sources[i].id == id) {
            return &s->sources[i];
        }
    }
    return NULL;
}

/* Something can be asked for again: sources that had nothing to give may have now. */
static void stir(struct swarm *s)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        s->sources[i].dry = false;
    }
}

/* One less is asked for the block, or it was checked in vain. */
static void unask(struct swarm *s, uint32_t block)
{
    assert(s->asked[block] > 0);
    if (--s->asked[block] == 0 && !bitset_has(&s->had, block)) {
        bitset_add(&s->open[swarm_need(s, block)], block);
        stir(s);
    }
}

static void want_leaves_again(struct swarm *s, uint32_t file)
{
    struct swarm_leaves *l = &s->leaves[file];
    if (l->state == LEAVES_ASKED || l->state == LEAVES_CHECKED) {
        s->leaves_under_way -= l->state == LEAVES_ASKED;
        *l = (struct swarm_leaves){.state = LEAVES_WANTED};
        s->leaves_wanted_count++;
        stir(s);
    }
}

/* The request will not be answered: what it was for is open again. */
static void take_back(struct swarm *s, struct source *src, struct request *r)
{
    struct request gone = *r;
    source_done(src, r);
    if (gone.kind == REQUEST_LEAVES) {
        want_leaves_again(s, gone.file);
    } else if (gone.block == REQUEST_ANY) {
        s->any_count--;
        stir(s);
    } else {
        unask(s, gone.block);
    }
}

/* The stop is said before the request is forgotten. */
static void stop(struct swarm *s, struct source *src, struct request *r, struct swarm_actions *out)
{
    swarm_act(out, (struct swarm_action){.kind = SWARM_STOP, .source = src->id, .tag = r->tag});
    take_back(s, src, r);
}

static void add_source(struct swarm *s, uint32_t id)
{
    if (find(s, id) == NULL && s->source_count < SWARM_SOURCES_MAX) {
        source_init(&s->sources[s->source_count++], id);
    }
}

static void remove_source(struct swarm *s, struct source *src)
{
    while (src->request_count > 0) {
        take_back(s, src, &src->requests[src->request_count - 1]);
    }
    for (uint64_t b = src->has.words != NULL ? bitset_next(&src->has, 0) : BITSET_NONE;
         b != BITSET_NONE; b = bitset_next(&src->has, b + 1)) {
        s->copies[b]--;
    }
    source_fini(src);
    *src = s->sources[--s->source_count];
    stir(s); /* the others may be the sole ones now */
}

static void drop_source(struct swarm *s, uint32_t id, struct swarm_actions *out)
{
    struct source *src = find(s, id);
    if (src != NULL) {
        remove_source(s, src);
        swarm_act(out, (struct swarm_action){.kind = SWARM_DROP_SOURCE, .source = id});
    }
}

static void told_have(struct swarm *s, struct source *src, uint32_t first, uint32_t count)
{
    uint32_t blocks = s->layout->block_count;
    if (src->has_all || first >= blocks ||
        (src->has.words == NULL && !bitset_init(&src->has, blocks))) {
        return;
    }
    uint32_t end = count < blocks - first ? first + count : blocks;
    for (uint32_t b = first; b < end; b++) {
        if (!bitset_has(&src->has, b)) {
            bitset_add(&src->has, b);
            s->copies[b]++;
        }
    }
    src->dry = false;
    if (src->has.member_count == blocks) {
        src->has_all = true; /* counted as a copy of each all the same */
    }
}

/* --- answers --- */

static void begun(struct swarm *s, struct source *src, struct request *r, uint32_t block,
                  struct swarm_actions *out)
{
    if (r->kind != REQUEST_BLOCK || r->block != REQUEST_ANY) {
        return;
    }
    uint32_t index;
    bool useful = block < s->layout->block_count && !bitset_has(&s->had, block) &&
                  s->leaves[layout_file(s->layout, block, &index)].state == LEAVES_HERE;
    if (!useful || s->asked[block] == UINT8_MAX) {
        stop(s, src, r, out);
        return;
    }
    s->any_count--;
    s->duplicates += s->asked[block]++ > 0;
    bitset_remove(&s->open[swarm_need(s, block)], block);
    uint32_t bytes = layout_block_length(s->layout, block);
    src->owed = src->owed - r->bytes + bytes;
    r->block = block;
    r->bytes = bytes;
}

static void leaves_arrived(struct swarm *s, struct source *src, uint32_t file)
{
    struct swarm_leaves *l = &s->leaves[file];
    uint32_t left = layout_file_blocks(s->layout, file) - l->next;
    l->next += left < DATA_LEAVES_MAX ? left : DATA_LEAVES_MAX;
    l->source = src->id;
    if (l->next == layout_file_blocks(s->layout, file)) {
        l->state = LEAVES_CHECKED;
        s->leaves_under_way--;
    }
}

static void arrived(struct swarm *s, struct source *src, struct request *r, uint64_t now_ms,
                    struct swarm_actions *out)
{
    struct request whole = *r;
    source_done(src, r);
    if (whole.kind == REQUEST_BLOCK) {
        assert(whole.block != REQUEST_ANY); /* an answer begins before it ends */
        return;                             /* it counts as asked until it is checked */
    }
    leaves_arrived(s, src, whole.file);
    if (s->leaves[whole.file].state == LEAVES_ASKED) {
        swarm_ask_leaves(s, src, whole.file, now_ms, out);
    }
}

/* Whoever else is still sending the block may stop. */
static void stop_others(struct swarm *s, uint32_t block, struct swarm_actions *out)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        struct source *src = &s->sources[i];
        for (uint32_t k = src->request_count; k > 0; k--) {
            struct request *r = &src->requests[k - 1];
            if (r->kind == REQUEST_BLOCK && r->block == block && out->count < ASKS_PER_STEP) {
                stop(s, src, r, out);
            }
        }
    }
}

static void busy(struct swarm *s, struct source *src, struct request *r, uint64_t now_ms,
                 uint32_t retry_ms)
{
    uint64_t nap = retry_ms > 0
                       ? retry_ms
                       : random_backoff(&s->random, NAP_MS, src->nap_count, SWARM_SLEEP_MAX_MS);
    nap = nap < NAP_MIN_MS ? NAP_MIN_MS : nap;
    nap = nap > SWARM_SLEEP_MAX_MS ? SWARM_SLEEP_MAX_MS : nap;
    take_back(s, src, r);
    source_sleep(src, now_ms + nap + random_below(&s->random, nap / 4 + 1));
}

/* One stalled source a step; swarm_deadline_ms brings the next. */
static void look_for_stalls(struct swarm *s, uint64_t now_ms, struct swarm_actions *out)
{
    for (uint32_t i = 0; i < s->source_count; i++) {
        struct source *src = &s->sources[i];
        if (src->request_count > 0 && now_ms >= src->heard_ms + SWARM_STALL_MS) {
            uint32_t shift = src->nap_count < 6 ? src->nap_count : 6;
            uint64_t nap = (uint64_t)SWARM_SLEEP_MS << shift;
            while (src->request_count > 0) {
                stop(s, src, &src->requests[src->request_count - 1], out);
            }
            source_sleep(src, now_ms + (nap < SWARM_SLEEP_MAX_MS ? nap : SWARM_SLEEP_MAX_MS));
            return;
        }
    }
}

/* --- the step --- */

static void on_source_event(struct swarm *s, const struct swarm_event *ev, struct source *src,
                            struct swarm_actions *out)
{
    struct request *r = source_request(src, ev->tag);
    switch (ev->kind) {
    case SWARM_SOURCE_LOST:
        remove_source(s, src);
        break;
    case SWARM_HAVE:
    case SWARM_HAVE_PART:
        told_have(s, src, ev->first, ev->count);
        break;
    case SWARM_HAVE_ALL:
        src->has_all = true;
        src->dry = false;
        break;
    case SWARM_BEGUN:
        if (r != NULL) {
            begun(s, src, r, ev->first, out);
        }
        break;
    case SWARM_BYTES:
        if (r != NULL) {
            source_bytes(src, r, ev->count, ev->now_ms);
        }
        break;
    case SWARM_ARRIVED:
        if (r != NULL) {
            arrived(s, src, r, ev->now_ms, out);
        }
        break;
    case SWARM_BUSY:
        if (r != NULL) {
            busy(s, src, r, ev->now_ms, ev->count);
        }
        break;
    case SWARM_SOURCE_ADDED:
    case SWARM_BLOCK_GOOD:
    case SWARM_BLOCK_BAD:
    case SWARM_LEAVES_GOOD:
    case SWARM_LEAVES_BAD:
    case SWARM_TICK:
        break;
    }
}

static void on_event(struct swarm *s, const struct swarm_event *ev, struct swarm_actions *out)
{
    struct source *src = find(s, ev->source);
    switch (ev->kind) {
    case SWARM_SOURCE_ADDED:
        add_source(s, ev->source);
        break;
    case SWARM_SOURCE_LOST:
    case SWARM_HAVE:
    case SWARM_HAVE_PART:
    case SWARM_HAVE_ALL:
    case SWARM_BEGUN:
    case SWARM_BYTES:
    case SWARM_ARRIVED:
    case SWARM_BUSY:
        if (src != NULL) {
            on_source_event(s, ev, src, out);
        }
        break;
    case SWARM_BLOCK_GOOD:
        take_block(s, ev->first);
        if (s->asked[ev->first] > 0) {
            s->asked[ev->first]--;
        }
        stop_others(s, ev->first, out);
        break;
    case SWARM_BLOCK_BAD:
        unask(s, ev->first);
        drop_source(s, ev->source, out);
        break;
    case SWARM_LEAVES_GOOD:
        if (s->leaves[ev->first].state == LEAVES_CHECKED) {
            open_file(s, ev->first);
            stir(s);
        }
        break;
    case SWARM_LEAVES_BAD:
        want_leaves_again(s, ev->first);
        drop_source(s, ev->source, out);
        break;
    case SWARM_TICK:
        look_for_stalls(s, ev->now_ms, out);
        break;
    }
}

void swarm_step(struct swarm *s, const struct swarm_event *ev, struct swarm_actions *out)
{
    out->count = 0;
    s->now_ms = ev->now_ms;
    on_event(s, ev, out);
    if (swarm_done(s)) {
        if (!s->done_told) {
            s->done_told = true;
            swarm_act(out, (struct swarm_action){.kind = SWARM_DONE});
        }
        return;
    }
    /* Bytes on their way change nothing about whom to ask; nor does half of what somebody has. */
    bool changes = ev->kind != SWARM_BYTES && ev->kind != SWARM_HAVE_PART;
    if (changes || s->more || ev->now_ms >= s->endgame_at_ms) {
        swarm_ask(s, ev->now_ms, out);
    }
}

uint64_t swarm_deadline_ms(const struct swarm *s)
{
    if (swarm_done(s)) {
        return s->done_told ? UINT64_MAX : s->now_ms;
    }
    if (s->more) {
        return s->now_ms;
    }
    uint64_t at = UINT64_MAX;
    bool idle = false; /* somebody who could take over a slow block */
    bool busy_one = false;
    for (uint32_t i = 0; i < s->source_count; i++) {
        const struct source *src = &s->sources[i];
        uint64_t due = src->request_count > 0 ? src->heard_ms + SWARM_STALL_MS : UINT64_MAX;
        if (src->asleep_until_ms > s->now_ms && src->asleep_until_ms < due) {
            due = src->asleep_until_ms;
        }
        at = due < at ? due : at;
        busy_one = busy_one || src->request_count > 0;
        idle = idle || src->request_count < SOURCE_REQUESTS_MAX;
    }
    return busy_one && idle && s->endgame_at_ms < at ? s->endgame_at_ms : at;
}

void swarm_held(const struct swarm *s, uint32_t first, uint32_t count, uint8_t *bits)
{
    const struct bitset *open = &s->open[swarm_need(s, first)];
    memset(bits, 0xff, (count + 7) / 8);
    for (uint64_t b = bitset_next(open, first); b != BITSET_NONE && b < (uint64_t)first + count;
         b = bitset_next(open, b + 1)) {
        uint64_t i = b - first;
        bits[i / 8] &= (uint8_t) ~(1u << (i % 8));
    }
}

void swarm_stats(const struct swarm *s, uint64_t now_ms, struct swarm_stats *out)
{
    *out = (struct swarm_stats){
        .bytes_had = s->bytes_had, .source_count = s->source_count, .duplicates = s->duplicates};
    for (uint32_t i = 0; i < s->source_count; i++) {
        const struct source *src = &s->sources[i];
        out->asleep_count += src->asleep_until_ms > now_ms;
        if (src->owed > 0 && now_ms - src->heard_ms < 2000) {
            out->bytes_per_s += (uint64_t)(src->rate * 1000);
        }
    }
}
