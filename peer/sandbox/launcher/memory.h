/*
 * memory -- what all processes of one sandbox hold together.
 *
 * RLIMIT_AS bounds each process; only a sum bounds sixty-four of them. Without a cgroup of our own
 * nobody but us adds up, so this is a watchdog and not a wall: between two looks (run.c, WATCH_US)
 * a slice can be over its amount.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_MEMORY_H
#define PREON_PEER_SANDBOX_LAUNCHER_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Bytes held by pid and its descendants. Resident pages are summed first; only when that is over
 * `enough` are shared pages divided among their sharers, which costs a walk over the page tables.
 * 0 when the kernel does not show children (CONFIG_PROC_CHILDREN).
 */
uint64_t memory_of_tree(pid_t pid, uint64_t enough);

#endif
