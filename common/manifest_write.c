#include "common/manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/manifest_rules.h"

/* The text being written; after the first failure nothing more is. */
struct text {
    struct buffer *out;
    enum pn_status status;
};

static void put(struct text *t, const char *piece)
{
    if (t->status == PN_OK) {
        t->status = buffer_append(t->out, pn_bytes_str(piece));
    }
}

static void put_number(struct text *t, const char *key, uint64_t value)
{
    if (t->status == PN_OK) {
        t->status = buffer_printf(t->out, "%s = %" PRIu64 "\n", key, value);
    }
}

static void put_hex(struct text *t, const void *bytes, size_t len)
{
    char hex[DIGEST_HEX_BYTES];
    hex_write((struct pn_bytes){bytes, len}, hex);
    put(t, hex);
}

/* The one spelling of a value: only what could not stand in a line is escaped. */
static void put_escaped(struct text *t, const char *value)
{
    while (*value != '\0') {
        size_t plain = 0;
        while (value[plain] != '\0' && value[plain] != '\\' &&
               !rules_control((uint8_t)value[plain])) {
            plain++;
        }
        if (t->status == PN_OK) {
            t->status = buffer_append(t->out, (struct pn_bytes){(const uint8_t *)value, plain});
        }
        value += plain;
        if (*value == '\0') {
            return;
        }
        char escape[5];
        if (*value == '\\') {
            put(t, "\\\\");
        } else if (*value == '\n') {
            put(t, "\\n");
        } else {
            (void)snprintf(escape, sizeof escape, "\\x%02x", (unsigned)*value);
            put(t, escape);
        }
        value++;
    }
}

static void put_job(struct text *t, const struct manifest *m)
{
    put(t, m->kind == MANIFEST_JOB ? "preon job 1\n[job]\nname = "
                                   : "preon dataset 1\n[job]\nname = ");
    put(t, m->name);
    put(t, "\n");
    if (m->kind == MANIFEST_JOB) {
        put_number(t, "slices", m->slice_count);
    }
    put(t, "owner = ");
    put_hex(t, m->owner.b, sizeof m->owner.b);
    put(t, "\nsalt = ");
    put_hex(t, m->salt, sizeof m->salt);
    put(t, "\n");
}

static void put_files(struct text *t, const struct manifest *m)
{
    if (m->file_count > 0) {
        put(t, "[files]\n");
    }
    for (uint32_t i = 0; i < m->file_count; i++) {
        const struct manifest_file *f = &m->files[i];
        put(t, f->name);
        if (t->status == PN_OK) {
            t->status = buffer_printf(t->out, " = %" PRIu64 " ", f->size);
        }
        put_hex(t, f->root.b, sizeof f->root.b);
        put(t, f->executable ? " x\n" : "\n");
    }
    if (m->dep_count > 0) {
        put(t, "[deps]\n");
    }
    for (uint32_t i = 0; i < m->dep_count; i++) {
        put(t, m->deps[i].name);
        put(t, " = ");
        put_hex(t, m->deps[i].dataset.b, DIGEST_BYTES);
        put(t, "\n");
    }
}

static void put_exec(struct text *t, const struct manifest *m)
{
    static const char *const PREFIXES[] = {
        [PROGRAM_OWN] = "program:", [PROGRAM_FILE] = "file:", [PROGRAM_SYSTEM] = "system:"};
    put(t, "[exec]\n");
    for (uint32_t i = 0; i < m->arg_count; i++) {
        put(t, "arg = ");
        put(t, i == 0 ? PREFIXES[m->program_kind] : "");
        put_escaped(t, m->args[i]);
        put(t, "\n");
    }
    for (uint32_t i = 0; i < m->env_count; i++) {
        put(t, "env = ");
        put_escaped(t, m->env[i]);
        put(t, "\n");
    }
    if (m->output_count > 0) {
        put(t, "[dynamic]\n");
    }
    for (uint32_t i = 0; i < m->output_count; i++) {
        put(t, m->outputs[i]);
        put(t, "\n");
    }
}

/* Returns false for the caller's convenience: the section is no longer empty. */
static bool open_section(struct text *t, bool empty, const char *title)
{
    if (empty) {
        put(t, title);
    }
    return false;
}

static void put_limits(struct text *t, const struct manifest *m)
{
    uint64_t values[LIMIT_COUNT];
    limits_to_values(&m->limits, values);
    bool empty = true;
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (values[i] != LIMIT_RULES[i].standard) {
            empty = open_section(t, empty, "[limits]\n");
            put_number(t, LIMIT_RULES[i].key, values[i]);
        }
    }
}

static void put_verify(struct text *t, const struct manifest *m)
{
    bool empty = true;
    if (m->verify == VERIFY_PROOF) {
        empty = open_section(t, empty, "[verify]\n");
        put(t, "mode = proof\n");
    } else if (m->quorum != 2) {
        empty = open_section(t, empty, "[verify]\n");
        if (t->status == PN_OK) {
            t->status = buffer_printf(t->out, "mode = quorum %u\n", m->quorum);
        }
    }
    if (m->stop != STOP_ALL) {
        empty = open_section(t, empty, "[verify]\n");
        put(t, m->stop == STOP_FIRST ? "stop = first\n" : "stop = lowest\n");
    }
    if (m->timeout_s != 0) {
        (void)open_section(t, empty, "[verify]\n");
        put_number(t, "timeout", m->timeout_s);
    }
    if (m->needs_system) {
        put(t, "[requires]\nsystem\n");
    }
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

static int compare_deps(const void *a, const void *b)
{
    return strcmp(((const struct manifest_dep *)a)->name, ((const struct manifest_dep *)b)->name);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int compare_env(const void *a, const void *b)
{
    return rules_env_compare(*(char *const *)a, *(char *const *)b);
}

/* qsort wants an array even for no items. */
static void sort(void *list, uint32_t count, size_t item_bytes,
                 int (*compare)(const void *, const void *))
{
    if (count > 1) {
        qsort(list, count, item_bytes, compare);
    }
}

/* The rules of single values; names were checked when they were added. */
static enum pn_status check_values(const struct manifest *m, struct pn_err *err)
{
    enum pn_status status = rules_job_name(m->name, err);
    if (status != PN_OK || m->kind == MANIFEST_DATASET) {
        return status;
    }
    status = rules_number("slices", m->slice_count, 1, JOB_SLICES_MAX, err);
    uint64_t values[LIMIT_COUNT];
    limits_to_values(&m->limits, values);
    for (size_t i = 0; status == PN_OK && i < LIMIT_COUNT; i++) {
        const struct limit_rule *rule = &LIMIT_RULES[i];
        status = rules_number(rule->key, values[i], rule->min, rule->max, err);
    }
    if (status == PN_OK && m->verify == VERIFY_QUORUM) {
        status = rules_number("quorum", m->quorum, 1, JOB_QUORUM_MAX, err);
    }
    if (status == PN_OK) {
        status = rules_number("timeout", m->timeout_s, 0, JOB_TIMEOUT_MAX_S, err);
    }
    return status;
}

enum pn_status manifest_write(struct manifest *m, struct buffer *text, struct pn_err *err)
{
    sort(m->files, m->file_count, sizeof *m->files, compare_files);
    sort(m->deps, m->dep_count, sizeof *m->deps, compare_deps);
    sort(m->env, m->env_count, sizeof *m->env, compare_env);
    sort(m->outputs, m->output_count, sizeof *m->outputs, compare_strings);
    enum pn_status status = check_values(m, err);
    if (status == PN_OK) {
        status = rules_whole(m, err);
    }
    if (status != PN_OK) {
        return status;
    }
    text->len = 0;
    struct text t = {text, PN_OK};
    put_job(&t, m);
    put_files(&t, m);
    if (m->kind == MANIFEST_JOB) {
        put_exec(&t, m);
        put_limits(&t, m);
        put_verify(&t, m);
    }
    if (t.status == PN_E_FULL || text->len > MANIFEST_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "manifest: more than %d bytes", MANIFEST_BYTES_MAX);
    }
    if (t.status != PN_OK) {
        return pn_fail(err, t.status, "manifest: %s", pn_status_text(t.status));
    }
    return PN_OK;
}
