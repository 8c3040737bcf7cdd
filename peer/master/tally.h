/*
 * tally -- the votes of one slice, and what they decide.
 *
 * Rules (design.md, "Trust"): an answer needs a quorum of agreeing identities in distinct prefixes,
 * or a proof that the program itself carries, or the master's own run. Disagreement asks for the
 * master's own run; it never convicts by majority. A failed slice is an outcome like any other and
 * needs two identities even where a good one proves itself.
 */
#ifndef PREON_PEER_MASTER_TALLY_H
#define PREON_PEER_MASTER_TALLY_H

#include "peer/master/record.h"
#include "peer/wire/work.h"

enum {
    TALLY_BALLOTS_MAX = 32,
    TALLY_FAILURE_QUORUM = 2,
};

/* Where the bytes of an attempt's outputs are. */
enum tally_copy { COPY_AT_WORKER, COPY_PULLING, COPY_HERE, COPY_LOST };

struct ballot {
    uint64_t attempt;
    uint32_t worker; /* index in the roster: one per identity */
    uint32_t prefix; /* of the voter's public network; 0: exempt, counts for itself */
    struct digest outputs;
    enum outcome_class class;
    int32_t code;
    bool own; /* the master's own run */
    enum tally_copy copy;
    bool late;                 /* COPY_PULLING, and not waited for any more */
    bool stored;               /* a file here holds them, or did: somebody is to drop it */
    struct work_output *files; /* owned once added; NULL when unknown or none */
    uint8_t file_count;
};

struct tally {
    struct ballot *ballots; /* owned; freed by tally_fini */
    uint8_t count;
    uint8_t cap;
};

struct tally_rule {
    uint8_t quorum;
    bool proof; /* a good outcome proves itself: one vote is enough for the judge */
};

enum tally_verdict {
    TALLY_OPEN,     /* `missing` more votes are wanted */
    TALLY_AGREED,   /* on ballots[index], for the reason `basis` */
    TALLY_DISPUTED, /* two outcomes were claimed: the master's own run is wanted */
};

struct tally_decision {
    enum tally_verdict verdict;
    uint8_t missing;
    uint8_t index; /* for TALLY_AGREED: of the group the ballot whose copy is nearest */
    enum record_basis basis;
};

/* An all-zero tally is empty and valid. */
void tally_fini(struct tally *t);

/*
 * Copies the ballot and takes its files. PN_E_EXISTS: this identity has voted on this slice;
 * PN_E_FULL, PN_E_NO_MEMORY: then not added, and the files stay the caller's.
 */
enum pn_status tally_add_take(struct tally *t, const struct ballot *b);

/* The ballot of an attempt, NULL when there is none. Valid until the next add, remove or strike. */
struct ballot *tally_find(const struct tally *t, uint64_t attempt);
bool tally_has_worker(const struct tally *t, uint32_t worker);

/* Takes away one ballot. */
void tally_remove(struct tally *t, struct ballot *b);

/* Takes away the ballots of an identity that was proven a liar. True when there was one. */
bool tally_strike(struct tally *t, uint32_t worker);

bool ballots_agree(const struct ballot *a, const struct ballot *b);

void tally_decide(const struct tally *t, const struct tally_rule *rule, struct tally_decision *out);

#endif
