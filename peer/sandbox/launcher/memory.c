#include "peer/sandbox/launcher/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TREE_MAX = 8192, FILE_BYTES = 64 * 1024 };

/* /proc files are whole after one read when the buffer is large enough. */
static char text[FILE_BYTES];

static const char *read_proc(pid_t pid, const char *file)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
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

static uint64_t resident(pid_t pid)
{
    const char *line = read_proc(pid, "statm"); /* size resident … in pages */
    const char *second = line != NULL ? strchr(line, ' ') : NULL;
    return second != NULL ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t proportional(pid_t pid)
{
    const char *rollup = read_proc(pid, "smaps_rollup");
    const char *pss = rollup != NULL ? strstr(rollup, "\nPss:") : NULL;
    return pss != NULL ? strtoull(pss + 5, NULL, 10) * 1024 : resident(pid);
}

uint64_t memory_of_tree(pid_t pid, uint64_t enough)
{
    static pid_t
        tree[TREE_MAX]; /* breadth first; processes that move meanwhile are seen next time */
    size_t count = 0;
    uint64_t sum = 0;
    tree[count++] = pid;
    for (size_t i = 0; i < count; i++) {
        char file[48];
        (void)snprintf(file, sizeof file, "task/%d/children", (int)tree[i]);
        const char *at = read_proc(tree[i], file);
        while (at != NULL && *at != '\0' && count < TREE_MAX) {
            char *end = NULL;
            long child = strtol(at, &end, 10);
            if (end == at) {
                break;
            }
            tree[count++] = (pid_t)child;
            at = *end == ' ' ? end + 1 : end;
        }
        sum += i > 0 ? resident(tree[i]) : 0; /* init's few pages are ours */
    }
    if (sum <= enough) {
        return sum;
    }
    sum = 0;
    for (size_t i = 1; i < count; i++) {
        sum += proportional(tree[i]);
    }
    return sum;
}
