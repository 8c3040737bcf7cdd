#include "jobs/nonce/nonce_cpu.h"

#include <stdio.h>
#include <string.h>

bool nonce_cpu_any(void) { return true; }

#if defined(__x86_64__)
#include <cpuid.h>

/* The compiler's own test also asks whether the system saves the registers. */
bool nonce_cpu_avx512(void) { return __builtin_cpu_supports("avx512f") != 0; }

bool nonce_cpu_avx2(void) { return __builtin_cpu_supports("avx2") != 0; }

bool nonce_cpu_sha_ni(void)
{
    enum { LEAF = 7, SHA_BIT = 29 };
    unsigned a, b, c, d;
    return __get_cpuid_count(LEAF, 0, &a, &b, &c, &d) != 0 && (b >> SHA_BIT & 1) != 0 &&
           __builtin_cpu_supports("sse4.1") != 0;
}
#else
bool nonce_cpu_avx512(void) { return false; }
bool nonce_cpu_avx2(void) { return false; }
bool nonce_cpu_sha_ni(void) { return false; }
#endif

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

bool nonce_cpu_armv8_sha2(void) { return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0; }
#else
bool nonce_cpu_armv8_sha2(void) { return false; }
#endif

void nonce_cpu_text(char text[NONCE_CPU_TEXT_BYTES])
{
    (void)snprintf(text, NONCE_CPU_TEXT_BYTES, "%s%s%s%s", nonce_cpu_avx512() ? " avx512f" : "",
                   nonce_cpu_avx2() ? " avx2" : "", nonce_cpu_sha_ni() ? " sha_ni" : "",
                   nonce_cpu_armv8_sha2() ? " sha2" : "");
    if (text[0] == '\0') {
        (void)snprintf(text, NONCE_CPU_TEXT_BYTES, " none");
    }
    memmove(text, text + 1, strlen(text));
}
