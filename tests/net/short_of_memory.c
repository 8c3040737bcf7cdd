/* The calloc of preon_short: at first, there is now and then no memory. Called on the loop's thread
 * only. */
#include <stdlib.h>

enum { TIMES = 5, TIMES_AT_FIRST = 40 };

void *calloc_or_not(size_t count, size_t bytes);

void *calloc_or_not(size_t count, size_t bytes)
{
    static unsigned times;
    times++;
    return times % TIMES == 0 && times <= TIMES_AT_FIRST ? NULL : calloc(count, bytes);
}
