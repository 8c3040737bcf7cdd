/*
 * manifest_lines -- walks along a manifest's lines: takes those that may come next, says what was
 * wrong with the one that may not. For manifest_parse.c only.
 */
#ifndef PREON_COMMON_MANIFEST_LINES_H
#define PREON_COMMON_MANIFEST_LINES_H

#include "common/manifest.h"

struct lines {
    struct pn_bytes rest; /* after the line ahead */
    struct pn_bytes line; /* the line ahead, without LF; ptr NULL at the end */
    uint32_t taken;       /* number of the line that sentences are about: the last one taken */
    struct manifest *m;   /* what is being read */
    char *value;          /* the last value as a string; owned; room for the longest line */
    struct pn_err *err;   /* never NULL */
};

/* Puts the first line ahead. Every line must end with LF and hold only printable UTF-8. */
enum pn_status lines_start(struct lines *p);

/* The line ahead is taken; the one after it is ahead now. */
enum pn_status lines_take(struct lines *p);

/* Fails: the line ahead is not what must come here. */
enum pn_status lines_unexpected(struct lines *p, const char *wanted);

bool lines_ahead_is(const struct lines *p, const char *text);

/* Whether the line ahead exists and is not a section's title. */
bool lines_in_section(const struct lines *p);

/* Whether the line ahead is "key = …"; then *value is what follows, borrowed from the text. */
bool lines_ahead_key(const struct lines *p, const char *key, struct pn_bytes *value);

/* Takes the "key = …" or the line that must come next. */
enum pn_status lines_take_key(struct lines *p, const char *key, struct pn_bytes *value);
enum pn_status lines_take_line(struct lines *p, const char *text);

/* Values of the line last taken. Strings are in p->value until the next call. */
const char *lines_plain_value(struct lines *p, struct pn_bytes in);
enum pn_status lines_escaped_value(struct lines *p, struct pn_bytes in);
enum pn_status lines_number_value(struct lines *p, const char *key, struct pn_bytes in,
                                  uint64_t min, uint64_t max, uint64_t *out);
enum pn_status lines_hex_value(struct lines *p, const char *key, struct pn_bytes in, uint8_t *out,
                               size_t len);

/* Decimal without leading zeros, below 2^64. */
bool lines_decimal(struct pn_bytes in, uint64_t *out);

/* How many bytes of a line a sentence shows, for "%.*s". */
int lines_shown(struct pn_bytes line);

#endif
