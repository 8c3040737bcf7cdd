#include "tracker/caller.h"

#include <stdlib.h>

void caller_init(struct caller *c) { *c = (struct caller){.state = CALLER_FIRST}; }

static void drop_part(struct caller *c)
{
    free(c->part);
    c->part = NULL;
    c->part_len = 0;
}

void caller_fini(struct caller *c) { drop_part(c); }

uint64_t caller_patience_ms(enum caller_state state)
{
    switch (state) {
    case CALLER_FIRST:
        return CALLER_FIRST_MS;
    case CALLER_PERSISTENT:
        return CALLER_SILENT_MS;
    case CALLER_LINGERING:
        return CALLER_LINGER_MS;
    }
    return 0;
}

/* Longer than any line, so that what is too long is refused before its end arrives. */
enum { PART_MAX = TRACKLINE_BYTES_MAX + 2 };

static enum pn_status keep_part(struct caller *c, struct pn_bytes bytes, struct pn_err *err)
{
    size_t max = c->state == CALLER_FIRST ? TRACKLINE_ONE_SHOT_BYTES_MAX : TRACKLINE_BYTES_MAX;
    size_t len = c->part_len + bytes.len;
    bool cr_too = len == max + 1 && bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\r';
    if (len > max && !cr_too) {
        return pn_fail(err, PN_E_TOO_BIG, "a line of more than %zu bytes", max);
    }
    if (c->part == NULL) {
        c->part = malloc(PART_MAX);
        if (c->part == NULL) {
            return pn_fail(err, PN_E_NO_MEMORY, "the tracker is full");
        }
    }
    if (bytes.len > 0) {
        memcpy(c->part + c->part_len, bytes.ptr, bytes.len);
    }
    c->part_len = (uint16_t)(c->part_len + bytes.len);
    return PN_OK;
}

static enum caller_result parse(struct caller *c, struct pn_bytes text, struct trackline *line,
                                enum trackline_manner *manner, struct pn_err *err)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '\r') {
        text.len--;
    }
    *manner = c->state == CALLER_FIRST ? TRACKLINE_ONE_SHOT : TRACKLINE_REQUEST;
    if (trackline_parse(*manner, text, line, err) != PN_OK) {
        return CALLER_WRONG;
    }
    if (c->state == CALLER_FIRST && line->kind == TRACKLINE_HELLO) {
        c->state = CALLER_PERSISTENT;
    }
    return CALLER_LINE;
}

enum caller_result caller_take(struct caller *c, struct pn_bytes *in, struct trackline *line,
                               enum trackline_manner *manner, struct pn_err *err)
{
    if (c->part_len == 0) {
        drop_part(c); /* the line before this one was in it */
    }
    if (in->len == 0) {
        return CALLER_MORE;
    }
    const uint8_t *end = memchr(in->ptr, '\n', in->len);
    struct pn_bytes text = {in->ptr, end == NULL ? in->len : (size_t)(end - in->ptr)};
    size_t used = end == NULL ? in->len : text.len + 1;
    *in = (struct pn_bytes){in->ptr + used, in->len - used};
    if (c->part_len > 0 || end == NULL) {
        if (keep_part(c, text, err) != PN_OK) {
            return CALLER_WRONG;
        }
        text = (struct pn_bytes){c->part, c->part_len};
    }
    /* The original's clients need not end their request. */
    bool whole = end != NULL || (c->state == CALLER_FIRST && trackline_is_whole(text));
    if (!whole) {
        return CALLER_MORE;
    }
    c->part_len = 0;
    c->ended_line = end != NULL;
    return parse(c, text, line, manner, err);
}
