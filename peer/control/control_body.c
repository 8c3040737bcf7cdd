#include "peer/control/control_json.h"

static enum pn_status load(struct pn_bytes body, json_t **out, struct pn_err *err)
{
    json_error_t at;
    *out = json_loadb(body.ptr == NULL ? "" : (const char *)body.ptr, body.len,
                      JSON_REJECT_DUPLICATES, &at);
    if (*out == NULL) {
        return pn_fail(err, PN_E_MALFORMED, "body: not JSON: %s (byte %d)", at.text, at.position);
    }
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return pn_fail(err, PN_E_MALFORMED, "body: must be a JSON object");
    }
    return PN_OK;
}

/* The text of a member, borrowed from object. */
static enum pn_status member_text(const json_t *object, const char *name, struct pn_bytes *out,
                                  struct pn_err *err)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_string(member)) {
        return pn_fail(err, PN_E_MALFORMED, "%s: missing, or not a text", name);
    }
    *out =
        (struct pn_bytes){(const uint8_t *)json_string_value(member), json_string_length(member)};
    return PN_OK;
}

static enum pn_status read_owner(struct control_create_body *b, struct pn_err *err)
{
    struct pn_bytes hex;
    enum pn_status status = member_text(b->root, "owner_signature", &hex, err);
    if (status != PN_OK) {
        return status;
    }
    if (!hex_parse((const char *)hex.ptr, hex.len, b->owner.b, sizeof b->owner.b)) {
        return pn_fail(err, PN_E_MALFORMED, "owner_signature: must be %d lower-case hex digits",
                       2 * SIGNATURE_BYTES);
    }
    if (!claim_owner_check(&b->parsed.owner, &b->job, &b->owner)) {
        return pn_fail(err, PN_E_MISMATCH,
                       "owner_signature: is not by the manifest's owner for this manifest");
    }
    return PN_OK;
}

static enum pn_status read_grant(struct control_create_body *b, struct pn_err *err)
{
    struct pn_bytes hex;
    uint8_t bytes[GRANT_BYTES_MAX];
    enum pn_status status = member_text(b->root, "grant", &hex, err);
    if (status != PN_OK) {
        return status;
    }
    size_t len = hex.len / 2;
    if (len > sizeof bytes || !hex_parse((const char *)hex.ptr, hex.len, bytes, len)) {
        return pn_fail(err, PN_E_MALFORMED, "grant: must be at most %d lower-case hex digits",
                       2 * GRANT_BYTES_MAX);
    }
    status = grant_parse((struct pn_bytes){bytes, len}, &b->grant, err);
    if (status != PN_OK) {
        return status;
    }
    if (!digest_equal(&b->grant.job, &b->job)) {
        return pn_fail(err, PN_E_MISMATCH, "grant: is for another job");
    }
    if (!grant_check(&b->grant, &b->parsed.owner)) {
        return pn_fail(err, PN_E_MISMATCH, "grant: is not signed by the manifest's owner");
    }
    return PN_OK;
}

enum pn_status control_create_body_parse(struct pn_bytes body, struct control_create_body *out,
                                         const char **field, struct pn_err *err)
{
    struct control_create_body b = {.root = NULL};
    manifest_init(&b.parsed, MANIFEST_JOB);
    *field = NULL;
    enum pn_status status = load(body, &b.root, err);
    if (status == PN_OK) {
        *field = "manifest";
        status = member_text(b.root, "manifest", &b.manifest, err);
    }
    if (status == PN_OK) {
        status = manifest_parse(b.manifest, &b.parsed, err);
        manifest_id(b.manifest, &b.job);
    }
    if (status == PN_OK) {
        *field = "owner_signature";
        status = read_owner(&b, err);
    }
    if (status == PN_OK) {
        *field = "grant";
        status = read_grant(&b, err);
    }
    if (status != PN_OK) {
        control_create_body_fini(&b);
        return status;
    }
    *field = NULL;
    *out = b;
    return PN_OK;
}

void control_create_body_fini(struct control_create_body *b)
{
    manifest_fini(&b->parsed);
    json_decref(b->root);
    b->root = NULL;
}

enum pn_status control_start_body_parse(struct pn_bytes body, uint32_t *workers, const char **field,
                                        struct pn_err *err)
{
    *workers = 0;
    *field = NULL;
    if (body.len == 0) {
        return PN_OK;
    }
    json_t *root = NULL;
    enum pn_status status = load(body, &root, err);
    if (status != PN_OK) {
        return status;
    }
    const json_t *member = json_object_get(root, "workers");
    const json_int_t n = json_integer_value(member);
    if (member != NULL && (!json_is_integer(member) || n < 0 || n > JOB_SLICES_MAX)) {
        *field = "workers";
        status = pn_fail(err, PN_E_RANGE, "workers: allowed are 0 to %d", JOB_SLICES_MAX);
    } else {
        *workers = (uint32_t)n;
    }
    json_decref(root);
    return status;
}
