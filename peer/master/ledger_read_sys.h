/*
 * ledger_read_sys -- reading the ledger while its thread writes: after a restart, for the control
 * API, for results.
 *
 * A reader is a connection of its own and sees what has been committed. Its functions may be called
 * from any thread (they take turns) and touch the disk: keep them off the loop.
 */
#ifndef PREON_PEER_MASTER_LEDGER_READ_SYS_H
#define PREON_PEER_MASTER_LEDGER_READ_SYS_H

#include "common/buffer.h"
#include "peer/master/ledger_sys.h"

struct ledger_reader;

/* After ledger_open has made sure of the file. *out is freed by ledger_reader_close. */
enum pn_status ledger_reader_open(const char *path, struct ledger_reader **out, struct pn_err *err);
void ledger_reader_close(struct ledger_reader *r); /* NULL is fine */

/* Everything of a job but its slices. Borrowed for the call. */
struct ledger_job_row {
    struct ledger_job job;
    struct record_job_state state;
};

/* Callbacks return PN_OK to go on; anything else ends the reading and is its result. */
typedef enum pn_status ledger_on_job(void *arg, const struct ledger_job_row *row);
typedef enum pn_status ledger_on_record(void *arg, const struct record *r);

/* All jobs, in the order in which they were added. */
enum pn_status ledger_list_jobs(struct ledger_reader *r, ledger_on_job *on_job, void *arg,
                                struct pn_err *err);

/* One job; PN_E_NOT_FOUND. */
enum pn_status ledger_read_job(struct ledger_reader *r, const struct digest *job,
                               const struct run *run, ledger_on_job *on_job, void *arg,
                               struct pn_err *err);

/*
 * What a master's core must know after a restart, from one moment of the file, in this order:
 *   lies; finals, ascending; votes of slices that are not final (without their tails), by slice and
 *   attempt; outputs of those slices (inline ones with their bytes), likewise; the job's state.
 * A record and what it points to are borrowed for the callback.
 */
enum pn_status ledger_load(struct ledger_reader *r, const struct digest *job, const struct run *run,
                           ledger_on_record *on_record, void *arg, struct pn_err *err);

/*
 * One slice for people: its final if there is one, all its votes with their tails, its outputs
 * without their bytes. PN_E_NOT_FOUND when nothing has been recorded for it.
 */
enum pn_status ledger_read_slice(struct ledger_reader *r, const struct digest *job,
                                 const struct run *run, uint64_t slice, ledger_on_record *on_record,
                                 void *arg, struct pn_err *err);

/*
 * Output `index` of a final slice. out->bytes is what was appended to `bytes` (PN_E_FULL when that
 * is too small), or empty with out->in_file: then the store has it under (slice, attempt, index).
 * PN_E_NOT_FOUND when the slice is not final or left no such output.
 */
enum pn_status ledger_read_output(struct ledger_reader *r, const struct digest *job,
                                  const struct run *run, uint64_t slice, uint32_t index,
                                  struct record_output *out, struct buffer *bytes,
                                  struct pn_err *err);

/* A slice that somebody has voted on, or that is final. */
struct ledger_slice {
    uint64_t slice;
    uint32_t vote_count;
    bool is_final;
    struct record_final final; /* when is_final */
};
typedef enum pn_status ledger_on_slice(void *arg, const struct ledger_slice *s);

/* Touched slices from `first` on, ascending, at most slices_max. */
enum pn_status ledger_list_slices(struct ledger_reader *r, const struct digest *job,
                                  const struct run *run, uint64_t first, uint32_t slices_max,
                                  ledger_on_slice *on_slice, void *arg, struct pn_err *err);

/* How many slices are final, and how many of these did not exit with 0. Looks at every final. */
struct ledger_counts {
    uint64_t final_count;
    uint64_t failed_count;
};
enum pn_status ledger_count(struct ledger_reader *r, const struct digest *job,
                            const struct run *run, struct ledger_counts *out, struct pn_err *err);

#endif
