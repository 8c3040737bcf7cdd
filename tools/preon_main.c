/* The preon program: finds the command that the words name, and runs it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/command.h"
#include "tools/commands.h"
#include "tools/paths_sys.h"

enum { HELP_BYTES_MAX = 64 * 1024, WORDS_MAX = 64, USAGE_BYTES = 128 };

/* How many of argv's words are the command's, 0 when they are not all there. */
static size_t match(const char *words, const char *const *argv, size_t argc)
{
    size_t count = 0;
    while (*words != '\0') {
        size_t len = strcspn(words, " ");
        if (count == argc || strlen(argv[count]) != len || memcmp(argv[count], words, len) != 0) {
            return 0;
        }
        count++;
        words += len;
        words += strspn(words, " ");
    }
    return count;
}

static const struct command *find(const char *const *argv, size_t argc, size_t *used)
{
    const struct command *best = NULL;
    *used = 0;
    for (const struct command *c = COMMANDS; c->words != NULL; c++) {
        size_t count = match(c->words, argv, argc);
        if (count > *used) {
            best = c;
            *used = count;
        }
    }
    return best;
}

/* Whether the command begins with these words, and then what its next word is. */
static bool next_word(const struct command *c, const char *const *argv, size_t argc, char out[32])
{
    const char *words = c->words;
    for (size_t i = 0; i < argc; i++) {
        size_t len = strcspn(words, " ");
        if (strlen(argv[i]) != len || memcmp(words, argv[i], len) != 0 || words[len] != ' ') {
            return false;
        }
        words += len + 1;
    }
    (void)snprintf(out, 32, "%.*s", (int)strcspn(words, " "), words);
    return true;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* The commands that begin with these words (none: all). */
static void print_commands(FILE *to, const char *const *argv, size_t argc)
{
    char word[32];
    (void)fprintf(to, "Preon %s: volunteer computing without a project server.\n\n", PREON_VERSION);
    for (const struct command *c = COMMANDS; c->words != NULL; c++) {
        if (next_word(c, argv, argc, word)) {
            (void)fprintf(to, "  preon %-24s %s\n", c->words, c->summary);
        }
    }
    (void)fprintf(to,
                  "\n`preon COMMAND --help` tells its options. Settings: `preon help settings`.\n");
}

static void print_settings(void)
{
    char path[PATH_BYTES_MAX];
    char variable[SETTINGS_VARIABLE_BYTES];
    const char *name = paths_config("preon.conf", path, NULL) == PN_OK ? path : "preon.conf";
    (void)printf("An option goes before its variable, and that before %s\n"
                 "(lines \"name = value\", \"#\" begins a comment).\n\n",
                 name);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        settings_variable(SETTINGS[i].name, variable);
        (void)printf("  %-12s %-18s %s\n", SETTINGS[i].name, variable, SETTINGS[i].meaning);
    }
}

/* The words name no command: says which one they may have meant. */
static enum exit_code unknown(const char *const *argv, size_t argc)
{
    /* The longest beginning that some commands have. */
    for (size_t known = argc; known-- > 0;) {
        char next[WORDS_MAX][32];
        const char *names[WORDS_MAX];
        size_t count = 0;
        for (const struct command *c = COMMANDS; c->words != NULL && count < WORDS_MAX; c++) {
            if (next_word(c, argv, known, next[count])) {
                names[count] = next[count];
                count++;
            }
        }
        if (count == 0) {
            continue;
        }
        const char *near = args_nearest(argv[known], names, count);
        return complain_text(EXIT_CODE_USAGE, "unknown command '%s'%s%s%s", argv[known],
                             near != NULL ? "; did you mean '" : "; see preon --help",
                             near != NULL ? near : "", near != NULL ? "'?" : "");
    }
    return complain_text(EXIT_CODE_USAGE, "no command; see preon --help");
}

static enum exit_code no_command(const char *const *argv, size_t argc)
{
    char word[32];
    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        return command_version(argc > 1 && strcmp(argv[1], "--json") == 0);
    }
    if (argc == 2 && strcmp(argv[0], "help") == 0 && strcmp(argv[1], "settings") == 0) {
        print_settings();
        return EXIT_CODE_OK;
    }
    const bool asked = argc > 1 && strcmp(argv[0], "help") == 0; /* "help job" is "job --help" */
    argv += asked;
    argc -= asked;
    if (argc == 0 || asked || is_help(argv[argc - 1])) {
        size_t known = argc == 0 || asked ? argc : argc - 1;
        for (const struct command *c = COMMANDS; c->words != NULL; c++) {
            if (next_word(c, argv, known, word)) {
                print_commands(argc == 0 ? stderr : stdout, argv, known);
                return argc == 0 ? EXIT_CODE_USAGE : EXIT_CODE_OK;
            }
        }
    }
    for (const struct command *c = COMMANDS; c->words != NULL; c++) {
        if (next_word(c, argv, argc, word)) { /* a noun without its verb */
            (void)fprintf(stderr, "preon: %s: which of these?\n\n", argv[argc - 1]);
            print_commands(stderr, argv, argc);
            return EXIT_CODE_USAGE;
        }
    }
    return unknown(argv, argc);
}

static enum exit_code print_help(const struct args_spec *spec)
{
    struct buffer text;
    buffer_init(&text, HELP_BYTES_MAX);
    bool good = args_help(spec, &text) == PN_OK;
    if (good) {
        (void)fwrite(text.ptr, 1, text.len, stdout);
    }
    buffer_fini(&text);
    return good ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}

/* The settings file is optional; what is wrong in it is said with its name. */
static enum pn_status read_settings(struct settings *out, struct pn_err *err)
{
    char path[PATH_BYTES_MAX];
    struct buffer text;
    if (paths_config("preon.conf", path, NULL) != PN_OK) {
        return PN_OK; /* no home folder: no settings */
    }
    enum pn_status status = paths_read(path, SETTINGS_BYTES_MAX, &text, err);
    if (status == PN_OK) {
        status = settings_parse(buffer_bytes(&text), out, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "%s", path);
        }
    } else if (status == PN_E_NOT_FOUND) {
        status = PN_OK;
    }
    buffer_fini(&text);
    return status;
}

/* A tracker, or a nonce that is checked, needs no folder; and who has no home has none. */
static enum pn_status find_data(struct context *c, char path[PATH_BYTES_MAX], struct pn_err *err)
{
    if (!args_known(&c->args, "data")) {
        return PN_OK;
    }
    const char *given = context_text(c, "data");
    c->data_dir = path;
    return given != NULL ? paths_absolute(given, path, err) : paths_data(path, err);
}

/* The table of a command joined from those it shares with others. */
static struct args_spec spec_of(const struct command *command,
                                struct args_group groups[COMMAND_GROUPS_MAX],
                                char usage[USAGE_BYTES])
{
    size_t count = 0;
    while (count < COMMAND_GROUPS_MAX && command->groups[count] != NULL) {
        groups[count] = *command->groups[count];
        count++;
    }
    (void)snprintf(usage, USAGE_BYTES, "preon %s %s", command->words, command->usage);
    return (struct args_spec){
        .usage = usage,
        .summary = command->about,
        .groups = groups,
        .group_count = count,
        .positional = command->positional,
        .positional_min = command->positional_min,
        .positional_max = command->positional_max,
    };
}

static enum exit_code run(const struct command *command, const char *const *argv, size_t argc)
{
    struct pn_err err;
    char data[PATH_BYTES_MAX];
    char usage[USAGE_BYTES];
    struct args_group groups[COMMAND_GROUPS_MAX];
    const struct args_spec spec = spec_of(command, groups, usage);
    struct context c = {.command = command};
    if (args_parse(&spec, argv, argc, &c.args, &err) != PN_OK) {
        return complain_usage(&err);
    }
    enum exit_code code;
    if (c.args.help) {
        code = print_help(&spec);
    } else if (read_settings(&c.settings, &err) != PN_OK || find_data(&c, data, &err) != PN_OK) {
        code = complain_usage(&err);
    } else {
        c.json = args_known(&c.args, "json") && args_given(&c.args, "json");
        code = command->run(&c);
    }
    /* A result that could not be written is not a success. */
    if (fflush(stdout) != 0 && code == EXIT_CODE_OK) {
        code = complain_text(EXIT_CODE_FAILED, "stdout: %s", strerror(errno));
    }
    settings_fini(&c.settings);
    args_fini(&c.args);
    return code;
}

int main(int argc, char **argv)
{
    const char *const *words = (const char *const *)argv + 1;
    const size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    size_t used = 0;
    if (count > 1 && strcmp(words[0], "help") == 0) { /* "help job list" is "job list --help" */
        static const char *const HELP[] = {"--help"};
        const struct command *asked = find(words + 1, count - 1, &used);
        if (asked != NULL) {
            return (int)run(asked, HELP, 1);
        }
    }
    const struct command *command = find(words, count, &used);
    return (int)(command == NULL ? no_command(words, count)
                                 : run(command, words + used, count - used));
}
