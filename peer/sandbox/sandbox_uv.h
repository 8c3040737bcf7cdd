/*
 * sandbox_uv -- runs slices in sandboxes, through a launcher process; see README.md for what a
 * job sees and what contains it.
 *
 * One object per peer, on the loop's thread. The launcher is started once, with an empty
 * environment, and makes all sandboxes; if it dies, everything in it dies with it, the runs end as
 * OUTCOME_NO_START / OUTCOME_NO_START_SETUP, and it is started again with a growing pause.
 */
#ifndef PREON_PEER_SANDBOX_SANDBOX_UV_H
#define PREON_PEER_SANDBOX_SANDBOX_UV_H

#include <uv.h>

#include "common/digest.h"
#include "common/manifest.h"
#include "common/outcome.h"
#include "common/status.h"
#include "peer/sandbox/tier.h"

enum {
    SANDBOX_SLOTS_MAX = 1024,
    SANDBOX_FILES_MAX = 200, /* more: give a folder */
    SANDBOX_NOBODY = 65534,
};

struct sandbox;

/* What the launcher said about this machine. */
struct sandbox_state {
    bool ready; /* the rest is known; false while the launcher starts (again) */
    enum sandbox_tier tier;
    uint32_t uid;                   /* whom slices run as */
    char reason[TIER_REASON_BYTES]; /* why not full: for `preon doctor` */
    char remedy[TIER_REMEDY_BYTES];
};

struct sandbox_options {
    const char *launcher_path;   /* libexec/preon/launcher */
    enum sandbox_tier tier_most; /* SANDBOX_FULL; SANDBOX_REDUCED forces that, for tests */
    uint32_t uid, gid;    /* whom slices run as when this process is root; 0: SANDBOX_NOBODY */
    uint32_t slot_count;  /* runs at one time, 1 to SANDBOX_SLOTS_MAX */
    bool normal_priority; /* else other programs go first: share_uv.h */
    /* An existing folder of ours for the outputs in tier reduced (tier full keeps them in memory).
     * NULL: /tmp. */
    const char *scratch_path;
    /* The volunteer's caps: a slice that asks for more is refused, not run with less. */
    struct limits caps;
    /* What all running slices together may take of the memory (caps.h); 0: no matter. */
    uint64_t budget_bytes;
};

/* Called when the state changes: ready after a start, not ready when the launcher has died. */
typedef void (*sandbox_on_state)(void *arg, const struct sandbox_state *state);

/* Starts the launcher. on_state comes later, always at least once. */
enum pn_status sandbox_new(uv_loop_t *loop, const struct sandbox_options *options,
                           sandbox_on_state on_state, void *arg, struct sandbox **out,
                           struct pn_err *err);

/*
 * Kills whatever runs and lets the launcher go. No callback comes after it, runs included; memory
 * is freed when the loop has closed the handles. NULL is fine.
 */
void sandbox_close(struct sandbox *s);

const struct sandbox_state *sandbox_state(const struct sandbox *s);

/* A file or folder that the job sees, read-only. */
struct sandbox_file {
    const char *name; /* relative: seen as /job/NAME, and as NAME in the working folder */
    int fd;           /* borrowed for the call; open for reading */
    bool folder;      /* a whole tree; its name may be "": all of /job */
    bool executable;  /* its mode is widened if needed: the store's file is ours */
};

/* Everything is borrowed for the call of sandbox_run. */
struct sandbox_order {
    struct digest job;
    uint32_t slice;
    uint32_t slice_count;
    enum program_kind program;
    int program_fd;          /* PROGRAM_OWN: the static program, open for reading; else -1 */
    const char *const *args; /* args[0]: PROGRAM_FILE: a name of files; PROGRAM_SYSTEM: "sh" */
    uint32_t arg_count;      /* at least 1 */
    const char *const *env;  /* "KEY=VALUE" of the manifest, added to ours */
    uint32_t env_count;
    const struct sandbox_file *files;
    uint32_t file_count;
    const char *const *outputs; /* names the manifest lists */
    uint32_t output_count;
    bool system; /* /usr is seen */
    struct limits limits;
};

struct sandbox_result {
    struct outcome outcome;
    char text[192];    /* one line for people: "exit 1", "no such program: crunch" */
    uint32_t wall_ms;  /* from execve to the end of the last process */
    uint32_t cpu_ms;   /* of all its processes */
    uint32_t setup_us; /* from sandbox_run to execve, as the launcher saw it */
    uint64_t peak_bytes;
    struct pn_bytes stdout_tail; /* first and last part, a mark between; borrowed for the call */
    struct pn_bytes stderr_tail;
    /*
     * The work folder, nobody in it any more; -1 when the slice never ran. Now the callee's, to be
     * given to collect_discard when its outputs have been collected.
     */
    int folder_fd;
};

/* One complete line of stdout, without its LF, as it comes. */
typedef void (*sandbox_on_line)(void *arg, struct pn_bytes line);

/* The run is over: its processes are gone, its slot is free (a new run may be started here). */
typedef void (*sandbox_on_end)(void *arg, const struct sandbox_result *result);

/*
 * Starts one slice, as soon as the launcher takes the order; never waits for it. on_end comes
 * exactly once, later, also for a slice that could not start; not when this call fails: PN_E_BUSY
 * (all slots in use, or the budget: another run's end helps; or the
 * launcher is being started: on_state tells), PN_E_DENIED (limits over
 * the caps, or the tier does not allow this program; the text says which), PN_E_TOO_BIG,
 * PN_E_SYSTEM. on_line may be NULL. *run names it for sandbox_kill.
 */
enum pn_status sandbox_run(struct sandbox *s, const struct sandbox_order *order,
                           sandbox_on_line on_line, sandbox_on_end on_end, void *arg, uint32_t *run,
                           struct pn_err *err);

/*
 * Ends a run with all its processes; on_end follows with OUTCOME_NO_START /
 * OUTCOME_NO_START_KILLED, unless it had just ended by itself. An unknown run is ignored.
 * On a quiet machine it is gone within 20 ms. Where others keep every processor busy it gets its
 * turn to die like any of them (share_uv.h): measured 30 to 600 ms beside four to a processor.
 */
void sandbox_kill(struct sandbox *s, uint32_t run);

/* Memory of this machine, or of the container that we are in: what caps.h starts from. */
uint64_t sandbox_ram_bytes(void);

/* Runs that have not ended. */
uint32_t sandbox_running(const struct sandbox *s);

#endif
