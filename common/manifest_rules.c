#include "common/manifest_rules.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/utf8.h"

enum { PROGRAM_NAME_MAX = 32 };

#define MIB ((uint64_t)1 << 20)
#define MONTH_S ((uint64_t)31 * 24 * 3600)

const struct limit_rule LIMIT_RULES[LIMIT_COUNT] = {
    {"time", 1, MONTH_S, 3600},
    {"cpu", 1, MONTH_S, 3600},
    {"memory", MIB, MIB << 20, 512 * MIB},
    {"processes", 1, 4096, 64},
    {"output", 0, MIB << 16, 64 * MIB},
};

const struct limits LIMITS_DEFAULT = {3600, 3600, 512 * MIB, 64, 64 * MIB};
const struct limits LIMITS_MAX = {MONTH_S, MONTH_S, MIB << 20, 4096, MIB << 16};

void limits_to_values(const struct limits *l, uint64_t values[LIMIT_COUNT])
{
    values[0] = l->time_s;
    values[1] = l->cpu_s;
    values[2] = l->memory_bytes;
    values[3] = l->process_count;
    values[4] = l->output_bytes;
}

void limits_from_values(const uint64_t values[LIMIT_COUNT], struct limits *out)
{
    out->time_s = (uint32_t)values[0];
    out->cpu_s = (uint32_t)values[1];
    out->memory_bytes = values[2];
    out->process_count = (uint32_t)values[3];
    out->output_bytes = values[4];
}

const char *rules_shown(const char *name, char shown[RULES_SHOWN_BYTES])
{
    size_t len = strnlen(name, RULES_SHOWN_BYTES - 1);
    memcpy(shown, name, len);
    shown[len] = '\0';
    utf8_tame(shown, false);
    return shown;
}

enum pn_status rules_number(const char *key, uint64_t value, uint64_t min, uint64_t max,
                            struct pn_err *err)
{
    if (value < min || value > max) {
        return pn_fail(err, PN_E_RANGE, "%s = %" PRIu64 ": allowed are %" PRIu64 " to %" PRIu64,
                       key, value, min, max);
    }
    return PN_OK;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* The plain characters of job and program names. */
static bool is_plain(char c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-';
}

enum pn_status rules_job_name(const char *name, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    size_t len = strnlen(name, JOB_NAME_MAX + 1);
    bool plain = len >= 1 && len <= JOB_NAME_MAX;
    for (size_t i = 0; plain && i < len; i++) {
        plain = is_plain(name[i]);
    }
    if (!plain) {
        return pn_fail(err, PN_E_MALFORMED,
                       "name = %s: allowed are 1 to %d letters, digits, '.', '_', '-'",
                       rules_shown(name, shown), JOB_NAME_MAX);
    }
    return PN_OK;
}

/* Why the name breaks the rules in manifest.h; NULL when it does not. */
static const char *name_fault(const char *name)
{
    size_t len = strnlen(name, NAME_BYTES_MAX + 1);
    if (len < 1 || len > NAME_BYTES_MAX) {
        return "must have 1 to 255 bytes";
    }
    for (size_t at = 0, step; at < len; at += step) {
        const uint8_t *p = (const uint8_t *)name + at;
        step = utf8_length(p, len - at);
        if (step == 0) {
            return "must be UTF-8";
        }
        if (utf8_is_control(p, step) || *p == '\\' || *p == '=') {
            return "must not hold control characters, '\\' or '='";
        }
    }
    if (name[0] == ' ' || name[0] == '[' || name[len - 1] == ' ') {
        return "must not begin with ' ' or '[', nor end with ' '";
    }
    for (const char *part = name;;) {
        size_t part_len = strcspn(part, "/");
        if (part_len == 0 || (part_len == 1 && part[0] == '.') ||
            (part_len == 2 && part[0] == '.' && part[1] == '.')) {
            return "must be relative, without empty, '.' or '..' parts";
        }
        if (part[part_len] == '\0') {
            break;
        }
        part += part_len + 1;
    }
    return NULL;
}

bool manifest_name_valid(const char *name) { return name_fault(name) == NULL; }

enum pn_status rules_name(const char *what, const char *name, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    const char *fault = name_fault(name);
    if (fault != NULL) {
        return pn_fail(err, PN_E_MALFORMED, "%s '%s': a name %s", what, rules_shown(name, shown),
                       fault);
    }
    return PN_OK;
}

enum pn_status rules_env(const char *entry, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    size_t key_len = strcspn(entry, "=");
    bool good = entry[key_len] == '=' && key_len >= 1 && key_len <= NAME_BYTES_MAX;
    for (size_t i = 0; good && i < key_len; i++) {
        good = is_letter(entry[i]) || entry[i] == '_' || (i > 0 && is_digit(entry[i]));
    }
    if (!good) {
        return pn_fail(err, PN_E_MALFORMED,
                       "env = %s: must be KEY=VALUE, KEY of letters, digits and '_'",
                       rules_shown(entry, shown));
    }
    if (strncmp(entry, "PREON_", 6) == 0) {
        return pn_fail(err, PN_E_DENIED, "env = %s: PREON_… are set by the peer",
                       rules_shown(entry, shown));
    }
    return PN_OK;
}

int rules_env_compare(const char *a, const char *b)
{
    size_t a_len = strcspn(a, "=");
    size_t b_len = strcspn(b, "=");
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    if (order != 0) {
        return order;
    }
    return (a_len > b_len) - (a_len < b_len);
}

/* NAME@V: lower-case letters, digits and '-', then a version from 1 without leading zero. */
static bool own_program_valid(const char *program)
{
    size_t len = strcspn(program, "@");
    bool good = len >= 1 && len <= PROGRAM_NAME_MAX && program[len] == '@';
    for (size_t i = 0; good && i < len; i++) {
        good = (is_letter(program[i]) && program[i] >= 'a') || is_digit(program[i]) ||
               program[i] == '-';
    }
    if (!good) {
        return false;
    }
    const char *version = program + len + 1;
    size_t digits = strspn(version, "0123456789");
    return digits >= 1 && digits <= 4 && version[0] != '0' && version[digits] == '\0';
}

enum pn_status rules_program(enum program_kind kind, const char *program, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    switch (kind) {
    case PROGRAM_OWN:
        if (!own_program_valid(program)) {
            return pn_fail(err, PN_E_MALFORMED, "arg = program:%s: must be NAME@VERSION",
                           rules_shown(program, shown));
        }
        break;
    case PROGRAM_FILE:
        return rules_name("arg = file:", program, err);
    case PROGRAM_SYSTEM:
        if (strchr(program, '/') != NULL || !manifest_name_valid(program)) {
            return pn_fail(err, PN_E_MALFORMED,
                           "arg = system:%s: must be the name of a command, without '/'",
                           rules_shown(program, shown));
        }
        break;
    }
    return PN_OK;
}

/* The three lists whose names are paths, seen alike. */
struct names {
    const char *what;
    const char *(*at)(const struct manifest *m, uint32_t index);
    uint32_t count;
};

static const char *file_at(const struct manifest *m, uint32_t i) { return m->files[i].name; }
static const char *dep_at(const struct manifest *m, uint32_t i) { return m->deps[i].name; }
static const char *output_at(const struct manifest *m, uint32_t i) { return m->outputs[i]; }

/* Whether the first len bytes of name are a name of the sorted list themselves. */
static bool names_hold(const struct manifest *m, const struct names *n, const char *name,
                       size_t len)
{
    uint32_t low = 0;
    uint32_t high = n->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const char *have = n->at(m, mid);
        int order = strncmp(have, name, len);
        if (order == 0) {
            order = have[len] != '\0';
        }
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return false;
}

/* Each name once, in order, and none that is another's folder. */
static enum pn_status check_names(const struct manifest *m, const struct names *n,
                                  struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    for (uint32_t i = 0; i < n->count; i++) {
        const char *name = n->at(m, i);
        if (i > 0 && strcmp(n->at(m, i - 1), name) >= 0) {
            return pn_fail(err, PN_E_MALFORMED, "%s '%s': twice, or not in sorted order", n->what,
                           rules_shown(name, shown));
        }
        for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
            if (names_hold(m, n, name, (size_t)(slash - name))) {
                return pn_fail(err, PN_E_MALFORMED, "%s '%s': its folder is a %s as well", n->what,
                               rules_shown(name, shown), n->what);
            }
        }
    }
    return PN_OK;
}

static enum pn_status check_files(const struct manifest *m, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    for (uint32_t i = 0; i < m->file_count; i++) {
        const char *name = m->files[i].name;
        if (m->files[i].size > FILE_BYTES_MAX) {
            return pn_fail(err, PN_E_TOO_BIG, "file '%s': %" PRIu64 " bytes, at most %" PRIu64,
                           rules_shown(name, shown), m->files[i].size, FILE_BYTES_MAX);
        }
        if (m->dep_count > 0 && (strcmp(name, "deps") == 0 || strncmp(name, "deps/", 5) == 0)) {
            return pn_fail(err, PN_E_MALFORMED, "file '%s': deps is the folder of [deps]",
                           rules_shown(name, shown));
        }
    }
    return PN_OK;
}

static size_t words_bytes(char *const *words, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += strlen(words[i]) + 3; /* a length and a terminator */
    }
    return bytes;
}

static enum pn_status check_command(const struct manifest *m, struct pn_err *err)
{
    char shown[RULES_SHOWN_BYTES];
    if (m->arg_count == 0) {
        return pn_fail(err, PN_E_MALFORMED, "[exec]: no command");
    }
    const size_t bytes = words_bytes(m->args, m->arg_count) + words_bytes(m->env, m->env_count);
    if (bytes > JOB_COMMAND_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG,
                       "[exec]: arguments and environment of %zu bytes, at most "
                       "%d",
                       bytes, JOB_COMMAND_BYTES_MAX);
    }
    const char *program = m->args[0];
    const struct names files = {"file", file_at, m->file_count};
    if (m->program_kind == PROGRAM_FILE && !names_hold(m, &files, program, strlen(program))) {
        return pn_fail(err, PN_E_NOT_FOUND, "arg = file:%s: no such name in [files]",
                       rules_shown(program, shown));
    }
    if (m->program_kind == PROGRAM_SYSTEM && !m->needs_system) {
        return pn_fail(err, PN_E_DENIED, "arg = system:%s: needs 'system' in [requires]",
                       rules_shown(program, shown));
    }
    if (m->verify == VERIFY_PROOF && m->program_kind != PROGRAM_OWN) {
        return pn_fail(err, PN_E_DENIED, "mode = proof: only program:… can prove its results");
    }
    return PN_OK;
}

static enum pn_status check_dataset(const struct manifest *m, struct pn_err *err)
{
    if (m->slice_count != 0 || m->dep_count != 0 || m->arg_count != 0 || m->env_count != 0 ||
        m->output_count != 0 || m->timeout_s != 0 || m->needs_system) {
        return pn_fail(err, PN_E_MALFORMED, "a dataset has a name, an owner, a salt and files");
    }
    return PN_OK;
}

enum pn_status rules_whole(const struct manifest *m, struct pn_err *err)
{
    const struct names lists[] = {
        {"file", file_at, m->file_count},
        {"dependency", dep_at, m->dep_count},
        {"output", output_at, m->output_count},
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        enum pn_status status = check_names(m, &lists[i], err);
        if (status != PN_OK) {
            return status;
        }
    }
    for (uint32_t i = 1; i < m->env_count; i++) {
        char shown[RULES_SHOWN_BYTES];
        if (rules_env_compare(m->env[i - 1], m->env[i]) >= 0) {
            return pn_fail(err, PN_E_MALFORMED, "env = %s: twice, or not in sorted order",
                           rules_shown(m->env[i], shown));
        }
    }
    enum pn_status status = check_files(m, err);
    if (status != PN_OK) {
        return status;
    }
    return m->kind == MANIFEST_DATASET ? check_dataset(m, err) : check_command(m, err);
}
