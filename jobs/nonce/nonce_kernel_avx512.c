/* Sixteen lanes: rotations and three-way logic are one instruction each. */
#include "jobs/nonce/nonce_cpu.h"
#include "jobs/nonce/nonce_kernel.h"

#if defined(__AVX512F__)
#include <immintrin.h>

typedef uint32_t V __attribute__((vector_size(64)));
enum { LANES = 16 };

#define ROR(x, n) ((V)_mm512_ror_epi32((__m512i)(x), n))
#define LOGIC(x, y, z, table)                                                                      \
    ((V)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define XOR3(x, y, z) LOGIC(x, y, z, 0x96)
#define CHOOSE(x, y, z) LOGIC(x, y, z, 0xca)
#define MAJORITY(x, y, z) LOGIC(x, y, z, 0xe8)

#include "jobs/nonce/nonce_lanes.h"
#define WORDS lanes_words
#define FOLD lanes_fold
#else
#define WORDS NULL
#define FOLD NULL
#endif

const struct nonce_kernel nonce_kernel_avx512 = {"avx512", "avx512f", nonce_cpu_avx512, WORDS,
                                                 FOLD};
