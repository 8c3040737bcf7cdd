/*
 * The bodies of requests to the control socket: refused with a sentence, or what was asked for is
 * within its limits and signed. The first byte chooses which.
 */
#include "peer/control/control_json.h"
#include "tests/fuzz/fuzz.h"

static void create(struct pn_bytes in)
{
    struct control_create_body body;
    const char *field = "";
    struct pn_err err = {0};
    if (control_create_body_parse(in, &body, &field, &err) != PN_OK) {
        assert(err.text[0] != '\0');
        return;
    }
    struct digest job;
    manifest_id(body.manifest, &job);
    assert(field == NULL && digest_equal(&job, &body.job));
    assert(digest_equal(&body.grant.job, &job));
    assert(claim_owner_check(&body.parsed.owner, &job, &body.owner));
    control_create_body_fini(&body);
}

static void start(struct pn_bytes in)
{
    uint32_t workers = 0;
    const char *field = "";
    struct pn_err err = {0};
    if (control_start_body_parse(in, &workers, &field, &err) == PN_OK) {
        assert(workers <= JOB_SLICES_MAX && field == NULL);
    } else {
        assert(err.text[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        start((struct pn_bytes){NULL, 0});
        return 0;
    }
    struct pn_bytes in = fuzz_exact(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        create(in);
    } else {
        start(in);
    }
    fuzz_free(in);
    return 0;
}
