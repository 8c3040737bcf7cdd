/*
 * utf8 -- texts of strangers: what of them a terminal may be shown.
 */
#ifndef PREON_COMMON_UTF8_H
#define PREON_COMMON_UTF8_H

#include <stdbool.h>

#include "common/bytes.h"

/* The length of the sequence at the front of p (left >= 1), 0 when it is none (RFC 3629). */
size_t utf8_length(const uint8_t *p, size_t left);

/*
 * True when a sequence of that length is a control character: of ASCII, one of U+0080 to U+009F,
 * which terminals obey like ESC and a letter, or one that moves or hides what stands around it
 * ("gnp<U+202E>.exe" is shown as "gnpexe."): direction marks, overrides and isolates, separators of
 * lines, spaces of no width. The joiners U+200C and U+200D are none: languages are written with
 * them.
 */
bool utf8_is_control(const uint8_t *p, size_t len);

/* Valid UTF-8 without NUL. */
bool utf8_valid(struct pn_bytes text);

/*
 * Makes a text harmless in place: every byte of a control character becomes '?', and every byte
 * that is no UTF-8, which some terminals take for such. LF and TAB stay if `lines` says so.
 */
void utf8_tame(char *text, bool lines);

#endif
