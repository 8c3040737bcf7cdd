/*
 * nonce_args -- a puzzle's options: as people type them, and as words of a manifest.
 *
 * `preon job create nonce`, `preon nonce verify`, the nonce program and the manifest share this
 * table. In a manifest nothing is left open: start and count stand there as numbers, and a block
 * from a file stands there as its midstate and its last bytes (--midstate, --midstate-bytes,
 * --block-hex), so that a block of any length makes a small manifest and no file need travel.
 */
#ifndef PREON_JOBS_NONCE_ARGS_H
#define PREON_JOBS_NONCE_ARGS_H

#include "common/args.h"
#include "jobs/nonce/nonce_puzzle.h"

enum { NONCE_BLOCK_BYTES_MAX = 1024 * 1024 };

/* The table, to be named as a group of a spec. */
extern const struct args_group nonce_args_group;

/* How the words of a manifest are parsed. */
extern const struct args_spec nonce_args_words;

/*
 * The puzzle that parsed options pose. file holds the bytes of the file that --block-file names
 * (the caller reads it), NULL when the option is not given or not allowed.
 *
 * out  is written only on PN_OK.
 * Fails with PN_E_RANGE or PN_E_MALFORMED and a sentence that names the option.
 */
enum pn_status nonce_args_puzzle(const struct args *a, const struct pn_bytes *file,
                                 struct nonce_puzzle *out, struct pn_err *err);

/* The puzzle of a manifest's words; fails as nonce_args_puzzle, or with PN_E_NO_MEMORY. */
enum pn_status nonce_args_parse(const char *const *argv, size_t argc, struct nonce_puzzle *out,
                                struct pn_err *err);

/* That the puzzle can be cut into so many slices, and that their hits can be listed. */
enum pn_status nonce_args_check_slices(const struct nonce_puzzle *p, uint64_t slices,
                                       struct pn_err *err);

/* How many nonces miss with a probability below one in a million, at most 2^64. */
nonce_count nonce_args_default_count(double chance);

/* Writes a count, up to 2^64, in decimal. */
enum { NONCE_COUNT_TEXT_BYTES = 24 };
void nonce_args_count_text(nonce_count count, char text[NONCE_COUNT_TEXT_BYTES]);

#endif
