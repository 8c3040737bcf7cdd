#include <stdio.h>
#include <string.h>

#include "tools/commands.h"
#include "tools/job_results_sys.h"
#include "tools/launch_sys.h"
#include "tools/owner_sys.h"
#include "tools/paths_sys.h"

static enum pn_status path_in(const char *dir, const char *name, char out[PATH_BYTES_MAX],
                              struct pn_err *err)
{
    return snprintf(out, PATH_BYTES_MAX, "%s/%s", dir, name) < PATH_BYTES_MAX
               ? PN_OK
               : pn_fail(err, PN_E_TOO_BIG, "%.100s…: the path is too long", dir);
}

static enum pn_status read_manifest(const struct context *c, const char *dir, struct launch *l,
                                    struct pn_err *err)
{
    char path[PATH_BYTES_MAX];
    enum pn_status status = path_in(dir, "manifest", path, err);
    if (status == PN_OK) {
        status = paths_read(path, MANIFEST_BYTES_MAX, &l->text, err);
    }
    if (status != PN_OK) {
        return status;
    }
    status = manifest_parse(buffer_bytes(&l->text), &l->manifest, err);
    if (status == PN_OK && l->manifest.kind == MANIFEST_DATASET) {
        status = pn_fail(err, PN_E_UNSUPPORTED, "a dataset has no command to run");
    } else if (status == PN_OK) {
        status = launch_check_deps(c, &l->manifest, err);
    }
    if (status != PN_OK) {
        pn_err_wrap(err, "%s", path);
    }
    return status;
}

/* DIR/signature, if there is one, must be the owner's. *there says whether it is. */
static enum pn_status check_signature(const char *dir, const struct launch *l, bool *there,
                                      struct pn_err *err)
{
    char path[PATH_BYTES_MAX];
    struct buffer text;
    struct signature signature;
    struct digest job;
    enum pn_status status = path_in(dir, "signature", path, err);
    *there = false;
    if (status != PN_OK) {
        return status;
    }
    status = paths_read(path, 2 * SIGNATURE_BYTES + 1, &text, err);
    if (status == PN_E_NOT_FOUND) {
        buffer_fini(&text);
        return PN_OK;
    }
    manifest_id(buffer_bytes(&l->text), &job);
    size_t len = text.len > 0 && text.ptr[text.len - 1] == '\n' ? text.len - 1 : text.len;
    if (status == PN_OK && !hex_parse((const char *)text.ptr, len, signature.b, SIGNATURE_BYTES)) {
        status = pn_fail(err, PN_E_MALFORMED, "%s: must be %d lower-case hex digits", path,
                         2 * SIGNATURE_BYTES);
    } else if (status == PN_OK && !claim_owner_check(&l->manifest.owner, &job, &signature)) {
        status = pn_fail(err, PN_E_MISMATCH,
                         "%s: is not the owner's for this manifest (changed, or cut short?)", path);
    }
    buffer_fini(&text);
    *there = status == PN_OK;
    return status;
}

/* Only who has the owner's key can say which peer may lead the job. */
static enum pn_status check_owner(const struct context *c, const char *dir, struct launch *l,
                                  bool is_signed, struct pn_err *err)
{
    struct public_key ours = {{0}};
    char hex[2 * PUBLIC_KEY_BYTES + 1];
    enum pn_status status = owner_read(c, &l->key, err);
    if (status != PN_OK && status != PN_E_NOT_FOUND) {
        return status;
    }
    if (l->key != NULL) {
        key_pair_public(l->key, &ours);
        if (memcmp(&ours, &l->manifest.owner, sizeof ours) == 0) {
            return PN_OK;
        }
    }
    hex_write((struct pn_bytes){l->manifest.owner.b, PUBLIC_KEY_BYTES}, hex);
    return pn_fail(err, PN_E_DENIED, "%s/manifest: %s; its owner %.16s… is not your key", dir,
                   is_signed ? "is another's" : "is not signed", hex);
}

static enum pn_status read_files(const char *dir, struct launch *l, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (uint32_t i = 0; status == PN_OK && i < l->manifest.file_count; i++) {
        char path[PATH_BYTES_MAX];
        const struct manifest_file *wanted = &l->manifest.files[i];
        status = path_in(dir, wanted->name, path, err);
        if (status == PN_OK) {
            status = local_files_add(&l->files, wanted->name, path, err);
        }
        const struct local_file *have = status == PN_OK ? &l->files.list[i] : NULL;
        if (have != NULL &&
            (have->size != wanted->size || !digest_equal(&have->root, &wanted->root))) {
            status = pn_fail(err, PN_E_MISMATCH, "file %s: is not what the manifest says", path);
        }
    }
    return status;
}

enum exit_code command_submit(struct context *c)
{
    struct launch l;
    struct pn_err err;
    const char *dir = c->args.positionals[0];
    bool is_signed = false;
    launch_init(&l);
    enum pn_status status = results_check_into(c, &err);
    if (status == PN_OK) {
        status = read_manifest(c, dir, &l, &err);
    }
    if (status == PN_OK) {
        status = check_signature(dir, &l, &is_signed, &err);
    }
    if (status == PN_OK) {
        status = check_owner(c, dir, &l, is_signed, &err);
    }
    if (status == PN_OK) {
        status = read_files(dir, &l, &err);
    }
    enum exit_code code = status == PN_OK ? launch_sign(&l) : complain_usage(&err);
    if (code == EXIT_CODE_OK) {
        code = launch_run(c, &l);
    }
    launch_fini(&l);
    return code;
}
