/*
 * nonce_cpu -- what this processor can do.
 */
#ifndef PREON_JOBS_NONCE_CPU_H
#define PREON_JOBS_NONCE_CPU_H

#include <stdbool.h>

bool nonce_cpu_any(void); /* true */
bool nonce_cpu_avx512(void);
bool nonce_cpu_avx2(void);
bool nonce_cpu_sha_ni(void);
bool nonce_cpu_armv8_sha2(void);

/* The features above that are there, as "avx2 sha_ni"; "none" when there is none. */
enum { NONCE_CPU_TEXT_BYTES = 64 };
void nonce_cpu_text(char text[NONCE_CPU_TEXT_BYTES]);

#endif
