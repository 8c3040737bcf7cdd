/*
 * program -- what a file that should be executed is, told by its first bytes.
 */
#ifndef PREON_PEER_SANDBOX_PROGRAM_H
#define PREON_PEER_SANDBOX_PROGRAM_H

#include "common/bytes.h"

enum { PROGRAM_HEAD_BYTES = 64 };

enum program_form {
    PROGRAM_FORM_UNKNOWN, /* neither a program nor a script */
    PROGRAM_FORM_SCRIPT,  /* starts with #! */
    PROGRAM_FORM_NATIVE,  /* an ELF program for the same processor as `own` */
    PROGRAM_FORM_FOREIGN, /* an ELF file for another one */
};

/*
 * head  the file's first bytes, PROGRAM_HEAD_BYTES or fewer
 * own   the same of a program known to run here
 * A 32-bit program for the 32-bit sibling of this processor is foreign: the sandbox's filter kills
 * its first system call.
 */
enum program_form program_form_of(struct pn_bytes head, struct pn_bytes own);

#endif
