/*
 * fuzz -- what every fuzz target includes: inputs in heap blocks of exactly their size, where ASan
 * sees the first byte read beyond the end, and before the start.
 */
#ifndef PREON_TESTS_FUZZ_H
#define PREON_TESTS_FUZZ_H

#include <assert.h>
#include <stdlib.h>

#include "common/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy in a block of exactly len bytes; freed by the caller. */
static inline struct pn_bytes fuzz_exact(const uint8_t *from, size_t len)
{
    uint8_t *copy = malloc(len + (len == 0));
    assert(copy != NULL);
    if (len > 0) {
        memcpy(copy, from, len);
    }
    return (struct pn_bytes){copy, len};
}

static inline void fuzz_free(struct pn_bytes exact) { free((void *)(uintptr_t)exact.ptr); }

/* A string in a block that ends with its NUL; freed by the caller. */
static inline char *fuzz_string(struct pn_bytes from)
{
    char *copy = malloc(from.len + 1);
    assert(copy != NULL);
    if (from.len > 0) {
        memcpy(copy, from.ptr, from.len);
    }
    copy[from.len] = '\0';
    return copy;
}

/* Splits the first line off, without its LF; false when nothing is left. */
static inline bool fuzz_line(struct pn_bytes *in, struct pn_bytes *line)
{
    if (in->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(in->ptr, '\n', in->len);
    size_t len = end == NULL ? in->len : (size_t)(end - in->ptr);
    size_t used = end == NULL ? len : len + 1;
    *line = (struct pn_bytes){in->ptr, len};
    *in = (struct pn_bytes){in->ptr + used, in->len - used};
    return true;
}

/* Words of a command line, one a line, each a string of its own. */
enum { FUZZ_WORDS_MAX = 32 };

struct fuzz_words {
    char *words[FUZZ_WORDS_MAX];
    size_t count;
};

static inline void fuzz_words_init(struct fuzz_words *w, struct pn_bytes in)
{
    struct pn_bytes line;
    w->count = 0;
    while (w->count < FUZZ_WORDS_MAX && fuzz_line(&in, &line)) {
        w->words[w->count++] = fuzz_string(line);
    }
}

static inline void fuzz_words_fini(struct fuzz_words *w)
{
    while (w->count > 0) {
        free(w->words[--w->count]);
    }
}

#endif
