/*
 * command -- what the preon program can be told: a table of commands, and what each gets to run.
 */
#ifndef PREON_TOOLS_COMMAND_H
#define PREON_TOOLS_COMMAND_H

#include "common/args.h"
#include "tools/settings.h"

/* Exit codes, the same for every command; README.md documents them. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,       /* bad input; nothing was changed */
    EXIT_CODE_NONE = 3,        /* searched all, none exists */
    EXIT_CODE_UNREACHABLE = 4, /* nobody there, or who is there refuses */
    EXIT_CODE_VERIFICATION = 5,
    EXIT_CODE_TIMED_OUT = 6,
    EXIT_CODE_INTERRUPTED = 130,
};

enum { COMMAND_GROUPS_MAX = 5 };

struct context;

struct command {
    const char *words;   /* "job create nonce" */
    const char *summary; /* one line for the list of commands */
    const char *usage;   /* what follows "preon WORDS": "[options] ID" */
    const char *about;   /* a few lines for its own help */
    enum exit_code (*run)(struct context *c);
    const struct args_group *groups[COMMAND_GROUPS_MAX]; /* up to the first NULL */
    const char *positional;                              /* as in struct args_spec */
    size_t positional_min;
    size_t positional_max;
};

/* What a command gets to run. */
struct context {
    const struct command *command;
    struct args args;
    struct settings settings;
    const char *data_dir; /* absolute; owned by main; NULL for a command without --data */
    bool json;            /* --json, where the command has it */
};

/* All of them, in the order of the help; words NULL behind the last one. */
extern const struct command COMMANDS[];

/*
 * The text of an option with its settings: command line, then environment, then file, then the
 * table's default; NULL when there is none. `name` is an option of the command and a setting.
 */
const char *context_text(const struct context *c, const char *name);

/* Item index of a list option with its settings; NULL behind the last. Copied to out. */
enum { CONTEXT_ITEM_BYTES = 256 };
const char *context_item(const struct context *c, const char *name, size_t index,
                         char out[CONTEXT_ITEM_BYTES]);

/* Where a value comes from: "--port", "PREON_PORT" or "/…/preon.conf: line 3: port". Returns out.
 */
enum { CONTEXT_ORIGIN_BYTES = 128 };
const char *context_origin(const struct context *c, const char *option,
                           char out[CONTEXT_ORIGIN_BYTES]);

/* context_text as a number of at most max. Fails with PN_E_MALFORMED or PN_E_RANGE. */
enum pn_status context_number(const struct context *c, const char *name, uint64_t max,
                              uint64_t *out, struct pn_err *err);

/* Prints "preon: sentence" to stderr and returns the exit code that fits the status. */
enum exit_code complain(const struct pn_err *err);
/* The same for bad input of any status: EXIT_CODE_USAGE. */
enum exit_code complain_usage(const struct pn_err *err);
/* The same for a file that the user names: EXIT_CODE_USAGE unless disk or memory are short. */
enum exit_code complain_file(const struct pn_err *err);
__attribute__((format(printf, 2, 3))) enum exit_code complain_text(enum exit_code code,
                                                                   const char *format, ...);

#endif
