/*
 * shuns -- the jobs that an idle peer was offered lately and is not to be offered again for a
 * while.
 */
#ifndef PREON_TRACKER_SHUNS_H
#define PREON_TRACKER_SHUNS_H

#include <stdbool.h>
#include <stdint.h>

enum {
    /* After TAKE or silence the same job is not offered again for a while, which doubles. */
    SHUNS_SAME_JOB_MIN_MS = 1000,
    SHUNS_SAME_JOB_MAX_MS = 60000,
    SHUNS_PASSED_MS = 600000, /* nor after PASS for so long */
    SHUNS_COUNT = 4,          /* remembered; the oldest is forgotten for a new one */
};

struct shun {
    uint32_t job_hash;
    uint32_t for_ms; /* 0: free */
    uint64_t until_ms;
};

struct shuns {
    struct shun shun[SHUNS_COUNT];
    uint8_t next;
};

/*
 * The peer took the offer, or kept silent. That the job is offered to it again means that nothing
 * came of it: the oftener, the rarer.
 */
void shuns_offered(struct shuns *s, uint32_t job_hash, uint64_t now_ms);

/* It said PASS. */
void shuns_passed(struct shuns *s, uint32_t job_hash, uint64_t now_ms);

/* When the job may be offered to it: 0 when nothing speaks against now. */
uint64_t shuns_until_ms(const struct shuns *s, uint32_t job_hash, uint64_t now_ms);

#endif
