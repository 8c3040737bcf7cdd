/*
 * nonce_main -- program:nonce@1: searches one slice on one thread.
 *
 * By hand (without PREON_OUT) it prints what it found; exit 0 when it did, 3 when there is none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "jobs/nonce/nonce_args.h"
#include "jobs/nonce/nonce_pick.h"
#include "jobs/nonce/nonce_search.h"
#include "jobs/slice_env.h"

enum { EXIT_USAGE = 2, EXIT_NONE = 3 };

static const struct args_option here[] = {
    {"kernel", '\0', ARGS_TEXT, 0, 0, "NAME",
     "avx512, sha_ni, armv8, avx2 or portable (default: the fastest here)", NULL},
};

static const char summary[] =
    "Searches nonces whose hash is below a target, one slice on one thread. Its report goes to\n"
    "nonce.bin in the folder PREON_OUT; without that folder, what is found is printed.\n"
    "PREON_SLICE and PREON_SLICES choose the slice.";

/* The bytes of a file of at most NONCE_BLOCK_BYTES_MAX bytes, into a buffer. */
static enum pn_status read_file(const char *path, struct buffer *out, struct pn_err *err)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return pn_fail(err, PN_E_RANGE, "--block-file: %s: %s", path, strerror(errno));
    }
    uint8_t *at = buffer_room(out, NONCE_BLOCK_BYTES_MAX + 1);
    size_t len = at != NULL ? fread(at, 1, NONCE_BLOCK_BYTES_MAX + 1, file) : 0;
    enum pn_status status = PN_OK;
    if (at == NULL) {
        status = pn_fail(err, PN_E_NO_MEMORY, "--block-file: out of memory");
    } else if (ferror(file)) {
        status = pn_fail(err, PN_E_RANGE, "--block-file: %s: %s", path, strerror(errno));
    } else {
        buffer_used(out, len); /* one byte too many is refused by nonce_args_puzzle */
    }
    (void)fclose(file);
    return status;
}

static enum pn_status read_puzzle(const struct args *a, struct nonce_puzzle *out,
                                  struct pn_err *err)
{
    if (!args_given(a, "block-file")) {
        return nonce_args_puzzle(a, NULL, out, err);
    }
    struct buffer file;
    buffer_init(&file, NONCE_BLOCK_BYTES_MAX + 1);
    enum pn_status status = read_file(args_text(a, "block-file"), &file, err);
    if (status == PN_OK) {
        struct pn_bytes bytes = buffer_bytes(&file);
        status = nonce_args_puzzle(a, &bytes, out, err);
    }
    buffer_fini(&file);
    return status;
}

static void print_hit(const struct nonce_puzzle *p, uint64_t nonce)
{
    uint8_t digest[SHA256_DIGEST_BYTES];
    uint8_t key[NONCE_KEY_BYTES];
    char hex[2 * SHA256_DIGEST_BYTES + 1];
    nonce_puzzle_digest(p, nonce, digest);
    nonce_puzzle_key(p, digest, key);
    hex_write((struct pn_bytes){digest, sizeof digest}, hex);
    (void)printf("nonce %" PRIu64 " hash %s zero_bits %u\n", nonce, hex,
                 nonce_puzzle_zero_bits(key));
}

static bool on_progress(void *arg, double done)
{
    slice_env_progress(done, *(double *)arg);
    return true;
}

static uint64_t clock_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static enum pn_status choose_kernel(const char *name, const struct nonce_kernel **out,
                                    struct pn_err *err)
{
    if (name != NULL) {
        enum pn_status status = nonce_kernel_find(name, out, err);
        if (status != PN_OK) {
            pn_err_wrap(err, "--kernel");
        }
        return status;
    }
    const struct nonce_kernel *wrong;
    *out = nonce_pick(clock_ns, &wrong);
    if (wrong != NULL) {
        (void)fprintf(stderr, "nonce: kernel %s computes wrong hashes here; using %s\n",
                      wrong->name, (*out)->name);
    }
    return PN_OK;
}

static enum pn_status search(const struct nonce_puzzle *p, const struct slice_env *env,
                             const struct nonce_kernel *kernel, bool *found, struct pn_err *err)
{
    struct nonce_report *report = malloc(sizeof *report);
    uint8_t *bytes = malloc(NONCE_REPORT_BYTES_MAX);
    enum pn_status status = PN_OK;
    if (report == NULL || bytes == NULL) {
        status = pn_fail(err, PN_E_NO_MEMORY, "report: out of memory");
    } else {
        struct nonce_range slice = nonce_range_part(p->range, env->index, env->count);
        double total = (double)nonce_range_count(slice);
        struct nonce_watch watch = {on_progress, &total};
        status = nonce_search(p, slice, kernel, &watch, report);
        *found = status == PN_OK && report->hit_count > 0;
        if (status != PN_OK) {
            (void)pn_fail(err, status, "search: %s", pn_status_text(status));
        } else if (env->out != NULL) {
            size_t len = nonce_report_write(report, bytes);
            status = slice_env_write(env, "nonce.bin", (struct pn_bytes){bytes, len}, err);
        } else {
            for (uint32_t i = 0; i < report->hit_count; i++) {
                print_hit(p, report->hits[i]);
            }
        }
    }
    free(report);
    free(bytes);
    return status;
}

static enum pn_status run(const struct args *a, int *exit_code, struct pn_err *err)
{
    struct nonce_puzzle puzzle;
    struct slice_env env;
    const struct nonce_kernel *kernel;
    bool found = false;
    enum pn_status status = read_puzzle(a, &puzzle, err);
    if (status == PN_OK) {
        status = slice_env_read(&env, err);
    }
    if (status == PN_OK) {
        status = nonce_args_check_slices(&puzzle, env.count, err);
    }
    if (status == PN_OK) {
        status = choose_kernel(args_text(a, "kernel"), &kernel, err);
    }
    if (status == PN_OK) {
        status = search(&puzzle, &env, kernel, &found, err);
        *exit_code = env.out != NULL || found ? EXIT_SUCCESS : EXIT_NONE;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct args a;
    struct pn_err err;
    int exit_code = EXIT_SUCCESS;
    const struct args_group groups[] = {nonce_args_group, {"This machine", here, 1}};
    const struct args_spec spec = {
        .usage = "nonce@1 [options]",
        .summary = summary,
        .groups = groups,
        .group_count = sizeof groups / sizeof groups[0],
        .positional = "a word",
    };
    slice_env_end_on_signals();
    enum pn_status status =
        args_parse(&spec, (const char *const *)argv + 1, argc > 0 ? (size_t)argc - 1 : 0, &a, &err);
    if (status == PN_OK && a.help) {
        struct buffer text;
        buffer_init(&text, 8192);
        status = args_help(&spec, &text);
        (void)fwrite(text.ptr, 1, text.len, stdout);
        buffer_fini(&text);
        args_fini(&a);
        return status == PN_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (status == PN_OK) {
        status = run(&a, &exit_code, &err);
        args_fini(&a);
    }
    if (status == PN_OK) {
        return exit_code;
    }
    (void)fprintf(stderr, "nonce: %s\n", err.text);
    return status == PN_E_SYSTEM || status == PN_E_NO_MEMORY ? EXIT_FAILURE : EXIT_USAGE;
}
