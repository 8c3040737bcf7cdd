/*
 * outcome -- how a slice ended: the class and code that the sandbox reports and a vote signs.
 *
 * The values are part of the hash of outputs (design.md, "Manifest and hashes": u8 class, i32
 * code), so they are frozen: new classes go to the end, none is reused.
 *
 *   class               code                     who is to blame
 *   OUTCOME_EXITED      exit status, 0 to 255    the job: the only class whose outputs count
 *   OUTCOME_SIGNALLED   signal number            the job: it crashed, or a limit without a class of
 *                                                its own (file size: SIGXFSZ, a forbidden call)
 *   OUTCOME_TIME        0 wall time, 1 CPU time  the job, or a machine slower than it was meant for
 *   OUTCOME_MEMORY      0                        the job: over the memory it asked for
 *   OUTCOME_OUTPUT      enum outcome_output      the job: too much, or not what it promised
 *   OUTCOME_NO_START    enum outcome_no_start    job or machine: the text beside it says which
 */
#ifndef PREON_COMMON_OUTCOME_H
#define PREON_COMMON_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

enum outcome_class {
    OUTCOME_EXITED = 0,
    OUTCOME_SIGNALLED = 1,
    OUTCOME_TIME = 2,
    OUTCOME_MEMORY = 3,
    OUTCOME_OUTPUT = 4,
    OUTCOME_NO_START = 5,
};

enum { OUTCOME_CLASS_COUNT = 6 };

/* Codes of OUTCOME_OUTPUT. */
enum outcome_output {
    OUTCOME_OUTPUT_FLOOD = 0,   /* stdout and stderr went on past the last cap */
    OUTCOME_OUTPUT_MISSING = 1, /* a name the manifest lists is not there */
    OUTCOME_OUTPUT_KIND = 2,    /* a link, folder, device, fifo, or a file with a second name */
    OUTCOME_OUTPUT_SIZE = 3,    /* outputs larger than allowed, or full of holes */
};

/* Codes of OUTCOME_NO_START. */
enum outcome_no_start {
    OUTCOME_NO_START_SETUP = 0, /* the sandbox itself failed: this machine's fault, try elsewhere */
    OUTCOME_NO_START_NOT_FOUND = 1,  /* no such program */
    OUTCOME_NO_START_NOT_EXEC = 2,   /* a file, but not a program (or its interpreter is missing) */
    OUTCOME_NO_START_WRONG_ARCH = 3, /* a program for another processor */
    OUTCOME_NO_START_LIMITS = 4,     /* the limits asked for are over this volunteer's caps */
    OUTCOME_NO_START_TIER = 5,       /* foreign programs need a full sandbox, and this is none */
    OUTCOME_NO_START_KILLED = 6,     /* cancelled before or while it ran; never voted */
};

struct outcome {
    uint8_t class; /* enum outcome_class */
    int32_t code;
};

static inline bool outcome_equal(struct outcome a, struct outcome b)
{
    return a.class == b.class && a.code == b.code;
}

/* The slice did what it was asked to: only then are its outputs worth anything. */
static inline bool outcome_good(struct outcome o)
{
    return o.class == OUTCOME_EXITED && o.code == 0;
}

/*
 * True when the same machine would fail again although another may not: the master gives the slice
 * to somebody else and does not count a vote.
 */
static inline bool outcome_machine_fault(struct outcome o) { return o.class == OUTCOME_NO_START; }

/*
 * "exit 3", "killed by signal 11 SIGSEGV", "over its wall time": for people.
 * Returns out, always terminated; OUTCOME_TEXT_BYTES are enough.
 */
enum { OUTCOME_TEXT_BYTES = 96 };
const char *outcome_text(struct outcome o, char *out, unsigned out_bytes);

#endif
