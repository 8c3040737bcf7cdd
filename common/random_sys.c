#include "common/random_sys.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_fill(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort(); /* no kernel that we run on does this */
        }
        at += n;
        len -= (size_t)n;
    }
}

uint64_t random_fresh_seed(void)
{
    uint64_t seed;
    random_fill(&seed, sizeof seed);
    return seed;
}
