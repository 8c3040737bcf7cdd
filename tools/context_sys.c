#include "tools/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/utf8.h"
#include "tools/interrupt_sys.h"
#include "tools/paths_sys.h"

/* The setting that stands for an option: where a tracker listens is not where peers do. */
static const char *setting_of(const struct context *c, const char *option)
{
    static const char *const TRACKERS[][2] = {{"host", "tracker-host"}, {"port", "tracker-port"}};
    for (size_t i = 0; i < 2 && strcmp(c->command->words, "tracker") == 0; i++) {
        if (strcmp(option, TRACKERS[i][0]) == 0) {
            return TRACKERS[i][1];
        }
    }
    return option;
}

/* An option's setting from environment or file, NULL when neither has it. */
static const char *set_text(const struct context *c, const char *option)
{
    char variable[SETTINGS_VARIABLE_BYTES];
    const char *name = setting_of(c, option);
    settings_variable(name, variable);
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? text : settings_value(&c->settings, name);
}

const char *context_text(const struct context *c, const char *name)
{
    const char *set = args_given(&c->args, name) ? NULL : set_text(c, name);
    return set != NULL ? set : args_text(&c->args, name);
}

const char *context_item(const struct context *c, const char *name, size_t index,
                         char out[CONTEXT_ITEM_BYTES])
{
    const char *text = args_list(&c->args, name, index);
    if (text != NULL || args_list(&c->args, name, 0) != NULL) {
        if (text != NULL) {
            (void)snprintf(out, CONTEXT_ITEM_BYTES, "%s", text);
        }
        return text != NULL ? out : NULL;
    }
    text = set_text(c, name);
    for (; text != NULL; index--) {
        text += strspn(text, ", ");
        size_t len = strcspn(text, ", ");
        if (len == 0) {
            return NULL;
        }
        if (index == 0) {
            (void)snprintf(out, CONTEXT_ITEM_BYTES, "%.*s", (int)len, text);
            return out;
        }
        text += len;
    }
    return NULL;
}

const char *context_origin(const struct context *c, const char *option,
                           char out[CONTEXT_ORIGIN_BYTES])
{
    char variable[SETTINGS_VARIABLE_BYTES];
    char path[PATH_BYTES_MAX];
    const char *name = setting_of(c, option);
    const unsigned line = settings_line(&c->settings, name);
    settings_variable(name, variable);
    const char *set = getenv(variable);
    if (!args_given(&c->args, option) && set != NULL && set[0] != '\0') {
        (void)snprintf(out, CONTEXT_ORIGIN_BYTES, "%s", variable);
    } else if (!args_given(&c->args, option) && line > 0) {
        /* A sentence has room for a path of usual length. */
        const bool fits = paths_config("preon.conf", path, NULL) == PN_OK && strlen(path) < 80;
        (void)snprintf(out, CONTEXT_ORIGIN_BYTES, "%s: line %u: %s", fits ? path : "preon.conf",
                       line, name);
    } else {
        (void)snprintf(out, CONTEXT_ORIGIN_BYTES, "--%s", option);
    }
    return out;
}

enum pn_status context_number(const struct context *c, const char *name, uint64_t max,
                              uint64_t *out, struct pn_err *err)
{
    char origin[CONTEXT_ORIGIN_BYTES];
    enum pn_status status = args_number(ARGS_U64, context_text(c, name), out, err);
    if (status != PN_OK || *out > max) {
        status = pn_fail(err, status != PN_OK ? status : PN_E_RANGE,
                         "%s: \"%.40s\": allowed are 0 to %llu", context_origin(c, name, origin),
                         context_text(c, name), (unsigned long long)max);
    }
    return status;
}

static enum exit_code code_of(enum pn_status status)
{
    switch (status) {
    case PN_OK:
        return EXIT_CODE_OK;
    case PN_E_TIMEOUT:
        return EXIT_CODE_TIMED_OUT;
    case PN_E_MISMATCH:
        return EXIT_CODE_VERIFICATION;
    case PN_E_CLOSED:
        return interrupt_came() ? EXIT_CODE_INTERRUPTED : EXIT_CODE_UNREACHABLE;
    case PN_E_RANGE:
    case PN_E_MALFORMED:
    case PN_E_TOO_BIG:
        return EXIT_CODE_USAGE;
    case PN_E_NOT_FOUND:
    case PN_E_EXISTS:
    case PN_E_DENIED:
    case PN_E_BUSY:
    case PN_E_FULL:
    case PN_E_UNSUPPORTED:
    case PN_E_NO_MEMORY:
    case PN_E_SYSTEM:
        break;
    }
    return EXIT_CODE_FAILED;
}

/* One line, whatever strangers' texts are in it. */
static void print_line(const char *text)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "preon: %s", text);
    utf8_tame(line, false);
    (void)fprintf(stderr, "%s\n", line);
}

enum exit_code complain(const struct pn_err *err)
{
    print_line(err->text);
    return code_of(err->status);
}

enum exit_code complain_usage(const struct pn_err *err)
{
    print_line(err->text);
    return EXIT_CODE_USAGE;
}

enum exit_code complain_file(const struct pn_err *err)
{
    const bool ours = err->status == PN_E_FULL || err->status == PN_E_NO_MEMORY;
    print_line(err->text);
    return ours ? EXIT_CODE_FAILED : EXIT_CODE_USAGE;
}

enum exit_code complain_text(enum exit_code code, const char *format, ...)
{
    char text[960];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_line(text);
    return code;
}
