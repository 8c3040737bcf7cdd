#include "tools/results_fetch_sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "tools/progress.h"

enum { REQUEST_BYTES = 200, PAGE = 64 };

static enum pn_status append(void *arg, struct pn_bytes bytes) { return buffer_append(arg, bytes); }

enum pn_status results_manifest(struct home *h, const char *job_id, struct manifest *out,
                                struct pn_err *err)
{
    char request[REQUEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct digest id;
    struct buffer text;
    manifest_init(out, MANIFEST_JOB);
    buffer_init(&text, MANIFEST_BYTES_MAX);
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/manifest", job_id);
    enum pn_status status = client_fetch(h->client, request, append, &text, err);
    if (status == PN_OK) {
        manifest_id(buffer_bytes(&text), &id);
        digest_hex(&id, hex);
        status =
            strcmp(hex, job_id) == 0
                ? manifest_parse(buffer_bytes(&text), out, err)
                : pn_fail(err, PN_E_MISMATCH, "job %.12s: its manifest has another hash", job_id);
    }
    buffer_fini(&text);
    return status;
}

enum pn_status results_walk(struct home *h, const char *job_id,
                            enum pn_status (*each)(void *arg, const json_t *result,
                                                   struct pn_err *err),
                            void *arg, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (double from = 0; status == PN_OK && from >= 0;) {
        char request[REQUEST_BYTES];
        json_t *page = NULL;
        size_t index = 0;
        const json_t *result = NULL;
        (void)snprintf(request, sizeof request, "/v1/jobs/%s/results?from=%.0f&count=%d", job_id,
                       from, PAGE);
        status = client_ask(h->client, "GET", request, NULL, &page, err);
        json_array_foreach(json_object_get(page, "results"), index, result)
        {
            status = status == PN_OK ? each(arg, result, err) : status;
        }
        const double onwards = progress_number(page, "next");
        from = onwards > from ? onwards : -1; /* 0 on the last page, which names no next one */
        json_decref(page);
    }
    return status;
}

/* Bytes on their way from the peer through the hash to who wants them. */
struct passing {
    struct hash_stream *hash;
    enum pn_status (*take)(void *arg, struct pn_bytes bytes, struct pn_err *err);
    void *arg;
    struct pn_err err; /* of whatever failed first here: libcurl only knows that something did */
};

static enum pn_status pass(void *arg, struct pn_bytes bytes)
{
    struct passing *p = arg;
    if (!hash_stream_update(p->hash, bytes)) {
        return pn_fail(&p->err, PN_E_MISMATCH, "is longer than its size says");
    }
    return p->take(p->arg, bytes, &p->err);
}

enum pn_status
results_output(struct home *h, const char *job_id, uint64_t slice, const json_t *output,
               enum pn_status (*take)(void *arg, struct pn_bytes bytes, struct pn_err *err),
               void *arg, struct pn_err *err)
{
    char request[REQUEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct digest root;
    const struct digest *leaves;
    const uint64_t size = progress_count(output, "size");
    struct passing p = {.take = take, .arg = arg, .err = {PN_OK, ""}};
    if (size > FILE_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "an output of %" PRIu64 " bytes", size);
    }
    p.hash = hash_stream_new(size);
    if (p.hash == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/slices/%" PRIu64 "/outputs/%" PRIu64,
                   job_id, slice, progress_count(output, "index"));
    enum pn_status status = client_fetch(h->client, request, pass, &p, err);
    if (p.err.status != PN_OK) {
        if (err != NULL) {
            *err = p.err;
        }
        status = p.err.status;
    } else if (status == PN_OK) {
        bool whole = hash_stream_final(p.hash, &root, &leaves);
        digest_hex(&root, hex);
        if (!whole || strcmp(hex, progress_text(output, "root")) != 0) {
            status = pn_fail(err, PN_E_MISMATCH, "the bytes that came have another hash");
        }
    }
    hash_stream_free(p.hash);
    return status;
}

bool results_program_is(const struct manifest *m, const char *name)
{
    return m->program_kind == PROGRAM_OWN && m->arg_count > 0 && strcmp(m->args[0], name) == 0;
}
