/*
 * proc -- what is told to the kernel by writing a word to a file in /proc.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_PROC_H
#define PREON_PEER_SANDBOX_LAUNCHER_PROC_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* 0, or -1 with errno set. */
static inline int proc_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, text, strlen(text));
    int error = errno;
    (void)close(fd);
    errno = error;
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

#endif
