#include "peer/worker/consent.h"

#include <stdio.h>

#include "peer/sandbox/caps.h"

static bool named(const struct wishes *w, const char *program)
{
    size_t len = strcspn(program, "@");
    for (uint32_t i = 0; i < w->program_count; i++) {
        if (strlen(w->programs[i]) == len && memcmp(w->programs[i], program, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool owner_welcome(const struct wishes *w, const struct public_key *owner)
{
    for (uint32_t i = 0; i < w->owner_count; i++) {
        if (memcmp(w->owners[i].b, owner->b, PUBLIC_KEY_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

enum pn_status consent_check(const struct wishes *w, const struct manifest *m, struct pn_err *err)
{
    if (m->kind != MANIFEST_JOB) {
        return pn_fail(err, PN_E_DENIED, "a dataset has nothing to run");
    }
    if (m->program_kind == PROGRAM_OWN) {
        if (!w->has_program(m->args[0])) {
            return pn_fail(err, PN_E_UNSUPPORTED, "program %s is not among this peer's own",
                           m->args[0]);
        }
        if (w->jobs == CONSENT_NAMED && !named(w, m->args[0]) && !owner_welcome(w, &m->owner)) {
            return pn_fail(err, PN_E_DENIED, "program %s is not among those allowed by --jobs",
                           m->args[0]);
        }
        return caps_check(&m->limits, &w->caps, err);
    }
    if (w->jobs != CONSENT_ANY && !owner_welcome(w, &m->owner)) {
        char owner[13];
        hex_write((struct pn_bytes){m->owner.b, 6}, owner);
        return pn_fail(err, PN_E_DENIED,
                       "a foreign program of owner %s… is not welcome (--owner KEY or --jobs any)",
                       owner);
    }
    if (!w->foreign_contained) {
        return pn_fail(err, PN_E_UNSUPPORTED, "foreign programs need a full sandbox: %s",
                       w->tier_reason);
    }
    return caps_check(&m->limits, &w->caps, err);
}

enum pn_status papers_check(const struct manifest *m, const struct digest *job,
                            const struct run *run, const struct signature *owner_signature,
                            struct pn_bytes grant_bytes, const struct digest *master,
                            uint64_t now_wall_ms, struct grant *grant, struct pn_err *err)
{
    if (!claim_owner_check(&m->owner, job, owner_signature)) {
        return pn_fail(err, PN_E_MISMATCH, "the owner's signature is wrong");
    }
    enum pn_status status = grant_parse(grant_bytes, grant, err);
    if (status != PN_OK) {
        return status;
    }
    if (!digest_equal(&grant->job, job) || !run_equal(&grant->run, run)) {
        return pn_fail(err, PN_E_MISMATCH, "the grant is of another job or run");
    }
    if (!grant_check(grant, &m->owner)) {
        return pn_fail(err, PN_E_MISMATCH, "the grant's signature is wrong");
    }
    if (grant_rank(grant, master) < 0) {
        return pn_fail(err, PN_E_DENIED, "the grant does not name this master");
    }
    if (grant->expires_wall_ms != 0 && grant->expires_wall_ms <= now_wall_ms) {
        return pn_fail(err, PN_E_DENIED, "the grant has expired");
    }
    return PN_OK;
}

enum pn_status papers_check_serial(const struct grant *known, const struct grant *shown,
                                   bool *newer, struct pn_err *err)
{
    *newer = shown->serial > known->serial;
    if (shown->serial < known->serial) {
        return pn_fail(err, PN_E_DENIED,
                       "the grant has been replaced: its serial is %u, %u is known",
                       (unsigned)shown->serial, (unsigned)known->serial);
    }
    return PN_OK;
}
