/* Any bytes: refused, or the one way to write what they say, within every limit. */
#include "common/manifest.h"
#include "tests/fuzz/fuzz.h"

static void check_limits(const struct manifest *m)
{
    assert(m->file_count <= JOB_FILES_MAX && m->dep_count <= JOB_DEPS_MAX);
    assert(m->arg_count <= JOB_ARGS_MAX && m->env_count <= JOB_ENV_MAX);
    assert(m->output_count <= JOB_OUTPUTS_MAX && m->quorum >= 1 && m->quorum <= JOB_QUORUM_MAX);
    for (uint32_t i = 0; i < m->file_count; i++) {
        assert(manifest_name_valid(m->files[i].name));
    }
    for (uint32_t i = 0; i < m->output_count; i++) {
        assert(manifest_name_valid(m->outputs[i]));
    }
    if (m->kind == MANIFEST_JOB) {
        assert(m->slice_count >= 1 && m->slice_count <= JOB_SLICES_MAX && m->arg_count >= 1);
        assert(m->args[m->arg_count] == NULL);
    } else {
        assert(m->slice_count == 0 && m->arg_count == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manifest m;
    struct buffer text;
    const struct pn_bytes in = fuzz_exact(data, size);
    buffer_init(&text, MANIFEST_BYTES_MAX);
    if (manifest_parse(in, &m, NULL) == PN_OK) {
        check_limits(&m);
        enum pn_status status = manifest_write(&m, &text, NULL);
        assert(status == PN_OK);
        assert(pn_bytes_equal(buffer_bytes(&text), in));
    } else {
        assert(m.file_count == 0 && m.args == NULL);
    }
    manifest_fini(&m);
    buffer_fini(&text);
    fuzz_free(in);
    return 0;
}
