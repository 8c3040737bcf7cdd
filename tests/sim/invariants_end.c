/*
 * What holds at the end: that there is one in time, and what it is.
 */
#include "tests/sim/watch.h"

/* --- liveness --------------------------------------------------------------------------------- */

void sim_watch_late(struct sim *s)
{
    for (uint32_t i = 0; i < s->master_count; i++) {
        const struct sim_master *m = &s->masters[i];
        uint64_t slice = 0;
        while (slice < m->config.slice_count && m->watch->is_told[slice]) {
            slice++;
        }
        const struct open_slice *o = m->core != NULL && slice < m->config.slice_count
                                         ? master_open_slice(m->core, slice)
                                         : NULL;
        if (!m->ended) {
            sim_fail(s,
                     "master %u is not done %llu s after faults stopped: slice %llu has %u votes, "
                     "%u live attempts, needs %u%s%s%s",
                     i, LLU((s->now_us - s->calm_us) / SIM_S), LLU(slice),
                     o != NULL ? o->tally.count : 0, o != NULL ? o->live : 0,
                     o != NULL ? o->need : 0, o != NULL && o->own_wanted ? ", own" : "",
                     o != NULL && o->bytes_wanted ? ", bytes" : "",
                     o != NULL && o->provisional ? ", provisional" : "");
        }
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void check_outcome(struct sim *s, const struct sim_master *m)
{
    bool all = true;
    bool failed = false;
    uint64_t lowest = BITSET_NONE;
    for (uint64_t i = 0; i < m->config.slice_count; i++) {
        const struct record_final *f = sim_disk_final(&m->disk, i, false);
        all = all && f != NULL;
        failed = failed || (f != NULL && !(f->class == OUTCOME_EXITED && f->code == 0));
        if (f != NULL && f->answer && lowest == BITSET_NONE) {
            lowest = i;
        }
        struct truth t;
        truth_of(&m->truth, i, 0, &t);
        REQUIRE(!t.answer || lowest != BITSET_NONE || m->config.stop != STOP_LOWEST ||
                    m->state != JOB_FOUND || f == NULL,
                "an answer in slice %llu was overlooked", LLU(i));
    }
    switch (m->state) {
    case JOB_FOUND:
        REQUIRE(all || m->config.stop != STOP_ALL, "found, but not all slices were looked at");
        REQUIRE(lowest != BITSET_NONE, "found, but no final slice holds an answer");
        for (uint64_t i = 0; i < lowest && m->config.stop == STOP_LOWEST; i++) {
            const struct record_final *f = sim_disk_final(&m->disk, i, false);
            REQUIRE(f != NULL && f->class == OUTCOME_EXITED && f->code == 0,
                    "slice %llu below the lowest answer was not looked at", LLU(i));
        }
        break;
    case JOB_NONE:
        REQUIRE(all && lowest == BITSET_NONE && !failed, "\"none exists\", but not all looked at");
        break;
    case JOB_DONE:
        REQUIRE(all && !failed, "done, but not all slices are");
        break;
    case JOB_FAILED:
        REQUIRE(failed && (all || m->config.stop == STOP_LOWEST),
                "failed, but not all ended, or none failed");
        break;
    case JOB_CANCELLED:
        REQUIRE(s->scenario->cancel, "cancelled, and nobody said so");
        break;
    case JOB_TIMED_OUT:
        REQUIRE(m->config.timeout_ms > 0, "timed out without a limit of time");
        break;
    case JOB_RUNNING:
    case JOB_STOPPED:
        sim_fail(s, "master %u ended in state %d", m->job, (int)m->state);
        break;
    }
}

void sim_watch_cleared(struct sim *s)
{
    for (uint32_t i = 0; i < s->node_count; i++) {
        struct worker_stats stats = {0};
        if (s->nodes[i].worker != NULL) {
            worker_stats(s->nodes[i].worker, &stats);
        }
        REQUIRE(stats.running_count == 0 && stats.engagement_count == 0,
                "node %u still works for a run that is over", i);
        REQUIRE(s->nodes[i].output_count == 0, "node %u keeps outputs of a run that is over", i);
    }
}

void sim_watch_end(struct sim *s)
{
    for (uint32_t i = 0; i < s->master_count && !s->failed; i++) {
        const struct sim_master *m = &s->masters[i];
        check_outcome(s, m);
        sim_watch_replay(s, m);
        sim_watch_credit(s, m);
        uint64_t least =
            (uint64_t)m->config.slice_count * (s->scenario->proof ? 1 : s->scenario->quorum);
        bool peaceful = s->scenario->faults == 0 && s->scenario->done_s == 0;
        for (int role = SIM_HONEST + 1; role < SIM_ROLES; role++) {
            peaceful = peaceful && s->scenario->role_count[role] == 0;
        }
        /* Near the end free places double what takes long: once each. */
        uint64_t places = 0;
        for (uint32_t k = 0; k < s->node_count; k++) {
            places += s->nodes[k].slots;
        }
        REQUIRE(!peaceful || m->watch->runs <= least + least / 10 + places,
                "%llu runs for %llu votes although nothing failed", LLU(m->watch->runs),
                LLU(least));
    }
}
