#include "tools/job_watch_sys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock_sys.h"
#include "tools/commands.h"
#include "tools/hits_sys.h"
#include "tools/human.h"
#include "tools/interrupt_sys.h"
#include "tools/job_results_sys.h"
#include "tools/print_sys.h"
#include "tools/progress.h"

enum {
    REQUEST_BYTES = 160,
    COLUMNS_DEFAULT = 80,
    CHECK_BYTES_MAX = 64 * 1024,
    WAITING_TOLD_MS = 3000, /* shorter waits are not worth a line */
    SILENCE_MS = 60 * 1000, /* nor are these where no progress is asked for */
};

/* What an event handler keeps between events. */
struct view {
    bool terminal;
    bool shown; /* a progress line stands on the terminal */
    bool silent;
    char waiting_for[PROGRESS_BYTES]; /* the cause that was said last */
    json_t *last;                     /* the newest status; owned */
    char trouble[PROGRESS_BYTES];     /* why there is no status any more */
};

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : COLUMNS_DEFAULT;
}

static void clear_line(struct view *v)
{
    if (v->shown) {
        (void)fputs("\r\033[K", stderr);
        v->shown = false;
    }
}

/* Why nothing happens, once for each reason, and whole: a progress line has no room for it. */
static void tell_waiting(struct view *v, const json_t *job)
{
    char line[PROGRESS_BYTES];
    const char *cause = progress_text(job, "waiting.cause");
    const double told_ms = v->silent ? SILENCE_MS : WAITING_TOLD_MS;
    if (progress_number(job, "waiting.for_ms") < told_ms && cause[0] != '\0') {
        return;
    }
    if (strcmp(cause, v->waiting_for) != 0) {
        (void)snprintf(v->waiting_for, sizeof v->waiting_for, "%s", cause);
        if (cause[0] != '\0') {
            clear_line(v);
            (void)fprintf(stderr, "preon: %s\n", progress_waiting(job, line));
        }
    }
}

static void show(struct view *v, const json_t *job)
{
    char line[PROGRESS_BYTES];
    tell_waiting(v, job);
    if (v->terminal && !v->silent) {
        (void)progress_line(job, line);
        clear_line(v);
        (void)fprintf(stderr, "%.*s", (int)progress_fitting(line, columns() - 1), line);
        v->shown = true;
    }
}

static bool on_event(void *arg, const char *name, const json_t *data)
{
    struct view *v = arg;
    if (strcmp(name, "status") != 0) {
        (void)snprintf(v->trouble, sizeof v->trouble, "%s", progress_text(data, "error"));
        return false;
    }
    json_decref(v->last);
    v->last = json_deep_copy(data);
    if (json_is_true(json_object_get(data, "ended"))) {
        return false;
    }
    show(v, data);
    return true;
}

/* --- what came of it --- */

static void print_liars(const json_t *job)
{
    size_t index = 0;
    const json_t *liar = NULL;
    json_array_foreach(json_object_get(job, "liars_shown"), index, liar)
    {
        (void)fprintf(stderr, "preon: worker %.12s lied about slice %.0f: %s\n",
                      progress_text(liar, "worker"), progress_number(liar, "slice"),
                      progress_text(liar, "reason"));
    }
}

static void print_answer(const json_t *job, const struct buffer *check)
{
    char text[HUMAN_BYTES];
    const char *key = NULL;
    json_t *value = NULL;
    json_t *fields = json_object_get(json_object_get(job, "answer"), "fields");
    json_object_foreach(fields, key, value)
    {
        if (strcmp(key, "check") != 0) {
            (void)printf("%-10s %s\n", key, json_string_value(value));
        }
    }
    if (json_object_size(fields) == 0) {
        (void)printf("%s\n", progress_text(job, "answer.line"));
    }
    const double rate = progress_number(job, "answer.rate_per_s");
    if (rate > 0) {
        (void)printf("%-10s %s\n", "rate",
                     human_rate(rate, progress_text(job, "progress.unit"), text));
    }
    (void)printf("%-10s %s\n", "search",
                 human_duration(progress_count(job, "answer.search_ms"), text));
    (void)printf("%-10s %s\n", "received",
                 human_duration(progress_count(job, "answer.received_ms"), text));
    if (check->len > 0) {
        (void)printf("%-10s %.*s\n", "check", (int)check->len, (const char *)check->ptr);
    }
}

struct ending {
    const char *state;
    enum exit_code code;
};

/* Everything but the answer of a search is said in one line. */
static void print_end(const json_t *job, const char *state)
{
    const double failed = progress_number(job, "slices.failed");
    const double final = progress_number(job, "slices.final");
    const double total = progress_number(job, "slices.total");
    const char *reason = progress_text(job, "reason");
    const char *assumption = progress_text(job, "assumption");
    char slices[HUMAN_BYTES];
    (void)human_many(total, "slice", slices);
    if (strcmp(state, "none") == 0) {
        (void)printf("none\n");
        (void)fprintf(stderr, "preon: searched all %s: none exists%s%s\n", slices,
                      assumption[0] != '\0' ? "; " : "", assumption);
    } else if (strcmp(state, "done") == 0) {
        (void)printf("done: %s\n", slices);
    } else if (strcmp(state, "failed") == 0) {
        (void)fprintf(stderr, "preon: failed: %.0f of %s; %s\n", failed, slices, reason);
    } else {
        (void)fprintf(stderr, "preon: %s: %.0f of %s final%s%s\n", state, final, slices,
                      reason[0] != '\0' ? "; " : "", reason);
    }
}

/* What is not true, or could not be told whole, is not printed. */
static enum exit_code print_result(const struct context *c, struct home *h, json_t *job,
                                   enum exit_code code)
{
    const char *state = progress_text(job, "state");
    const bool found = strcmp(state, "found") == 0;
    const bool hits = strcmp(state, "done") == 0 && hits_are_results(job);
    struct buffer check;
    buffer_init(&check, CHECK_BYTES_MAX);
    enum exit_code checked = found ? hits_check_answer(h, job, &check) : EXIT_CODE_OK;
    if (hits) {
        checked = hits_tell(h, progress_text(job, "id"), c->json ? job : NULL);
        code = checked;
    }
    if (checked != EXIT_CODE_OK && checked != EXIT_CODE_NONE) {
        code = checked;
    } else if (c->json) {
        print_json(job);
    } else if (found) {
        print_answer(job, &check);
    } else if (!hits) {
        print_end(job, state);
    }
    buffer_fini(&check);
    return code;
}

enum exit_code watch_result(struct context *c, struct home *h, json_t *job)
{
    static const struct ending ENDINGS[] = {
        {"found", EXIT_CODE_OK},         {"done", EXIT_CODE_OK},
        {"none", EXIT_CODE_NONE},        {"failed", EXIT_CODE_FAILED},
        {"cancelled", EXIT_CODE_FAILED}, {"timed-out", EXIT_CODE_TIMED_OUT},
        {"stopped", EXIT_CODE_FAILED},
    };
    const char *state = progress_text(job, "state");
    const struct ending *ending = NULL;
    for (size_t i = 0; i < sizeof ENDINGS / sizeof ENDINGS[0]; i++) {
        ending = strcmp(ENDINGS[i].state, state) == 0 ? &ENDINGS[i] : ending;
    }
    print_liars(job);
    enum exit_code code = print_result(c, h, job, ending != NULL ? ending->code : EXIT_CODE_FAILED);
    if (progress_number(job, "slices.failed") > 0) {
        results_tell_failed(h, progress_text(job, "id"));
    }
    return code;
}

/* --- watching --- */

static enum exit_code interrupted(struct home *h, const struct watch *w)
{
    if (h->embedded) {
        (void)fprintf(stderr, "preon: stopping; go on with `preon job resume %.12s`\n", w->job_id);
    } else {
        (void)fprintf(stderr, "preon: the peer goes on with the job; `preon job follow %.12s`\n",
                      w->job_id);
    }
    return EXIT_CODE_INTERRUPTED;
}

static enum exit_code ended(struct context *c, struct home *h, const struct watch *w, json_t *job)
{
    enum exit_code code = watch_result(c, h, job);
    if (code == EXIT_CODE_VERIFICATION || code == EXIT_CODE_INTERRUPTED) {
        return code;
    }
    if (w->into != NULL && strcmp(progress_text(job, "state"), "none") != 0) {
        enum exit_code written = results_write(h, w->job_id, w->into, false,
                                               c->json ? RESULTS_BESIDE_JSON : RESULTS_FOR_PEOPLE);
        code = code == EXIT_CODE_OK ? written : code;
    } else if (strcmp(progress_text(job, "state"), "done") == 0 && !c->json &&
               !hits_are_results(job)) {
        (void)fprintf(stderr, "preon: fetch them with `preon job results %.12s -o DIR`\n",
                      w->job_id);
    }
    return code;
}

enum exit_code watch_job(struct context *c, struct home *h, const struct watch *w)
{
    char request[REQUEST_BYTES];
    struct pn_err err;
    struct view v = {.terminal = isatty(STDERR_FILENO) == 1, .silent = w->silent};
    const uint64_t deadline = w->timeout_ms > 0 ? clock_now_ms() + w->timeout_ms : UINT64_MAX;
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/events", w->job_id);
    enum pn_status status = client_follow(h->client, request, deadline, on_event, &v, &err);
    clear_line(&v);
    const bool over = json_is_true(json_object_get(v.last, "ended"));
    enum exit_code code;
    if (over) {
        code = ended(c, h, w, v.last);
    } else if (interrupt_came()) {
        code = interrupted(h, w);
    } else if (status == PN_E_TIMEOUT) {
        char text[HUMAN_BYTES];
        code = complain_text(EXIT_CODE_TIMED_OUT, "job %.12s has not ended within %s", w->job_id,
                             human_duration(w->timeout_ms, text));
    } else if (v.trouble[0] != '\0') {
        code = complain_text(EXIT_CODE_FAILED, "job %.12s: %s", w->job_id, v.trouble);
    } else if (status == PN_E_DENIED) {
        (void)complain(&err);
        code = EXIT_CODE_UNREACHABLE;
    } else if (status == PN_OK || status == PN_E_CLOSED) {
        code =
            complain_text(EXIT_CODE_UNREACHABLE,
                          "the peer has ended; start it and `preon job follow %.12s`", w->job_id);
    } else {
        code = complain(&err);
    }
    json_decref(v.last);
    return code;
}

/* --- commands --- */

/* No peer runs: what has ended is told, and nothing else would ever come. */
static enum exit_code watch_stillness(struct context *c, struct home *h, const struct watch *w)
{
    char request[REQUEST_BYTES];
    struct pn_err err;
    json_t *job = NULL;
    (void)snprintf(request, sizeof request, "/v1/jobs/%s", w->job_id);
    if (client_ask(h->client, "GET", request, NULL, &job, &err) != PN_OK) {
        return complain(&err);
    }
    const bool over = json_is_true(json_object_get(job, "ended"));
    json_decref(job);
    return over ? watch_job(c, h, w)
                : complain_text(EXIT_CODE_UNREACHABLE,
                                "no peer runs here to go on with job %.12s; start `preon peer`, or "
                                "`preon job resume %.12s`",
                                w->job_id, w->job_id);
}

static enum exit_code follow(struct context *c, bool silent)
{
    struct home h;
    char id[DIGEST_HEX_BYTES];
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    const struct watch w = {
        .job_id = id, .timeout_ms = args_u64(&c->args, "timeout"), .silent = silent};
    code = h.embedded ? watch_stillness(c, &h, &w) : watch_job(c, &h, &w);
    home_close(&h);
    return code;
}

enum exit_code command_follow(struct context *c) { return follow(c, false); }

enum exit_code command_wait(struct context *c) { return follow(c, true); }
