#include "tracker/caller.h"

#include <stdlib.h>

void caller_init(struct caller *s) { *s = (struct caller){.state = CALLER_FIRST}; }

static void drop_part(struct caller *s)
{
    free(s->part);
    s->part = NULL;
    s->part_len = 0;
}

void caller_fini(struct caller *s) { drop_part(s); }

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

static enum pn_status keep_part(struct caller *s, struct pn_bytes bytes, struct pn_err *err)
{
    size_t max = s->state == CALLER_FIRST ? TRACKLINE_ONE_SHOT_BYTES_MAX : TRACKLINE_BYTES_MAX;
    if (bytes.len > max + 1 - s->part_len) { /* one more for a CR */
        return pn_fail(err, PN_E_TOO_BIG, "a line of more than %zu bytes", max);
    }
    if (s->part == NULL) {
        s->part = malloc(PART_MAX);
        if (s->part == NULL) {
            return pn_fail(err, PN_E_NO_MEMORY, "the tracker is full");
        }
    }
    if (bytes.len > 0) {
        memcpy(s->part + s->part_len, bytes.ptr, bytes.len);
    }
    s->part_len = (uint16_t)(s->part_len + bytes.len);
    return PN_OK;
}

static enum caller_result parse(struct caller *s, struct pn_bytes text, struct trackline *line,
                                enum trackline_manner *manner, struct pn_err *err)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '\r') {
        text.len--;
    }
    *manner = s->state == CALLER_FIRST ? TRACKLINE_ONE_SHOT : TRACKLINE_REQUEST;
    if (trackline_parse(*manner, text, line, err) != PN_OK) {
        return CALLER_WRONG;
    }
    if (s->state == CALLER_FIRST && line->kind == TRACKLINE_HELLO) {
        s->state = CALLER_PERSISTENT;
    }
    return CALLER_LINE;
}

enum caller_result caller_take(struct caller *s, struct pn_bytes *in, struct trackline *line,
                               enum trackline_manner *manner, struct pn_err *err)
{
    if (s->part_len == 0) {
        drop_part(s); /* the line before this one was in it */
    }
    if (in->len == 0) {
        return CALLER_MORE;
    }
    const uint8_t *end = memchr(in->ptr, '\n', in->len);
    struct pn_bytes text = {in->ptr, end == NULL ? in->len : (size_t)(end - in->ptr)};
    size_t used = end == NULL ? in->len : text.len + 1;
    *in = (struct pn_bytes){in->ptr + used, in->len - used};
    if (s->part_len > 0 || end == NULL) {
        if (keep_part(s, text, err) != PN_OK) {
            return CALLER_WRONG;
        }
        text = (struct pn_bytes){s->part, s->part_len};
    }
    /* The original's clients need not end their request. */
    bool whole = end != NULL || (s->state == CALLER_FIRST && trackline_is_whole(text));
    if (!whole) {
        return CALLER_MORE;
    }
    s->part_len = 0;
    return parse(s, text, line, manner, err);
}
