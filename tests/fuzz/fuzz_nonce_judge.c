/*
 * A nonce slice's output from a stranger, and the words it answers: judged and described without
 * trouble, the same twice, and nothing that is judged true has a hit that is none.
 */
#include "jobs/nonce/nonce_program.h"
#include "tests/fuzz/fuzz_slice.h"

enum { AUDITED_MAX = 1 << 16 }; /* what is audited is searched: it should not take long */

static struct job_verdict judge(const struct job_slice *slice, struct pn_bytes output)
{
    struct random audit;
    struct job_verdict v = {.judgement = JOB_JUDGED_MALFORMED};
    const bool audited = nonce_program.slice_units(slice) <= AUDITED_MAX;
    random_seed(&audit, 1);
    enum pn_status status =
        nonce_program.judge(slice, output, audited ? &audit : NULL, NULL, &v, NULL);
    assert(status == PN_OK);
    assert(memchr(v.line, '\0', sizeof v.line) != NULL && v.line[0] != '\0');
    assert(v.judgement == JOB_JUDGED_TRUE || !v.answer);
    return v;
}

static void describe(const struct job_slice *slice, struct pn_bytes output,
                     const struct job_verdict *v)
{
    struct buffer text;
    buffer_init(&text, 1 << 17);
    enum pn_status status = nonce_program.describe(slice, output, &text, NULL);
    assert(v->judgement != JOB_JUDGED_TRUE || status == PN_OK);
    assert(v->judgement != JOB_JUDGED_TRUE || (v->answer_count > 0) == (text.len > 0));
    buffer_fini(&text);
}

static void one_slice(const struct job_slice *slice, struct pn_bytes output)
{
    struct job_expectation e;
    enum pn_status status;
    if (nonce_program.check(slice, NULL) != PN_OK || slice->index >= slice->count) {
        struct random audit;
        struct job_verdict v;
        random_seed(&audit, 1);
        status = nonce_program.judge(slice, output, &audit, NULL, &v, NULL);
        assert(status != PN_OK && nonce_program.slice_units(slice) == 0);
        assert(nonce_program.audit_units(slice) == 0 && nonce_program.slice_seconds(slice) == 0);
        assert(nonce_program.expect(slice, &e, NULL) != PN_OK);
        assert(nonce_program.describe(slice, output, NULL, NULL) != PN_OK);
        return;
    }
    const struct job_verdict v = judge(slice, output);
    const struct job_verdict again = judge(slice, output);
    assert(v.judgement == again.judgement && strcmp(v.line, again.line) == 0);
    const double units = nonce_program.slice_units(slice);
    assert(v.unit_count <= units && nonce_program.slice_seconds(slice) > 0);
    assert(nonce_program.audit_units(slice) > 0 && nonce_program.audit_units(slice) <= units);
    status = nonce_program.expect(slice, &e, NULL);
    assert(status == PN_OK && e.chance >= 0 && e.chance <= 1);
    describe(slice, output, &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_slice s;
    if (fuzz_slice_init(&s, data, size)) {
        one_slice(&s.slice, s.output);
        fuzz_slice_fini(&s);
    }
    return 0;
}
