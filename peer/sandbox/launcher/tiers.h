/*
 * tiers -- finds out, by building a sandbox, how well this machine can contain a program.
 */
#ifndef PREON_PEER_SANDBOX_LAUNCHER_TIERS_H
#define PREON_PEER_SANDBOX_LAUNCHER_TIERS_H

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/report.h"

/* What the probe slice (this program again) prints, and its exit code: a sandbox that is broken
 * "contains" everything, so the proof is something that can only come out of one that works. */
#define TIERS_PROBE_WORD "--probe"
enum { TIERS_PROBE_EXIT = 42 };

/*
 * Leaves the launcher in the namespaces of the best tier, at most `most`, that works: fills in
 * ways and ready->ready.
 */
void tiers_choose(enum sandbox_tier most, struct box_ways *ways, struct report *ready);

/* The probe slice's main. */
int tiers_probe_main(void);

#endif
