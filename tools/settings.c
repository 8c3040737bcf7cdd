#include "tools/settings.h"

#include <assert.h>
#include <stdlib.h>

#include "common/args.h"

const struct setting SETTINGS[] = {
    {"data", "folder of the peer's data"},
    {"key", "file of the owner's key"},
    {"tracker", "trackers, HOST[:PORT], separated by commas"},
    {"threads", "slices that run at a time"},
    {"host", "address that a peer listens on"},
    {"port", "port that a peer listens on"},
    {"tracker-host", "address that a tracker listens on (its --host)"},
    {"tracker-port", "port that a tracker listens on (its --port)"},
    {"lan", "yes: private addresses may be dialled"},
    {"priority", "of slices beside your own programs: low, or normal"},
    {"owner", "owners whose foreign programs are welcome, separated by commas"},
    {"jobs", "own, any, or names of programs, separated by commas"},
    {"user", "user to become when started as root"},
    {"log-level", "error, warn, info or debug"},
    {NULL, NULL},
};
_Static_assert(sizeof SETTINGS / sizeof SETTINGS[0] == SETTING_COUNT + 1, "SETTING_COUNT");

/* SETTING_COUNT when there is none. */
static size_t index_of(const char *name)
{
    size_t i = 0;
    while (i < SETTING_COUNT && strcmp(SETTINGS[i].name, name) != 0) {
        i++;
    }
    return i;
}

static enum pn_status unknown(const char *name, unsigned line, struct pn_err *err)
{
    const char *names[SETTING_COUNT];
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        names[i] = SETTINGS[i].name;
    }
    const char *near = args_nearest(name, names, SETTING_COUNT);
    return pn_fail(err, PN_E_NOT_FOUND, "line %u: unknown setting '%.40s'%s%s%s", line, name,
                   near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                   near != NULL ? "'?" : "");
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t\r");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r", text[len - 1]) != NULL) {
        text[--len] = '\0';
    }
    return text;
}

static enum pn_status take_line(struct settings *s, char *line, unsigned number, struct pn_err *err)
{
    line = trimmed(line);
    if (*line == '\0' || *line == '#') {
        return PN_OK;
    }
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return pn_fail(err, PN_E_MALFORMED, "line %u: '%.40s' is not 'name = value'", number, line);
    }
    *equals = '\0';
    const char *name = trimmed(line);
    size_t index = index_of(name);
    if (index == SETTING_COUNT) {
        return unknown(name, number, err);
    }
    if (s->values[index] != NULL) {
        return pn_fail(err, PN_E_MALFORMED, "line %u: '%s' is set twice", number, name);
    }
    s->values[index] = trimmed(equals + 1);
    s->lines[index] = number;
    return PN_OK;
}

enum pn_status settings_parse(struct pn_bytes text, struct settings *out, struct pn_err *err)
{
    struct settings s = {.memory = NULL};
    if (text.len > SETTINGS_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "%zu bytes, at most %d", text.len, SETTINGS_BYTES_MAX);
    }
    if (text.len > 0 && memchr(text.ptr, 0, text.len) != NULL) {
        return pn_fail(err, PN_E_MALFORMED, "not a text");
    }
    s.memory = malloc(text.len + 1);
    if (s.memory == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    if (text.len > 0) {
        memcpy(s.memory, text.ptr, text.len);
    }
    s.memory[text.len] = '\0';
    unsigned number = 0;
    for (char *line = s.memory; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        enum pn_status status = take_line(&s, line, ++number, err);
        if (status != PN_OK) {
            settings_fini(&s);
            return status;
        }
        line = end;
    }
    *out = s;
    return PN_OK;
}

void settings_fini(struct settings *s)
{
    free(s->memory);
    *s = (struct settings){.memory = NULL};
}

const char *settings_value(const struct settings *s, const char *name)
{
    size_t index = index_of(name);
    assert(index < SETTING_COUNT);
    return s->values[index];
}

unsigned settings_line(const struct settings *s, const char *name)
{
    size_t index = index_of(name);
    return index < SETTING_COUNT ? s->lines[index] : 0;
}

void settings_variable(const char *name, char out[SETTINGS_VARIABLE_BYTES])
{
    static const char PREFIX[] = "PREON_";
    size_t len = sizeof PREFIX - 1;
    memcpy(out, PREFIX, len);
    assert(strlen(name) < SETTINGS_VARIABLE_BYTES - len);
    for (; *name != '\0'; name++) {
        bool lower = *name >= 'a' && *name <= 'z';
        out[len++] = *name == '-' ? '_' : (char)(lower ? *name - 'a' + 'A' : *name);
    }
    out[len] = '\0';
}
