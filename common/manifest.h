/*
 * manifest -- what a job is: a canonical text whose SHA-256 is the job ID.
 *
 * UTF-8, LF, at most 1 MiB, one way to write a given job; the parser refuses every other. Order of
 * sections and of keys in them is fixed; lists are sorted by the names' bytes where stated; a
 * section without entries and a key with its default value are left out.
 *
 *     preon job 1                     or: preon dataset 1, with [job] (no slices) and [files] only
 *     [job]
 *     name = crunch                   1..64 of [A-Za-z0-9._-]
 *     slices = 8                      1 .. 16,777,216
 *     owner = <64 hex>                the owner's public key
 *     salt = <32 hex>                 random: makes two starts of equal jobs two jobs
 *     [files]                         sorted
 *     bin/tool = 77 <root> x          size in bytes and root; "x" added when executable
 *     crunch.sh = 1234 <root>
 *     [deps]                          sorted: datasets, seen below deps/NAME (a name without "/")
 *     faces = <dataset ID>
 *     [exec]
 *     arg = file:crunch.sh            the command, a line a word; the first says whose program:
 *     arg = -v                        program:NAME@V, file:NAME (in [files]), or system:NAME
 *     env = KEY=VALUE                 sorted by KEY; PREON_… are the peer's to set
 *     [dynamic]                       sorted: names a slice may leave in PREON_OUT
 *     out.txt
 *     [limits]                        any of, in this order; defaults, as here, are not written
 *     time = 3600                     seconds a slice may take
 *     cpu = 3600                      seconds of processor time
 *     memory = 536870912              bytes
 *     processes = 64
 *     output = 67108864               bytes of all outputs of a slice
 *     [verify]                        any of, in this order; defaults are not written
 *     mode = quorum 2                 default. quorum K (1..16) | proof (own programs only)
 *     stop = all                      default. all | first | lowest
 *     timeout = 300                   seconds the whole job may take; absent: no limit
 *     [requires]
 *     system                          /usr of the volunteer is seen; system:NAME needs it
 *
 * The words of arg and env have at most 56 KiB, three bytes more counted for each: that much fits
 * into the order to a volunteer's launcher beside the names of files.
 *
 * Words in values are escaped: backslash, LF, and other control characters as \\, \n, \xHH; the one
 * spelling rule holds for escapes too. Names: relative paths of 1..255 bytes, parts separated by
 * single slashes, no empty, "." or ".." part, no control characters (utf8.h), no backslash, no "=",
 * no space at either end and no "[" in front, none twice, none that is another's folder (a file
 * "deps" is one when there are [deps]).
 */
#ifndef PREON_COMMON_MANIFEST_H
#define PREON_COMMON_MANIFEST_H

#include "common/buffer.h"
#include "common/digest.h"
#include "common/key.h"
#include "common/run.h"
#include "common/status.h"

enum {
    MANIFEST_BYTES_MAX = 1024 * 1024,
    JOB_NAME_MAX = 64,
    JOB_SLICES_MAX = 1 << 24,
    JOB_FILES_MAX = 8192,
    JOB_DEPS_MAX = 64,
    JOB_ARGS_MAX = 4096,
    JOB_ENV_MAX = 1024,
    JOB_COMMAND_BYTES_MAX = 56 * 1024,
    JOB_OUTPUTS_MAX = 64,
    JOB_QUORUM_MAX = 16,
    NAME_BYTES_MAX = 255,
    SALT_BYTES = 16,
};

enum manifest_kind { MANIFEST_JOB, MANIFEST_DATASET };
enum program_kind { PROGRAM_OWN, PROGRAM_FILE, PROGRAM_SYSTEM };
enum verify_mode { VERIFY_QUORUM, VERIFY_PROOF };
enum stop_mode { STOP_ALL, STOP_FIRST, STOP_LOWEST };

struct manifest_file {
    char *name;
    uint64_t size;
    struct digest root;
    bool executable;
};

struct manifest_dep {
    char *name;
    struct digest dataset;
};

struct limits {
    uint32_t time_s;
    uint32_t cpu_s;
    uint64_t memory_bytes;
    uint32_t process_count;
    uint64_t output_bytes;
};

extern const struct limits LIMITS_DEFAULT; /* the values in the comment above */
extern const struct limits LIMITS_MAX;     /* what a manifest may ask for at most */

/* All strings are owned by the manifest and NUL-terminated; no embedded NUL is accepted. */
struct manifest {
    enum manifest_kind kind;
    char name[JOB_NAME_MAX + 1];
    uint32_t slice_count; /* 0 for a dataset */
    struct public_key owner;
    uint8_t salt[SALT_BYTES];
    struct manifest_file *files;
    uint32_t file_count;
    struct manifest_dep *deps;
    uint32_t dep_count;
    enum program_kind program_kind;
    char **args; /* args[0] is the program without its "file:" …; NULL-terminated */
    uint32_t arg_count;
    char **env; /* "KEY=VALUE"; NULL-terminated */
    uint32_t env_count;
    char **outputs;
    uint32_t output_count;
    struct limits limits;
    enum verify_mode verify;
    uint8_t quorum; /* for VERIFY_QUORUM */
    enum stop_mode stop;
    uint32_t timeout_s; /* 0: none */
    bool needs_system;
};

/* Empty, with defaults. */
void manifest_init(struct manifest *m, enum manifest_kind kind);
void manifest_fini(struct manifest *m);

/* Building: copies what it is given. The lists may be added in any order; manifest_write sorts. */
enum pn_status manifest_add_file(struct manifest *m, const char *name, uint64_t size,
                                 const struct digest *root, bool executable, struct pn_err *err);
enum pn_status manifest_add_dep(struct manifest *m, const char *name, const struct digest *dataset,
                                struct pn_err *err);
enum pn_status manifest_add_env(struct manifest *m, const char *key, const char *value,
                                struct pn_err *err);
enum pn_status manifest_add_output(struct manifest *m, const char *name, struct pn_err *err);
enum pn_status manifest_set_command(struct manifest *m, enum program_kind kind,
                                    const char *const *args, uint32_t arg_count,
                                    struct pn_err *err);

/* Sorts the lists, checks every rule, and writes the canonical text (text is emptied first). */
enum pn_status manifest_write(struct manifest *m, struct buffer *text, struct pn_err *err);

/*
 * Parses a canonical text; anything else fails with PN_E_MALFORMED, PN_E_RANGE or PN_E_TOO_BIG and
 * a sentence that names the line ("line 7: slices = 0: allowed are 1 to 16777216"). On failure *out
 * is as after manifest_init.
 */
enum pn_status manifest_parse(struct pn_bytes text, struct manifest *out, struct pn_err *err);

/* The job ID: SHA-256 of the text. */
void manifest_id(struct pn_bytes text, struct digest *out);

/* True when name follows the rules for names above (alone, without looking at others). */
bool manifest_name_valid(const char *name);

#endif
