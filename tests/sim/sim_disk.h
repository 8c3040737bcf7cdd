/*
 * sim_disk -- a master's ledger in the simulator: batches in order, durable some time later, lost
 * by a crash before.
 */
#ifndef PREON_TESTS_SIM_DISK_H
#define PREON_TESTS_SIM_DISK_H

#include "peer/master/record.h"

struct sim_batch {
    uint64_t seq; /* within the life of one core */
    struct record *records;
    size_t count;
};

struct sim_disk {
    struct sim_batch *batches; /* since the beginning; owned */
    size_t count, cap;
    size_t durable;   /* batches that a crash leaves */
    size_t syncing;   /* batches that the sync under way covers; 0: none is */
    uint64_t commits; /* syncs done, over all lives */
    bool failing;     /* the next sync fails */
    bool failed;      /* one has: nothing more until a restart */
};

/* All-zero is an empty disk. */
void sim_disk_fini(struct sim_disk *d);

/* Copies the records and all they point to. False: no memory. */
bool sim_disk_add(struct sim_disk *d, uint64_t seq, const struct record *records, size_t count);

/* Power goes: of what a sync under way covers, the first `torn` batches may have made it. */
void sim_disk_crash(struct sim_disk *d, size_t torn);

/* The records of a slice on the durable part (or, all: the whole). NULL: none. */
const struct record_final *sim_disk_final(const struct sim_disk *d, uint64_t slice, bool all);
const struct record_vote *sim_disk_vote(const struct sim_disk *d, uint64_t slice, uint64_t attempt,
                                        bool all);
bool sim_disk_voted(const struct sim_disk *d, uint64_t slice, const struct digest *worker,
                    const struct digest *outputs); /* for these; in the whole */
const struct record_output *sim_disk_output(const struct sim_disk *d, uint64_t slice,
                                            uint64_t attempt, bool all);

/*
 * Hands over what a restarted master must know, in the order of ledger_read_sys.h's ledger_load:
 * lies, finals, votes of slices that are not final, their outputs, the job's state.
 */
typedef enum pn_status sim_disk_on_record(void *arg, const struct record *r);
enum pn_status sim_disk_load(const struct sim_disk *d, bool all, sim_disk_on_record *on_record,
                             void *arg);

#endif
