#include "tools/job_results_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs/mandelbrot/mandelbrot_sys.h"
#include "tools/commands.h"
#include "tools/hits_sys.h"
#include "tools/human.h"
#include "tools/paths_sys.h"
#include "tools/print_sys.h"
#include "tools/progress.h"
#include "tools/results_fetch_sys.h"

enum { FAILED_SHOWN_MAX = 5 };

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

static enum pn_status to_file(void *arg, struct pn_bytes bytes, struct pn_err *err)
{
    return fwrite(bytes.ptr, 1, bytes.len, arg) == bytes.len
               ? PN_OK
               : pn_fail(err, errno == ENOSPC ? PN_E_FULL : PN_E_SYSTEM, "%s", strerror(errno));
}

static enum pn_status to_picture(void *arg, struct pn_bytes bytes, struct pn_err *err)
{
    return mandelbrot_png_add(arg, bytes, err);
}

static enum pn_status write_output(struct home *h, const char *job_id, uint64_t slice,
                                   const json_t *output, const char *path, struct pn_err *err)
{
    char part[PATH_BYTES_MAX];
    FILE *file = open_part(path, part, err);
    if (file == NULL) {
        return err->status;
    }
    enum pn_status status = results_output(h, job_id, slice, output, to_file, file, err);
    if (status != PN_OK) {
        pn_err_wrap(err, "%s", path);
    }
    close_part(file, part, path, &status, err);
    return status;
}

/* --- walking over the results --- */

struct walk {
    struct home *home;
    const char *job_id;
    const struct manifest *manifest;
    const char *into;
    struct mandelbrot_png *png;
    uint64_t next_slice; /* of a picture: they must come without gaps */
    json_t *all;         /* of a list: what was seen; owned */
    uint64_t files;
    char path[PATH_BYTES_MAX]; /* the picture's */
};

static enum pn_status write_slice(void *arg, const json_t *result, struct pn_err *err)
{
    struct walk *w = arg;
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

static enum pn_status draw_slice(void *arg, const json_t *result, struct pn_err *err)
{
    struct walk *w = arg;
    const json_t *output = json_array_get(json_object_get(result, "outputs"), 0);
    const uint64_t slice = progress_count(result, "slice");
    if (output == NULL || slice != w->next_slice) {
        return pn_fail(err, PN_E_NOT_FOUND, "slice %" PRIu64 " has no result (yet); see --raw",
                       w->next_slice);
    }
    w->next_slice++;
    return results_output(w->home, w->job_id, slice, output, to_picture, w->png, err);
}

static enum pn_status keep_slice(void *arg, const json_t *result, struct pn_err *err)
{
    struct walk *w = arg;
    return json_array_append_new(w->all, json_deep_copy(result)) == 0
               ? PN_OK
               : pn_fail(err, PN_E_NO_MEMORY, "out of memory");
}

static enum pn_status write_picture(struct walk *w, struct pn_err *err)
{
    const struct manifest *m = w->manifest;
    struct mandelbrot_view view;
    char part[PATH_BYTES_MAX];
    enum pn_status status =
        mandelbrot_view_parse((const char *const *)m->args + 1, m->arg_count - 1, &view, err);
    if (status != PN_OK) {
        return status;
    }
    if (snprintf(w->path, sizeof w->path, "%s/%s.png", w->into, m->name) >= (int)sizeof w->path) {
        return pn_fail(err, PN_E_TOO_BIG, "%.100s…: the path is too long", w->path);
    }
    FILE *file = open_part(w->path, part, err);
    if (file == NULL) {
        return err->status;
    }
    status = mandelbrot_png_new(&view, file, &w->png, err);
    if (status == PN_OK) {
        status = results_walk(w->home, w->job_id, draw_slice, w, err);
    }
    if (status == PN_OK && w->next_slice != m->slice_count) {
        status = pn_fail(err, PN_E_NOT_FOUND, "slice %" PRIu64 " has no result (yet); see --raw",
                         w->next_slice);
    }
    if (status == PN_OK) {
        status = mandelbrot_png_end(w->png, err);
    }
    mandelbrot_png_free(w->png);
    close_part(file, part, w->path, &status, err);
    return status;
}

/* What was written where; a picture has its path. */
static void tell_written(const struct walk *w, enum results_tale tale)
{
    const bool picture = w->path[0] != '\0';
    if (tale == RESULTS_AS_JSON) {
        json_t *json = json_pack("{s:i, s:s, s:s, s:I, s:s*}", "schema", 1, "id", w->job_id, "into",
                                 w->into, "files", picture ? (json_int_t)1 : (json_int_t)w->files,
                                 "picture", picture ? w->path : NULL);
        print_json(json);
        json_decref(json);
    } else if (picture && tale == RESULTS_FOR_PEOPLE) {
        (void)printf("%s\n", w->path);
    } else if (picture) {
        (void)fprintf(stderr, "preon: %s\n", w->path);
    } else {
        char files[HUMAN_BYTES];
        (void)fprintf(stderr, "preon: %s in %s\n", human_many((double)w->files, "file", files),
                      w->into);
    }
}

enum exit_code results_write(struct home *h, const char *job_id, const char *into, bool raw,
                             enum results_tale tale)
{
    struct pn_err err;
    struct manifest m;
    struct walk w = {.home = h, .job_id = job_id, .manifest = &m, .into = into};
    enum pn_status status = results_manifest(h, job_id, &m, &err);
    if (status == PN_OK) {
        const bool picture = results_program_is(&m, "mandelbrot@1") && !raw;
        status = picture ? write_picture(&w, &err) : results_walk(h, job_id, write_slice, &w, &err);
    }
    if (status == PN_OK) {
        tell_written(&w, tale);
    }
    manifest_fini(&m);
    return status == PN_OK ? EXIT_CODE_OK : complain(&err);
}

enum pn_status results_check_into(const struct context *c, struct pn_err *err)
{
    const char *into = args_text(&c->args, "into");
    enum pn_status status = into == NULL ? PN_OK : paths_check_folder(into, err);
    if (status != PN_OK) {
        pn_err_wrap(err, "--into");
    }
    return status;
}

/* --- failed slices --- */

/* The walk goes on: a job with failures has few of them, or they stand at its beginning. */
static enum pn_status tell_failed(void *arg, const json_t *result, struct pn_err *err)
{
    struct walk *w = arg;
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
    (void)results_walk(h, job_id, tell_failed, &w,
                       &err); /* what is said beside the result may fail */
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
    enum pn_status status = results_manifest(h, job_id, &m, &err);
    if (status == PN_OK) {
        status = results_walk(h, job_id, keep_slice, &w, &err);
    }
    const bool hits = status == PN_OK && results_program_is(&m, "nonce@1") && m.stop == STOP_ALL;
    if (status == PN_OK && c->json) {
        json_t *json = json_pack("{s:i, s:s, s:O}", "schema", 1, "id", job_id, "results", w.all);
        code = hits ? hits_tell(h, job_id, json) : code;
        if (code == EXIT_CODE_OK || code == EXIT_CODE_NONE) {
            print_json(json);
        }
        json_decref(json);
    } else if (hits) {
        code = hits_tell(h, job_id, NULL);
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
    struct pn_err err;
    const char *into = args_text(&c->args, "into");
    if (results_check_into(c, &err) != PN_OK) {
        return complain_usage(&err);
    }
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = into != NULL ? results_write(&h, id, into, args_given(&c->args, "raw"),
                                        c->json ? RESULTS_AS_JSON : RESULTS_FOR_PEOPLE)
                        : list_results(c, &h, id);
    home_close(&h);
    return code;
}
