#include "peer/sandbox/launcher/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peer/sandbox/policy.h"

static uint32_t action_value(enum policy_action action)
{
    return action == POLICY_ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
}

static int add_row(scmp_filter_ctx ctx, const struct policy_row *row, enum policy_action action)
{
    int number = seccomp_syscall_resolve_name(row->call);
    if (number < 0) {
        return 0; /* not a call of this architecture, or newer than this libseccomp */
    }
    struct scmp_arg_cmp compare = {.arg = row->arg};
    switch (row->compare) {
    case POLICY_ALWAYS:
        return seccomp_rule_add_array(ctx, action_value(action), number, 0, NULL);
    case POLICY_ARG_EQUAL:
        compare.op = SCMP_CMP_EQ;
        compare.datum_a = row->value;
        break;
    case POLICY_ARG_MASKED:
        compare.op = SCMP_CMP_MASKED_EQ;
        compare.datum_a = row->mask;
        compare.datum_b = row->value;
        break;
    }
    return seccomp_rule_add_array(ctx, action_value(action), number, 1, &compare);
}

/* libseccomp writes the program to a descriptor only: a memory file is read back. */
static enum pn_status export_program(scmp_filter_ctx ctx, struct filter *out, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    ssize_t bytes = -1;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0) {
        status = pn_fail(err, PN_E_SYSTEM, "seccomp filter: %s", strerror(errno));
        goto out;
    }
    bytes = pread(fd, out->code, sizeof out->code, 0);
    if (bytes <= 0 || (size_t)bytes % sizeof out->code[0] != 0) {
        status = pn_fail(err, PN_E_SYSTEM, "seccomp filter: %zd bytes exported", bytes);
        goto out;
    }
    out->length = (unsigned short)((size_t)bytes / sizeof out->code[0]);
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

enum pn_status filter_compile(bool full, struct filter *out, struct pn_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    if (ctx == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "seccomp filter: out of memory");
    }
    enum pn_status status = PN_OK;
    int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0) {
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    }
    for (size_t i = 0; rc == 0 && i < policy_row_count; i++) {
        const struct policy_row *row = &policy_rows[i];
        enum policy_action action = full ? row->full : row->reduced;
        if (action == POLICY_UNKNOWN) {
            continue;
        }
        rc = add_row(ctx, row, action);
        if (rc != 0) {
            status = pn_fail(err, PN_E_SYSTEM, "seccomp rule %s: %s", row->call, strerror(-rc));
        }
    }
    if (rc == 0) {
        status = export_program(ctx, out, err);
    } else if (status == PN_OK) {
        status = pn_fail(err, PN_E_SYSTEM, "seccomp attribute: %s", strerror(-rc));
    }
    seccomp_release(ctx);
    return status;
}

int filter_install(const struct filter *f)
{
    struct sock_fprog program = {.len = f->length, .filter = (struct sock_filter *)f->code};
    /* Speculation stays as the system has it: SPEC_ALLOW only gives back what seccomp before 5.16
     * took away on its own; isolation here is by process. */
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}
