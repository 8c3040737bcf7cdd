#include "peer/control/status.h"

const char *job_state_name(const struct job_status *s)
{
    switch (s->state) {
    case JOB_RUNNING:
        if (s->started_wall_ms == 0) {
            return "created";
        }
        return s->waiting.waits ? "waiting" : "running";
    case JOB_DONE:
        return "done";
    case JOB_FOUND:
        return "found";
    case JOB_NONE:
        return "none";
    case JOB_FAILED:
        return "failed";
    case JOB_CANCELLED:
        return "cancelled";
    case JOB_TIMED_OUT:
        return "timed-out";
    case JOB_STOPPED:
        return "stopped";
    }
    return "unknown";
}

bool job_state_ended(const struct job_status *s) { return s->state != JOB_RUNNING; }

const char *slice_state_name(enum slice_state state)
{
    switch (state) {
    case SLICE_OPEN:
        return "open";
    case SLICE_RUNNING:
        return "running";
    case SLICE_PROVISIONAL:
        return "provisional";
    case SLICE_FINAL:
        return "final";
    case SLICE_FAILED:
        return "failed";
    }
    return "unknown";
}
