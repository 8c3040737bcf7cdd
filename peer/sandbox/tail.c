#include "peer/sandbox/tail.h"

#include <stdio.h>

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

void tail_add(struct tail *t, struct pn_bytes bytes)
{
    if (bytes.len == 0) {
        return;
    }
    if (t->total < TAIL_FIRST_BYTES) {
        size_t n = least(bytes.len, TAIL_FIRST_BYTES - (size_t)t->total);
        memcpy(t->first + t->total, bytes.ptr, n);
        t->total += n;
        bytes.ptr += n;
        bytes.len -= n;
    }
    t->total += bytes.len;
    if (bytes.len > TAIL_LAST_BYTES) { /* all but its end would be overwritten at once */
        bytes.ptr += bytes.len - TAIL_LAST_BYTES;
        bytes.len = TAIL_LAST_BYTES;
    }
    while (bytes.len > 0) {
        size_t n = least(bytes.len, TAIL_LAST_BYTES - t->last_at);
        memcpy(t->last + t->last_at, bytes.ptr, n);
        t->last_at = (t->last_at + n) % TAIL_LAST_BYTES;
        bytes.ptr += n;
        bytes.len -= n;
    }
}

size_t tail_text(const struct tail *t, uint8_t out[TAIL_TEXT_BYTES])
{
    size_t len = least((size_t)t->total, TAIL_FIRST_BYTES);
    memcpy(out, t->first, len);
    uint64_t rest = t->total - len;
    if (rest <= TAIL_LAST_BYTES) {
        /* Not wrapped, or wrapped exactly: it starts at 0. */
        memcpy(out + len, t->last, (size_t)rest);
        return len + (size_t)rest;
    }
    len += (size_t)snprintf((char *)out + len, 64, "\n[... %llu bytes left out ...]\n",
                            (unsigned long long)(rest - TAIL_LAST_BYTES));
    memcpy(out + len, t->last + t->last_at, TAIL_LAST_BYTES - t->last_at);
    len += TAIL_LAST_BYTES - t->last_at;
    memcpy(out + len, t->last, t->last_at);
    return len + t->last_at;
}
