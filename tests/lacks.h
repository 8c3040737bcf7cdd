/*
 * lacks -- what this machine refuses, as tools/test.sh has found out: the only reason for a test
 * program to leave something out. Without PREON_TEST_LACKS it refuses nothing.
 */
#ifndef PREON_TESTS_LACKS_H
#define PREON_TESTS_LACKS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LACKS_EXIT = 77 }; /* "skipped in part" to ctest */

/* Whether a word ("sandbox", "networks", "mounts") stands in the list. */
static inline bool lacks(const char *what)
{
    const char *list = getenv("PREON_TEST_LACKS");
    const size_t len = strlen(what);
    while (list != NULL && *list != '\0') {
        const size_t word = strcspn(list, " ");
        if (word == len && strncmp(list, what, len) == 0) {
            return true;
        }
        list += word + strspn(list + word, " ");
    }
    return false;
}

/* What a program ends with that has left out `which` for want of `what`; says so. */
static inline int lacks_exit(int failed, const char *which, const char *what)
{
    (void)printf("skipped: %s: needs %s, which this machine refuses\n", which, what);
    return failed != 0 ? 1 : LACKS_EXIT;
}

#endif
