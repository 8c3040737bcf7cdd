#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool can_read(const char *path)
{
    char byte = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool got = fd >= 0 && read(fd, &byte, 1) == 1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return got;
}

static bool read_host_passwd(void) { return can_read("/etc/passwd"); }

static bool read_by_dotdot(void)
{
    return can_read("../../../../../../../../../../../../etc/passwd");
}

/* A file of the volunteer's that anybody on the machine may read. */
static bool read_secret(void) { return can_read(attack_setting("ESCAPE_SECRET")); }

static bool list_home(void)
{
    DIR *dir = opendir("/home");
    if (dir == NULL) {
        return false;
    }
    (void)closedir(dir);
    return true;
}

static bool read_sys(void)
{
    DIR *dir = opendir("/sys/kernel");
    if (dir == NULL) {
        return false;
    }
    (void)closedir(dir);
    return true;
}

static bool read_proc(void) { return can_read("/proc/self/mounts"); }

static bool read_proc_of_another(void)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%s/status", attack_setting("ESCAPE_PID"));
    return can_read(path);
}

/* The job's own file as the store has it: other peers get their copies from there. */
static bool write_job_file(void)
{
    const char *path = attack_setting("ESCAPE_VICTIM");
    (void)chmod(path, 0666);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    return fd >= 0 && write(fd, "x", 1) == 1;
}

static bool replace_job_file(void)
{
    const char *path = attack_setting("ESCAPE_VICTIM");
    return unlink(path) == 0 && symlink("/etc/passwd", path) == 0;
}

/* In its own /tmp it may; what counts is whether the volunteer's folder has it. */
static bool write_host_tmp(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/planted", attack_setting("ESCAPE_FOLDER"));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd >= 0;
}

static bool set_user_id_bit(void)
{
    int fd = open("tool", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    struct stat st;
    return fd >= 0 && fchmod(fd, 04755) == 0 && fstat(fd, &st) == 0 && (st.st_mode & S_ISUID) != 0;
}

static bool set_user_id_at_creation(void)
{
    int fd = open("tool2", O_WRONLY | O_CREAT | O_CLOEXEC, 04755);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_ISUID) != 0;
}

/* A file without a name, that gets one later. */
static bool set_user_id_without_a_name(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 04755);
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_ISUID) != 0;
}

/* A terminal of its own: the way to push characters into somebody's. */
static bool open_terminal(void) { return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0; }

/* The runner leaves one open on purpose, and not close-on-exec. */
static bool find_descriptors(void)
{
    for (int fd = 3; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            return true;
        }
    }
    return false;
}

static bool read_standard_input(void)
{
    char byte = 0;
    return read(0, &byte, 1) == 1;
}

static bool find_environment(void) { return getenv("ESCAPE_DAEMON_ONLY") != NULL; }

/* What an earlier slice left: the runner runs this twice. */
static bool find_leftovers(void)
{
    static const char *const names[] = {"/tmp/preon-escape-left", "left", "/dev/shm/preon-left"};
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        found = found || access(names[i], F_OK) == 0;
        int fd = open(names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    if (found) {
        (void)unlink(names[0]);
        (void)unlink(names[2]);
    }
    return found;
}

/* ---- outputs: the trick works if the collector takes out.txt ---- */

static bool output_is_link(void) { return symlink("/etc/passwd", "out.txt") == 0; }

static bool output_is_fifo(void) { return mkfifo("out.txt", 0644) == 0; }

static bool output_is_folder(void) { return mkdir("out.txt", 0755) == 0; }

static bool make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    bool made = fd >= 0 && write(fd, "x", 1) == 1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return made;
}

static bool output_has_two_names(void)
{
    return make_file("other") && link("other", "out.txt") == 0;
}

static bool output_is_hollow(void)
{
    int fd = open("out.txt", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    return fd >= 0 && ftruncate(fd, 60 << 20) == 0;
}

static bool output_is_unreadable(void) { return make_file("out.txt") && chmod("out.txt", 0) == 0; }

static bool output_through_folder_link(void)
{
    (void)rmdir("sub"); /* the sandbox makes it for the output */
    return symlink("/etc", "sub") == 0;
}

/* ---- disk ---- */

static bool fill(const char *folder, size_t mebibytes)
{
    static char block[1 << 20];
    char path[512];
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < mebibytes; i++) {
        (void)snprintf(path, sizeof path, "%s/fill-%zu", folder, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        ssize_t n = fd >= 0 ? write(fd, block, sizeof block) : -1;
        if (fd >= 0) {
            (void)close(fd);
        }
        if (n != (ssize_t)sizeof block) {
            return false;
        }
    }
    return true;
}

static bool fill_disk(void) { return fill(".", 100); }

static bool fill_tmp(void)
{
    const char *outside = attack_setting("ESCAPE_FOLDER");
    return fill(access(outside, W_OK) == 0 ? outside : "/tmp", 100);
}

static bool fill_inodes(void)
{
    char path[32];
    for (int i = 0; i < 40000; i++) {
        (void)snprintf(path, sizeof path, "n%d", i);
        if (mknod(path, S_IFREG | 0644, 0) != 0 && !make_file(path)) {
            return false;
        }
    }
    return true;
}

static bool write_one_large_file(void)
{
    static char block[1 << 20];
    int fd = open("large", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    for (int i = 0; i < 100; i++) {
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block) {
            return false;
        }
    }
    return true;
}

static bool open_many_files(void)
{
    for (int i = 0; i < 3000; i++) {
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) {
            return false;
        }
    }
    return true;
}

const struct attack attacks_on_files[] = {
    {"read-host-passwd", read_host_passwd},
    {"read-by-dotdot", read_by_dotdot},
    {"read-secret", read_secret},
    {"list-home", list_home},
    {"read-sys", read_sys},
    {"read-proc", read_proc},
    {"read-proc-of-another", read_proc_of_another},
    {"write-job-file", write_job_file},
    {"replace-job-file", replace_job_file},
    {"write-host-tmp", write_host_tmp},
    {"set-user-id-bit", set_user_id_bit},
    {"set-user-id-at-creation", set_user_id_at_creation},
    {"set-user-id-without-a-name", set_user_id_without_a_name},
    {"open-terminal", open_terminal},
    {"find-descriptors", find_descriptors},
    {"read-standard-input", read_standard_input},
    {"find-environment", find_environment},
    {"find-leftovers", find_leftovers},
    {"output-is-link", output_is_link},
    {"output-is-fifo", output_is_fifo},
    {"output-is-folder", output_is_folder},
    {"output-has-two-names", output_has_two_names},
    {"output-is-hollow", output_is_hollow},
    {"output-is-unreadable", output_is_unreadable},
    {"output-through-folder-link", output_through_folder_link},
    {"fill-disk", fill_disk},
    {"fill-tmp", fill_tmp},
    {"fill-inodes", fill_inodes},
    {"write-one-large-file", write_one_large_file},
    {"open-many-files", open_many_files},
    {NULL, NULL},
};
