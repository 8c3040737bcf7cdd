/*
 * sse -- server-sent events taken out of a stream of bytes (WHATWG HTML, "Server-sent events", as
 * far as a peer sends them: event and data, a blank line behind each).
 */
#ifndef PREON_TOOLS_SSE_H
#define PREON_TOOLS_SSE_H

#include "common/buffer.h"

enum { SSE_EVENT_BYTES_MAX = 1024 * 1024 };

struct sse {
    struct buffer pending; /* bytes that are not an event yet */
};

void sse_init(struct sse *s);
void sse_fini(struct sse *s);

/* PN_E_FULL: an event over its maximum; PN_E_NO_MEMORY. */
enum pn_status sse_add(struct sse *s, struct pn_bytes bytes);

/*
 * Takes the next whole event out. name is cut to its array ("message" when the event has none);
 * data is emptied first. False: not there yet. Lines that are neither event nor data are skipped.
 */
enum { SSE_NAME_BYTES = 32 };
bool sse_next(struct sse *s, char name[SSE_NAME_BYTES], struct buffer *data);

#endif
