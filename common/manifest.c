#include "common/manifest.h"

#include <assert.h>
#include <stdlib.h>

#include "common/hash.h"
#include "common/manifest_rules.h"
#include "common/utf8.h"

void manifest_init(struct manifest *m, enum manifest_kind kind)
{
    *m = (struct manifest){
        .kind = kind,
        .limits = LIMITS_DEFAULT,
        .verify = VERIFY_QUORUM,
        .quorum = 2,
        .stop = STOP_ALL,
    };
}

static void free_strings(char **list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(list[i]);
    }
    free(list);
}

void manifest_fini(struct manifest *m)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        free(m->files[i].name);
    }
    free(m->files);
    for (uint32_t i = 0; i < m->dep_count; i++) {
        free(m->deps[i].name);
    }
    free(m->deps);
    free_strings(m->args, m->arg_count);
    free_strings(m->env, m->env_count);
    free_strings(m->outputs, m->output_count);
    manifest_init(m, m->kind);
}

/*
 * Room for one item more and a terminator: a list of n items has place for the smallest power of
 * two above n. NULL when memory is short; the list is then as before.
 */
static void *grown(void *list, uint32_t count, size_t item_bytes)
{
    bool full = list == NULL || ((count + 1) & count) == 0;
    return full ? realloc(list, 2 * ((size_t)count + 1) * item_bytes) : list;
}

static enum pn_status no_memory(struct pn_err *err)
{
    return pn_fail(err, PN_E_NO_MEMORY, "manifest: out of memory");
}

static enum pn_status check_count(const char *what, uint32_t count, uint32_t max,
                                  struct pn_err *err)
{
    if (count >= max) {
        return pn_fail(err, PN_E_TOO_BIG, "manifest: more than %u %s", max, what);
    }
    return PN_OK;
}

enum pn_status manifest_add_file(struct manifest *m, const char *name, uint64_t size,
                                 const struct digest *root, bool executable, struct pn_err *err)
{
    enum pn_status status = check_count("files", m->file_count, JOB_FILES_MAX, err);
    if (status == PN_OK) {
        status = rules_name("file", name, err);
    }
    if (status != PN_OK) {
        return status;
    }
    struct manifest_file *files = grown(m->files, m->file_count, sizeof *files);
    if (files == NULL) {
        return no_memory(err);
    }
    m->files = files;
    char *copy = strdup(name);
    if (copy == NULL) {
        return no_memory(err);
    }
    m->files[m->file_count++] =
        (struct manifest_file){.name = copy, .size = size, .root = *root, .executable = executable};
    return PN_OK;
}

enum pn_status manifest_add_dep(struct manifest *m, const char *name, const struct digest *dataset,
                                struct pn_err *err)
{
    enum pn_status status = check_count("dependencies", m->dep_count, JOB_DEPS_MAX, err);
    if (status == PN_OK) {
        status = rules_name("dependency", name, err);
    }
    if (status == PN_OK && strchr(name, '/') != NULL) {
        char shown[RULES_SHOWN_BYTES];
        status = pn_fail(err, PN_E_MALFORMED, "dependency '%s': a name must not hold '/'",
                         rules_shown(name, shown));
    }
    if (status != PN_OK) {
        return status;
    }
    struct manifest_dep *deps = grown(m->deps, m->dep_count, sizeof *deps);
    if (deps == NULL) {
        return no_memory(err);
    }
    m->deps = deps;
    char *copy = strdup(name);
    if (copy == NULL) {
        return no_memory(err);
    }
    m->deps[m->dep_count++] = (struct manifest_dep){.name = copy, .dataset = *dataset};
    return PN_OK;
}

/* Appends to a NULL-terminated list; takes the string in any case. */
static enum pn_status push_take(char ***list, uint32_t *count, char *string, struct pn_err *err)
{
    char **longer = string == NULL ? NULL : grown(*list, *count, sizeof *longer);
    if (longer == NULL) {
        free(string);
        return no_memory(err);
    }
    *list = longer;
    longer[(*count)++] = string;
    longer[*count] = NULL;
    return PN_OK;
}

enum pn_status manifest_add_env(struct manifest *m, const char *key, const char *value,
                                struct pn_err *err)
{
    enum pn_status status = check_count("env lines", m->env_count, JOB_ENV_MAX, err);
    if (status != PN_OK) {
        return status;
    }
    size_t key_len = strlen(key);
    size_t value_len = strlen(value);
    char *entry = malloc(key_len + value_len + 2);
    if (entry == NULL) {
        return no_memory(err);
    }
    memcpy(entry, key, key_len);
    entry[key_len] = '=';
    memcpy(entry + key_len + 1, value, value_len + 1);
    status = rules_env(entry, err);
    if (status == PN_OK && !utf8_valid(pn_bytes_str(entry))) {
        status = pn_fail(err, PN_E_MALFORMED, "env = %s: the value must be UTF-8", key);
    }
    if (status != PN_OK) {
        free(entry);
        return status;
    }
    return push_take(&m->env, &m->env_count, entry, err);
}

enum pn_status manifest_add_output(struct manifest *m, const char *name, struct pn_err *err)
{
    enum pn_status status = check_count("outputs", m->output_count, JOB_OUTPUTS_MAX, err);
    if (status == PN_OK) {
        status = rules_name("output", name, err);
    }
    if (status != PN_OK) {
        return status;
    }
    return push_take(&m->outputs, &m->output_count, strdup(name), err);
}

enum pn_status manifest_set_command(struct manifest *m, enum program_kind kind,
                                    const char *const *args, uint32_t arg_count, struct pn_err *err)
{
    if (arg_count < 1 || arg_count > JOB_ARGS_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "command: %u words, allowed are 1 to %d", arg_count,
                       JOB_ARGS_MAX);
    }
    enum pn_status status = rules_program(kind, args[0], err);
    for (uint32_t i = 0; status == PN_OK && i < arg_count; i++) {
        if (!utf8_valid(pn_bytes_str(args[i]))) {
            status = pn_fail(err, PN_E_MALFORMED, "command: word %u must be UTF-8", i);
        }
    }
    if (status != PN_OK) {
        return status;
    }
    char **copies = NULL;
    uint32_t count = 0;
    while (status == PN_OK && count < arg_count) {
        status = push_take(&copies, &count, strdup(args[count]), err);
    }
    if (status != PN_OK) {
        free_strings(copies, count);
        return status;
    }
    free_strings(m->args, m->arg_count);
    m->program_kind = kind;
    m->args = copies;
    m->arg_count = count;
    return PN_OK;
}

void manifest_id(struct pn_bytes text, struct digest *out) { hash_sha256(text, out); }
