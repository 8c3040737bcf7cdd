/*
 * peer -- a whole peer: worker and master at once, with its store, links and control socket.
 */
#ifndef PREON_PEER_PEER_H
#define PREON_PEER_PEER_H

#include "common/addr.h"
#include "common/key.h"
#include "common/log_sys.h"
#include "common/status.h"

enum {
    PEER_TRACKERS_MAX = 8,
    PEER_OWNERS_MAX = 64,
    PEER_PROGRAMS_MAX = 16,
    PEER_SLOTS_MAX = 1024,
    PEER_TRACKER_PORT = 7600,
};

/* Whose jobs this peer works on, beyond those of its own user. */
enum peer_jobs {
    PEER_JOBS_OWN_PROGRAMS, /* program:… from anybody; foreign programs only of `owners` */
    PEER_JOBS_ANY,          /* anything from anybody */
    PEER_JOBS_NAMED,        /* only the programs in `programs` */
};

/* A tracker as the user wrote it; names are looked up by the peer, again and again. */
struct peer_tracker {
    const char *name; /* "tracker.example.org:7600", for messages */
    const char *host; /* "tracker.example.org" */
    uint16_t port;
};

/* All pointers are borrowed until peer_run returns. */
struct peer_config {
    const char *data_dir; /* exists or is made; absolute */

    struct peer_tracker trackers[PEER_TRACKERS_MAX];
    uint32_t tracker_count;

    const char *host; /* address to listen on; NULL: all */
    uint16_t port;    /* 0: any free one */
    bool listen;      /* false: only dial out */
    bool lan;         /* private addresses may be dialled */

    uint32_t slot_count;  /* 1 .. PEER_SLOTS_MAX; 0: master only */
    bool normal_priority; /* slices compete with other programs; else those go first */

    enum peer_jobs jobs;
    const char *programs[PEER_PROGRAMS_MAX]; /* "nonce": any version */
    uint32_t program_count;
    struct public_key owners[PEER_OWNERS_MAX]; /* whose foreign programs are welcome */
    uint32_t owner_count;

    /*
     * A child of a command, for as long as its job lasts: ends by control's shutdown, and when
     * ready_fd's other end is gone.
     */
    bool embedded;
    bool look;    /* embedded, to answer questions: asks no tracker, leads nothing on */
    int ready_fd; /* the line "ready" goes there when the control socket answers; -1: stdout */

    const char *user; /* to drop to when started as root; NULL: the folder's owner or "nobody" */

    const char *launcher;    /* path of the sandbox launcher */
    const char *program_dir; /* folder of the own job programs */
};

/*
 * Runs until SIGTERM, SIGINT or an order. Prints one line "listening on ADDRESS" to stdout when
 * ready (not when embedded). PN_OK: ended as ordered.
 */
enum pn_status peer_run(const struct peer_config *config, struct pn_err *err);

#endif
