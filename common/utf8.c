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

static uint32_t code_point(const uint8_t *p, size_t len)
{
    uint32_t code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        code = code << 6 | (p[i] & 0x3f);
    }
    return code;
}

bool utf8_is_control(const uint8_t *p, size_t len)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } ranges[] = {
        {0, 0x1f},        {0x7f, 0x9f},     /* ASCII's, and those that are ESC and a letter */
        {0x61c, 0x61c},   {0x200e, 0x200f}, /* direction marks */
        {0x200b, 0x200b}, {0xfeff, 0xfeff}, /* spaces of no width */
        {0x2028, 0x202e},                   /* separators of lines; embeddings and overrides */
        {0x2060, 0x206f},                   /* joiner, invisible operators, isolates */
    };
    const uint32_t code = code_point(p, len);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

void utf8_tame(char *text, bool lines)
{
    uint8_t *p = (uint8_t *)text;
    for (size_t left = strlen(text); left > 0;) {
        size_t len = utf8_length(p, left);
        bool stays = lines && (*p == '\n' || *p == '\t');
        bool bad = len == 0 || (utf8_is_control(p, len) && !stays);
        for (len = len > 0 ? len : 1; len > 0; len--, left--, p++) {
            *p = bad ? '?' : *p;
        }
    }
}
