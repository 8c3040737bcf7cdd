/* trace -- what a core did, said as text and compared as text. */
#ifndef PREON_TESTS_TRACE_H
#define PREON_TESTS_TRACE_H

#include "tests/unit/unit.h"

#include <stdio.h>

static char trace[8192];

__attribute__((format(printf, 1, 2))) static inline void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t len = strlen(trace);
    (void)vsnprintf(trace + len, sizeof trace - len, format, args);
    va_end(args);
}

static inline void expect(const char *text)
{
    assert_string_equal(trace, text);
    trace[0] = '\0';
}

#endif
