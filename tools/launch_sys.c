#include "tools/launch_sys.h"

#include <stdio.h>

#include "common/random_sys.h"
#include "tools/home_sys.h"
#include "tools/job_results_sys.h"
#include "tools/job_watch_sys.h"
#include "tools/owner_sys.h"
#include "tools/print_sys.h"

enum { REQUEST_BYTES = 160 };

void launch_init(struct launch *l)
{
    *l = (struct launch){.key = NULL};
    manifest_init(&l->manifest, MANIFEST_JOB);
    buffer_init(&l->text, MANIFEST_BYTES_MAX + 1);
}

void launch_fini(struct launch *l)
{
    manifest_fini(&l->manifest);
    local_files_fini(&l->files);
    buffer_fini(&l->text);
    key_pair_free(l->key);
    l->key = NULL;
}

enum exit_code launch_sign(struct launch *l)
{
    manifest_id(buffer_bytes(&l->text), &l->job);
    return claim_owner_sign(l->key, &l->job, &l->owner) == PN_OK
               ? EXIT_CODE_OK
               : complain_text(EXIT_CODE_FAILED, "out of memory");
}

enum pn_status launch_check_deps(const struct context *c, const struct manifest *m,
                                 struct pn_err *err)
{
    return m->dep_count == 0 || args_given(&c->args, "dry-run")
               ? PN_OK
               : pn_fail(err, PN_E_UNSUPPORTED,
                         "dependency '%.60s': datasets cannot be fetched by this version; ship "
                         "them as files of the job",
                         m->deps[0].name);
}

enum exit_code launch_seal(const struct context *c, struct launch *l)
{
    struct pn_err err;
    /* Owner and salt break no rule whatever they are: everything else is checked by this. */
    if (home_check(c, &err) != PN_OK || results_check_into(c, &err) != PN_OK ||
        launch_check_deps(c, &l->manifest, &err) != PN_OK ||
        manifest_write(&l->manifest, &l->text, &err) != PN_OK) {
        return complain_usage(&err);
    }
    if (owner_open(c, &l->key, &err) != PN_OK) {
        return complain_file(&err);
    }
    key_pair_public(l->key, &l->manifest.owner);
    random_fill(l->manifest.salt, sizeof l->manifest.salt);
    if (manifest_write(&l->manifest, &l->text, &err) != PN_OK) {
        return complain(&err);
    }
    return launch_sign(l);
}

static enum exit_code print_manifest(const struct context *c, const struct launch *l)
{
    char id[DIGEST_HEX_BYTES];
    digest_hex(&l->job, id);
    if (!c->json) {
        (void)fwrite(l->text.ptr, 1, l->text.len, stdout);
        return EXIT_CODE_OK;
    }
    json_t *json = json_pack("{s:i, s:s, s:s%}", "schema", 1, "id", id, "manifest",
                             (const char *)l->text.ptr, l->text.len);
    print_json(json);
    json_decref(json);
    return EXIT_CODE_OK;
}

/* --- giving it to a peer --- */

static json_t *create_body(const struct launch *l, const struct grant *grant)
{
    uint8_t bytes[GRANT_BYTES_MAX];
    char grant_hex[2 * GRANT_BYTES_MAX + 1];
    char owner_hex[2 * SIGNATURE_BYTES + 1];
    hex_write(grant_write(grant, bytes, sizeof bytes), grant_hex);
    hex_write((struct pn_bytes){l->owner.b, sizeof l->owner.b}, owner_hex);
    return json_pack("{s:s%, s:s, s:s}", "manifest", (const char *)l->text.ptr, l->text.len,
                     "owner_signature", owner_hex, "grant", grant_hex);
}

/* This peer may lead this run of the job. */
static enum pn_status make_grant(const struct launch *l, const struct digest *peer,
                                 struct grant *out)
{
    *out = (struct grant){.job = l->job, .serial = 1, .peer_count = 1, .peers = {*peer}};
    random_fill(&out->run, sizeof out->run);
    return grant_sign(out, l->key);
}

static enum pn_status give(struct home *h, const struct launch *l, struct pn_err *err)
{
    struct grant grant;
    if (make_grant(l, client_peer_id(h->client), &grant) != PN_OK) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    json_t *body = create_body(l, &grant);
    enum pn_status status = body == NULL
                                ? pn_fail(err, PN_E_NO_MEMORY, "out of memory")
                                : client_ask(h->client, "POST", "/v1/jobs", body, NULL, err);
    json_decref(body);
    return status;
}

static enum pn_status start(const struct context *c, struct home *h, const char *id,
                            struct pn_err *err)
{
    char request[REQUEST_BYTES];
    json_t *body = json_pack("{s:I}", "workers", (json_int_t)args_u64(&c->args, "workers"));
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/start", id);
    enum pn_status status = client_order(h->client, "POST", request, body, err);
    json_decref(body);
    return status;
}

static enum exit_code deliver(struct context *c, struct home *h, const struct launch *l,
                              const char *id)
{
    struct pn_err err;
    enum pn_status status = give(h, l, &err);
    const bool new = status == PN_OK;
    const bool here = status == PN_E_EXISTS; /* submitted before: its files may be missing still */
    if (new || here) {
        status = local_files_send(&l->files, &l->manifest, h->client, id, &err);
    }
    if (status == PN_OK) {
        status = start(c, h, id, &err);
        status = here && status == PN_E_EXISTS ? PN_OK : status; /* it runs already */
    }
    if (status != PN_OK && new) { /* half a job is of no use to anybody */
        char request[REQUEST_BYTES];
        client_be_patient(h->client); /* it may be Ctrl-C that has made it half */
        (void)snprintf(request, sizeof request, "/v1/jobs/%s", id);
        (void)client_ask(h->client, "DELETE", request, NULL, NULL, NULL);
    }
    return status == PN_OK ? EXIT_CODE_OK : complain(&err);
}

void launch_print_id(const struct context *c, const char *job_id)
{
    (void)printf(c->json ? "{\"schema\": 1, \"id\": \"%s\"}\n" : "%s\n", job_id);
}

static enum exit_code deliver_and_follow(struct context *c, struct home *h, const struct launch *l)
{
    char id[DIGEST_HEX_BYTES];
    digest_hex(&l->job, id);
    enum exit_code code = deliver(c, h, l, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (!args_given(&c->args, "detach")) {
        (void)fprintf(stderr, "preon: job %s\n", id);
        const struct watch w = {.job_id = id, .into = args_text(&c->args, "into")};
        return watch_job(c, h, &w);
    }
    launch_print_id(c, id);
    return EXIT_CODE_OK;
}

enum exit_code launch_run(struct context *c, struct launch *l)
{
    struct home h;
    if (args_given(&c->args, "dry-run")) {
        return print_manifest(c, l);
    }
    enum exit_code code =
        home_open(c, args_given(&c->args, "detach") ? HOME_TO_LEAVE : HOME_TO_LAUNCH, &h);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = deliver_and_follow(c, &h, l);
    home_close(&h);
    return code;
}
