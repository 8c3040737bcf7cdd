/* The slice that bench/sandbox_uv runs: writes when it began, in microseconds, and is done. */
#include <stdio.h>
#include <time.h>

int main(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    printf("%lld\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
    return 0;
}
