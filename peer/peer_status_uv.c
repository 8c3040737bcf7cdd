/* What people are told of a peer. */
#include <stdio.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "peer/peer_inside.h"

static void fill_trackers(const struct peer *p, struct peer_status *out)
{
    for (uint32_t i = 0; i < p->config->tracker_count && i < TRACKERS_SHOWN_MAX; i++) {
        struct tracker_status *t = &out->trackers[out->tracker_count++];
        struct tracker_why why;
        (void)snprintf(t->name, sizeof t->name, "%s", p->config->trackers[i].name);
        trackers_why(p->trackers, i, NULL, &why);
        t->connected = why.cause[0] == '\0';
        t->since_ms = why.for_ms;
        (void)snprintf(t->trouble, sizeof t->trouble, "%s%s%s", why.cause,
                       why.remedy[0] != '\0' ? "; " : "", why.remedy);
    }
}

/* A peer that has slots and works for nobody: since when, and what would change it. */
static void fill_waiting(const struct peer *p, struct waiting *out)
{
    struct tracker_why why = {.for_ms = 0};
    const uint64_t idle_ms = clock_now_ms() - p->idle_since_ms;
    if (p->config->tracker_count > 0) {
        trackers_why(p->trackers, trackers_best(p->trackers), NULL, &why);
    }
    *out = (struct waiting){.waits = true, .for_ms = idle_ms < why.for_ms ? idle_ms : why.for_ms};
    if (p->config->tracker_count == 0) {
        (void)snprintf(out->cause, sizeof out->cause, "no tracker is set");
        (void)snprintf(out->remedy, sizeof out->remedy, "give --tracker HOST:PORT");
    } else if (why.cause[0] != '\0') {
        (void)snprintf(out->cause, sizeof out->cause, "%s", why.cause);
        (void)snprintf(out->remedy, sizeof out->remedy, "%s", why.remedy);
    } else {
        (void)snprintf(out->cause, sizeof out->cause,
                       "no master at the tracker wants this peer's slots");
        (void)snprintf(out->remedy, sizeof out->remedy,
                       "it works as soon as somebody there creates a job");
    }
}

void peer_tell_status(void *arg, struct peer_status *out)
{
    const struct peer *p = arg;
    const struct sandbox_state *s = sandbox_state(p->sandbox);
    struct worker_stats stats;
    struct transfer_counts counts;
    labour_stats(p->labour, &stats);
    transfer_counts(p->transfer, &counts);
    *out = (struct peer_status){
        .id = *link_context_peer_id(p->context),
        .pid = (uint64_t)getpid(),
        .embedded = p->config->embedded,
        .listening = p->listening,
        .reached_from = p->reached_from,
        .reached_ago_ms = clock_now_ms() - p->reached_ms,
        .slot_count = p->config->slot_count,
        .slots_busy = stats.running_count,
        .link_count = ports_count(p->ports),
        .bytes_sent = counts.bytes_sent,
        .bytes_received = counts.bytes_received,
        .jobs_mastered = leads_running(p->leads),
        .jobs_worked_on = stats.engagement_count,
        .memory_bytes_max = p->caps.memory_bytes,
        .output_bytes_max = p->caps.output_bytes,
        .budget_bytes = p->budget_bytes,
        .up_ms = clock_now_ms() - p->started_ms,
    };
    (void)snprintf(out->tier, sizeof out->tier, "%s", tier_name(s->tier));
    (void)snprintf(out->tier_reason, sizeof out->tier_reason, "%s", s->reason);
    (void)snprintf(out->tier_remedy, sizeof out->tier_remedy, "%s", s->remedy);
    fill_trackers(p, out);
    if (stats.engagement_count == 0 && p->config->slot_count > 0) {
        fill_waiting(p, &out->waiting);
    }
}
