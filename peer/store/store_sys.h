/*
 * store_sys -- the data folder: jobs, their files by content, and the outputs of attempts.
 *
 *     <data>/lock, format, running            whose it is, its version, "not stopped cleanly yet"
 *     <data>/jobs/<job>/{manifest,owner,grant,borrowed}
 *     <data>/files/<root>                     whole; or <root>.part, .had, .leaves while incomplete
 *     <data>/outbox/<job>/<run>/<slice>.<attempt>/{<index>,note}    a worker's, until delivered
 *     <data>/outputs/<job>/<run>/<slice>.<attempt>/<index>          a master's, kept
 *     <data>/tmp/                             emptied at open
 *
 * All functions block on the disk and are safe from any thread, unless stated; the loop's thread
 * calls them through the thread pool (uv_queue_work). Nothing outside the folder is touched and no
 * name in it comes from a stranger: only hashes and numbers. Folders are 0700, files 0600.
 *
 * Promises: a block is recorded after it is written, and after an unclean stop every recorded block
 * is hashed again before it counts; everything that is in place then is synced before the store
 * opens, since whoever was killed may have renamed it and not synced that; outputs are durable when
 * the call that stores them returns; no block is served that does not hash right (a file changed on
 * the disk: PN_E_MISMATCH).
 * A full disk is PN_E_FULL everywhere.
 */
#ifndef PREON_PEER_STORE_STORE_SYS_H
#define PREON_PEER_STORE_STORE_SYS_H

#include "common/buffer.h"
#include "common/claim.h"
#include "common/hash.h"
#include "common/manifest.h"
#include "peer/wire/data.h"

enum {
    STORE_NOTE_BYTES_MAX = 64 * 1024,
    STORE_PATH_MAX = 4096,
    STORE_BORROWED_S = 30 * 24 * 3600, /* then a job of somebody else is forgotten, at a start */
};

struct store;

/*
 * Makes the folder where it is missing and locks it. PN_E_BUSY: another peer uses it.
 * PN_E_UNSUPPORTED: written by a newer version. The ledger, keys and sockets of other rooms may
 * live beside: store_dir_fd.
 */
enum pn_status store_open(const char *data_dir, struct store **out, struct pn_err *err);

/* Syncs, marks the stop as clean, unlocks, frees. Nobody else may use the store any more. */
void store_close(struct store *s); /* NULL is fine */

const char *store_path(const struct store *s);
int store_dir_fd(const struct store *s);

/* --- jobs --- */

struct store_job {
    struct buffer manifest; /* its text */
    struct signature owner;
    bool granted;
    struct grant grant; /* when granted */
};

/*
 * Keeps a job or dataset, durably. The text must parse; signatures are the caller's business.
 * grant may be NULL. A job that is there already gets the new grant if there is one, else nothing
 * changes.
 */
enum pn_status store_job_put(struct store *s, struct pn_bytes manifest,
                             const struct signature *owner, const struct grant *grant,
                             struct digest *job, struct pn_err *err);

/*
 * The same for somebody else's job, without waiting for the disk: it is there after a crash of this
 * process; after a loss of power it may be gone or damaged, which is noticed, and it is fetched
 * again. It is forgotten, with its files, by a start that comes STORE_BORROWED_S later or more,
 * unless its outbox still holds something.
 */
enum pn_status store_job_remember(struct store *s, struct pn_bytes manifest,
                                  const struct signature *owner, const struct grant *grant,
                                  struct digest *job, struct pn_err *err);

/* Freed by store_job_fini. PN_E_NOT_FOUND. */
enum pn_status store_job_read(struct store *s, const struct digest *job, struct store_job *out,
                              struct pn_err *err);
void store_job_fini(struct store_job *j);

/* Does not touch the disk. *jobs is the caller's to free. */
enum pn_status store_jobs(struct store *s, struct digest **jobs, size_t *count);
bool store_has_job(struct store *s, const struct digest *job);

/* Forgets the job, its outputs and outbox, and files that no other job names. */
enum pn_status store_job_remove(struct store *s, const struct digest *job, struct pn_err *err);

/* --- a job's files, put by its owner --- */

struct store_put; /* one file that streams in; for one thread at a time */

/*
 * size and root are what the manifest says. PN_E_EXISTS: the content is here already, nothing to
 * send; PN_E_FULL: it would not fit. Does not block on the disk. Files put before their job are
 * forgotten at the next start.
 */
enum pn_status store_put_begin(struct store *s, uint64_t size, const struct digest *root,
                               struct store_put **out, struct pn_err *err);
enum pn_status store_put_write(struct store_put *p, struct pn_bytes bytes, struct pn_err *err);
/*
 * On PN_OK the file is here, and durable after the next store_sync. PN_E_MISMATCH: other bytes than
 * root says. Frees p in any case.
 */
enum pn_status store_put_finish(struct store_put *p, struct pn_err *err);
void store_put_abort(struct store_put *p); /* NULL is fine */

/*
 * Makes all files durable that have been put: the first few of a job were synced when they came,
 * the others get one sync of the file system; nothing to do is fine.
 * After a failure only a new start helps, which hashes every file again.
 */
enum pn_status store_sync(struct store *s, struct pn_err *err);

/*
 * Is the whole content here? Does not touch the disk: after an unclean stop it may still turn out
 * to be damaged when it is opened, and is then here no more.
 */
bool store_has_file(struct store *s, const struct digest *root);

/*
 * A read-only descriptor of a whole file, for a sandbox; the caller closes it. Hashes the file
 * first if it has not been since an unclean stop. PN_E_NOT_FOUND, PN_E_MISMATCH.
 */
enum pn_status store_file_fd(struct store *s, const struct digest *root, int *fd,
                             struct pn_err *err);

struct store_tree;

/*
 * A folder with all of a job's files under their names, for a sandbox that is to see more of them
 * than it could mount one by one. It holds links, so it costs no room; files are made readable for
 * everybody, executable if the manifest says so. Fails as store_file_fd.
 */
enum pn_status store_tree_make(struct store *s, const struct manifest *m, struct store_tree **out,
                               struct pn_err *err);
int store_tree_fd(const struct store_tree *t); /* the folder's; closed by store_tree_remove */
void store_tree_remove(struct store_tree *t);  /* NULL is fine */

/* --- files block by block --- */

struct store_file; /* shared by all who open the same content; counted */

/*
 * Opens content for reading and writing blocks. When none of it is here: PN_E_NOT_FOUND, or, with
 * create, begins it (room on the disk is reserved by the first block). The size is believed of
 * nobody: a content that is here with another one stays as it is, and this is PN_E_MISMATCH.
 */
enum pn_status store_file_open(struct store *s, const struct digest *root, uint64_t size,
                               bool create, struct store_file **out, struct pn_err *err);

/*
 * The same for output `index` of an attempt: with create in outputs/ (incomplete until
 * store_outputs_finish), else where it is: outbox or outputs. root may be NULL without create
 * (size is then ignored too).
 */
enum pn_status store_output_open(struct store *s, const struct file_set *attempt, uint32_t index,
                                 const struct digest *root, uint64_t size, bool create,
                                 struct store_file **out, struct pn_err *err);
void store_file_close(struct store_file *f); /* NULL is fine */

uint64_t store_file_size(const struct store_file *f);
const struct digest *store_file_root(const struct store_file *f);

/* These three do not touch the disk. */
bool store_file_has_leaves(struct store_file *f); /* always true for files of one block */
bool store_file_has_block(struct store_file *f, uint32_t index);
bool store_file_whole(struct store_file *f);

/* All leaves at once. PN_E_MISMATCH: their root is another. */
enum pn_status store_file_put_leaves(struct store_file *f, const struct digest *leaves,
                                     struct pn_err *err);
/* Copies count leaves from first on. PN_E_NOT_FOUND: no leaves yet; PN_E_RANGE. */
enum pn_status store_file_leaves(struct store_file *f, uint32_t first, uint32_t count,
                                 struct digest *out, struct pn_err *err);

/* PN_E_MISMATCH: not the bytes of this block. The last block makes the file whole. */
enum pn_status store_file_write_block(struct store_file *f, uint32_t index, struct pn_bytes bytes,
                                      struct pn_err *err);
/* len is block_length(size, index), and PN_E_MISMATCH if it is not. */
enum pn_status store_file_read_block(struct store_file *f, uint32_t index, uint8_t *out, size_t len,
                                     struct pn_err *err);

/* --- outputs of attempts --- */

struct store_adopt {
    int fd;             /* borrowed; a regular file, read from its start */
    uint32_t index;     /* of the manifest's output names */
    uint64_t size;      /* out */
    struct digest root; /* out */
};

/*
 * Copies a worker's collected outputs towards the outbox, all or none, and hashes them into size
 * and root. PN_E_TOO_BIG when they have more than bytes_max in all; PN_E_EXISTS.
 *
 * As the vote holds the roots, it is two calls: commit adds a note, which is whatever the worker
 * needs to vote again after a restart, and puts all in place, durably. Adopted outputs that are
 * not committed are gone after a restart; an attempt without outputs is only committed.
 */
enum pn_status store_outbox_adopt(struct store *s, const struct file_set *attempt,
                                  struct store_adopt *outputs, uint32_t count, uint64_t bytes_max,
                                  struct pn_err *err);
enum pn_status store_outbox_commit(struct store *s, const struct file_set *attempt,
                                   struct pn_bytes note, struct pn_err *err);

/*
 * Moves an attempt from the outbox to this peer's own outputs, durably and without copying, in the
 * place of what is there of an earlier making. PN_OK also when it was handed over before.
 */
enum pn_status store_outbox_hand_over(struct store *s, const struct file_set *attempt,
                                      struct pn_err *err);

/* Appends the note to *note. PN_E_NOT_FOUND. */
enum pn_status store_outbox_note(struct store *s, const struct file_set *attempt,
                                 struct buffer *note, struct pn_err *err);

/* Calls each for every committed attempt, in no order. Other threads may change the outbox. */
enum pn_status store_outbox_list(struct store *s,
                                 void (*each)(void *arg, const struct file_set *attempt), void *arg,
                                 struct pn_err *err);

/* PN_OK also when there is none. */
enum pn_status store_outbox_drop(struct store *s, const struct file_set *attempt,
                                 struct pn_err *err);

/*
 * Makes fetched outputs final: syncs, renames, syncs the folders; durable on PN_OK. All of them
 * were opened with create and are whole; what is there of an earlier fetch goes. PN_OK also when
 * they are final already.
 */
enum pn_status store_outputs_finish(struct store *s, const struct file_set *attempt,
                                    struct pn_err *err);
enum pn_status store_outputs_drop(struct store *s, const struct file_set *attempt,
                                  struct pn_err *err);

/*
 * Appends at most bytes_max bytes of one output (outputs first, then outbox), from offset on, to
 * out; *size is that of the whole output. PN_E_NOT_FOUND; PN_E_TOO_BIG when out cannot hold them.
 */
enum pn_status store_output_read(struct store *s, const struct file_set *attempt, uint32_t index,
                                 uint64_t offset, size_t bytes_max, struct buffer *out,
                                 uint64_t *size, struct pn_err *err);

#endif
