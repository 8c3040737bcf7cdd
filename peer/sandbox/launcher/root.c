/* root -- what a slice sees: a read-only tmpfs with its files, five devices, and perhaps /usr. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/launcher/kernel.h"
#include "peer/sandbox/launcher/mounts.h"

/* /proc is the place to build at: it exists wherever the user map could be written. */
static const char build_at[] = "/proc";

static int make_folder(int at, const char *name)
{
    return mkdirat(at, name, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* An empty file for a mount to cover. */
static int make_file(int at, const char *name)
{
    return mknodat(at, name, S_IFREG | 0444, 0) == 0 || errno == EEXIST ? 0 : -1;
}

/* The folders of "a/b/c": a and a/b. */
static int make_parents(int at, const char *name)
{
    char part[ORDER_NAME_MAX + 1];
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - name);
        memcpy(part, name, len);
        part[len] = '\0';
        if (make_folder(at, part) != 0) {
            return -1;
        }
    }
    return 0;
}

/*
 * Read, /dev/full is /dev/zero; but it cannot be mapped, which would be shared memory that nobody
 * counts (policy.c, mmap).
 */
static int add_devices(int root)
{
    static const char *const names[] = {"dev/null", "dev/zero", "dev/full", "dev/random",
                                        "dev/urandom"};
    static const char *const from[] = {"/dev/null", "/dev/full", "/dev/full", "/dev/random",
                                       "/dev/urandom"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        /* Read-only is about the node; what it leads to can still be written. */
        int tree = mounts_clone(AT_FDCWD, from[i], false, MOUNTS_DEVICE);
        if (tree < 0 || make_file(root, names[i]) != 0 ||
            mounts_attach(tree, root, names[i]) != 0) {
            return -1;
        }
    }
    return symlinkat("/tmp", root, "dev/shm");
}

/*
 * /usr, and the names in / that lead into it: links on a merged system, else folders. Of /etc only
 * alternatives, the links behind names like /usr/bin/awk.
 */
static int add_system(int root)
{
    static const char *const names[] = {"usr",   "bin",   "sbin",   "lib",
                                        "lib32", "lib64", "libx32", "etc/alternatives"};
    if (make_folder(root, "etc") != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[32];
        char target[128];
        (void)snprintf(path, sizeof path, "/%s", names[i]);
        ssize_t len = readlinkat(AT_FDCWD, path, target, sizeof target - 1);
        if (len > 0) {
            target[len] = '\0';
            if (symlinkat(target, root, names[i]) != 0) {
                return -1;
            }
            continue;
        }
        int tree = mounts_clone(AT_FDCWD, path, true, MOUNTS_READ_ONLY);
        if (tree < 0 && errno == ENOENT && i > 0) {
            continue;
        }
        if (tree < 0 || make_folder(root, names[i]) != 0 ||
            mounts_attach(tree, root, names[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static bool is_output(const struct order *o, const char *name)
{
    for (uint32_t i = 0; i < o->output_count; i++) {
        if (strcmp(o->outputs[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The job's files, below /job. */
static int add_files(int root, const struct box_plan *plan)
{
    int job = openat(root, "job", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (job < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < plan->order->file_count; i++) {
        const struct order_file *f = &plan->order->files[i];
        if (f->name[0] == '\0') {
            if (mounts_attach(plan->file_fds[i], root, "job") != 0) {
                return -1;
            }
            (void)close(job);
            job = openat(root, "job", O_PATH | O_DIRECTORY | O_CLOEXEC);
            continue;
        }
        if (make_parents(job, f->name) != 0 ||
            (f->folder ? make_folder(job, f->name) : make_file(job, f->name)) != 0 ||
            mounts_attach(plan->file_fds[i], job, f->name) != 0) {
            return -1;
        }
    }
    (void)close(job);
    return 0;
}

/* Where a program reads "data.txt" it finds the job's; where it writes one, that is its own. */
static int add_link(int work, const struct order *o, const char *name)
{
    char target[sizeof "/job/" + ORDER_NAME_MAX];
    if (is_output(o, name)) {
        return 0; /* both a file and an output: the name is free for the output */
    }
    (void)snprintf(target, sizeof target, "/job/%s", name);
    if (make_parents(work, name) != 0) {
        return -1;
    }
    return symlinkat(target, work, name) == 0 || errno == EEXIST ? 0 : -1;
}

static bool is_folder(int at, const char *name)
{
    struct stat st;
    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/*
 * Links to what is in /job/BELOW ("" for /job itself), a folder as one link; but a folder that is
 * here already holds outputs, and gets links to what is in the job's. Names fit: the manifest's do.
 */
static int add_links_of_folder(int root, int work, const struct order *o, const char *below)
{
    char path[sizeof "job/" + ORDER_NAME_MAX];
    char name[ORDER_NAME_MAX + 1];
    (void)snprintf(path, sizeof path, "job%s%s", below[0] != '\0' ? "/" : "", below);
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return -1;
    }
    int result = 0;
    for (struct dirent *e = readdir(dir); e != NULL && result == 0; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (snprintf(name, sizeof name, "%s%s%s", below, below[0] != '\0' ? "/" : "", e->d_name) >=
            (int)sizeof name) {
            result = -1;
        } else if (is_folder(work, name) && is_folder(dirfd(dir), e->d_name)) {
            result = add_links_of_folder(root, work, o, name);
        } else {
            result = add_link(work, o, name);
        }
    }
    (void)closedir(dir);
    return result;
}

static int add_work(int root, const struct box_plan *plan)
{
    const struct order *o = plan->order;
    if (mounts_attach(plan->work_fd, root, "work") != 0) {
        return -1;
    }
    int work = openat(root, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (work < 0) {
        return -1;
    }
    for (uint32_t i = 0; i < o->output_count; i++) {
        if (make_parents(work, o->outputs[i]) != 0) {
            return -1;
        }
    }
    for (uint32_t i = 0; i < o->file_count; i++) {
        int rc = o->files[i].name[0] == '\0' ? add_links_of_folder(root, work, o, "")
                                             : add_link(work, o, o->files[i].name);
        if (rc != 0) {
            return -1;
        }
    }
    (void)close(work);
    return 0;
}

static int add_tmp(int root, const struct order_limits *l)
{
    int tmp = mounts_tmpfs(l->tmp_bytes, l->inode_count, "1777");
    return tmp < 0 ? -1 : mounts_attach(tmp, root, "tmp");
}

/* The old root and everything below it goes away: from here on nothing of it has a name. */
static int enter(int root)
{
    if (fchdir(root) != 0 || kernel_pivot_root(".", ".") != 0 || umount2(".", MNT_DETACH) != 0) {
        return -1;
    }
    return 0;
}

int root_build(const struct box_plan *plan, const char **what)
{
    enum { ROOT_BYTES = 4 << 20 }; /* folders, links, and empty files to mount over */
    *what = "mounts made private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return -1;
    }
    *what = "root";
    int root = mounts_tmpfs(ROOT_BYTES, 0, "0755");
    if (root < 0 || mounts_attach_keep(root, AT_FDCWD, build_at) != 0) {
        return -1;
    }
    static const char *const folders[] = {"dev", "job", "work", "tmp"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        if (make_folder(root, folders[i]) != 0) {
            return -1;
        }
    }
    *what = "devices";
    if (add_devices(root) != 0) {
        return -1;
    }
    *what = "/usr";
    if (plan->order->system && add_system(root) != 0) {
        return -1;
    }
    *what = "job files";
    if (add_files(root, plan) != 0) {
        return -1;
    }
    *what = "work folder";
    if (add_work(root, plan) != 0) {
        return -1;
    }
    *what = "/tmp";
    if (add_tmp(root, &plan->order->limits) != 0) {
        return -1;
    }
    *what = "entering the root";
    if (enter(root) != 0 || mounts_seal(root) != 0 || chdir("/work") != 0) {
        return -1;
    }
    (void)close(root);
    return 0;
}
