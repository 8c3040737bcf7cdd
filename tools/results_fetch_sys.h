/*
 * results_fetch_sys -- what a peer keeps of a job's results, fetched and checked: the manifest, the
 * final slices, the bytes of their outputs.
 */
#ifndef PREON_TOOLS_RESULTS_FETCH_SYS_H
#define PREON_TOOLS_RESULTS_FETCH_SYS_H

#include "common/manifest.h"
#include "tools/home_sys.h"

/*
 * Fetches the manifest and parses it; its hash must be the job's ID (PN_E_MISMATCH). *out is
 * initialised in any case.
 */
enum pn_status results_manifest(struct home *h, const char *job_id, struct manifest *out,
                                struct pn_err *err);

/*
 * Calls each for every final slice, ascending, with one of results[] of GET …/results, which is
 * borrowed for the call. What is not PN_OK ends the walk.
 */
enum pn_status results_walk(struct home *h, const char *job_id,
                            enum pn_status (*each)(void *arg, const json_t *result,
                                                   struct pn_err *err),
                            void *arg, struct pn_err *err);

/*
 * Gives the bytes of one of a slice's outputs[] to take, piece by piece, as they come: they are
 * true only when this has returned PN_OK. PN_E_MISMATCH: they are not what size and root say.
 */
enum pn_status
results_output(struct home *h, const char *job_id, uint64_t slice, const json_t *output,
               enum pn_status (*take)(void *arg, struct pn_bytes bytes, struct pn_err *err),
               void *arg, struct pn_err *err);

/* Whether the job runs Preon's own program of this name. */
bool results_program_is(const struct manifest *m, const char *name);

#endif
