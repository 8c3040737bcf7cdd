#include "common/outcome.h"

#include <stdio.h>
#include <string.h> /* sigabbrev_np */

static const char *output_text(int32_t code)
{
    switch (code) {
    case OUTCOME_OUTPUT_FLOOD:
        return "flooded stdout or stderr";
    case OUTCOME_OUTPUT_MISSING:
        return "an output is missing";
    case OUTCOME_OUTPUT_KIND:
        return "an output is not a plain file";
    case OUTCOME_OUTPUT_SIZE:
        return "outputs are too large";
    default:
        return "outputs refused";
    }
}

static const char *no_start_text(int32_t code)
{
    switch (code) {
    case OUTCOME_NO_START_SETUP:
        return "could not start: no sandbox";
    case OUTCOME_NO_START_NOT_FOUND:
        return "could not start: program not found";
    case OUTCOME_NO_START_NOT_EXEC:
        return "could not start: not executable";
    case OUTCOME_NO_START_WRONG_ARCH:
        return "could not start: made for another processor";
    case OUTCOME_NO_START_LIMITS:
        return "could not start: limits over the volunteer's";
    case OUTCOME_NO_START_TIER:
        return "could not start: only own programs run here";
    case OUTCOME_NO_START_KILLED:
        return "cancelled";
    default:
        return "could not start";
    }
}

const char *outcome_text(struct outcome o, char *out, unsigned out_bytes)
{
    const char *name = NULL;
    switch (o.class) {
    case OUTCOME_EXITED:
        (void)snprintf(out, out_bytes, "exit %d", (int)o.code);
        break;
    case OUTCOME_SIGNALLED:
        name = sigabbrev_np((int)o.code);
        (void)snprintf(out, out_bytes, "killed by signal %d%s%s", (int)o.code, name ? " SIG" : "",
                       name ? name : "");
        break;
    case OUTCOME_TIME:
        (void)snprintf(out, out_bytes, "over its %s time", o.code == 1 ? "processor" : "wall");
        break;
    case OUTCOME_MEMORY:
        (void)snprintf(out, out_bytes, "over its memory");
        break;
    case OUTCOME_OUTPUT:
        (void)snprintf(out, out_bytes, "%s", output_text(o.code));
        break;
    case OUTCOME_NO_START:
        (void)snprintf(out, out_bytes, "%s", no_start_text(o.code));
        break;
    default:
        (void)snprintf(out, out_bytes, "outcome class %u code %d", (unsigned)o.class, (int)o.code);
        break;
    }
    return out;
}
