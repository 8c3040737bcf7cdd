/*
 * truth -- what every slice of a simulated job really comes to, and what a liar says instead.
 *
 * Pure functions of run and slice: whoever runs the slice honestly finds the same.
 */
#ifndef PREON_TESTS_SIM_TRUTH_H
#define PREON_TESTS_SIM_TRUTH_H

#include "common/claim.h"
#include "common/hash.h"

/* What the slices of a job are like. */
struct truth_job {
    struct digest job;
    struct run run;
    uint32_t slice_count;
    uint32_t fail_every;   /* about one slice in so many exits with 1; 0: none */
    uint32_t big_every;    /* about one slice in so many leaves outputs too large for a vote */
    uint32_t answer_every; /* about one slice in so many holds an answer; 0: none */
};

struct truth {
    enum outcome_class class;
    int32_t code;
    bool answer;
    bool big;
    uint64_t size; /* of the one output; none when the slice fails */
    struct digest root;
    struct digest outputs;
    uint8_t bytes[8]; /* the output, unless big */
};

extern const char *const truth_output_names[1];

/* lie 0: the truth; any other number: one wrong outcome that exits with 0. */
void truth_of(const struct truth_job *j, uint64_t slice, uint64_t lie, struct truth *out);

/* A stand-in for Ed25519, much cheaper: whoever knows the public key can sign. Nobody here does. */
void truth_sign(const struct public_key *key, const struct vote_claim *claim,
                struct signature *out);
bool truth_check(const struct public_key *key, const struct vote_claim *claim,
                 const struct signature *signature);

#endif
