/*
 * launch_sys -- a job's way from a manifest and files to its end: sealed with the owner's key,
 * given to a peer, started, followed.
 */
#ifndef PREON_TOOLS_LAUNCH_SYS_H
#define PREON_TOOLS_LAUNCH_SYS_H

#include "common/claim.h"
#include "tools/command.h"
#include "tools/local_files_sys.h"

struct launch {
    struct manifest manifest;
    struct local_files files;
    struct buffer text; /* of the manifest, when it is sealed */
    struct digest job;
    struct key_pair *key;
    struct signature owner;
};

void launch_init(struct launch *l);
void launch_fini(struct launch *l);

/*
 * Checks the manifest without changing anything on disk, then opens (or makes) the owner's key,
 * draws the salt and signs. The command has the table "Start". Complains itself.
 */
enum exit_code launch_seal(const struct context *c, struct launch *l);

/* A text that is there already: l->text, l->manifest and l->key are set; signs it. */
enum exit_code launch_sign(struct launch *l);

/*
 * What the table "Start" asks for: prints the sealed manifest, or gives it to a peer, starts it,
 * and follows it to its end. Complains itself.
 */
enum exit_code launch_run(struct context *c, struct launch *l);

/* Refuses what no peer of this version can run, before anything is made. */
enum pn_status launch_check_deps(const struct context *c, const struct manifest *m,
                                 struct pn_err *err);

/* The result of --detach. */
void launch_print_id(const struct context *c, const char *job_id);

#endif
