/*
 * nonce_report -- what a slice of a nonce search says: its hits, and the windows that prove the
 * search. Byte layout and meaning are frozen with nonce@1: jobs/nonce/README.md.
 */
#ifndef PREON_JOBS_NONCE_REPORT_H
#define PREON_JOBS_NONCE_REPORT_H

#include "common/bytes.h"
#include "common/status.h"
#include "jobs/nonce/nonce_range.h"

enum {
    NONCE_WINDOWS_MAX = 1024,
    NONCE_HITS_MAX = 4096, /* listed; more are counted */
    NONCE_REPORT_BYTES_MAX = 48 + NONCE_HITS_MAX * 8 + NONCE_WINDOWS_MAX * 16,
};

struct nonce_window {
    uint32_t word;  /* the lowest in the window */
    uint32_t sum;   /* of all words in the window, mod 2^32 */
    uint64_t nonce; /* the lowest with that word */
};

/* 48 KiB: keep it on the heap. */
struct nonce_report {
    struct nonce_range range; /* the slice's */
    uint32_t window_count;    /* of the slice; searched_count of them are filled */
    uint32_t searched_count;
    uint64_t hit_total;
    uint32_t hit_count;            /* listed: the lowest ones */
    uint64_t hits[NONCE_HITS_MAX]; /* ascending */
    struct nonce_window windows[NONCE_WINDOWS_MAX];
};

/* How many windows the report of a slice has. */
uint32_t nonce_report_windows(struct nonce_range slice);

/* An empty report of a slice; sets its window_count. */
void nonce_report_init(struct nonce_report *r, struct nonce_range slice);

/* The nonces of window index, and which window has a nonce. */
struct nonce_range nonce_report_window(const struct nonce_report *r, uint32_t index);
uint32_t nonce_report_window_of(const struct nonce_report *r, uint64_t nonce);

/* Writes the report to out; returns the length, at most NONCE_REPORT_BYTES_MAX. */
size_t nonce_report_write(const struct nonce_report *r, uint8_t out[NONCE_REPORT_BYTES_MAX]);

/*
 * Parses a report: layout, counts, order of the hits, and that nonces lie where they must.
 * Fails with PN_E_MALFORMED; *out is then undefined.
 */
enum pn_status nonce_report_parse(struct pn_bytes in, struct nonce_report *out, struct pn_err *err);

#endif
