/*
 * run -- the sandboxes that this launcher has made and not yet reported as ended.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_RUN_H
#define PREON_PEER_SANDBOX_LAUNCHER_RUN_H

#include <poll.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/report.h"

enum { RUN_MAX = 1024 };

/* Why the launcher ended a run before its slice did. */
enum run_cause { RUN_BY_ITSELF, RUN_KILLED, RUN_OVER_TIME, RUN_OVER_MEMORY };

struct run {
    bool used;
    uint32_t id;
    pid_t pid;   /* of init */
    int pidfd;   /* readable when init and everybody below it is gone */
    int word_fd; /* what init says */
    int work_fd; /* tier full: the tmpfs, handed to the daemon at the end; else -1 */
    uint64_t ordered_us;
    uint64_t started_us; /* execve; 0 before */
    uint64_t deadline_us;
    uint32_t time_ms; /* allowed from execve */
    uint32_t cpu_s;
    uint64_t memory_bytes;
    uint64_t oom_kills; /* of the machine, when it began; 0: not known */
    bool single;        /* one process: its address space limit is enough */
    enum run_cause cause;
    bool has_word; /* `last` is BOX_WORD_FAILED or BOX_WORD_ENDED */
    struct box_word last;
};

struct runs {
    const struct box_ways *ways;
    struct run all[RUN_MAX];
    uint32_t used_end; /* no run at or above this index is used */
    uint32_t count;
    uint64_t watch_us;    /* when memory is looked at next */
    uint32_t watch_index; /* whose was looked at last */
};

/* Where the order's descriptors are; the run takes them all: they are closed on return. */
struct run_fds {
    int fds[ORDER_FDS_MAX];
    uint32_t count;
};

/* Descriptors that lead nowhere else are closed by this, exactly once. */
void run_fds_close(struct run_fds *f);

/*
 * Starts what an order asks for. On failure *ended is filled in and false returned; f is closed in
 * both cases.
 */
bool runs_start(struct runs *r, const struct order *o, struct run_fds *f, struct report *ended);

/* Kills a run; an unknown one is ignored. */
void runs_kill(struct runs *r, uint32_t id, enum run_cause cause);

/* Fills two entries per run and returns how many; entry 2i and 2i + 1 belong to index[i]. */
size_t runs_poll(const struct runs *r, struct pollfd *out, uint32_t *index);

/* Milliseconds until runs_tick is due; -1: never. */
int runs_timeout_ms(const struct runs *r);

/* Ends what is over its time or memory. */
void runs_tick(struct runs *r);

/*
 * After poll: reads what init said; true when the run is over. Then *ended and *work_fd (or -1, to
 * be closed by the caller) are filled in and the run is free.
 */
bool runs_ready(struct runs *r, uint32_t index, bool dead, struct report *ended, int *work_fd);

uint64_t run_now_us(void);

#endif
