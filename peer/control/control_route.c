#include "peer/control/control_route.h"

#include "common/manifest.h"

/* In patterns '@' stands for a job ID, '%' for the number of a slice, '#' for an index. */
static const struct row {
    const char *method;
    const char *pattern;
    enum route_kind kind;
} ROWS[] = {
    {"GET", "/v1/peer", ROUTE_PEER},
    {"POST", "/v1/peer/shutdown", ROUTE_SHUTDOWN},
    {"GET", "/v1/jobs", ROUTE_JOBS},
    {"POST", "/v1/jobs", ROUTE_CREATE},
    {"GET", "/v1/jobs/@", ROUTE_JOB},
    {"DELETE", "/v1/jobs/@", ROUTE_REMOVE},
    {"GET", "/v1/jobs/@/manifest", ROUTE_MANIFEST},
    {"GET", "/v1/jobs/@/events", ROUTE_EVENTS},
    {"PUT", "/v1/jobs/@/files/#", ROUTE_PUT},
    {"POST", "/v1/jobs/@/start", ROUTE_START},
    {"POST", "/v1/jobs/@/cancel", ROUTE_CANCEL},
    {"POST", "/v1/jobs/@/resume", ROUTE_RESUME},
    {"GET", "/v1/jobs/@/slices", ROUTE_SLICES},
    {"GET", "/v1/jobs/@/results", ROUTE_RESULTS},
    {"GET", "/v1/jobs/@/slices/%/log", ROUTE_LOG},
    {"GET", "/v1/jobs/@/slices/%/outputs/#", ROUTE_OUTPUT},
};

bool route_number(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (len < 1 || (len > 1 && text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (n > (max - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

/* One part of a path against what its place asks for. */
static enum pn_status read_part(char wanted, const char *part, size_t len, struct route *out,
                                struct pn_err *err)
{
    const int shown = len < 70 ? (int)len : 70;
    uint64_t n = 0;
    if (wanted == '@') {
        return digest_parse(part, len, &out->job)
                   ? PN_OK
                   : pn_fail(err, PN_E_MALFORMED, "job ID '%.*s': must be %d lower-case hex digits",
                             shown, part, 2 * DIGEST_BYTES);
    }
    if (wanted == '%') {
        return route_number(part, len, JOB_SLICES_MAX - 1, &out->slice)
                   ? PN_OK
                   : pn_fail(err, PN_E_MALFORMED, "slice '%.*s': allowed are 0 to %d", shown, part,
                             JOB_SLICES_MAX - 1);
    }
    if (!route_number(part, len, JOB_FILES_MAX - 1, &n)) {
        return pn_fail(err, PN_E_MALFORMED, "index '%.*s': allowed are 0 to %d", shown, part,
                       JOB_FILES_MAX - 1);
    }
    out->index = (uint32_t)n;
    return PN_OK;
}

static bool is_place(char c) { return c == '@' || c == '%' || c == '#'; }

/*
 * Walks pattern and path part by part. False: another path. Else *status says whether the parts at
 * the places are good.
 */
static bool match(const char *pattern, const char *path, struct route *out, enum pn_status *status,
                  struct pn_err *err)
{
    *status = PN_OK;
    while (*pattern == '/' && *path == '/') {
        size_t wanted = strcspn(++pattern, "/");
        size_t len = strcspn(++path, "/");
        if (wanted == 1 && is_place(*pattern)) {
            if (*status == PN_OK) {
                *status = read_part(*pattern, path, len, out, err);
            }
        } else if (wanted != len || memcmp(pattern, path, len) != 0) {
            return false;
        }
        pattern += wanted;
        path += len;
    }
    return *pattern == '\0' && *path == '\0';
}

enum pn_status route_find(const char *method, const char *path, struct route *out,
                          struct pn_err *err)
{
    bool known = false;
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct route found = {.kind = ROWS[i].kind};
        enum pn_status status;
        if (!match(ROWS[i].pattern, path, &found, &status, err)) {
            continue;
        }
        known = true;
        if (strcmp(ROWS[i].method, method) != 0) {
            continue;
        }
        if (status == PN_OK) {
            *out = found;
        }
        return status;
    }
    if (known) {
        return pn_fail(err, PN_E_UNSUPPORTED, "method '%.16s': not for this path", method);
    }
    return pn_fail(err, PN_E_NOT_FOUND, "path '%.100s': unknown", path);
}
