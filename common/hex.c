#include "common/hex.h"

static const char DIGITS[] = "0123456789abcdef";

void hex_write(struct pn_bytes in, char *text)
{
    for (size_t i = 0; i < in.len; i++) {
        *text++ = DIGITS[in.ptr[i] >> 4];
        *text++ = DIGITS[in.ptr[i] & 15];
    }
    *text = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

bool hex_parse(const char *text, size_t text_len, uint8_t *out, size_t len)
{
    if (text_len != 2 * len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
