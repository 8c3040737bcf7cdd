/*
 * print_sys -- what every command prints alike.
 */
#ifndef PREON_TOOLS_PRINT_SYS_H
#define PREON_TOOLS_PRINT_SYS_H

#include <jansson.h>

/* JSON to stdout, indented, with a newline. NULL (out of memory) prints nothing. */
void print_json(const json_t *json);

#endif
