/* A volunteer's wishes, and the papers a job must have. */
#include "tests/unit/unit.h"

#include "peer/worker/consent.h"

static bool has_program(const char *name)
{
    return strcmp(name, "nonce@1") == 0 || strcmp(name, "mandelbrot@1") == 0;
}

static const struct wishes DEFAULT = {
    .jobs = CONSENT_OWN_PROGRAMS,
    .foreign_contained = true,
    .tier_reason = "none",
    .has_program = has_program,
};

static struct key_pair *owner_new(uint8_t fill)
{
    uint8_t seed[SECRET_SEED_BYTES];
    memset(seed, fill, sizeof seed);
    struct key_pair *k = key_pair_new(seed);
    assert_non_null(k);
    return k;
}

static void job_of(struct manifest *m, enum program_kind kind, const char *program,
                   const struct key_pair *owner)
{
    const char *const args[] = {program};
    manifest_init(m, MANIFEST_JOB);
    m->slice_count = 1;
    key_pair_public(owner, &m->owner);
    assert_int_equal(manifest_set_command(m, kind, args, 1, NULL), PN_OK);
}

static enum pn_status verdict(const struct wishes *w, enum program_kind kind, const char *program,
                              const struct key_pair *owner, struct pn_err *err)
{
    struct manifest m;
    job_of(&m, kind, program, owner);
    enum pn_status status = consent_check(w, &m, err);
    manifest_fini(&m);
    return status;
}

static void own_programs_of_anybody_by_default(void **state)
{
    (void)state;
    struct pn_err err;
    struct key_pair *owner = owner_new(1);
    assert_int_equal(verdict(&DEFAULT, PROGRAM_OWN, "nonce@1", owner, &err), PN_OK);
    assert_int_equal(verdict(&DEFAULT, PROGRAM_OWN, "nonce@2", owner, &err), PN_E_UNSUPPORTED);
    assert_int_equal(verdict(&DEFAULT, PROGRAM_FILE, "a.sh", owner, &err), PN_E_DENIED);
    assert_non_null(strstr(err.text, "--owner KEY or --jobs any"));
    assert_int_equal(verdict(&DEFAULT, PROGRAM_SYSTEM, "sh", owner, &err), PN_E_DENIED);
    key_pair_free(owner);
}

static void a_welcome_owner_may_bring_programs(void **state)
{
    (void)state;
    struct pn_err err;
    struct key_pair *friend = owner_new(1);
    struct key_pair *stranger = owner_new(2);
    struct wishes w = DEFAULT;
    key_pair_public(friend, &w.owners[w.owner_count++]);
    assert_int_equal(verdict(&w, PROGRAM_SYSTEM, "sh", friend, &err), PN_OK);
    assert_int_equal(verdict(&w, PROGRAM_SYSTEM, "sh", stranger, &err), PN_E_DENIED);
    w.foreign_contained = false;
    assert_int_equal(verdict(&w, PROGRAM_SYSTEM, "sh", friend, &err), PN_E_UNSUPPORTED);
    assert_int_equal(verdict(&w, PROGRAM_OWN, "nonce@1", stranger, &err), PN_OK);
    key_pair_free(friend);
    key_pair_free(stranger);
}

static void named_programs_only(void **state)
{
    (void)state;
    struct pn_err err;
    struct key_pair *owner = owner_new(1);
    struct wishes w = DEFAULT;
    w.jobs = CONSENT_NAMED;
    w.programs[w.program_count++] = "nonce";
    assert_int_equal(verdict(&w, PROGRAM_OWN, "nonce@1", owner, &err), PN_OK);
    assert_int_equal(verdict(&w, PROGRAM_OWN, "mandelbrot@1", owner, &err), PN_E_DENIED);
    assert_int_equal(verdict(&w, PROGRAM_FILE, "a.sh", owner, &err), PN_E_DENIED);
    w.jobs = CONSENT_ANY;
    assert_int_equal(verdict(&w, PROGRAM_FILE, "a.sh", owner, &err), PN_OK);
    key_pair_free(owner);
}

/* Whoever brings it, and named to whoever asks why. */
static void limits_over_the_machines(void **state)
{
    (void)state;
    struct pn_err err;
    struct key_pair *owner = owner_new(1);
    struct wishes w = DEFAULT;
    w.caps = LIMITS_MAX;
    assert_int_equal(verdict(&w, PROGRAM_OWN, "nonce@1", owner, &err), PN_OK);
    w.caps.memory_bytes = LIMITS_DEFAULT.memory_bytes - 1;
    assert_int_equal(verdict(&w, PROGRAM_OWN, "nonce@1", owner, &err), PN_E_DENIED);
    assert_string_equal(err.text, "limits: memory = 536870912 asked for, at most 536870911 on this "
                                  "machine");
    w.jobs = CONSENT_ANY;
    assert_int_equal(verdict(&w, PROGRAM_SYSTEM, "sh", owner, &err), PN_E_DENIED);
    key_pair_free(owner);
}

/* Everything in order; each test then spoils one thing. */
struct papers {
    struct manifest m;
    struct digest job;
    struct run run;
    struct digest master;
    struct signature owner_signature;
    struct grant grant;
    struct key_pair *owner;
};

static void papers_init(struct papers *p)
{
    memset(p, 0, sizeof *p);
    p->owner = owner_new(1);
    job_of(&p->m, PROGRAM_OWN, "nonce@1", p->owner);
    memset(p->job.b, 7, sizeof p->job.b);
    memset(p->run.b, 8, sizeof p->run.b);
    memset(p->master.b, 9, sizeof p->master.b);
    p->grant = (struct grant){.job = p->job, .run = p->run, .serial = 1, .peer_count = 1};
    p->grant.peers[0] = p->master;
    assert_int_equal(claim_owner_sign(p->owner, &p->job, &p->owner_signature), PN_OK);
    assert_int_equal(grant_sign(&p->grant, p->owner), PN_OK);
}

static enum pn_status papers_verdict(const struct papers *p, struct pn_err *err)
{
    uint8_t bytes[GRANT_BYTES_MAX];
    struct grant out;
    struct pn_bytes grant = grant_write(&p->grant, bytes, sizeof bytes);
    return papers_check(&p->m, &p->job, &p->run, &p->owner_signature, grant, &p->master, 1000, &out,
                        err);
}

static void papers_fini(struct papers *p)
{
    manifest_fini(&p->m);
    key_pair_free(p->owner);
}

static void papers_in_order_are_accepted(void **state)
{
    (void)state;
    struct papers p;
    struct pn_err err;
    papers_init(&p);
    assert_int_equal(papers_verdict(&p, &err), PN_OK);
    papers_fini(&p);
}

static void spoiled_papers_are_refused(void **state)
{
    (void)state;
    struct papers p;
    struct pn_err err;

    papers_init(&p);
    p.owner_signature.b[0] ^= 1;
    assert_int_equal(papers_verdict(&p, &err), PN_E_MISMATCH);
    p.owner_signature.b[0] ^= 1;

    p.grant.signature.b[5] ^= 1;
    assert_int_equal(papers_verdict(&p, &err), PN_E_MISMATCH);
    p.grant.signature.b[5] ^= 1;

    p.run.b[0] ^= 1; /* the master says another run than it was granted */
    assert_int_equal(papers_verdict(&p, &err), PN_E_MISMATCH);
    p.run.b[0] ^= 1;

    p.master.b[0] ^= 1; /* somebody else leads */
    assert_int_equal(papers_verdict(&p, &err), PN_E_DENIED);
    p.master.b[0] ^= 1;

    p.grant.expires_wall_ms = 1000; /* now */
    assert_int_equal(grant_sign(&p.grant, p.owner), PN_OK);
    assert_int_equal(papers_verdict(&p, &err), PN_E_DENIED);
    p.grant.expires_wall_ms = 1001;
    assert_int_equal(grant_sign(&p.grant, p.owner), PN_OK);
    assert_int_equal(papers_verdict(&p, &err), PN_OK);

    struct key_pair *other = owner_new(2); /* granted by another than the owner */
    assert_int_equal(grant_sign(&p.grant, other), PN_OK);
    assert_int_equal(papers_verdict(&p, &err), PN_E_MISMATCH);
    key_pair_free(other);
    papers_fini(&p);
}

static void the_highest_serial_counts(void **state)
{
    (void)state;
    struct grant known = {.serial = 3};
    struct grant shown = {.serial = 3};
    bool newer = true;
    assert_int_equal(papers_check_serial(&known, &shown, &newer, NULL), PN_OK);
    assert_false(newer);
    shown.serial = 4;
    assert_int_equal(papers_check_serial(&known, &shown, &newer, NULL), PN_OK);
    assert_true(newer);
    shown.serial = 2;
    assert_int_equal(papers_check_serial(&known, &shown, &newer, NULL), PN_E_DENIED);
    assert_false(newer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_programs_of_anybody_by_default),
        cmocka_unit_test(a_welcome_owner_may_bring_programs),
        cmocka_unit_test(named_programs_only),
        cmocka_unit_test(limits_over_the_machines),
        cmocka_unit_test(papers_in_order_are_accepted),
        cmocka_unit_test(spoiled_papers_are_refused),
        cmocka_unit_test(the_highest_serial_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
