/*
 * attempt_name -- the name of an attempt's folder, "<slice>.<attempt>": written and read back.
 *
 * A core. What lies in the data folder under another name is none of ours and left alone.
 */
#ifndef PREON_PEER_STORE_ATTEMPT_NAME_H
#define PREON_PEER_STORE_ATTEMPT_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum { ATTEMPT_NAME_BYTES = 42 }; /* twice 20 digits, a dot, the terminator */

/* Returns out. */
const char *attempt_name_write(uint64_t slice, uint64_t attempt, char out[ATTEMPT_NAME_BYTES]);

/* False, and nothing written, unless attempt_name_write gives exactly this name. */
bool attempt_name_parse(const char *name, uint64_t *slice, uint64_t *attempt);

#endif
