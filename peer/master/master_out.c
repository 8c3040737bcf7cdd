#include <stdlib.h>

#include "peer/master/master_internal.h"

enum { FRAMES_BYTES_MAX = 64 * 1024 * 1024 }; /* of one step; a step answers one event */

void master_actions_init(struct master_actions *a)
{
    *a = (struct master_actions){0};
    buffer_init(&a->frames, FRAMES_BYTES_MAX);
}

void master_actions_fini(struct master_actions *a)
{
    free(a->list);
    free(a->records);
    buffer_fini(&a->frames);
    master_actions_init(a);
}

struct pn_bytes master_action_frame(const struct master_actions *a, const struct master_action *x)
{
    return (struct pn_bytes){a->frames.ptr + x->frame_at, x->frame_len};
}

bool master_grow(void **list, size_t count, size_t *cap, size_t item_bytes)
{
    if (count < *cap) {
        return true;
    }
    size_t bigger = *cap == 0 ? 16 : *cap * 2;
    void *grown = realloc(*list, bigger * item_bytes);
    if (grown == NULL) {
        return false;
    }
    *list = grown;
    *cap = bigger;
    return true;
}

void master_break(struct master *m, const char *reason)
{
    m->broken = m->broken != NULL ? m->broken : reason; /* told at the end of the step */
}

struct master_action *master_act(struct master *m, enum master_action_kind kind)
{
    struct master_actions *a = m->out;
    if (!master_grow((void **)&a->list, a->count, &a->cap, sizeof *a->list)) {
        master_break(m, "out of memory");
        return NULL;
    }
    struct master_action *x = &a->list[a->count++];
    *x = (struct master_action){.kind = kind};
    return x;
}

struct record *master_record(struct master *m, enum record_kind kind)
{
    struct master_actions *a = m->out;
    if (!master_grow((void **)&a->records, a->record_count, &a->record_cap, sizeof *a->records)) {
        master_break(m, "out of memory");
        return NULL;
    }
    struct record *r = &a->records[a->record_count++];
    memset(r, 0, sizeof *r);
    r->kind = kind;
    return r;
}

void master_close_link(struct master *m, uint32_t link, const char *reason)
{
    struct master_action *x = master_act(m, MASTER_DO_CLOSE);
    if (x != NULL) {
        x->link = link;
        x->reason = reason;
    }
}

struct buffer *master_frame_begin(struct master *m, size_t *at)
{
    *at = m->out->frames.len;
    return &m->out->frames;
}

void master_frame_end(struct master *m, uint32_t link, size_t at, enum pn_status written)
{
    if (written != PN_OK) {
        master_close_link(m, link, "out of memory for a frame");
        return;
    }
    struct master_action *x = master_act(m, MASTER_DO_SEND);
    if (x != NULL) {
        x->link = link;
        x->frame_at = at;
        x->frame_len = m->out->frames.len - at;
    }
}

void master_send_attempt(struct master *m, uint32_t link, uint8_t type, uint64_t slice,
                         uint64_t attempt, uint32_t lease_s)
{
    const struct work_attempt a = {m->config.job, m->config.run, slice, attempt, lease_s};
    size_t at;
    struct buffer *frames = master_frame_begin(m, &at);
    master_frame_end(m, link, at, work_write_attempt(type, &a, frames));
}
