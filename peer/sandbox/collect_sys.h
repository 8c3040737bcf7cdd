/*
 * collect_sys -- takes the outputs out of a work folder that a stranger's program has filled.
 *
 * Blocking calls for a thread of the caller's pool; they touch nothing but their arguments. The
 * folder is the descriptor that sandbox_on_end hands over: nobody runs in it any more, so what is
 * checked stays as it was checked. Every name is opened beneath it without following a link or
 * crossing a mount, and only what the manifest lists is looked at.
 */
#ifndef PREON_PEER_SANDBOX_COLLECT_SYS_H
#define PREON_PEER_SANDBOX_COLLECT_SYS_H

#include "common/outcome.h"
#include "common/status.h"

struct collect_output {
    const char *name; /* the caller's: relative, as manifest.h allows */
    int fd;           /* open for reading, at offset 0; the caller closes it */
    uint64_t size;
};

/*
 * Opens each of outputs[0..count): `name` is given, `fd` and `size` are filled in.
 *
 * Refused are: a missing name, anything but a regular file with one name and readable by its
 * owner, a sum of sizes over bytes_max, and files with large holes (size far beyond what is
 * allocated: reading them costs us what they never cost the job). Then PN_E_MISMATCH or
 * PN_E_TOO_BIG is returned, *outcome is OUTCOME_OUTPUT with its code, err names the file, and no
 * descriptor stays open. PN_E_SYSTEM is this machine's fault.
 */
enum pn_status collect_outputs(int folder_fd, struct collect_output *outputs, uint32_t count,
                               uint64_t bytes_max, struct outcome *outcome, struct pn_err *err);

/* Closes what collect_outputs has opened. */
void collect_close(struct collect_output *outputs, uint32_t count);

/*
 * Empties the folder (without recursion: a stranger may have made it 100,000 deep), removes it and
 * closes the descriptor. -1 is fine.
 */
void collect_discard(int folder_fd);

#endif
