/*
 * policy -- which system calls a slice may make, as a table.
 *
 * The launcher turns it into a seccomp filter once. What is not in the table answers ENOSYS, as on
 * an older kernel, so that programs fall back; what is known to be an attack or would reach outside
 * answers EPERM; calls of a foreign architecture kill. Two columns: tier full relies on namespaces
 * for what a call can reach (kill, wait, tmpfs), tier reduced has none and forbids more.
 */
#ifndef PREON_PEER_SANDBOX_POLICY_H
#define PREON_PEER_SANDBOX_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy_action {
    POLICY_UNKNOWN = 0, /* ENOSYS: the default */
    POLICY_ALLOW,
    POLICY_DENY, /* EPERM */
};

/*
 * A call may depend on arguments: it is allowed if any of its rows matches, and unknown (ENOSYS) if
 * none does. A call with such rows has no others.
 */
enum policy_compare {
    POLICY_ALWAYS = 0,
    POLICY_ARG_EQUAL,  /* argument == value */
    POLICY_ARG_MASKED, /* (argument & mask) == value */
};

struct policy_row {
    const char *call;
    enum policy_action full; /* POLICY_UNKNOWN: in this tier the row does not exist */
    enum policy_action reduced;
    enum policy_compare compare;
    uint8_t arg; /* 0 to 5 */
    uint64_t mask;
    uint64_t value;
};

/* Rows of one call stand together. Calls that an architecture lacks are skipped there. */
extern const struct policy_row policy_rows[];
extern const size_t policy_row_count;

/* What the table says of a call with these arguments, for tests and for people. */
enum policy_action policy_decide(bool full, const char *call, const uint64_t args[6]);

#endif
