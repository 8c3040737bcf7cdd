#include "tools/hits_sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobs/nonce/nonce_report.h"
#include "jobs/nonce/nonce_verify.h"
#include "tools/human.h"
#include "tools/progress.h"
#include "tools/results_fetch_sys.h"

enum { SHELL_LINE_BYTES_MAX = 64 * 1024 };

/* --- the hits of a search for all --- */

struct hits {
    struct home *home;
    const char *job_id;
    const struct manifest *manifest;
    struct nonce_puzzle puzzle;
    struct nonce_report report; /* of the slice at hand */
    json_t *list;               /* borrowed; NULL: they are printed */
    uint64_t searched;          /* slices that have a report */
    uint64_t found;             /* by the slices */
    uint64_t listed;            /* of these, by their reports */
    uint64_t first;
};

static enum pn_status list_hit(json_t *list, uint64_t nonce, const struct nonce_proof *proof,
                               struct pn_err *err)
{
    char text[24]; /* a number of JSON holds 53 bits for many readers */
    (void)snprintf(text, sizeof text, "%" PRIu64, nonce);
    json_t *hit = json_pack("{s:s, s:s, s:I}", "nonce", text, "hash", proof->digest, "zero_bits",
                            (json_int_t)proof->zero_bits);
    return json_array_append_new(list, hit) == 0 ? PN_OK
                                                 : pn_fail(err, PN_E_NO_MEMORY, "out of memory");
}

static enum pn_status take_hit(struct hits *h, uint64_t nonce, struct pn_err *err)
{
    struct nonce_proof proof;
    enum pn_status status = nonce_verify(&h->puzzle, nonce, &proof, err);
    if (status == PN_OK && !proof.hit) {
        status = pn_fail(err, PN_E_MISMATCH, "nonce %" PRIu64 " is no hit", nonce);
    }
    if (status != PN_OK) {
        return status;
    }
    h->first = h->listed++ == 0 ? nonce : h->first;
    if (h->list != NULL) {
        return list_hit(h->list, nonce, &proof, err);
    }
    (void)printf("nonce %" PRIu64 " hash %s zero_bits %" PRIu32 "\n", nonce, proof.digest,
                 proof.zero_bits);
    return PN_OK;
}

static enum pn_status take_bytes(void *arg, struct pn_bytes bytes, struct pn_err *err)
{
    enum pn_status status = buffer_append(arg, bytes);
    return status == PN_OK ? PN_OK : pn_fail(err, status, "%s", pn_status_text(status));
}

static enum pn_status take_slice(void *arg, const json_t *result, struct pn_err *err)
{
    struct hits *h = arg;
    struct buffer bytes;
    const json_t *output = json_array_get(json_object_get(result, "outputs"), 0);
    const uint64_t slice = progress_count(result, "slice");
    if (output == NULL) {
        return PN_OK; /* a slice that failed */
    }
    buffer_init(&bytes, NONCE_REPORT_BYTES_MAX);
    enum pn_status status =
        results_output(h->home, h->job_id, slice, output, take_bytes, &bytes, err);
    if (status == PN_OK) {
        status = nonce_report_parse(buffer_bytes(&bytes), &h->report, err);
    }
    buffer_fini(&bytes);
    if (status != PN_OK) {
        pn_err_wrap(err, "slice %" PRIu64, slice);
        return status;
    }
    h->searched++;
    h->found += h->report.hit_total;
    for (uint32_t i = 0; i < h->report.hit_count && status == PN_OK; i++) {
        status = take_hit(h, h->report.hits[i], err);
    }
    return status;
}

/* What they sum up to, and how to check the first, for people. */
static void say_sum(const struct hits *h)
{
    const struct manifest *m = h->manifest;
    struct buffer line;
    char text[HUMAN_BYTES];
    buffer_init(&line, SHELL_LINE_BYTES_MAX);
    (void)fprintf(stderr, "preon: %s in ", human_many((double)h->found, "hit", text));
    if (h->searched < m->slice_count) {
        (void)fprintf(stderr, "%" PRIu64 " of ", h->searched);
    }
    (void)fprintf(stderr, "%s", human_many(m->slice_count, "slice", text));
    if (h->listed < h->found) {
        (void)fprintf(stderr, ", %" PRIu64 " of them listed", h->listed);
    }
    if (h->listed > 0 && nonce_verify_words((const char *const *)m->args + 1, m->arg_count - 1,
                                            h->first, &line, NULL) == PN_OK) {
        (void)fprintf(stderr, "; check the first: %.*s", (int)line.len, (const char *)line.ptr);
    }
    (void)fprintf(stderr, "\n");
    buffer_fini(&line);
}

static enum pn_status walk(struct home *home, const char *job_id, struct hits *h,
                           struct manifest *m, struct pn_err *err)
{
    enum pn_status status = results_manifest(home, job_id, m, err);
    h->home = home;
    h->job_id = job_id;
    h->manifest = m;
    if (status == PN_OK) {
        status =
            nonce_args_parse((const char *const *)m->args + 1, m->arg_count - 1, &h->puzzle, err);
    }
    return status == PN_OK ? results_walk(home, job_id, take_slice, h, err) : status;
}

enum exit_code hits_tell(struct home *home, const char *job_id, json_t *out)
{
    struct pn_err err;
    struct manifest m;
    struct hits *h = calloc(1, sizeof *h);
    json_t *list = out != NULL ? json_array() : NULL;
    if (h == NULL || (out != NULL && list == NULL)) {
        free(h);
        json_decref(list);
        return complain_text(EXIT_CODE_FAILED, "out of memory");
    }
    h->list = list;
    enum exit_code code = EXIT_CODE_OK;
    if (walk(home, job_id, h, &m, &err) != PN_OK) {
        code = complain(&err);
    } else {
        const bool none = h->found == 0 && h->searched == m.slice_count;
        if (out != NULL) {
            (void)json_object_set(out, "hits", list);
            (void)json_object_set_new(out, "hits_total", json_integer((json_int_t)h->found));
            (void)json_object_set_new(out, "slices_searched",
                                      json_integer((json_int_t)h->searched));
        } else {
            (void)fputs(none ? "none\n" : "", stdout);
            say_sum(h);
        }
        code = none ? EXIT_CODE_NONE : EXIT_CODE_OK;
    }
    manifest_fini(&m);
    json_decref(list);
    free(h);
    return code;
}

bool hits_are_results(const json_t *job)
{
    return strcmp(progress_text(job, "program"), "program:nonce@1") == 0;
}

/* --- the answer of a search --- */

/* check: the line to run by hand is appended to it. */
static enum pn_status check_nonce(const struct manifest *m, const json_t *job, struct buffer *check,
                                  struct pn_err *err)
{
    struct nonce_puzzle puzzle;
    struct nonce_proof proof = {.hit = false};
    uint64_t nonce = 0;
    const char *const *words = (const char *const *)m->args + 1;
    const char *text = progress_text(job, "answer.fields.nonce");
    enum pn_status status = nonce_args_parse(words, m->arg_count - 1, &puzzle, err);
    if (status == PN_OK) {
        status = args_number(ARGS_U64, text, &nonce, err);
    }
    if (status == PN_OK) {
        status = nonce_verify(&puzzle, nonce, &proof, err);
    }
    if (status == PN_OK && !proof.hit) {
        status =
            pn_fail(err, PN_E_MISMATCH, "nonce %s is no hit: this peer's answer is false", text);
    }
    return status == PN_OK ? nonce_verify_words(words, m->arg_count - 1, nonce, check, err)
                           : status;
}

enum exit_code hits_check_answer(struct home *h, const json_t *job, struct buffer *check)
{
    struct pn_err err;
    struct manifest m;
    enum pn_status status = results_manifest(h, progress_text(job, "id"), &m, &err);
    if (status == PN_OK && results_program_is(&m, "nonce@1")) {
        status = check_nonce(&m, job, check, &err);
    }
    manifest_fini(&m);
    return status == PN_OK ? EXIT_CODE_OK : complain(&err);
}
