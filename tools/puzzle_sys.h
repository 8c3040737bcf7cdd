/*
 * puzzle_sys -- a nonce puzzle from a command's options, its block's file included.
 */
#ifndef PREON_TOOLS_PUZZLE_SYS_H
#define PREON_TOOLS_PUZZLE_SYS_H

#include "jobs/nonce/nonce_args.h"

/* a holds nonce_args_group. The sentence names the option. */
enum pn_status puzzle_read(const struct args *a, struct nonce_puzzle *out, struct pn_err *err);

#endif
