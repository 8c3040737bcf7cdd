/*
 * args -- a command line taken apart by tables, and the help text made from the same tables.
 *
 * A table has a row per option. The parser prints nothing: every error is one line that names the
 * option, the value and what is allowed. Options may stand before, between and behind positionals;
 * `--name value`, `--name=value`, `-n value` and `-nvalue` are the same; after `--` all is
 * positional. `--help` and `-h` are always there and end the parsing.
 */
#ifndef PREON_COMMON_ARGS_H
#define PREON_COMMON_ARGS_H

#include "common/buffer.h"

enum args_kind {
    ARGS_FLAG,     /* takes no value */
    ARGS_TEXT,     /* any text, the empty one too */
    ARGS_U64,      /* decimal digits */
    ARGS_BYTES,    /* digits and k, M, G or T (powers of 1024); the number is in bytes */
    ARGS_DURATION, /* digits and ms, s, m, h or d, or bare seconds; the number is in milliseconds */
    ARGS_LIST,     /* text that may be given again and again */
};

struct args_option {
    const char *name; /* without its dashes */
    char letter;      /* of the short form; '\0' when there is none */
    enum args_kind kind;
    uint64_t min;        /* of the number */
    uint64_t max;        /* of the number; 0 stands for UINT64_MAX */
    const char *value;   /* what the help calls the value: "N"; NULL for a flag */
    const char *help;    /* one short line, no full stop */
    const char *initial; /* what holds when the option is not given, as text; or NULL */
};

/* A table under its heading; commands share tables by naming them in several specs. */
struct args_group {
    const char *title; /* "Puzzle"; NULL: they are taken, but neither shown nor suggested */
    const struct args_option *options;
    size_t count;
};

struct args_spec {
    const char *usage;   /* "preon job wait [options] ID" */
    const char *summary; /* what it does, a line or several */
    const struct args_group *groups;
    size_t group_count;
    const char *positional; /* what one of them is called in errors: "job ID" */
    size_t positional_min;
    size_t positional_max;
};

struct args_value {
    const char *text; /* borrowed from argv or the table; NULL when neither has one */
    uint64_t number;  /* of the three kinds that have one */
    bool given;       /* on the command line, not by default */
};

struct args_item; /* one giving of an ARGS_LIST option */

struct args {
    const struct args_spec *spec;
    struct args_value *values; /* one per option, in the order of the tables */
    struct args_item *items;
    size_t item_count;
    const char **positionals; /* borrowed texts */
    size_t positional_count;
    size_t dashes; /* positionals from here on stood behind `--` */
    bool help;     /* --help was met; what came behind it was not looked at */
    void *memory;  /* owns the arrays above */
};

/*
 * Takes argv[0 .. argc-1] apart (the program's and the verb's words are already gone). spec and
 * argv must stay valid as long as *out is used; free it with args_fini.
 *
 * out  is written only on PN_OK.
 * Fails with PN_E_NOT_FOUND (no such option), PN_E_EXISTS (given twice), PN_E_MALFORMED (value
 * missing, not a number, too many words), PN_E_RANGE (value not allowed) or PN_E_NO_MEMORY.
 */
enum pn_status args_parse(const struct args_spec *spec, const char *const *argv, size_t argc,
                          struct args *out, struct pn_err *err);

void args_fini(struct args *a);

/*
 * Sets an option that was not given, from somewhere else (environment, settings file); one that
 * was given stays. text must stay valid as long as *a; `where` begins the error text.
 */
enum pn_status args_default(struct args *a, const char *name, const char *text, const char *where,
                            struct pn_err *err);

/* By name; asking for an option that no table has is a defect (assert). */
const struct args_value *args_value(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name); /* NULL when there is none */
uint64_t args_u64(const struct args *a, const char *name);
bool args_given(const struct args *a, const char *name);

/* Whether some table has the option. */
bool args_known(const struct args *a, const char *name);

/* The index-th text of a list option, NULL behind the last one. */
const char *args_list(const struct args *a, const char *name, size_t index);

/* Appends the help; fails as buffer_append does. */
enum pn_status args_help(const struct args_spec *spec, struct buffer *out);

/* The name that was probably meant by word, NULL when none is near. For verbs and values. */
const char *args_nearest(const char *word, const char *const *names, size_t name_count);

/*
 * Reads one number of a kind that has one, without range check. Fails with PN_E_MALFORMED or, over
 * 2^64 - 1, PN_E_RANGE; the sentence says what the form is.
 */
enum pn_status args_number(enum args_kind kind, const char *text, uint64_t *out,
                           struct pn_err *err);

#endif
