#include "tools/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A setting from environment or file, NULL when neither has it. */
static const char *set_text(const struct context *c, const char *name)
{
    char variable[SETTINGS_VARIABLE_BYTES];
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
        return EXIT_CODE_UNREACHABLE;
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
    for (char *p = line; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
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
