/*
 * interrupt_sys -- Ctrl-C: the first asks the command to come to an end, the second ends it at
 * once.
 */
#ifndef PREON_TOOLS_INTERRUPT_SYS_H
#define PREON_TOOLS_INTERRUPT_SYS_H

#include <stdbool.h>

/* Installs the handler for SIGINT and SIGTERM. Waiting system calls are interrupted. */
void interrupt_install(void);

/* Whether the first has come. */
bool interrupt_came(void);

#endif
