/*
 * alloc -- makes the n-th allocation fail. A test that includes this is linked with
 * --wrap=malloc and so on (tests/unit/CMakeLists.txt looks for the include), which reaches all of
 * our own code and none of the libraries'.
 *
 *     for (alloc_fail_at(1); (status = thing(…)) == PN_E_NO_MEMORY; alloc_fail_next()) { … }
 *     alloc_fail_never();
 */
#ifndef PREON_TESTS_ALLOC_H
#define PREON_TESTS_ALLOC_H

#include <stddef.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*): the linker makes these names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static unsigned long alloc_turn; /* which allocation fails */
static unsigned long alloc_left; /* counts down to it; 0: none will fail */

static inline void alloc_fail_at(unsigned long n) { alloc_turn = alloc_left = n; }
static inline void alloc_fail_next(void) { alloc_fail_at(alloc_turn + 1); }
static inline void alloc_fail_never(void) { alloc_left = 0; }

static int alloc_fails(void) { return alloc_left > 0 && --alloc_left == 0; }

void *__wrap_malloc(size_t size) { return alloc_fails() ? NULL : __real_malloc(size); }

void *__wrap_calloc(size_t count, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return alloc_fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text) { return alloc_fails() ? NULL : __real_strdup(text); }

/* NOLINTEND(bugprone-reserved-identifier,cert-*) */

#endif
