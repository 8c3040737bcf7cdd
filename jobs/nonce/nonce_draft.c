#include "jobs/nonce/nonce_program.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "jobs/nonce/nonce_args.h"

enum {
    SHORT_BLOCK_BYTES = 512, /* longer blocks stand in a manifest as a midstate */
    SLICE_SECONDS = 10,
    SLICES_PER_SLOT = 4,
};

static enum pn_status words_of_midstate(const struct nonce_puzzle *p, struct job_draft *out)
{
    uint8_t state[SHA256_DIGEST_BYTES];
    char state_hex[2 * SHA256_DIGEST_BYTES + 1];
    char tail_hex[2 * SHA256_BLOCK_BYTES + 1];
    for (int i = 0; i < SHA256_DIGEST_BYTES; i++) {
        state[i] = (uint8_t)(p->midstate[i / 4] >> (24 - 8 * (i % 4)));
    }
    hex_write((struct pn_bytes){state, sizeof state}, state_hex);
    hex_write((struct pn_bytes){p->tail, p->tail_len}, tail_hex);
    enum pn_status status = PN_OK;
    if (p->midstate_bytes > 0) {
        status = job_draft_word(out, "--midstate=%s", state_hex);
        if (status == PN_OK) {
            status = job_draft_word(out, "--midstate-bytes=%" PRIu64, p->midstate_bytes);
        }
    }
    return status == PN_OK ? job_draft_word(out, "--block-hex=%s", tail_hex) : status;
}

static enum pn_status words_of_block(const struct args *a, const struct nonce_puzzle *p,
                                     struct job_draft *out)
{
    const char *hex = args_text(a, "block-hex");
    if (args_given(a, "header")) {
        return job_draft_word(out, "--header=%s", args_text(a, "header"));
    }
    if (args_given(a, "block-file") || args_given(a, "midstate")) {
        return words_of_midstate(p, out);
    }
    if (hex != NULL) {
        return strlen(hex) <= 2 * (size_t)SHORT_BLOCK_BYTES
                   ? job_draft_word(out, "--block-hex=%s", hex)
                   : words_of_midstate(p, out);
    }
    const char *text = args_text(a, "block");
    return strlen(text) <= SHORT_BLOCK_BYTES ? job_draft_word(out, "--block=%s", text)
                                             : words_of_midstate(p, out);
}

/* Options that go into the manifest as they are, when they were given. */
static enum pn_status words_as_given(const struct args *a, struct job_draft *out)
{
    static const char *const names[] = {"append", "suffix", "hash",  "zeros",
                                        "unit",   "target", "nbits", "bit-order"};
    enum pn_status status = PN_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == PN_OK; i++) {
        if (args_given(a, names[i])) {
            status = job_draft_word(out, "--%s=%s", names[i], args_text(a, names[i]));
        }
    }
    bool other_target = args_given(a, "zeros") || args_given(a, "target") || args_given(a, "nbits");
    if (status == PN_OK && !other_target) {
        status = job_draft_word(out, "--difficulty=%s", args_text(a, "difficulty"));
    }
    return status;
}

enum pn_status nonce_draft(const struct args *a, const struct nonce_puzzle *p,
                           struct job_draft *out, struct pn_err *err)
{
    char count[NONCE_COUNT_TEXT_BYTES];
    job_draft_init(out);
    nonce_args_count_text(nonce_range_count(p->range), count);
    (void)snprintf(out->name, sizeof out->name, "nonce-%.1f", fabs(log2(nonce_puzzle_chance(p))));
    out->output = nonce_program.output;
    out->stop = p->goal == NONCE_FIRST    ? STOP_FIRST
                : p->goal == NONCE_LOWEST ? STOP_LOWEST
                                          : STOP_ALL;
    enum pn_status status = job_draft_word(out, "nonce@1");
    if (status == PN_OK) {
        status = words_of_block(a, p, out);
    }
    if (status == PN_OK) {
        status = words_as_given(a, out);
    }
    if (status == PN_OK) {
        status = job_draft_word(out, "--start=%" PRIu64, p->range.first);
    }
    if (status == PN_OK) {
        status = job_draft_word(out, "--count=%s", count);
    }
    if (status == PN_OK && p->goal != NONCE_FIRST) {
        status = job_draft_word(out, p->goal == NONCE_ALL ? "--all" : "--lowest");
    }
    return status == PN_OK ? PN_OK
                           : pn_fail(err, status, "words of the job: %s", pn_status_text(status));
}

uint32_t nonce_draft_slices(const struct nonce_puzzle *p, double slowest_rate, uint32_t slots)
{
    double count = (double)nonce_range_count(p->range);
    double seconds = count / (slowest_rate > 1 ? slowest_rate : 1);
    double slices = ceil(seconds / SLICE_SECONDS);
    double even = (double)slots * SLICES_PER_SLOT;
    if (slices < even) {
        slices = seconds >= even ? even : ceil(seconds);
    }
    slices = fmin(slices, JOB_SLICES_MAX);
    slices = fmax(fmin(slices, count), 1);
    uint32_t n = (uint32_t)slices;
    while (n < JOB_SLICES_MAX && n < nonce_range_count(p->range) &&
           nonce_args_check_slices(p, n, NULL) != PN_OK) {
        n = n < JOB_SLICES_MAX / 2 ? n * 2 : JOB_SLICES_MAX; /* --all: fewer hits a slice */
        n = n <= nonce_range_count(p->range) ? n : (uint32_t)nonce_range_count(p->range);
    }
    return n;
}
