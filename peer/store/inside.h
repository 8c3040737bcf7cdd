/*
 * inside -- what the files of this folder know of each other; for nobody else.
 */
#ifndef PREON_PEER_STORE_INSIDE_H
#define PREON_PEER_STORE_INSIDE_H

#include <pthread.h>
#include <stdio.h>

#include "common/table.h"
#include "peer/store/catalogue.h"
#include "peer/store/store_sys.h"

enum {
    STORE_NAME_BYTES = 384, /* any path below the data folder, with its terminator */
    STORE_OPEN_FILES_MAX = 64 * 1024,
};

struct store {
    char path[STORE_PATH_MAX];
    int dir_fd;
    int lock_fd;  /* holds the lock while it is open */
    bool unclean; /* the last stop was: what is recorded is to be proven */
    pthread_mutex_t lock;
    /* under the lock: */
    struct catalogue catalogue;
    struct table files; /* SHA-256 of a file's name below the folder -> struct store_file */
    uint64_t tmp_serial;
    bool unsynced;         /* files were put that are not durable */
    uint32_t synced_alone; /* files that were put since store_sync, and are */

    pthread_mutex_t syncing; /* taken before the lock above */
    bool sync_failed;        /* under it; for good: the kernel tells it once, not what was lost */
};

static inline void store_lock(struct store *s) { (void)pthread_mutex_lock(&s->lock); }
static inline void store_unlock(struct store *s) { (void)pthread_mutex_unlock(&s->lock); }

/* A name below tmp/ that nobody has. */
void store_tmp_name(struct store *s, char name[STORE_NAME_BYTES]);

/* "files/<root>" */
void store_content_name(const struct digest *root, char name[STORE_NAME_BYTES]);

/* "<folder>/<job>/<run>" and, below it, "<slice>.<attempt><suffix>". */
void store_attempt_name(const char *folder, const struct file_set *attempt, const char *suffix,
                        char name[STORE_NAME_BYTES]);
void store_run_name(const char *folder, const struct file_set *attempt,
                    char name[STORE_NAME_BYTES]);

/* A name with something behind it. */
static inline void store_name_add(const char *name, const char *suffix, char out[STORE_NAME_BYTES])
{
    (void)snprintf(out, STORE_NAME_BYTES, "%s%s", name, suffix);
}

/*
 * Was the job only remembered, long ago, and is nothing of it still to be delivered? now_s: seconds
 * of the wall clock, which is what files are dated by.
 */
bool store_job_stale(struct store *s, const struct digest *job, int64_t now_s);

/* Whole, and known to hash right since the start or a clean stop. */
bool store_file_proven(struct store *s, const struct digest *root);

/* The size of what is at name; PN_E_NOT_FOUND. */
enum pn_status store_stat_size(const struct store *s, const char *name, uint64_t *size,
                               struct pn_err *err);

/* Copies all of a regular file to name (synced) and keeps its leaves beside it, hashing it. */
enum pn_status store_copy_in(struct store *s, int fd, uint64_t bytes_max, const char *name,
                             uint64_t *size, struct digest *root, struct pn_err *err);

#endif
