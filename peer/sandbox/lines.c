#include "peer/sandbox/lines.h"

void lines_add(struct lines *l, struct pn_bytes bytes, lines_on_line on_line, void *arg)
{
    while (bytes.len > 0) {
        const uint8_t *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t n = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len;
        size_t room = LINES_BYTES_MAX - l->len;
        size_t kept = n < room ? n : room;
        memcpy(l->part + l->len, bytes.ptr, kept);
        l->len += kept;
        if (end == NULL) {
            return;
        }
        on_line(arg, (struct pn_bytes){l->part, l->len});
        l->len = 0;
        bytes.ptr += n + 1;
        bytes.len -= n + 1;
    }
}
