/*
 * nonce_search -- searches a range: the report of a slice, or one window of it again.
 *
 * What a slice's report says is a function of the puzzle and the slice alone, whatever kernel
 * searched it in whatever order: jobs/nonce/README.md, "What a slice reports".
 */
#ifndef PREON_JOBS_NONCE_SEARCH_H
#define PREON_JOBS_NONCE_SEARCH_H

#include "jobs/nonce/nonce_kernel.h"
#include "jobs/nonce/nonce_puzzle.h"
#include "jobs/nonce/nonce_report.h"

/*
 * Called every few thousand nonces, with how many of the slice are done. False gives the search up;
 * its report is then worthless.
 */
struct nonce_watch {
    bool (*on_progress)(void *arg, double done);
    void *arg;
};

/*
 * Searches a slice. kernel NULL, or a hash that kernels do not know (sha256hex), means plainly, one
 * nonce after the other: what the kernels are compared with. watch may be NULL.
 * Fails with PN_E_NO_MEMORY.
 */
enum pn_status nonce_search(const struct nonce_puzzle *p, struct nonce_range slice,
                            const struct nonce_kernel *kernel, const struct nonce_watch *watch,
                            struct nonce_report *out);

/* Searches all of a range as one window; kernel and watch as above. Fails with PN_E_NO_MEMORY. */
enum pn_status nonce_search_window(const struct nonce_puzzle *p, struct nonce_range range,
                                   const struct nonce_kernel *kernel,
                                   const struct nonce_watch *watch, struct nonce_window *out);

#endif
