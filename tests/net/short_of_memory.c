/*
 * The memory of preon_short: at first there is now and then none. calloc_or_not is the calloc of
 * the master's judging, frame_write what writes every frame, also those between a peer's own worker
 * and master, whose link does not break. Called on the loop's thread only.
 */
#include <stdlib.h>

#include "common/frame.h"

enum { TIMES = 5, TIMES_AT_FIRST = 40, FRAMES = 13, FRAMES_AT_FIRST = 65 };

void *calloc_or_not(size_t count, size_t bytes);

void *calloc_or_not(size_t count, size_t bytes)
{
    static unsigned times;
    times++;
    return times % TIMES == 0 && times <= TIMES_AT_FIRST ? NULL : calloc(count, bytes);
}

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*): the linker makes these names. */
enum pn_status __real_frame_write(const struct frame *f, struct buffer *out);
enum pn_status __wrap_frame_write(const struct frame *f, struct buffer *out);

enum pn_status __wrap_frame_write(const struct frame *f, struct buffer *out)
{
    static unsigned times;
    times++;
    return times % FRAMES == 0 && times <= FRAMES_AT_FIRST ? PN_E_NO_MEMORY
                                                           : __real_frame_write(f, out);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-*) */
