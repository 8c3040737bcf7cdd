/*
 * attack -- one static program of many small attacks, each tried inside the sandbox and outside.
 *
 * `attack NAME` prints "ran NAME", tries, and prints "escaped NAME" if it got what it wanted; the
 * runner (escape_uv.c) demands the second outside and its absence inside. An attack that works
 * nowhere proves nothing. What an attack needs to know comes in ESCAPE_* variables.
 */
#ifndef PREON_TESTS_ESCAPE_ATTACK_H
#define PREON_TESTS_ESCAPE_ATTACK_H

#include <stdbool.h>
#include <stddef.h>

struct attack {
    const char *name;
    bool (*run)(void); /* true: it got what it wanted */
};

extern const struct attack attacks_on_files[];     /* files, descriptors, environment, outputs */
extern const struct attack attacks_on_kernel[];    /* kernel interfaces, network */
extern const struct attack attacks_on_processes[]; /* processes, signals, memory, fork, time */

/* The value of a variable that the runner sets; "" when it is missing. */
const char *attack_setting(const char *name);
long attack_number(const char *name);

#endif
