#include "common/clock_sys.h"

#include <time.h>

static uint64_t read_us(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_now_us(void) { return read_us(CLOCK_BOOTTIME); }

uint64_t clock_now_ms(void) { return clock_now_us() / 1000; }

uint64_t clock_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }
