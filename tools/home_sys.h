/*
 * home_sys -- the peer that a command speaks to: the one that runs, or a child of its own for as
 * long as it needs one (embedded mode).
 */
#ifndef PREON_TOOLS_HOME_SYS_H
#define PREON_TOOLS_HOME_SYS_H

#include <sys/types.h>

#include "tools/client_sys.h"
#include "tools/command.h"

struct home {
    struct client *client;
    bool embedded; /* the peer is our child: */
    pid_t child;
    int ready_fd; /* the child ends when it closes */
};

enum home_wish {
    HOME_TO_LOOK,   /* a child works on nothing: the command only asks or orders */
    HOME_TO_LAUNCH, /* a child works, with the command's --threads and --tracker */
    HOME_TO_LEAVE,  /* no child will do: the job is to go on when the command has ended */
};

/* What a child would be told of --threads and --tracker, as the settings have them. */
enum pn_status home_check(const struct context *c, struct pn_err *err);

/*
 * Complains itself. EXIT_CODE_OK: *out is to be closed by home_close. A peer that runs but refuses
 * us is an error, never a reason to start another.
 */
enum exit_code home_open(struct context *c, enum home_wish wish, struct home *out);

/* Asks a child to end and waits for it, a few seconds at most. */
void home_close(struct home *h);

/*
 * The same for a command about a job, whose ID begins as its first positional says: writes the
 * whole ID. A peer is disturbed only by what can be a job ID.
 */
enum exit_code home_open_job(struct context *c, enum home_wish wish, struct home *out,
                             char id[DIGEST_HEX_BYTES]);

#endif
