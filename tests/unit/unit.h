/*
 * unit -- what every unit test includes: cmocka, and exact-size heap copies of inputs.
 */
#ifndef PREON_TESTS_UNIT_H
#define PREON_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"

/*
 * A copy of len bytes in a heap block of exactly that size: inside a bigger array ASan could not
 * see an over-read. Freed by the caller.
 */
static inline uint8_t *unit_exact(const void *from, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, from, len);
    }
    return copy;
}

#endif
