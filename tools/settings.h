/*
 * settings -- preon.conf: lines "name = value", "#" begins a comment line.
 *
 * Names are those of options, but for a tracker's --host and --port, which are "tracker-host" and
 * "tracker-port": one file serves peer and tracker. A value given on the command line, or in the
 * environment as PREON_NAME, goes before the file's. Lists (tracker, owner) are separated by
 * commas.
 */
#ifndef PREON_TOOLS_SETTINGS_H
#define PREON_TOOLS_SETTINGS_H

#include "common/bytes.h"
#include "common/status.h"

enum { SETTINGS_BYTES_MAX = 64 * 1024 };

struct setting {
    const char *name;    /* "data": the option, and "PREON_DATA" the variable */
    const char *meaning; /* for `preon help settings` */
};

/* Everything that can be set; name NULL behind the last one. */
extern const struct setting SETTINGS[];
enum { SETTING_COUNT = 14 };

struct settings {
    char *memory;                      /* owned; the values point into it */
    const char *values[SETTING_COUNT]; /* in the order of SETTINGS; NULL: not set */
    unsigned lines[SETTING_COUNT];     /* where; 0: not set */
};

/*
 * Parses a file's text. *out is written on PN_OK only and freed with settings_fini.
 * Fails with PN_E_MALFORMED or PN_E_NOT_FOUND and a sentence that names line and setting.
 */
enum pn_status settings_parse(struct pn_bytes text, struct settings *out, struct pn_err *err);
void settings_fini(struct settings *s);

/* The value of a setting, NULL when the file has none. The name must be one of SETTINGS. */
const char *settings_value(const struct settings *s, const char *name);

/* The line that sets it, from 1; 0 when none does, or it is no setting. */
unsigned settings_line(const struct settings *s, const char *name);

/* "log-level" -> "PREON_LOG_LEVEL". */
enum { SETTINGS_VARIABLE_BYTES = 32 };
void settings_variable(const char *name, char out[SETTINGS_VARIABLE_BYTES]);

#endif
