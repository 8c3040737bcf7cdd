/*
 * file_inside -- an open file of the store, for file_sys.c and file_load_sys.c only.
 */
#ifndef PREON_PEER_STORE_FILE_INSIDE_H
#define PREON_PEER_STORE_FILE_INSIDE_H

#include "peer/store/content.h"
#include "peer/store/inside.h"

/* What a file on the disk looks like while nobody changes it. */
struct stamp {
    struct timespec modified;
    uint64_t inode;
    int64_t size;
};

struct store_file {
    struct store *store;
    uint32_t user_count; /* under the store's lock, as are the two digests' entries */
    struct digest key;   /* in store->files */
    bool of_job;         /* content of files/, which the index knows */
    char name[STORE_NAME_BYTES];

    pthread_mutex_t lock;
    /* under this lock: */
    enum pn_status loaded; /* PN_OK once the disk has been looked at */
    struct content content;
    bool on_disk_whole; /* NAME is there; else NAME.part, if anything */
    bool part_made;
    struct bitset checked; /* blocks whose bytes on the disk have been hashed since the stamp */
    struct stamp stamp;
};

/*
 * Learns everything that the disk says about the file. prove: do not believe it, hash it. The lock
 * is held. PN_E_NOT_FOUND when nothing is there, unless create.
 */
enum pn_status store_file_load(struct store_file *f, bool create, bool prove, struct pn_err *err);

/* Renames NAME.part, which is whole, to NAME. The lock is held. */
enum pn_status store_file_become_whole(struct store_file *f, struct pn_err *err);

#endif
