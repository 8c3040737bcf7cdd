/*
 * nonce_verify -- one nonce checked, and shown so that a person can check it too.
 */
#ifndef PREON_JOBS_NONCE_VERIFY_H
#define PREON_JOBS_NONCE_VERIFY_H

#include "jobs/nonce/nonce_args.h"

struct nonce_proof {
    char digest[2 * SHA256_DIGEST_BYTES + 1]; /* as sha256sum prints it */
    uint32_t zero_bits;                       /* in the puzzle's bit order */
    bool hit;                                 /* meets the puzzle's target */
};

/* Fails with PN_E_RANGE when the encoding can't hold the nonce. The puzzle's range is ignored. */
enum pn_status nonce_verify(const struct nonce_puzzle *p, uint64_t nonce, struct nonce_proof *out,
                            struct pn_err *err);

/*
 * Appends the shell line that prints the same digest; a holds nonce_args_group and p is what
 * nonce_args_puzzle made of it. Where only the block's midstate is known, the line reads the block
 * from the file that its reader names in $BLOCK.
 */
enum pn_status nonce_verify_line(const struct args *a, const struct nonce_puzzle *p, uint64_t nonce,
                                 struct buffer *out, struct pn_err *err);

/* The same from the words of a manifest. */
enum pn_status nonce_verify_words(const char *const *argv, size_t argc, uint64_t nonce,
                                  struct buffer *out, struct pn_err *err);

#endif
