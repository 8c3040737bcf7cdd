/*
 * hex -- lower-case hexadecimal, the one way IDs are shown.
 */
#ifndef PREON_COMMON_HEX_H
#define PREON_COMMON_HEX_H

#include "common/bytes.h"

/* Writes 2 * in.len digits and a terminator to text. */
void hex_write(struct pn_bytes in, char *text);

/*
 * Reads exactly 2 * len digits from text (not necessarily terminated) into out. Upper-case digits
 * are refused: each value has one spelling. False leaves out undefined.
 */
bool hex_parse(const char *text, size_t text_len, uint8_t *out, size_t len);

#endif
