/*
 * tracker_memory -- bytes for a million entries in a registry, and the CPU time of one request, in
 * sets of different sizes. Seeds are fixed: the same run every time but for the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/random.h"
#include "tracker/registry.h"

enum { ENTRIES = 1000000, QUERIES = 200000 };

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Of 2^16 networks for a million (most have a dozen hosts), or nearly each of its own. */
static struct addr random_addr(struct random *random, bool six, bool scattered)
{
    uint8_t ip[16] = {0x24};
    uint64_t bits = random_u64(random) & (scattered ? UINT64_MAX : 0xffffffffff03ffffu);
    memcpy(ip + 1, &bits, sizeof bits);
    if (six) {
        return addr_v6(ip, 0);
    }
    return addr_v4((uint8_t)(11 + bits % 80), ip[2], ip[3], ip[4], 0);
}

static struct trackline_job job_of(uint32_t number)
{
    struct trackline_job job = {.kind = TRACKLINE_JOB};
    memcpy(job.id.b, &number, sizeof number);
    return job;
}

static struct registry_actions actions;

static void line(struct registry *r, uint32_t conn, const struct trackline *said)
{
    registry_step(
        r,
        &(struct registry_event){
            .kind = REGISTRY_LINE, .conn = conn, .manner = TRACKLINE_REQUEST, .line = said},
        &actions);
}

static uint32_t connect_from(struct registry *r, const struct addr *addr)
{
    registry_step(r, &(struct registry_event){.kind = REGISTRY_CONNECT, .addr = *addr}, &actions);
    return actions.conn;
}

/* Every entry from an address of its own: a connection, INFORM, gone again. */
static void fill(struct registry *r, struct random *random, uint32_t jobs, bool six, bool scattered)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct addr addr = random_addr(random, six, scattered);
        uint32_t conn = connect_from(r, &addr);
        if (conn == POOL_NONE) {
            continue;
        }
        const struct trackline said = {
            .kind = TRACKLINE_INFORM, .port = 4000, .ttl_s = 1800, .job = job_of(i % jobs)};
        line(r, conn, &said);
        registry_step(r, &(struct registry_event){.kind = REGISTRY_DISCONNECT, .conn = conn},
                      &actions);
    }
}

static void measure(const char *name, uint32_t jobs, bool six, bool scattered)
{
    struct registry_config config = registry_config_default();
    struct random random;
    random_seed(&random, jobs);
    config.list_unverified = true;
    config.limits.net_max[HOSTS_CONNECTION] = UINT32_MAX;
    struct registry *r = registry_new(&config, 0);
    if (r == NULL) {
        exit(1);
    }
    double start = now_s();
    fill(r, &random, jobs, six, scattered);
    double filled = now_s();
    struct registry_stats stats = registry_stats(r);
    struct addr addr = random_addr(&random, six, scattered);
    uint32_t conn = connect_from(r, &addr);
    size_t listed = 0;
    double asked = now_s();
    for (uint32_t i = 0; i < QUERIES; i++) {
        const struct trackline said = {.kind = TRACKLINE_QUERY,
                                       .count = 50,
                                       .job = job_of((uint32_t)random_below(&random, jobs))};
        line(r, conn, &said);
        listed += actions.says.count - 1;
    }
    double answered = now_s();
    printf("%-32s %7u entries  %6.1f bytes each  inform %5.0f ns  query %6.0f ns (%zu listed)\n",
           name, stats.entries, (double)stats.bytes / stats.entries,
           (filled - start) / ENTRIES * 1e9, (answered - asked) / QUERIES * 1e9, listed / QUERIES);
    registry_free(r);
}

int main(void)
{
    measure("10 jobs", 10, false, false);
    measure("10 jobs, a /24 each", 10, false, true);
    measure("10 jobs, IPv6, a /48 each", 10, true, true);
    measure("1,000 jobs", 1000, false, false);
    measure("100,000 jobs", 100000, false, false);
    return 0;
}
