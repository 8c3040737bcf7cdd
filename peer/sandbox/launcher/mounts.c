#include "peer/sandbox/launcher/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static int close_failed(int fd)
{
    int error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = error;
    return -1;
}

int mounts_clone(int at, const char *path, bool deep, enum mounts_kind kind)
{
    unsigned flags = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | (deep ? AT_RECURSIVE : 0);
    int tree = open_tree(at, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) {
        return -1;
    }
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID};
    attr.attr_set |= kind == MOUNTS_DEVICE ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV;
    /* A plain remount would not reach the mounts below. */
    if (mount_setattr(tree, "", AT_EMPTY_PATH | (deep ? AT_RECURSIVE : 0), &attr, sizeof attr) !=
        0) {
        return close_failed(tree);
    }
    return tree;
}

int mounts_tmpfs(uint64_t bytes, uint64_t inodes, const char *mode)
{
    char text[32];
    int mount = -1;
    int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (fs < 0) {
        return -1;
    }
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
    if (fsconfig(fs, FSCONFIG_SET_STRING, "size", text, 0) != 0 ||
        fsconfig(fs, FSCONFIG_SET_STRING, "mode", mode, 0) != 0) {
        goto out;
    }
    if (inodes > 0) {
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)inodes);
        if (fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", text, 0) != 0) {
            goto out;
        }
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    }
out:
    (void)close_failed(fs);
    return mount;
}

int mounts_attach_keep(int tree, int at, const char *path)
{
    return move_mount(tree, "", at, path, MOVE_MOUNT_F_EMPTY_PATH);
}

int mounts_attach(int tree, int at, const char *path)
{
    int rc = mounts_attach_keep(tree, at, path);
    (void)close_failed(tree);
    return rc;
}

int mounts_seal(int mount)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    return mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof attr);
}
