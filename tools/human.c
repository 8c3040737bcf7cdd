#include "tools/human.h"

#include <inttypes.h>
#include <stdio.h>

const char *human_count(double n, char out[HUMAN_BYTES])
{
    static const char *const POWERS[] = {"", " k", " M", " G", " T", " P", " E"};
    size_t power = 0;
    while (n >= 999.5 && power + 1 < sizeof POWERS / sizeof POWERS[0]) {
        n /= 1000;
        power++;
    }
    int decimals = power == 0 || n >= 99.95 ? 0 : 1;
    if (power > 0 && n < 9.995) {
        decimals = 2;
    }
    (void)snprintf(out, HUMAN_BYTES, "%.*f%s", decimals, n, POWERS[power]);
    return out;
}

const char *human_many(double n, const char *one, char out[HUMAN_BYTES])
{
    (void)snprintf(out, HUMAN_BYTES, "%.0f %s%s", n, one, n == 1 ? "" : "s");
    return out;
}

const char *human_duration(uint64_t ms, char out[HUMAN_BYTES])
{
    const uint64_t s = ms / 1000 + (ms % 1000 >= 500);
    if (ms < 1000) {
        (void)snprintf(out, HUMAN_BYTES, "%" PRIu64 " ms", ms);
    } else if (ms < 9950) {
        (void)snprintf(out, HUMAN_BYTES, "%.1f s", (double)ms / 1000);
    } else if (s < 60) {
        (void)snprintf(out, HUMAN_BYTES, "%" PRIu64 " s", s);
    } else if (s < 3600) {
        (void)snprintf(out, HUMAN_BYTES, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
    } else if (s < 86400) {
        (void)snprintf(out, HUMAN_BYTES, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s / 60 % 60);
    } else {
        (void)snprintf(out, HUMAN_BYTES, "%" PRIu64 " d %" PRIu64 " h", s / 86400, s / 3600 % 24);
    }
    return out;
}

const char *human_rate(double per_s, const char *unit, char out[HUMAN_BYTES])
{
    char count[HUMAN_BYTES];
    out[0] = '\0';
    if (per_s > 0) {
        (void)snprintf(out, HUMAN_BYTES, "%s %s/s", human_count(per_s, count), unit);
    }
    return out;
}

const char *human_bar(double share, size_t width, char out[HUMAN_BYTES])
{
    width = width > HUMAN_BYTES - 3 ? HUMAN_BYTES - 3 : width;
    share = share < 0 ? 0 : share;
    share = share > 1 ? 1 : share;
    const size_t full = (size_t)(share * (double)width);
    out[0] = '[';
    for (size_t i = 0; i < width; i++) {
        out[1 + i] = i < full ? '#' : '.';
    }
    out[1 + width] = ']';
    out[2 + width] = '\0';
    return out;
}
