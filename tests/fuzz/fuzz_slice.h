/*
 * fuzz_slice -- inputs of the targets that judge a job program's output: two bytes (which slice of
 * how many), the job's words a line each, an empty line, the output.
 */
#ifndef PREON_TESTS_FUZZ_SLICE_H
#define PREON_TESTS_FUZZ_SLICE_H

#include "jobs/program.h"
#include "tests/fuzz/fuzz.h"

struct fuzz_slice {
    struct fuzz_words words;
    struct job_slice slice;
    struct pn_bytes output;
};

/* False when the input is too short for a slice; else out is freed with fuzz_slice_fini. */
static inline bool fuzz_slice_init(struct fuzz_slice *out, const uint8_t *data, size_t size)
{
    struct pn_bytes line;
    if (size < 2) {
        return false;
    }
    struct pn_bytes in = {data + 2, size - 2};
    out->words.count = 0;
    while (fuzz_line(&in, &line) && line.len > 0 && out->words.count < FUZZ_WORDS_MAX) {
        out->words.words[out->words.count++] = fuzz_string(line);
    }
    out->slice = (struct job_slice){.argv = (const char *const *)out->words.words,
                                    .argc = out->words.count,
                                    .index = data[0],
                                    .count = data[1]};
    out->output = fuzz_exact(in.ptr, in.len);
    return true;
}

static inline void fuzz_slice_fini(struct fuzz_slice *s)
{
    fuzz_free(s->output);
    fuzz_words_fini(&s->words);
}

#endif
