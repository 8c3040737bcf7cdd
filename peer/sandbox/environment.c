#include "peer/sandbox/environment.h"

#include <stdio.h>

/* True when the manifest has "NAME=..." for our "NAME=...". */
static bool is_set(const char *ours, const char *const *own, uint32_t own_count)
{
    size_t len = (size_t)(strchr(ours, '=') - ours) + 1;
    for (uint32_t i = 0; i < own_count; i++) {
        if (strncmp(own[i], ours, len) == 0) {
            return true;
        }
    }
    return false;
}

enum pn_status environment_build(const struct digest *job, uint32_t slice, uint32_t slice_count,
                                 const char *out_path, bool system, const char *const *own,
                                 uint32_t own_count, struct environment *out, struct pn_err *err)
{
    enum { OURS = 8 };
    static const char *const defaults[] = {
        "HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C",
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"};
    size_t default_count = sizeof defaults / sizeof defaults[0] - (system ? 0 : 1);
    char hex[DIGEST_HEX_BYTES];

    if (own_count > ORDER_ENV_MAX - OURS) {
        return pn_fail(err, PN_E_TOO_BIG, "environment: %u variables, at most %d", own_count,
                       ORDER_ENV_MAX - OURS);
    }
    digest_hex(job, hex);
    size_t at = 0;
    int len = 0;
    out->count = 0;
    for (int i = 0; i < 4; i++) {
        char *text = out->text + at;
        size_t room = sizeof out->text - at;
        switch (i) {
        case 0:
            len = snprintf(text, room, "PREON_SLICE=%u", slice);
            break;
        case 1:
            len = snprintf(text, room, "PREON_SLICES=%u", slice_count);
            break;
        case 2:
            len = snprintf(text, room, "PREON_JOB=%s", hex);
            break;
        default:
            len = snprintf(text, room, "PREON_OUT=%s", out_path);
            break;
        }
        if (len < 0 || (size_t)len >= room) {
            return pn_fail(err, PN_E_TOO_BIG, "environment: PREON_OUT is too long");
        }
        out->list[out->count++] = text;
        at += (size_t)len + 1;
    }
    for (size_t i = 0; i < default_count; i++) {
        if (!is_set(defaults[i], own, own_count)) {
            out->list[out->count++] = defaults[i];
        }
    }
    for (uint32_t i = 0; i < own_count; i++) {
        if (strncmp(own[i], "PREON_", 6) != 0) {
            out->list[out->count++] = own[i];
        }
    }
    out->list[out->count] = NULL;
    return PN_OK;
}
