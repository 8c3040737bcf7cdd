#include "common/manifest_lines.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/manifest_rules.h"
#include "common/utf8.h"

enum { SHOWN_MAX = 48 }; /* bytes of a line in a sentence */

int lines_shown(struct pn_bytes line) { return line.len < SHOWN_MAX ? (int)line.len : SHOWN_MAX; }

/* Splits the next line off; it must end with LF and hold only printable UTF-8. */
enum pn_status lines_start(struct lines *p)
{
    if (p->rest.len == 0) {
        p->line = (struct pn_bytes){NULL, 0};
        return PN_OK;
    }
    const uint8_t *end = memchr(p->rest.ptr, '\n', p->rest.len);
    if (end == NULL) {
        p->taken++;
        return pn_fail(p->err, PN_E_MALFORMED, "ends without a newline: truncated?");
    }
    p->line = (struct pn_bytes){p->rest.ptr, (size_t)(end - p->rest.ptr)};
    p->rest = (struct pn_bytes){end + 1, p->rest.len - p->line.len - 1};
    bool clean = utf8_valid(p->line);
    for (size_t i = 0; clean && i < p->line.len; i++) {
        clean = !rules_control(p->line.ptr[i]);
    }
    if (!clean) {
        p->taken++;
        return pn_fail(p->err, PN_E_MALFORMED, "holds a control character or is not UTF-8");
    }
    return PN_OK;
}

/* The line ahead is taken; the one after it is ahead now. */
enum pn_status lines_take(struct lines *p)
{
    uint32_t number = p->taken + 1;
    p->taken = number;
    enum pn_status status = lines_start(p); /* moves taken on only when it fails */
    return status;
}

/* The line ahead is not what must come here. */
enum pn_status lines_unexpected(struct lines *p, const char *wanted)
{
    p->taken++;
    if (p->line.ptr == NULL) {
        return pn_fail(p->err, PN_E_MALFORMED, "missing: expected %s", wanted);
    }
    return pn_fail(p->err, PN_E_MALFORMED, "'%.*s': expected %s", lines_shown(p->line),
                   (const char *)p->line.ptr, wanted);
}

bool lines_ahead_is(const struct lines *p, const char *text)
{
    return p->line.ptr != NULL && pn_bytes_equal(p->line, pn_bytes_str(text));
}

bool lines_in_section(const struct lines *p)
{
    return p->line.ptr != NULL && (p->line.len == 0 || p->line.ptr[0] != '[');
}

/* Whether the line ahead is "key = …"; then *value is what follows, borrowed from the text. */
bool lines_ahead_key(const struct lines *p, const char *key, struct pn_bytes *value)
{
    size_t key_len = strlen(key);
    if (p->line.ptr == NULL || p->line.len < key_len + 3 ||
        memcmp(p->line.ptr, key, key_len) != 0 || memcmp(p->line.ptr + key_len, " = ", 3) != 0) {
        return false;
    }
    *value = (struct pn_bytes){p->line.ptr + key_len + 3, p->line.len - key_len - 3};
    return true;
}

/* A value as a string, as it stands. Lines hold no NUL. */
const char *lines_plain_value(struct lines *p, struct pn_bytes in)
{
    memcpy(p->value, in.ptr, in.len);
    p->value[in.len] = '\0';
    return p->value;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape at the front of in (a backslash): its length, 0 when it is not the one spelling. */
static size_t unescape(struct pn_bytes in, char *out)
{
    if (in.len >= 2 && (in.ptr[1] == '\\' || in.ptr[1] == 'n')) {
        *out = in.ptr[1] == 'n' ? '\n' : '\\';
        return 2;
    }
    if (in.len < 4 || in.ptr[1] != 'x' || hex_digit(in.ptr[2]) < 0 || hex_digit(in.ptr[3]) < 0) {
        return 0;
    }
    int c = hex_digit(in.ptr[2]) * 16 + hex_digit(in.ptr[3]);
    if (c == 0 || c == '\n' || !rules_control((uint8_t)c)) {
        return 0;
    }
    *out = (char)c;
    return 4;
}

/* A value with its escapes resolved, in p->value. */
enum pn_status lines_escaped_value(struct lines *p, struct pn_bytes in)
{
    size_t len = 0;
    while (in.len > 0) {
        size_t used = 1;
        p->value[len] = (char)in.ptr[0];
        if (in.ptr[0] == '\\') {
            used = unescape(in, &p->value[len]);
        }
        if (used == 0) {
            return pn_fail(p->err, PN_E_MALFORMED,
                           "'%.*s': not an escape; allowed are \\\\, \\n "
                           "and \\xHH of other control characters",
                           in.len < 4 ? (int)in.len : 4, (const char *)in.ptr);
        }
        len++;
        in = (struct pn_bytes){in.ptr + used, in.len - used};
    }
    p->value[len] = '\0';
    return PN_OK;
}

/* Decimal without leading zeros, below 2^64. */
bool lines_decimal(struct pn_bytes in, uint64_t *out)
{
    uint64_t n = 0;
    if (in.len < 1 || (in.len > 1 && in.ptr[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < in.len; i++) {
        uint64_t digit = (uint64_t)in.ptr[i] - '0';
        if (in.ptr[i] < '0' || digit > 9 || n > (UINT64_MAX - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

/* The number of "key = value"; the line has been taken. */
enum pn_status lines_number_value(struct lines *p, const char *key, struct pn_bytes in,
                                  uint64_t min, uint64_t max, uint64_t *out)
{
    if (!lines_decimal(in, out)) {
        return pn_fail(p->err, PN_E_MALFORMED,
                       "%s = %.*s: allowed are %" PRIu64 " to %" PRIu64 ", plain decimal", key,
                       lines_shown(in), (const char *)in.ptr, min, max);
    }
    return rules_number(key, *out, min, max, p->err);
}

enum pn_status lines_hex_value(struct lines *p, const char *key, struct pn_bytes in, uint8_t *out,
                               size_t len)
{
    if (!hex_parse((const char *)in.ptr, in.len, out, len)) {
        return pn_fail(p->err, PN_E_MALFORMED, "%s = %.*s: must be %zu lower-case hex digits", key,
                       lines_shown(in), (const char *)in.ptr, 2 * len);
    }
    return PN_OK;
}

/* A "key = value" line that must come next. */
enum pn_status lines_take_key(struct lines *p, const char *key, struct pn_bytes *value)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "'%s = …'", key);
    return lines_ahead_key(p, key, value) ? lines_take(p) : lines_unexpected(p, wanted);
}

enum pn_status lines_take_line(struct lines *p, const char *text)
{
    char wanted[32];
    (void)snprintf(wanted, sizeof wanted, "'%s'", text);
    return lines_ahead_is(p, text) ? lines_take(p) : lines_unexpected(p, wanted);
}
