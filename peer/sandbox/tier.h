/*
 * tier -- how well this machine can contain a stranger's program, and what would make it better.
 */
#ifndef PREON_PEER_SANDBOX_TIER_H
#define PREON_PEER_SANDBOX_TIER_H

#include <stdbool.h>
#include <stdint.h>

enum sandbox_tier {
    SANDBOX_NONE = 0,    /* nothing is run */
    SANDBOX_REDUCED = 1, /* no namespaces: the peer's own programs only, under seccomp and limits */
    SANDBOX_FULL = 2,    /* anything the volunteer consents to */
};

enum {
    TIER_REASON_BYTES = 192,
    TIER_REMEDY_BYTES = 320,
};

/* What a machine shows about why namespaces were refused; -1 where a file does not exist. */
struct tier_facts {
    int error;              /* errno of the refused call */
    int userns_clone;       /* kernel.unprivileged_userns_clone (Debian, Ubuntu) */
    int apparmor_restricts; /* kernel.apparmor_restrict_unprivileged_userns */
    int64_t userns_max;     /* user.max_user_namespaces */
    bool container;         /* we seem to be in one: somebody filters our calls */
};

/* "none", "reduced", "full". */
const char *tier_name(enum sandbox_tier tier);
bool tier_parse(const char *text, enum sandbox_tier *out);

/* One sentence that says what to do; always terminated. Returns out. */
const char *tier_remedy(const struct tier_facts *facts, char out[TIER_REMEDY_BYTES]);

#endif
