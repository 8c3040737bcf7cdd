#include "tools/job_results_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/manifest.h"
#include "jobs/mandelbrot/mandelbrot_sys.h"
#include "jobs/nonce/nonce_report.h"
#include "jobs/nonce/nonce_verify.h"
#include "tools/commands.h"
#include "tools/human.h"
#include "tools/paths_sys.h"
#include "tools/print_sys.h"
#include "tools/progress.h"

enum { REQUEST_BYTES = 200, PAGE = 64, FAILED_SHOWN_MAX = 5, SHELL_LINE_BYTES_MAX = 64 * 1024 };

/* --- the job's manifest --- */

static enum pn_status append(void *arg, struct pn_bytes bytes) { return buffer_append(arg, bytes); }

/* Fetches and parses it; its hash must be the job's ID. *out is initialised in any case. */
static enum pn_status fetch_manifest(struct home *h, const char *job_id, struct manifest *out,
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

/* --- where an output goes --- */

struct sink {
    FILE *file; /* the output's own, or NULL */
    struct mandelbrot_png *png;
    struct buffer *memory;
    struct hash_stream *hash;
    struct pn_err err; /* of whatever failed first */
};

static enum pn_status sink_bytes(void *arg, struct pn_bytes bytes)
{
    struct sink *s = arg;
    if (!hash_stream_update(s->hash, bytes)) {
        return pn_fail(&s->err, PN_E_MISMATCH, "is longer than its size says");
    }
    if (s->png != NULL) {
        return mandelbrot_png_add(s->png, bytes, &s->err);
    }
    if (s->memory != NULL) {
        return buffer_append(s->memory, bytes);
    }
    if (fwrite(bytes.ptr, 1, bytes.len, s->file) != bytes.len) {
        return pn_fail(&s->err, errno == ENOSPC ? PN_E_FULL : PN_E_SYSTEM, "%s", strerror(errno));
    }
    return PN_OK;
}

/* One output through a sink, checked against its root. */
static enum pn_status fetch_output(struct home *h, const char *job_id, uint64_t slice,
                                   const json_t *output, struct sink *s, struct pn_err *err)
{
    char request[REQUEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct digest root;
    const struct digest *leaves;
    const uint64_t size = progress_count(output, "size");
    const uint64_t index = progress_count(output, "index");
    if (size > FILE_BYTES_MAX) {
        return pn_fail(err, PN_E_TOO_BIG, "an output of %" PRIu64 " bytes", size);
    }
    s->hash = hash_stream_new(size);
    s->err = (struct pn_err){PN_OK, ""};
    if (s->hash == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/slices/%" PRIu64 "/outputs/%" PRIu64,
                   job_id, slice, index);
    enum pn_status status = client_fetch(h->client, request, sink_bytes, s, err);
    if (s->err.status != PN_OK) {
        *err = s->err;
        status = s->err.status;
    } else if (status == PN_OK) {
        bool whole = hash_stream_final(s->hash, &root, &leaves);
        digest_hex(&root, hex);
        if (!whole || strcmp(hex, progress_text(output, "root")) != 0) {
            status = pn_fail(err, PN_E_MISMATCH, "the bytes that came have another hash");
        }
    }
    hash_stream_free(s->hash);
    s->hash = NULL;
    return status;
}

/* --- files --- */

/*
 * Opens "=part" beside path, which the caller renames: no output can have that name (manifest.h),
 * and a path whose name is as long as names may be leaves no room for a longer one. What lies there
 * already is replaced and not written through: it could be a link to elsewhere.
 */
static FILE *open_part(const char *path, char part[PATH_BYTES_MAX], struct pn_err *err)
{
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    if (snprintf(part, PATH_BYTES_MAX, "%.*s=part", folder, path) >= PATH_BYTES_MAX) {
        (void)pn_fail(err, PN_E_TOO_BIG, "%.100s…: the path is too long", path);
        return NULL;
    }
    if (paths_make_parent(path, 0777, err) != PN_OK) {
        return NULL;
    }
    (void)unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file == NULL) {
        (void)pn_fail(err, PN_E_SYSTEM, "%s: %s", part, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return file;
}

/* Closes and puts into place, or removes: *status tells which and may get worse. */
static void close_part(FILE *file, const char *part, const char *path, enum pn_status *status,
                       struct pn_err *err)
{
    bool closed = fclose(file) == 0;
    if (*status == PN_OK && (!closed || rename(part, path) != 0)) {
        *status = pn_fail(err, errno == ENOSPC ? PN_E_FULL : PN_E_SYSTEM, "%s: %s", path,
                          strerror(errno));
    }
    if (*status != PN_OK) {
        (void)unlink(part);
    }
}

static enum pn_status write_output(struct home *h, const char *job_id, uint64_t slice,
                                   const json_t *output, const char *path, struct pn_err *err)
{
    char part[PATH_BYTES_MAX];
    struct sink s = {.file = open_part(path, part, err)};
    if (s.file == NULL) {
        return err->status;
    }
    enum pn_status status = fetch_output(h, job_id, slice, output, &s, err);
    if (status != PN_OK) {
        pn_err_wrap(err, "%s", path);
    }
    close_part(s.file, part, path, &status, err);
    return status;
}

/* --- walking over the results --- */

struct walk {
    struct home *home;
    const char *job_id;
    const struct manifest *manifest;
    const char *into;
    struct sink picture;
    uint64_t next_slice; /* of a picture: they must come without gaps */
    struct hits *hits;
    json_t *all; /* of a list: what was seen; owned */
    uint64_t files;
};

typedef enum pn_status (*walk_each)(struct walk *w, const json_t *result, struct pn_err *err);

static enum pn_status walk_results(struct walk *w, walk_each each, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    for (double from = 0; status == PN_OK && from >= 0;) {
        char request[REQUEST_BYTES];
        json_t *page = NULL;
        size_t index = 0;
        const json_t *result = NULL;
        (void)snprintf(request, sizeof request, "/v1/jobs/%s/results?from=%.0f&count=%d", w->job_id,
                       from, PAGE);
        status = client_ask(w->home->client, "GET", request, NULL, &page, err);
        json_array_foreach(json_object_get(page, "results"), index, result)
        {
            status = status == PN_OK ? each(w, result, err) : status;
        }
        const json_t *next = json_object_get(page, "next");
        const double onwards = json_number_value(next);
        from = onwards > from ? onwards : -1; /* 0 on the last page, which names no next one */
        json_decref(page);
    }
    return status;
}

static enum pn_status write_slice(struct walk *w, const json_t *result, struct pn_err *err)
{
    size_t index = 0;
    const json_t *output = NULL;
    enum pn_status status = PN_OK;
    const uint64_t slice = progress_count(result, "slice");
    json_array_foreach(json_object_get(result, "outputs"), index, output)
    {
        char path[PATH_BYTES_MAX];
        const double which = progress_number(output, "index");
        if (status != PN_OK) {
            break;
        }
        if (which < 0 || which >= w->manifest->output_count) {
            return pn_fail(err, PN_E_MISMATCH, "slice %" PRIu64 ": an output that no name is for",
                           slice);
        }
        const char *name = w->manifest->outputs[(size_t)which];
        if (snprintf(path, sizeof path, "%s/%" PRIu64 "/%s", w->into, slice, name) >=
            (int)sizeof path) {
            return pn_fail(err, PN_E_TOO_BIG, "%.100s…: the path is too long", path);
        }
        status = write_output(w->home, w->job_id, slice, output, path, err);
        w->files += status == PN_OK;
    }
    return status;
}

static enum pn_status draw_slice(struct walk *w, const json_t *result, struct pn_err *err)
{
    const json_t *output = json_array_get(json_object_get(result, "outputs"), 0);
    const uint64_t slice = progress_count(result, "slice");
    if (output == NULL || slice != w->next_slice) {
        return pn_fail(err, PN_E_NOT_FOUND, "slice %" PRIu64 " has no result (yet); see --raw",
                       w->next_slice);
    }
    w->next_slice++;
    return fetch_output(w->home, w->job_id, slice, output, &w->picture, err);
}

static enum pn_status keep_slice(struct walk *w, const json_t *result, struct pn_err *err)
{
    return json_array_append_new(w->all, json_deep_copy(result)) == 0
               ? PN_OK
               : pn_fail(err, PN_E_NO_MEMORY, "out of memory");
}

static enum pn_status write_picture(struct walk *w, struct pn_err *err)
{
    const struct manifest *m = w->manifest;
    struct mandelbrot_view view;
    char path[PATH_BYTES_MAX];
    char part[PATH_BYTES_MAX];
    enum pn_status status =
        mandelbrot_view_parse((const char *const *)m->args + 1, m->arg_count - 1, &view, err);
    if (status != PN_OK) {
        return status;
    }
    if (snprintf(path, sizeof path, "%s/%s.png", w->into, m->name) >= (int)sizeof path) {
        return pn_fail(err, PN_E_TOO_BIG, "%.100s…: the path is too long", path);
    }
    FILE *file = open_part(path, part, err);
    if (file == NULL) {
        return err->status;
    }
    status = mandelbrot_png_new(&view, file, &w->picture.png, err);
    if (status == PN_OK) {
        status = walk_results(w, draw_slice, err);
    }
    if (status == PN_OK && w->next_slice != m->slice_count) {
        status = pn_fail(err, PN_E_NOT_FOUND, "slice %" PRIu64 " has no result (yet); see --raw",
                         w->next_slice);
    }
    if (status == PN_OK) {
        status = mandelbrot_png_end(w->picture.png, err);
    }
    mandelbrot_png_free(w->picture.png);
    close_part(file, part, path, &status, err);
    if (status == PN_OK) {
        (void)printf("%s\n", path);
    }
    return status;
}

static bool is_program(const struct manifest *m, const char *name)
{
    return m->program_kind == PROGRAM_OWN && m->arg_count > 0 && strcmp(m->args[0], name) == 0;
}

enum exit_code results_write(struct home *h, const char *job_id, const char *into, bool raw)
{
    struct pn_err err;
    struct manifest m;
    struct walk w = {.home = h, .job_id = job_id, .manifest = &m, .into = into};
    enum pn_status status = fetch_manifest(h, job_id, &m, &err);
    if (status == PN_OK && is_program(&m, "mandelbrot@1") && !raw) {
        status = write_picture(&w, &err);
    } else if (status == PN_OK) {
        status = walk_results(&w, write_slice, &err);
        if (status == PN_OK) {
            (void)fprintf(stderr, "preon: %" PRIu64 " files in %s\n", w.files, into);
        }
    }
    manifest_fini(&m);
    return status == PN_OK ? EXIT_CODE_OK : complain(&err);
}

/* --- the hits of a search for all --- */

struct hits {
    struct nonce_puzzle puzzle;
    struct nonce_report report;
    uint64_t found;  /* by the slices */
    uint64_t listed; /* of these, by their reports */
    uint64_t first;
};

static enum pn_status print_hit(struct hits *h, uint64_t nonce, struct pn_err *err)
{
    struct nonce_proof proof;
    enum pn_status status = nonce_verify(&h->puzzle, nonce, &proof, err);
    if (status == PN_OK && !proof.hit) {
        status = pn_fail(err, PN_E_MISMATCH, "nonce %" PRIu64 " is no hit", nonce);
    }
    if (status == PN_OK) {
        h->first = h->listed++ == 0 ? nonce : h->first;
        (void)printf("nonce %" PRIu64 " hash %s zero_bits %" PRIu32 "\n", nonce, proof.digest,
                     proof.zero_bits);
    }
    return status;
}

static enum pn_status print_slice_hits(struct walk *w, const json_t *result, struct pn_err *err)
{
    struct hits *h = w->hits;
    struct buffer bytes;
    const json_t *output = json_array_get(json_object_get(result, "outputs"), 0);
    const uint64_t slice = progress_count(result, "slice");
    if (output == NULL) {
        return PN_OK; /* a slice that failed */
    }
    buffer_init(&bytes, NONCE_REPORT_BYTES_MAX);
    struct sink s = {.memory = &bytes};
    enum pn_status status = fetch_output(w->home, w->job_id, slice, output, &s, err);
    if (status == PN_OK) {
        status = nonce_report_parse(buffer_bytes(&bytes), &h->report, err);
    }
    buffer_fini(&bytes);
    if (status != PN_OK) {
        pn_err_wrap(err, "slice %" PRIu64, slice);
        return status;
    }
    h->found += h->report.hit_total;
    for (uint32_t i = 0; i < h->report.hit_count && status == PN_OK; i++) {
        status = print_hit(h, h->report.hits[i], err);
    }
    return status;
}

/* What they sum up to, and how to check the first, for people. */
static void tell_hits(const struct manifest *m, const struct hits *h)
{
    struct buffer line;
    buffer_init(&line, SHELL_LINE_BYTES_MAX);
    (void)fprintf(stderr, "preon: %" PRIu64 " hits in %" PRIu32 " slices", h->found,
                  m->slice_count);
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

static enum exit_code print_hits(struct home *h, const char *job_id, const struct manifest *m)
{
    struct pn_err err;
    struct walk w = {.home = h, .job_id = job_id, .manifest = m, .hits = malloc(sizeof *w.hits)};
    if (w.hits == NULL) {
        return complain_text(EXIT_CODE_FAILED, "out of memory");
    }
    w.hits->found = w.hits->listed = w.hits->first = 0;
    enum pn_status status =
        nonce_args_parse((const char *const *)m->args + 1, m->arg_count - 1, &w.hits->puzzle, &err);
    if (status == PN_OK) {
        status = walk_results(&w, print_slice_hits, &err);
    }
    enum exit_code code = EXIT_CODE_OK;
    if (status != PN_OK) {
        code = complain(&err);
    } else {
        if (w.hits->found == 0) {
            (void)printf("none\n");
        }
        tell_hits(m, w.hits);
        code = w.hits->found > 0 ? EXIT_CODE_OK : EXIT_CODE_NONE;
    }
    free(w.hits);
    return code;
}

bool results_are_hits(const json_t *job)
{
    return strcmp(progress_text(job, "program"), "program:nonce@1") == 0;
}

enum exit_code results_print_hits(struct home *h, const char *job_id)
{
    struct pn_err err;
    struct manifest m;
    enum exit_code code =
        fetch_manifest(h, job_id, &m, &err) == PN_OK ? print_hits(h, job_id, &m) : complain(&err);
    manifest_fini(&m);
    return code;
}

/* --- failed slices --- */

/* The walk goes on: a job with failures has few of them, or they stand at its beginning. */
static enum pn_status tell_failed(struct walk *w, const json_t *result, struct pn_err *err)
{
    const char *outcome = progress_text(result, "outcome");
    if (strcmp(outcome, "exit 0") == 0) {
        return PN_OK;
    }
    if (w->files++ == FAILED_SHOWN_MAX) {
        return pn_fail(err, PN_E_FULL, "enough");
    }
    (void)fprintf(stderr, "preon: slice %.0f: %s; `preon job log %.12s %.0f`\n",
                  progress_number(result, "slice"), outcome, w->job_id,
                  progress_number(result, "slice"));
    return PN_OK;
}

void results_tell_failed(struct home *h, const char *job_id)
{
    struct pn_err err;
    struct walk w = {.home = h, .job_id = job_id};
    (void)walk_results(&w, tell_failed, &err); /* what is said beside the result may fail */
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

enum exit_code results_check_answer(struct home *h, const json_t *job, struct buffer *check)
{
    struct pn_err err;
    struct manifest m;
    enum pn_status status = fetch_manifest(h, progress_text(job, "id"), &m, &err);
    if (status == PN_OK && is_program(&m, "nonce@1")) {
        status = check_nonce(&m, job, check, &err);
    }
    manifest_fini(&m);
    return status == PN_OK ? EXIT_CODE_OK : complain(&err);
}

/* --- the command --- */

static void print_results(const struct manifest *m, const json_t *all)
{
    size_t index = 0;
    const json_t *result = NULL;
    json_array_foreach(all, index, result)
    {
        size_t place = 0;
        const json_t *output = NULL;
        (void)printf("%-10.0f %-24s", progress_number(result, "slice"),
                     progress_text(result, "outcome"));
        json_array_foreach(json_object_get(result, "outputs"), place, output)
        {
            const size_t which = (size_t)progress_number(output, "index");
            (void)printf("  %s (%.0f bytes)", which < m->output_count ? m->outputs[which] : "?",
                         progress_number(output, "size"));
        }
        (void)putchar('\n');
    }
}

static enum exit_code list_results(struct context *c, struct home *h, const char *job_id)
{
    struct pn_err err;
    struct manifest m;
    struct walk w = {.home = h, .job_id = job_id, .manifest = &m, .all = json_array()};
    enum exit_code code = EXIT_CODE_OK;
    enum pn_status status = fetch_manifest(h, job_id, &m, &err);
    if (status == PN_OK) {
        status = walk_results(&w, keep_slice, &err);
    }
    if (status == PN_OK && c->json) {
        json_t *json = json_pack("{s:i, s:s, s:O}", "schema", 1, "id", job_id, "results", w.all);
        print_json(json);
        json_decref(json);
    } else if (status == PN_OK && is_program(&m, "nonce@1") && m.stop == STOP_ALL) {
        code = print_hits(h, job_id, &m);
    } else if (status == PN_OK) {
        print_results(&m, w.all);
    }
    code = status == PN_OK ? code : complain(&err);
    json_decref(w.all);
    manifest_fini(&m);
    return code;
}

enum exit_code command_results(struct context *c)
{
    struct home h;
    char id[DIGEST_HEX_BYTES];
    const char *into = args_text(&c->args, "into");
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = into != NULL ? results_write(&h, id, into, args_given(&c->args, "raw"))
                        : list_results(c, &h, id);
    home_close(&h);
    return code;
}
