/* slice -- the last steps before a stranger's program: its descriptors, and execve. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/launcher/kernel.h"

enum { SLICE_FAILED = 125 };

_Noreturn static void refuse(const struct box_plan *plan, enum outcome_no_start code,
                             const char *text, int error)
{
    box_say(plan->word_fd, BOX_WORD_FAILED, (int)code, text, error);
    _exit(SLICE_FAILED);
}

static int take_descriptors(const struct box_plan *plan)
{
    bool full = plan->ways->tier == SANDBOX_FULL;
    int null = full ? open("/dev/null", O_RDONLY | O_CLOEXEC) : plan->ways->null_fd;
    if (null < 0 || dup2(null, 0) < 0 || dup2(plan->stdout_fd, 1) < 0 ||
        dup2(plan->stderr_fd, 2) < 0) {
        return -1;
    }
    return close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* Where a name without a slash is looked for; what PATH says too. */
static bool find_system(const char *name, char *path, size_t path_bytes)
{
    static const char *const folders[] = {"/usr/local/bin",  "/usr/bin",  "/bin",
                                          "/usr/local/sbin", "/usr/sbin", "/sbin"};
    if (name[0] == '/') {
        (void)snprintf(path, path_bytes, "%s", name);
        return true;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        int len = snprintf(path, path_bytes, "%s/%s", folders[i], name);
        if (len > 0 && (size_t)len < path_bytes && access(path, F_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* A program for another processor is told before the kernel fails in its own ways. */
static enum program_form form_of(const struct box_plan *plan, const char *path)
{
    uint8_t head[PROGRAM_HEAD_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return PROGRAM_FORM_UNKNOWN;
    }
    ssize_t n = pread(fd, head, sizeof head, 0);
    (void)close(fd);
    return program_form_of((struct pn_bytes){head, n > 0 ? (size_t)n : 0},
                           (struct pn_bytes){plan->ways->self_head, PROGRAM_HEAD_BYTES});
}

_Noreturn static void exec_path(const struct box_plan *plan, const char *path)
{
    const struct order *o = plan->order;
    if (access(path, F_OK) != 0) {
        refuse(plan, OUTCOME_NO_START_NOT_FOUND, o->args[0], errno);
    }
    enum program_form form = form_of(plan, path);
    if (form == PROGRAM_FORM_FOREIGN) {
        char text[96];
        (void)snprintf(text, sizeof text, "%.60s is for another processor", o->args[0]);
        refuse(plan, OUTCOME_NO_START_WRONG_ARCH, text, 0);
    }
    box_say(plan->word_fd, BOX_WORD_EXEC, 0, NULL, 0);
    (void)kernel_execveat(AT_FDCWD, path, (char *const *)o->args, (char *const *)o->env, 0);
    if (errno == ENOENT || errno == ELIBBAD) {
        /* It is there, so what misses is what runs it. */
        char text[112];
        (void)snprintf(text, sizeof text, "%.60s: its %s is not in the sandbox", o->args[0],
                       form == PROGRAM_FORM_SCRIPT ? "interpreter" : "dynamic loader");
        refuse(plan, OUTCOME_NO_START_NOT_EXEC, text, 0);
    }
    refuse(plan,
           errno == E2BIG || errno == ENOMEM ? OUTCOME_NO_START_LIMITS : OUTCOME_NO_START_NOT_EXEC,
           o->args[0], errno);
}

void slice_exec(const struct box_plan *plan)
{
    const struct order *o = plan->order;
    bool full = plan->ways->tier == SANDBOX_FULL;
    char path[sizeof "/usr/local/sbin/" + 1024];

    (void)setpgid(0, 0); /* no session of its own, which would be a share of its own: share_uv.h */
    if (!full && fchdir(plan->work_fd) != 0) {
        refuse(plan, OUTCOME_NO_START_SETUP, "work folder", errno);
    }
    if (!full && reduced_restrict(plan) != 0) {
        refuse(plan, OUTCOME_NO_START_SETUP, "restricting the process", errno);
    }
    if (take_descriptors(plan) != 0) {
        refuse(plan, OUTCOME_NO_START_SETUP, "descriptors", errno);
    }
    switch (o->program) {
    case ORDER_PROGRAM_OWN:
        box_say(plan->word_fd, BOX_WORD_EXEC, 0, NULL, 0);
        (void)kernel_execveat(plan->program_fd, "", (char *const *)o->args, (char *const *)o->env,
                              AT_EMPTY_PATH);
        refuse(plan, OUTCOME_NO_START_SETUP, o->args[0], errno);
    case ORDER_PROGRAM_FILE:
        (void)snprintf(path, sizeof path, "/job/%.1000s", o->args[0]);
        exec_path(plan, path);
    case ORDER_PROGRAM_SYSTEM:
        if (strlen(o->args[0]) > 1000 || !find_system(o->args[0], path, sizeof path)) {
            refuse(plan, OUTCOME_NO_START_NOT_FOUND, o->args[0], ENOENT);
        }
        exec_path(plan, path);
    }
    _exit(SLICE_FAILED);
}
