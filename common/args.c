#include "common/args.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct args_item {
    const struct args_option *option;
    const char *text;
};

enum { SHOWN_BYTES = 48, ALLOWED_BYTES = 2 * SHOWN_BYTES, NAME_BYTES_MAX = 32, COLUMN = 26 };

/* A value as errors show it: one line, cut when long. */
static const char *shown(const char *text, char out[SHOWN_BYTES])
{
    size_t n = 0;
    for (; text[n] != '\0' && n < SHOWN_BYTES - 1; n++) {
        out[n] = (unsigned char)text[n] < ' ' || text[n] == 0x7f ? '?' : text[n];
    }
    out[n] = '\0';
    if (text[n] != '\0') {
        memcpy(out + SHOWN_BYTES - 4, "...", 4);
    }
    return out;
}

/* --- Numbers --------------------------------------------------------------------------------- */

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit units_plain[] = {{"", 1}, {NULL, 0}};
static const struct unit units_bytes[] = {{"", 1},         {"k", 1u << 10},   {"M", 1u << 20},
                                          {"G", 1u << 30}, {"T", 1ull << 40}, {NULL, 0}};
static const struct unit units_duration[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000u}, {"d", 86400000u}, {NULL, 0}};

static const struct unit *units_of(enum args_kind kind)
{
    switch (kind) {
    case ARGS_BYTES:
        return units_bytes;
    case ARGS_DURATION:
        return units_duration;
    case ARGS_FLAG:
    case ARGS_TEXT:
    case ARGS_LIST:
    case ARGS_U64:
        break;
    }
    return units_plain;
}

static const char *form_of(enum args_kind kind)
{
    switch (kind) {
    case ARGS_BYTES:
        return "bytes like 4096, 64k, 10M or 2G";
    case ARGS_DURATION:
        return "a time like 90s, 5m, 2h or 1d";
    case ARGS_FLAG:
    case ARGS_TEXT:
    case ARGS_LIST:
    case ARGS_U64:
        break;
    }
    return "a whole number";
}

enum pn_status args_number(enum args_kind kind, const char *text, uint64_t *out, struct pn_err *err)
{
    char show[SHOWN_BYTES];
    const char *at = text;
    uint64_t value = 0;
    bool over = false;
    for (; *at >= '0' && *at <= '9'; at++) {
        over |= __builtin_mul_overflow(value, 10, &value);
        over |= __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
    }
    const struct unit *unit = units_of(kind);
    while (unit->suffix != NULL && strcmp(unit->suffix, at) != 0) {
        unit++;
    }
    if (at == text || unit->suffix == NULL) {
        return pn_fail(err, PN_E_MALFORMED, "\"%s\" is not %s", shown(text, show), form_of(kind));
    }
    over |= __builtin_mul_overflow(value, unit->factor, &value);
    if (over) {
        return pn_fail(err, PN_E_RANGE, "%s is over 2^64 - 1", shown(text, show));
    }
    *out = value;
    return PN_OK;
}

static bool has_number(enum args_kind kind)
{
    return kind == ARGS_U64 || kind == ARGS_BYTES || kind == ARGS_DURATION;
}

/* A bound in the unit that a person would have typed. */
static const char *bound_text(enum args_kind kind, uint64_t bound, char out[SHOWN_BYTES])
{
    const struct unit *best = units_of(kind);
    if (kind == ARGS_DURATION) {
        best++; /* bare numbers are seconds, the bound is in ms */
    }
    for (const struct unit *u = best; u->suffix != NULL; u++) {
        if (bound != 0 && bound % u->factor == 0 && u->factor > best->factor) {
            best = u;
        }
    }
    (void)snprintf(out, SHOWN_BYTES, "%" PRIu64 "%s", bound / best->factor, best->suffix);
    return out;
}

/* "allowed are 1 to 256" */
static const char *allowed(const struct args_option *o, char out[ALLOWED_BYTES])
{
    char min[SHOWN_BYTES];
    char max[SHOWN_BYTES];
    if (!has_number(o->kind)) {
        (void)snprintf(out, ALLOWED_BYTES, "it takes %s", o->value);
    } else if (o->max == 0) {
        (void)snprintf(out, ALLOWED_BYTES, "allowed are %s and more",
                       bound_text(o->kind, o->min, min));
    } else {
        (void)snprintf(out, ALLOWED_BYTES, "allowed are %s to %s", bound_text(o->kind, o->min, min),
                       bound_text(o->kind, o->max, max));
    }
    return out;
}

/* Checks and stores one value; `where` is what the error begins with. */
static enum pn_status value_set(struct args_value *v, const struct args_option *o, const char *text,
                                const char *where, struct pn_err *err)
{
    uint64_t number = 0;
    char show[SHOWN_BYTES];
    char what[2 * SHOWN_BYTES];
    if (has_number(o->kind)) {
        enum pn_status status = args_number(o->kind, text, &number, err);
        if (status == PN_E_MALFORMED) {
            return pn_fail(err, status, "%s: \"%s\" is not %s; %s", where, shown(text, show),
                           form_of(o->kind), allowed(o, what));
        }
        if (status != PN_OK || number < o->min || (o->max != 0 && number > o->max)) {
            return pn_fail(err, PN_E_RANGE, "%s: %s is out of range; %s", where, shown(text, show),
                           allowed(o, what));
        }
    }
    v->text = text;
    v->number = number;
    return PN_OK;
}

/* --- Looking up ------------------------------------------------------------------------------ */

static size_t option_count(const struct args_spec *spec)
{
    size_t n = 0;
    for (size_t g = 0; g < spec->group_count; g++) {
        n += spec->groups[g].count;
    }
    return n;
}

/* The index-th option over all tables. */
static const struct args_option *option_at(const struct args_spec *spec, size_t index)
{
    size_t g = 0;
    while (index >= spec->groups[g].count) {
        index -= spec->groups[g++].count;
    }
    return &spec->groups[g].options[index];
}

/* By name (name_len bytes of it) or, when name is NULL, by letter; option_count() for "none". */
static size_t option_find(const struct args_spec *spec, const char *name, size_t name_len,
                          char letter)
{
    size_t count = option_count(spec);
    for (size_t i = 0; i < count; i++) {
        const struct args_option *o = option_at(spec, i);
        if (name == NULL ? o->letter == letter
                         : strlen(o->name) == name_len && memcmp(o->name, name, name_len) == 0) {
            return i;
        }
    }
    return count;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits (put in, take out, change, swap two neighbours) from one word to the other. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NAME_BYTES_MAX + 1]; /* this one, the one above, the one above that */
    size_t *now = rows[0], *above = rows[1], *above2 = rows[2];
    for (size_t j = 0; j <= b_len; j++) {
        now[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *free_row = above2;
        above2 = above;
        above = now;
        now = free_row;
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = min3(above[j] + 1, now[j - 1] + 1, change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above2[j - 2] + 1 < now[j]) {
                now[j] = above2[j - 2] + 1;
            }
        }
    }
    return now[b_len];
}

/* Keeps in *best the nearer of itself and name; a third of the word may be wrong. */
static void nearer(const char *word, size_t word_len, const char *name, const char **best,
                   size_t *best_distance)
{
    size_t name_len = strlen(name);
    if (word_len > NAME_BYTES_MAX || name_len > NAME_BYTES_MAX) {
        return;
    }
    size_t d = distance(word, word_len, name, name_len);
    /* a beginning counts as near: "diff" is meant for "difficulty" */
    if (word_len >= 3 && name_len > word_len && memcmp(word, name, word_len) == 0) {
        d = 1;
    }
    if (d <= 1 + word_len / 3 && d < *best_distance) {
        *best = name;
        *best_distance = d;
    }
}

const char *args_nearest(const char *word, const char *const *names, size_t name_count)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < name_count; i++) {
        nearer(word, strlen(word), names[i], &best, &best_distance);
    }
    return best;
}

static enum pn_status unknown_option(const struct args_spec *spec, const char *word, size_t len,
                                     struct pn_err *err)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t g = 0; g < spec->group_count && len > 2; g++) { /* a letter resembles everything */
        const struct args_group *group = &spec->groups[g];
        for (size_t i = 0; i < group->count && group->title != NULL; i++) {
            nearer(word + 2, len - 2, group->options[i].name, &best, &best_distance);
        }
    }
    char show[SHOWN_BYTES];
    (void)shown(word, show);
    if (len < SHOWN_BYTES) {
        show[len] = '\0'; /* without =value */
    }
    if (best != NULL) {
        return pn_fail(err, PN_E_NOT_FOUND, "unknown option %s; the nearest one is --%s", show,
                       best);
    }
    return pn_fail(err, PN_E_NOT_FOUND, "unknown option %s; see --help", show);
}

/* --- Parsing --------------------------------------------------------------------------------- */

/* One option at argv[*at]; moves *at behind what it used. */
static enum pn_status take_option(struct args *a, const char *const *argv, size_t argc, size_t *at,
                                  struct pn_err *err)
{
    const char *word = argv[(*at)++];
    bool is_long = word[1] == '-';
    size_t len = is_long ? strcspn(word, "=") : 2;
    size_t index = is_long ? option_find(a->spec, word + 2, len - 2, '\0')
                           : option_find(a->spec, NULL, 0, word[1]);
    if (index == option_count(a->spec)) {
        return unknown_option(a->spec, word, len, err);
    }
    const struct args_option *o = option_at(a->spec, index);
    struct args_value *v = &a->values[index];
    char where[NAME_BYTES_MAX + 3];
    char what[2 * SHOWN_BYTES];
    (void)snprintf(where, sizeof where, "--%s", o->name);
    if (v->given && o->kind != ARGS_LIST) {
        return pn_fail(err, PN_E_EXISTS, "%s is given twice", where);
    }
    const char *text = word[len] == '\0' ? NULL : word + len + (is_long ? 1 : 0);
    if (o->kind == ARGS_FLAG) {
        v->given = true;
        return text == NULL ? PN_OK : pn_fail(err, PN_E_MALFORMED, "%s takes no value", where);
    }
    if (text == NULL) {
        if (*at == argc || strncmp(argv[*at], "--", 2) == 0) {
            return pn_fail(err, PN_E_MALFORMED, "%s: the value is missing; %s%s", where,
                           allowed(o, what),
                           *at < argc ? " (one with dashes is written --name=--value)" : "");
        }
        text = argv[(*at)++];
    }
    enum pn_status status = value_set(v, o, text, where, err);
    if (status == PN_OK) {
        v->given = true;
        if (o->kind == ARGS_LIST) {
            a->items[a->item_count++] = (struct args_item){o, text};
        }
    }
    return status;
}

static enum pn_status check_positionals(const struct args *a, struct pn_err *err)
{
    const struct args_spec *spec = a->spec;
    char show[SHOWN_BYTES];
    if (a->positional_count < spec->positional_min) {
        return pn_fail(err, PN_E_MALFORMED, "%s is missing; usage: %s", spec->positional,
                       spec->usage);
    }
    if (a->positional_count > spec->positional_max) {
        return pn_fail(err, PN_E_MALFORMED, "unexpected \"%s\"; usage: %s",
                       shown(a->positionals[spec->positional_max], show), spec->usage);
    }
    return PN_OK;
}

static enum pn_status take_all(struct args *a, const char *const *argv, size_t argc,
                               struct pn_err *err)
{
    size_t at = 0;
    bool behind = false; /* behind `--` */
    a->dashes = SIZE_MAX;
    while (at < argc) {
        const char *word = argv[at];
        if (behind || word[0] != '-' || word[1] == '\0') { /* "-" alone is a name */
            a->positionals[a->positional_count++] = word;
            at++;
        } else if (strcmp(word, "--") == 0) {
            behind = true;
            a->dashes = a->positional_count;
            at++;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            a->help = true;
            return PN_OK;
        } else {
            enum pn_status status = take_option(a, argv, argc, &at, err);
            if (status != PN_OK) {
                return status;
            }
        }
    }
    if (!behind) {
        a->dashes = a->positional_count;
    }
    return check_positionals(a, err);
}

enum pn_status args_parse(const struct args_spec *spec, const char *const *argv, size_t argc,
                          struct args *out, struct pn_err *err)
{
    size_t count = option_count(spec);
    struct args a = {.spec = spec};
    /* One block: values, list items, positionals. No word fills more than one of the last two. */
    size_t bytes = count * sizeof *a.values + argc * sizeof *a.items + argc * sizeof *a.positionals;
    a.memory = calloc(1, bytes > 0 ? bytes : 1);
    if (a.memory == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "%zu arguments: out of memory", argc);
    }
    a.values = a.memory;
    a.items = (struct args_item *)(a.values + count);
    a.positionals = (const char **)(a.items + argc);
    for (size_t i = 0; i < count; i++) {
        const struct args_option *o = option_at(spec, i);
        bool valid =
            o->initial == NULL || value_set(&a.values[i], o, o->initial, o->name, NULL) == PN_OK;
        assert(valid); /* a table's default keeps to the table's own bounds */
    }
    enum pn_status status = take_all(&a, argv, argc, err);
    if (status != PN_OK) {
        free(a.memory);
        return status;
    }
    *out = a;
    return PN_OK;
}

void args_fini(struct args *a)
{
    free(a->memory);
    *a = (struct args){0};
}

/* --- Asking ---------------------------------------------------------------------------------- */

static size_t index_of(const struct args *a, const char *name)
{
    size_t index = option_find(a->spec, name, strlen(name), '\0');
    assert(index < option_count(a->spec));
    return index;
}

enum pn_status args_default(struct args *a, const char *name, const char *text, const char *where,
                            struct pn_err *err)
{
    size_t index = index_of(a, name);
    const struct args_option *o = option_at(a->spec, index);
    assert(o->kind != ARGS_FLAG && o->kind != ARGS_LIST);
    return a->values[index].given ? PN_OK : value_set(&a->values[index], o, text, where, err);
}

const struct args_value *args_value(const struct args *a, const char *name)
{
    return &a->values[index_of(a, name)];
}

bool args_known(const struct args *a, const char *name)
{
    return option_find(a->spec, name, strlen(name), '\0') < option_count(a->spec);
}

const char *args_text(const struct args *a, const char *name) { return args_value(a, name)->text; }

uint64_t args_u64(const struct args *a, const char *name) { return args_value(a, name)->number; }

bool args_given(const struct args *a, const char *name) { return args_value(a, name)->given; }

const char *args_list(const struct args *a, const char *name, size_t index)
{
    const struct args_option *o = option_at(a->spec, index_of(a, name));
    for (size_t i = 0; i < a->item_count; i++) {
        if (a->items[i].option == o && index-- == 0) {
            return a->items[i].text;
        }
    }
    return NULL;
}

/* --- Help ------------------------------------------------------------------------------------ */

static enum pn_status help_line(const struct args_option *o, struct buffer *out)
{
    char left[2 * NAME_BYTES_MAX];
    char letter[] = "    ";
    if (o->letter != '\0') {
        (void)snprintf(letter, sizeof letter, "-%c,", o->letter);
    }
    (void)snprintf(left, sizeof left, "%-3.3s --%s%s%s", letter, o->name,
                   o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
    bool wide = strlen(left) >= COLUMN; /* then the text begins on the next line */
    bool has_initial = o->initial != NULL && o->initial[0] != '\0';
    return buffer_printf(out, "  %-*s%s%*s%s%s%s%s\n", COLUMN, left, wide ? "\n" : "",
                         wide ? COLUMN + 2 : 0, "", o->help, has_initial ? " (default " : "",
                         has_initial ? o->initial : "", has_initial ? ")" : "");
}

enum pn_status args_help(const struct args_spec *spec, struct buffer *out)
{
    static const struct args_option help = {
        .name = "help", .letter = 'h', .kind = ARGS_FLAG, .help = "this text"};
    enum pn_status status = buffer_printf(out, "usage: %s\n\n%s\n", spec->usage, spec->summary);
    bool any = false;
    for (size_t g = 0; g < spec->group_count && status == PN_OK; g++) {
        const struct args_group *group = &spec->groups[g];
        if (group->title == NULL) {
            continue;
        }
        any = true;
        status = buffer_printf(out, "\n%s:\n", group->title);
        for (size_t i = 0; i < group->count && status == PN_OK; i++) {
            status = help_line(&group->options[i], out);
        }
    }
    if (status == PN_OK && !any) {
        status = buffer_printf(out, "\nOptions:\n");
    }
    return status == PN_OK ? help_line(&help, out) : status;
}
