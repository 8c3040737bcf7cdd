#include "common/utf8.h"

size_t utf8_length(const uint8_t *p, size_t left)
{
    uint8_t low =
        0x80; /* bounds of the second byte: exclude overlong forms, surrogates, > 10FFFF */
    uint8_t high = 0xbf;
    size_t len = 0;
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        low = p[0] == 0xe0 ? 0xa0 : low;
        high = p[0] == 0xed ? 0x9f : high;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        low = p[0] == 0xf0 ? 0x90 : low;
        high = p[0] == 0xf4 ? 0x8f : high;
    }
    if (len == 0 || len > left || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

bool utf8_valid(struct pn_bytes text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = text.ptr[at] == 0 ? 0 : utf8_length(text.ptr + at, text.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

static bool is_control(const uint8_t *p, size_t len)
{
    return (len == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (len == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

void utf8_tame(char *text, bool lines)
{
    uint8_t *p = (uint8_t *)text;
    for (size_t left = strlen(text); left > 0;) {
        size_t len = utf8_length(p, left);
        bool stays = lines && (*p == '\n' || *p == '\t');
        bool bad = len == 0 || (is_control(p, len) && !stays);
        for (len = len > 0 ? len : 1; len > 0; len--, left--, p++) {
            *p = bad ? '?' : *p;
        }
    }
}
