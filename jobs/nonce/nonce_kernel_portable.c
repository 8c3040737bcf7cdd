/* Four lanes in the compiler's own vectors: SSE2 on x86-64, NEON on ARMv8, plain code elsewhere. */
#include "jobs/nonce/nonce_cpu.h"
#include "jobs/nonce/nonce_kernel.h"

typedef uint32_t V __attribute__((vector_size(16)));
enum { LANES = 4 };

#include "jobs/nonce/nonce_lanes.h"

const struct nonce_kernel nonce_kernel_portable = {"portable", "", nonce_cpu_any, lanes_words,
                                                   lanes_fold};
