#include "tracker/shuns.h"

#include <stddef.h>

/* Its place, SHUNS_COUNT when it is not there. */
static size_t find(const struct shuns *s, uint32_t job_hash)
{
    size_t i = 0;
    while (i < SHUNS_COUNT && (s->shun[i].job_hash != job_hash || s->shun[i].for_ms == 0)) {
        i++;
    }
    return i;
}

static void shun(struct shuns *s, uint32_t job_hash, uint32_t for_ms, uint64_t now_ms)
{
    size_t place = find(s, job_hash);
    if (place == SHUNS_COUNT) {
        place = s->next;
        s->next = (uint8_t)((s->next + 1) % SHUNS_COUNT);
    }
    s->shun[place] = (struct shun){job_hash, for_ms, now_ms + for_ms};
}

void shuns_offered(struct shuns *s, uint32_t job_hash, uint64_t now_ms)
{
    size_t place = find(s, job_hash);
    uint32_t for_ms = place < SHUNS_COUNT ? s->shun[place].for_ms * 2 : SHUNS_SAME_JOB_MIN_MS;
    shun(s, job_hash, for_ms < SHUNS_SAME_JOB_MAX_MS ? for_ms : SHUNS_SAME_JOB_MAX_MS, now_ms);
}

void shuns_passed(struct shuns *s, uint32_t job_hash, uint64_t now_ms)
{
    shun(s, job_hash, SHUNS_PASSED_MS, now_ms);
}

uint64_t shuns_until_ms(const struct shuns *s, uint32_t job_hash, uint64_t now_ms)
{
    size_t place = find(s, job_hash);
    return place < SHUNS_COUNT && now_ms < s->shun[place].until_ms ? s->shun[place].until_ms : 0;
}
