#include "peer/sandbox/launcher/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer/sandbox/launcher/run.h"

enum {
    TREE_MAX = 8192,
    FILE_BYTES = 64 * 1024,
};

/* /proc files are whole after one read when the buffer is large enough. */
static char text[FILE_BYTES];

/* Breadth first; processes that move meanwhile are seen next time. */
static struct {
    pid_t pids[TREE_MAX];
    size_t count;
} tree;

static const char *read_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n < 0) {
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* The number after "\nNAME:" in what was read; 0 when it is not there. */
static uint64_t number_of(const char *in, const char *name)
{
    const char *at = in != NULL ? strstr(in, name) : NULL;
    return at != NULL ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static const char *read_proc(pid_t pid, const char *file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    return read_path(path);
}

static void add_children(pid_t pid, long thread)
{
    char file[48];
    (void)snprintf(file, sizeof file, "task/%ld/children", thread);
    const char *at = read_proc(pid, file);
    while (at != NULL && *at != '\0' && tree.count < TREE_MAX) {
        char *end = NULL;
        long child = strtol(at, &end, 10);
        if (end == at) {
            break;
        }
        tree.pids[tree.count++] = (pid_t)child;
        at = *end == ' ' ? end + 1 : end;
    }
}

/* Each thread has a list of what it has forked itself. */
static void add_children_of_threads(pid_t pid)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *dir = opendir(path);
    struct dirent *e = NULL;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        long thread = strtol(e->d_name, NULL, 10);
        if (thread > 0) {
            add_children(pid, thread);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static uint64_t proportional(pid_t pid, uint64_t otherwise)
{
    const char *rollup = read_proc(pid, "smaps_rollup");
    return rollup != NULL ? (number_of(rollup, "\nPss:") + number_of(rollup, "\nSwapPss:")) * 1024
                          : otherwise;
}

uint64_t memory_of_tree(pid_t pid, uint64_t enough)
{
    static uint64_t held[TREE_MAX]; /* resident or swapped out */
    uint64_t sum = 0;
    tree.count = 0;
    tree.pids[tree.count++] = pid;
    for (size_t i = 0; i < tree.count; i++) {
        const char *status = read_proc(tree.pids[i], "status");
        held[i] = (number_of(status, "\nVmRSS:") + number_of(status, "\nVmSwap:")) * 1024;
        sum += i > 0 ? held[i] : 0; /* init's few pages are ours */
        if (number_of(status, "\nThreads:") > 1) {
            add_children_of_threads(tree.pids[i]);
        } else {
            add_children(tree.pids[i], tree.pids[i]);
        }
    }
    if (sum <= enough) {
        return sum;
    }
    const uint64_t until_us = run_now_us() + MEMORY_LOOK_US;
    for (size_t i = 1; i < tree.count && sum > enough && run_now_us() < until_us; i++) {
        uint64_t share = proportional(tree.pids[i], held[i]);
        sum -= share < held[i] ? held[i] - share : 0;
    }
    return sum;
}

uint64_t memory_oom_kills(void) { return number_of(read_path("/proc/vmstat"), "\noom_kill "); }
