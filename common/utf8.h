/*
 * utf8 -- texts of strangers: what of them a terminal may be shown.
 */
#ifndef PREON_COMMON_UTF8_H
#define PREON_COMMON_UTF8_H

#include <stdbool.h>

#include "common/bytes.h"

/* The length of the sequence at the front of p (left >= 1), 0 when it is none (RFC 3629). */
size_t utf8_length(const uint8_t *p, size_t left);

/* Valid UTF-8 without NUL. */
bool utf8_valid(struct pn_bytes text);

/*
 * Makes a text harmless in place: every byte of a control character becomes '?', be it one of
 * ASCII, one of U+0080 to U+009F, which terminals obey like ESC and a letter, or a byte that is no
 * UTF-8, which some take for such. LF and TAB stay if `lines` says so.
 */
void utf8_tame(char *text, bool lines);

#endif
