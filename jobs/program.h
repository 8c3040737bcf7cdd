/*
 * program -- what masters and commands know about the job programs that every peer has.
 *
 * A manifest's `program:nonce@1` names one of them; the words behind it are its arguments. The
 * functions here are pure: they take the arguments, a slice's number and the bytes of its one
 * output file, and say what they mean. The programs themselves are executables of their own
 * (nonce_main.c, mandelbrot_main.c), started in a sandbox like any other.
 */
#ifndef PREON_JOBS_PROGRAM_H
#define PREON_JOBS_PROGRAM_H

#include <stdatomic.h>

#include "common/buffer.h"
#include "common/manifest.h"
#include "common/random.h"

/* A slice of a job: the manifest's words behind the program, and which of how many. */
struct job_slice {
    const char *const *argv;
    size_t argc;
    uint64_t index;
    uint64_t count;
};

enum job_judgement {
    JOB_JUDGED_TRUE,      /* well-formed, and nothing that was looked at is wrong */
    JOB_JUDGED_LIE,       /* well-formed, but a recomputed claim is wrong: the worker lied */
    JOB_JUDGED_MALFORMED, /* not an output of this program for these arguments: as bad as a lie */
};

enum { JOB_LINE_BYTES = 160 };

struct job_verdict {
    enum job_judgement judgement;
    char line[JOB_LINE_BYTES]; /* one line for people: what was found, or what is wrong */
    bool answer;               /* TRUE only: the slice answers the job (stop first and lowest) */
    uint64_t answer_count;     /* what the slice found, listed or not (nonce --all: its hits) */
    double unit_count;         /* units of work done in the slice; fewer when it ended early */
    double unit_audited_count; /* of these, how many were recomputed now */
};

/* For progress: rate, expected time, and the time that suffices in 95 of 100 cases. */
struct job_expectation {
    const char *unit;  /* "hashes"; static */
    double unit_count; /* of the whole job */
    double chance;     /* that one unit answers the job; 0 where every slice is wanted */
};

/*
 * What a command puts into a manifest for a job of a program, as the program's *_draft function
 * proposes it. Freed with job_draft_fini.
 */
enum { JOB_DRAFT_WORDS_MAX = 32 };

struct job_draft {
    char name[JOB_NAME_MAX + 1];          /* "nonce-30"; the user's --name replaces it */
    char *words[JOB_DRAFT_WORDS_MAX + 1]; /* owned; the program first ("nonce@1"), NULL behind */
    uint32_t word_count;
    uint32_t slice_count;
    const char *output; /* static */
    struct limits limits;
    enum verify_mode verify;
    enum stop_mode stop;
};

void job_draft_init(struct job_draft *d);
void job_draft_fini(struct job_draft *d);
/* Appends printf-style text as one word; fails with PN_E_NO_MEMORY or PN_E_FULL. */
__attribute__((format(printf, 2, 3))) enum pn_status job_draft_word(struct job_draft *d,
                                                                    const char *format, ...);

struct job_program {
    const char *name;          /* "nonce" */
    uint32_t version;          /* freezes what the program outputs, for ever */
    const char *output;        /* the name of its one output file */
    uint64_t output_bytes_max; /* of one slice, for any arguments */

    /* That the program would run with these arguments and so many slices; the sentence says what
     * is wrong. Slices are checked as slice.count; slice.index is not looked at. */
    enum pn_status (*check)(const struct job_slice *slice, struct pn_err *err);

    /*
     * Judges one slice's output. Every claim in it that can be checked alone is checked; a sample
     * drawn from `audit` is recomputed (nonce: three of 1024 windows, 0.3 % of the slice's work,
     * at the speed of a kernel for this processor: run it off the loop). The output must be durable
     * before audit is seeded, and the line of a lie must not reach the worker.
     *
     * audit  NULL: no sample. What has been audited before, and is final, is only told again.
     * stop   set by another thread it ends a long audit, with PN_E_CLOSED. NULL: nobody ends it.
     * out    is written only on PN_OK; a lie is PN_OK.
     * Fails with PN_E_NO_MEMORY, or as check does when the slice itself is impossible.
     */
    enum pn_status (*judge)(const struct job_slice *slice, struct pn_bytes output,
                            struct random *audit, const atomic_bool *stop, struct job_verdict *out,
                            struct pn_err *err);

    /*
     * Describes what a judged output found, as "key value" lines in a fixed order (nonce:
     * "nonce", "hash", "zero_bits", "check" for the first hit, then "hits" when there are more).
     * Empty when it found nothing. Fails as check, or as buffer_append.
     */
    enum pn_status (*describe)(const struct job_slice *slice, struct pn_bytes output,
                               struct buffer *out, struct pn_err *err);

    /* Units of work of one slice, when searched to its end. */
    double (*slice_units)(const struct job_slice *slice);
    /* … and those of them that judge recomputes of every output that it finds true. */
    double (*audit_units)(const struct job_slice *slice);
    /* Seconds that one slice may take on the slowest processor that shall still do. */
    double (*slice_seconds)(const struct job_slice *slice);
    enum pn_status (*expect)(const struct job_slice *slice, struct job_expectation *out,
                             struct pn_err *err);
};

/*
 * Raises the times in *limits to what the slices need (slice.index is not looked at).
 * Fails with PN_E_RANGE when that is more than any manifest may allow: the job needs more slices.
 */
enum pn_status job_program_limits(const struct job_program *p, const struct job_slice *slice,
                                  struct limits *limits, struct pn_err *err);

/* By "nonce@1", as it stands in a manifest; NULL when there is none. */
const struct job_program *job_program_find(const char *name);

/* Those there are, for HELLO and doctor; NULL behind the last one. */
const struct job_program *job_program_at(size_t index);

/* Writes "nonce@1" to text. */
enum { JOB_PROGRAM_NAME_BYTES = 32 };
void job_program_name(const struct job_program *p, char text[JOB_PROGRAM_NAME_BYTES]);

/*
 * A line "progress <done> <total>" of a program's stdout, in units. False for every other line;
 * done is at most total. Numbers of 20 digits that are too large are UINT64_MAX: 2^64 nonces are
 * one such slice.
 */
bool job_progress_parse(struct pn_bytes line, uint64_t *done, uint64_t *total);

#endif
