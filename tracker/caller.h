/*
 * caller -- one connection: from bytes, however they are split, to lines and their manner.
 *
 * A connection begins with a line. One of the original's requests is its only one; HELLO makes it
 * persistent. Deadlines are absolute: a byte now and then renews nothing, only whole lines do.
 */
#ifndef PREON_TRACKER_CALLER_H
#define PREON_TRACKER_CALLER_H

#include "common/trackline.h"

enum {
    CALLER_FIRST_MS = 10000,   /* from the connection to its first line's end */
    CALLER_SILENT_MS = 150000, /* from one whole line to the next */
    CALLER_LINGER_MS = 2000,   /* for the client to take its answer and close */
};

enum caller_state {
    CALLER_FIRST,
    CALLER_PERSISTENT,
    CALLER_LINGERING, /* answered for good: what still arrives is thrown away */
};

struct caller {
    enum caller_state state;
    bool ended_line; /* the last line had its LF */
    uint16_t part_len;
    uint8_t *part; /* the beginning of a line, owned; NULL between lines: most of the time */
};

enum caller_result {
    CALLER_MORE,  /* all bytes are used up */
    CALLER_LINE,  /* *line and *manner are set; call again with the rest */
    CALLER_WRONG, /* err tells what; the caller is over */
};

void caller_init(struct caller *c);
void caller_fini(struct caller *c);

/*
 * Takes bytes off the front of *in until a line is whole. *line borrows from the caller and from
 * *in: it is valid until the next call. HELLO changes the state here.
 */
enum caller_result caller_take(struct caller *c, struct pn_bytes *in, struct trackline *line,
                               enum trackline_manner *manner, struct pn_err *err);

/* From when it counts: connected, last whole line, or the change to lingering. */
uint64_t caller_patience_ms(enum caller_state state);

#endif
