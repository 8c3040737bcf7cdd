/*
 * The ledger of preon_tight: its queue is full, or half full, for as long as a file of the name in
 * PREON_LEDGER_FULL, or PREON_LEDGER_PRESSED, exists.
 */
#include <stdlib.h>
#include <unistd.h>

#include "peer/master/ledger_sys.h"

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
enum pn_status __real_ledger_commit(struct ledger *l, const struct digest *job,
                                    const struct run *run, uint64_t seq,
                                    const struct record *records, uint32_t count);
enum pn_status __wrap_ledger_commit(struct ledger *l, const struct digest *job,
                                    const struct run *run, uint64_t seq,
                                    const struct record *records, uint32_t count);
bool __real_ledger_pressed(struct ledger *l);
bool __wrap_ledger_pressed(struct ledger *l);

static bool there(const char *variable)
{
    const char *path = getenv(variable);
    return path != NULL && access(path, F_OK) == 0;
}

enum pn_status __wrap_ledger_commit(struct ledger *l, const struct digest *job,
                                    const struct run *run, uint64_t seq,
                                    const struct record *records, uint32_t count)
{
    return there("PREON_LEDGER_FULL") ? PN_E_FULL
                                      : __real_ledger_commit(l, job, run, seq, records, count);
}

bool __wrap_ledger_pressed(struct ledger *l)
{
    return there("PREON_LEDGER_PRESSED") || __real_ledger_pressed(l);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
