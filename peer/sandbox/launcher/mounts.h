/*
 * mounts -- the few ways in which a sandbox's mounts are made. All return -1 with errno on failure.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_MOUNTS_H
#define PREON_PEER_SANDBOX_LAUNCHER_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

enum mounts_kind {
    MOUNTS_READ_ONLY, /* no set-id programs, no devices */
    MOUNTS_DEVICE,    /* one device node: nothing else can be done with it */
};

/*
 * A detached copy of what stands at a path, or at descriptor `at` when path is "" (which must be of
 * the caller's own mount namespace). deep: with everything mounted below, all of it restricted.
 */
int mounts_clone(int at, const char *path, bool deep, enum mounts_kind kind);

/* A detached tmpfs; inodes 0: as many as fit. mode: octal text. */
int mounts_tmpfs(uint64_t bytes, uint64_t inodes, const char *mode);

/* Puts a detached mount at a place. The first closes tree, in any case. */
int mounts_attach(int tree, int at, const char *path);
int mounts_attach_keep(int tree, int at, const char *path);

/* Makes one mount read-only; what is mounted below it stays as it is. */
int mounts_seal(int mount);

#endif
