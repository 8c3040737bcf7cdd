/*
 * transfer_inside -- what the files behind transfer_uv.h know of each other.
 *
 *     partner   the other end of a port: what we asked it, what it asked us
 *     shelf     a set of files as this peer holds it, opened for serving or fetching
 *     fetch     a set being fetched onto its shelf
 *     serving   one request of a partner, until it is answered
 *     ask       one request of ours, until it is answered
 */
#ifndef PREON_PEER_SWARM_TRANSFER_INSIDE_H
#define PREON_PEER_SWARM_TRANSFER_INSIDE_H

#include "common/table.h"
#include "peer/swarm/spread.h"
#include "peer/swarm/swarm.h"
#include "peer/swarm/transfer_uv.h"

enum {
    CHUNK_BYTES = 16 * 1024,  /* one TLS record; a slice's assignment waits for no more than this */
    PARTNER_JOBS_MAX = 64,    /* jobs for which one partner is a source */
    PARTNER_LISTENS_MAX = 64, /* sets of which it wants to hear */
    SERVING_PER_PARTNER_MAX = 96,
    SERVING_MAX = 2048,              /* in all */
    READ_AHEAD = 3,                  /* blocks of one partner being read at once */
    PENDING_HIGH = 32 * 1024 * 1024, /* bytes that wait for hashing and the disk: stop reading */
    PENDING_LOW = 16 * 1024 * 1024,
    NEWS_MS = 20, /* HAVE is told at most this often */
    NEWS_MAX = 4096,
    SHELF_IDLE_MS = 30 * 1000,
    SHELF_LOOK_AGAIN_MS = 1000,    /* at a set that nobody fetches and that is not whole */
    HELLO_AGAIN_MS = 5 * 1000,     /* a fetch that gets nothing asks its sources what they have */
    PULL_STALL_MS = 2 * 60 * 1000, /* without a block of outputs, whatever their worker says */
    BAN_MS = 60 * 60 * 1000,
    BANS_MAX = 4096,
    ANSWER_MS = 30 * 1000, /* for a piece of a manifest */
};

/* Something for the thread pool; embedded in what it is about. */
struct work {
    uv_work_t req;
    struct transfer *t;
    void (*run)(struct work *w);  /* in the pool */
    void (*done)(struct work *w); /* on the loop's thread; always comes */
    enum pn_status status;        /* set by run, as err */
    struct pn_err err;
};

struct shelf_file {
    struct digest root;
    uint64_t size;
    uint8_t need;
    bool present;            /* a fetched attempt may lack some outputs */
    struct store_file *file; /* NULL: whole and not yet opened, or not here at all */
};

enum shelf_state { SHELF_OPENING, SHELF_READY, SHELF_FAILED };

struct shelf {
    struct work work; /* the opening */
    struct shelf *next;
    struct file_set set;
    enum shelf_state state; /* while SHELF_OPENING the pool owns what follows */
    bool create;            /* for a fetch */
    struct layout layout;
    struct shelf_file *files; /* layout.file_count */
    uint32_t file_count;
    struct bitset had; /* numbered through */
    struct spread spread;
    uint32_t user_count;
    uint64_t idle_since_ms;
    uint64_t opened_ms;
    bool stale; /* not to be found any more; freed with its last user */
};

struct fetch {
    struct transfer *t;
    struct fetch *next;
    struct shelf *shelf;
    struct partner *only; /* an attempt's outputs come from one port */
    struct swarm *swarm;  /* NULL until the shelf is ready */
    struct transfer_fetch *waiters;
    struct digest **leaves; /* of each file, while they arrive */
    uint32_t *news;         /* blocks that the partners have not been told of */
    uint32_t news_count;
    uint32_t work_count; /* in the pool */
    uint64_t waiting_since_ms;
    uint64_t hello_at_ms;
    bool ending; /* every block is here, outputs are being made durable */
    bool over;   /* cancelled, failed or done: freed when the pool has let go of it */
};

struct transfer_fetch {
    struct transfer *t;
    struct transfer_fetch *next;
    struct fetch *fetch; /* or a manifest: */
    struct partner *partner;
    struct digest job;
    struct buffer text;
    uint64_t deadline_ms;
    transfer_on_done *on_done;
    transfer_on_manifest *on_manifest;
    void *arg;
};

struct ask {
    struct ask *next;
    uint32_t number;
    uint8_t type;        /* FRAME_MANIFEST, FRAME_LEAVES or FRAME_BLOCK */
    struct fetch *fetch; /* both NULL: stopped, what still comes is dropped */
    struct transfer_fetch *manifest;
    uint32_t tag;
    uint32_t file, first, count; /* leaves; first: the block, REQUEST_ANY until it begins */
    bool begun;
    enum data_encoding encoding;
    uint32_t total;
    uint32_t got;
    uint8_t *bytes; /* total */
};

enum serving_state { SERVING_WAITS, SERVING_READS, SERVING_SENDS };

struct serving {
    struct work work; /* the reading */
    struct serving *next;
    struct partner *partner; /* NULL: it has gone, the pool has not let go yet */
    uint32_t number;
    uint8_t type;
    enum serving_state state;
    struct shelf *shelf; /* counted */
    struct digest job;   /* of a manifest */
    uint32_t offset;
    struct data_leaves_ask leaves;
    uint32_t block; /* SPREAD_NONE until chosen */
    bool any;
    uint32_t first, count;
    uint8_t *held; /* owned */
    enum data_encoding encoding;
    uint8_t *bytes; /* owned */
    uint32_t total;
    uint32_t sent;
    bool stopped; /* after some of it was sent: the rest is an error, in the same lane */
};

struct partner {
    struct transfer *t;
    struct partner *next;
    struct port *port;
    uint32_t number_next;
    struct ask *asks;
    struct serving *queue; /* oldest first */
    uint32_t queue_count;
    struct digest jobs[PARTNER_JOBS_MAX];
    uint32_t job_count;
    struct file_set listens[PARTNER_LISTENS_MAX];
    uint32_t listen_count;
};

struct transfer {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct store *store;
    struct transfer_hooks hooks;
    struct partner *partners;
    struct partner *gone; /* freed by the timer */
    struct shelf *shelves;
    struct fetch *fetches;
    struct transfer_fetch *manifests; /* being fetched */
    struct table bans;                /* peer ID -> struct ban */
    uint64_t news_at_ms;              /* UINT64_MAX: none */
    uint64_t pending_bytes;
    bool pressed;
    uint32_t work_count;
    uint32_t serving_count;
    bool closing;
    uint64_t pull_stall_ms; /* PULL_STALL_MS, but in tests */
    struct transfer_counts counts;
};

struct ban {
    struct digest peer;
    uint64_t until_ms;
};

/* --- transfer_uv.c --- */
void work_start(struct transfer *t, struct work *w); /* run and done are set */
void transfer_arm(struct transfer *t);
void transfer_press(struct transfer *t, int64_t bytes); /* pending bytes more or less */
struct partner *transfer_partner(struct transfer *t, struct port *port, bool make);
enum pn_status partner_send(struct partner *p, enum session_lane lane, uint8_t type, uint8_t flags,
                            uint32_t number, struct pn_bytes body);
bool transfer_banned(struct transfer *t, const struct digest *peer);
void transfer_ban(struct transfer *t, const struct digest *peer, const char *reason);

/* --- ask_uv.c --- */
struct ask *ask_new(struct partner *p, uint8_t type); /* NULL when memory is short */
void ask_free(struct partner *p, struct ask *a);
void ask_stop(struct partner *p, struct ask *a); /* tells the partner */
enum pn_status ask_answer(struct partner *p, const struct frame *f, struct pn_err *err);

/* --- shelf_uv.c --- */
/* A user more; NULL when memory is short. outputs: of an attempt that is to be fetched. */
struct shelf *shelf_get(struct transfer *t, const struct file_set *set, bool create,
                        const struct transfer_output *outputs, uint32_t count);
void shelf_put(struct shelf *s, bool stale); /* a user less */
void shelf_expire(struct transfer *t, uint64_t now_ms);
bool shelf_whole(const struct shelf *s);
/* The open file of a block; NULL when it is not here. */
struct store_file *shelf_file(struct shelf *s, uint32_t file);

/* --- fetch_uv.c --- */
void fetch_shelf_ready(struct fetch *f);
void fetch_partner_gone(struct fetch *f, struct partner *p);
void fetch_add_source(struct fetch *f, struct partner *p);
void fetch_have(struct fetch *f, struct partner *p, const struct data_have *have);
void fetch_event(struct fetch *f, struct swarm_event ev);
void fetch_block_arrived(struct fetch *f, struct partner *p, struct ask *a); /* takes a->bytes */
void fetch_leaves_arrived(struct fetch *f, struct partner *p, struct ask *a,
                          struct pn_bytes digests);
void fetch_refused(struct fetch *f, struct partner *p, struct ask *a, const struct data_error *e);
void fetch_fail(struct fetch *f, enum pn_status status, const struct pn_err *err);
void fetch_tick(struct fetch *f, uint64_t now_ms);
uint64_t fetch_stalls_at_ms(const struct fetch *f); /* of outputs: when they are given up */
void fetch_tell_news(struct fetch *f);
void fetch_abandon(struct fetch *f); /* nobody waits for it any more */
void fetch_free(struct fetch *f);    /* over, and nothing of it in the pool */

/* --- serve_uv.c --- */
enum pn_status serve_request(struct partner *p, const struct frame *f, struct pn_err *err);
void serve_stop(struct partner *p, uint32_t number);
void serve_go_on(struct partner *p); /* as far as the lane has room */
void serve_partner_gone(struct partner *p);
enum pn_status serve_have(struct partner *p, const struct frame *f, struct pn_err *err);
void serve_tell_state(struct partner *p, struct shelf *s, uint8_t flags);

/* --- manifest_uv.c --- */
void manifest_answer(struct transfer_fetch *m, const struct data_manifest *piece);
void manifest_fail(struct transfer_fetch *m, enum pn_status status, const char *why);

#endif
