/*
 * nonce_bench_sys -- how fast this machine searches, each kernel alone and on all processors.
 */
#ifndef PREON_JOBS_NONCE_BENCH_SYS_H
#define PREON_JOBS_NONCE_BENCH_SYS_H

#include "jobs/nonce/nonce_kernel.h"

enum { NONCE_BENCH_KERNELS_MAX = 8 };

struct nonce_bench {
    struct {
        const struct nonce_kernel *kernel;
        bool usable;
        bool right;         /* passed nonce_pick_check; measured only then */
        double one_thread;  /* double hashes a second of processor time, windows and all */
        double all_threads; /* of `threads` of them together */
    } lines[NONCE_BENCH_KERNELS_MAX];
    size_t count;
    uint32_t threads;
    const struct nonce_kernel *chosen; /* what programs choose on this machine */
};

/*
 * Measures for about `seconds` per kernel and column. threads 0 stands for all processors.
 * Fails with PN_E_SYSTEM or PN_E_NO_MEMORY.
 */
enum pn_status nonce_bench_run(uint32_t threads, double seconds, struct nonce_bench *out,
                               struct pn_err *err);

/* Nanoseconds of processor time of the calling thread: other load on the machine does not count. */
uint64_t nonce_bench_clock(void);

/*
 * Hashes a second of a puzzle and kernel on the calling thread, over about `seconds`. Of the range
 * the beginning is searched, or as many nonces more as a rate needs; hits do not end it.
 */
double nonce_bench_rate(const struct nonce_puzzle *p, const struct nonce_kernel *kernel,
                        double seconds);

#endif
