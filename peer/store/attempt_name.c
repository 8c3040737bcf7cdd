#include "peer/store/attempt_name.h"

#include <inttypes.h>
#include <stdio.h>

const char *attempt_name_write(uint64_t slice, uint64_t attempt, char out[ATTEMPT_NAME_BYTES])
{
    (void)snprintf(out, ATTEMPT_NAME_BYTES, "%" PRIu64 ".%" PRIu64, slice, attempt);
    return out;
}

/* Decimal without leading zeros up to `end`; returns what follows it, NULL when it is none. */
static const char *number_parse(const char *at, char end, uint64_t *out)
{
    uint64_t n = 0;
    const char *first = at;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (n > (UINT64_MAX - digit) / 10) {
            return NULL;
        }
        n = n * 10 + digit;
    }
    if (at == first || *at != end || (*first == '0' && at > first + 1)) {
        return NULL;
    }
    *out = n;
    return end == '\0' ? at : at + 1;
}

bool attempt_name_parse(const char *name, uint64_t *slice, uint64_t *attempt)
{
    uint64_t s;
    uint64_t a;
    const char *rest = number_parse(name, '.', &s);
    if (rest == NULL || number_parse(rest, '\0', &a) == NULL) {
        return false;
    }
    *slice = s;
    *attempt = a;
    return true;
}
