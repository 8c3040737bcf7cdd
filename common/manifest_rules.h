/*
 * manifest_rules -- what a manifest may say, checked the same way when one is read and when one is
 * written. For manifest*.c only; manifest.h is the interface.
 */
#ifndef PREON_COMMON_MANIFEST_RULES_H
#define PREON_COMMON_MANIFEST_RULES_H

#include "common/manifest.h"

/* The keys of [limits], in the order in which they are written. */
enum { LIMIT_COUNT = 5 };

struct limit_rule {
    const char *key;
    uint64_t min;
    uint64_t max;
    uint64_t standard; /* the default: not written */
};
extern const struct limit_rule LIMIT_RULES[LIMIT_COUNT];

/* The limits as an array in the order of LIMIT_RULES, and back (values within the rules). */
void limits_to_values(const struct limits *l, uint64_t values[LIMIT_COUNT]);
void limits_from_values(const uint64_t values[LIMIT_COUNT], struct limits *out);

enum {
    JOB_TIMEOUT_MAX_S = 366 * 24 * 3600,
    RULES_SHOWN_BYTES = 64, /* of a name in a sentence, with its terminator */
};

/* "slices = 0: allowed are 1 to 16777216", PN_E_RANGE. */
enum pn_status rules_number(const char *key, uint64_t value, uint64_t min, uint64_t max,
                            struct pn_err *err);

/* The value of `name =`. */
enum pn_status rules_job_name(const char *name, struct pn_err *err);

/* A name of a file, a dependency or an output; what says which, for the sentence. */
enum pn_status rules_name(const char *what, const char *name, struct pn_err *err);

/* A KEY=VALUE of the environment. */
enum pn_status rules_env(const char *entry, struct pn_err *err);

/* Order of two KEY=VALUE by KEY; 0 for equal keys. */
int rules_env_compare(const char *a, const char *b);

/* The command's first word without its prefix. */
enum pn_status rules_program(enum program_kind kind, const char *program, struct pn_err *err);

/* Everything that concerns several lines. The lists are sorted. */
enum pn_status rules_whole(const struct manifest *m, struct pn_err *err);

/* 0x01..0x1f and 0x7f; a plain space is not one. */
static inline bool rules_control(uint8_t c) { return c < 0x20 || c == 0x7f; }

/* A name as a sentence may show it: cut, control characters replaced. Returns shown. */
const char *rules_shown(const char *name, char shown[RULES_SHOWN_BYTES]);

#endif
