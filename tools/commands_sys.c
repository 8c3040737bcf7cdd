#include "tools/commands.h"

#include "common/manifest.h"
#include "jobs/mandelbrot/mandelbrot_view.h"
#include "jobs/nonce/nonce_args.h"
#include "peer/peer.h"

#define DAY_MS ((uint64_t)24 * 3600 * 1000)
#define TIB ((uint64_t)1 << 40)

/* --- tables of options --- */

#define DATA_HELP "the peer's folder (default ~/.local/share/preon, root's /var/lib/preon)"
#define KEY_HELP "the owner's key (default ~/.config/preon/owner.key)"

static const struct args_option COMMON_OPTIONS[] = {
    {"data", '\0', ARGS_TEXT, 0, 0, "DIR", DATA_HELP, NULL},
    {"json", '\0', ARGS_FLAG, 0, 0, NULL, "print JSON", NULL},
};

/* Of commands that print data and need no peer; of one that is a peer. */
static const struct args_option JSON_OPTIONS[] = {
    {"json", '\0', ARGS_FLAG, 0, 0, NULL, "print JSON", NULL},
};
static const struct args_option DATA_OPTIONS[] = {
    {"data", '\0', ARGS_TEXT, 0, 0, "DIR", DATA_HELP, NULL},
};

static const struct args_option TRACKER_OPTIONS[] = {
    {"host", '\0', ARGS_TEXT, 0, 0, "IP", "address to listen on", "0.0.0.0"},
    {"port", 'p', ARGS_U64, 0, 65535, "PORT", "port to listen on; 0: any free one", "7600"},
    {"log-level", '\0', ARGS_TEXT, 0, 0, "LEVEL", "error, warn, info or debug", "info"},
};

static const struct args_option PEER_OPTIONS[] = {
    {"tracker", 't', ARGS_LIST, 0, 0, "HOST[:PORT]",
     "tracker to find jobs and workers at (default 127.0.0.1:7600)", NULL},
    {"threads", '\0', ARGS_U64, 0, PEER_SLOTS_MAX, "N",
     "slices that run at a time (default: this machine's processors)", NULL},
    {"host", '\0', ARGS_TEXT, 0, 0, "IP", "address to listen on (default: all)", NULL},
    {"port", 'p', ARGS_U64, 0, 65535, "PORT", "port to listen on; 0: any free one", "0"},
    {"no-listen", '\0', ARGS_FLAG, 0, 0, NULL, "only dial out", NULL},
    {"lan", '\0', ARGS_FLAG, 0, 0, NULL, "private addresses may be dialled", NULL},
    {"priority", '\0', ARGS_TEXT, 0, 0, "P",
     "of slices beside your own programs: low, or normal (a machine with no other work)", "low"},
    {"owner", '\0', ARGS_LIST, 0, 0, "KEY", "run foreign programs of this owner", NULL},
    {"jobs", '\0', ARGS_TEXT, 0, 0, "WHICH",
     "own: Preon's own programs; any; or their names, separated by commas", "own"},
    {"user", '\0', ARGS_TEXT, 0, 0, "NAME", "user to become when started as root", NULL},
    {"log-level", '\0', ARGS_TEXT, 0, 0, "LEVEL", "error, warn, info or debug", "info"},
};

static const struct args_option EMBEDDED_OPTIONS[] = {
    {"embedded", '\0', ARGS_FLAG, 0, 0, NULL, "for as long as a command's job lasts", NULL},
    {"look", '\0', ARGS_FLAG, 0, 0, NULL, "only to answer questions", NULL},
    {"ready-fd", '\0', ARGS_U64, 0, 1 << 20, "FD", "say \"ready\" there; end when it closes", NULL},
};

static const struct args_option CREATE_OPTIONS[] = {
    {"name", '\0', ARGS_TEXT, 0, 0, "NAME", "what to call the job", NULL},
    {"slices", 'n', ARGS_U64, 1, JOB_SLICES_MAX, "N",
     "pieces the job is cut into (default: as suits it; a program's: 1)", NULL},
    {"timeout", '\0', ARGS_DURATION, 1000, 366 * DAY_MS, "TIME",
     "end the job after this: 5m, 2h (default: never)", NULL},
};

static const struct args_option LAUNCH_OPTIONS[] = {
    {"workers", '\0', ARGS_U64, 1, JOB_SLICES_MAX, "N", "slots to hire at most (default: no limit)",
     NULL},
    {"detach", '\0', ARGS_FLAG, 0, 0, NULL, "print the job ID and leave it to the peer", NULL},
    {"dry-run", '\0', ARGS_FLAG, 0, 0, NULL, "print the manifest; start nothing", NULL},
    {"into", 'o', ARGS_TEXT, 0, 0, "DIR", "write the results there at the end", NULL},
    {"tracker", 't', ARGS_LIST, 0, 0, "HOST[:PORT]", "for a peer that is started for the job",
     NULL},
    {"threads", '\0', ARGS_U64, 0, PEER_SLOTS_MAX, "N", "of a peer that is started for the job",
     NULL},
    {"key", '\0', ARGS_TEXT, 0, 0, "FILE", KEY_HELP, NULL},
};

static const struct args_option RESUME_OPTIONS[] = {
    {"timeout", '\0', ARGS_DURATION, 1, 366 * DAY_MS, "TIME", "follow it at most this: 5m, 2h",
     NULL},
    {"detach", '\0', ARGS_FLAG, 0, 0, NULL, "print the job ID and leave it to the peer", NULL},
    {"into", 'o', ARGS_TEXT, 0, 0, "DIR", "write the results there at the end", NULL},
    {"tracker", 't', ARGS_LIST, 0, 0, "HOST[:PORT]", "for a peer that is started for the job",
     NULL},
    {"threads", '\0', ARGS_U64, 0, PEER_SLOTS_MAX, "N", "of a peer that is started for the job",
     NULL},
};

static const struct args_option DOCTOR_OPTIONS[] = {
    {"tracker", 't', ARGS_LIST, 0, 0, "HOST[:PORT]", "tracker to look for, if no peer runs here",
     NULL},
};

static const struct args_option EXEC_OPTIONS[] = {
    {"file", 'f', ARGS_LIST, 0, 0, "[NAME=]PATH", "a file that the job reads, or runs", NULL},
    {"output", '\0', ARGS_LIST, 0, 0, "NAME", "a file that each slice leaves in $PREON_OUT", NULL},
    {"env", 'e', ARGS_LIST, 0, 0, "KEY=VALUE", "a variable of the slices' environment", NULL},
    {"system", '\0', ARGS_FLAG, 0, 0, NULL, "the volunteer's /usr must be seen", NULL},
    {"quorum", '\0', ARGS_U64, 1, JOB_QUORUM_MAX, "K", "workers that must agree", "2"},
    {"time", '\0', ARGS_DURATION, 1000, 31 * DAY_MS, "TIME", "a slice may take", "1h"},
    {"cpu", '\0', ARGS_DURATION, 1000, 31 * DAY_MS, "TIME", "of processors a slice may take", "1h"},
    {"memory", '\0', ARGS_BYTES, 1 << 20, TIB, "BYTES", "a slice may use", "512M"},
    {"processes", '\0', ARGS_U64, 1, 4096, "N", "a slice may have", "64"},
    {"output-bytes", '\0', ARGS_BYTES, 0, TIB / 16, "BYTES", "of all outputs of a slice", "64M"},
};

/* Shown when datasets can be fetched: until then one is good for --dry-run alone. */
static const struct args_option DEP_OPTIONS[] = {
    {"dep", '\0', ARGS_LIST, 0, 0, "NAME=ID", "a dataset, to be seen below deps/NAME", NULL},
};

static const struct args_option PICTURE_OPTIONS[] = {
    {"quorum", '\0', ARGS_U64, 1, JOB_QUORUM_MAX, "K", "workers that must agree", "2"},
};

static const struct args_option FOLLOW_OPTIONS[] = {
    {"timeout", '\0', ARGS_DURATION, 1, 366 * DAY_MS, "TIME", "wait at most this: 5m, 2h", NULL},
};

static const struct args_option RESULTS_OPTIONS[] = {
    {"into", 'o', ARGS_TEXT, 0, 0, "DIR", "write the files there", NULL},
    {"raw", '\0', ARGS_FLAG, 0, 0, NULL, "the slices' own files, no picture", NULL},
};

static const struct args_option KEY_OPTIONS[] = {
    {"key", '\0', ARGS_TEXT, 0, 0, "FILE", KEY_HELP, NULL},
};

static const struct args_option VERIFY_OPTIONS[] = {
    {"nonce", '\0', ARGS_U64, 0, 0, "N", "the nonce to check", NULL},
};

static const struct args_option BENCH_OPTIONS[] = {
    {"seconds", '\0', ARGS_U64, 1, 600, "N", "to measure, for each line", "2"},
};

static const struct args_group COMMON = {"Common", COMMON_OPTIONS,
                                         sizeof COMMON_OPTIONS / sizeof COMMON_OPTIONS[0]};
static const struct args_group JSON = {"Common", JSON_OPTIONS,
                                       sizeof JSON_OPTIONS / sizeof JSON_OPTIONS[0]};
static const struct args_group DATA = {"Common", DATA_OPTIONS,
                                       sizeof DATA_OPTIONS / sizeof DATA_OPTIONS[0]};
static const struct args_group TRACKER = {"Options", TRACKER_OPTIONS,
                                          sizeof TRACKER_OPTIONS / sizeof TRACKER_OPTIONS[0]};
static const struct args_group PEER = {"Options", PEER_OPTIONS,
                                       sizeof PEER_OPTIONS / sizeof PEER_OPTIONS[0]};
/* Not for people: how a command starts one. */
static const struct args_group EMBEDDED = {NULL, EMBEDDED_OPTIONS,
                                           sizeof EMBEDDED_OPTIONS / sizeof EMBEDDED_OPTIONS[0]};
static const struct args_group CREATE = {"Job", CREATE_OPTIONS,
                                         sizeof CREATE_OPTIONS / sizeof CREATE_OPTIONS[0]};
static const struct args_group LAUNCH = {"Start", LAUNCH_OPTIONS,
                                         sizeof LAUNCH_OPTIONS / sizeof LAUNCH_OPTIONS[0]};
static const struct args_group RESUME = {"Options", RESUME_OPTIONS,
                                         sizeof RESUME_OPTIONS / sizeof RESUME_OPTIONS[0]};
static const struct args_group DOCTOR = {"Options", DOCTOR_OPTIONS,
                                         sizeof DOCTOR_OPTIONS / sizeof DOCTOR_OPTIONS[0]};
static const struct args_group EXEC = {"Program", EXEC_OPTIONS,
                                       sizeof EXEC_OPTIONS / sizeof EXEC_OPTIONS[0]};
static const struct args_group DEP = {NULL, DEP_OPTIONS,
                                      sizeof DEP_OPTIONS / sizeof DEP_OPTIONS[0]};
static const struct args_group PICTURE = {"Check", PICTURE_OPTIONS,
                                          sizeof PICTURE_OPTIONS / sizeof PICTURE_OPTIONS[0]};
static const struct args_group FOLLOW = {"Options", FOLLOW_OPTIONS,
                                         sizeof FOLLOW_OPTIONS / sizeof FOLLOW_OPTIONS[0]};
static const struct args_group RESULTS = {"Options", RESULTS_OPTIONS,
                                          sizeof RESULTS_OPTIONS / sizeof RESULTS_OPTIONS[0]};
static const struct args_group KEY = {"Options", KEY_OPTIONS,
                                      sizeof KEY_OPTIONS / sizeof KEY_OPTIONS[0]};
static const struct args_group VERIFY = {"Check", VERIFY_OPTIONS,
                                         sizeof VERIFY_OPTIONS / sizeof VERIFY_OPTIONS[0]};
static const struct args_group BENCH = {"Options", BENCH_OPTIONS,
                                        sizeof BENCH_OPTIONS / sizeof BENCH_OPTIONS[0]};

/* --- the commands --- */

const struct command COMMANDS[] = {
    {"tracker",
     "brings peers together",
     "[options]",
     "Brings peers together: knows who works on which job.",
     command_tracker,
     {&TRACKER},
     NULL,
     0,
     0},
    {"peer",
     "lends this machine, and leads its user's jobs",
     "[options]",
     "Lends this machine to jobs, and leads those of its user.",
     command_peer,
     {&PEER, &EMBEDDED, &DATA},
     NULL,
     0,
     0},
    {"job create nonce",
     "searches a nonce whose hash is low",
     "[options]",
     "Searches a nonce whose hash has many leading zeros. Without a running peer this\n"
     "machine's own processors search, with the tracker's volunteers if there are any.",
     command_create_nonce,
     {&nonce_args_group, &CREATE, &LAUNCH, &COMMON},
     NULL,
     0,
     0},
    {"job create exec",
     "runs a program or script in slices",
     "[options] -- PROGRAM [ARGUMENT…]",
     "Runs a program in slices. PROGRAM is a --file of the job, or a command of the\n"
     "volunteers' systems; file:NAME, system:NAME and program:NAME@V say so outright.\n"
     "It finds PREON_SLICE, PREON_SLICES, PREON_JOB and PREON_OUT in its environment.",
     command_create_exec,
     {&EXEC, &DEP, &CREATE, &LAUNCH, &COMMON},
     "command",
     1,
     JOB_ARGS_MAX},
    {"job create mandelbrot",
     "computes a picture",
     "[options]",
     "Computes a picture of the Mandelbrot set.",
     command_create_mandelbrot,
     {&mandelbrot_args_group, &PICTURE, &CREATE, &LAUNCH, &COMMON},
     NULL,
     0,
     0},
    {"job submit",
     "starts a job whose manifest is in a folder",
     "[options] DIR",
     "Starts the job of DIR/manifest with the files beside it. The manifest's owner must\n"
     "be this user's key; DIR/signature, where there is one, must be right.",
     command_submit,
     {&LAUNCH, &COMMON},
     "folder",
     1,
     1},
    {"job list",
     "lists the jobs",
     "[options]",
     "Lists the jobs of this peer, newest first.",
     command_list,
     {&COMMON},
     NULL,
     0,
     0},
    {"job status",
     "tells how a job stands",
     "[options] ID",
     "Tells how a job stands.",
     command_job_status,
     {&COMMON},
     "job ID",
     1,
     1},
    {"job follow",
     "shows a job's progress to its end",
     "[options] ID",
     "Shows a job's progress until it ends, then its result. Ctrl-C leaves it alone.",
     command_follow,
     {&FOLLOW, &COMMON},
     "job ID",
     1,
     1},
    {"job wait",
     "waits for a job's end, silently",
     "[options] ID",
     "Waits until a job ends; the exit code tells how.",
     command_wait,
     {&FOLLOW, &COMMON},
     "job ID",
     1,
     1},
    {"job results",
     "writes or lists what a job's slices left",
     "[options] ID",
     "Writes the outputs of a job's final slices to DIR/SLICE/NAME, checked against their\n"
     "hashes; a mandelbrot job's as one picture. Files of these names are replaced, others\n"
     "are left alone; a job that still runs gives what is final. Without -o it lists them.",
     command_results,
     {&RESULTS, &COMMON},
     "job ID",
     1,
     1},
    {"job log",
     "prints what a slice printed",
     "[options] ID SLICE",
     "Prints the end of what a slice printed.",
     command_log,
     {&COMMON},
     "job ID and slice",
     2,
     2},
    {"job cancel",
     "ends a job",
     "[options] ID",
     "Ends a job; what is final stays.",
     command_cancel,
     {&COMMON},
     "job ID",
     1,
     1},
    {"job resume",
     "goes on with a stopped job",
     "[options] ID",
     "Goes on with a job that was stopped, and follows it.",
     command_resume,
     {&RESUME, &COMMON},
     "job ID",
     1,
     1},
    {"job rm",
     "forgets a job and its results",
     "[options] ID",
     "Forgets a job that has ended, with its results.",
     command_rm,
     {&COMMON},
     "job ID",
     1,
     1},
    {"status",
     "tells how this machine's peer is doing",
     "[options]",
     "Tells how this machine's peer is doing.",
     command_status,
     {&COMMON},
     NULL,
     0,
     0},
    {"key",
     "prints the owner's public key",
     "[options]",
     "Prints this user's public key, which owns jobs.",
     command_key,
     {&KEY, &JSON},
     NULL,
     0,
     0},
    {"doctor",
     "checks this machine, and says what to do",
     "[options]",
     "Checks what peers and jobs need of this machine.",
     command_doctor,
     {&DOCTOR, &COMMON},
     NULL,
     0,
     0},
    {"nonce verify",
     "checks one nonce by hand",
     "[options] --nonce N",
     "Prints a nonce's digest, its zero bits, and a shell line that says the same.",
     command_nonce_verify,
     {&nonce_args_group, &VERIFY, &JSON},
     NULL,
     0,
     0},
    {"bench nonce",
     "measures how fast this machine searches",
     "[options]",
     "Measures how fast this machine searches nonces.",
     command_bench_nonce,
     {&BENCH, &JSON},
     NULL,
     0,
     0},
    {NULL, NULL, NULL, NULL, NULL, {NULL}, NULL, 0, 0},
};
