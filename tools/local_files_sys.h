/*
 * local_files_sys -- the user's files that a job takes along: opened and hashed by the command.
 */
#ifndef PREON_TOOLS_LOCAL_FILES_SYS_H
#define PREON_TOOLS_LOCAL_FILES_SYS_H

#include "common/manifest.h"
#include "tools/client_sys.h"

struct local_file {
    char *name; /* in the manifest */
    char *path; /* here */
    uint64_t size;
    struct digest root;
    bool executable;
};

struct local_files {
    struct local_file *list;
    uint32_t count;
};

void local_files_fini(struct local_files *f);

/* Opens a file and hashes it. The sentence names the path. */
enum pn_status local_files_add(struct local_files *f, const char *name, const char *path,
                               struct pn_err *err);

/* "NAME=PATH", or a path whose last part is the name. */
enum pn_status local_files_add_option(struct local_files *f, const char *option,
                                      struct pn_err *err);

/* Puts them all into the manifest. */
enum pn_status local_files_describe(const struct local_files *f, struct manifest *m,
                                    struct pn_err *err);

/* Sends each file of the manifest to the peer; PN_E_MISMATCH: it has changed since it was hashed.
 */
enum pn_status local_files_send(const struct local_files *f, const struct manifest *m,
                                struct client *client, const char *job_id, struct pn_err *err);

#endif
