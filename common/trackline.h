/*
 * trackline -- the lines that trackers and their clients exchange: one grammar, read and written.
 *
 * tracker/README.md describes the conversation. A line is its words with one space between them and
 * ends with LF (trackers read CR LF too). There are two manners: one-shot, in the words of the
 * original Preon (a request, its answer, close), and persistent, after HELLO.
 */
#ifndef PREON_COMMON_TRACKLINE_H
#define PREON_COMMON_TRACKLINE_H

#include "common/addr.h"
#include "common/digest.h"

enum {
    TRACKLINE_ONE_SHOT_BYTES_MAX = 127, /* without the line's end */
    TRACKLINE_BYTES_MAX = 255,          /* without the line's end */
    TRACKLINE_TEXT_BYTES = TRACKLINE_BYTES_MAX + 2,
    TRACKLINE_WORDS_MAX = 8,   /* needs or abilities in one line */
    TRACKLINE_WORD_BYTES = 31, /* the longest of them */
    TRACKLINE_TTL_S_MAX = 86400,
    TRACKLINE_SLOTS_MAX = 65535,
    TRACKLINE_COUNT_MAX = 1000000000,
};

#define TRACKLINE_VERSION "preon/1"

/* Who says it, in which manner. A line means something only together with this. */
enum trackline_manner {
    TRACKLINE_ONE_SHOT,        /* a client's only line; HELLO is read here too, as it comes first */
    TRACKLINE_ONE_SHOT_ANSWER, /* what it gets */
    TRACKLINE_REQUEST,         /* a client's line after HELLO */
    TRACKLINE_ANSWER,          /* a tracker's line after HELLO */
};

enum trackline_kind {
    TRACKLINE_HELLO,  /* words; as an answer: addr (no port), ttl_s, keepalive_s */
    TRACKLINE_INFORM, /* port, job; persistent: ttl_s */
    TRACKLINE_DELETE, /* port, job */
    TRACKLINE_QUERY,  /* job; persistent: count */
    TRACKLINE_IDLE,   /* slots, words: what this peer can do */
    TRACKLINE_DEMAND, /* port, job, slots, words: what a worker must be able to do */
    TRACKLINE_TAKE,   /* token */
    TRACKLINE_PASS,   /* token */
    TRACKLINE_PING,
    TRACKLINE_OK,   /* persistent: count */
    TRACKLINE_PEER, /* addr */
    TRACKLINE_WANT, /* addr, job, slots */
    TRACKLINE_END,  /* count, known */
    TRACKLINE_HIRE, /* token, addr, job */
    TRACKLINE_PONG,
    TRACKLINE_BUSY,  /* seconds, text */
    TRACKLINE_ERROR, /* text */
};

enum trackline_job_kind { TRACKLINE_JOB, TRACKLINE_JOB_IDLE, TRACKLINE_JOB_HIRING };

/* A name under which a tracker keeps peers: a job's ID or a virtual one. */
struct trackline_job {
    enum trackline_job_kind kind;
    struct digest id; /* zero unless kind is TRACKLINE_JOB */
};

/* What is not named beside the kind above is zero. */
struct trackline {
    enum trackline_kind kind;
    uint16_t port;
    uint16_t slots;
    uint32_t ttl_s;
    uint32_t keepalive_s;
    uint32_t seconds;
    uint32_t count;
    uint32_t known;
    uint32_t token;
    struct addr addr;
    struct trackline_job job;
    struct pn_bytes words; /* checked, one space between them; borrowed from the input */
    struct pn_bytes text;  /* printable ASCII for a person; borrowed from the input */
};

/*
 * Parses one line, given without its end. out is written only on PN_OK and borrows from in.
 * Fails with PN_E_MALFORMED or PN_E_TOO_BIG and says which word is wrong.
 */
enum pn_status trackline_parse(enum trackline_manner manner, struct pn_bytes in,
                               struct trackline *out, struct pn_err *err);

/*
 * Writes the line with its LF and returns the number of bytes; what it writes, trackline_parse
 * reads back. The line's values are within the bounds above (asserted); a text that is too long is
 * cut, and bytes in it that are not printable ASCII become '?'.
 */
size_t trackline_write(enum trackline_manner manner, const struct trackline *line,
                       char out[TRACKLINE_TEXT_BYTES]);

/*
 * True when in, which has no LF yet, is a whole one-shot request nevertheless: the original's
 * clients need not send one. Its last word, `idle` or 64 digits, shows that nothing is missing.
 */
bool trackline_is_whole(struct pn_bytes in);

/* Takes the next word off the front of words; false when there is none left. */
bool trackline_word_next(struct pn_bytes *words, struct pn_bytes *word);

/*
 * The token among the words of a client's HELLO ("proof=12"), by which its listener is known; 0
 * when there is none, or one that is no decimal number of 64 bits. Other words are of a later
 * version.
 */
uint64_t trackline_proof(struct pn_bytes words);

/* True when text may stand in `words`: at most 8, of a-z 0-9 . _ @ = + - and at most 31 bytes. */
bool trackline_words_are_good(struct pn_bytes words);

bool trackline_job_equal(const struct trackline_job *a, const struct trackline_job *b);

#endif
