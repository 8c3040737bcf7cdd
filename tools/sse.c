#include "tools/sse.h"

#include <stdio.h>

void sse_init(struct sse *s) { buffer_init(&s->pending, SSE_EVENT_BYTES_MAX); }

void sse_fini(struct sse *s) { buffer_fini(&s->pending); }

enum pn_status sse_add(struct sse *s, struct pn_bytes bytes)
{
    return buffer_append(&s->pending, bytes);
}

/* The value of "field: value" when the line is one. */
static bool is_field(struct pn_bytes line, const char *field, struct pn_bytes *value)
{
    size_t len = strlen(field);
    if (line.len < len + 1 || memcmp(line.ptr, field, len) != 0 || line.ptr[len] != ':') {
        return false;
    }
    len += line.len > len + 1 && line.ptr[len + 1] == ' ' ? 2 : 1;
    *value = (struct pn_bytes){line.ptr + len, line.len - len};
    return true;
}

/* Where the first event ends, behind its blank line; 0 when it is not whole. */
static size_t event_length(struct pn_bytes in)
{
    for (size_t i = 0; i + 1 < in.len; i++) {
        if (in.ptr[i] == '\n' && in.ptr[i + 1] == '\n') {
            return i + 2;
        }
    }
    return 0;
}

bool sse_next(struct sse *s, char name[SSE_NAME_BYTES], struct buffer *data)
{
    const size_t event_len = event_length(buffer_bytes(&s->pending));
    if (event_len == 0) {
        return false;
    }
    (void)snprintf(name, SSE_NAME_BYTES, "message");
    data->len = 0;
    struct pn_bytes rest = {s->pending.ptr, event_len - 1};
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        struct pn_bytes line = {rest.ptr, end == NULL ? rest.len : (size_t)(end - rest.ptr)};
        struct pn_bytes value;
        if (is_field(line, "event", &value)) {
            (void)snprintf(name, SSE_NAME_BYTES, "%.*s",
                           (int)(value.len < SSE_NAME_BYTES ? value.len : SSE_NAME_BYTES),
                           (const char *)value.ptr);
        } else if (is_field(line, "data", &value)) {
            /* Never longer than pending was; without memory the event counts as empty. */
            if (data->len > 0) {
                (void)buffer_append(data, (struct pn_bytes){(const uint8_t *)"\n", 1});
            }
            (void)buffer_append(data, value);
        }
        size_t used = end == NULL ? line.len : line.len + 1;
        rest = (struct pn_bytes){rest.ptr + used, rest.len - used};
    }
    buffer_consume(&s->pending, event_len);
    return true;
}
