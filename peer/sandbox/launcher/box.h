/*
 * box -- one sandbox: its init process as the launcher holds it, and the plan it is built from.
 *
 * launcher --clone3--> init (pid 1 of its namespaces) --fork--> the slice
 *
 * The launcher makes what only it can make (mounts of the daemon's descriptors, the work folder's
 * tmpfs); init makes its own root from that, lays down every right, and forks the slice. What init
 * has to say comes through a pipe as box_word records.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_BOX_H
#define PREON_PEER_SANDBOX_LAUNCHER_BOX_H

#include <sys/types.h>

#include "common/outcome.h"
#include "peer/sandbox/launcher/filter.h"
#include "peer/sandbox/order.h"
#include "peer/sandbox/program.h"
#include "peer/sandbox/tier.h"

/* How this launcher makes sandboxes: fixed after the start. */
struct box_ways {
    enum sandbox_tier tier;
    struct filter filter;                  /* for that tier */
    int landlock_version;                  /* 0: the kernel has none */
    int null_fd;                           /* /dev/null, for stdin in tier reduced */
    int self_fd;                           /* this program, for the probe */
    uint8_t self_head[PROGRAM_HEAD_BYTES]; /* its first bytes: what a native program looks like */
};

/* Everything init needs; descriptors are closed by the launcher as soon as init has its copies. */
struct box_plan {
    const struct box_ways *ways;
    const struct order *order;
    pid_t init_pid; /* set by init, for what it forks */
    int stdout_fd;
    int stderr_fd;
    int program_fd; /* -1 unless order->program == ORDER_PROGRAM_OWN */
    int work_fd;    /* the work folder: a detached tmpfs, or in tier reduced a folder */
    int file_fds[ORDER_FILES_MAX]; /* detached mounts, one per file */
    int word_fd;                   /* pipe to the launcher, non-blocking */
};

enum box_word_kind {
    BOX_WORD_EXEC = 1, /* execve is next */
    BOX_WORD_FAILED,   /* code: enum outcome_no_start; text: what failed */
    BOX_WORD_ENDED,    /* code: the slice's wait status */
};

/* One atomic write to the pipe. */
struct box_word {
    int32_t kind;
    int32_t code;
    char text[120];
};

/*
 * Starts init. On success *pidfd is open, *pid for looking at it. Returns false with errno in
 * *error when the process could not be made.
 */
bool box_start(struct box_plan *plan, pid_t *pid, int *pidfd, int *error);

/* init's whole life; never returns. */
_Noreturn void init_run(struct box_plan *plan);

/*
 * Builds the root that the slice sees and makes it the only one. 0, or -1 with errno set and *what
 * a text that says what failed.
 */
int root_build(const struct box_plan *plan, const char **what);

/* Lays down the limits, rights and system calls of init and thus of the slice; as root_build. */
int rights_drop(const struct box_plan *plan, const char **what);

/* The slice's own part of that in tier reduced; as root_build, without a text. */
int reduced_restrict(const struct box_plan *plan);

/* Becomes the program, or says on word_fd why not; never returns. */
_Noreturn void slice_exec(const struct box_plan *plan);

/* Sends one record; text may be NULL. */
void box_say(int word_fd, enum box_word_kind kind, int code, const char *text, int error);

#endif
