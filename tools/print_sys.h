/*
 * print_sys -- what every command prints alike.
 */
#ifndef PREON_TOOLS_PRINT_SYS_H
#define PREON_TOOLS_PRINT_SYS_H

#include <jansson.h>
#include <stdio.h>

/* JSON to stdout, indented, with a newline. NULL (out of memory) prints nothing. */
void print_json(const json_t *json);

/*
 * What a job's program has written, to stdout or stderr: to a file as it is, to a terminal without
 * what would make the terminal do anything (utf8_tame).
 */
void print_foreign(FILE *to, const char *text);

#endif
