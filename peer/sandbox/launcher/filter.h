/*
 * filter -- the policy's table as a seccomp program.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_FILTER_H
#define PREON_PEER_SANDBOX_LAUNCHER_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#include "common/status.h"

enum { FILTER_LENGTH_MAX = BPF_MAXINSNS };

struct filter {
    unsigned short length;
    struct sock_filter code[FILTER_LENGTH_MAX];
};

/* Compiles the column for tier full or reduced; a binary tree over the call numbers. */
enum pn_status filter_compile(bool full, struct filter *out, struct pn_err *err);

/* Puts it on the calling process, for ever and for all it forks. 0, or -1 with errno. */
int filter_install(const struct filter *f);

#endif
