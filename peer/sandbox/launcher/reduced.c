/* reduced -- what stands in for namespaces where there are none: Landlock, and a stricter filter.
 */
#include <errno.h>
#include <sys/prctl.h>

#include "peer/sandbox/launcher/box.h"
#include "peer/sandbox/launcher/kernel.h"

/* Rights by the version of Landlock that knows them; asking for an unknown one is an error. */
static uint64_t rights_known(int version)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* all of version 1 */
    if (version >= 2) {
        rights |= LANDLOCK_ACCESS_FS_REFER;
    }
    if (version >= 3) {
        rights |= 1ULL << 14; /* truncate, named by newer headers only */
    }
    return rights;
}

static int allow(int ruleset, int fd, uint64_t rights)
{
    const struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    return kernel_landlock_add_path(ruleset, &rule);
}

/* The program may be executed, the work folder used, and nothing else in the file system seen. */
static int restrict_files(const struct box_plan *plan)
{
    uint64_t all = rights_known(plan->ways->landlock_version);
    const struct landlock_ruleset_attr attr = {.handled_access_fs = all};
    int ruleset = kernel_landlock_create(&attr, sizeof attr, 0);
    if (ruleset < 0) {
        return -1;
    }
    int rc = 0;
    if (allow(ruleset, plan->program_fd,
              LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE) != 0 ||
        allow(ruleset, plan->work_fd, all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE) != 0 ||
        kernel_landlock_restrict(ruleset) != 0) {
        rc = -1;
    }
    int error = errno;
    (void)close(ruleset);
    errno = error;
    return rc;
}

int reduced_restrict(const struct box_plan *plan)
{
    /* The slice ends with its init; an end that came before this call shows as another parent. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != plan->init_pid) {
        return -1;
    }
    if (plan->ways->landlock_version > 0 && restrict_files(plan) != 0) {
        return -1;
    }
    return filter_install(&plan->ways->filter);
}
