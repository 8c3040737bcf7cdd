/*
 * sets -- who announced which job: entries that expire, and random samples of them.
 *
 * About 85 bytes an entry, whether a million peers share ten jobs or a hundred thousand; a sample
 * costs the same from a set of ten and of a million. Entries leave by a wheel of seconds: no
 * sweep ever looks at those that stay.
 */
#ifndef PREON_TRACKER_SETS_H
#define PREON_TRACKER_SETS_H

#include "common/bitset.h"
#include "common/random.h"
#include "common/trackline.h"
#include "tracker/hosts.h"

enum {
    SETS_SAMPLE_MAX = 100,
    SETS_WHEEL_S = 4096,       /* longer times go round */
    SETS_EXPIRED_MAX = 20000,  /* in one tick; the rest in the next, at once */
    SETS_WIDE_NET_DIVISOR = 4, /* at most a quarter of a sample from one IPv4 /16, IPv6 /32 */
    SETS_DRAWS_PER_ANSWER = 4, /* how many members a sample looks at for each that it gives */
};

struct sets {
    struct hosts *hosts; /* borrowed; the registry's */
    struct pool entries;
    struct pool sets;
    struct pool_index entries_by_key;
    struct pool_index sets_by_job;
    struct bitset occupied;       /* which seconds of the wheel hold entries */
    uint32_t wheel[SETS_WHEEL_S]; /* first entry of each second */
    uint64_t done_s;              /* seconds up to this one are over */
    size_t member_bytes;          /* of the arrays of members */
    uint64_t seed;
};

/* Who asks for a sample, and what the answer must not hold. */
struct sets_asker {
    struct addr addr;   /* never in its own sample; ADDR_NONE: listed like everybody */
    bool public_only;   /* leave out loopback and private addresses: the asker is elsewhere */
    bool verified_only; /* only those that answered a dial-back */
};

struct sets_sample {
    uint32_t known; /* members of the set, before anything was left out */
    uint32_t count;
    struct addr addrs[SETS_SAMPLE_MAX]; /* in random order */
};

/* hosts is borrowed for the object's life. PN_E_NO_MEMORY. */
enum pn_status sets_init(struct sets *s, struct hosts *hosts, uint32_t entry_count_max,
                         uint64_t seed, uint64_t now_ms);
void sets_fini(struct sets *s);

/*
 * Adds the entry, unverified, or renews it: it expires ttl_s after now. PN_E_BUSY, PN_E_FULL,
 * PN_E_NO_MEMORY leave everything as it was; err tells why.
 */
enum pn_status sets_add(struct sets *s, const struct trackline_job *job, const struct addr *addr,
                        uint32_t ttl_s, uint64_t now_ms, struct pn_err *err);

/* Removing what is not there is no error. */
void sets_remove(struct sets *s, const struct trackline_job *job, const struct addr *addr);

/* Marks an entry, if it is still there, as one that may be dialled, or as one that may not. */
void sets_verify(struct sets *s, const struct trackline_job *job, const struct addr *addr,
                 bool verified);

/*
 * A random sample of at most count_max (<= SETS_SAMPLE_MAX) members. As long as others can fill the
 * rest, at most a quarter is from one wide network (at least one; loopback and private addresses
 * are exempt): others are looked for among SETS_DRAWS_PER_ANSWER * count_max random members.
 */
void sets_sample(const struct sets *s, const struct trackline_job *job, uint32_t count_max,
                 const struct sets_asker *asker, struct random *random, struct sets_sample *out);

/* Removes what has expired. Call when sets_deadline_ms has passed; harmless at any time. */
void sets_tick(struct sets *s, uint64_t now_ms);
uint64_t sets_deadline_ms(const struct sets *s);

/* Bytes of memory in use, without the hosts. */
size_t sets_bytes(const struct sets *s);

#endif
