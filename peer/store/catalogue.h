/*
 * catalogue -- which jobs a store has, which contents they name, and which of those are here.
 *
 * A core: the shell tells it what it finds and does on the disk. Contents are counted by the jobs
 * that name them, so that a file shared by jobs is kept once and goes with the last.
 */
#ifndef PREON_PEER_STORE_CATALOGUE_H
#define PREON_PEER_STORE_CATALOGUE_H

#include "common/digest.h"
#include "common/manifest.h"
#include "common/table.h"

enum { CATALOGUE_JOBS_MAX = 100 * 1000, CATALOGUE_CONTENTS_MAX = 4 * 1000 * 1000 };

struct catalogue {
    struct table jobs;     /* job ID -> struct held_job */
    struct table contents; /* root -> struct held_content */
};

typedef void catalogue_each(void *arg, const struct digest *digest);

void catalogue_init(struct catalogue *x, uint64_t seed);
void catalogue_fini(struct catalogue *x);

/* Adds the job and counts its files. PN_E_EXISTS, PN_E_FULL, PN_E_NO_MEMORY: nothing changed. */
enum pn_status catalogue_add_job(struct catalogue *x, const struct digest *job,
                                 const struct manifest *m);

/* Tells each content that no job names any more; those are forgotten. False: no such job. */
bool catalogue_remove_job(struct catalogue *x, const struct digest *job, catalogue_each *orphan,
                          void *arg);

bool catalogue_has_job(const struct catalogue *x, const struct digest *job);
void catalogue_jobs(const struct catalogue *x, catalogue_each *each, void *arg);

/* The file with this root is whole on the disk; proven: known to hash right. */
enum pn_status catalogue_set_here(struct catalogue *x, const struct digest *root, bool proven);
void catalogue_set_gone(struct catalogue *x, const struct digest *root);
bool catalogue_here(const struct catalogue *x, const struct digest *root);
bool catalogue_proven(const struct catalogue *x, const struct digest *root); /* and here */

/* Does some job name this content? */
bool catalogue_named(const struct catalogue *x, const struct digest *root);

#endif
