/*
 * consent -- what a volunteer lets others run on this machine, and whether a job comes with its
 * papers in order. A core.
 */
#ifndef PREON_PEER_WORKER_CONSENT_H
#define PREON_PEER_WORKER_CONSENT_H

#include "common/claim.h"
#include "common/manifest.h"

enum { CONSENT_OWNERS_MAX = 64, CONSENT_PROGRAMS_MAX = 16 };

enum consent_jobs {
    CONSENT_OWN_PROGRAMS, /* program:… from anybody; foreign programs only of `owners` */
    CONSENT_ANY,
    CONSENT_NAMED, /* only the own programs in `programs` */
};

struct wishes {
    enum consent_jobs jobs;
    const char *programs[CONSENT_PROGRAMS_MAX]; /* "nonce": any version; borrowed */
    uint32_t program_count;
    struct public_key owners[CONSENT_OWNERS_MAX];
    uint32_t owner_count;
    struct limits caps;      /* of one slice; 0: none */
    bool foreign_contained;  /* the sandbox is full: foreign programs can be let in at all */
    const char *tier_reason; /* why not; borrowed */
    /* Is "nonce@1" among the own programs? */
    bool (*has_program)(const char *name);
};

/* PN_OK, or PN_E_DENIED / PN_E_UNSUPPORTED and the rule that stands against it. */
enum pn_status consent_check(const struct wishes *w, const struct manifest *m, struct pn_err *err);

/*
 * The papers of a job that `master` wants to lead: the owner's signature, and a grant of this run
 * that names the master and has not expired.
 */
enum pn_status papers_check(const struct manifest *m, const struct digest *job,
                            const struct run *run, const struct signature *owner_signature,
                            struct pn_bytes grant_bytes, const struct digest *master,
                            uint64_t now_wall_ms, struct grant *grant, struct pn_err *err);

/*
 * The highest serial counts: PN_E_DENIED when a grant of this job with a higher one was shown
 * before. *newer: this one is higher, and is to be remembered.
 */
enum pn_status papers_check_serial(const struct grant *known, const struct grant *shown,
                                   bool *newer, struct pn_err *err);

#endif
