#include "peer/sandbox/tier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [SANDBOX_NONE] = "none", [SANDBOX_REDUCED] = "reduced", [SANDBOX_FULL] = "full"};

const char *tier_name(enum sandbox_tier tier) { return names[tier]; }

bool tier_parse(const char *text, enum sandbox_tier *out)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum sandbox_tier)i;
            return true;
        }
    }
    return false;
}

/* The most specific cause first: a machine often shows several. */
const char *tier_remedy(const struct tier_facts *facts, char out[TIER_REMEDY_BYTES])
{
    const char *text = "";
    if (facts->userns_max == 0) {
        text = "allow user namespaces: sysctl -w user.max_user_namespaces=10000";
    } else if (facts->userns_clone == 0) {
        text = "allow user namespaces: sysctl -w kernel.unprivileged_userns_clone=1";
    } else if (facts->apparmor_restricts == 1) {
        text = "give the launcher an AppArmor profile with `userns,`, or: "
               "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
    } else if (facts->error == ENOSPC || facts->error == EUSERS) {
        text = "too many user namespaces or mounts are in use: raise user.max_user_namespaces, "
               "user.max_mnt_namespaces or fs.mount-max";
    } else if (facts->error == ENOSYS) {
        text = "this kernel lacks a call that the sandbox needs: Linux 5.14 or newer is required";
    } else if (facts->container) {
        text = "start the container with its seccomp and AppArmor filters off for this image "
               "(docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
               "--security-opt systempaths=unconfined)";
    } else if (facts->error == EPERM || facts->error == EACCES) {
        text = "a security module or filter forbids user namespaces to this user; ask the "
               "machine's administrator to allow them for the launcher";
    } else {
        text = "see the reason; nothing specific is known about it";
    }
    (void)snprintf(out, TIER_REMEDY_BYTES, "%s", text);
    return out;
}
