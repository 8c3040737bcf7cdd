#include <stdio.h>

#include "tools/commands.h"
#include "tools/home_sys.h"
#include "tools/human.h"
#include "tools/print_sys.h"
#include "tools/progress.h"

enum { REQUEST_BYTES = 160 };

/* What a job says about itself in a list: why it waits or ended so, else its name. */
static void print_job_line(const json_t *job)
{
    char line[PROGRESS_BYTES];
    char slices[32];
    const char *why = progress_waiting(job, line);
    why = why[0] != '\0' ? why : progress_text(job, "reason");
    (void)snprintf(slices, sizeof slices, "%.0f/%.0f", progress_number(job, "slices.final"),
                   progress_number(job, "slices.total"));
    (void)printf("%.12s  %-9s  %-12s  %-20s  %s%s%s\n", progress_text(job, "id"),
                 progress_text(job, "state"), slices, progress_text(job, "program"),
                 progress_text(job, "name"), why[0] != '\0' ? "  " : "", why);
}

static void print_jobs(const json_t *jobs)
{
    size_t index = 0;
    const json_t *job = NULL;
    if (json_array_size(jobs) == 0) {
        (void)fprintf(stderr, "preon: no jobs here; `preon job create --help` makes some\n");
        return;
    }
    (void)printf("%-12s  %-9s  %-12s  %-20s  %s\n", "JOB", "STATE", "FINAL", "PROGRAM", "NAME");
    json_array_foreach(jobs, index, job) { print_job_line(job); }
}

enum exit_code command_list(struct context *c)
{
    struct home h;
    struct pn_err err;
    json_t *answer = NULL;
    enum exit_code code = home_open(c, HOME_TO_LOOK, &h);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (client_ask(h.client, "GET", "/v1/jobs", NULL, &answer, &err) != PN_OK) {
        code = complain(&err);
    } else if (c->json) {
        print_json(answer);
    } else {
        print_jobs(json_object_get(answer, "jobs"));
    }
    json_decref(answer);
    home_close(&h);
    return code;
}

static void print_workers(const json_t *job)
{
    size_t index = 0;
    const json_t *worker = NULL;
    char rate[HUMAN_BYTES];
    char slots[HUMAN_BYTES];
    json_array_foreach(json_object_get(job, "workers_shown"), index, worker)
    {
        const char *address = progress_text(worker, "address");
        (void)printf("  worker     %.12s  %-21s %9s  %6.0f final  %s\n",
                     progress_text(worker, "id"),
                     json_is_true(json_object_get(worker, "own")) ? "this machine" : address,
                     human_many(progress_number(worker, "slots"), "slot", slots),
                     progress_number(worker, "final"),
                     human_rate(progress_number(worker, "rate_per_s"),
                                progress_text(job, "progress.unit"), rate));
    }
    json_array_foreach(json_object_get(job, "liars_shown"), index, worker)
    {
        (void)printf("  liar       %.12s  slice %.0f: %s\n", progress_text(worker, "worker"),
                     progress_number(worker, "slice"), progress_text(worker, "reason"));
    }
}

static void print_count(const json_t *job, const char *path, const char *what)
{
    const double count = progress_number(job, path);
    if (count > 0) {
        (void)printf(", %.0f %s", count, what);
    }
}

static void print_job(const json_t *job)
{
    char line[PROGRESS_BYTES];
    char text[HUMAN_BYTES];
    (void)printf("job %s\n", progress_text(job, "id"));
    (void)printf("  name       %s\n  program    %s\n  state      %s\n", progress_text(job, "name"),
                 progress_text(job, "program"), progress_text(job, "state"));
    if (progress_text(job, "reason")[0] != '\0') {
        (void)printf("  reason     %s\n", progress_text(job, "reason"));
    }
    (void)progress_waiting(job, line);
    const bool waits = line[0] != '\0';
    if (waits) {
        (void)printf("  waiting    %s\n", line + sizeof "waiting: " - 1);
    }
    (void)printf("  slices     %.0f of %.0f final", progress_number(job, "slices.final"),
                 progress_number(job, "slices.total"));
    print_count(job, "slices.failed", "failed");
    print_count(job, "slices.running", "running");
    print_count(job, "slices.provisional", "waiting for another vote");
    print_count(job, "slices.reopened", "reopened");
    (void)putchar('\n');
    if (!json_is_true(json_object_get(job, "ended")) && !waits) {
        (void)printf("  progress   %s\n", progress_line(job, line));
    }
    if (progress_number(job, "elapsed_ms") > 0) {
        (void)printf("  elapsed    %s\n", human_duration(progress_count(job, "elapsed_ms"), text));
    }
    if (json_object_get(job, "answer") != NULL) {
        (void)printf("  answer     %s (slice %.0f)\n", progress_text(job, "answer.line"),
                     progress_number(job, "answer.slice"));
    }
    if (progress_text(job, "assumption")[0] != '\0') {
        (void)printf("  holds if   %s\n", progress_text(job, "assumption"));
    }
    print_workers(job);
}

enum exit_code command_job_status(struct context *c)
{
    struct home h;
    struct pn_err err;
    char id[DIGEST_HEX_BYTES];
    char request[REQUEST_BYTES];
    json_t *job = NULL;
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    (void)snprintf(request, sizeof request, "/v1/jobs/%s", id);
    code = client_ask(h.client, "GET", request, NULL, &job, &err) == PN_OK ? EXIT_CODE_OK
                                                                           : complain(&err);
    if (code == EXIT_CODE_OK && c->json) {
        print_json(job);
    } else if (code == EXIT_CODE_OK) {
        print_job(job);
    }
    json_decref(job);
    home_close(&h);
    return code;
}

/* A slice may have many attempts: the accepted one's texts are the result, the others are told of.
 */
static void print_log(const json_t *answer)
{
    size_t index = 0;
    const json_t *attempt = NULL;
    json_array_foreach(json_object_get(answer, "attempts"), index, attempt)
    {
        (void)fflush(stdout);
        (void)fprintf(stderr, "preon: attempt %.0f by worker %.12s: %s after %.1f s\n",
                      progress_number(attempt, "attempt"), progress_text(attempt, "worker"),
                      progress_text(attempt, "outcome"),
                      progress_number(attempt, "wall_ms") / 1000);
        print_foreign(stdout, progress_text(attempt, "stdout"));
        (void)fflush(stdout);
        print_foreign(stderr, progress_text(attempt, "stderr"));
    }
}

/* A slice that the job does not have is a slip of the hand, not something to wait for. */
static enum exit_code check_slice(struct home *h, const char *id, uint64_t slice)
{
    char request[REQUEST_BYTES];
    struct pn_err err;
    json_t *job = NULL;
    (void)snprintf(request, sizeof request, "/v1/jobs/%s", id);
    if (client_ask(h->client, "GET", request, NULL, &job, &err) != PN_OK) {
        return complain(&err);
    }
    const double total = progress_number(job, "slices.total");
    json_decref(job);
    return (double)slice < total
               ? EXIT_CODE_OK
               : complain_text(EXIT_CODE_USAGE, "slice %llu: job %.12s has slices 0 to %.0f",
                               (unsigned long long)slice, id, total - 1);
}

enum exit_code command_log(struct context *c)
{
    struct home h;
    struct pn_err err;
    char id[DIGEST_HEX_BYTES];
    char request[REQUEST_BYTES];
    uint64_t slice = 0;
    json_t *answer = NULL;
    if (args_number(ARGS_U64, c->args.positionals[1], &slice, &err) != PN_OK) {
        pn_err_wrap(&err, "slice %.40s", c->args.positionals[1]);
        return complain_usage(&err);
    }
    enum exit_code code = home_open_job(c, HOME_TO_LOOK, &h, id);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    (void)snprintf(request, sizeof request, "/v1/jobs/%s/slices/%llu/log", id,
                   (unsigned long long)slice);
    code = check_slice(&h, id, slice);
    if (code == EXIT_CODE_OK) {
        enum pn_status status = client_ask(h.client, "GET", request, NULL, &answer, &err);
        code = status == PN_E_NOT_FOUND
                   ? complain_text(EXIT_CODE_FAILED, "slice %llu: no attempt at it has ended",
                                   (unsigned long long)slice)
               : status == PN_OK ? EXIT_CODE_OK
                                 : complain(&err);
    }
    if (code == EXIT_CODE_OK && c->json) {
        print_json(answer);
    } else if (code == EXIT_CODE_OK) {
        print_log(answer);
    }
    json_decref(answer);
    home_close(&h);
    return code;
}
