/* Eight lanes. */
#include "jobs/nonce/nonce_cpu.h"
#include "jobs/nonce/nonce_kernel.h"

#if defined(__AVX2__)
typedef uint32_t V __attribute__((vector_size(32)));
enum { LANES = 8 };

#include "jobs/nonce/nonce_lanes.h"
#define WORDS lanes_words
#define FOLD lanes_fold
#else
#define WORDS NULL
#define FOLD NULL
#endif

const struct nonce_kernel nonce_kernel_avx2 = {"avx2", "avx2", nonce_cpu_avx2, WORDS, FOLD};
