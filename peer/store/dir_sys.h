/*
 * dir_sys -- the few things the store does with files and folders, each with its error in words.
 *
 * Paths are relative to a folder's descriptor and are made of our own names; links are never
 * followed. Errors: a full disk or quota is PN_E_FULL, a missing file PN_E_NOT_FOUND, the rest
 * PN_E_SYSTEM; the text begins with the path.
 */
#ifndef PREON_PEER_STORE_DIR_SYS_H
#define PREON_PEER_STORE_DIR_SYS_H

#include "common/buffer.h"

/* Turns errno into a status; call it right after what failed. */
enum pn_status dir_fail(const char *path, struct pn_err *err);

/* Makes every missing folder of the path (0700) and syncs the folders it was added to. */
enum pn_status dir_make(int at, const char *path, struct pn_err *err);

/* Makes what was created, renamed or removed in the folder durable. */
enum pn_status dir_sync(int at, const char *path, struct pn_err *err);

/* True when there is something of that name. */
bool dir_has(int at, const char *path);

/* Renames, replacing a file that is there. Durable after dir_sync of the folder(s). */
enum pn_status dir_rename(int at, const char *from, const char *to, struct pn_err *err);

/* As dir_rename, for folders: what was there, if anything, is then called `from`. */
enum pn_status dir_replace(int at, const char *from, const char *to, struct pn_err *err);

/* Removes a file, or a folder with all it holds. PN_OK when there is none. */
enum pn_status dir_remove(int at, const char *path, struct pn_err *err);

/* Calls each for every name in the folder but "." and ".."; each may remove what it is told of. */
enum pn_status dir_each(int at, const char *path, void (*each)(void *arg, const char *name),
                        void *arg, struct pn_err *err);

/* Writes a small file anew, synced when asked. */
enum pn_status dir_write_file(int at, const char *path, struct pn_bytes bytes, bool sync,
                              struct pn_err *err);

/* Appends a whole file to out; PN_E_TOO_BIG when out cannot hold it. */
enum pn_status dir_read_file(int at, const char *path, struct buffer *out, struct pn_err *err);

/* openat with O_CLOEXEC | O_NOFOLLOW and 0600; -1 and errno as openat. */
int dir_open(int at, const char *path, int flags);

/* pwrite of all, pread of all (a short file is PN_E_MISMATCH); path is for the error only. */
enum pn_status dir_pwrite(int fd, struct pn_bytes bytes, uint64_t offset, const char *path,
                          struct pn_err *err);
enum pn_status dir_pread(int fd, uint8_t *out, size_t len, uint64_t offset, const char *path,
                         struct pn_err *err);

#endif
