#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "jobs/mandelbrot/mandelbrot_program.h"
#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_bench_sys.h"
#include "jobs/nonce/nonce_pick.h"
#include "jobs/nonce/nonce_program.h"
#include "tools/commands.h"
#include "tools/human.h"
#include "tools/launch_sys.h"
#include "tools/puzzle_sys.h"

enum { EXEC_SLICES_DEFAULT = 1 };

static const double RATE_SECONDS = 0.05; /* of search, to learn this machine's rate */

/* --- what all three share --- */

/* Options of the table "Job". */
static enum pn_status take_job_options(const struct context *c, struct manifest *m,
                                       struct pn_err *err)
{
    const char *name = args_text(&c->args, "name");
    if (name != NULL) {
        if (strlen(name) > JOB_NAME_MAX) {
            return pn_fail(err, PN_E_RANGE, "--name %.60s…: at most %d bytes", name, JOB_NAME_MAX);
        }
        (void)snprintf(m->name, sizeof m->name, "%s", name);
    }
    if (args_given(&c->args, "slices")) {
        m->slice_count = (uint32_t)args_u64(&c->args, "slices");
    }
    m->timeout_s = (uint32_t)((args_u64(&c->args, "timeout") + 999) / 1000);
    return PN_OK;
}

static enum pn_status take_draft(const struct job_draft *d, struct manifest *m, struct pn_err *err)
{
    (void)snprintf(m->name, sizeof m->name, "%s", d->name);
    m->slice_count = d->slice_count;
    m->limits = d->limits;
    m->verify = d->verify;
    m->stop = d->stop;
    enum pn_status status =
        manifest_set_command(m, PROGRAM_OWN, (const char *const *)d->words, d->word_count, err);
    return status == PN_OK ? manifest_add_output(m, d->output, err) : status;
}

/* The program itself has the last word on arguments and slices, and says how long one may take. */
static enum pn_status check_program(struct manifest *m, struct pn_err *err)
{
    const struct job_program *program = job_program_find(m->args[0]);
    const struct job_slice slice = {.argv = (const char *const *)m->args + 1,
                                    .argc = m->arg_count - 1,
                                    .count = m->slice_count};
    enum pn_status status = program->check(&slice, err);
    if (status == PN_OK) {
        status = job_program_limits(program, &slice, &m->limits, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "--slices");
        }
    }
    return status;
}

static enum exit_code seal_and_run(struct context *c, struct launch *l)
{
    enum exit_code code = launch_seal(c, l);
    return code == EXIT_CODE_OK ? launch_run(c, l) : code;
}

/* --- nonce --- */

static uint32_t own_slots(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (uint32_t)count : 1;
}

/* Hashes a second of one of this machine's processors, by a short search. */
static double own_rate(const struct nonce_puzzle *p)
{
    const struct nonce_kernel *wrong = NULL;
    return nonce_bench_rate(p, nonce_pick(nonce_bench_clock, &wrong), RATE_SECONDS);
}

/* What will be searched, and how likely it is in vain; of slices that were not asked for, why so.
 */
static void tell_search(const struct nonce_puzzle *p, uint32_t slices, double slot_rate)
{
    const double count = (double)nonce_range_count(p->range);
    const double miss = exp(count * log1p(-nonce_puzzle_chance(p)));
    char text[HUMAN_BYTES];
    char many[HUMAN_BYTES];
    char chosen[3 * HUMAN_BYTES] = "";
    if (slot_rate > 0) {
        char length[HUMAN_BYTES];
        char rate[HUMAN_BYTES];
        (void)snprintf(
            chosen, sizeof chosen, " of about %s each, at the %s measured here",
            human_duration((uint64_t)fmin(count / slices / slot_rate * 1000, 1e18), length),
            human_rate(slot_rate, "hashes", rate));
    }
    (void)fprintf(stderr, "preon: %s nonces in %s%s; the chance that none is a hit: %.2g\n",
                  human_count(count, text), human_many(slices, "slice", many), chosen, miss);
}

/* How many slices, when the user leaves it open; *slot_rate is what that follows from. */
static uint32_t choose_slices(const struct context *c, const struct nonce_puzzle *p,
                              double *slot_rate)
{
    uint64_t slots = args_given(&c->args, "workers") ? args_u64(&c->args, "workers") : own_slots();
    *slot_rate = own_rate(p);
    return nonce_draft_slices(p, *slot_rate, (uint32_t)slots);
}

static enum pn_status draft_nonce(const struct context *c, struct manifest *m,
                                  struct nonce_puzzle *puzzle, double *slot_rate,
                                  struct pn_err *err)
{
    struct job_draft draft;
    *slot_rate = 0;
    enum pn_status status = puzzle_read(&c->args, puzzle, err);
    if (status != PN_OK) {
        return status;
    }
    if (args_given(&c->args, "slices")) {
        status = nonce_args_check_slices(puzzle, args_u64(&c->args, "slices"), err);
    }
    if (status != PN_OK) {
        pn_err_wrap(err, "--slices");
        return status;
    }
    status = nonce_draft(&c->args, puzzle, &draft, err);
    if (status == PN_OK) {
        draft.slice_count = args_given(&c->args, "slices") ? (uint32_t)args_u64(&c->args, "slices")
                                                           : choose_slices(c, puzzle, slot_rate);
        status = take_draft(&draft, m, err);
    }
    job_draft_fini(&draft);
    if (status == PN_OK) {
        status = take_job_options(c, m, err);
    }
    return status == PN_OK ? check_program(m, err) : status;
}

/* --- mandelbrot --- */

static enum pn_status draft_mandelbrot(const struct context *c, struct manifest *m,
                                       struct pn_err *err)
{
    struct mandelbrot_view view;
    struct job_draft draft;
    enum pn_status status = mandelbrot_view_of(&c->args, &view, err);
    if (status == PN_OK && args_given(&c->args, "slices")) {
        status = mandelbrot_view_check_slices(&view, args_u64(&c->args, "slices"), err);
    }
    if (status != PN_OK) {
        return status;
    }
    status = mandelbrot_draft(&c->args, &view, &draft, err);
    if (status == PN_OK) {
        m->quorum = (uint8_t)args_u64(&c->args, "quorum");
        status = take_draft(&draft, m, err);
    }
    job_draft_fini(&draft);
    if (status == PN_OK) {
        status = take_job_options(c, m, err);
    }
    return status == PN_OK ? check_program(m, err) : status;
}

/* --- exec --- */

static bool has_file(const struct manifest *m, const char *name)
{
    for (uint32_t i = 0; i < m->file_count; i++) {
        if (strcmp(m->files[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The first word says whose program it is: outright, or by being a file of the job. */
static enum program_kind kind_of(const struct manifest *m, const char **word)
{
    static const struct {
        const char *prefix;
        enum program_kind kind;
    } PREFIXES[] = {
        {"program:", PROGRAM_OWN}, {"file:", PROGRAM_FILE}, {"system:", PROGRAM_SYSTEM}};
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        size_t len = strlen(PREFIXES[i].prefix);
        if (strncmp(*word, PREFIXES[i].prefix, len) == 0) {
            *word += len;
            return PREFIXES[i].kind;
        }
    }
    if (strncmp(*word, "./", 2) == 0 && has_file(m, *word + 2)) {
        *word += 2;
    }
    return has_file(m, *word) ? PROGRAM_FILE : PROGRAM_SYSTEM;
}

static enum pn_status take_command(const struct context *c, struct manifest *m, struct pn_err *err)
{
    const size_t count = c->args.positional_count;
    const char **words = malloc(count * sizeof *words);
    if (words == NULL) {
        return pn_fail(err, PN_E_NO_MEMORY, "out of memory");
    }
    memcpy(words, c->args.positionals, count * sizeof *words);
    const enum program_kind kind = kind_of(m, &words[0]);
    m->needs_system = kind == PROGRAM_SYSTEM || args_given(&c->args, "system");
    enum pn_status status = manifest_set_command(m, kind, words, (uint32_t)count, err);
    (void)snprintf(m->name, sizeof m->name, "%s", "exec");
    free(words);
    return status;
}

static enum pn_status take_env(const struct context *c, struct manifest *m, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    const char *entry;
    for (size_t i = 0; status == PN_OK && (entry = args_list(&c->args, "env", i)) != NULL; i++) {
        const char *equals = strchr(entry, '=');
        char *key = equals != NULL ? strndup(entry, (size_t)(equals - entry)) : NULL;
        if (equals == NULL) {
            return pn_fail(err, PN_E_MALFORMED, "--env %.60s: must be KEY=VALUE", entry);
        }
        status = key != NULL ? manifest_add_env(m, key, equals + 1, err)
                             : pn_fail(err, PN_E_NO_MEMORY, "out of memory");
        free(key);
    }
    return status;
}

static enum pn_status take_deps(const struct context *c, struct manifest *m, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    const char *entry;
    for (size_t i = 0; status == PN_OK && (entry = args_list(&c->args, "dep", i)) != NULL; i++) {
        char name[NAME_BYTES_MAX + 2];
        struct digest id;
        const char *equals = strchr(entry, '=');
        if (equals == NULL || !digest_parse(equals + 1, strlen(equals + 1), &id)) {
            return pn_fail(err, PN_E_MALFORMED,
                           "--dep %.60s: must be NAME=ID, the ID of 64 lower-case hex digits",
                           entry);
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)(equals - entry), entry);
        status = manifest_add_dep(m, name, &id, err);
    }
    return status;
}

static enum pn_status take_outputs(const struct context *c, struct manifest *m, struct pn_err *err)
{
    enum pn_status status = PN_OK;
    const char *name;
    for (size_t i = 0; status == PN_OK && (name = args_list(&c->args, "output", i)) != NULL; i++) {
        status = manifest_add_output(m, name, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "--output");
        }
    }
    return status;
}

static enum pn_status draft_exec(const struct context *c, struct launch *l, struct pn_err *err)
{
    const struct args *a = &c->args;
    struct manifest *m = &l->manifest;
    enum pn_status status = PN_OK;
    const char *option;
    for (size_t i = 0; status == PN_OK && (option = args_list(a, "file", i)) != NULL; i++) {
        status = local_files_add_option(&l->files, option, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "--file");
        }
    }
    m->slice_count = EXEC_SLICES_DEFAULT;
    m->quorum = (uint8_t)args_u64(a, "quorum");
    m->limits = (struct limits){
        .time_s = (uint32_t)((args_u64(a, "time") + 999) / 1000),
        .cpu_s = (uint32_t)((args_u64(a, "cpu") + 999) / 1000),
        .memory_bytes = args_u64(a, "memory"),
        .process_count = (uint32_t)args_u64(a, "processes"),
        .output_bytes = args_u64(a, "output-bytes"),
    };
    status = status == PN_OK ? local_files_describe(&l->files, m, err) : status;
    status = status == PN_OK ? take_command(c, m, err) : status;
    status = status == PN_OK ? take_env(c, m, err) : status;
    status = status == PN_OK ? take_deps(c, m, err) : status;
    status = status == PN_OK ? take_outputs(c, m, err) : status;
    return status == PN_OK ? take_job_options(c, m, err) : status;
}

/* --- the commands --- */

enum exit_code command_create_nonce(struct context *c)
{
    struct launch l;
    struct nonce_puzzle puzzle;
    double slot_rate;
    struct pn_err err;
    launch_init(&l);
    enum exit_code code = draft_nonce(c, &l.manifest, &puzzle, &slot_rate, &err) == PN_OK
                              ? launch_seal(c, &l)
                              : complain_usage(&err);
    if (code == EXIT_CODE_OK) {
        tell_search(&puzzle, l.manifest.slice_count, slot_rate);
        code = launch_run(c, &l);
    }
    launch_fini(&l);
    return code;
}

enum exit_code command_create_mandelbrot(struct context *c)
{
    struct launch l;
    struct pn_err err;
    launch_init(&l);
    enum exit_code code = draft_mandelbrot(c, &l.manifest, &err) == PN_OK ? seal_and_run(c, &l)
                                                                          : complain_usage(&err);
    launch_fini(&l);
    return code;
}

enum exit_code command_create_exec(struct context *c)
{
    struct launch l;
    struct pn_err err;
    launch_init(&l);
    enum exit_code code =
        draft_exec(c, &l, &err) == PN_OK ? seal_and_run(c, &l) : complain_usage(&err);
    launch_fini(&l);
    return code;
}
