#include "common/manifest.h"

#include <stdlib.h>

#include "common/manifest_lines.h"
#include "common/manifest_rules.h"
#include "common/utf8.h"

/*
 * The grammar is fixed: sections and keys in one order, each at most once, lists sorted, defaults
 * left out. So the parser just walks along it, taking the lines that may come next; what it cannot
 * take is the error. That a text it accepts is written back byte for byte is what the tests and the
 * fuzzer hold it to.
 */
static enum pn_status parse_head(struct lines *p)
{
    enum manifest_kind kind =
        lines_ahead_is(p, "preon dataset 1") ? MANIFEST_DATASET : MANIFEST_JOB;
    if (kind == MANIFEST_JOB && !lines_ahead_is(p, "preon job 1")) {
        return lines_unexpected(p, "'preon job 1' or 'preon dataset 1'");
    }
    p->m->kind = kind;
    return lines_take(p);
}

static enum pn_status parse_job(struct lines *p)
{
    struct pn_bytes v;
    enum pn_status status = lines_take_line(p, "[job]");
    if (status == PN_OK) {
        status = lines_take_key(p, "name", &v);
    }
    if (status == PN_OK) {
        status = rules_job_name(lines_plain_value(p, v), p->err);
    }
    if (status != PN_OK) {
        return status;
    }
    memcpy(p->m->name, p->value, v.len + 1);
    if (p->m->kind == MANIFEST_JOB) {
        uint64_t slices = 0;
        status = lines_take_key(p, "slices", &v);
        if (status == PN_OK) {
            status = lines_number_value(p, "slices", v, 1, JOB_SLICES_MAX, &slices);
        }
        p->m->slice_count = (uint32_t)slices;
    }
    if (status == PN_OK) {
        status = lines_take_key(p, "owner", &v);
    }
    if (status == PN_OK) {
        status = lines_hex_value(p, "owner", v, p->m->owner.b, sizeof p->m->owner.b);
    }
    if (status == PN_OK) {
        status = lines_take_key(p, "salt", &v);
    }
    if (status == PN_OK) {
        status = lines_hex_value(p, "salt", v, p->m->salt, sizeof p->m->salt);
    }
    return status;
}

/* Splits the line ahead at the first '=', which must have a space on either side. */
static bool split_entry(const struct lines *p, struct pn_bytes *name, struct pn_bytes *value)
{
    const struct pn_bytes line = p->line;
    const uint8_t *equals = memchr(line.ptr, '=', line.len);
    size_t at = equals == NULL ? 0 : (size_t)(equals - line.ptr);
    if (at < 1 || line.ptr[at - 1] != ' ' || at + 1 >= line.len || line.ptr[at + 1] != ' ') {
        return false;
    }
    *name = (struct pn_bytes){line.ptr, at - 1};
    *value = (struct pn_bytes){line.ptr + at + 2, line.len - at - 2};
    return true;
}

static enum pn_status parse_file(struct lines *p)
{
    static const char WANTED[] = "'NAME = BYTES ROOT' or 'NAME = BYTES ROOT x'";
    struct pn_bytes name;
    struct pn_bytes value;
    struct digest root;
    uint64_t size = 0;
    if (!split_entry(p, &name, &value)) {
        return lines_unexpected(p, WANTED);
    }
    const uint8_t *space = memchr(value.ptr, ' ', value.len);
    size_t size_len = space == NULL ? 0 : (size_t)(space - value.ptr);
    size_t tail_len = space == NULL ? 0 : value.len - size_len - 1;
    bool executable = tail_len == 2 * DIGEST_BYTES + 2 && memcmp(space + 65, " x", 2) == 0;
    if (!lines_decimal((struct pn_bytes){value.ptr, size_len}, &size) ||
        !digest_parse((const char *)space + 1, executable ? tail_len - 2 : tail_len, &root)) {
        return lines_unexpected(p, WANTED);
    }
    enum pn_status status = lines_take(p);
    if (status == PN_OK) {
        status =
            manifest_add_file(p->m, lines_plain_value(p, name), size, &root, executable, p->err);
    }
    return status;
}

static enum pn_status parse_dep(struct lines *p)
{
    struct pn_bytes name;
    struct pn_bytes value;
    struct digest id;
    if (!split_entry(p, &name, &value) || !digest_parse((const char *)value.ptr, value.len, &id)) {
        return lines_unexpected(p, "'NAME = DATASET'");
    }
    enum pn_status status = lines_take(p);
    if (status == PN_OK) {
        status = manifest_add_dep(p->m, lines_plain_value(p, name), &id, p->err);
    }
    return status;
}

static enum pn_status parse_output(struct lines *p)
{
    struct pn_bytes name = p->line;
    enum pn_status status = lines_take(p);
    if (status == PN_OK) {
        status = manifest_add_output(p->m, lines_plain_value(p, name), p->err);
    }
    return status;
}

/* A section that is a list of entries, absent when it is empty. */
static enum pn_status parse_list(struct lines *p, const char *title,
                                 enum pn_status (*parse_entry)(struct lines *p))
{
    if (!lines_ahead_is(p, title)) {
        return PN_OK;
    }
    enum pn_status status = lines_take(p);
    if (status == PN_OK && !lines_in_section(p)) {
        return pn_fail(p->err, PN_E_MALFORMED, "%s: an empty section is left out", title);
    }
    while (status == PN_OK && lines_in_section(p)) {
        status = parse_entry(p);
    }
    return status;
}

/* The prefix of the command's first word. */
static enum pn_status split_program(struct lines *p, struct pn_bytes *word, enum program_kind *kind)
{
    static const struct {
        const char *text;
        enum program_kind kind;
    } PREFIXES[] = {
        {"program:", PROGRAM_OWN}, {"file:", PROGRAM_FILE}, {"system:", PROGRAM_SYSTEM}};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        size_t len = strlen(PREFIXES[i].text);
        if (word->len >= len && memcmp(word->ptr, PREFIXES[i].text, len) == 0) {
            *word = (struct pn_bytes){word->ptr + len, word->len - len};
            *kind = PREFIXES[i].kind;
            return PN_OK;
        }
    }
    return pn_fail(p->err, PN_E_MALFORMED,
                   "arg = %.*s: the first word must begin with program:, file: or system:",
                   lines_shown(*word), (const char *)word->ptr);
}

static enum pn_status parse_args(struct lines *p)
{
    struct pn_bytes word;
    char *words[JOB_ARGS_MAX];
    uint32_t count = 0;
    enum program_kind kind = PROGRAM_OWN;
    enum pn_status status = lines_take_key(p, "arg", &word);
    if (status == PN_OK) {
        status = split_program(p, &word, &kind);
    }
    while (status == PN_OK) {
        status = lines_escaped_value(p, word);
        if (status != PN_OK) {
            break;
        }
        words[count] = strdup(p->value);
        if (words[count] == NULL) {
            status = pn_fail(p->err, PN_E_NO_MEMORY, "out of memory");
            break;
        }
        count++;
        if (count == 1) {
            status = rules_program(kind, words[0], p->err);
        }
        if (status != PN_OK || !lines_ahead_key(p, "arg", &word)) {
            break;
        }
        status = lines_take(p);
        if (status == PN_OK && count == JOB_ARGS_MAX) {
            status = pn_fail(p->err, PN_E_TOO_BIG, "more than %d arg lines", JOB_ARGS_MAX);
        }
    }
    if (status == PN_OK) {
        status = manifest_set_command(p->m, kind, (const char *const *)words, count, p->err);
    }
    while (count > 0) {
        free(words[--count]);
    }
    return status;
}

static enum pn_status parse_exec(struct lines *p)
{
    struct pn_bytes value;
    enum pn_status status = lines_take_line(p, "[exec]");
    if (status == PN_OK) {
        status = parse_args(p);
    }
    while (status == PN_OK && lines_ahead_key(p, "env", &value)) {
        status = lines_take(p);
        if (status == PN_OK) {
            status = lines_escaped_value(p, value);
        }
        char *equals = status == PN_OK ? strchr(p->value, '=') : NULL;
        if (status == PN_OK && equals == NULL) {
            status = rules_env(p->value, p->err);
        } else if (status == PN_OK) {
            *equals = '\0';
            status = manifest_add_env(p->m, p->value, equals + 1, p->err);
        }
    }
    return status;
}

static enum pn_status is_default(struct lines *p, const char *key)
{
    return pn_fail(p->err, PN_E_MALFORMED, "%s: the default is left out", key);
}

static enum pn_status parse_limits(struct lines *p)
{
    uint64_t values[LIMIT_COUNT];
    if (!lines_ahead_is(p, "[limits]")) {
        return PN_OK;
    }
    enum pn_status status = lines_take(p);
    limits_to_values(&LIMITS_DEFAULT, values);
    bool empty = true;
    for (size_t i = 0; status == PN_OK && i < LIMIT_COUNT; i++) {
        const struct limit_rule *rule = &LIMIT_RULES[i];
        struct pn_bytes value;
        if (!lines_ahead_key(p, rule->key, &value)) {
            continue;
        }
        empty = false;
        status = lines_take(p);
        if (status == PN_OK) {
            status = lines_number_value(p, rule->key, value, rule->min, rule->max, &values[i]);
        }
        if (status == PN_OK && values[i] == rule->standard) {
            status = is_default(p, rule->key);
        }
    }
    if (status == PN_OK && empty) {
        return lines_unexpected(p, "time, cpu, memory, processes or output");
    }
    if (status == PN_OK) {
        limits_from_values(values, &p->m->limits);
    }
    return status;
}

static enum pn_status parse_mode(struct lines *p, struct pn_bytes value)
{
    static const char QUORUM[] = "quorum ";
    const size_t len = sizeof QUORUM - 1;
    if (pn_bytes_equal(value, pn_bytes_str("proof"))) {
        p->m->verify = VERIFY_PROOF;
        return PN_OK;
    }
    if (value.len < len || memcmp(value.ptr, QUORUM, len) != 0) {
        return pn_fail(p->err, PN_E_MALFORMED, "mode = %.*s: must be 'quorum K' or 'proof'",
                       lines_shown(value), (const char *)value.ptr);
    }
    uint64_t quorum = 0;
    const struct pn_bytes number = {value.ptr + len, value.len - len};
    enum pn_status status = lines_number_value(p, "quorum", number, 1, JOB_QUORUM_MAX, &quorum);
    if (status == PN_OK && quorum == p->m->quorum) {
        return is_default(p, "quorum");
    }
    p->m->quorum = (uint8_t)quorum;
    return status;
}

static enum pn_status parse_stop(struct lines *p, struct pn_bytes value)
{
    if (pn_bytes_equal(value, pn_bytes_str("all"))) {
        return is_default(p, "stop");
    }
    bool first = pn_bytes_equal(value, pn_bytes_str("first"));
    if (!first && !pn_bytes_equal(value, pn_bytes_str("lowest"))) {
        return pn_fail(p->err, PN_E_MALFORMED, "stop = %.*s: must be first or lowest",
                       lines_shown(value), (const char *)value.ptr);
    }
    p->m->stop = first ? STOP_FIRST : STOP_LOWEST;
    return PN_OK;
}

static enum pn_status parse_timeout(struct lines *p, struct pn_bytes value)
{
    uint64_t timeout = 0;
    enum pn_status status = lines_number_value(p, "timeout", value, 1, JOB_TIMEOUT_MAX_S, &timeout);
    p->m->timeout_s = (uint32_t)timeout;
    return status;
}

static enum pn_status parse_verify(struct lines *p)
{
    static const struct {
        const char *key;
        enum pn_status (*parse)(struct lines *p, struct pn_bytes value);
    } KEYS[] = {{"mode", parse_mode}, {"stop", parse_stop}, {"timeout", parse_timeout}};
    if (!lines_ahead_is(p, "[verify]")) {
        return PN_OK;
    }
    enum pn_status status = lines_take(p);
    bool empty = true;
    for (size_t i = 0; status == PN_OK && i < sizeof KEYS / sizeof KEYS[0]; i++) {
        struct pn_bytes value;
        if (!lines_ahead_key(p, KEYS[i].key, &value)) {
            continue;
        }
        empty = false;
        status = lines_take(p);
        if (status == PN_OK) {
            status = KEYS[i].parse(p, value);
        }
    }
    return status == PN_OK && empty ? lines_unexpected(p, "mode, stop or timeout") : status;
}

static enum pn_status parse_requires(struct lines *p)
{
    if (!lines_ahead_is(p, "[requires]")) {
        return PN_OK;
    }
    enum pn_status status = lines_take(p);
    if (status == PN_OK) {
        status = lines_take_line(p, "system");
    }
    p->m->needs_system = true;
    return status;
}

static enum pn_status parse_outputs(struct lines *p)
{
    return parse_list(p, "[dynamic]", parse_output);
}

static enum pn_status parse_files(struct lines *p) { return parse_list(p, "[files]", parse_file); }

static enum pn_status parse_deps(struct lines *p) { return parse_list(p, "[deps]", parse_dep); }

static enum pn_status parse_text(struct lines *p)
{
    /* In the order of the text; a dataset ends after its files. */
    static enum pn_status (*const SECTIONS[])(struct lines * p) = {
        parse_head,    parse_job,    parse_files,  parse_deps,     parse_exec,
        parse_outputs, parse_limits, parse_verify, parse_requires,
    };
    enum { SECTIONS_OF_DATASET = 3 };
    enum pn_status status = lines_start(p);
    for (size_t i = 0; status == PN_OK && i < sizeof SECTIONS / sizeof SECTIONS[0]; i++) {
        if (i >= SECTIONS_OF_DATASET && p->m->kind == MANIFEST_DATASET) {
            break;
        }
        status = SECTIONS[i](p);
    }
    if (status == PN_OK && p->line.ptr != NULL) {
        status = lines_unexpected(p, "nothing more, or another order");
    }
    return status;
}

enum pn_status manifest_parse(struct pn_bytes text, struct manifest *out, struct pn_err *err)
{
    struct pn_err unheard;
    err = err == NULL ? &unheard : err;
    manifest_init(out, MANIFEST_JOB);
    if (text.len > MANIFEST_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "manifest: %zu bytes, at most %d", text.len,
                       MANIFEST_BYTES_MAX);
    }
    struct lines p = {.rest = text, .m = out, .err = err, .value = malloc(text.len + 1)};
    if (p.value == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "manifest: out of memory");
    }
    enum pn_status status = parse_text(&p);
    free(p.value);
    if (status != PN_OK) {
        pn_err_wrap(err, "line %u", p.taken);
    } else {
        status = rules_whole(out, err);
    }
    if (status != PN_OK) {
        utf8_tame(err->text, false); /* it shows the line, which may have been cut, or be hostile */
        manifest_fini(out);
        manifest_init(out, MANIFEST_JOB);
    }
    return status;
}
