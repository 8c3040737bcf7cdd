/*
 * memory -- what all processes of one sandbox hold together.
 *
 * RLIMIT_AS bounds each process; only a sum bounds sixty-four of them. Without a cgroup of our own
 * nobody but us adds up, so this is a watchdog and not a wall: between two looks (run.c, WATCH_US)
 * a slice can be over its amount. Memory that is in no process is in files, which have a size of
 * their own, as nothing else can be shared (policy.c, mmap).
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_MEMORY_H
#define PREON_PEER_SANDBOX_LAUNCHER_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

enum { MEMORY_LOOK_US = 200 * 1000 }; /* as long as the launcher may be deaf to orders */

/*
 * Bytes held by the descendants of pid, resident or swapped out. Only when their sum is over
 * `enough` are shared pages divided among their sharers, process by process until it is not: a walk
 * over page tables, ended after MEMORY_LOOK_US. What is shared by so many is counted as often then.
 * 0 when the kernel does not show children (CONFIG_PROC_CHILDREN).
 */
uint64_t memory_of_tree(pid_t pid, uint64_t enough);

/* How often this machine's kernel has killed somebody because memory was short; 0: not known. */
uint64_t memory_oom_kills(void);

#endif
