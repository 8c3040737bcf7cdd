/*
 * order -- what the daemon asks of the launcher: run one slice, or kill one.
 *
 * One order is one packet on their SOCK_SEQPACKET socket. Both ends are ours and from the same
 * build, so there is no version; the parser is strict all the same, because the launcher acts on
 * what it says. With a run order travel descriptors (SCM_RIGHTS), in this order:
 *
 *     stdout's pipe, stderr's pipe, the program (program == ORDER_PROGRAM_OWN),
 *     the work folder (own_folder), then one per file
 */
#ifndef PREON_PEER_SANDBOX_ORDER_H
#define PREON_PEER_SANDBOX_ORDER_H

#include "common/bytes.h"
#include "common/status.h"

enum {
    ORDER_BYTES_MAX = 128 * 1024,
    ORDER_ARGS_MAX = 4096,
    ORDER_ENV_MAX = 1100, /* the manifest's and ours */
    ORDER_FILES_MAX = 200,
    ORDER_OUTPUTS_MAX = 64,
    ORDER_NAME_MAX = 255,
    ORDER_FDS_MAX = ORDER_FILES_MAX + 4, /* the kernel allows 253 in one packet */
    ORDER_PROCESSES_MAX = 65536,
    ORDER_OPEN_FILES_MAX = 65536,
};

enum order_kind { ORDER_RUN = 1, ORDER_KILL = 2 };

/* Whose program it is; the values of enum program_kind in common/manifest.h. */
enum order_program {
    ORDER_PROGRAM_OWN = 0,    /* static, by descriptor: needs nothing in its root */
    ORDER_PROGRAM_FILE = 1,   /* args[0] is one of the files */
    ORDER_PROGRAM_SYSTEM = 2, /* args[0] is looked up in /usr */
};

/* Amounts that one slice stays within. All are > 0. */
struct order_limits {
    uint64_t memory_bytes; /* address space of each process; resident bytes of all together */
    uint64_t output_bytes; /* the work folder; also the longest file */
    uint64_t tmp_bytes;    /* /tmp */
    uint32_t time_ms;      /* from execve */
    uint32_t cpu_s;        /* of each process */
    uint32_t process_count;
    uint32_t inode_count; /* files and folders in the work folder, and again in /tmp */
    uint32_t open_file_count;
};

struct order_file {
    const char *name; /* relative; where it is seen, below /job and below the work folder */
    bool folder;      /* a whole tree, seen under name; "" for /job itself */
};

/* Plain data; every pointer is borrowed from whoever filled it in. */
struct order {
    enum order_kind kind;
    uint32_t id; /* chosen by the daemon; the launcher's reports carry it */
    /* the rest for ORDER_RUN only */
    enum order_program program;
    bool system;       /* /usr is seen */
    bool own_folder;   /* the work folder comes as a descriptor (tier reduced) */
    bool low_priority; /* other programs go first */
    struct order_limits limits;
    const char *const *args; /* NULL-terminated */
    uint32_t arg_count;      /* at least 1 */
    const char *const *env;  /* "KEY=VALUE", NULL-terminated */
    uint32_t env_count;
    const struct order_file *files;
    uint32_t file_count;
    const char *const *outputs; /* names whose folders are made beforehand */
    uint32_t output_count;
};

/* Where a parsed order keeps its lists; large, so have it static or on the heap. */
struct order_room {
    const char *args[ORDER_ARGS_MAX + 1];
    const char *env[ORDER_ENV_MAX + 1];
    struct order_file files[ORDER_FILES_MAX];
    const char *outputs[ORDER_OUTPUTS_MAX];
};

/* How many descriptors travel with it. */
uint32_t order_fd_count(const struct order *o);

/*
 * Writes an order into out (ORDER_BYTES_MAX bytes). Fails with PN_E_TOO_BIG when arguments,
 * environment or files are too many or too long, and PN_E_RANGE for what order_parse refuses.
 */
enum pn_status order_write(const struct order *o, uint8_t *out, size_t *len, struct pn_err *err);

/*
 * Parses one packet. Strings of *out point into `in`, lists into *room; both must outlive it.
 * *out is written only on PN_OK.
 */
enum pn_status order_parse(struct pn_bytes in, struct order_room *room, struct order *out,
                           struct pn_err *err);

/* A relative path of 1..255 bytes without empty, "." or ".." parts and control characters. */
bool order_name_valid(const char *name);

#endif
