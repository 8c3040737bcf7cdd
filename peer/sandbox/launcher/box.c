#include "peer/sandbox/launcher/box.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "peer/sandbox/launcher/kernel.h"

bool box_start(struct box_plan *plan, pid_t *pid, int *pidfd, int *error)
{
    uint64_t flags = 0;
    if (plan->ways->tier == SANDBOX_FULL) {
        /* The network namespace stays the launcher's: empty, and shared by all sandboxes. */
        flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                CLONE_NEWCGROUP;
    }
    *pid = kernel_clone(flags, pidfd);
    if (*pid == 0) {
        init_run(plan);
    }
    *error = errno;
    return *pid > 0;
}

void box_say(int word_fd, enum box_word_kind kind, int code, const char *text, int error)
{
    struct box_word word = {.kind = (int32_t)kind, .code = code};
    if (text != NULL && error != 0) {
        const char *name = strerrordesc_np(error);
        (void)snprintf(word.text, sizeof word.text, "%s: %s", text, name ? name : "unknown error");
    } else if (text != NULL) {
        (void)snprintf(word.text, sizeof word.text, "%s", text);
    }
    if (write(word_fd, &word, sizeof word) < 0) {
        return; /* the launcher is gone, and we are about to be */
    }
}
