/*
 * worker_shell -- what the files of the worker's shell share; for nobody else.
 *
 *     worker_uv.c         engagements, dials, events and actions
 *     worker_errand_uv.c  one job's papers and files on this machine
 *     worker_outbox_uv.c  stored outputs: dropped, and taken up again after a restart
 *     worker_task_uv.c    one slice: sandbox, collection, result
 */
#ifndef PREON_PEER_WORKER_WORKER_SHELL_H
#define PREON_PEER_WORKER_WORKER_SHELL_H

#include "peer/worker/run_log_sys.h"
#include "peer/worker/turns.h"
#include "peer/worker/worker_uv.h"

/* Below this, finding others who have a job's files costs more than fetching them. */
enum { ERRAND_SHARE_BYTES = 1024 * 1024 };

/*
 * An event for the core that waits until its present actions are carried out. It lies in what it is
 * about, of which one such event at a time is on its way: no memory can be missing for it, as an
 * event that is lost would leave a slot busy, or a master without an answer, for ever.
 */
struct deferred {
    struct worker_event event;
    struct task *task;     /* WORKER_RAN: freed for the next slice once the core has heard */
    struct errand *errand; /* any other: pinned until then */
    char text[WORK_TEXT_BYTES_MAX];
    bool queued;
    struct deferred *next;
};

/* One job that we are engaged for. Freed when it is gone and nothing pins it. */
struct errand {
    struct labour *of;
    struct digest job;
    struct run run;
    uint32_t port; /* id, 0 while down */
    struct addr master;
    struct digest master_id;
    bool own;
    bool shared;   /* its files were asked of others, and are offered to them */
    bool gone;     /* the core has left it */
    uint32_t pins; /* work on the pool, tasks, fetches under way */
    struct signature owner_signature;
    uint8_t grant_bytes[GRANT_BYTES_MAX];
    size_t grant_len;
    struct grant grant;
    struct buffer text;
    struct manifest manifest;
    bool parsed;
    struct transfer_fetch *fetch;
    struct sandbox_file *files; /* with open descriptors once fetched */
    struct store_tree *tree;    /* that of the only one of them, a folder with all; or NULL */
    uint32_t file_count;
    int program_fd;
    uint32_t stored_count; /* attempts whose outputs lie in the outbox */
    struct deferred vetted, fetched;
    struct errand *next;
};

/* Between two lines of progress that are passed on; programs print one a second, not too evenly. */
enum { TASK_PROGRESS_EVERY_MS = 500 };

enum task_state { TASK_FREE, TASK_WAITING, TASK_RUNNING, TASK_COLLECTING };

/* One place with the slice in it. */
struct task {
    struct labour *of;
    uint32_t place;
    enum task_state state;
    struct errand *errand;
    uint64_t slice;
    uint64_t attempt;
    uint32_t run;              /* the sandbox's name for it */
    uint64_t next_progress_ms; /* uv_now; lines before are dropped */
    struct addr master;        /* as the errand had it at the start, for the pool's thread */
    struct digest master_id;
    uv_work_t work;
    /* collecting, on the pool: */
    int folder_fd;
    struct outcome outcome;
    char text[192];
    bool machine_fault;
    enum work_reason reason;
    struct worker_result result;
    uint8_t *bytes; /* inline outputs, owned */
    bool alone;     /* the master is away: nobody takes its vote soon */
    bool stored;    /* outputs lie in the outbox */
    uint8_t stdout_tail[WORK_TAIL_BYTES_MAX];
    uint8_t stderr_tail[WORK_TAIL_BYTES_MAX];
    struct deferred ended;
};

struct dialled {
    uint64_t tag;
    struct digest job;
    struct addr to;
    struct dialled *next;
};

struct labour {
    struct labour_config config;
    struct worker *core;
    struct worker_actions actions;
    struct errand *errands;
    struct dialled *dials;
    uint64_t last_tag;
    struct task *tasks; /* place_count of them */
    uint32_t place_count;
    struct turns turns; /* of the tasks, for the sandbox's budget */
    struct deferred *first;
    struct deferred **last;
    bool stepping;
    bool own_lost; /* something said to our own master: that link does not break, all is asked anew
                    */
    uv_timer_t timer;
    struct run_log run_log;
    uint32_t pins; /* work on the pool, errands that are pinned */
    bool freeing;
    bool timer_closed;
    void (*on_freed)(void *arg);
    void *on_freed_arg;
};

/*
 * worker_uv.c: feeds the core, now or after its present actions. text is copied, NULL for none; of
 * an event that still waits in d, this one takes the place.
 */
void labour_event(struct labour *l, struct deferred *d, const struct worker_event *ev,
                  const char *text);
void labour_step_now(struct labour *l, struct worker_event *ev); /* not while l->stepping */
void labour_start_waiting(struct labour *l);                     /* those whose turn it is by now */
void labour_pin(struct labour *l);
void labour_unpin(struct labour *l);
__attribute__((format(printf, 2, 3))) void labour_log_run(struct labour *l, const char *format,
                                                          ...);

/* worker_outbox_uv.c */
void labour_drop_outputs(struct labour *l, const struct worker_action *x);
/* At the start: votes for what lies in the outbox, and drops what nobody can vote for any more. */
void labour_restore(struct labour *l);

/* worker_errand_uv.c */
struct errand *errand_new(struct labour *l, const struct digest *job);
struct errand *errand_find(const struct labour *l, const struct digest *job);
void errand_leave(struct errand *e);
void errand_pin(struct errand *e);
void errand_unpin(struct errand *e);
void errand_vet(struct errand *e, const struct worker_action *x);
void errand_fetch(struct errand *e);

/* worker_task_uv.c */
void task_start(struct task *t, struct errand *e, const struct worker_action *x);
bool task_run(struct task *t); /* one that waits; false: it waits on, the sandbox takes none now */
void task_kill(struct task *t);

#endif
